//! How far a Linux guest is, for whoever waits at a terminal: one line on standard error, written over again
//! and again.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use barscope_guest_abi::scenario::{Needs, Scenario};
use barscope_trace::{Definitions, Event, EventKind};
use barscope_vmm::linux;

use crate::args::{Guest, Run};

/// Set where standard error leads to a terminal of somebody else's: of the host, for a command in its
/// virtual machine.
pub const VARIABLE: &str = "BARSCOPE_PROGRESS";
/// Goes to the beginning of the line and leaves nothing of it.
const CLEAR: &str = "\r\x1b[K";
/// The image that the guest's first process tells of: from then on the kernel is up.
const FIRST: &str = "init";
/// How often seconds are counted.
const TURN: Duration = Duration::from_millis(500);

/// Whether there is a terminal to show it on.
pub fn is_shown() -> bool {
    io::stderr().is_terminal() || env::var_os(VARIABLE).is_some()
}

/// Clears the line, before something else is printed.
pub fn clear() {
    // Nobody to tell if it fails.
    let _ = io::stderr().write_all(CLEAR.as_bytes());
}

/// The line.
pub struct Progress {
    began: Instant,
    /// How many scenarios or programs there will be.
    of: usize,
    /// What they are called.
    what: &'static str,
    /// How many have begun.
    begun: usize,
    stage: Stage,
    /// The line is on the terminal.
    is_there: bool,
    /// What has the terminal from when it begins.
    until: Option<&'static str>,
    /// When it is written next.
    due: Instant,
}

/// Where the guest is.
#[derive(Clone, PartialEq)]
enum Stage {
    Booting,
    /// The first process runs; no scenario has begun.
    Preparing,
    /// This scenario or program.
    Playing(String),
}

impl Progress {
    /// For a run that begins now; `None` if the guest isn't Linux or nobody would see it.
    pub fn of(args: &Run) -> Option<Self> {
        let possible = |scenario: &&Scenario| scenario.needs != Needs::SecondCpu || args.cpus > 1;
        let shown = args.guest == Guest::Linux && is_shown();
        let programs = args.programs.len() + usize::from(args.shell().is_some());
        let (what, of) = match (programs, args.scenarios.len()) {
            (0, 0) => ("scenario", args.guest.scenarios().iter().filter(possible).count()),
            (0, scenarios) => ("scenario", scenarios),
            (programs, _) => ("program", programs),
        };
        let began = Instant::now();
        let until = args.is_typed().then_some(linux::SHELL);
        let line =
            Self { began, of, what, begun: 0, stage: Stage::Booting, is_there: false, until, due: began };
        shown.then_some(line)
    }

    /// Takes what happened, before it is printed, if anything is.
    pub fn take(&mut self, events: &[Event], definitions: &Definitions, is_printed: bool) {
        if self.stage == Stage::Booting && definitions.images().any(|(_, image)| image.name == FIRST) {
            self.go_on(Stage::Preparing);
        }
        for event in events {
            if let EventKind::ScenarioBegin { name } = event.kind {
                self.begun += 1;
                self.go_on(Stage::Playing(definitions.text(name).to_owned()));
            }
        }
        let is_over = self.is_over();
        if (is_printed && !events.is_empty() || is_over) && self.is_there {
            clear();
            (self.is_there, self.due) = (false, Instant::now());
        }
    }

    fn go_on(&mut self, stage: Stage) {
        self.stage = stage;
        // It is due.
        self.due = Instant::now();
    }

    /// Shows how far it is, unless that was done just now.
    pub fn show(&mut self) {
        let now = Instant::now();
        if now < self.due || self.is_over() {
            return;
        }
        (self.is_there, self.due) = (true, now + TURN);
        let _ = io::stderr().write_all(format!("{CLEAR}{}", self.text()).as_bytes());
    }

    fn is_over(&self) -> bool {
        match (&self.stage, self.until) {
            (Stage::Playing(name), Some(until)) => name == until,
            // The shell is next, and its prompt may be on the terminal before the trace is read so far.
            (Stage::Preparing, Some(_)) => self.of == 1,
            _ => false,
        }
    }

    fn text(&self) -> String {
        let mut text = match &self.stage {
            Stage::Booting => "booting Linux".to_owned(),
            Stage::Preparing => "loading the driver".to_owned(),
            Stage::Playing(name) => format!("{} {} of {} {name}", self.what, self.begun, self.of),
        };
        let _ = write!(text, " .. {} s", self.began.elapsed().as_secs());
        text
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_there {
            clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_the_guest_is() {
        let stages = [Stage::Booting, Stage::Preparing, Stage::Playing("iounmap".to_owned())];
        let lines = stages.map(|stage| {
            let (began, what) = (Instant::now(), "scenario");
            Progress { began, of: 21, what, begun: 5, stage, is_there: false, until: None, due: began }.text()
        });
        assert_eq!(
            lines,
            ["booting Linux .. 0 s", "loading the driver .. 0 s", "scenario 5 of 21 iounmap .. 0 s"]
        );
    }

    #[test]
    fn the_line_is_gone_before_a_shell_has_the_terminal() {
        let began = Instant::now();
        let over = |stage: Stage, of| {
            let (what, until) = ("program", Some(linux::SHELL));
            Progress { began, of, what, begun: 0, stage, is_there: false, until, due: began }.is_over()
        };
        assert!(over(Stage::Playing(linux::SHELL.to_owned()), 2));
        assert!(!over(Stage::Playing("other".to_owned()), 2));
        assert!(!over(Stage::Preparing, 2));
        assert!(over(Stage::Preparing, 1));
        assert!(!over(Stage::Booting, 1));
    }
}
