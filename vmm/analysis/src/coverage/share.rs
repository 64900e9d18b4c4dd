//! So many of so many.

use std::iter::Sum;
use std::ops::Add;

use serde::Serialize;

/// How many are covered of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many are covered.
    pub covered: u64,
    /// How many there are.
    pub of: u64,
}

impl Share {
    /// In percent, from 0 to 100; `None` if there is nothing to cover.
    pub fn percent(self) -> Option<f64> {
        (self.of > 0).then(|| 100.0 * self.covered as f64 / self.of as f64)
    }
}

impl Add for Share {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { covered: self.covered + other.covered, of: self.of + other.of }
    }
}

/// Counts those that are true, of all.
impl FromIterator<bool> for Share {
    fn from_iter<I: IntoIterator<Item = bool>>(all: I) -> Self {
        all.into_iter()
            .fold(Self::default(), |share, covered| share + Self { covered: covered.into(), of: 1 })
    }
}

/// The three kinds of coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Registers.
    pub registers: Share,
    /// Fields.
    pub fields: Share,
    /// Enumerated values.
    pub values: Share,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            registers: sum.registers + one.registers,
            fields: sum.fields + one.fields,
            values: sum.values + one.values,
        })
    }
}
