//! Whether all vCPUs sleep for good.
//!
//! A vCPU that is halted with interrupts off, or waits for INIT and SIPI, needs another one to wake it. What one of
//! them sees of itself is old once another runs on; so when all seem to sleep, they are called together: each leaves
//! the guest and waits, and only when none is in it does each look at itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one waits for the others: one that is busy on the host is not asleep.
const PATIENCE: Duration = Duration::from_millis(200);

/// The vCPUs of a machine, by whether they sleep.
pub struct Sleepers {
    all: u64,
    /// A bit for each vCPU that slept when it last left the guest.
    seemed: AtomicU64,
    call: Mutex<Call>,
    changed: Condvar,
}

/// A call, to which all vCPUs have to come.
#[derive(Default)]
struct Call {
    /// Counts calls; those that wait in an old one leave.
    number: u64,
    open: bool,
    /// Who is there.
    here: u64,
    /// Who looked at itself, and who of these sleeps.
    looked: u64,
    asleep: u64,
}

impl Sleepers {
    /// `cpus` vCPUs that are awake, 64 at most.
    pub fn new(cpus: u8) -> Self {
        let all = u64::MAX >> (64 - u32::from(cpus.clamp(1, 64)));
        Self { all, seemed: AtomicU64::new(0), call: Mutex::default(), changed: Condvar::new() }
    }

    /// Notes whether a vCPU that has left the guest sleeps.
    pub fn note(&self, vcpu: u8, asleep: bool) {
        let bit = 1 << vcpu;
        if asleep {
            self.seemed.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.seemed.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Calls all vCPUs together if all seemed to sleep; whether they are called now. They have to be taken out of the
    /// guest to hear of it.
    pub fn call(&self) -> bool {
        let mut call = self.lock();
        if !call.open && self.seemed.load(Ordering::Acquire) == self.all {
            *call = Call { number: call.number + 1, open: true, ..Call::default() };
        }
        call.open
    }

    /// A vCPU that has left the guest comes, if there is a call, and stays until it is known whether all sleep.
    /// `asleep` looks whether it does; it is asked when no vCPU is in the guest.
    ///
    /// # Errors
    /// What `asleep` gives.
    pub fn come<E>(&self, vcpu: u8, asleep: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        let bit = 1 << vcpu;
        let mut call = self.lock();
        if !call.open {
            return Ok(false);
        }
        let number = call.number;
        call.here |= bit;
        self.changed.notify_all();
        let mut call = self.wait(call, number, |call| call.here == self.all);
        if call.number != number || call.here != self.all {
            return Ok(false);
        }
        drop(call);
        let sleeps = asleep();
        call = self.lock();
        call.looked |= bit;
        if matches!(sleeps, Ok(true)) {
            call.asleep |= bit;
        }
        self.changed.notify_all();
        let call = self.wait(call, number, |call| call.looked == self.all);
        let all_sleep = call.number == number && call.asleep == self.all;
        drop(call);
        self.close(number);
        sleeps?;
        Ok(all_sleep)
    }

    /// Waits until `done`, or for so long that the call is given up.
    fn wait<'a>(
        &'a self,
        call: MutexGuard<'a, Call>,
        number: u64,
        done: impl Fn(&Call) -> bool,
    ) -> MutexGuard<'a, Call> {
        let waits = |call: &mut Call| call.number == number && !done(call);
        let waited = self.changed.wait_timeout_while(call, PATIENCE, waits);
        let (mut call, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && call.number == number {
            // Those who are there leave it.
            *call = Call { number: number + 1, ..Call::default() };
            self.changed.notify_all();
        }
        call
    }

    /// Nobody is waited for any more.
    fn close(&self, number: u64) {
        let mut call = self.lock();
        if call.number == number {
            call.open = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn all_come(sleepers: &Sleepers, asleep: &[bool]) -> Vec<bool> {
        thread::scope(|scope| {
            let come = |(vcpu, asleep): (u8, bool)| {
                scope.spawn(move || sleepers.come(vcpu, || Ok::<_, Infallible>(asleep)).unwrap())
            };
            let threads: Vec<_> = (0..).zip(asleep.iter().copied()).map(come).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    fn seem_asleep(sleepers: &Sleepers, cpus: u8) {
        (0..cpus).for_each(|vcpu| sleepers.note(vcpu, true));
    }

    #[test]
    fn nobody_is_called_while_one_is_awake() {
        let sleepers = Sleepers::new(2);
        sleepers.note(0, true);
        assert!(!sleepers.call());
        sleepers.note(1, true);
        assert!(sleepers.call());
    }

    #[test]
    fn all_sleep_if_each_of_them_does_while_none_is_in_the_guest() {
        let sleepers = Sleepers::new(3);
        seem_asleep(&sleepers, 3);
        assert!(sleepers.call());
        assert_eq!(all_come(&sleepers, &[true, true, true]), [true, true, true]);
    }

    #[test]
    fn one_that_was_woken_since_keeps_all_from_being_asleep() {
        let sleepers = Sleepers::new(2);
        seem_asleep(&sleepers, 2);
        for woken in [[true, false], [false, true], [false, false]] {
            assert!(sleepers.call());
            assert_eq!(all_come(&sleepers, &woken), [false, false]);
        }
    }

    #[test]
    fn nobody_looks_at_itself_before_all_have_come() {
        let sleepers = Sleepers::new(2);
        seem_asleep(&sleepers, 2);
        assert!(sleepers.call());
        let in_guest = AtomicBool::new(true);
        let early = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                sleepers.come(0, || {
                    early.store(in_guest.load(Ordering::SeqCst), Ordering::SeqCst);
                    Ok::<_, Infallible>(true)
                })
            });
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                in_guest.store(false, Ordering::SeqCst);
                sleepers.come(1, || Ok::<_, Infallible>(true))
            });
        });
        assert!(!early.into_inner());
    }

    #[test]
    fn a_call_that_one_does_not_follow_is_given_up_and_can_be_made_again() {
        let sleepers = Sleepers::new(2);
        seem_asleep(&sleepers, 2);
        assert!(sleepers.call());
        assert_eq!(sleepers.come(0, || Ok::<_, Infallible>(true)), Ok(false));
        assert!(sleepers.call());
        assert_eq!(all_come(&sleepers, &[true, true]), [true, true]);
    }

    #[test]
    fn without_a_call_nobody_waits() {
        let sleepers = Sleepers::new(1);
        assert_eq!(sleepers.come(0, || Err("not asked")), Ok(false));
    }
}
