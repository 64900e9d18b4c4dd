//! Global variables that both CPUs use.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cpu::Cpu;

/// The holder of a lock that nobody holds.
const NOBODY: usize = usize::MAX;

/// A global variable that one CPU uses at a time.
///
/// The kernel runs with interrupts off, except where it waits for one; so a second user on the same
/// CPU can only be a trap inside the first use. That panics rather than waits.
pub struct Lock<T> {
    holder: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lends the value to one CPU at a time, and once.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A variable with the value `value`.
    pub const fn new(value: T) -> Self {
        Self { holder: AtomicUsize::new(NOBODY), value: UnsafeCell::new(value) }
    }

    /// Lends the variable to `use_it`, once no other CPU has it.
    ///
    /// # Panics
    /// If this CPU has it already.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> R {
        let this = Cpu::this().index();
        while let Err(holder) =
            self.holder.compare_exchange_weak(NOBODY, this, Ordering::Acquire, Ordering::Relaxed)
        {
            if holder == this {
                panic!("a global is in use");
            }
            core::hint::spin_loop();
        }
        // SAFETY: this CPU holds the lock, and did not before.
        let result = use_it(unsafe { &mut *self.value.get() });
        self.holder.store(NOBODY, Ordering::Release);
        result
    }
}
