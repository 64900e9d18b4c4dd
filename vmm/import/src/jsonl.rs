//! Our own JSON Lines: `barscope show --format json`.
//!
//! Records keep their numbers, so that what was lost is lost; values, times, who made an access and by which page walk come
//! back. JSON has no bytes of instructions and no symbols' tables, so code has its address only, and call stacks end at their
//! process; registers of other functions than the device have no names.

use barscope_device::{BarIndex, Bdf, InterruptLoss, Region};
use barscope_trace::definition::{
    Cut, Definition, Function, Instruction, Mapping, MemoryType, Path, Process, Stack, Walk,
};
use barscope_trace::event::{AccessEvent, Counted, DmaOutcome, Outcome, RouteChange, Target};
use barscope_trace::{Capability, Clock, EventKind, Id, WriteError};
use serde::Deserialize;
use serde_json::Value;

use crate::output::Output;
use crate::text::{access, hex};
use crate::{Line, Reader};

/// The format.
#[derive(Debug, Default)]
pub(crate) struct Jsonl {
    /// Where the device is.
    bdf: Option<Bdf>,
    /// The other functions, with their definitions.
    others: Vec<(Bdf, Id)>,
    ended: bool,
}

/// The clock of a file that begins so: a header has it, which is written before all else.
pub(crate) fn clock(beginning: &[u8]) -> Clock {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let machine = serde_json::from_slice::<Value>(line).unwrap_or_default();
    if machine["clock"] == "virtual" { Clock::Virtual } else { Clock::Host }
}

/// So many functions besides the device are told apart.
const OTHERS_MAX: usize = 256;

/// An object, whose values are looked up by their names.
struct Object<'a>(&'a Value);

/// What is wrong with a line.
type Wrong = String;

impl Object<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    fn hex(&self, key: &str) -> Option<u64> {
        hex(self.text(key)?)
    }

    fn need<T>(&self, found: Option<T>, key: &str) -> Result<T, Wrong> {
        found.ok_or_else(|| match self.0.get(key) {
            None | Some(Value::Null) => format!("{key} is missing"),
            Some(_) => format!("{key} isn't what it should be"),
        })
    }

    fn need_hex(&self, key: &str) -> Result<u64, Wrong> {
        self.need(self.hex(key), key)
    }

    fn need_count(&self, key: &str) -> Result<u64, Wrong> {
        self.need(self.count(key), key)
    }

    fn small<T: TryFrom<u64>>(&self, key: &str) -> Result<T, Wrong> {
        self.need(self.count(key).and_then(|count| T::try_from(count).ok()), key)
    }

    /// A value of a type that has names.
    fn named<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<T, Wrong> {
        self.need(self.0.get(key).and_then(|value| T::deserialize(value).ok()), key)
    }

    fn object(&self, key: &str) -> Option<Object<'_>> {
        self.0.get(key).filter(|value| value.is_object()).map(Object)
    }

    fn bdf(&self) -> Option<Bdf> {
        self.text("bdf")?.parse().ok()
    }

    fn region(&self) -> Result<Region, Wrong> {
        let name = self.need(self.text("region"), "region")?;
        region(name).ok_or_else(|| format!("{name:?} is no region"))
    }
}

fn region(name: &str) -> Option<Region> {
    match name {
        "CONFIG" => Some(Region::Config),
        "ROM" => Some(Region::Rom),
        _ => Some(Region::Bar(BarIndex::new(name.strip_prefix("BAR")?.parse().ok()?)?)),
    }
}

fn path(name: &str) -> Option<Path> {
    Path::ALL.into_iter().find(|path| path.name() == name)
}

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
        Ok(())
    }
}

impl Jsonl {
    fn begin(&mut self, object: &Object<'_>, output: &mut Output) {
        let vcpus = object.count("vcpus").and_then(|count| u8::try_from(count).ok()).unwrap_or(0);
        let guest = object.text("guest").unwrap_or("a trace in JSON Lines");
        output.machine(guest, vcpus, object.count("memory").unwrap_or(0));
        output.told(Capability::Paths);
        output.told(Capability::Processes);
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
        match self.bdf {
            None if output.is_device(vendor, device) => {
                self.bdf = Some(bdf);
                output.at(bdf);
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
            untrapped: Vec::new(),
        })?;
        self.others.push((bdf, function));
        Ok(Line::Taken)
    }

