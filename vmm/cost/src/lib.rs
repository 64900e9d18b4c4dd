#![doc = include_str!("../README.md")]

mod access;
mod bare;
mod error;
mod image;
pub mod long_mode;
mod ours;
mod printer;
pub mod raw_guest;
mod row;
mod samples;

use std::time::Duration;

pub use error::Error;
pub use image::Op;
pub use row::{Aim, Row};

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows of these names, and what they are compared with; all without one.
    pub only: Vec<String>,
    /// How many blocks everything gets.
    pub blocks: usize,
    /// About how long a block of accesses takes.
    pub block: Duration,
}

impl Plan {
    /// As long as figures to be told need.
    pub fn thorough(only: Vec<String>) -> Self {
        Self { only, blocks: 25, block: Duration::from_millis(40) }
    }

    /// As short as a test may take.
    pub fn quick(only: Vec<String>) -> Self {
        Self { only, blocks: 7, block: Duration::from_millis(15) }
    }

    /// Names of all rows.
    pub fn names() -> Vec<&'static str> {
        access::names().collect()
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// Measures what the plan asks for, and hands out each row once it is there.
///
/// # Errors
/// If the host can't run a guest, or one does something else than its loop.
pub fn measure(plan: &Plan, each: &mut dyn FnMut(Row)) -> Result<(), Error> {
    access::measure(plan, each)
}
