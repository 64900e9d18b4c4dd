//! The thread that reads what the guest tells in bulk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use crate::guest_requests::read;
use crate::host::HostError;
use crate::shared::Shared;
use crate::stop::Stop;
use crate::threads::{Job, caught, spawn};

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
