//! What a machine's threads are made of and meet at: starting one, catching its panic, taking a vCPU out of the guest,
//! and the queues and calls between them. The threads themselves are [`crate::running`]'s.

mod kick;
mod relay;
mod requests;
mod sleepers;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

pub use self::kick::{Kickable, kick, register};
pub use self::relay::Relay;
pub use self::requests::{Asked, Job, Reading, Requests};
pub use self::sleepers::Sleepers;

use crate::host::HostError;

/// Starts a thread.
///
/// # Errors
/// [`HostError::Thread`] if the system has no room for another.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, HostError> {
    Builder::new().name(name.clone()).spawn(body).map_err(|source| HostError::Thread { name, source })
}

/// What `body` gives, or the message of its panic.
pub fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic leaves half done is only looked at to end the machine in order.
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
