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
use crate::vm::Vm;

/// How often is asked whether somebody wants it to stop.
const TURN: Duration = Duration::from_millis(20);

/// How long a guest may take to tidy up after a turn.
const TIDYING: Duration = Duration::from_secs(15);

/// How a machine ended.
pub struct Ended {
    /// Why.
    pub stop: Stop,
    /// Where the vCPUs were; one that is missing didn't leave.
    pub places: Vec<Place>,
    /// How many call stacks were taken.
    pub stacks: StackCount,
    /// Whether the trace is complete.
    pub finished: Result<(), HostError>,
    /// The VM, if its guest has ended a turn and another one may follow.
    pub vm: Option<Vm>,
}

/// Waits until the machine stops, until `limit`, or until `interrupted` gives a reason to stop it, which is asked 50
/// times a second; then stops every vCPU and completes the trace.
pub fn attend(mut running: Running, limit: Instant, mut interrupted: impl FnMut() -> Option<Stop>) -> Ended {
    let stop = loop {
        let limit = running.turn_ended().map_or(limit, |(_, ended)| ended + TIDYING);
        let left = limit.saturating_duration_since(Instant::now());
        if let Some(stop) = running.wait(TURN.min(left)).or_else(&mut interrupted) {
            break stop;
        }
        if left.is_zero() {
            break Stop::Timeout;
        }
    };
    // What becomes of it after the end of a turn says nothing of the turn.
    let stop = running.turn_ended().map_or(stop, |(status, _)| Stop::Exit { status });
    let places = running.halt();
    let stacks = running.stacks();
    let (finished, vm) = match running.finish(stop.end()) {
        Ok(vm) => (Ok(()), vm),
        Err(error) => (Err(error), None),
    };
    Ended { stop, places, stacks, finished, vm }
}
