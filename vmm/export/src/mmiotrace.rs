//! The text of Linux's mmiotrace, as `kernel/trace/trace_mmiotrace.c` prints it and
//! `Documentation/trace/mmiotrace.rst` tells it.
//!
//! Accesses to memory, by whomever, are `R` and `W` lines, 8 bytes wide ones too; mappings `MAP` and `UNMAP`, functions
//! `PCIDEV`. Times are those of the device clock, in microseconds as the format has them.
//!
//! What the format has no line for (machine, functions, ports, interrupts, DMA, changes, scenarios, the end) is a `MARK`
//! whose text is `barscope` and the record as JSON; a guest's mark is one with its own text. A line that tells too little
//! of its record, like a mapping's or that of an access that was refused, has such a mark before it. So who knows these
//! marks knows each record's place in the sequence; what a filter left out is counted by one more, `left-out`.

mod functions;
mod maps;

use std::io::{self, Write};

use barscope_analysis::print::{JsonPrinter, Printer};
use barscope_analysis::view::{AccessView, View};
use barscope_trace::event::{EventKind, Outcome};
use barscope_trace::{BusAddress, Clock, Definitions, TraceInfo};

use self::functions::Functions;
use self::maps::Maps;
use crate::gaps::Gaps;

/// What every version of the kernel calls the format.
const VERSION: &str = "20070824";
/// What a mark of ours begins with.
const OURS: &str = "barscope ";
/// The mark of records that weren't asked for.
const LEFT_OUT: &str = "left-out";

/// Prints a trace as mmiotrace does.
pub struct MmiotracePrinter<W> {
    out: W,
    started: bool,
    gaps: Gaps,
    /// Sequence number of the record that the next line would be of, and that of the last record that there was.
    next: u64,
    last: u64,
    /// Writes what marks hold.
    json: JsonPrinter<Vec<u8>>,
    functions: Functions,
    /// A function became another one by a record that has no line.
    is_moved: bool,
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
            started: false,
            gaps: Gaps::default(),
            next: 1,
            last: 0,
            json: JsonPrinter::new(Vec::new(), clock),
            functions: Functions::default(),
            is_moved: false,
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
        self.json.begin(definitions)?;
        self.marks(Time(0))?;
        self.out.write_all(&std::mem::take(&mut self.line))?;
        self.functions = Functions::new(definitions);
        for function in self.functions.all() {
            function.write(&mut self.out)?;
        }
        Ok(())
    }

    /// What was written as JSON, a mark each line.
    fn marks(&mut self, time: Time) -> io::Result<()> {
        let json = self.json.get_mut();
        for object in json.split_inclusive(|byte| *byte == b'\n') {
            write!(self.line, "MARK {time} {OURS}")?;
            self.line.extend_from_slice(object);
        }
        json.clear();
        Ok(())
    }

    /// A record as JSON.
    fn as_json(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.json.print(definitions, view)?;
        self.marks(Time(view.device_ns))
    }

    fn lost(&mut self, missing: u64) -> io::Result<()> {
        if missing > 0 {
            self.next += missing;
            writeln!(self.out, "MARK 0.000000 Lost {missing} events.")?;
        }
        Ok(())
    }

    /// Says how many records before the one with number `seq` have no line, since nobody asked for them.
    fn left_out(&mut self, seq: u64, time: Time) -> io::Result<()> {
        let count = seq.saturating_sub(self.next);
        self.next = seq + 1;
        if count > 0 {
            let told = format_args!("{{\"event\":\"{LEFT_OUT}\",\"count\":{count}}}");
            writeln!(self.line, "MARK {time} {OURS}{told}")?;
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
}

/// Whether a line of the format tells what came of an access: it was answered, as a whole, when it was made.
fn is_told_by_line(access: AccessView<'_>) -> bool {
    let in_bar = access.place().is_some_and(|place| !place.is_configuration());
    let whole = in_bar && access.fragment == 0 && [1, 2, 4, 8].contains(&access.size);
    whole && access.outcome == Outcome::Ok && !access.coalesced && !access.read_modify_write
}

/// Whether a mark's text stays itself on a line, and can't be taken for anything else.
fn is_plain(text: &str) -> bool {
    let told = text.starts_with(OURS) || text.starts_with("Lost ");
    !told && !text.is_empty() && text.trim() == text && !text.contains(char::is_control)
}

impl<W: Write> Printer for MmiotracePrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.start(definitions)?;
        (self.last, self.last_ns) = (view.seq, view.device_ns);
        let missing = self.gaps.before(view);
        self.lost(missing)?;
        self.line.clear();
        if std::mem::take(&mut self.is_moved) {
            for function in self.functions.all() {
                function.write(&mut self.line)?;
            }
        }
        if let Some(changed) = self.functions.take(view) {
            changed.write(&mut self.line)?;
        }
        let time = Time(view.device_ns);
        self.left_out(view.seq, time)?;
        let told = match (view.kind, view.access(), view.text()) {
            (_, Some(access), _) if let BusAddress::Memory(_) = access.address() => is_told_by_line(access),
            (EventKind::Mark { .. }, _, Some(text)) if is_plain(text) => {
                writeln!(self.line, "MARK {time} {text}")?;
                true
            }
            _ => false,
        };
        if told {
            self.json.pass(view);
        } else {
            self.as_json(definitions, view)?;
        }
        match view.kind {
            EventKind::Access(_) => {
                if let Some(access) = view.access()
                    && let BusAddress::Memory(address) = access.address()
                {
                    self.access(view, access, address)?;
                }
            }
            EventKind::Map { mapping: id } => {
                if let Some(mapping) = view.mapping() {
                    self.maps.map(id, mapping).write(&mut self.line, time)?;
                }
            }
            EventKind::Unmap { mapping } => {
                if let Some(map) = self.maps.unmap(mapping) {
                    writeln!(self.line, "UNMAP {time} {map} 0x0 0")?;
                }
            }
            _ => {}
        }
        self.out.write_all(&self.line)
    }

    fn pass(&mut self, view: &View) {
        self.last = view.seq;
        self.json.pass(view);
        self.gaps.before(view);
        self.is_moved |= self.functions.take(view).is_some();
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.start(info.definitions)?;
        self.lost(self.gaps.at_end(info))?;
        self.line.clear();
        let time = Time(self.last_ns);
        self.left_out(self.last + 1, time)?;
        self.json.finish(info)?;
        self.marks(time)?;
        self.out.write_all(&self.line)?;
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
