//! The queue of what the guest tells in bulk: symbols, executables, modules. The guest waits until it is read, so that
//! what it does next has those names, but no longer than it may; vCPUs can be stopped meanwhile.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use barscope_x86::Registers;

use crate::guest_abi::{BadRequest, Bulk};
use crate::host::HostError;
use crate::lock::lock;

/// How long a guest waits for its names.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is seen whether vCPUs should leave.
const TURN: Duration = Duration::from_millis(10);
/// How many requests wait at most.
const WAITING: usize = 16;

/// What reading one comes to: the host's failure, or the guest's mistake, or neither.
pub type Reading = Result<Result<(), BadRequest>, HostError>;

/// A request, and where its answer goes.
pub struct Job {
    /// What is to be read.
    pub bulk: Bulk,
    /// The registers of the vCPU that told it.
    pub registers: Registers,
    /// The way back to it.
    pub answer: SyncSender<Reading>,
}

/// What becomes of a request.
pub enum Asked {
    /// It is read.
    Done(Reading),
    /// It is still being read.
    Late,
    /// The machine stops.
    Stopped,
    /// Too many wait.
    Refused,
}

/// The way to the thread.
pub struct Requests(Mutex<Option<SyncSender<Job>>>);

impl Requests {
    /// The way, and what the thread takes from it.
    pub fn new() -> (Self, Receiver<Job>) {
        let (sender, receiver) = sync_channel(WAITING);
        (Self(Mutex::new(Some(sender))), receiver)
    }

    /// Has names read, and waits until that is done, or too long, or `stopping`.
    pub fn ask(&self, bulk: Bulk, registers: &Registers, stopping: impl Fn() -> bool) -> Asked {
        let (answer, answered) = sync_channel(1);
        let sender = lock(&self.0).clone();
        let Some(sender) = sender else { return Asked::Stopped };
        match sender.try_send(Job { bulk, registers: *registers, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Asked::Refused,
            Err(TrySendError::Disconnected(_)) => return Asked::Stopped,
        }
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if stopping() {
                return Asked::Stopped;
            }
            match answered.recv_timeout(TURN) {
                Ok(reading) => return Asked::Done(reading),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Asked::Stopped,
            }
        }
        Asked::Late
    }

    /// Takes no more; the thread ends once it has read what waits.
    pub fn close(&self) {
        lock(&self.0).take();
    }
}
