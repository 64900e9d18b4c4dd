//! Findings that are meant: the `allow` lines of expectation files, each with its reason.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::about::About;
use super::finding::{Allowed, Finding};
use super::report::Report;
use crate::assert::Location;
use crate::filter::{Spot, Target};

/// A line that allows what a lint finds at a place.
#[derive(Clone, Debug)]
pub struct Allow {
    /// The lint.
    pub lint: &'static About,
    /// Where it may find something.
    pub(crate) place: Target,
    /// In this scenario only.
    pub scenario: Option<String>,
    /// Why that is right.
    pub reason: String,
    /// Where it was written.
    pub location: Location,
}

impl Allow {
    /// The place: `BAR0.COUNTER`.
    fn place(&self) -> String {
        self.place.to_string()
    }

    /// That no trace needs it, for people.
    pub fn unused(&self) -> String {
        format!("unused allow {self} at {}:{}", self.location.file, self.location.line)
    }

    fn covers(&self, finding: &Finding) -> bool {
        let Target { device, region, spot } = &self.place;
        let is_there = match spot {
            Spot::Anywhere => true,
            Spot::Register { name, .. } => {
                let found = finding.register.split_once('.').map(|(_, register)| register);
                found.is_some_and(|register| register.eq_ignore_ascii_case(name))
            }
            Spot::Offset(offset) => finding.spot.offset == *offset,
        };
        let is_of = |name: &String| finding.device.split_once(' ').is_some_and(|(_, device)| device == name);
        self.lint.name == finding.lint.name
            && finding.spot.region == *region
            && is_there
            && device.as_ref().is_none_or(is_of)
            && self.scenario.as_ref().is_none_or(|name| finding.scenario.as_deref() == Some(name.as_str()))
    }
}

/// That no trace needs it.
impl Serialize for Allow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Allow", 7)?;
        object.serialize_field("event", "unused-allow")?;
        object.serialize_field("lint", self.lint.name)?;
        object.serialize_field("register", &self.place())?;
        object.serialize_field("scenario", &self.scenario)?;
        object.serialize_field("reason", &self.reason)?;
        object.serialize_field("file", &*self.location.file)?;
        object.serialize_field("line", &self.location.line)?;
        object.end()
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.lint.name, self.place)?;
        match &self.scenario {
            Some(scenario) => write!(f, " in scenario {scenario}"),
            None => Ok(()),
        }
    }
}

/// All that is allowed, and what of it the traces so far needed.
#[derive(Clone, Debug, Default)]
pub struct Allows {
    lines: Vec<Line>,
    /// A trace wasn't whole: what a line is for may be in the part that is missing.
    in_doubt: bool,
}

#[derive(Clone, Debug)]
struct Line {
    allow: Allow,
    used: bool,
    /// Its lint judged a trace.
    judged: bool,
}

impl From<Vec<Allow>> for Allows {
    fn from(allows: Vec<Allow>) -> Self {
        let lines = allows.into_iter().map(|allow| Line { allow, used: false, judged: false }).collect();
        Self { lines, in_doubt: false }
    }
}

impl Allows {
    /// Marks the findings of a trace that are allowed.
    pub fn mark(&mut self, report: &mut Report) {
        self.in_doubt |= !report.completeness.is_whole();
        for Line { allow, used, judged } in &mut self.lines {
            *judged |= report.blind.iter().all(|blind| blind.lint.name != allow.lint.name);
            for finding in report.findings.iter_mut().filter(|finding| allow.covers(finding)) {
                *used = true;
                let Allow { reason, location, .. } = &*allow;
                finding
                    .allowed
                    .get_or_insert_with(|| Allowed { reason: reason.clone(), location: location.clone() });
            }
        }
    }

    /// Lines that no trace needed, although their lints judged and nothing was missing: they are stale, or wrong.
    pub fn unused(&self) -> impl Iterator<Item = &Allow> {
        let stale = |line: &&Line| line.judged && !line.used && !self.in_doubt;
        self.lines.iter().filter(stale).map(|line| &line.allow)
    }
}
