//! The thread that serves devices beside the vCPUs: timers of a host clock, doorbells, and a look at whether any
//! vCPU is awake. With a virtual clock devices act on the vCPUs' threads alone, so that equal runs stay equal.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use barscope_trace::{Clock, Lane};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::host::HostError;
use crate::platform::KvmPlatform;
use crate::shared::Shared;
use crate::stop::Stop;
use crate::threads::{caught, kick, spawn};

/// How often vCPUs are taken out of the guest: to see whether they sleep for good, and for what nothing else tells.
const WATCH: Duration = Duration::from_millis(250);
/// The same while vCPUs are called together.
const CALL: Duration = Duration::from_millis(5);
/// How often entries into the guest's kernel are collected of vCPUs that have no other reason to leave the guest.
const COLLECT: Duration = Duration::from_millis(5);

/// The thread.
pub struct DeviceThread {
    shared: Arc<Shared>,
    vcpus: Arc<[JoinHandle<()>]>,
    lane: Lane,
    platform: Arc<KvmPlatform>,
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
        platform: Arc<KvmPlatform>,
        stops: Sender<Stop>,
    ) -> Result<(JoinHandle<()>, EventFd), HostError> {
        let event = |source| HostError::system("eventfd", source);
        let leave = EventFd::new(EFD_NONBLOCK).map_err(event)?;
        let own_leave = leave.try_clone().map_err(event)?;
        platform.wake_on(own_leave.as_raw_fd())?;
        let mut thread = Self { shared, vcpus, lane, platform, watched: Instant::now() };
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
        let left = wait.saturating_sub(self.watched.elapsed());
        let collects = self.shared.entries.are_told();
        match self.platform.wait(if collects { left.min(COLLECT) } else { left }) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(HostError::system("epoll_wait", error));
            }
            _ => {}
        }
        self.shared.collect_entries(&mut self.lane)?;
        let dispatcher = &self.shared.dispatcher;
        if dispatcher.clock() == Clock::Host {
            dispatcher.collect_doorbells(&mut self.lane)?;
            dispatcher.run_timers(&mut self.lane, dispatcher.now())?;
        }
        if self.watched.elapsed() >= wait {
            self.watched = Instant::now();
            self.vcpus.iter().for_each(kick);
        }
        Ok(())
    }
}
