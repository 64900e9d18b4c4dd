//! Why a machine stopped.

use std::path::PathBuf;

use barscope_trace::{End, WriteError};
use signal_hook::low_level;

use crate::host::HostError;

/// Why a machine stopped.
#[derive(Debug)]
pub enum Stop {
    /// The guest said that it is done.
    Exit {
        /// 0 if all went well for it.
        status: u64,
    },
    /// The guest ended by `isa-debug-exit`, and nobody said what its status means.
    DebugExit {
        /// As QEMU ends: 2 * value + 1.
        status: u64,
    },
    /// The guest asked for a reset.
    Reset,
    /// The guest switched itself off.
    PowerOff,
    /// A fault while handling a double fault, at this place.
    TripleFault(Place),
    /// It halted with interrupts off: nothing wakes it any more.
    Halted(Place),
    /// KVM can't emulate an instruction.
    NotEmulated {
        /// Where.
        place: Place,
        /// KVM's suberror, 1 for an emulation failure.
        suberror: u32,
    },
    /// KVM can't enter the guest, or gave an exit that barscope doesn't know.
    Unexpected {
        /// What KVM said.
        what: String,
        /// Where.
        place: Place,
    },
    /// It took longer than it may.
    Timeout,
    /// The trace is as long as it may become.
    TraceLimit {
        /// The trace.
        path: PathBuf,
        /// Its limit in bytes.
        limit: u64,
    },
    /// Somebody asked for it, with this signal.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// Whoever looks on has seen enough.
    Enough {
        /// Why.
        why: String,
    },
    /// A part of barscope failed.
    Panicked {
        /// What it was doing.
        doing: String,
        /// The panic's message.
        message: String,
    },
    /// The host can't go on: a trace that can't be written, an ioctl that failed.
    Host(HostError),
}

/// Where a vCPU was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which vCPU.
    pub vcpu: u8,
    /// Linear address of the instruction.
    pub rip: u64,
    /// The address space: CR3 without its flags.
    pub cr3: u64,
    /// The bytes there, as many as could be read, 15 at most.
    pub bytes: Vec<u8>,
    /// Width of the code: 16, 32 or 64.
    pub bitness: u32,
}

/// What people call a signal.
pub fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGINT => "Ctrl-C".to_owned(),
        other => low_level::signal_name(other).map_or_else(|| format!("signal {other}"), str::to_owned),
    }
}

impl From<HostError> for Stop {
    /// A trace at its limit is whole, and nothing failed.
    fn from(error: HostError) -> Self {
        match error {
            HostError::Trace(WriteError::Limit { path, limit }) => Stop::TraceLimit { path, limit },
            error => Stop::Host(error),
        }
    }
}

impl Stop {
    /// What the trace's header says of its end.
    pub fn end(&self) -> End {
        match self {
            Stop::Exit { .. } | Stop::DebugExit { .. } | Stop::Reset | Stop::PowerOff => End::Finished,
            Stop::Timeout => End::Interrupted("the time limit was reached".to_owned()),
            Stop::TraceLimit { .. } => End::Interrupted("the trace reached its limit".to_owned()),
            Stop::Interrupted { signal } => End::Interrupted(signal_name(*signal)),
            Stop::Enough { why } => End::Interrupted(why.clone()),
            Stop::TripleFault(place) => End::Failed(format!("triple fault at {:#x}", place.rip)),
            Stop::Halted(place) => End::Failed(format!("halted for good at {:#x}", place.rip)),
            Stop::NotEmulated { place, .. } => End::Failed(format!("not emulated at {:#x}", place.rip)),
            Stop::Unexpected { what, .. } => End::Failed(what.clone()),
            Stop::Panicked { message, .. } => End::Failed(format!("barscope failed: {message}")),
            Stop::Host(error) => End::Failed(error.to_string()),
        }
    }
}
