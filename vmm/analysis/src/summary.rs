//! A run on one screen: the answer to what people ask, drawn from the run itself, how its scenarios ended, and what to type to
//! see more.

mod pair;

use std::io::{self, Write};
use std::sync::Arc;

use barscope_trace::event::{Counted, EventKind};
use barscope_trace::{Clock, Definitions, TraceInfo};

use self::pair::Pairs;
use crate::explain;
use crate::print::{Printer, TextPrinter, Totals};
use crate::style::{ASIDE, HEADING, Paint};
use crate::table::wrap;
use crate::view::View;
use crate::words;

/// Beyond so many accesses none is explained, which takes reading the trace once more.
const EXPLAINED: u64 = 1 << 20;

/// Prints a run on one screen, once it is over.
pub struct Summary<W> {
    /// Prints what is wrong, and what isn't about the question.
    text: TextPrinter<W>,
    paint: Paint,
    width: usize,
    totals: Totals,
    pairs: Pairs,
    counts: Counts,
}

/// What the guest counted in a scenario while a program made accesses.
#[derive(Default)]
struct Counts {
    scenario: Option<Arc<str>>,
    accesses: u64,
    entries: Option<u64>,
    faults: u64,
    /// The most accesses without an entry into the kernel, and where that was.
    free: Option<(u64, Arc<str>)>,
    /// The most accesses on a page that was mapped when it was touched.
    faulted: Option<(u64, u64, Arc<str>)>,
}

impl Counts {
    fn take(&mut self, view: &View) {
        match view.kind {
            EventKind::ScenarioBegin { .. } => {
                (self.scenario, self.accesses, self.entries, self.faults) = (view.text.clone(), 0, None, 0);
            }
            EventKind::ScenarioEnd { passed: true, .. } => self.settle(),
            EventKind::Access(access) if access.cpl == 3 => self.accesses += 1,
            EventKind::Count { what: Counted::KernelEntries, value, .. } => {
                self.entries = Some(self.entries.unwrap_or(0).saturating_add(value));
            }
            EventKind::Count { what: Counted::FaultResolved, value, .. } => {
                self.faults = self.faults.saturating_add(value);
            }
            _ => {}
        }
    }

    fn settle(&mut self) {
        let Some(scenario) = self.scenario.take() else { return };
        if self.entries == Some(0) && self.free.as_ref().is_none_or(|(most, _)| self.accesses > *most) {
            self.free = Some((self.accesses, Arc::clone(&scenario)));
        }
        if self.faults > 0 && self.faulted.as_ref().is_none_or(|(_, most, _)| self.accesses > *most) {
            self.faulted = Some((self.faults, self.accesses, scenario));
        }
    }

    fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some((faults, accesses, scenario)) = &self.faulted {
            let faults = words::counted(*faults, "page fault", "page faults");
            let accesses = words::counted(*accesses, "access", "accesses");
            sentences.push(format!(
                "Who touches a page that isn't mapped yet faults: {faults} for {accesses} in {scenario}."
            ));
        }
        if let Some((accesses, scenario)) = &self.free {
            let accesses = words::counted(*accesses, "access", "accesses");
            sentences.push(format!(
                "After mmap an access is a plain load or store: {accesses}, 0 entries into the kernel in {scenario}."
            ));
        }
        sentences
    }
}

impl<W: Write> Summary<W> {
    /// Prints to `out`, in lines of `width` columns.
    pub fn new(out: W, clock: Clock, width: usize, color: bool) -> Self {
        let text = TextPrinter::new(out, clock, width, color).brief();
        let (paint, totals) = (Paint { color }, Totals::default());
        Self { text, paint, width, totals, pairs: Pairs::default(), counts: Counts::default() }
    }

    fn answer(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        let pair = self.pairs.best().filter(|_| self.totals.accesses <= EXPLAINED);
        let compared = pair.and_then(|(left, right)| explain::compare(info.path, left, right).ok());
        if let Some(compared) = &compared {
            let out = self.text.out();
            let heading = "One register, through the kernel's mapping and through a process's";
            writeln!(out, "\n{}", self.paint.paint(HEADING, heading))?;
            compared.print_essence(out, self.width, self.paint.color)?;
            writeln!(out)?;
            // A BAR may have moved between the two.
            let address = |one: &explain::Explanation| one.record.access().map(|access| access.address());
            let is_same = address(&compared.left) == address(&compared.right);
            let both = "Both lead to the same bus address; neither was made of the other.".to_owned();
            let sentences = is_same.then_some(both).into_iter().chain(self.counts.sentences());
            for sentence in sentences {
                for line in wrap("", 2, &[sentence], self.width) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        let trace = info.path.display();
        let mut commands = Vec::new();
        if let Some((left, right)) = self.pairs.best() {
            commands
                .push((format!("barscope explain {trace} --compare {left} {right}"), "the whole of both"));
        }
        commands.push((format!("barscope show {trace}"), "each access (run -v)"));
        commands.push((format!("barscope maps {trace}"), "who mapped what, and when"));
        commands.push(("barscope legend".to_owned(), "what UC-, PCD or ? mean"));
        let widest = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
        let out = self.text.out();
        let mut head = "next:";
        for (command, what) in commands {
            let what = self.paint.paint(ASIDE, what);
            writeln!(out, "{head:6} {command:widest$}  {what}")?;
            head = "";
        }
        out.flush()
    }
}

impl<W: Write> Printer for Summary<W> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.totals.add(view);
        self.pairs.take(view);
        self.counts.take(view);
        self.text.print(definitions, view)
    }

    fn pass(&mut self, view: &View) {
        self.text.pass(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.text.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.text.begin(info.definitions)?;
        self.answer(info)?;
        self.text.finish(info)?;
        self.next(info)
    }
}
