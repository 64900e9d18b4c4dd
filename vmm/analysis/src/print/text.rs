//! Text for people: a line for each access, what the device did below it.

mod access;
mod effects;
mod ending;
mod fold;
mod setup;

use std::io::{self, Write};
use std::sync::Arc;

use barscope_trace::definition::Machine;
use barscope_trace::event::{Counted, EventKind, MemoryOperand, RouteChange};
use barscope_trace::{Clock, Definitions, TraceInfo, units};

use self::access::Lines;
use self::effects::Effects;
use self::fold::{Fold, Folded};
use self::setup::{Setup, is_setup};
use super::{Printer, Totals};
use crate::digits::decimal;
use crate::maps::Maps;
use crate::style::{ASIDE, FAIL, HEADING, PASS, Paint, WARNING};
use crate::table::{columns, pad_before, wrap};
use crate::view::{AccessView, Place, View};
use crate::words;

/// Prints a trace as text.
pub struct TextPrinter<W> {
    out: W,
    width: usize,
    paint: Paint,
    clock: Clock,
    totals: Totals,
    maps: Maps,
    setup: Setup,
    fold: Fold,
    effects: Effects,
    scenarios: Vec<Scenario>,
    /// Only some events are printed: each by itself, with no picture of the whole.
    selective: bool,
    /// No event is printed but what is wrong.
    brief: bool,
    /// The trace's file is named at the end.
    names_file: bool,
    /// The scenario whose heading was printed last, in a selection.
    under: Option<Arc<str>>,
    /// How many were printed, in a selection.
    selected: u64,
    /// The header was printed.
    started: bool,
    in_scenario: bool,
    /// A path that was inferred was printed.
    inferred: bool,
    /// The last access, whether printed or folded.
    last_access: Option<LastAccess>,
    /// The access on the last line, while nothing else was printed.
    last_printed: Option<u64>,
    lines: Lines,
}

/// What is remembered of an access, for what comes of it.
struct LastAccess {
    seq: u64,
    /// It is one of those that are summed up.
    configured: bool,
    /// Where it wrote to, and what; `None` for a read.
    written: Option<(Option<Place>, u64)>,
}

impl LastAccess {
    fn new(access: AccessView<'_>) -> Self {
        Self {
            seq: access.view.seq,
            configured: is_setup(access),
            written: access.write.then(|| (access.place().cloned(), access.value)),
        }
    }
}

struct Scenario {
    name: Arc<str>,
    /// `None` until it ended.
    passed: Option<bool>,
    summary: Arc<str>,
}

impl<W: Write> TextPrinter<W> {
    /// Prints to `out`, in lines of `width` columns: an access takes two lines, or one from 140 on.
    pub fn new(out: W, clock: Clock, width: usize, color: bool) -> Self {
        Self {
            out,
            width: width.max(40),
            paint: Paint { color },
            clock,
            totals: Totals::default(),
            maps: Maps::default(),
            setup: Setup::default(),
            fold: Fold::default(),
            effects: Effects::default(),
            scenarios: Vec::new(),
            selective: false,
            brief: false,
            names_file: true,
            under: None,
            selected: 0,
            started: false,
            in_scenario: false,
            inferred: false,
            last_access: None,
            last_printed: None,
            lines: Lines::default(),
        }
    }

    /// For a selection of events: whatever is printed is asked for, configuration accesses too, and what
    /// only the whole tells is left out.
    #[must_use]
    pub fn selective(self) -> Self {
        Self { selective: true, ..self }
    }

    /// For somebody who wants to know what it came to: what is wrong, and the end.
    #[must_use]
    pub(crate) fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    /// For a trace whose file nobody keeps.
    #[must_use]
    pub fn without_file(self) -> Self {
        Self { names_file: false, ..self }
    }

    /// For some records alone: neither machine nor devices before, and no end.
    #[must_use]
    pub(crate) fn excerpt(self) -> Self {
        Self { started: true, ..self.selective() }
    }

    /// Prints the machine and its devices, if they aren't there yet.
    pub(crate) fn begin(&mut self, definitions: &Definitions) -> io::Result<()> {
        self.start(definitions)?;
        self.out.flush()
    }

    /// Where it prints to.
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Prints what is kept of an excerpt.
    pub(crate) fn end_excerpt(&mut self, definitions: &Definitions) -> io::Result<()> {
        self.settle(definitions)?;
        self.out.flush()
    }

    fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.out.write_all(text.as_ref().trim_end().as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Prints the machine and its devices, once.
    fn start(&mut self, definitions: &Definitions) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        if let Some(Machine { guest, vcpus, memory }) = definitions.machine() {
            let plural = if *vcpus == 1 { "" } else { "s" };
            let memory = units::size(*memory);
            let clock = self.clock.name();
            self.line(self.paint.paint(
                HEADING,
                format!("{guest} · {vcpus} vCPU{plural} · {memory} · {clock} device clock"),
            ))?;
        }
        for (id, function) in definitions.functions() {
            for line in self.setup.device_lines(id, function, self.width) {
                self.line(line)?;
            }
        }
        Ok(())
    }

