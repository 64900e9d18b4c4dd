//! The text of Linux's mmiotrace, as `kernel/trace/trace_mmiotrace.c` prints it and
//! `Documentation/trace/mmiotrace.rst` tells it.
//!
//! Accesses to memory, by whomever, are `R` and `W` lines, 8 bytes wide ones too; mappings `MAP` and `UNMAP`, functions
//! `PCIDEV`. Times are those of the device clock, in microseconds as the format has them. What the format has no line for
//! (ports, interrupts, DMA, changes, scenarios) is a `MARK` whose text is `barscope` and the record as JSON; a guest's mark
//! is one with its own text.

mod functions;
mod maps;

use std::io::{self, Write};

use barscope_analysis::print::Printer;
use barscope_analysis::view::{AccessView, View};
use barscope_trace::event::EventKind;
use barscope_trace::{BusAddress, Clock, Definitions, End, TraceInfo};
use serde_json::json;

use self::functions::Functions;
use self::maps::Maps;
use crate::gaps::Gaps;

/// What every version of the kernel calls the format.
const VERSION: &str = "20070824";
/// What a mark of ours begins with.
const OURS: &str = "barscope ";

/// Prints a trace as mmiotrace does.
pub struct MmiotracePrinter<W> {
    out: W,
    clock: Clock,
    started: bool,
    gaps: Gaps,
    functions: Functions,
    maps: Maps,
    /// Device time of the last record.
    last_ns: u64,
    /// The line that is being written.
    line: Vec<u8>,
}

impl<W: Write> MmiotracePrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W, clock: Clock) -> Self {
        Self {
            out,
            clock,
            started: false,
            gaps: Gaps::default(),
            functions: Functions::default(),
            maps: Maps::default(),
            last_ns: 0,
            line: Vec::new(),
        }
    }

    fn start(&mut self, definitions: &Definitions) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        writeln!(self.out, "VERSION {VERSION}")?;
        self.functions = Functions::new(definitions);
        for function in self.functions.all() {
            function.write(&mut self.out)?;
        }
        let machine = definitions.machine();
        let told = json!({
            "event": "machine",
            "clock": self.clock.name(),
            "guest": machine.map(|machine| &*machine.guest),
            "vcpus": machine.map(|machine| machine.vcpus),
            "memory": machine.map(|machine| machine.memory),
        });
        writeln!(self.out, "MARK {} {OURS}{told}", Time(0))
    }

    fn lost(&mut self, missing: u64) -> io::Result<()> {
        if missing > 0 {
            writeln!(self.out, "MARK 0.000000 Lost {missing} events.")?;
        }
        Ok(())
    }

    fn access(&mut self, view: &View, access: AccessView<'_>, address: u64) -> io::Result<()> {
        let time = Time(view.device_ns);
        let (map, new) = self.maps.of_access(access, address);
        if let Some(map) = new {
            map.write(&mut self.line, time)?;
        }
        let direction = if access.write { 'W' } else { 'R' };
        let pc = access.code().map_or(0, |code| code.rip);
        let pid = access.process().map_or(0, |process| process.pid);
        let (size, value) = (access.size, access.value);
        writeln!(self.line, "{direction} {size} {time} {map} {address:#x} {value:#x} {pc:#x} {pid}")
    }

    /// A record that the format has no line for.
    fn other(&mut self, view: &View) -> io::Result<()> {
        let time = Time(view.device_ns);
        match (view.kind, view.text()) {
            (EventKind::Mark { .. }, Some(text)) if is_plain(text) => {
                writeln!(self.line, "MARK {time} {text}")
            }
            _ => {
                write!(self.line, "MARK {time} {OURS}")?;
                serde_json::to_writer(&mut self.line, view)?;
                self.line.push(b'\n');
                Ok(())
            }
        }
    }
}

/// Whether a mark's text stays itself on a line, and can't be taken for anything else.
fn is_plain(text: &str) -> bool {
    let told = text.starts_with(OURS) || text.starts_with("Lost ");
    !told && !text.is_empty() && text.trim() == text && !text.contains(char::is_control)
}

impl<W: Write> Printer for MmiotracePrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.start(definitions)?;
        self.last_ns = view.device_ns;
        let missing = self.gaps.before(view);
        self.lost(missing)?;
        self.line.clear();
        if let Some(changed) = self.functions.take(view) {
            changed.write(&mut self.line)?;
        }
        let time = Time(view.device_ns);
        match view.kind {
            EventKind::Access(_) => match view.access() {
                Some(access) if let BusAddress::Memory(address) = access.address() => {
                    self.access(view, access, address)?;
                }
                _ => self.other(view)?,
            },
            EventKind::Map { mapping: id } => match view.mapping() {
                Some(mapping) => self.maps.map(id, mapping).write(&mut self.line, time)?,
                None => self.other(view)?,
            },
            EventKind::Unmap { mapping } => match self.maps.unmap(mapping) {
                Some(map) => writeln!(self.line, "UNMAP {time} {map} 0x0 0")?,
                None => self.other(view)?,
            },
            _ => self.other(view)?,
        }
        self.out.write_all(&self.line)
    }

    fn pass(&mut self, view: &View) {
        self.gaps.before(view);
        self.functions.take(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.start(info.definitions)?;
        self.lost(self.gaps.at_end(info))?;
        let told = json!({
            "event": "end",
            "status": info.end.map_or("unfinished", End::name),
            "reason": info.end.map_or("", End::reason),
            "lost": info.lost,
        });
        writeln!(self.out, "MARK {} {OURS}{told}", Time(self.last_ns))?;
        self.out.flush()
    }
}

/// Nanoseconds, printed as seconds with the microseconds that the format has room for.
#[derive(Clone, Copy)]
struct Time(u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let microseconds = self.0 / 1000;
        write!(f, "{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
    }
}
