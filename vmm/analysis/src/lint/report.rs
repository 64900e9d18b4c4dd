//! What came of lints, as text and as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use barscope_trace::Capability;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::about::{About, Class};
use super::finding::Finding;
use crate::completeness::Completeness;
use crate::words;

/// A lint that couldn't judge a trace.
#[derive(Clone, Copy, Debug)]
pub struct Blind {
    /// The lint.
    pub lint: &'static About,
    /// What the trace doesn't tell, or not all of it.
    pub needs: Capability,
}

/// What came of lints.
#[derive(Debug)]
pub struct Report {
    /// Findings, certain ones first.
    pub findings: Vec<Finding>,
    /// Lints of whose findings not all were kept, each with the number of records that show the others.
    pub more: Vec<(&'static About, u64)>,
    /// Lints that couldn't judge.
    pub blind: Vec<Blind>,
    /// Records that were looked at.
    pub records: u64,
    /// Whether all that happened is in the trace.
    pub completeness: Completeness,
}

impl Blind {
    /// Why it couldn't.
    pub fn why(&self) -> String {
        format!("the trace doesn't tell {}", self.needs.about())
    }
}

impl Serialize for Blind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Blind", 2)?;
        object.serialize_field("lint", self.lint.name)?;
        object.serialize_field("needs", self.needs.name())?;
        object.end()
    }
}

/// The last line of JSON.
#[derive(Serialize)]
struct End<'a> {
    event: &'static str,
    trace: &'a str,
    certain: usize,
    likely: usize,
    more: u64,
    not_judged: &'a [Blind],
    allowed: usize,
    records: u64,
    #[serde(flatten)]
    completeness: &'a Completeness,
}

impl Report {
    /// Findings that nobody allows.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.allowed.is_none())
    }

    /// How many of them are of this class.
    pub fn count(&self, class: Class) -> usize {
        self.open().filter(|finding| finding.lint.class == class).count()
    }

    /// Whether there is one of this class or of a surer one.
    pub fn has(&self, class: Class) -> bool {
        let more = self.more.iter().map(|(lint, _)| *lint);
        self.open().map(|finding| finding.lint).chain(more).any(|lint| lint.class <= class)
    }

    /// How many certain ones nobody allows, in words; `None` if there are none.
    pub fn certain(&self) -> Option<String> {
        let count = self.count(Class::Certain) as u64;
        (count > 0).then(|| words::counted(count, "certain finding", "certain findings"))
    }

    /// Prints a line of JSON for each finding, and one at the end, which names the trace.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_json(&self, trace: &str, out: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            serde_json::to_writer(&mut *out, finding)?;
            writeln!(out)?;
        }
        let end = End {
            event: "lint",
            trace,
            certain: self.count(Class::Certain),
            likely: self.count(Class::Likely),
            more: self.more_records(),
            not_judged: &self.blind,
            allowed: self.allowed(),
            records: self.records,
            completeness: &self.completeness,
        };
        serde_json::to_writer(&mut *out, &end)?;
        writeln!(out)
    }

    /// Prints findings for people.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        for finding in self.open() {
            out.write_all(finding.text().as_bytes())?;
            writeln!(out)?;
        }
        writeln!(out, "{}", self.total())?;
        for note in self.completeness.notes() {
            writeln!(out, "{note}")?;
        }
        for blind in &self.blind {
            writeln!(out, "{} wasn't judged: {}", blind.lint.name, blind.why())?;
        }
        Ok(())
    }

    /// Findings in one line: `2 findings: 1 certain, 1 likely; 1 allowed`.
    pub fn total(&self) -> String {
        let mut line = self.total_open();
        let allowed = self.allowed() as u64;
        if allowed > 0 {
            // Writing to a string can't fail.
            let _ = write!(line, "; {} allowed", words::number(allowed));
        }
        line
    }

    fn total_open(&self) -> String {
        let mut line = match self.open().count() {
            0 => return "no findings".to_owned(),
            all => words::counted(all as u64, "finding", "findings"),
        };
        let classes = [Class::Certain, Class::Likely].map(|class| (self.count(class), class.name()));
        let classes = classes.iter().filter(|(count, _)| *count > 0);
        let classes: Vec<_> =
            classes.map(|(count, name)| format!("{} {name}", words::number(*count as u64))).collect();
        // Writing to a string can't fail.
        let _ = write!(line, ": {}", classes.join(", "));
        if !self.more.is_empty() {
            let _ = write!(line, "; {} not shown", words::counted(self.more_records(), "record", "records"));
        }
        line
    }

    fn allowed(&self) -> usize {
        self.findings.len() - self.open().count()
    }

    fn more_records(&self) -> u64 {
        self.more.iter().map(|(_, count)| count).sum()
    }
}

impl Finding {
    /// Some lines for people.
    pub(super) fn text(&self) -> String {
        let About { name, class, advice, .. } = self.lint;
        let mut out = format!("{name}, {}: {} of {}", class.name(), self.register, self.device);
        if let Some(code) = &self.code {
            out.push_str(", by ");
            out.push_str(code);
        }
        if let Some(scenario) = &self.scenario {
            out.push_str(", in ");
            out.push_str(scenario);
        }
        let mut records: Vec<_> = self.records.iter().map(ToString::to_string).collect();
        if self.count > self.records.len() as u64 {
            records.push("..".to_owned());
        }
        let times = words::counted(self.count, "record", "records");
        // Writing to a string can't fail.
        let _ = write!(out, "\n  {}\n  {times}: {}\n  To do: {advice}\n", self.sentence, records.join(" "));
        out
    }
}
