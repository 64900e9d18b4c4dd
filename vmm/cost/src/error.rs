//! Why something can't be measured.

use std::io;

use barscope_vmm::{HostError, MachineError};

/// Why something can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our machine can't be built.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// An ioctl of the bare loop failed.
    #[error("the bare loop: KVM refuses")]
    Kvm(#[from] kvm_ioctls::Error),
    /// There is no memory for the bare loop's guest.
    #[error("the bare loop: no memory for its guest")]
    Memory(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A guest did something else than its loop.
    #[error("the benchmark's guest did not come to its end in {machine}: {what}")]
    Guest {
        /// What it ran in.
        machine: &'static str,
        /// What became of it.
        what: String,
    },
    /// A guest can't be assembled.
    #[error("the benchmark's guest can't be assembled")]
    Assemble(#[from] iced_x86::IcedError),
    /// A guest's file can't be written.
    #[error("the benchmark's guest can't be written")]
    Write(#[from] object::write::Error),
    /// A guest's file can't be read back.
    #[error("the benchmark's guest can't be read")]
    Read(#[from] object::read::Error),
    /// A trace can't be read.
    #[error(transparent)]
    Trace(#[from] barscope_trace::ReadError),
    /// The workload of readers can't be written.
    #[error(transparent)]
    Store(#[from] barscope_trace::WriteError),
    /// What holds of the workload of readers doesn't.
    #[error("the workload of readers is not as it ought to be: {0}")]
    Workload(String),
    /// A row can't be printed.
    #[error("can't print")]
    Print(#[source] io::Error),
    /// The system refuses something.
    #[error("{what}")]
    System {
        /// What.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// For what the system refuses.
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
