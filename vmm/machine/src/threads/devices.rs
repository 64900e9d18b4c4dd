//! The thread that serves devices beside the vCPUs: timers of a host clock, doorbells, and a look at whether any
//! vCPU is awake. With a virtual clock devices act on the vCPUs' threads alone, so that equal runs stay equal.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barscope_trace::{Clock, Lane};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::{caught, interrupted, kick, spawn};
use crate::host::HostError;
use crate::shared::Shared;
use crate::stop::Stop;

/// How often vCPUs are taken out of the guest: to see whether they sleep for good, and for what nothing else tells.
const WATCH: Duration = Duration::from_millis(250);
/// The same while vCPUs are called together.
const CALL: Duration = Duration::from_millis(5);

/// The thread.
pub struct DeviceThread {
    shared: Arc<Shared>,
    vcpus: Arc<[JoinHandle<()>]>,
    lane: Lane,
    epoll: Arc<Epoll>,
    /// The next deadline of a host clock.
    deadline: TimerFd,
    watched: Instant,
}

impl DeviceThread {
    /// Starts it. It ends with the machine, at the latest when `leave` becomes readable, and sends the reason if it
    /// is the one that has it.
    ///
    /// # Errors
    /// [`HostError`] if the system has no descriptors or threads left.
    pub fn start(
        shared: Arc<Shared>,
        vcpus: Arc<[JoinHandle<()>]>,
        lane: Lane,
        epoll: Arc<Epoll>,
        stops: Sender<Stop>,
    ) -> Result<(JoinHandle<()>, EventFd), HostError> {
        let deadline = TimerFd::new().map_err(|error| HostError::system("timerfd_create", error.into()))?;
        let event = |source| HostError::system("eventfd", source);
        let leave = EventFd::new(EFD_NONBLOCK).map_err(event)?;
        let own_leave = leave.try_clone().map_err(event)?;
        let mut thread = Self { shared, vcpus, lane, epoll, deadline, watched: Instant::now() };
        thread.wake_on(thread.deadline.as_raw_fd())?;
        thread.wake_on(thread.shared.dispatcher.deadline_changed().as_raw_fd())?;
        thread.wake_on(own_leave.as_raw_fd())?;
        let body = move || {
            let _leave = own_leave;
            let stop = match caught(|| thread.run()) {
                Ok(stop) => stop,
                Err(message) => {
                    Some(Stop::Panicked { doing: "devices' timers and doorbells".to_owned(), message })
                }
            };
            if let Some(stop) = stop {
                // The machine may be gone by now; then nobody wants to know.
                stops.send(stop).ok();
            }
        };
        Ok((spawn("devices".to_owned(), body)?, leave))
    }

    fn wake_on(&self, fd: RawFd) -> Result<(), HostError> {
        let event = EpollEvent::new(EventSet::IN, 0);
        let added = self.epoll.ctl(ControlOperation::Add, fd, event);
        added.map_err(|source| HostError::system("epoll_ctl", source))
    }

    fn run(&mut self) -> Option<Stop> {
        while !self.shared.stopping() {
            if let Err(error) = self.turn() {
                return Some(error.into());
            }
        }
        None
    }

    fn turn(&mut self) -> Result<(), HostError> {
        let called = self.shared.sleepers.call();
        let wait = if called { CALL } else { WATCH };
        let wait = wait.saturating_sub(self.watched.elapsed());
        let mut events = [EpollEvent::default(); 4];
        let waited = self.epoll.wait(i32::try_from(wait.as_millis()).unwrap_or(0), &mut events);
        if !interrupted(&waited) {
            waited.map_err(|source| HostError::system("epoll_wait", source))?;
        }
        if self.shared.dispatcher.clock() == Clock::Host {
            self.shared.dispatcher.collect_rung(&mut self.lane)?;
            self.serve_deadlines()?;
        }
        if self.watched.elapsed() >= wait {
            self.watched = Instant::now();
            self.vcpus.iter().for_each(kick);
        }
        Ok(())
    }

    /// Lets timers fire that a host clock has reached, and waits for the next.
    fn serve_deadlines(&mut self) -> Result<(), HostError> {
        let dispatcher = &self.shared.dispatcher;
        // Both only say that it is time to look.
        dispatcher.deadline_changed().read().ok();
        let now = dispatcher.now();
        dispatcher.run_timers(&mut self.lane, now)?;
        let armed = match dispatcher.next_deadline() {
            Some(deadline) => {
                let wait = Duration::from_nanos(deadline.saturating_sub(now).max(1));
                self.deadline.reset(wait, None)
            }
            None => self.deadline.clear(),
        };
        armed.map_err(|error| HostError::system("timerfd_settime", error.into()))
    }
}
