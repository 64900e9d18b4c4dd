//! Threads as records of entries know them: whose they are, what they are called, which page fault they are in.

use barscope_trace::event::{Counted, EventKind, Id};
use rustc_hash::FxHashMap;

use super::record::{Fault, Record, What};

/// The most threads that are remembered.
const MOST: usize = 1 << 16;
/// Our first process, whose threads were there before.
const NAME: &str = "init";

/// Threads by their numbers.
#[derive(Debug, Default)]
pub struct Threads(FxHashMap<u32, Thread>);

/// A thread.
#[derive(Debug)]
struct Thread {
    name: String,
    /// Definition of its process, once something was recorded of it.
    definition: Option<Id>,
    fault: Option<Fault>,
}

/// Something to record, of a process that is to be defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An entry by a system call.
    SystemCall {
        /// Its number.
        number: u32,
    },
    /// An entry by a page fault.
    Fault(Fault),
    /// A page fault that was resolved.
    Resolved(Fault),
    /// A page fault that wasn't.
    Fatal(Fault),
}

impl Event {
    /// As it is recorded.
    pub fn kind(self, process: Id) -> EventKind {
        let (what, fault, call) = match self {
            Self::SystemCall { number } => (Counted::KernelEntries, None, Some(number.into())),
            Self::Fault(fault) => (Counted::KernelEntries, Some(fault), None),
            Self::Resolved(fault) => (Counted::FaultResolved, Some(fault), None),
            Self::Fatal(fault) => (Counted::FaultFatal, Some(fault), None),
        };
        let Fault { address, rip, error_code } = fault.unwrap_or(Fault { address: 0, rip: 0, error_code: 0 });
        EventKind::Count { what, value: 1, address, error_code, rip, process, call }
    }
}

impl Threads {
    /// Takes a record; what is to be recorded of its thread, in this order.
    pub fn take(&mut self, record: &Record) -> [Option<Event>; 2] {
        match &record.what {
            What::SystemCall { number } => {
                [self.unresolved(record.thread), Some(Event::SystemCall { number: *number })]
            }
            What::Fault(fault) => {
                let before = self.thread(record.thread).fault.replace(*fault);
                [before.map(Event::Fatal), Some(Event::Fault(*fault))]
            }
            What::Resolved => {
                let fault = self.0.get_mut(&record.thread).and_then(|thread| thread.fault.take());
                [fault.map(Event::Resolved), None]
            }
            What::Named(name) => {
                let thread = self.thread(record.thread);
                (thread.name, thread.definition) = (name.clone(), None);
                [None, None]
            }
            What::Forked { parent } => {
                let name = self.thread(*parent).name.clone();
                *self.thread(record.thread) = Thread { name, definition: None, fault: None };
                [None, None]
            }
            What::Ended => [self.unresolved(record.thread), None],
            What::Lost(_) => [None, None],
        }
    }

    /// The thread runs no more.
    pub fn forget(&mut self, thread: u32) {
        self.0.remove(&thread);
    }

    /// What the thread is called, and the definition that it has.
    pub fn known(&mut self, thread: u32) -> (&str, &mut Option<Id>) {
        let Thread { name, definition, .. } = self.thread(thread);
        (name, definition)
    }

    /// Whether there are as many as are remembered: all are forgotten then.
    pub fn forget_too_many(&mut self) -> bool {
        let too_many = self.0.len() >= MOST;
        if too_many {
            self.0.clear();
        }
        too_many
    }

    /// The fault that the thread goes on after: nothing resolved it.
    fn unresolved(&mut self, thread: u32) -> Option<Event> {
        self.0.get_mut(&thread)?.fault.take().map(Event::Fatal)
    }

    /// All are made by our first process, or by those that it made.
    fn thread(&mut self, thread: u32) -> &mut Thread {
        self.0.entry(thread).or_insert_with(|| Thread {
            name: NAME.to_owned(),
            definition: None,
            fault: None,
        })
    }
}
