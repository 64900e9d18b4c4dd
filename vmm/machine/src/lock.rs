//! Locks that survive a panic: one is our bug and ends the machine, in order, for which what they guard is good enough.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, whatever the thread that held it last did.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
