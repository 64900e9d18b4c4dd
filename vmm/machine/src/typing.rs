//! What is typed at the serial port: a thread that reads it and passes it on as the port has room.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::host::HostError;
use crate::shared::Shared;
use crate::threads::spawn;

/// How long the guest may take to read before the port is looked at again.
const LOOK: Duration = Duration::from_millis(1);

/// Starts the thread. It ends with what is typed, or when it finds the machine gone: one that waits for a key is left to wait.
///
/// # Errors
/// [`HostError::Thread`].
pub fn start(mut typed: Box<dyn Read + Send>, shared: &Arc<Shared>) -> Result<(), HostError> {
    let shared = Arc::downgrade(shared);
    let body = move || while pass_on(&mut *typed, &shared).unwrap_or(false) {};
    spawn("typing".to_owned(), body).map(drop)
}

/// Passes on what can be read; `false` at the end.
fn pass_on(typed: &mut dyn Read, shared: &Weak<Shared>) -> io::Result<bool> {
    let mut buffer = [0; 256];
    let read = match typed.read(&mut buffer) {
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
        other => other?,
    };
    let mut rest = &buffer[..read];
    while !rest.is_empty() {
        let Some(shared) = shared.upgrade().filter(|shared| !shared.stopping()) else { return Ok(false) };
        let taken = shared.console().receive(rest);
        rest = &rest[taken..];
        if taken == 0 {
            drop(shared);
            thread::sleep(LOOK);
        }
    }
    Ok(read > 0)
}
