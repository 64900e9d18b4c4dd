//! A machine that runs, from its start to its end: its threads, and the first of the reasons to stop that one of
//! them, or whoever holds a [`Stopper`], has.

mod devices;
mod requests;

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barscope_trace::{End, EventKind, Lane, Writer};
use vmm_sys_util::eventfd::EventFd;

use self::devices::DeviceThread;
use self::requests::RequestThread;
use crate::host::HostError;
use crate::observer::Observer;
use crate::platform::KvmPlatform;
use crate::shared::{Shared, StackCount};
use crate::stop::{Place, Stop};
use crate::threads::{self, Job, Relay, caught, kick, spawn};
use crate::vcpu::{Core, Vcpu};
use crate::vm::{Board, Clock, Vm};

/// How long threads may take to end. What they do meanwhile is bounded, but for the host's file systems.
const LEAVE: Duration = Duration::from_millis(500);
/// How often a vCPU that should leave is told so again: it may have been busy on the host.
const NUDGE: Duration = Duration::from_millis(1);

/// A running machine.
pub struct Running {
    shared: Arc<Shared>,
    writer: Writer,
    vcpus: Arc<[JoinHandle<()>]>,
    devices: Option<(JoinHandle<()>, EventFd)>,
    requests: Option<JoinHandle<()>>,
    console: Relay,
    stops: Receiver<Stop>,
    stopper: Sender<Stop>,
    left: Receiver<Left>,
    /// Those of vCPUs that have left.
    cores: Vec<Core>,
    board: Board,
    /// What is recorded at the end.
    lane: Lane,
    halted: bool,
}

/// What a machine is put together from before it runs.
pub(crate) struct Parts {
    pub shared: Arc<Shared>,
    pub writer: Writer,
    pub platform: Arc<KvmPlatform>,
    pub console: Relay,
    pub jobs: Receiver<Job>,
    pub board: Board,
}

/// A vCPU that left.
struct Left {
    place: Place,
    /// `None` if its thread panicked.
    core: Option<Core>,
}

/// Stops a machine, from any thread.
#[derive(Clone)]
pub struct Stopper(Sender<Stop>);

impl Stopper {
    /// Stops it for this reason, unless there is another one already.
    pub fn stop(&self, stop: Stop) {
        // A machine that is gone has stopped.
        self.0.send(stop).ok();
    }
}

/// The file that a machine's trace is written to.
pub struct TraceFile(Writer);

impl TraceFile {
    /// Whether it is still there.
    ///
    /// # Errors
    /// [`HostError::Trace`] if somebody cut it off or deleted it.
    pub fn check(&self) -> Result<(), HostError> {
        Ok(self.0.check_file()?)
    }
}

