//! Perfetto's trace format, for <https://ui.perfetto.dev> and `trace_processor`: a file of the message `Trace`.
//!
//! Its times are those of the device clock. Accesses are instants on their vCPU's track, what a device did on the
//! device's. All that follows from one access is one flow, by way of interrupts too: access, DMA, message, handler, its
//! accesses. Slices are scenarios, handlers, work of devices, asserted pins, mappings, and on a process's track what it
//! was in: a system call, or its own code. Neither the beginning nor the end of those is recorded: such a slice goes from
//! the first to the last of accesses that follow each other in it, and several calls of the same system call make one.

mod packets;
mod proto;
mod runs;
mod tracks;

use std::fmt::Write as _;
use std::io::{self, Write};

use barscope_analysis::print::Printer;
use barscope_analysis::system_call;
use barscope_analysis::view::{AccessView, View};
use barscope_trace::event::EventKind;
use barscope_trace::{Definitions, End, Id, TraceInfo};
use rustc_hash::FxHashMap;

use self::packets::{Name, Note, OnTrack, Packets, Source};
use self::proto::TrackEventType::{Instant, SliceBegin, SliceEnd};
use self::runs::{Run, Runs};
use self::tracks::{Track, Tracks};
use crate::gaps::Gaps;

/// What a thread of the guest, or a handler, is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    User,
    SystemCall(u64),
    Handler,
}

/// Prints a trace for Perfetto.
pub struct PerfettoPrinter<W> {
    packets: Packets<W>,
    tracks: Tracks,
    gaps: Gaps,
    /// Slices that end with the last access in them, by their track.
    runs: Runs<Within>,
    /// Handlers that were announced and run, by vCPU.
    handlers: FxHashMap<Option<u8>, u64>,
    /// Until when functions are busy: device time in nanoseconds.
    busy: FxHashMap<Id, (u64, u64)>,
    /// Pins that are asserted.
    pins: FxHashMap<Id, u64>,
    /// Mappings that are there.
    mappings: FxHashMap<Id, u64>,
    in_scenario: bool,
    /// Device time of the last record.
    last_ns: u64,
    text: String,
}

/// An event with no more than a name.
fn plain<'a>(track: u64, of: proto::TrackEventType, name: &'a str) -> OnTrack<'a> {
    let name = if name.is_empty() { Name::None } else { Name::Text(name) };
    OnTrack { track, of, name, notes: &[], code: None, flows: &[] }
}

