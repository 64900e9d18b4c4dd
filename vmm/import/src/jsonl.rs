//! Our own JSON Lines: `barscope show --format json`.
//!
//! Records keep their numbers, so that what was lost is lost; all that a line tells of a record comes back, with what the end
//! says that the trace can tell. Registers of other functions than the device have no names.

mod names;
mod object;
mod parts;
mod records;

use barscope_device::Bdf;
use barscope_trace::definition::Function;
use barscope_trace::{Capabilities, Capability, Clock, Id, Knowledge, WriteError};
use serde_json::Value;

use self::object::{Object, region};
use self::records::Records;
use crate::output::Output;
use crate::{Line, Reader};

/// The format.
#[derive(Debug, Default)]
pub(crate) struct Jsonl {
    /// Where the device is.
    bdf: Option<Bdf>,
    /// The other functions, with their definitions.
    others: Vec<(Bdf, Id)>,
    records: Records,
    /// What the end says that the trace can tell.
    told: Option<Capabilities>,
    ended: bool,
    /// The last line was of an access to memory.
    memory_access: bool,
}

/// The clock of a file that begins so: a header has it, which is written before all else.
pub(crate) fn clock(beginning: &[u8]) -> Clock {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let machine = serde_json::from_slice::<Value>(line).unwrap_or_default();
    if machine["clock"] == "virtual" { Clock::Virtual } else { Clock::Host }
}

/// So many functions besides the device are told apart.
const OTHERS_MAX: usize = 256;
/// The id of no function.
const NOBODY: Id = 0;
/// Regions of a function: six BARs, the ROM, configuration space.
const REGIONS: usize = 8;

impl Reader for Jsonl {
    fn line(&mut self, text: &str, output: &mut Output) -> Result<Line, WriteError> {
        if text.trim().is_empty() {
            return Ok(Line::Other);
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(value @ Value::Object(_)) => value,
            Ok(_) => return Ok(Line::Bad("a line is a JSON object".to_owned())),
            Err(error) => return Ok(Line::Bad(format!("no JSON: {error}"))),
        };
        let object = Object(&value);
        let Some(event) = object.text("event") else { return Ok(Line::Bad("event is missing".to_owned())) };
        self.memory_access = event == "access" && object.hex("gpa").is_some();
        match event {
            "machine" => {
                self.begin(&object, output);
                Ok(Line::Taken)
            }
            "function" => self.function(&object, output),
            "end" => self.end_line(&object, output),
            _ => self.record(event, &object, output),
        }
    }

    fn end(&mut self, output: &mut Output) -> Result<(), WriteError> {
        if !self.ended {
            output.unfinished();
        }
        // Without an end nobody says how much of it the lines have.
        for capability in Capability::ALL {
            let told = self.told.map_or(Knowledge::Unknown, |told| told.of(capability));
            output.knows(capability, told);
        }
        // Lines name code that accessed a device, and its callers: nothing else of a program.
        if self.told.is_some_and(|told| told.tells(Capability::Functions)) {
            output.knows(Capability::Functions, Knowledge::Incomplete);
        }
        self.records.names.define(output)
    }
}

impl Jsonl {
    fn begin(&mut self, object: &Object<'_>, output: &mut Output) {
        let vcpus = object.count("vcpus").and_then(|count| u8::try_from(count).ok()).unwrap_or(0);
        let guest = object.text("guest").unwrap_or("a trace in JSON Lines");
        output.machine(guest, vcpus, object.count("memory").unwrap_or(0));
    }

    /// The function's definition.
    pub(crate) fn function_at(&self, bdf: Bdf, output: &mut Output) -> Result<Option<Id>, WriteError> {
        if self.bdf == Some(bdf) {
            return output.function().map(Some);
        }
        Ok(self.others.iter().find(|(other, _)| *other == bdf).map(|(_, id)| *id))
    }