    /// Prints everything that waits, so that something else may follow. Configuration accesses within a
    /// scenario wait on: one line about them is enough, unless something came of them.
    fn settle(&mut self, definitions: &Definitions) -> io::Result<()> {
        self.start(definitions)?;
        let folded = self.fold.end();
        self.print_folded(folded)?;
        self.print_effects()?;
        if self.in_scenario { Ok(()) } else { self.print_setup() }
    }

    /// Prints the line about configuration accesses since the last one.
    fn print_setup(&mut self) -> io::Result<()> {
        let Some(line) = self.setup.take_line() else { return Ok(()) };
        self.last_printed = None;
        self.fold.forget();
        self.line(line)
    }

    fn print_folded(&mut self, folded: Vec<Folded>) -> io::Result<()> {
        for item in folded {
            self.print_effects()?;
            match item {
                Folded::Access(view) => self.print_access(&view)?,
                Folded::Repeat { times, period, last } => {
                    let what = match period {
                        1 => "like it".to_owned(),
                        lines => format!("of these {lines}"),
                    };
                    let text = format!("      x {} more {what}, to {last}", words::number(times));
                    self.line(self.paint.paint(ASIDE, text))?;
                    self.last_printed = None;
                }
            }
        }
        Ok(())
    }

    fn print_access(&mut self, view: &View) -> io::Result<()> {
        let Some(access) = view.access() else { return Ok(()) };
        self.inferred |= access.walk().is_some_and(|walk| !walk.announced);
        self.out.write_all(self.lines.of_access(access, self.width, self.paint).as_bytes())?;
        self.last_printed = Some(view.seq);
        if let Some(refusal) = words::refusal(access) {
            self.effects = Effects::new(view.clone(), refusal);
        }
        Ok(())
    }

    /// A line by itself about an event.
    fn print_single(&mut self, definitions: &Definitions, view: &View, text: String) -> io::Result<()> {
        self.settle(definitions)?;
        self.fold.forget();
        self.last_printed = None;
        self.selected += 1;
        for line in wrap(&prefix(view), 9, &[text], self.width) {
            let line = match view.kind {
                EventKind::Warning { .. } => self.paint.paint(WARNING, line),
                EventKind::Console { .. } if view.trouble().is_some() => self.paint.paint(FAIL, line),
                _ => line,
            };
            self.line(line)?;
        }
        Ok(())
    }

    /// The lines of an access that was none.
    fn not_emulated(
        &mut self,
        definitions: &Definitions,
        view: &View,
        operand: MemoryOperand,
    ) -> io::Result<()> {
        self.settle(definitions)?;
        self.fold.forget();
        self.last_printed = None;
        self.selected += 1;
        self.inferred |= view.walk().is_some_and(|walk| !walk.announced);
        let why = self.paint.paint(WARNING, words::not_emulated(view));
        let lines = self.lines.of_not_emulated(view, operand, &why, self.width, self.paint);
        self.out.write_all(lines.as_bytes())
    }

    fn access(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        let Some(access) = view.access() else { return Ok(()) };
        self.last_access = Some(LastAccess::new(access));
        self.selected += 1;
        if !self.selective && is_setup(access) {
            self.setup.count(access);
            return Ok(());
        }
        self.start(definitions)?;
        if self.setup.is_pending() && !self.in_scenario {
            self.settle(definitions)?;
        }
        let (folded, shown) = self.fold.push(view);
        self.print_folded(folded)?;
        if !shown {
            return Ok(());
        }
        self.print_effects()?;
        self.print_access(view)
    }

    /// In a selection, the scenario that what follows is part of.
    fn print_heading(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        if self.under == view.scenario {
            return Ok(());
        }
        self.under.clone_from(&view.scenario);
        self.settle(definitions)?;
        self.fold.forget();
        self.line("")?;
        match &view.scenario {
            Some(name) => self.line(self.paint.paint(HEADING, format!("scenario {name}"))),
            None => Ok(()),
        }
    }

    /// Notes how a scenario ended; its summary.
    fn note_end(&mut self, passed: bool, view: &View) -> Arc<str> {
        let summary = view.text.clone().unwrap_or_default();
        // A program may begin one within its own.
        if let Some(scenario) = self.scenarios.iter_mut().rfind(|scenario| scenario.passed.is_none()) {
            scenario.passed = Some(passed);
            scenario.summary = Arc::clone(&summary);
        }
        summary
    }

