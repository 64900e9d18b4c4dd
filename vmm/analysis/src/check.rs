//! Expectation files held against a trace, and what came of them: as text, as JSON, as results.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use barscope_trace::{Capabilities, Definitions, ReadError, Stream};
use serde_json::json;

use crate::assert::{Engine, Finding, Findings, Suite, Verdict};
use crate::expectation::{self, Contents};
use crate::filter::Diagnostic;
use crate::lint::Allow;
use crate::results::{Case, Group, Place, Status};
use crate::view::{View, Viewer};

/// How many clauses that are inconclusive for one reason are shown one by one.
const FEW: usize = 3;

/// Expectation files.
#[derive(Default)]
pub struct Expectations {
    /// Those that have tests.
    files: Vec<Expected>,
    allows: Vec<Allow>,
}

/// A file, and how it fares while the guest runs.
struct Expected {
    path: PathBuf,
    suite: Suite,
    live: Engine,
}

/// What became of expectation files.
pub struct Outcome {
    files: Vec<(PathBuf, Vec<Finding>)>,
    /// How long it took to hold all of them against the trace.
    time: Duration,
}

/// How many clauses, or tests, came out each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// That held.
    pub passed: usize,
    /// That didn't.
    pub failed: usize,
    /// Of which the trace can't tell.
    pub inconclusive: usize,
}

impl Expectations {
    /// Adds the file at `path`, which says this.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), Diagnostic> {
        let Contents { suite, allows } = expectation::read(&path.display().to_string(), text)?;
        self.allows.extend(allows);
        if !suite.tests.is_empty() {
            self.files.push(Expected { path: path.to_owned(), live: Engine::new(suite.clone()), suite });
        }
        Ok(())
    }

    /// What their lines allow lints to find.
    pub fn allows(&self) -> &[Allow] {
        &self.allows
    }

    /// Whether there are no tests.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Takes the next event while the guest runs.
    pub fn take(&mut self, definitions: &Definitions, view: &View) {
        for file in &mut self.files {
            file.live.take(definitions, view);
        }
    }

    /// The record that certainly broke one, if one did, and the last record that was looked at.
    pub fn violation(&self, capabilities: &Capabilities, names_come_late: bool) -> Option<(u64, u64)> {
        let violations = self.files.iter().filter_map(|Expected { live, .. }| {
            Some((live.violation(capabilities, names_come_late)?, live.last_seq()))
        });
        violations.min()
    }

    /// Holds all against the trace at `path`. A trace that was watched while it grew is read anew: what its guest
    /// told late is known then, and the verdict is the one that everybody gets who reads the trace.
    ///
    /// # Errors
    /// The trace can't be read.
    pub fn judge(&self, path: &Path) -> Result<Outcome, ReadError> {
        let began = Instant::now();
        let mut stream = Stream::open(path)?;
        let new = |file: &Expected| Engine::new(file.suite.clone()).knowing(&stream.info().capabilities);
        let mut engines: Vec<_> = self.files.iter().map(new).collect();
        let mut viewer = Viewer::knowing(&stream.info().capabilities);
        while let Some(event) = stream.next()? {
            let view = viewer.view(stream.definitions(), &event);
            engines.iter_mut().for_each(|engine| engine.take(stream.definitions(), &view));
        }
        let info = stream.info();
        let mut findings: Vec<_> = engines.into_iter().map(|engine| engine.finish(&info)).collect();
        if findings.iter().any(Findings::need_context) {
            let mut stream = Stream::open(path)?;
            let mut viewer = Viewer::knowing(&stream.info().capabilities);
            while let Some(event) = stream.next()? {
                let view = viewer.view(stream.definitions(), &event);
                findings.iter_mut().for_each(|findings| findings.look(&view));
            }
        }
        let paths = self.files.iter().map(|file| file.path.clone());
        let files = paths.zip(findings.into_iter().map(Findings::into_list)).collect();
        Ok(Outcome { files, time: began.elapsed() })
    }
}

