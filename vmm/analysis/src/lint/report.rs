//! What came of lints, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use barscope_trace::Capability;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::about::{About, Class};
use super::finding::Finding;
use crate::completeness::Completeness;
use crate::style::{FAIL, Paint, WARNING};
use crate::table::flow;
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
    /// Sites for fault campaigns: what lints of class [`Class::Provable`] list.
    pub sites: Vec<Finding>,
    /// Lints of whose findings or sites not all were kept, each with the number of records that show the others.
    pub more: Vec<(&'static About, u64)>,
    /// Lints that couldn't judge.
    pub blind: Vec<Blind>,
    /// Records that were looked at.
    pub records: u64,
    /// Whether all that happened is in the trace.
    pub completeness: Completeness,
}

impl Blind {
    /// Why it couldn't, and what to do about that.
    pub fn why(&self) -> String {
        format!("the trace doesn't tell {}; {}", self.needs.about(), self.needs.how_to_get())
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
    provable: usize,
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
        self.open().chain(&self.sites).filter(|finding| finding.lint.class == class).count()
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

    /// Prints a line of JSON for each finding and each site, and one at the end, which names the trace.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_json(&self, trace: &str, out: &mut impl Write) -> io::Result<()> {
        for row in self.findings.iter().chain(&self.sites) {
            serde_json::to_writer(&mut *out, row)?;
            writeln!(out)?;
        }
        let end = End {
            event: "lint",
            trace,
            certain: self.count(Class::Certain),
            likely: self.count(Class::Likely),
            provable: self.count(Class::Provable),
            more: self.more.iter().map(|(_, count)| count).sum(),
            not_judged: &self.blind,
            allowed: self.allowed(),
            records: self.records,
            completeness: &self.completeness,
        };
        serde_json::to_writer(&mut *out, &end)?;
        writeln!(out)
    }

    /// Prints findings for people in so many columns, and sites if they are wanted; otherwise how many there are.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_text(
        &self,
        sites: bool,
        (width, color): (usize, bool),
        out: &mut impl Write,
    ) -> io::Result<()> {
        let listed = if sites { &self.sites[..] } else { &[] };
        for finding in self.open().chain(listed) {
            out.write_all(finding.text(width, color).as_bytes())?;
            writeln!(out)?;
        }
        writeln!(out, "{}", self.total())?;
        if let Some(line) = self.total_sites(sites) {
            writeln!(out, "{line}")?;
        }
        for note in self.completeness.notes() {
            writeln!(out, "{note}")?;
        }
        let mut missing = BTreeMap::new();
        for blind in self.blind.iter().filter(|blind| sites || blind.lint.class != Class::Provable) {
            missing.entry(blind.needs.name()).or_insert((blind.why(), Vec::new())).1.push(blind.lint.name);
        }
        for (why, lints) in missing.into_values() {
            let verb = if lints.len() == 1 { "wasn't" } else { "weren't" };
            let mut line = String::new();
            flow(&mut line, 0, 2, &format!("{} {verb} judged: {why}", lints.join(", ")), width);
            out.write_all(line.as_bytes())?;
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
        line + &self.not_shown(false)
    }

    fn allowed(&self) -> usize {
        self.findings.len() - self.open().count()
    }

    /// Sites in one line, if there are any.
    fn total_sites(&self, listed: bool) -> Option<String> {
        let line = match self.sites.len() {
            0 => return None,
            all => words::counted(all as u64, "site for fault campaigns", "sites for fault campaigns"),
        };
        Some(line + if listed { "" } else { " (--sites lists them)" } + &self.not_shown(true))
    }

    /// Records of findings, or of sites, for which there was no room.
    fn not_shown(&self, sites: bool) -> String {
        let of_kind = self.more.iter().filter(|(lint, _)| (lint.class == Class::Provable) == sites);
        match of_kind.map(|(_, count)| count).sum() {
            0 => String::new(),
            more => format!("; {} not shown", words::counted(more, "record", "records")),
        }
    }
}

impl Finding {
    /// Some lines for people, in so many columns.
    pub(super) fn text(&self, width: usize, color: bool) -> String {
        let About { name, class, advice, .. } = self.lint;
        let mut head = format!("{}: {} of {}", class.name(), self.register, self.device);
        if let Some(code) = &self.code {
            head.push_str(", by ");
            head.push_str(code);
        }
        if let Some(scenario) = &self.scenario {
            head.push_str(", in ");
            head.push_str(scenario);
        }
        let mut records: Vec<_> = self.records.iter().map(ToString::to_string).collect();
        if self.count > self.records.len() as u64 {
            records.push("..".to_owned());
        }
        let style = if class.is_proved() { FAIL } else { WARNING };
        let mut out = Paint { color }.paint(style, name) + ", ";
        let times = words::counted(self.count, "record", "records");
        flow(&mut out, name.len() + 2, 4, &head, width);
        for line in
            [self.sentence.clone(), format!("{times}: {}", records.join(" ")), format!("To do: {advice}")]
        {
            out.push_str("  ");
            flow(&mut out, 2, 4, &line, width);
        }
        out
    }
}