    fn end_line(&mut self, object: &Object<'_>, output: &mut Output) -> Result<Line, WriteError> {
        self.ended = true;
        let lost = object.count("lost").unwrap_or(0);
        output.ended(object.text("status").unwrap_or_default(), object.text("reason").unwrap_or_default());
        output.lost_in_all(lost)?;
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
        let about = object.bdf();
        let function = match about {
            Some(bdf) if self.bdf != Some(bdf) => {
                let other = self.others.iter().find(|(other, _)| *other == bdf).map(|(_, id)| *id);
                let Some(other) = other else {
                    output.left_out();
                    return Ok(Line::Other);
                };
                other
            }
            _ => output.function()?,
        };
        output.device_time(device_ns);
        output.host_time(host_ns);
        let kind = match self.kind(event, object, function, output)? {
            Ok(Some(kind)) => kind,
            Ok(None) => {
                output.left_out();
                return Ok(Line::Other);
            }
            Err(why) => return Ok(Line::Bad(why)),
        };
        output.numbered(seq, kind, vcpu)?;
        Ok(Line::Taken)
    }

    /// The record's kind with its fields; `None` for what has no place in the trace.
    fn kind(
        &mut self,
        event: &str,
        object: &Object<'_>,
        function: Id,
        output: &mut Output,
    ) -> Result<Result<Option<EventKind>, Wrong>, WriteError> {
        let cause = object.count("cause").unwrap_or(0);
        let text = |output: &mut Output, key: &str| -> Result<Id, WriteError> {
            output.define(&Definition::Text { text: object.text(key).unwrap_or_default().to_owned() })
        };
        let process = |output: &mut Output| -> Result<Id, WriteError> {
            let process = object.object("process").map(|process| process_of(&process));
            process.map_or(Ok(0), |process| output.define(&Definition::Process(process)))
        };
        let kind = match event {
            "access" => match self.access(object, function, output)? {
                Ok(access) => access,
                Err(why) => return Ok(Err(why)),
            },
            "mark" => EventKind::Mark { text: text(output, "text")?, process: process(output)? },
            "count" => {
                let process = process(output)?;
                match count(object, process) {
                    Ok(kind) => kind,
                    Err(why) => return Ok(Err(why)),
                }
            }
            "console" => EventKind::Console { text: text(output, "text")? },
            "warning" => EventKind::Warning { text: text(output, "text")? },
            "scenario-begin" => EventKind::ScenarioBegin { name: text(output, "scenario")? },
            "scenario-end" => {
                EventKind::ScenarioEnd { passed: object.flag("passed"), summary: text(output, "summary")? }
            }
            "map" | "unmap" => {
                let Some(mapping) = object.object("mapping") else {
                    return Ok(Err("mapping is missing".into()));
                };
                let mapping = match mapping_of(&mapping) {
                    Ok(mapping) => output.define(&Definition::Mapping(mapping))?,
                    Err(why) => return Ok(Err(why)),
                };
                if event == "map" { EventKind::Map { mapping } } else { EventKind::Unmap { mapping } }
            }
            "route" => {
                let made = || {
                    let (region, base) = (object.region()?, object.need_hex("address")?);
                    Ok((region, base, object.need_count("size")?, object.named::<RouteChange>("change")?))
                };
                match made() {
                    Ok((region, base, size, change)) => {
                        let route = output.region_route(function, region, base, size)?;
                        EventKind::Route { route, change, cause }
                    }
                    Err(why) => return Ok(Err(why)),
                }
            }
            _ => return Ok(plain(event, object, function, cause)),
        };
        Ok(Ok(Some(kind)))
    }