impl<W: Write> PerfettoPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        Self {
            packets: Packets::new(out),
            tracks: Tracks::default(),
            gaps: Gaps::default(),
            runs: Runs::default(),
            handlers: FxHashMap::default(),
            busy: FxHashMap::default(),
            pins: FxHashMap::default(),
            mappings: FxHashMap::default(),
            in_scenario: false,
            last_ns: 0,
            text: String::new(),
        }
    }

    fn end_slice(&mut self, track: u64, ns: u64) -> io::Result<()> {
        self.packets.event(ns, &plain(track, SliceEnd, ""))
    }

    fn mark(&mut self, name: &str, ns: u64) -> io::Result<()> {
        let track = self.tracks.of_machine(&mut self.packets, Track::Marks, "marks")?;
        self.packets.event(ns, &plain(track, Instant, name))
    }

    fn access(&mut self, view: &View, access: AccessView<'_>) -> io::Result<()> {
        let track = self.tracks.vcpu(&mut self.packets, view.vcpu)?;
        self.handler_run(view, track)?;
        self.process_run(view)?;
        let cause = view.cause();
        let flows = [view.seq, cause.unwrap_or(0)];
        let offset = access.place().map_or(0, |place| place.offset);
        let name = || name_of(access);
        let source = || source(view);
        self.packets.event(
            view.device_ns,
            &OnTrack {
                track,
                of: Instant,
                name: Name::Of((access.route, offset, access.write), &name),
                notes: &[("record", Note::Number(view.seq)), ("value", Note::Hex(access.value))],
                code: Some(((access.instruction, access.stack), &source)),
                flows: if cause.is_some() { &flows } else { &flows[..1] },
            },
        )
    }

    /// Handlers that nobody announced show in what their accesses are.
    fn handler_run(&mut self, view: &View, track: u64) -> io::Result<()> {
        let announced = self.handlers.get(&view.vcpu).is_some_and(|depth| *depth > 0);
        let within = (view.in_handler() && !announced).then_some(Within::Handler);
        let ended = self.runs.take(track, within, view.device_ns);
        self.run(track, ended, "interrupt handler", view)
    }

    /// What the process is in that an access was made for.
    fn process_run(&mut self, view: &View) -> io::Result<()> {
        let Some(process) = view.process() else { return Ok(()) };
        let within = match (view.cpl(), view.system_call()) {
            (Some(3), _) => Some(Within::User),
            (_, Some(number)) => Some(Within::SystemCall(number)),
            _ => None,
        };
        let track = self.tracks.thread(&mut self.packets, process)?;
        let ended = self.runs.take(track, within, view.device_ns);
        if ended == Run::Same {
            return Ok(());
        }
        let name = match within {
            Some(Within::SystemCall(number)) => system_call::described(number),
            _ => "program".to_owned(),
        };
        self.run(track, ended, &name, view)
    }

    fn run(&mut self, track: u64, run: Run, name: &str, view: &View) -> io::Result<()> {
        let Run::Other { ended, begins } = run else { return Ok(()) };
        if let Some(ns) = ended {
            self.end_slice(track, ns)?;
        }
        if begins {
            self.packets.event(view.device_ns, &plain(track, SliceBegin, name))?;
        }
        Ok(())
    }

    /// Something on a track of the function that a view is about.
    fn on_device(
        &mut self,
        definitions: &Definitions,
        (view, function): (&View, Id),
        of: (Track, &str, proto::TrackEventType),
        name: &str,
        notes: &[(&'static str, Note<'_>)],
    ) -> io::Result<u64> {
        let whose = (function, definitions.function(function));
        let (track, track_name, of) = of;
        let track = match track {
            Track::Device(_) => self.tracks.device(&mut self.packets, function, whose.1)?,
            other => self.tracks.of_device(&mut self.packets, (other, track_name), whose)?,
        };
        let flows = [view.cause().unwrap_or(0)];
        let flows = if view.cause().is_some() { &flows[..] } else { &[] };
        let name = if of == SliceEnd { Name::None } else { Name::Text(name) };
        self.packets.event(view.device_ns, &OnTrack { track, of, name, notes, code: None, flows })?;
        Ok(track)
    }

    fn busy(&mut self, definitions: &Definitions, view: &View, function: Id, until: u64) -> io::Result<()> {
        // Slices of a track don't overlap: what follows ends the one before.
        if let Some((track, before)) = self.busy.remove(&function) {
            self.end_slice(track, before.min(view.device_ns))?;
        }
        let on = (Track::Busy(function), "busy", SliceBegin);
        let track = self.on_device(definitions, (view, function), on, "busy", &[])?;
        self.busy.insert(function, (track, until));
        Ok(())
    }

    fn effect(&mut self, definitions: &Definitions, view: &View, function: Id) -> io::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let on = (Track::Device(function), "", Instant);
        let done = match view.kind {
            EventKind::Change { old, new, .. } => {
                let register = view.place().and_then(|place| place.register());
                text.push_str(register.map_or("a register", |register| &register.name));
                let notes = [("old", Note::Hex(old)), ("new", Note::Hex(new))];
                self.on_device(definitions, (view, function), on, &text, &notes)
            }
            EventKind::Dma { to_memory, address, length, outcome, .. } => {
                let name = if to_memory { "DMA to memory" } else { "DMA from memory" };
                let notes = [
                    ("address", Note::Hex(address)),
                    ("length", Note::Number(length)),
                    ("outcome", Note::Text(outcome.name())),
                ];
                self.on_device(definitions, (view, function), on, name, &notes)
            }
            EventKind::Msi { index, address, data, delivered, .. } => {
                // Nothing is ever wrong with a string.
                let _ = write!(text, "MSI {index}");
                let notes = [
                    ("address", Note::Hex(address)),
                    ("data", Note::Hex(data.into())),
                    ("delivered", Note::Text(if delivered { "yes" } else { "no" })),
                ];
                self.on_device(definitions, (view, function), on, &text, &notes)
            }
            EventKind::InterruptLost { index, .. } => {
                let notes = [("vector", Note::Number(index.into()))];
                self.on_device(definitions, (view, function), on, "interrupt lost", &notes)
            }
            EventKind::InterruptMasked { index, .. } => {
                let notes = [("vector", Note::Number(index.into()))];
                self.on_device(definitions, (view, function), on, "interrupt masked", &notes)
            }
            EventKind::Intx { asserted: true, gsi, .. } if !self.pins.contains_key(&function) => {
                let on = (Track::Pin(function), "INTx", SliceBegin);
                let notes = [("IOAPIC input", Note::Number(gsi.into()))];
                let track = self.on_device(definitions, (view, function), on, "asserted", &notes);
                track.inspect(|track| _ = self.pins.insert(function, *track))
            }
            EventKind::Intx { asserted: false, .. } if self.pins.remove(&function).is_some() => {
                let on = (Track::Pin(function), "INTx", SliceEnd);
                self.on_device(definitions, (view, function), on, "", &[])
            }
            EventKind::Intx { .. } => Ok(0),
            _ => self.on_device(definitions, (view, function), on, view.kind.kind().name, &[]),
        };
        self.text = text;
        done.map(|_| ())
    }

    fn handler(&mut self, view: &View, vector: u8, enters: bool) -> io::Result<()> {
        let track = self.tracks.vcpu(&mut self.packets, view.vcpu)?;
        let ended = self.runs.take(track, None, view.device_ns);
        self.run(track, ended, "", view)?;
        let depth = self.handlers.entry(view.vcpu).or_default();
        if !enters {
            // One that began before the first record has no beginning here.
            if *depth > 0 {
                *depth -= 1;
                self.end_slice(track, view.device_ns)?;
            }
            return Ok(());
        }
        *depth += 1;
        let name = format!("handler of vector {vector:#04x}");
        let flows = [view.cause().unwrap_or(0)];
        let flows = if view.cause().is_some() { &flows[..] } else { &[] };
        self.packets.event(view.device_ns, &OnTrack { flows, ..plain(track, SliceBegin, &name) })
    }

    fn mapping(&mut self, definitions: &Definitions, view: &View, id: Id) -> io::Result<()> {
        let Some(mapping) = view.mapping() else { return Ok(()) };
        if self.mappings.contains_key(&id) {
            return Ok(());
        }
        let track = self.tracks.mapping(&mut self.packets, definitions, (id, mapping))?;
        self.mappings.insert(id, track);
        let name = format!("{} of {:#x}", mapping.path, mapping.physical_address);
        let notes = [
            ("physical", Note::Hex(mapping.physical_address)),
            ("virtual", Note::Hex(mapping.virtual_address)),
            ("length", Note::Hex(mapping.length)),
            ("by", Note::Text(&mapping.who)),
        ];
        self.packets.event(view.device_ns, &OnTrack { notes: &notes, ..plain(track, SliceBegin, &name) })
    }

    fn scenario(&mut self, view: &View, begins: bool) -> io::Result<()> {
        let track = self.tracks.of_machine(&mut self.packets, Track::Scenarios, "scenarios")?;
        if std::mem::replace(&mut self.in_scenario, begins) {
            self.end_slice(track, view.device_ns)?;
        }
        if begins {
            let name = view.text().filter(|name| !name.is_empty()).unwrap_or("a scenario");
            self.packets.event(view.device_ns, &plain(track, SliceBegin, name))?;
        }
        Ok(())
    }

    fn lost(&mut self, missing: u64, ns: u64) -> io::Result<()> {
        if missing == 0 {
            return Ok(());
        }
        self.mark(&format!("{missing} records are missing"), ns)
    }
}

