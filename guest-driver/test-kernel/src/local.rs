//! State of the one CPU that runs.

use core::cell::RefCell;

/// A global variable that one part of the kernel uses at a time.
///
/// The kernel runs on one CPU and with interrupts off, except where it waits for one; so a second
/// user can only be a trap inside the first use. That panics rather than waits.
pub struct Local<T>(RefCell<T>);

// SAFETY: one CPU, and `RefCell` refuses re-entry on it.
unsafe impl<T> Sync for Local<T> {}

impl<T> Local<T> {
    /// A variable with the value `value`.
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Lends the variable to `use_it`.
    ///
    /// # Panics
    /// If it is lent already.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> R {
        match self.0.try_borrow_mut() {
            Ok(mut value) => use_it(&mut value),
            Err(_) => panic!("a global is in use"),
        }
    }
}
