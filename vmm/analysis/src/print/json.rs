//! JSON Lines: an object for each event, with names in place of ids.
//!
//! Addresses and values are strings in hexadecimal, since JSON readers lose bits of 64-bit numbers. Host
//! times, which differ from run to run, are under `host_ns` and `service_ns` and nowhere else. The first
//! objects describe machine and devices, the last one the end.

use std::fmt::Display;
use std::io::{self, Write};

use barscope_trace::Definitions;
use barscope_trace::definition::{Function, Mapping, Path, Process, Walk};
use barscope_trace::{Clock, End};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Ending, Printer, Totals, words};
use crate::view::{Absence, AccessView, BusAddress, Code, Place, View, What, Why};

/// Prints a trace as JSON Lines.
pub struct JsonPrinter<W> {
    out: W,
    clock: Clock,
    totals: Totals,
    started: bool,
}

impl<W: Write> JsonPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W, clock: Clock) -> Self {
        Self { out, clock, totals: Totals::default(), started: false }
    }

    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, object)?;
        self.out.write_all(b"\n")
    }

    fn start(&mut self, definitions: &Definitions) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let machine = definitions.machine();
        self.line(&json!({
            "event": "machine",
            "clock": self.clock.name(),
            "guest": machine.map(|machine| &machine.guest),
            "vcpus": machine.map(|machine| machine.vcpus),
            "memory": machine.map(|machine| machine.memory),
        }))?;
        for (_, function) in definitions.functions() {
            self.line(&json!({
                "event": "function",
                "bdf": function.bdf.to_string(),
                "device": function.name,
                "vendor_id": format!("{:#06x}", function.vendor),
                "device_id": format!("{:#06x}", function.device),
                "bars": function.bars,
                "msi_vectors": function.msi_vectors,
                "msix_vectors": function.msix_vectors,
            }))?;
        }
        Ok(())
    }
}

impl<W: Write> Printer for JsonPrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.start(definitions)?;
        self.totals.add(view);
        self.line(view)
    }

    fn pass(&mut self, view: &View) {
        self.totals.add(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, ending: &Ending<'_>) -> io::Result<()> {
        self.start(ending.definitions)?;
        let Totals { scenarios, passed, failed, accesses, host_ns } = self.totals;
        let status = ending.end.map_or("unfinished", End::name);
        self.line(&json!({
            "event": "end",
            "status": status,
            "reason": ending.end.map_or("", End::reason),
            "scenarios": scenarios,
            "passed": passed,
            "failed": failed,
            "accesses": accesses,
            "lost": ending.lost,
            "unknown_kinds": ending.unknown_kinds,
            "damage": ending.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "host_ns": host_ns,
        }))?;
        self.out.flush()
    }
}

/// One object, the same wherever a record is printed as JSON.
impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, details) = details(&self.what);
        let line = Line {
            seq: self.seq,
            event: kind,
            device_ns: self.device_ns,
            host_ns: self.host_ns,
            vcpu: self.vcpu,
            scenario: self.scenario.as_deref(),
            cause: self.cause(),
            // Which one did it, where no place says so.
            bdf: self.function().filter(|_| self.place().is_none()).map(|function| function.bdf.to_string()),
            details,
        };
        line.serialize(serializer)
    }
}

/// What every event has; what it has besides comes after it.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    event: &'static str,
    device_ns: u64,
    host_ns: u64,
    vcpu: Option<u8>,
    scenario: Option<&'a str>,
    cause: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bdf: Option<String>,
    #[serde(flatten)]
    details: Value,
}

/// As addresses and values are printed.
pub(crate) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

/// The same for `serde`.
pub(crate) fn as_hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

/// The same for a number that may be unknown.
pub(crate) fn as_hex_or_null<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(hex).serialize(serializer)
}

/// What has a text, as that.
pub(crate) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn device(function: Option<&Function>) -> Option<&str> {
    function.map(|function| function.name.as_str())
}

