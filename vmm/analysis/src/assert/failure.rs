//! Answers, and failures that say what was expected, what came nearest and what happened around it.

use std::fmt;

use crate::table::left;
use crate::view::View;
use crate::words;

/// The answer to an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It doesn't.
    Fail(Box<Failure>),
    /// The trace can't tell.
    Inconclusive(Box<Open>),
}

impl Verdict {
    /// Both hold. FAIL beats INCONCLUSIVE, that beats PASS.
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (fail @ Verdict::Fail(_), _) | (_, fail @ Verdict::Fail(_)) => fail,
            (open @ Verdict::Inconclusive(_), _) | (_, open @ Verdict::Inconclusive(_)) => open,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        }
    }

    /// Whether it is [`Verdict::Pass`].
    pub fn passed(&self) -> bool {
        *self == Verdict::Pass
    }

    /// For `?`.
    ///
    /// # Errors
    /// Everything but [`Verdict::Pass`].
    pub fn check(self) -> Result<(), NotPassed> {
        if self.passed() { Ok(()) } else { Err(NotPassed(self)) }
    }

    /// For tests.
    ///
    /// # Panics
    /// With the failure's text, for everything but [`Verdict::Pass`].
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.passed(), "\n{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("PASS"),
            Verdict::Fail(failure) => write!(f, "FAIL  {failure}"),
            Verdict::Inconclusive(open) => write!(f, "INCONCLUSIVE  {open}"),
        }
    }
}

/// An assertion that didn't pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPassed(pub Verdict);

/// An assertion that nobody can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The assertion's name, or empty.
    pub name: String,
    /// What it is about.
    pub window: String,
    /// What it asks for.
    pub clause: String,
    /// Why the trace can't tell.
    pub doubt: String,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, window, clause, doubt } = self;
        if !name.is_empty() {
            write!(f, "{name:?}, ")?;
        }
        write!(f, "{window}\n  {clause}\n  {doubt}")
    }
}

/// Why an assertion failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The assertion's name, or empty.
    pub name: String,
    /// What it is about.
    pub window: String,
    /// What it asks for.
    pub clause: String,
    /// What is wrong.
    pub reason: String,
    /// The record that decided it: the one that broke it, or that closed the window. None if that was the end
    /// of the trace.
    pub record: Option<u64>,
    /// The event that came nearest, and how it differs.
    pub nearest: Option<String>,
    /// The events around it.
    pub context: Vec<Line>,
}

/// An event among those around a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its sequence number.
    pub seq: u64,
    /// It, in short.
    pub text: String,
    /// The failure is about this one.
    pub marked: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{:?}, ", self.name)?;
        }
        writeln!(f, "{}", self.window)?;
        writeln!(f, "  {}", self.clause)?;
        write!(f, "  {}", self.reason)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "\n  nearest: {nearest}")?;
        }
        for Line { seq, text, marked } in &self.context {
            write!(f, "\n  {} {seq:>6}  {text}", if *marked { '>' } else { ' ' })?;
        }
        Ok(())
    }
}

/// An event on one line: who, and what.
pub(super) fn describe(view: &View) -> String {
    let (way, who) = match view.access() {
        Some(access) => {
            let who = match view.made().filter(|made| made.by.function.is_some()) {
                Some(made) => made.describe(),
                None => view.cpl().map(|cpl| format!("ring {cpl}")).unwrap_or_default(),
            };
            (words::path(access), who)
        }
        None if view.is_effect() => ("device".to_owned(), String::new()),
        None => (String::new(), String::new()),
    };
    format!("{way:<8} {} {}", left(&who, 24), words::summary(view)).trim_end().to_owned()
}