    fn access(
        &mut self,
        object: &Object<'_>,
        function: Id,
        output: &mut Output,
    ) -> Result<Result<EventKind, Wrong>, WriteError> {
        let parse = || {
            let (value, size) = (object.need_hex("value")?, object.need_count("size")?);
            // What a page boundary leaves of an access may have any length.
            let size = access(size, value).or(u8::try_from(size).map_err(|_| format!("{size} bytes")))?;
            let target = match (object.hex("gpa"), object.hex("port")) {
                (Some(address), _) => Target::Memory(address),
                (None, Some(port)) => {
                    let port = u16::try_from(port).map_err(|_| format!("{port:#x} is no port"))?;
                    let routing_id = object.bdf().map_or(0, Bdf::routing_id);
                    let offset =
                        object.hex("offset").and_then(|offset| u16::try_from(offset).ok()).unwrap_or(0);
                    Target::Port { port, routing_id, offset }
                }
                (None, None) => return Err("gpa and port are missing".to_owned()),
            };
            Ok((value, size, target, object.named::<Outcome>("outcome")?))
        };
        let (value, size, target, outcome) = match parse() {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Err(why)),
        };
        let route = match (object.region(), object.hex("offset"), target) {
            (Ok(region), Some(offset), Target::Memory(address)) => {
                output.region_route(function, region, address.wrapping_sub(offset), 0)?
            }
            (Ok(region), Some(offset), Target::Port { port, .. }) => {
                output.port_route(object.bdf().map(|_| function), region, port, offset)?
            }
            _ => 0,
        };
        let walk = match (object.object("walk"), object.hex("gva")) {
            (Some(walk), Some(gva)) => walk_of(object, &walk, gva, output)?,
            _ => 0,
        };
        let instruction =
            match object.object("code").and_then(|code| Some((code.hex("rip")?, code.flag("ambiguous")))) {
                Some((rip, ambiguous)) => output.define(&Definition::Instruction(Instruction {
                    rip,
                    bytes: Vec::new(),
                    cr3: 0,
                    ambiguous,
                    code_size: 64,
                    image: None,
                }))?,
                None => 0,
            };
        let stack = match object.object("process").map(|process| process_of(&process)) {
            Some(process) => {
                let process = Some(output.define(&Definition::Process(process))?);
                output.define(&Definition::Stack(Stack {
                    process,
                    frames: Vec::new(),
                    cut: Some(Cut::Asked),
                }))?
            }
            None => 0,
        };
        let memory_type = |key| object.named::<MemoryType>(key).ok();
        let number = |key: &str| object.count(key).unwrap_or(0);
        Ok(Ok(EventKind::Access(AccessEvent {
            route,
            target,
            write: object.flag("write"),
            size,
            value,
            cpl: number("cpl").min(3) as u8,
            read_modify_write: object.flag("read_modify_write"),
            coalesced: object.flag("coalesced"),
            outcome,
            walk,
            instruction,
            instance: number("instance") as u32,
            fragment: number("fragment").min(255) as u8,
            service_ns: number("service_ns").min((1 << 24) - 1) as u32,
            stack,
            pat: memory_type("pat"),
            memory_type: memory_type("memory_type"),
        })))
    }
}