/// What an access is called: `W lab STATUS`.
fn name_of(access: AccessView<'_>) -> String {
    let direction = if access.write { "W" } else { "R" };
    match access.place() {
        Some(place) => {
            let register = place.register_name().unwrap_or_else(|| place.to_string());
            let device = place.device();
            if device.is_empty() {
                format!("{direction} {register}")
            } else {
                format!("{direction} {device} {register}")
            }
        }
        None => format!("{direction} nothing"),
    }
}

/// Who made an access.
fn source(view: &View) -> Option<Source> {
    let made = view.made()?;
    Some(Source {
        function: made.function()?,
        file: made.by.file.unwrap_or_default().to_owned(),
        line: made.by.line,
    })
}

impl<W: Write> Printer for PerfettoPrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.last_ns = self.last_ns.max(view.device_ns);
        let missing = self.gaps.before(view);
        self.lost(missing, view.device_ns)?;
        if let Some(access) = view.access() {
            return self.access(view, access);
        }
        match view.kind {
            EventKind::Busy { function, until_ns, .. } => self.busy(definitions, view, function, until_ns),
            EventKind::IsrEnter { vector } => self.handler(view, vector, true),
            EventKind::IsrExit { vector } => self.handler(view, vector, false),
            EventKind::Map { mapping } => self.mapping(definitions, view, mapping),
            EventKind::Unmap { mapping } => match self.mappings.remove(&mapping) {
                Some(track) => self.end_slice(track, view.device_ns),
                None => Ok(()),
            },
            EventKind::ScenarioBegin { .. } => self.scenario(view, true),
            EventKind::ScenarioEnd { .. } => self.scenario(view, false),
            kind => {
                let references = kind.references();
                let routed = references.route.and_then(|id| definitions.route(id)?.function);
                match references.function.or(routed) {
                    Some(function) => self.effect(definitions, view, function),
                    None => {
                        let name = view.text().filter(|text| !text.is_empty()).unwrap_or(kind.kind().name);
                        self.mark(name, view.device_ns)
                    }
                }
            }
        }
    }

    fn pass(&mut self, view: &View) {
        self.gaps.before(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.packets.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        for (track, ns) in self.runs.end() {
            self.end_slice(track, ns)?;
        }
        let mut busy: Vec<_> = std::mem::take(&mut self.busy).into_values().collect();
        busy.sort_unstable();
        for (track, until) in busy {
            self.end_slice(track, until)?;
        }
        self.lost(self.gaps.at_end(info), self.last_ns)?;
        match info.end {
            None => self
                .mark("no end: the trace was still being written, or its writer was killed", self.last_ns)?,
            Some(End::Finished) => {}
            Some(end) => {
                let text = format!("{}: {}", end.name(), end.reason());
                self.mark(&text, self.last_ns)?;
            }
        }
        self.packets.flush()
    }
}
