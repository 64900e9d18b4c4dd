//! The thread that reads what the guest tells in bulk: symbols, executables, modules. The guest waits for it, so that
//! what it does next has those names, but no longer than it may; vCPUs can be stopped meanwhile.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barscope_x86::Registers;

use super::{caught, spawn};
use crate::guest_abi::{Bulk, Reading, read};
use crate::host::HostError;
use crate::shared::Shared;
use crate::stop::Stop;

/// How long a guest waits for its names.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is seen whether vCPUs should leave.
const TURN: Duration = Duration::from_millis(10);
/// How many requests wait at most.
const WAITING: usize = 16;

/// A request, and where its answer goes.
pub struct Job {
    bulk: Bulk,
    registers: Registers,
    answer: SyncSender<Reading>,
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
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The thread.
pub struct RequestThread;

impl RequestThread {
    /// Starts it.
    ///
    /// # Errors
    /// [`HostError::Thread`].
    pub fn start(
        shared: Arc<Shared>,
        jobs: Receiver<Job>,
        stops: Sender<Stop>,
    ) -> Result<JoinHandle<()>, HostError> {
        spawn("requests".to_owned(), move || {
            for Job { bulk, registers, answer } in jobs {
                if shared.stopping() {
                    return;
                }
                match caught(|| read(&shared, &registers, bulk)) {
                    Ok(reading) => {
                        // Whoever asked may have gone on: then a failure of the host's is still told.
                        if let Err(unheard) = answer.send(reading)
                            && let Err(error) = unheard.0
                        {
                            stops.send(error.into()).ok();
                            return;
                        }
                    }
                    Err(message) => {
                        let doing = "names that the guest told".to_owned();
                        stops.send(Stop::Panicked { doing, message }).ok();
                        return;
                    }
                }
            }
        })
    }
}
