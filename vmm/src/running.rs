//! A machine that runs: its vCPU threads, the device clock's deadlines, and its end.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trace::{Clock, End, Lane, Writer};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};
use vmm_sys_util::timerfd::TimerFd;

use crate::host::HostError;
use crate::shared::Shared;
use crate::stop::{Place, Stop};
use crate::vcpu::{Report, Vcpu};

/// How often vCPUs are taken out of the guest to see whether they sleep for good.
const WATCH: Duration = Duration::from_millis(250);
/// How often a vCPU that should leave is told so again: a signal that comes just before KVM_RUN is lost.
const NUDGE: Duration = Duration::from_millis(5);

/// A running machine. Its owner gives it turns.
pub struct Running {
    shared: Arc<Shared>,
    writer: Writer,
    threads: Vec<JoinHandle<()>>,
    reports: Receiver<Report>,
    epoll: Arc<Epoll>,
    /// A vCPU has left.
    left: EventFd,
    /// The next deadline of a host clock.
    deadline: TimerFd,
    deadline_changed: EventFd,
    /// Where timers' effects are recorded.
    lane: Lane,
    watched: Instant,
    stopped: bool,
}

extern "C" fn wake_up(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // Its arrival takes KVM_RUN back; there is nothing else to do.
}

impl Running {
    /// Starts a thread for each vCPU.
    pub(crate) fn start(
        vcpus: Vec<Vcpu>,
        shared: Arc<Shared>,
        writer: Writer,
        epoll: Arc<Epoll>,
        deadline_changed: EventFd,
    ) -> Result<Self, HostError> {
        register_signal_handler(SIGRTMIN(), wake_up)
            .map_err(|error| HostError::system("sigaction", error.into()))?;
        let left = EventFd::new(EFD_NONBLOCK).map_err(|source| HostError::system("eventfd", source))?;
        let deadline = TimerFd::new().map_err(|error| HostError::system("timerfd_create", error.into()))?;
        let (sender, reports) = channel();
        let mut running = Self {
            lane: writer.lane(None),
            shared,
            writer,
            threads: Vec::new(),
            reports,
            epoll,
            left,
            deadline,
            deadline_changed,
            watched: Instant::now(),
            stopped: false,
        };
        for fd in
            [running.left.as_raw_fd(), running.deadline.as_raw_fd(), running.deadline_changed.as_raw_fd()]
        {
            running.wake_on(fd)?;
        }
        for vcpu in vcpus {
            let thread = running.spawn(vcpu, sender.clone())?;
            running.threads.push(thread);
        }
        Ok(running)
    }

    fn spawn(&self, vcpu: Vcpu, sender: Sender<Report>) -> Result<JoinHandle<()>, HostError> {
        let left = self.left.try_clone().map_err(|source| HostError::system("eventfd", source))?;
        let run = move || {
            let report = vcpu.run();
            // The machine may be gone by now; then nobody wants to know.
            sender.send(report).ok();
            left.write(1).ok();
        };
        std::thread::Builder::new()
            .name("vcpu".to_owned())
            .spawn(run)
            .map_err(|source| HostError::system("a vCPU thread", source))
    }

    /// Ends a turn early when `fd` becomes readable.
    ///
    /// # Errors
    /// [`HostError::System`] if it can't be waited for.
    pub fn wake_on(&self, fd: RawFd) -> Result<(), HostError> {
        let event = EpollEvent::new(EventSet::IN, u64::try_from(fd).unwrap_or(0));
        self.epoll
            .ctl(ControlOperation::Add, fd, event)
            .map_err(|source| HostError::system("epoll_ctl", source))
    }

    /// Waits up to `wait` for something to happen, and serves it. `Some` when the machine stopped.
    ///
    /// # Errors
    /// [`HostError`] if the host can't go on.
    pub fn turn(&mut self, wait: Duration) -> Result<Option<Stop>, HostError> {
        let mut events = [EpollEvent::default(); 4];
        let milliseconds = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        match self.epoll.wait(milliseconds, &mut events) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(HostError::system("epoll_wait", source)),
        }
        let served =
            self.shared.dispatcher.collect_rung(&mut self.lane).and_then(|()| self.serve_deadlines());
        match served.map_err(Stop::from) {
            Ok(()) => {}
            Err(Stop::Host(error)) => return Err(error),
            Err(stop) => return Ok(Some(stop)),
        }
        if let Ok(report) = self.reports.try_recv()
            && let Some(stop) = report.stop
        {
            return Ok(Some(stop));
        }
        if self.watched.elapsed() >= WATCH {
            self.watched = Instant::now();
            self.kick();
        }
        Ok(None)
    }

    /// Lets timers fire that a host clock has reached, and waits for the next.
    fn serve_deadlines(&mut self) -> Result<(), HostError> {
        if self.shared.dispatcher.clock() != Clock::Host {
            return Ok(());
        }
        // Both only say that it is time to look.
        self.deadline_changed.read().ok();
        let now = self.shared.dispatcher.now();
        self.shared.dispatcher.run_timers(&mut self.lane, now)?;
        let next = self.shared.dispatcher.next_deadline();
        let armed = match next {
            Some(deadline) => {
                let wait = Duration::from_nanos(deadline.saturating_sub(now).max(1));
                self.deadline.reset(wait, None)
            }
            None => self.deadline.clear(),
        };
        armed.map_err(|error| HostError::system("timerfd_settime", error.into()))
    }

    /// Takes every vCPU out of the guest for a moment.
    fn kick(&self) {
        for thread in &self.threads {
            if !thread.is_finished() {
                // A thread that has just ended needs no signal.
                thread.kill(SIGRTMIN()).ok();
            }
        }
    }

    /// Stops every vCPU; where each of them was.
    pub fn halt(&mut self) -> Vec<Place> {
        self.stopped = true;
        self.shared.stop();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            self.kick();
            std::thread::sleep(NUDGE);
        }
        self.reports.try_iter().map(|report| report.place).collect()
    }

    /// Whether the trace that is being written is still there.
    ///
    /// # Errors
    /// [`HostError::Trace`] if somebody cut it off or deleted it.
    pub fn check_trace(&self) -> Result<(), HostError> {
        Ok(self.writer.check_file()?)
    }

    /// Stops every vCPU and completes the trace.
    ///
    /// # Errors
    /// [`HostError::Trace`] if the trace can't be written.
    pub fn finish(mut self, end: End) -> Result<(), HostError> {
        self.halt();
        // A trace that can't be written any more is finished all the same.
        let collected = self.shared.dispatcher.collect_written(&mut self.lane);
        self.writer.finish(end)?;
        match collected.map_err(Stop::from) {
            Err(Stop::Host(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.stopped {
            self.halt();
        }
    }
}