    /// Takes an event of a run of which only the end is told.
    fn in_brief(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        match view.kind {
            EventKind::Access(_) => match view.access() {
                // By then BARs are where they are.
                Some(access) if !is_setup(access) => self.start(definitions),
                _ => Ok(()),
            },
            EventKind::ScenarioBegin { .. } => {
                let name = view.text.clone().unwrap_or_default();
                self.scenarios.push(Scenario { name, passed: None, summary: Arc::default() });
                Ok(())
            }
            EventKind::ScenarioEnd { passed, .. } => {
                self.note_end(passed, view);
                Ok(())
            }
            EventKind::Route { .. } => {
                self.reroute(view);
                Ok(())
            }
            EventKind::Warning { .. } => self.print_single(definitions, view, words::summary(view)),
            EventKind::Console { .. } if view.trouble().is_some() => {
                self.print_single(definitions, view, words::summary(view))
            }
            _ => Ok(()),
        }
    }

    fn reroute(&mut self, view: &View) {
        if let (EventKind::Route { change, .. }, Some(route)) = (view.kind, view.route()) {
            self.setup.reroute(route, change == RouteChange::Added);
        }
    }

    fn scenario_begin(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        let name = view.text.clone().unwrap_or_default();
        self.settle(definitions)?;
        self.fold.forget();
        let heading = self.paint.paint(HEADING, format!("scenario {name}"));
        self.scenarios.push(Scenario { name, passed: None, summary: Arc::default() });
        self.in_scenario = true;
        self.line("")?;
        self.line(heading)
    }

    fn scenario_end(&mut self, definitions: &Definitions, passed: bool, view: &View) -> io::Result<()> {
        let summary = self.note_end(passed, view);
        self.in_scenario = false;
        self.selected += 1;
        self.settle(definitions)?;
        self.fold.forget();
        let lines = wrap("    ", 4, &[summary.to_string()], self.width - 6);
        let (last, before) =
            lines.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        for line in before {
            let line = if passed { line.clone() } else { self.paint.paint(FAIL, line) };
            self.line(line)?;
        }
        let space = " ".repeat((self.width - 4).saturating_sub(columns(last)));
        let line = if passed {
            format!("{last}{space}{}", self.paint.paint(PASS, "PASS"))
        } else {
            format!("{}{space}{}", self.paint.paint(FAIL, last), self.paint.paint(FAIL, "FAIL"))
        };
        self.line(line)
    }
}

impl<W: Write> Printer for TextPrinter<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.totals.add(view);
        if self.brief {
            return self.in_brief(definitions, view);
        }
        self.maps.add(view);
        if self.selective {
            self.print_heading(definitions, view)?;
        }
        match view.kind {
            EventKind::Access(_) => self.access(definitions, view),
            EventKind::ScenarioBegin { .. } if self.selective => Ok(()),
            EventKind::ScenarioBegin { .. } => self.scenario_begin(definitions, view),
            EventKind::ScenarioEnd { passed, .. } => self.scenario_end(definitions, passed, view),
            EventKind::Map { .. } | EventKind::Unmap { .. }
                if view.mapping().is_some() && (view.scenario.is_some() || self.selective) =>
            {
                let text = words::mapping(view);
                self.print_single(definitions, view, text)
            }
            // There are as many as programs make; maps and totals tell of them.
            EventKind::Count { what: Counted::KernelEntries, process: 1.., .. } if !self.selective => Ok(()),
            EventKind::Mark { .. }
            | EventKind::PageWalk { .. }
            | EventKind::Spin { .. }
            | EventKind::Count { .. }
            | EventKind::Warning { .. } => self.print_single(definitions, view, words::summary(view)),
            // Of what a guest says, only that something is wrong, unless it is asked for.
            EventKind::Console { .. } if !self.selective && view.trouble().is_none() => Ok(()),
            EventKind::Console { .. } => self.print_single(definitions, view, words::summary(view)),
            EventKind::NotEmulated { operand, .. } => self.not_emulated(definitions, view, operand),
            _ if view.is_effect() => self.effect(definitions, view),
            // What follows from others is told where it shows: in the accesses of handlers and in times.
            _ if self.selective => self.print_single(definitions, view, words::summary(view)),
            _ => Ok(()),
        }
    }

    fn pass(&mut self, view: &View) {
        self.totals.add(view);
        self.reroute(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.in_scenario = false;
        self.settle(info.definitions)?;
        if self.brief {
            self.print_verdicts()?;
        } else if !self.selective {
            self.print_mappings()?;
            self.print_scenarios()?;
        }
        self.print_end(info)?;
        self.out.flush()
    }
}

/// Sequence number and device time.
fn prefix(view: &View) -> String {
    let mut text = String::new();
    push_prefix(&mut text, view);
    text
}

/// The same, appended.
fn push_prefix(text: &mut String, view: &View) {
    let start = text.len();
    decimal(text, view.seq);
    pad_before(text, start, 6);
    text.push(' ');
    let start = text.len();
    words::push_time(text, view.device_ns);
    pad_before(text, start, 9);
    text.push_str("  ");
}

#[cfg(test)]
mod tests;
