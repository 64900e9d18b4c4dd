//! Tests: clauses with names, and where they were written.

use std::sync::Arc;

use barscope_device::Bdf;

use super::clause::Clause;
use super::window::Window;

/// Tests that a trace has to pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suite {
    /// In the order in which they were written.
    pub tests: Vec<Test>,
    /// Texts of marks that may be absent: a clause that holds because there are none passes.
    pub declared_marks: Vec<String>,
    /// The same of scenarios.
    pub declared_scenarios: Vec<String>,
}

/// A named list of clauses.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// The devices that it is about.
    pub devices: Devices,
    /// What has to hold.
    pub clauses: Vec<Placed>,
}

/// The devices that a test is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// All of them.
    #[default]
    All,
    /// Those of this name or at this address, together.
    On(String),
    /// Each of those of this name: the test is run for one after the other.
    Each(String),
}

/// A clause, its window, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// What has to hold.
    pub clause: Clause,
    /// Where.
    pub window: Window,
    /// Where it was written.
    pub location: Option<Location>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

impl Suite {
    /// One test with one clause, unnamed.
    pub(super) fn of(name: &str, window: Window, clause: Clause) -> Self {
        let clauses = vec![Placed { clause, window, location: None }];
        let test = Test { name: name.to_owned(), devices: Devices::All, clauses };
        Self { tests: vec![test], ..Self::default() }
    }
}

/// The functions that a test is about, `None` for all; or why there are none.
pub(super) type Scope = Result<Option<Vec<Bdf>>, String>;
