//! What came of a run, for programs that look after many: scenarios and programs, the guest's end, what its kernel reported,
//! expectations and lints, each as a case with its time and, if it failed, its file and line. Written as a JUnit report, or as
//! annotations of GitHub.

mod annotate;
mod junit;
mod played;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use barscope_trace::{Definitions, End};

pub use annotate::{Annotation, Severity};
pub use played::{Played, Scenario};

use crate::reports::{Report, Reports};
use crate::symbols::{SourceLine, Symbols};
use crate::words;

/// All cases.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// They, in groups.
    pub groups: Vec<Group>,
}

/// Cases of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they are: the name of an expectation file, `programs`, `scenarios`, `guest`.
    pub name: String,
    /// How long all of it took.
    pub time: Duration,
    /// They.
    pub cases: Vec<Case>,
}

/// Something that passes or fails.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// How long it took. Zero for an expectation: all of them are held against a trace at once.
    pub time: Duration,
    /// How it went.
    pub status: Status,
    /// Where it was written, or what it is about.
    pub place: Option<Place>,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Passed,
    /// It failed: in one line, and in full.
    Failed(String, String),
    /// It wasn't tried, for this reason.
    Skipped(String),
    /// Nobody can tell.
    Inconclusive(String, String),
}

/// A file, and a line of it if one is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user gave it or as the compiler did.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: Option<u32>,
}

impl From<SourceLine> for Place {
    fn from(source: SourceLine) -> Self {
        Self { file: source.path.into(), line: Some(source.line) }
    }
}

/// How a guest ended.
#[derive(Clone, Debug, Default)]
pub struct GuestEnd {
    /// Why it ended badly, if it did: the first line says it.
    pub error: Option<String>,
    /// How long it ran.
    pub time: Duration,
    /// Warnings of its kernel are no failure.
    pub allows_warnings: bool,
}

impl GuestEnd {
    /// As a trace tells it, that ended so and took this time.
    pub fn of_trace(end: Option<&End>, time: Duration) -> Self {
        Self { error: words::early_end(end), time, allows_warnings: false }
    }
}

impl Results {
    /// Adds the scenarios that were played, and the programs that were to be run: by their names and the paths that the
    /// user gave. What programs began themselves is a scenario.
    pub fn add_played(&mut self, played: &Played, programs: &[(String, PathBuf)]) {
        let mut scenarios: Vec<_> = played.list().iter().collect();
        let mut run = Vec::new();
        for (name, file) in programs {
            let place = Some(Place { file: file.clone(), line: None });
            let begun = scenarios.iter().position(|scenario| *scenario.name == **name);
            run.push(match begun {
                Some(at) => scenarios.remove(at).case(place),
                None => Case {
                    name: name.clone(),
                    time: Duration::ZERO,
                    status: Status::Failed("did not run".to_owned(), "did not run".to_owned()),
                    place,
                },
            });
        }
        self.add_group("programs", run);
        self.add_group("scenarios", scenarios.into_iter().map(|scenario| scenario.case(None)).collect());
    }

    fn add_group(&mut self, name: &str, cases: Vec<Case>) {
        if !cases.is_empty() {
            let time = cases.iter().map(|case| case.time).sum();
            self.groups.push(Group { name: name.to_owned(), time, cases });
        }
    }

    /// Adds how the guest ended, and a case for each report of its kernel.
    pub fn add_guest(&mut self, end: &GuestEnd, reports: &Reports, definitions: &Definitions) {
        let mut symbols = Symbols::default();
        let status = match &end.error {
            Some(error) => Status::Failed(error.lines().next().unwrap_or_default().to_owned(), error.clone()),
            None => Status::Passed,
        };
        let ended = Case { name: "the guest ends well".to_owned(), time: end.time, status, place: None };
        let failing = reports.list().iter().filter(|report| report.fails(end.allows_warnings));
        let reported = failing.map(|report| reported(report, definitions, &mut symbols));
        let cases = std::iter::once(ended).chain(reported).collect();
        self.groups.push(Group { name: "guest".to_owned(), time: end.time, cases });
    }

    /// The same with files below this folder told relative to it, as repositories have them.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        for case in self.groups.iter_mut().flat_map(|suite| &mut suite.cases) {
            if let Some(place) = &mut case.place
                && let Ok(below) = place.file.strip_prefix(folder)
            {
                place.file = below.to_owned();
            }
        }
        self
    }
}

fn reported(report: &Report, definitions: &Definitions, symbols: &mut Symbols) -> Case {
    let what = report.describe(definitions, symbols);
    Case {
        name: what.clone(),
        time: Duration::ZERO,
        status: Status::Failed(what, report.lines.join("\n")),
        place: report.source(definitions, symbols).map(Place::from),
    }
}
