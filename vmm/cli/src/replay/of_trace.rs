//! A trace as a recording: which of its records are operations of a device, and which are what it did.

use std::collections::VecDeque;

use barscope_analysis::view::{View, Viewer};
use barscope_device::{Bdf, Region, Space};
use barscope_trace::event::{Backing, DmaOutcome, Outcome, RouteChange};
use barscope_trace::{EventKind, Stream};
use barscope_vmm::perform::Request;

use super::model::by_machine;
use super::operation::{Answer, Deed, Operation};
use crate::ending::Failure;

/// Registers that firmware fills before anything is recorded: BARs, the expansion ROM, Interrupt Line.
const BARS: std::ops::Range<u64> = 0x10..0x28;
const ROM: u64 = 0x30;
const INTERRUPT_LINE: u64 = 0x3c;

/// What a record of a trace is for a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something was done.
    Operation(Operation, Answer),
    /// The device did something.
    Deed(Deed),
    /// Device time is this, in nanoseconds.
    Time(u64),
    /// The machine gave a region an address.
    Placed {
        /// The function.
        bdf: Bdf,
        /// The region.
        region: Region,
        /// Memory or I/O.
        space: Space,
        /// The address.
        base: u64,
    },
    /// The machine reset a function.
    Reset(Bdf),
    /// What firmware left in a register, which this read tells.
    Left(Operation),
    /// From here on the device may be in another state than the model: something that it got isn't in the trace.
    Doubt(String),
}

/// The items of a trace that are about some functions, each with its record's sequence number.
pub struct Items {
    stream: Stream,
    viewer: Viewer,
    functions: Vec<Bdf>,
    /// Registers that were written, or whose content is known.
    known: Vec<(Bdf, u64)>,
    last: u64,
    ready: VecDeque<(u64, Item)>,
}

impl Items {
    /// Those of these functions.
    pub fn new(stream: Stream, functions: Vec<Bdf>) -> Self {
        let viewer = Viewer::knowing(&stream.info().capabilities);
        Self { stream, viewer, functions, known: Vec::new(), last: 0, ready: VecDeque::new() }
    }

    /// The trace, to ask what is known of it.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The next one.
    ///
    /// # Errors
    /// The trace can't be read.
    pub fn next(&mut self) -> Result<Option<(u64, Item)>, Failure> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let Some(event) = self.stream.next()? else { return Ok(None) };
            if event.seq > self.last + 1 {
                let missing = event.seq - self.last - 1;
                self.ready
                    .push_back((event.seq, Item::Doubt(format!("{missing} records are lost before it"))));
            }
            self.last = event.seq;
            let view = self.viewer.view(self.stream.definitions(), &event);
            self.take(&view);
        }
    }

    fn take(&mut self, view: &View) {
        let seq = view.seq;
        let bdf = match view.access() {
            Some(access) => access.bdf(),
            None => view.function().map(|function| function.bdf),
        };
        let Some(bdf) = bdf.filter(|bdf| self.functions.contains(bdf)) else { return };
        self.ready.push_back((seq, Item::Time(view.device_ns)));
        if let Some(deed) = Deed::of(bdf, &view.kind) {
            self.ready.push_back((seq, Item::Deed(deed)));
        }
        let item = match view.kind {
            EventKind::Access(_) => return self.access(view, bdf),
            EventKind::Dma { to_memory: false, outcome: DmaOutcome::Done, address, length, .. } => {
                Item::Doubt(format!(
                    "it reads {length} bytes of memory at {address:#x}, and the trace doesn't say what they held"
                ))
            }
            EventKind::Route { change, cause, .. } if by_machine(change, cause) => match view.route() {
                Some(route) if change == RouteChange::Added => {
                    Item::Placed { bdf, region: route.region, space: route.space, base: route.base }
                }
                _ => {
                    self.known.retain(|(of, _)| *of != bdf);
                    Item::Reset(bdf)
                }
            },
            EventKind::Backing { backing: Backing::Direct | Backing::Doorbell, .. } => {
                Item::Doubt("accesses that KVM serves by itself from here on are not in the trace".to_owned())
            }
            _ => return,
        };
        self.ready.push_back((seq, item));
    }

    fn access(&mut self, view: &View, bdf: Bdf) {
        let (seq, Some(access)) = (view.seq, view.access()) else { return };
        let Some(place) = access.place() else { return };
        if access.outcome == Outcome::Straddles {
            return;
        }
        let (region, offset, size) = (place.region, place.offset, access.size);
        let asked = if access.write { Request::write(size, access.value) } else { Request::read(size) };
        let operation = Operation::Access { bdf, region, offset, request: asked };
        if region == Region::Config {
            let register = if offset == INTERRUPT_LINE { offset } else { offset & !3 };
            let of_firmware = BARS.contains(&register) || [ROM, INTERRUPT_LINE].contains(&register);
            if of_firmware && !self.known.contains(&(bdf, register)) {
                self.known.push((bdf, register));
                let whole = size == if register == INTERRUPT_LINE { 1 } else { 4 };
                if !access.write && whole && offset == register {
                    let request = Request::write(size, access.value);
                    let left = Operation::Access { bdf, region, offset, request };
                    self.ready.push_back((seq, Item::Left(left)));
                }
            }
        }
        let answer = if access.write { Answer::Nothing } else { Answer::Value(access.value) };
        self.ready.push_back((seq, Item::Operation(operation, answer)));
        if access.coalesced {
            let late = "writes that KVM gathered reached the device later than they were made";
            self.ready.push_back((seq, Item::Doubt(late.to_owned())));
        }
    }
}
