//! Calls: which accesses belong to one call of one function.
//!
//! A trace shows no returns. Two accesses of one vCPU are taken to be of one call if nothing else made one in between and the
//! code only went forward: where it goes back, that may be a loop or the next call, which is another one then. The function
//! is the outermost one of a kernel's module on the stack, with all that it calls; where there is none, the one that made
//! the access.

use std::hash::{Hash, Hasher};

use barscope_trace::event::Id;
use rustc_hash::{FxHashMap, FxHasher};

use crate::view::{Call as Frame, Context, View};

/// So many pairs of instruction and stack are kept resolved.
const MOST: usize = 1 << 14;

/// The call of a function that an access is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Its number.
    pub(super) id: u64,
    /// What all calls of this function from the same place have alike.
    pub(super) function: u64,
    /// The line of code, called from the same place, or the instruction where there is no line: a compiler may have made
    /// several instructions of a read in a loop.
    pub(super) line: u64,
    /// What runs it.
    pub(super) runner: Runner,
}

/// A vCPU, and whether it is about an interrupt: what that interrupts goes on after it.
pub(super) type Runner = (Option<u8>, bool);

/// How the access with this instruction and stack came about.
struct Way {
    function: u64,
    line: u64,
    /// Addresses from within the function inwards.
    path: Vec<u64>,
}

/// Calls that are under way.
#[derive(Default)]
pub(super) struct Calls {
    ways: Vec<Way>,
    known: FxHashMap<(Id, Id), Option<usize>>,
    /// The number of the call that each makes, and the way of its last access.
    current: FxHashMap<Runner, (u64, usize)>,
    last: u64,
}

impl Calls {
    /// The call that an access is part of.
    pub(super) fn take(&mut self, view: &View) -> Option<Call> {
        let access = view.access().filter(|access| !access.coalesced)?;
        let key = (access.instruction, access.stack);
        if self.known.len() >= MOST {
            *self = Self { last: self.last, ..Self::default() };
        }
        let interrupts =
            view.context.is_some_and(|it| !matches!(it, Context::Task | Context::ThreadedHandler));
        let runner = (view.vcpu, interrupts);
        let ways = &mut self.ways;
        let at = *self.known.entry(key).or_insert_with(|| {
            ways.push(way(view)?);
            Some(ways.len() - 1)
        });
        let Some(at) = at else {
            self.current.remove(&runner);
            return None;
        };
        let way = &self.ways[at];
        let goes_on = |before: &Way| before.function == way.function && before.path < way.path;
        let current = self.current.entry(runner).or_insert((0, at));
        if current.0 == 0 || !goes_on(&self.ways[current.1]) {
            self.last += 1;
            current.0 = self.last;
        }
        current.1 = at;
        Some(Call { id: current.0, function: way.function, line: way.line, runner })
    }

    /// Records are missing.
    pub(super) fn lose(&mut self) {
        self.current.clear();
    }
}

fn way(view: &View) -> Option<Way> {
    let frames: Vec<Frame<'_>> = view.own_calls().filter(|frame| !frame.inlined).collect();
    let of_module = frames.iter().rposition(|frame| frame.module().is_some());
    let made = || frames.iter().position(|frame| !frame.accessor);
    let at = of_module.or_else(made)?;
    let name = frames[at].function?;
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    for frame in &frames[at + 1..] {
        (frame.address, frame.cr3).hash(&mut hasher);
    }
    view.callers().and_then(|callers| callers.process.as_ref()).map(|it| it.pid).hash(&mut hasher);
    let path: Vec<u64> = frames[..=at].iter().rev().map(|frame| frame.address).collect();
    let function = hasher.finish();
    Some(Way { function, line: line(view, &frames).unwrap_or_else(|| hash(&path)), path })
}

/// The line of code that makes the access, and what it is called by.
fn line(view: &View, frames: &[Frame<'_>]) -> Option<u64> {
    let made = view.made().filter(|made| made.by.line.is_some())?;
    let within = view.own_calls_to_maker().filter(|call| !call.inlined).count();
    let callers: Vec<_> = frames.iter().skip(within).map(|frame| frame.address).collect();
    Some(hash(&(made.describe(), callers)))
}

fn hash(it: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    it.hash(&mut hasher);
    hasher.finish()
}
