//! Golden traces: what a run is to do to its devices, as short text that people review.
//!
//! A golden holds the keys of a trace's records, by scenario and by who made them. [`bless`] writes it, [`Golden`] reads
//! it and holds it against other traces.

mod read;
mod write;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use barscope_trace::Capability;
use serde_json::json;

use crate::diff::align::{Aligner, WINDOW};
use crate::diff::lines::{Line, LineItems};
use crate::diff::{DiffError, Difference, Ignore, Names, Source, Survey, Terms, Verdict, open};
use crate::results::{Case, Group, Place, Status};
use crate::style::{FAIL, PASS, Paint, WARNING};
use crate::words;

pub use self::write::{BlessError, Blessed, bless};

/// The version of the format.
const VERSION: u64 = 1;
/// The first word of what is outside of all scenarios.
const OUTSIDE: &str = "outside scenarios";
/// Who made a record, where actors aren't compared.
const ANYONE: &str = "anyone";

/// A golden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// What of a trace is held against it.
    pub terms: Terms,
    lines: Vec<Line>,
}

/// What a trace comes to, held against a golden.
pub struct Checked {
    difference: Difference,
}

impl Golden {
    /// Holds it against a trace. `path` is its own.
    ///
    /// # Errors
    /// The trace can't be read, or lacks what the golden names in `only` and `ignore`.
    pub fn check(&self, path: &Path, trace: &Path) -> Result<Checked, DiffError> {
        let survey = Survey::of(trace)?;
        let mut doubts: Vec<_> = survey.doubt().into_iter().collect();
        let mut sure_until = survey.sure_until;
        let has = |mark: &str| self.lines.iter().any(|line| line.text.contains(mark));
        let by_process = self.lines.iter().any(|line| line.actor.starts_with("process "));
        for (is_used, capability) in [
            (has(" in ") && !self.terms.ignores(&Ignore::Code), Capability::Functions),
            (has(" by user") && !self.terms.ignores(&Ignore::Ring), Capability::Privilege),
            (has(" via ") && !self.terms.ignores(&Ignore::Path), Capability::Paths),
            (by_process, Capability::Processes),
        ] {
            if is_used && !survey.tells(capability) {
                doubts.push(format!("the trace doesn't tell {}", capability.about()));
                sure_until = 0;
            }
        }
        if !survey.is_repeatable() && !self.terms.ignores(&Ignore::Time) {
            doubts.push(
                "the golden is of a run with the virtual clock and one vCPU, which this isn't: bless it anew"
                    .to_owned(),
            );
            sure_until = 0;
        }
        let items = open(trace, &survey, &self.terms)?;
        let golden = LineItems::new(self.lines.clone(), self.terms.ignores(&Ignore::Time));
        let mut difference = Difference {
            paths: [path.to_owned(), trace.to_owned()],
            names: Names::default(),
            aligner: Aligner::new(WINDOW),
            terms: self.terms.clone(),
            notes: Vec::new(),
            doubts,
            sure_until: [u64::MAX, sure_until],
            items: [0, 0],
            records: self.lines.len() as u64,
        };
        difference.run([Source::Golden(golden), Source::Trace(Box::new(items))])?;
        Ok(Checked { difference })
    }
}

impl Checked {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        self.difference.verdict()
    }

    /// The golden.
    pub fn path(&self) -> &Path {
        &self.difference.paths[0]
    }

    /// Prints it for people: what differs as a unified diff, and how to take it over.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn print_text(&self, out: &mut dyn Write, color: bool) -> io::Result<()> {
        let paint = Paint { color };
        let (style, word) = match self.verdict() {
            Verdict::Equal => (PASS, "PASS"),
            Verdict::Different => (FAIL, "FAIL"),
            Verdict::Inconclusive => (WARNING, "INCONCLUSIVE"),
        };
        let [golden, trace] = self.difference.paths.each_ref().map(|path| path.display());
        writeln!(out, "{}  {golden}", paint.paint(style, word))?;
        if self.verdict() == Verdict::Equal {
            return Ok(());
        }
        for doubt in &self.difference.doubts {
            writeln!(out, "  the trace can't tell: {doubt}")?;
        }
        if self.difference.aligner.count == 0 {
            return Ok(());
        }
        writeln!(out, "--- {golden}\n+++ {trace}")?;
        self.difference.print_hunks(out, paint)?;
        if self.verdict() == Verdict::Different {
            writeln!(out, "if that is meant: barscope bless {trace} -o {golden}")?;
        }
        Ok(())
    }

    /// Prints it as JSON: an object for each difference, one for all.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn print_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.difference.print_json_differences(out)?;
        let object = json!({
            "event": "golden",
            "file": self.path().to_string_lossy(),
            "verdict": self.verdict().name(),
            "differences": self.difference.aligner.count,
            "doubts": self.difference.doubts,
        });
        writeln!(out, "{object}")
    }

    /// The same as results.
    pub fn group(&self) -> Group {
        let full = || {
            let mut text = Vec::new();
            self.print_text(&mut text, false).ok();
            String::from_utf8_lossy(&text).into_owned()
        };
        let count = words::counted(self.difference.aligner.count, "difference", "differences");
        let first = self.difference.aligner.first.as_ref();
        let line = first.and_then(|hunk| match (hunk.items[0].first(), hunk.before.last()) {
            (Some(item), _) => Some(item.seq),
            (None, pair) => pair.map(|pair| pair.seqs[0]),
        });
        let name = self.path().display().to_string();
        let case = Case {
            name: name.clone(),
            time: std::time::Duration::ZERO,
            status: match self.verdict() {
                Verdict::Equal => Status::Passed,
                Verdict::Different => Status::Failed(format!("fail: {count}"), full()),
                Verdict::Inconclusive => Status::Inconclusive(format!("inconclusive: {count}"), full()),
            },
            place: Some(Place { file: PathBuf::from(self.path()), line: line.map(|line| line as u32) }),
        };
        Group { name, time: std::time::Duration::ZERO, cases: vec![case] }
    }
}

#[cfg(test)]
mod tests;