/// A record that refers to nothing but the device.
fn plain(event: &str, object: &Object<'_>, function: Id, cause: u64) -> Result<Option<EventKind>, Wrong> {
    Ok(Some(match event {
        "change" => EventKind::Change {
            function,
            region: object.region()?,
            offset: object.need_hex("offset")?,
            old: object.need_hex("old")?,
            new: object.need_hex("new")?,
            cause,
        },
        "busy" => EventKind::Busy { function, until_ns: object.need_count("until_ns")?, cause },
        "msi" => EventKind::Msi {
            function,
            index: object.small("index")?,
            address: object.need_hex("address")?,
            data: u32::try_from(object.need_hex("data")?).map_err(|_| "data has 32 bits".to_owned())?,
            delivered: object.flag("delivered"),
            cause,
        },
        "intx" => {
            EventKind::Intx { function, asserted: object.flag("asserted"), gsi: object.small("gsi")?, cause }
        }
        "interrupt-lost" => {
            let name = object.text("why");
            let why = name.and_then(|name| InterruptLoss::ALL.into_iter().find(|why| why.name() == name));
            EventKind::InterruptLost { function, index: object.small("index")?, why, cause }
        }
        "interrupt-masked" => EventKind::InterruptMasked { function, index: object.small("index")?, cause },
        "address-cut" => {
            let bits = object.small("bits")?;
            EventKind::AddressCut { function, asked: object.need_hex("asked")?, bits, cause }
        }
        "dma" => EventKind::Dma {
            function,
            to_memory: object.flag("to_memory"),
            address: object.need_hex("address")?,
            length: object.need_count("length")?,
            outcome: object.named::<DmaOutcome>("outcome")?,
            cause,
        },
        "isr-enter" => EventKind::IsrEnter { vector: object.small("vector")? },
        "isr-exit" => EventKind::IsrExit { vector: object.small("vector")? },
        "clock-jump" => EventKind::ClockJump { to_ns: object.need_count("to_ns")? },
        "backing" | "pages-written" | "doorbell" | "not-emulated" => return Ok(None),
        other => return Err(format!("no record is called {other:?}")),
    }))
}

/// What the guest counted. The number of a system call isn't in the object, only what it is called.
fn count(object: &Object<'_>, process: Id) -> Result<EventKind, Wrong> {
    Ok(EventKind::Count {
        what: object.named::<Counted>("what")?,
        value: object.need_count("value")?,
        address: object.hex("address").unwrap_or(0),
        error_code: object.hex("error_code").unwrap_or(0) as u32,
        rip: object.hex("rip").unwrap_or(0),
        process,
        call: None,
    })
}

fn process_of(object: &Object<'_>) -> Process {
    Process {
        address_space: 0,
        pid: object.count("pid").unwrap_or(0),
        thread: None,
        name: object.text("name").unwrap_or_default().to_owned(),
    }
}

fn mapping_of(object: &Object<'_>) -> Result<Mapping, Wrong> {
    Ok(Mapping {
        path: object.need(object.text("path").and_then(path), "path")?,
        virtual_address: object.need_hex("virtual_address")?,
        physical_address: object.need_hex("physical_address")?,
        length: object.need_count("length")?,
        address_space: object.hex("cr3"),
        announced: true,
        on_fault: object.flag("on_fault"),
        who: object.text("who").unwrap_or_default().to_owned(),
        call: object.text("call").unwrap_or_default().to_owned(),
    })
}

/// The most levels that a page walk has.
const LEVELS: usize = 5;

fn walk_of(access: &Object<'_>, walk: &Object<'_>, gva: u64, output: &mut Output) -> Result<Id, WriteError> {
    let entries = walk.0.get("entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entries: Vec<u64> = entries.iter().take(LEVELS).filter_map(|entry| hex(entry.as_str()?)).collect();
    let page_size = walk.count("page_size").filter(|size| size.is_power_of_two()).unwrap_or(4096);
    let mapping = match access.object("mapping").map(|mapping| mapping_of(&mapping)) {
        Some(Ok(mapping)) => Some(output.define(&Definition::Mapping(mapping))?),
        _ => None,
    };
    let memory_type = |key| walk.named::<MemoryType>(key).ok();
    // A page of 4 KiB has an entry for each level.
    let levels = entries.len() as u8
        + if page_size > 4096 { page_size.ilog2().saturating_sub(12) as u8 / 9 } else { 0 };
    output.define(&Definition::Walk(Walk {
        cr3: walk.hex("cr3").unwrap_or(0),
        page: gva & !(page_size - 1),
        page_size,
        entries,
        levels,
        user: walk.flag("user"),
        writable: walk.flag("writable"),
        pat: memory_type("pat"),
        mtrr: memory_type("mtrr"),
        memory_type: memory_type("memory_type").unwrap_or(MemoryType::Uncacheable),
        path: access.text("path").and_then(path).unwrap_or(Path::Unknown),
        announced: access.flag("announced"),
        mapping,
        process: None,
    }))
}
