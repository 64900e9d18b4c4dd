//! How a run ended, in words and as an exit code.

use trace::End;
use vmm::{BootError, HostError, MachineError, Place, Stop};

/// Exit codes of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything that ran passed.
    Passed = 0,
    /// A scenario, an expectation or the guest failed.
    Failed = 1,
    /// The command line or a file that it names is wrong.
    Usage = 2,
    /// The host can't.
    Host = 3,
    /// Ctrl-C, as shells count it.
    Interrupted = 130,
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why nothing ran, or nothing could be shown.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine can't be built.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The host failed while it ran.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The kernel's file can't be read.
    #[error("{}: {source}; --kernel takes a 64-bit ELF file with a PVH note, like vmlinux", path.display())]
    Kernel {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More devices than a bus has places.
    #[error("more devices than bus 00 has places")]
    BusFull,
    /// The trace can't be read back.
    #[error(transparent)]
    Read(#[from] trace::ReadError),
    /// Nobody reads what is printed.
    #[error("can't print: {0}")]
    Print(#[from] std::io::Error),
}

impl Failure {
    /// The exit code that it ends with.
    pub fn code(&self) -> Code {
        match self {
            Failure::Machine(MachineError::Host(error)) | Failure::Host(error) => host_code(error),
            Failure::Machine(MachineError::Boot { source: BootError::Structure { .. }, .. }) => Code::Host,
            Failure::Machine(_) | Failure::Kernel { .. } | Failure::BusFull => Code::Usage,
            Failure::Read(_) | Failure::Print(_) => Code::Host,
        }
    }
}

/// A trace path that can't be written is the user's to mend, everything else the host's.
fn host_code(error: &HostError) -> Code {
    match error {
        HostError::Trace(trace::WriteError::Create { .. } | trace::WriteError::InUse { .. }) => Code::Usage,
        _ => Code::Host,
    }
}
