//! Checks: what a scenario expects, and what did not hold.

use crate::text::Text;

/// A check that did not hold.
#[derive(Clone, Copy)]
pub enum Failure {
    /// A value is not what it has to be.
    Value {
        /// Whose value.
        what: &'static str,
        /// What it is.
        found: u64,
        /// What it has to be.
        expected: u64,
    },
    /// Something can't be.
    Reason(&'static str),
}

impl Failure {
    /// One line for people.
    pub fn text(self) -> Text<128> {
        match self {
            Failure::Value { what, found, expected } => {
                Text::new().str(what).str(": found 0x").hex(found, 1).str(", expected 0x").hex(expected, 1)
            }
            Failure::Reason(reason) => Text::new().str(reason),
        }
    }
}

/// Checks that `found` is `expected`.
pub fn equal(what: &'static str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(Failure::Value { what, found, expected }) }
}

/// Checks that `condition` holds; else `reason` says what is wrong.
pub fn holds(condition: bool, reason: &'static str) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure::Reason(reason)) }
}