/// The event's kind, and an object with what is special to it.
fn details(what: &What) -> (&'static str, Value) {
    match what {
        What::Access(view) => ("access", access(view)),
        What::Change { place, old, new, .. } => {
            let fields = with_place(json!({ "old": hex(*old), "new": hex(*new) }), Some(place));
            ("change", fields)
        }
        What::Busy { function, duration, .. } => {
            ("busy", json!({ "device": device(function.as_deref()), "duration_ns": duration }))
        }
        What::Msi { function, index, address, data, delivered, .. } => (
            "msi",
            json!({
                "device": device(function.as_deref()), "index": index, "address": hex(*address),
                "data": hex((*data).into()), "delivered": delivered,
            }),
        ),
        What::InterruptLost { function, index, why, .. } => {
            ("interrupt-lost", json!({ "device": device(function.as_deref()), "index": index, "why": why }))
        }
        What::AddressCut { function, asked, bits, .. } => (
            "address-cut",
            json!({
                "device": device(function.as_deref()), "asked": hex(*asked),
                "used": hex(words::cut(*asked, *bits)), "bits": bits,
            }),
        ),
        What::InterruptMasked { function, index, .. } => {
            ("interrupt-masked", json!({ "device": device(function.as_deref()), "index": index }))
        }
        What::Intx { function, asserted, gsi, .. } => {
            ("intx", json!({ "device": device(function.as_deref()), "asserted": asserted, "gsi": gsi }))
        }
        What::Backing { function, route, backing, .. } => (
            "backing",
            json!({
                "device": device(function.as_deref()),
                "region": route.as_ref().map(|route| route.region.to_string()), "backing": backing,
            }),
        ),
        What::PagesWritten { function, route, offset, pages, since } => (
            "pages-written",
            json!({
                "device": device(function.as_deref()),
                "region": route.as_ref().map(|route| route.region.to_string()),
                "offset": hex(*offset), "pages": pages, "since": since,
            }),
        ),
        What::Doorbell { place, count } => ("doorbell", with_place(json!({ "count": count }), Some(place))),
        What::Dma { function, to_memory, address, length, outcome, .. } => (
            "dma",
            json!({
                "device": device(function.as_deref()), "to_memory": to_memory, "address": hex(*address),
                "length": length, "outcome": outcome,
            }),
        ),
        What::Route { function, route, change, .. } => (
            "route",
            json!({
                "device": device(function.as_deref()),
                "region": route.as_ref().map(|route| route.region.to_string()),
                "address": route.as_ref().map(|route| hex(route.base)),
                "size": route.as_ref().map(|route| route.size), "change": change,
            }),
        ),
        What::Map { mapping, .. } | What::Unmap { mapping, .. } => {
            let kind = if matches!(what, What::Map { .. }) { "map" } else { "unmap" };
            (kind, mapping.as_ref().map_or_else(|| json!({}), |mapping| mapping_fields(mapping)))
        }
        What::Mark { text } => ("mark", json!({ "text": &**text })),
        What::ScenarioBegin { .. } => ("scenario-begin", json!({})),
        What::ScenarioEnd { passed, summary, .. } => {
            ("scenario-end", json!({ "passed": passed, "summary": &**summary }))
        }
        What::Count { what, value, address, error_code, rip } => (
            "count",
            json!({
                "what": what, "value": value, "address": hex(*address), "error_code": error_code,
                "rip": hex(*rip),
            }),
        ),
        What::IsrEnter { vector, .. } => ("isr-enter", json!({ "vector": vector })),
        What::IsrExit { vector } => ("isr-exit", json!({ "vector": vector })),
        What::ClockJump { to } => ("clock-jump", json!({ "to_ns": to })),
        What::NotEmulated { cpl, code, walk, mapping, process, gpa, place, operand } => {
            let object = json!({
                "cpl": cpl,
                "path": walk.as_ref().map_or(Path::Unknown, |walk| walk.path),
                "announced": walk.as_ref().is_some_and(|walk| walk.announced),
                "code": code.as_deref().map(code_fields),
                "gva": walk.as_ref().zip(*gpa).map(|(walk, gpa)| hex(walk.virtual_address(gpa))),
                "gpa": gpa.map(hex),
                "walk": walk.as_deref().map(walk_fields),
                "mapping": mapping.as_deref().map(mapping_fields),
                "process": process.as_deref().map(process_fields),
                "reads": operand.reads,
                "writes": operand.writes,
                "size": (operand.size != 0).then_some(operand.size),
            });
            ("not-emulated", with_place(object, place.as_ref()))
        }
        What::Warning { text } => ("warning", json!({ "text": &**text })),
    }
}