impl Outcome {
    /// How many tests came out each way.
    pub fn tally(&self) -> Tally {
        self.tests().map(|(.., verdict)| verdict).collect()
    }

    /// Each test with its file, its clauses and what they come to.
    fn tests(&self) -> impl Iterator<Item = (&Path, &[Finding], Verdict)> {
        self.files.iter().flat_map(|(path, findings)| {
            findings.chunk_by(|one, next| one.test == next.test).map(|clauses| {
                let all = clauses.iter().map(|finding| finding.verdict.clone());
                (path.as_path(), clauses, all.fold(Verdict::Pass, Verdict::and))
            })
        })
    }

    /// Prints it for people, with colours.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        let paint = |color: AnsiColor, text: &str| {
            let style = Style::new().bold().fg_color(Some(color.into()));
            format!("{style}{text}{style:#}")
        };
        let mut tally = Tally::default();
        let mut details = Vec::new();
        for (path, clauses, verdict) in self.tests() {
            tally.extend([verdict.clone()]);
            let word = match verdict {
                Verdict::Pass => paint(AnsiColor::Green, "PASS"),
                Verdict::Fail(_) => paint(AnsiColor::Red, "FAIL"),
                Verdict::Inconclusive(_) => paint(AnsiColor::Yellow, "INCONCLUSIVE"),
            };
            writeln!(out, "{word}  {}  {}", path.display(), clauses[0].test)?;
            details.extend(clauses.iter().filter(|finding| !finding.verdict.passed()));
        }
        // What the trace can't tell for one reason is told together: an early end leaves much open.
        let mut open: Vec<(&str, Vec<&Finding>)> = Vec::new();
        for finding in details {
            match &finding.verdict {
                Verdict::Pass => {}
                Verdict::Fail(failure) => {
                    write_heading(out, &paint(AnsiColor::Red, "FAIL"), finding)?;
                    write_window(out, &failure.window)?;
                    writeln!(out, "  {}", failure.reason)?;
                    if let Some(nearest) = &failure.nearest {
                        writeln!(out, "  nearest: {nearest}")?;
                    }
                    for line in &failure.context {
                        let mark = if line.marked { '>' } else { ' ' };
                        writeln!(out, "  {mark} {:>6}  {}", line.seq, line.text)?;
                    }
                }
                Verdict::Inconclusive(one) => match open.iter_mut().find(|(doubt, _)| *doubt == one.doubt) {
                    Some((_, findings)) => findings.push(finding),
                    None => open.push((&one.doubt, vec![finding])),
                },
            }
        }
        for (doubt, findings) in open {
            let word = paint(AnsiColor::Yellow, "INCONCLUSIVE");
            if findings.len() > FEW {
                writeln!(out, "\n{word}  {} clauses", findings.len())?;
                writeln!(out, "  the trace can't tell: {doubt}")?;
                continue;
            }
            for finding in findings {
                write_heading(out, &word, finding)?;
                if let Verdict::Inconclusive(one) = &finding.verdict {
                    write_window(out, &one.window)?;
                }
                writeln!(out, "  the trace can't tell: {doubt}")?;
            }
        }
        let Tally { passed, failed, inconclusive } = tally;
        writeln!(out, "\n{failed} failed, {passed} passed, {inconclusive} inconclusive")
    }

    /// Each clause as an object: its file and line, its test, what it asks for, what it came to and, if it didn't pass, why.
    pub fn clauses(&self) -> impl Iterator<Item = serde_json::Value> {
        self.files.iter().flat_map(|(path, findings)| findings.iter().map(|finding| object(path, finding)))
    }

    /// Prints it as JSON: an object for each clause, and one for all of them.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        for clause in self.clauses() {
            writeln!(out, "{clause}")?;
        }
        let Tally { passed, failed, inconclusive } = self.tally();
        let sum = json!({
            "event": "tests", "passed": passed, "failed": failed, "inconclusive": inconclusive,
        });
        writeln!(out, "{sum}")
    }

    /// The same as results: a group for each file, a case for each test.
    pub fn groups(&self) -> Vec<Group> {
        let files = self.files.iter().map(|(file, _)| {
            let tests = self.tests().filter(|(of, ..)| *of == file);
            let cases = tests.map(|(file, clauses, verdict)| case(file, clauses, &verdict)).collect();
            Group { name: file.display().to_string(), time: self.time, cases }
        });
        files.collect()
    }
}

