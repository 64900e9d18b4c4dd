//! What comes last: mappings, scenarios, totals.

use std::io::{self, Write};

use barscope_trace::{End, TraceInfo};

use super::{Scenario, TextPrinter};
use crate::print::Totals;
use crate::style::{ASIDE, FAIL, HEADING, PASS, WARNING};
use crate::table::{columns, cut_end, left, wrap};
use crate::words;

/// Columns of a verdict, and those after it.
const VERDICT: usize = 6;
/// So many scenarios have a line each in any case.
const FEW: usize = 12;

impl<W: Write> TextPrinter<W> {
    /// The picture of the mappings.
    pub(super) fn print_mappings(&mut self) -> io::Result<()> {
        let lines = self.maps.picture(self.width);
        if !lines.is_empty() {
            self.line("")?;
            self.line(self.paint.paint(HEADING, "mappings"))?;
        }
        for line in lines {
            self.line(line)?;
        }
        if self.inferred {
            self.line("  ? inferred from the page walk: the guest announced no such mapping")?;
        }
        Ok(())
    }

    /// A line for each scenario, the failed ones last, where they are seen.
    pub(super) fn print_scenarios(&mut self) -> io::Result<()> {
        if self.scenarios.is_empty() {
            return Ok(());
        }
        self.line("")?;
        self.line(self.paint.paint(HEADING, "scenarios"))?;
        let mut scenarios = std::mem::take(&mut self.scenarios);
        scenarios.sort_by_key(|scenario| scenario.passed != Some(true));
        let widest = scenarios.iter().map(|scenario| columns(&scenario.name)).max().unwrap_or(0);
        // One name may be longer than a line.
        let widest = widest.min(self.width);
        for Scenario { name, passed, summary } in scenarios {
            let (style, verdict) = match passed {
                Some(true) => (PASS, "PASS"),
                Some(false) => (FAIL, "FAIL"),
                None => (FAIL, "----"),
            };
            let summary = if passed.is_none() { "did not end" } else { &*summary };
            let head = format!("  {}  {}  ", self.paint.paint(style, verdict), left(&name, widest));
            let room = self.width.saturating_sub(widest + 10);
            self.line(head + &cut_end(summary, room))?;
        }
        Ok(())
    }

    /// The names of scenarios that passed, and a line for each of the others; of a few, a line for each.
    pub(super) fn print_verdicts(&mut self) -> io::Result<()> {
        if self.scenarios.len() <= FEW {
            return self.print_scenarios();
        }
        let (passed, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.scenarios)
            .into_iter()
            .partition(|scenario| scenario.passed == Some(true));
        if !passed.is_empty() {
            self.line("")?;
        }
        let names: Vec<_> = passed.iter().map(|scenario| scenario.name.to_string()).collect();
        for (row, line) in wrap("", 0, &names, self.width.saturating_sub(VERDICT)).iter().enumerate() {
            let verdict = if row == 0 { self.paint.paint(PASS, "PASS") } else { "    ".to_owned() };
            self.line(format!("{verdict}  {line}"))?;
        }
        self.scenarios = others;
        self.print_scenarios()
    }

    /// How it ended, and totals.
    pub(super) fn print_end(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        let Totals { scenarios, passed, accesses, host_ns, .. } = self.totals;
        self.line("")?;
        for damage in info.damage {
            self.line(self.paint.paint(FAIL, format!("damaged trace: {damage}")))?;
        }
        if let Some(text) = words::skipped(info.unknown_kinds) {
            self.line(self.paint.paint(WARNING, text))?;
        }
        if let Some(text) = words::early_end(info.end) {
            let style = if let Some(End::Failed(_)) = info.end { FAIL } else { WARNING };
            self.line(self.paint.paint(style, text))?;
        }
        let mut parts = Vec::new();
        if self.selective {
            parts.push(format!("{} shown", words::counted(self.selected, "record", "records")));
        } else if scenarios > 0 {
            let all = words::counted(scenarios, "scenario", "scenarios");
            let style = if passed == scenarios { PASS } else { FAIL };
            parts.push(format!("{all}, {}", self.paint.paint(style, format!("{passed} passed"))));
        }
        let lost = format!("{} lost", words::number(info.lost));
        let lost = if info.lost == 0 { lost } else { self.paint.paint(FAIL, lost) };
        parts.push(format!("{} traced, {lost}", words::counted(accesses, "access", "accesses")));
        let hundredths = host_ns / 10_000_000;
        parts.push(format!("{}.{:02} s", hundredths / 100, hundredths % 100));
        self.line(parts.join(" · "))?;
        if !self.names_file {
            return Ok(());
        }
        self.line(format!("trace: {}", info.path.display()))?;
        match self.setup.unfold(info.path).filter(|_| !self.brief) {
            Some(line) => self.line(self.paint.paint(ASIDE, line)),
            None => Ok(()),
        }
    }
}
