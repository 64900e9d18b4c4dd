//! Loops that wait for a register.

use barscope_trace::event::{AccessEvent, Event};
use serde::Serialize;

use super::PlaceKey;
use crate::serial::as_hex;

/// The fewest reads in a row that are a loop.
const FEWEST: u64 = 3;
/// How many loops are kept.
const KEPT: usize = 32;

/// Loops that wait for a register: the same instruction of a vCPU, or the same line of source code, reads the
/// same place again and again, with no other access of that vCPU between; handlers of interrupts and what they
/// access aside, and what a kernel's accessors of configuration space read for others.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Polling {
    /// How many there were, of three reads or more.
    pub loops: u64,
    /// Reads in all of them.
    pub reads: u64,
    /// The longest ones, most reads first; not all of them if there are many.
    pub longest: Vec<Loop>,
}

/// A loop that waits for a register.
#[derive(Clone, Debug, Serialize)]
pub struct Loop {
    /// Which of the traces it is from, counted from 0.
    pub trace: usize,
    /// The vCPU.
    pub vcpu: Option<u8>,
    /// The place.
    #[serde(flatten)]
    pub place: PlaceKey,
    /// Function and line, if they are known.
    pub code: Option<String>,
    /// How often the instruction read.
    pub reads: u64,
    /// Sequence number of the first read.
    pub first: u64,
    /// Sequence number of the last one.
    pub last: u64,
    /// Host time between these two.
    pub host_ns: u64,
    /// Device time between them.
    pub device_ns: u64,
    /// The value that the last read gave.
    #[serde(serialize_with = "as_hex")]
    pub value: u64,
    /// The same by the register's fields; may be empty.
    pub meaning: String,
    /// What ended it.
    pub end: LoopEnd,
}

/// What ended a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum LoopEnd {
    /// Its last read gave another value than the one before.
    Value {
        /// What the one before gave.
        #[serde(serialize_with = "as_hex")]
        before: u64,
    },
    /// The vCPU accessed something else, though the value was the same as before: time was up, or the loop
    /// has so many turns.
    Access {
        /// Sequence number of that access.
        seq: u64,
    },
    /// The interrupt handler that it was in ended.
    Handler,
    /// The trace ended.
    Trace,
}

impl Polling {
    pub(super) fn merge(&mut self, other: Self, traces: usize) {
        self.loops += other.loops;
        self.reads += other.reads;
        let moved = other.longest.into_iter().map(|found| Loop { trace: found.trace + traces, ..found });
        self.longest.extend(moved);
        self.longest.sort_by_key(|found| std::cmp::Reverse(found.reads));
        self.longest.truncate(KEPT);
    }
}

/// Reads in a row by one instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The last of its accesses.
    pub(super) access: AccessEvent,
    pub(super) site: u32,
    pub(super) vcpu: Option<u8>,
    pub(super) reads: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    began: (u64, u64),
    ended: (u64, u64),
    before: u64,
}

impl Run {
    fn new(event: &Event, access: &AccessEvent, site: u32) -> Self {
        Self {
            access: *access,
            site,
            vcpu: event.vcpu,
            reads: 1,
            first: event.seq,
            last: event.seq,
            began: (event.host_ns, event.device_ns),
            ended: (event.host_ns, event.device_ns),
            before: access.value,
        }
    }

    fn same(&self, access: &AccessEvent, site: u32) -> bool {
        let key = |access: &AccessEvent| (access.route, access.target, access.size, access.write);
        self.site == site && key(&self.access) == key(access) && !access.read_modify_write
    }

    /// Takes in another access of the vCPU, if it continues the run.
    fn goes_on(&mut self, event: &Event, access: &AccessEvent, site: u32) -> bool {
        if !self.same(access, site) {
            return false;
        }
        // Parts of one instruction, like `rep movs`, are no loop.
        self.reads += u64::from(access.instance != self.access.instance);
        self.access.instance = access.instance;
        self.before = self.access.value;
        self.access.value = access.value;
        self.last = event.seq;
        self.ended = (event.host_ns, event.device_ns);
        true
    }

    /// Host and device time that it took.
    pub(super) fn took(&self) -> (u64, u64) {
        (self.ended.0.saturating_sub(self.began.0), self.ended.1.saturating_sub(self.began.1))
    }
}

/// Finds loops.
#[derive(Default)]
pub(super) struct Finder {
    loops: u64,
    reads: u64,
    /// Sorted by descending number of reads.
    longest: Vec<(Run, LoopEnd)>,
}

impl Finder {
    /// Takes note of an access by a site, which may be part of a loop; `run` is what the vCPU was at where it stands now.
    pub(super) fn add(
        &mut self,
        run: &mut Option<Run>,
        event: &Event,
        (access, site): (&AccessEvent, u32),
        may_poll: bool,
    ) {
        if let Some(known) = run {
            if known.goes_on(event, access, site) {
                return;
            }
            self.ended(known, LoopEnd::Access { seq: event.seq });
        }
        let polls = may_poll && !access.write && !access.read_modify_write && access.instruction != 0;
        *run = polls.then(|| Run::new(event, access, site));
    }

    /// A run ended; by this, if not by its value.
    pub(super) fn ended(&mut self, run: &Run, end: LoopEnd) {
        if run.reads < FEWEST {
            return;
        }
        self.loops += 1;
        self.reads += run.reads;
        if self.longest.len() == KEPT {
            if self.longest.last().is_some_and(|(shortest, _)| shortest.reads >= run.reads) {
                return;
            }
            self.longest.pop();
        }
        let end = if run.before == run.access.value { end } else { LoopEnd::Value { before: run.before } };
        let at = self.longest.partition_point(|(known, _)| known.reads >= run.reads);
        self.longest.insert(at, (*run, end));
    }

    /// What was found; `resolve` names a run.
    pub(super) fn finish(self, resolve: impl FnMut((Run, LoopEnd)) -> Loop) -> Polling {
        Polling {
            loops: self.loops,
            reads: self.reads,
            longest: self.longest.into_iter().map(resolve).collect(),
        }
    }
}
