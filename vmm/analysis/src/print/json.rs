//! JSON Lines: an object for each event, with names in place of ids.
//!
//! The table of events says what each has; `docs/trace-events.schema.json` says it for programs. Host times, which
//! differ from run to run, are under `host_ns` and `service_ns` and nowhere else. The first objects describe machine
//! and devices, the last one the end.

mod event;
mod parts;
mod schema;

use std::io::{self, Write};

use barscope_device::Bdf;
use barscope_trace::definition::{Bar, Function};
use barscope_trace::{Capabilities, Clock, Definitions, End, TraceInfo};
use serde::Serialize;

use self::event::Line;
use self::parts::Known;
use super::{Printer, Totals};
use crate::serial::{Text, region_name};
use crate::view::View;

pub use self::schema::schema;

/// Prints a trace as JSON Lines.
pub struct JsonPrinter<W> {
    out: W,
    clock: Clock,
    totals: Totals,
    started: bool,
    known: Known,
    /// The line that is being written.
    line: Vec<u8>,
}

/// The machine.
#[derive(Serialize)]
struct MachineLine<'a> {
    event: &'static str,
    clock: &'static str,
    guest: Option<&'a str>,
    vcpus: Option<u8>,
    memory: Option<u64>,
}

/// A PCI function.
#[derive(Serialize)]
struct FunctionLine<'a> {
    event: &'static str,
    bdf: Text<Bdf>,
    device: &'a str,
    vendor_id: Text<Id>,
    device_id: Text<Id>,
    bars: &'a [Bar],
    msi_vectors: u8,
    msix_vectors: u16,
    untrapped: Vec<&'static str>,
}

/// Vendor or device, in all its digits.
struct Id(u16);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// The end.
#[derive(Serialize)]
struct EndLine<'a> {
    event: &'static str,
    status: &'static str,
    reason: &'a str,
    scenarios: u64,
    passed: u64,
    failed: u64,
    accesses: u64,
    lost: u64,
    unknown_kinds: u64,
    capabilities: Capabilities,
    damage: Vec<String>,
    host_ns: u64,
}

impl<W: Write> JsonPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W, clock: Clock) -> Self {
        let (known, line) = (Known::default(), Vec::new());
        Self { out, clock, totals: Totals::default(), started: false, known, line }
    }

    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, object)?;
        self.out.write_all(b"\n")
    }

    /// What it prints to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Prints what comes before the first record, unless that was done: machine and functions.
    ///
    /// # Errors
    /// If that can't be written.
    pub fn begin(&mut self, definitions: &Definitions) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let machine = definitions.machine();
        self.line(&MachineLine {
            event: "machine",
            clock: self.clock.name(),
            guest: machine.map(|machine| &*machine.guest),
            vcpus: machine.map(|machine| machine.vcpus),
            memory: machine.map(|machine| machine.memory),
        })?;
        for (_, function) in definitions.functions() {
            let Function { bdf, name, vendor, device, bars, msi_vectors, msix_vectors, untrapped, .. } =
                function;
            self.line(&FunctionLine {
                event: "function",
                bdf: Text(*bdf),
                device: name,
                vendor_id: Text(Id(*vendor)),
                device_id: Text(Id(*device)),
                bars,
                msi_vectors: *msi_vectors,
                msix_vectors: *msix_vectors,
                untrapped: untrapped.iter().copied().map(region_name).collect(),
            })?;
        }
        Ok(())
    }
}

impl<W: Write> Printer for JsonPrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.begin(definitions)?;
        self.totals.add(view);
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Line { view, known: Some(&self.known) })?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn pass(&mut self, view: &View) {
        self.totals.add(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.begin(info.definitions)?;
        let Totals { scenarios, passed, failed, accesses, host_ns } = self.totals;
        self.line(&EndLine {
            event: "end",
            status: info.end.map_or("unfinished", End::name),
            reason: info.end.map_or("", End::reason),
            scenarios,
            passed,
            failed,
            accesses,
            lost: info.lost,
            unknown_kinds: info.unknown_kinds,
            capabilities: info.capabilities,
            damage: info.damage.iter().map(ToString::to_string).collect(),
            host_ns,
        })?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
