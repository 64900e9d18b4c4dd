//! Runs of `cargo test`, and what they say of each test program: which tests passed, and which it left out for what
//! reason.

use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::cargo::describe;

/// A test that its program leaves out unless it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Name of the integration test that holds it; `None` for a unit test.
    pub program: Option<String>,
    /// With the modules before it.
    pub name: String,
    /// The text of `#[ignore = ".."]`; empty if it has none.
    pub reason: String,
}

/// What a run said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that were left out, each with its reason.
    pub ignored: Vec<Ignored>,
    /// How many were left out, as the programs count them.
    counted: usize,
}

/// Where in a run's output a line is.
enum Within {
    /// Before the first program, or in a document's examples, which are left out for other reasons.
    Nothing,
    /// A program's unit tests.
    Unit,
    /// An integration test.
    Program(String),
}

/// Runs tests, showing what they print.
///
/// # Errors
/// The command, if it fails; or if what it prints can't be told apart.
pub fn run(command: &mut Command) -> Result<Report, String> {
    collect(command, |line| eprint!("{line}"))
}

/// Runs tests, and gives what they print beside what [`run`] does.
pub fn run_unseen(command: &mut Command) -> (Result<Report, String>, String) {
    let output = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&output);
    let keep = move |line: &str| kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
    let result = collect(command, keep);
    let output = mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    (result, output)
}

fn collect(command: &mut Command, take: impl FnMut(&str) + Send + 'static) -> Result<Report, String> {
    let shown = describe(command);
    let failed = |error: io::Error| format!("{shown}: {error}");
    // Both through one pipe: Cargo names each program on one, and the program's tests are on the other.
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).env("CARGO_TERM_COLOR", "never");
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the pipe's other end too.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let (sender, read) = mpsc::channel();
    thread::spawn(move || sender.send(Report::read(reader, take)));
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        // A process that a failed test left behind may hold the pipe for ever.
        let _ = read.recv_timeout(Duration::from_secs(2));
        return Err(format!("FAILED: {shown}"));
    }
    let report = read.recv().map_err(|error| format!("{shown}: its output: {error}"))?;
    if report.counted != report.ignored.len() {
        let (told, counted) = (report.ignored.len(), report.counted);
        return Err(format!("{counted} tests were left out, but {told} told why: output came between"));
    }
    Ok(report)
}

impl Report {
    /// Reads a run's output to its end, and hands on each line.
    fn read(output: impl Read, mut hand_on: impl FnMut(&str)) -> Self {
        let mut report = Self::default();
        let mut within = Within::Nothing;
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            hand_on(&text);
            report.take(text.trim_end(), &mut within);
            line.clear();
        }
        report
    }

    fn take(&mut self, line: &str, within: &mut Within) {
        if let Some(program) = line.strip_prefix("     Running ") {
            *within = program_of(program);
        } else if line.starts_with("   Doc-tests ") {
            *within = Within::Nothing;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, " passed");
            if !matches!(within, Within::Nothing) {
                self.counted += count(counts, " ignored");
            }
        } else if let Some((name, reason)) =
            line.strip_prefix("test ").and_then(|test| test.split_once(" ... ignored"))
        {
            let program = match within {
                Within::Nothing => return,
                Within::Unit => None,
                Within::Program(program) => Some(program.clone()),
            };
            let name = name.trim_end_matches(" - should panic").to_owned();
            let reason = reason.strip_prefix(", ").unwrap_or_default().to_owned();
            self.ignored.push(Ignored { program, name, reason });
        }
    }
}

/// `unittests src/lib.rs (target/debug/deps/xtask-0123)`, or `tests/edu.rs (target/debug/deps/edu-0123)`.
fn program_of(running: &str) -> Within {
    if running.starts_with("unittests ") {
        return Within::Unit;
    }
    let file = running.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
    match file.rsplit_once('-') {
        Some((name, _)) => Within::Program(name.to_owned()),
        None => Within::Nothing,
    }
}

/// The number before a word in `ok. 5 passed; 0 failed; 2 ignored; ..`.
fn count(counts: &str, word: &str) -> usize {
    let before = counts.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(output: &str) -> Report {
        let mut report = Report::default();
        let mut within = Within::Nothing;
        output.lines().for_each(|line| report.take(line, &mut within));
        report
    }

    #[test]
    fn a_run_tells_who_left_out_what_and_why() {
        let report = report(
            "   Compiling barscope v0.1.0\n\
             \x20    Running unittests src/lib.rs (target/debug/deps/barscope_vmm-0a1b)\n\
             \nrunning 2 tests\ntest lines::one ... ok\ntest memory::other ... ignored\n\
             \ntest result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             \n     Running tests/hostile_guest/main.rs (target/debug/deps/hostile_guest-ffee)\n\
             test ports::every_port ... ignored, needs /dev/kvm\n\
             test it_panics - should panic ... ignored, needs QEMU\n\
             test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             \x20  Doc-tests barscope_trace\n\
             test src/lib.rs - (line 4) ... ignored\n\
             test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        let ignored = |program: Option<&str>, name: &str, reason: &str| Ignored {
            program: program.map(str::to_owned),
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let expected = Report {
            passed: 9,
            ignored: vec![
                ignored(None, "memory::other", ""),
                ignored(Some("hostile_guest"), "ports::every_port", "needs /dev/kvm"),
                ignored(Some("hostile_guest"), "it_panics", "needs QEMU"),
            ],
            counted: 3,
        };
        assert_eq!(report, expected);
    }
}
