#![doc = include_str!("../README.md")]

mod access;
mod bare;
mod blocks;
mod clock;
mod error;
mod image;
pub mod long_mode;
mod observers;
mod ours;
mod peak_memory;
mod printer;
mod qemu;
pub mod raw_guest;
mod row;
mod samples;
pub mod second_cpu;
mod stacks;
mod start_up;
mod throughput;
mod turns;
mod two_vcpus;
mod user_time;
mod vs_qemu;

use std::path::PathBuf;
use std::time::Duration;

pub use error::Error;
pub use image::Op;
pub use row::{Aim, Row};
pub use start_up::first_access;

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows of these names, and what they are compared with; all without one.
    pub only: Vec<String>,
    /// Rows that need QEMU, too.
    pub vs_qemu: bool,
    /// How many blocks everything gets.
    pub blocks: usize,
    /// About how long a block of accesses takes.
    pub block: Duration,
    /// How many records readers get.
    pub records: u64,
    /// The command `barscope`, for what is measured of whole processes.
    pub program: PathBuf,
    /// Arguments with which it does [`first_access`].
    pub bare_start: Vec<String>,
}

impl Plan {
    /// As long as figures to be told need.
    pub fn thorough(program: PathBuf) -> Self {
        Self { blocks: 25, block: Duration::from_millis(40), records: 4_000_000, ..Self::quick(program) }
    }

    /// As short as a test may take.
    pub fn quick(program: PathBuf) -> Self {
        Self {
            only: Vec::new(),
            vs_qemu: false,
            blocks: 7,
            block: Duration::from_millis(15),
            records: 1_000_000,
            program,
            bare_start: Vec::new(),
        }
    }

    /// Names of all rows.
    pub fn names() -> Vec<&'static str> {
        let of_accesses = access::names().chain(user_time::NAMES).chain(two_vcpus::NAMES);
        of_accesses
            .chain(start_up::NAMES)
            .chain(peak_memory::NAMES)
            .chain(throughput::names())
            .chain(stacks::NAMES)
            .chain(vs_qemu::NAMES)
            .chain(turns::NAMES)
            .collect()
    }

    /// Names of groups of rows, each with those of its rows.
    pub const GROUPS: [(&str, &[&str]); 2] = [("stacks", &stacks::NAMES), ("turns", &turns::NAMES)];

    /// Whether a row is to be measured.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.names_row(name)
    }

    /// Whether a row is asked for by its name.
    fn names_row(&self, name: &str) -> bool {
        self.only.iter().any(|wanted| wanted == name)
    }
}

/// Takes each row once it is measured. An error ends the measurement.
pub type Each<'a> = dyn FnMut(Row) -> Result<(), Error> + 'a;

/// Measures what the plan asks for, and hands out each row once it is there.
///
/// # Errors
/// If the host can't run a guest, or one does something else than its loop; what `each` fails with.
pub fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    access::measure(plan, each)?;
    user_time::measure(plan, each)?;
    two_vcpus::measure(plan, each)?;
    start_up::measure(plan, each)?;
    peak_memory::measure(plan, each)?;
    throughput::measure(plan, each)?;
    stacks::measure(plan, each)?;
    vs_qemu::measure(plan, each)?;
    turns::measure(plan, each)
}
