//! A session: a guest from what users say of it to how it ended.
//!
//! The command and the bench share it: [`Guest::config`] says what a machine is for such a guest, [`attend`] runs it to
//! its end.

mod guest;

use std::time::{Duration, Instant};

pub use guest::{BootModuleChoice, Defaults, Guest, GuestError};

use crate::host::HostError;
use crate::running::Running;
use crate::shared::StackCount;
use crate::stop::{Place, Stop};

/// How often is asked whether somebody wants it to stop.
const TURN: Duration = Duration::from_millis(20);

/// How a machine ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub stop: Stop,
    /// Where the vCPUs were; one that is missing didn't leave.
    pub places: Vec<Place>,
    /// How many call stacks were taken.
    pub stacks: StackCount,
    /// Whether the trace is complete.
    pub finished: Result<(), HostError>,
}

/// Waits until the machine stops, until `limit`, or until `interrupted` gives a reason to stop it, which is asked 50
/// times a second; then stops every vCPU and completes the trace.
pub fn attend(mut running: Running, limit: Instant, mut interrupted: impl FnMut() -> Option<Stop>) -> Ended {
    let stop = loop {
        let left = limit.saturating_duration_since(Instant::now());
        if let Some(stop) = running.wait(TURN.min(left)).or_else(&mut interrupted) {
            break stop;
        }
        if left.is_zero() {
            break Stop::Timeout;
        }
    };
    let places = running.halt();
    let stacks = running.stacks();
    let finished = running.finish(stop.end());
    Ended { stop, places, stacks, finished }
}