/// A clause as an object.
fn object(path: &Path, finding: &Finding) -> serde_json::Value {
    let mut object = json!({
        "event": "clause",
        // JSON is UTF-8, and file names needn't be: what isn't is shown as U+FFFD.
        "file": path.to_string_lossy(),
        "line": finding.location.as_ref().map(|at| at.line),
        "test": finding.test,
        "clause": finding.clause,
        "verdict": word(&finding.verdict),
    });
    match &finding.verdict {
        Verdict::Pass => {}
        Verdict::Fail(failure) => {
            object["window"] = json!(failure.window);
            object["reason"] = json!(failure.reason);
            object["record"] = json!(failure.record);
            object["nearest"] = json!(failure.nearest);
            object["records"] = json!(failure.context.iter().map(|line| line.seq).collect::<Vec<_>>());
        }
        Verdict::Inconclusive(open) => {
            object["window"] = json!(open.window);
            object["reason"] = json!(open.doubt);
        }
    }
    object
}

/// A test as a case: what didn't pass of it, at the first line of that.
fn case(file: &Path, clauses: &[Finding], verdict: &Verdict) -> Case {
    let open: Vec<_> = clauses.iter().filter(|finding| !finding.verdict.passed()).collect();
    let about = open.first().copied().or(clauses.first());
    let line = about.and_then(|finding| finding.location.as_ref()).map(|at| at.line as u32);
    let full = || open.iter().map(|finding| finding.verdict.to_string()).collect::<Vec<_>>().join("\n\n");
    let message = || {
        let clause = open.first().map(|finding| finding.clause.as_str()).unwrap_or_default();
        format!("{}: {clause}", word(verdict))
    };
    Case {
        name: clauses[0].test.clone(),
        time: Duration::ZERO,
        status: match verdict {
            Verdict::Pass => Status::Passed,
            Verdict::Fail(_) => Status::Failed(message(), full()),
            Verdict::Inconclusive(_) => Status::Inconclusive(message(), full()),
        },
        place: Some(Place { file: file.to_owned(), line }),
    }
}

/// What a clause came to, where it stands, and as it was written.
fn write_heading(out: &mut impl Write, word: &str, finding: &Finding) -> io::Result<()> {
    let place = match &finding.location {
        Some(at) => format!("{}:{}", at.file, at.line),
        None => String::new(),
    };
    writeln!(out, "\n{word}  {place}  {:?}", finding.test)?;
    quote(out, finding)
}

/// The line that the clause was written in.
fn quote(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    match &finding.location {
        Some(at) => {
            for (number, line) in (at.line..).zip(at.text.lines()) {
                writeln!(out, "  {number} | {}", line.trim())?;
            }
            Ok(())
        }
        None => writeln!(out, "  {}", finding.clause),
    }
}

/// In which part of the trace, if it isn't all of it.
fn write_window(out: &mut impl Write, window: &str) -> io::Result<()> {
    if window == "the whole trace" { Ok(()) } else { writeln!(out, "  in {window}:") }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail(_) => "fail",
        Verdict::Inconclusive(_) => "inconclusive",
    }
}

impl Extend<Verdict> for Tally {
    fn extend<T: IntoIterator<Item = Verdict>>(&mut self, verdicts: T) {
        for verdict in verdicts {
            match verdict {
                Verdict::Pass => self.passed += 1,
                Verdict::Fail(_) => self.failed += 1,
                Verdict::Inconclusive(_) => self.inconclusive += 1,
            }
        }
    }
}

impl FromIterator<Verdict> for Tally {
    fn from_iter<T: IntoIterator<Item = Verdict>>(verdicts: T) -> Self {
        let mut tally = Self::default();
        tally.extend(verdicts);
        tally
    }
}