fn access(access: &AccessView) -> Value {
    let (gpa, port) = match access.address {
        BusAddress::Memory(address) => (Some(hex(address)), None),
        BusAddress::Port(port) => (None, Some(hex(port.into()))),
    };
    let fields = access.place.as_ref().map(|place| place.fields(access.value, access.size));
    let fields = fields.filter(|fields| !fields.is_empty()).map(|fields| {
        let named = |(field, value): &(&device_model::Field, u64)| {
            let value = field.value_name(*value).map_or_else(|| json!(value), |name| json!(name));
            (field.name.to_string(), value)
        };
        fields.iter().map(named).collect::<serde_json::Map<_, _>>()
    });
    let object = json!({
        "cpl": access.cpl,
        "path": access.path(),
        "announced": access.announced(),
        "code": access.code.as_deref().map(code_fields),
        "gva": access.gva().map(hex),
        "gpa": gpa,
        "port": port,
        "walk": access.walk.as_deref().map(walk_fields),
        "mapping": access.mapping.as_deref().map(mapping_fields),
        "process": access.process.as_deref().map(process_fields),
        "write": access.write,
        "size": access.size,
        "value": hex(access.value),
        "fields": fields,
        "outcome": access.outcome,
        "absent": access.absent.as_deref().map(absent_fields),
        "selects": access.selects.as_deref().map(|place| with_place(json!({}), Some(place))),
        "read_modify_write": access.read_modify_write,
        "coalesced": access.coalesced,
        "instance": access.instance,
        "fragment": access.fragment,
        "service_ns": access.service_ns,
    });
    with_place(object, access.place.as_ref())
}

fn with_place(mut object: Value, place: Option<&Place>) -> Value {
    object["bdf"] = json!(place.and_then(|place| place.bdf).map(|bdf| bdf.to_string()));
    object["device"] = json!(place.map(Place::device).filter(|name| !name.is_empty()));
    object["region"] = json!(place.map(|place| place.region.to_string()));
    object["offset"] = json!(place.map(|place| hex(place.offset)));
    object["register"] = json!(place.and_then(Place::register_name));
    object
}

fn absent_fields(absent: &Absence) -> Value {
    let (why, moved_to) = match absent.why {
        Why::Moved { to } => (json!("moved"), to.map(hex)),
        why => (json!(why), None),
    };
    json!({
        "bdf": absent.function.bdf.to_string(),
        "device": absent.function.name,
        "region": absent.region.to_string(),
        "address": absent.base.map(hex),
        "was_there": absent.was_there,
        "since": absent.since,
        "why": why,
        "moved_to": moved_to,
    })
}

fn walk_fields(walk: &Walk) -> Value {
    json!({
        "cr3": hex(walk.cr3),
        "page_size": walk.page_size,
        "entries": walk.entries.iter().copied().map(hex).collect::<Vec<_>>(),
        "user": walk.user,
        "writable": walk.writable,
        "pat": walk.pat,
        "mtrr": walk.mtrr,
        "memory_type": walk.memory_type,
    })
}

fn process_fields(process: &Process) -> Value {
    json!({ "pid": process.pid, "name": process.name })
}

fn mapping_fields(mapping: &Mapping) -> Value {
    json!({
        "path": mapping.path,
        "virtual_address": hex(mapping.virtual_address),
        "physical_address": hex(mapping.physical_address),
        "length": mapping.length,
        "address_space": mapping.address_space.map(hex),
        "on_fault": mapping.on_fault,
        "who": mapping.who,
        "call": mapping.call,
    })
}

fn code_fields(code: &Code) -> Value {
    let symbol = code.symbol.as_ref();
    json!({
        "rip": hex(code.rip),
        "instruction": code.text,
        "ambiguous": code.ambiguous,
        "function": symbol.map(|symbol| &symbol.function),
        "file": symbol.and_then(|symbol| symbol.file.as_ref()),
        "line": symbol.and_then(|symbol| symbol.line),
        "module": symbol.and_then(|symbol| symbol.module.as_ref()),
        "offset": symbol.and_then(|symbol| symbol.offset).map(hex),
    })
}

#[cfg(test)]
mod tests;