    /// Whether the last line was of an access to memory.
    pub(crate) fn took_memory_access(&mut self) -> bool {
        std::mem::take(&mut self.memory_access)
    }

    fn function(&mut self, object: &Object<'_>, output: &mut Output) -> Result<Line, WriteError> {
        let id = |key| object.hex(key).and_then(|id| u16::try_from(id).ok());
        let (Some(bdf), Some(vendor), Some(device)) = (object.bdf(), id("vendor_id"), id("device_id")) else {
            return Ok(Line::Bad("a function has bdf, vendor_id and device_id".to_owned()));
        };
        let known = self.bdf == Some(bdf) || self.others.iter().any(|(other, _)| *other == bdf);
        if known || self.others.len() >= OTHERS_MAX {
            return Ok(Line::Bad(format!("{bdf} is described twice, or there are too many functions")));
        }
        let untrapped = object.list("untrapped").iter().filter_map(|name| region(name.as_str()?));
        let untrapped = untrapped.take(REGIONS).collect();
        match self.bdf {
            None if output.is_device(vendor, device) => {
                self.bdf = Some(bdf);
                output.at(bdf);
                output.untrapped(untrapped);
                output.function()?;
                return Ok(Line::Taken);
            }
            Some(first) if output.is_device(vendor, device) => {
                output.note(format!("there is another such device at {bdf}; this is the one at {first}"));
            }
            _ => {}
        }
        let function = output.other_function(Function {
            bdf,
            name: object.text("device").unwrap_or_default().to_owned(),
            vendor,
            device,
            bars: object.named("bars").unwrap_or_default(),
            msi_vectors: object.small("msi_vectors").unwrap_or_default(),
            msix_vectors: object.small("msix_vectors").unwrap_or_default(),
            register_maps: Vec::new(),
            untrapped,
        })?;
        self.others.push((bdf, function));
        Ok(Line::Taken)
    }

    fn end_line(&mut self, object: &Object<'_>, output: &mut Output) -> Result<Line, WriteError> {
        self.ended = true;
        let lost = object.count("lost").unwrap_or(0);
        output.ended(object.text("status").unwrap_or_default(), object.text("reason").unwrap_or_default());
        output.lost_in_all(lost)?;
        self.told = object.object("capabilities").map(|told| {
            let mut capabilities = Capabilities::default();
            for capability in Capability::ALL {
                let told = told.text(capability.name()).and_then(Knowledge::named);
                capabilities.set(capability, told.unwrap_or_default());
            }
            capabilities
        });
        Ok(Line::Taken)
    }

    fn record(&mut self, event: &str, object: &Object<'_>, output: &mut Output) -> Result<Line, WriteError> {
        let (Some(seq), Some(device_ns)) = (object.count("seq"), object.count("device_ns")) else {
            return Ok(Line::Bad("a record has seq and device_ns".to_owned()));
        };
        let host_ns = object.count("host_ns").unwrap_or(device_ns);
        let vcpu =
            object.count("vcpu").and_then(|vcpu| u8::try_from(vcpu).ok()).filter(|vcpu| *vcpu < u8::MAX);
        if !output.seq(seq) {
            return Ok(Line::Bad(format!("record {seq} comes after a later one, or far too late")));
        }
        let function = match object.bdf() {
            // Where no function is, an access has gone nowhere.
            Some(_) if object.get("device").is_null() => Some(NOBODY),
            Some(bdf) => self.function_at(bdf, output)?,
            None => Some(output.function()?),
        };
        let Some(function) = function else {
            output.left_out();
            return Ok(Line::Other);
        };
        output.device_time(device_ns);
        output.host_time(host_ns);
        let kind = match self.records.read(event, object, function, output)? {
            Ok(kind) => kind,
            Err(why) => return Ok(Line::Bad(why)),
        };
        output.numbered(seq, kind, vcpu)?;
        Ok(Line::Taken)
    }
}
