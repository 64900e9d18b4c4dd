//! The machine's threads: vCPUs, one for devices, one for what the guest tells in bulk, one for the console.
//! Whatever one of them does, the others go on, and its end is reported.

mod devices;
mod kick;
mod relay;
mod requests;
mod sleepers;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

pub use self::devices::DeviceThread;
pub use self::kick::{Kickable, kick, register};
pub use self::relay::Relay;
pub use self::requests::{Asked, Job, RequestThread, Requests};
pub use self::sleepers::Sleepers;

use crate::host::HostError;

/// Starts a thread.
///
/// # Errors
/// [`HostError::Thread`] if the system has no room for another.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, HostError> {
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

/// Whether a result of a system call says only that a signal came.
fn interrupted<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
}