impl Running {
    /// Starts a thread for each vCPU, and those beside them.
    pub(crate) fn start<O: Observer>(vcpus: Vec<Vcpu<O>>, parts: Parts) -> Result<Self, HostError> {
        let Parts { shared, writer, platform, console, jobs, board } = parts;
        threads::register()?;
        let (stopper, stops) = channel();
        let (sender, left) = channel();
        let requests = RequestThread::start(Arc::clone(&shared), jobs, stopper.clone())?;
        let mut running = Self {
            lane: writer.lane(None),
            shared,
            writer,
            vcpus: Arc::new([]),
            devices: None,
            requests: Some(requests),
            console,
            stops,
            stopper,
            left,
            cores: Vec::new(),
            board,
            halted: false,
        };
        let mut handles = Vec::new();
        for (index, vcpu) in vcpus.into_iter().enumerate() {
            let (left, stopper) = (sender.clone(), running.stopper.clone());
            match spawn(format!("vCPU {index}"), move || run(vcpu, &left, &stopper)) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    // Those that run already are ended as ever.
                    running.vcpus = handles.into();
                    return Err(error);
                }
            }
        }
        running.vcpus = handles.into();
        let (shared, lane) = (Arc::clone(&running.shared), running.writer.lane(None));
        let (vcpus, stopper) = (Arc::clone(&running.vcpus), running.stopper.clone());
        running.devices = Some(DeviceThread::start(shared, vcpus, lane, platform, stopper)?);
        Ok(running)
    }

    /// Waits until there is a reason to stop, which comes first, or for so long.
    pub fn wait(&self, limit: Duration) -> Option<Stop> {
        // It holds a sender itself, so that nothing else can come of it than too long a time.
        self.stops.recv_timeout(limit).ok()
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stopper.clone())
    }

    /// The trace that is being written.
    pub fn trace(&self) -> TraceFile {
        TraceFile(self.writer.clone())
    }

    /// What the guest prints, on its way.
    pub fn console(&self) -> Relay {
        self.console.clone()
    }

    /// The status that the guest ended a turn with, and when.
    pub(crate) fn turn_ended(&self) -> Option<(u64, Instant)> {
        self.shared.turn.ended()
    }

    /// How many call stacks were taken by vCPUs that have left.
    pub fn stacks(&self) -> StackCount {
        *self.shared.stacks()
    }

    /// Stops every vCPU; where each of them was. One that is missing didn't leave in time.
    pub fn halt(&mut self) -> Vec<Place> {
        if !self.halted {
            self.halted = true;
            self.shared.stop();
            self.console.close();
            self.shared.requests.close();
            let began = Instant::now();
            while self.runs() && began.elapsed() < LEAVE {
                self.vcpus.iter().for_each(kick);
                if let Some((_, leave)) = &self.devices {
                    leave.write(1).ok();
                }
                thread::sleep(NUDGE);
            }
        }
        let mut places = Vec::new();
        for Left { place, core } in self.left.try_iter() {
            places.push(place);
            self.cores.extend(core);
        }
        places.sort_by_key(|place| place.vcpu);
        places
    }

    /// Whether a thread that records is there still.
    fn runs(&self) -> bool {
        let devices = self.devices.iter().map(|(thread, _)| thread);
        self.vcpus.iter().chain(devices).chain(&self.requests).any(|thread| !thread.is_finished())
    }

    /// Stops every vCPU and completes the trace. The VM, if its guest has ended a turn.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written, or KVM fails.
    pub fn finish(mut self, end: End) -> Result<Option<Vm>, HostError> {
        self.halt();
        // One that didn't leave may hold what is needed for that.
        let collected = if self.runs() { Ok(()) } else { self.collect() };
        // A trace that can't be written any more is finished all the same.
        self.writer.finish(end)?;
        if let Err(Stop::Host(error)) = collected.map_err(Stop::from) {
            return Err(error);
        }
        self.into_vm().transpose()
    }

    /// The VM, if nothing runs in it and another turn may follow.
    fn into_vm(mut self) -> Option<Result<Vm, HostError>> {
        let mut cores = mem::take(&mut self.cores);
        if self.runs() || !self.shared.turn.is_tidy() || cores.len() != self.vcpus.len() {
            return None;
        }
        cores.sort_by_key(Core::index);
        let serial = self.shared.console().state();
        let board = Board { serial, ..self.board.clone() };
        let clock = self.shared.dispatcher.retire().and_then(|()| Clock::get(&board.fd, &cores));
        Some(clock.map(|clock| Vm { cores, board, clock }))
    }
}

impl Running {
    /// Records what waits for something that doesn't come any more: written pages, a line without its end.
    fn collect(&mut self) -> Result<(), HostError> {
        self.shared.collect_entries(&mut self.lane)?;
        self.shared.dispatcher.collect_dirty_pages(&mut self.lane)?;
        let rest = self.shared.console().rest();
        let Some(line) = rest.filter(|_| self.lane.stores()) else { return Ok(()) };
        let text = self.shared.interned.lock().console.id(&line)?;
        let now = self.shared.dispatcher.now();
        Ok(self.shared.dispatcher.record(&mut self.lane, None, now, EventKind::Console { text })?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.halt();
    }
}

/// A vCPU's thread. Where it was is told before why it stopped.
fn run<O: Observer>(mut vcpu: Vcpu<O>, left: &Sender<Left>, stopper: &Sender<Stop>) {
    let (stop, is_sound) = match caught(|| vcpu.run()) {
        Ok(stop) => (stop, true),
        Err(message) => (Some(Stop::Panicked { doing: vcpu.doing(), message }), false),
    };
    let place = vcpu.place();
    let core = is_sound.then(|| vcpu.into_core());
    // The machine may be gone by now; then nobody wants to know.
    left.send(Left { place, core }).ok();
    if let Some(stop) = stop {
        stopper.send(stop).ok();
    }
}
