//! Whoever looks on has a thread of its own: a terminal that is stopped or a pipe that nobody reads holds up the
//! printing, but neither the machine nor its end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use barscope_vmm::{HostError, Relay, Running, Stop, Stopper};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use signal_hook::low_level;

use crate::args::Run;
use crate::ending::{Code, Failure, tell};
use crate::live::{Ended, Live};
use crate::signals::Signals;
use crate::terminal;

/// How long the machine runs between two looks at its trace.
const TURN: Duration = Duration::from_millis(50);
/// The same while somebody waits for what it brings: a violation stops the guest soon, and who types sees what it did.
const SHORT_TURN: Duration = Duration::from_millis(2);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How long records are printed after a time limit or a signal, and how long the rest may take.
const PRINTING: Duration = Duration::from_millis(200);
const REST: Duration = Duration::from_millis(600);

/// When a run has to be over.
pub struct Limit {
    /// The guest.
    pub guest: Instant,
    /// All of it, if the user said so.
    pub all: Option<Instant>,
}

impl Limit {
    /// Of a run that begins now.
    pub fn from_now(args: &Run) -> Self {
        let guest = Instant::now() + args.time_limit();
        Self { guest, all: args.timeout.map(|_| guest) }
    }
}

/// How long a run whose guest has stopped may still print.
pub struct Patience {
    /// From when on records aren't printed any more, and when to give up printing. `None` for as long as it takes.
    ends: Option<(Instant, Instant)>,
    /// What is left to wait for once the last record is printed: verdicts, for which a signal only doesn't wait.
    judges: bool,
    code: Code,
}

impl Patience {
    /// After such a stop.
    pub fn after(stop: &Stop, limit: &Limit) -> Self {
        let now = Instant::now();
        match stop {
            Stop::Interrupted { .. } => Self::from(now, Code::Interrupted),
            Stop::Timeout => Self::from(now, Code::Failed),
            // One that ended by itself is printed until its time is up.
            _ => Self {
                ends: limit.all.map(|all| (all + PRINTING, all + REST)),
                judges: true,
                code: Code::Failed,
            },
        }
    }

    fn from(now: Instant, code: Code) -> Self {
        let judges = code != Code::Interrupted;
        Self { ends: Some((now + PRINTING, now + REST)), judges, code }
    }

    /// From when on records aren't printed any more.
    pub fn hurry(&self) -> Option<Instant> {
        self.ends.map(|(printing, _)| printing)
    }
}

/// The thread that looks on.
pub struct Onlooker {
    ended: Sender<Ended>,
    code: Receiver<Code>,
    judging: Arc<AtomicBool>,
}

impl Onlooker {
    /// Starts it.
    ///
    /// # Errors
    /// [`HostError::Thread`].
    pub fn start(live: Live, running: &Running) -> Result<Self, HostError> {
        let (ended, orders) = channel();
        let (results, code) = channel();
        let judging = Arc::new(AtomicBool::new(false));
        let (stopper, console, judges) = (running.stopper(), running.console(), Arc::clone(&judging));
        let trace = running.trace();
        let body = move || {
            let result = look_on(live, &orders, &stopper, &console, &judges);
            let code = result.unwrap_or_else(|failure| {
                // A trace that is cut off or gone can't be read; who did that matters, not how it shows.
                let failure = trace.check().err().map_or(failure, Failure::from);
                // The machine has to end if it runs still.
                stopper.stop(Stop::Enough { why: "nobody can look on".to_owned() });
                tell(&failure);
                failure.code()
            });
            // Whoever doesn't wait any more has gone.
            results.send(code).ok();
        };
        let name = "printer".to_owned();
        let thread = Builder::new().name(name.clone()).spawn(body);
        thread.map_err(|source| HostError::Thread { name, source })?;
        Ok(Self { ended, code, judging })
    }

    /// Has it print the rest, and waits for the exit code, as long as there is patience. Otherwise ends the process.
    ///
    /// # Errors
    /// [`Failure::Lost`] if the thread is gone.
    pub fn finish(
        self,
        ended: Ended,
        mut patience: Patience,
        signals: &mut Signals,
    ) -> Result<Code, Failure> {
        // If it is gone, what it left is there.
        self.ended.send(ended).ok();
        loop {
            match self.code.recv_timeout(LOOK) {
                Ok(code) => return Ok(code),
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Lost),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if signals.received().is_some() {
                patience = Patience::from(Instant::now(), Code::Interrupted);
            }
            let now = Instant::now();
            let judges = patience.judges && self.judging.load(Ordering::Acquire);
            if !judges && patience.ends.is_some_and(|(_, end)| now >= end) {
                give_up(patience.code);
            }
        }
    }
}

fn look_on(
    mut live: Live,
    orders: &Receiver<Ended>,
    stopper: &Stopper,
    console: &Relay,
    judging: &AtomicBool,
) -> Result<Code, Failure> {
    let turn = if live.is_urgent() { SHORT_TURN } else { TURN };
    let mut broken = false;
    loop {
        match orders.recv_timeout(turn) {
            Ok(ended) => {
                console.wait();
                return live.finish(ended, || judging.store(true, Ordering::Release));
            }
            // The machine couldn't be run to its end; whoever knows why tells it.
            Err(RecvTimeoutError::Disconnected) => return Ok(Code::Host),
            Err(RecvTimeoutError::Timeout) => {}
        }
        live.follow()?;
        if let Some((violation, _)) = live.violation()
            && !broken
        {
            broken = true;
            stopper.stop(Stop::Enough { why: format!("record {violation} broke an expectation") });
        }
    }
}

/// Ends the process, whatever its threads wait for.
fn give_up(code: Code) -> ! {
    // A terminal that takes nothing any more must not hold this up, nor whoever waits for it.
    let errors = std::io::stderr();
    let fd = errors.as_fd();
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&Timespec::default()));
    if ready == Ok(1) {
        let _ = rustix::io::write(fd, b"error: what is printed is not read; the rest of it is left out\n");
    }
    terminal::restore();
    low_level::exit(code as i32)
}
