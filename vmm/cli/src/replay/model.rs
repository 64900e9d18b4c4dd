//! The device of a replay: without a virtual machine, through the dispatcher that a guest's accesses go through.

use barscope_device::{Bdf, Devices, Region, low_bytes};
use barscope_trace::definition::Function;
use barscope_trace::event::RouteChange;
use barscope_trace::{Event, EventKind, Tail, WriteOptions};
use barscope_vmm::bare::{Bare, Surroundings, Unreachable};
use barscope_vmm::perform::Request;
use tempfile::TempDir;

use super::operation::{Answer, Deed, Operation};
use crate::ending::{Failure, with_sources};

/// Time between two reads of a register that is polled, and how often it is read.
const POLL_NS: u64 = 1_000;
const POLLS: u32 = 10_000;
/// The most that device time passes by at once, an hour: what fires every few nanoseconds would be recorded till the end
/// of days.
pub const WAIT_MAX_NS: u64 = 3_600_000_000_000;

/// The device.
pub struct Model {
    bare: Bare,
    tail: Tail,
    memory: u64,
    /// What it did and nobody has taken.
    deeds: Vec<Deed>,
    _folder: TempDir,
}

impl Model {
    /// These functions after reset, at device time 0, beside `memory` bytes of zeroes.
    ///
    /// # Errors
    /// The machine can't be built; its trace, which is temporary, can't be written.
    pub fn new(devices: Devices, memory: u64) -> Result<Self, Failure> {
        let failed = |source| Failure::Report { path: std::env::temp_dir(), source };
        let folder = TempDir::new().map_err(failed)?;
        let path = folder.path().join("trace");
        let around = Surroundings { firmware: false, memory, access_ns: 0 };
        let bare = Bare::new(devices, around, &path, WriteOptions::default())?;
        let tail = Tail::open(&path)?;
        Ok(Self { bare, tail, memory, deeds: Vec::new(), _folder: folder })
    }

    /// Does it; the answer.
    ///
    /// # Errors
    /// Memory isn't there; the host fails.
    pub fn perform(&mut self, operation: &Operation) -> Result<Answer, Failure> {
        let answer = match *operation {
            Operation::Access { bdf, region, offset, request } => {
                let value = self.access(bdf, region, offset, request)?;
                if request.written.is_some() { Answer::Nothing } else { Answer::Value(value) }
            }
            Operation::Poll { bdf, offset, bits } => {
                let mut value = self.access(bdf, Region::BAR0, offset, Request::read(4))?;
                for _ in 0..POLLS {
                    if value & bits == 0 {
                        break;
                    }
                    self.bare.wait(POLL_NS)?;
                    value = self.access(bdf, Region::BAR0, offset, Request::read(4))?;
                }
                Answer::Value(value)
            }
            Operation::ReadMemory(address, length) => {
                let mut bytes = vec![0; length];
                let read = self.bare.read_memory(address, &mut bytes);
                read.map_err(|error| Failure::Diagnostic(format!("{address:#x}: {error}")))?;
                Answer::Bytes(bytes)
            }
            Operation::WriteMemory(address, ref bytes) => {
                let written = self.bare.write_memory(address, bytes);
                written.map_err(|error| Failure::Diagnostic(format!("{address:#x}: {error}")))?;
                Answer::Nothing
            }
            Operation::Wait(nanoseconds) => {
                self.bare.wait(nanoseconds)?;
                Answer::Nothing
            }
        };
        self.follow()?;
        Ok(answer)
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.bare.now()
    }

    /// Resets a function.
    ///
    /// # Errors
    /// The host fails.
    pub fn reset(&mut self, bdf: Bdf) -> Result<(), Failure> {
        self.bare.reset(bdf)?;
        self.follow()
    }

    /// Whether a region is decoded.
    pub fn is_decoded(&self, bdf: Bdf, region: Region) -> bool {
        self.bare.is_decoded(bdf, region)
    }

    /// The functions, as a trace defines them.
    pub fn functions(&self) -> Vec<Function> {
        self.tail.definitions().functions().map(|(_, function)| function.clone()).collect()
    }

    /// What the device did since this was last called.
    pub fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// A region that never had an address answers as a bus does where nobody is.
    fn access(&mut self, bdf: Bdf, region: Region, offset: u64, request: Request) -> Result<u64, Failure> {
        match self.bare.access(bdf, region, offset, request) {
            Ok(value) => Ok(value),
            Err(Unreachable::NoAddress { .. }) => {
                Ok(request.written.unwrap_or(low_bytes(request.size.into())))
            }
            Err(error) => Err(Failure::Diagnostic(with_sources(&error))),
        }
    }

    /// Takes what is new in the model's own trace.
    fn follow(&mut self) -> Result<(), Failure> {
        loop {
            let events = self.tail.poll()?;
            if events.is_empty() {
                return Ok(());
            }
            for event in &events {
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let definitions = self.tail.definitions();
        if let EventKind::Msi { address, data, delivered: false, .. } = event.kind
            && address < self.memory
        {
            // A message to where memory is changes that, as on a bus.
            self.bare.write_memory(address, &data.to_le_bytes()).ok();
        }
        let function = event.kind.references().function.and_then(|id| definitions.function(id));
        self.deeds.extend(function.and_then(|function| Deed::of(function.bdf, &event.kind)));
    }
}

/// Whether a route's record says that the machine did it, not software.
pub fn by_machine(change: RouteChange, cause: u64) -> bool {
    cause == 0 && change != RouteChange::Refused
}
