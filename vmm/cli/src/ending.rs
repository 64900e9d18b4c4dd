//! How a run ended, in words and as an exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use barscope_analysis::diff::DiffError;
use barscope_analysis::golden::BlessError;
use barscope_analysis::symbols::Symbols;
use barscope_analysis::view::disassemble;
use barscope_device::BadPlace;
use barscope_trace::{Definitions, WriteError};
use barscope_vmm::session::GuestError;
use barscope_vmm::{BootError, HostError, MachineError, Place, Stop, linux, nested, signal_name};

use crate::output::complain;

/// What a report of a bug needs.
const BACKTRACE: &str = "what RUST_BACKTRACE=1 adds to it";

/// Where a processor starts.
const RESET_VECTOR: u64 = 0xffff_fff0;

/// Exit codes of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything that ran passed.
    Passed = 0,
    /// A scenario or the guest failed.
    Failed = 1,
    /// The command line, or a file that it names, is wrong.
    Usage = 2,
    /// The host can't.
    Host = 3,
    /// An expectation neither held nor failed: the trace can't tell.
    Inconclusive = 4,
    /// Ctrl-C, as shells count it.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// The host's troubles and the user's come before the guest's, and what failed before what is open.
pub fn worst(codes: &[Code]) -> Code {
    let order = [Code::Host, Code::Usage, Code::Interrupted, Code::Failed, Code::Inconclusive];
    order.into_iter().find(|code| codes.contains(code)).unwrap_or(Code::Passed)
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
    /// A guest's file can't be read, or Linux not be put together.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A file that the command line names can't be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A filter, an expectation, a description or the name of a lint says something that can't be understood.
    #[error("{0}")]
    Diagnostic(String),
    /// What is asked of a device doesn't suit it.
    #[error("{0}")]
    Devices(String),
    /// A report can't be written.
    #[error("cannot write {}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there that the command didn't write.
    #[error("{} is no {what}; --force replaces it all the same", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it would become.
        what: &'static str,
    },
    /// A packed trace whose name doesn't say what it should be called without.
    #[error("{} doesn't end in .pack: say where to write the trace, with -o FILE", path.display())]
    NoName {
        /// The file.
        path: PathBuf,
    },
    /// Standard output is a terminal, and what should go there is no text.
    #[error("{what} is no text for a terminal; write it to a file: -o FILE")]
    Binary {
        /// What it is.
        what: &'static str,
    },
    /// What isn't modelled is asked for as a page.
    #[error("--unmodelled prints text or JSON, no Markdown")]
    Unmodelled,
    /// The guest has no such scenario.
    #[error("this guest has no scenario {name}; --list-scenarios names those that it has")]
    Scenario {
        /// What was asked for.
        name: String,
    },
    /// An option that this guest has no use for.
    #[error("{option} goes with --guest linux only")]
    LinuxOnly {
        /// The option.
        option: &'static str,
    },
    /// More first file systems than Linux takes.
    #[error("--guest linux takes one --initrd; several are modules of a multiboot --kernel")]
    OneInitrd,
    /// A machine of this host's isn't kept.
    #[error("--keep goes with --nested only: without it there is no machine around the guest to keep")]
    KeepNested,
    /// There is no Linux guest to boot.
    #[error(transparent)]
    Linux(#[from] linux::Error),
    /// More devices than a bus has places.
    #[error(
        "more devices than bus 00 has places for; give some of them functions: --device NAME,bdf=00:04.1"
    )]
    BusFull,
    /// A device whose functions have no place.
    #[error(transparent)]
    Place(#[from] BadPlace),
    /// A scenario that the machine, as asked for, can't play.
    #[error("{scenario} needs {option}")]
    Needs {
        /// The scenario's name.
        scenario: &'static str,
        /// The option that gives what it needs.
        option: &'static str,
    },
    /// `--nested` has no machine, or no answer from it.
    #[error(transparent)]
    Nested(nested::Error),
    /// The trace can't be read back.
    #[error(transparent)]
    Read(#[from] barscope_trace::ReadError),
    /// Traces can't be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A golden can't be made of a trace.
    #[error(transparent)]
    Bless(#[from] BlessError),
    /// There is no golden yet.
    #[error("{0}: there is no such golden; `barscope bless TRACE -o {0}` writes it", path.display())]
    NoGolden {
        /// The file.
        path: PathBuf,
    },
    /// What is to be replaced is something else.
    #[error("{} is no golden: barscope doesn't replace it; remove it, or choose another name", path.display())]
    NotAGolden {
        /// The file.
        path: PathBuf,
    },
    /// A record can't be explained.
    #[error(transparent)]
    Explain(#[from] barscope_analysis::explain::ExplainError),
    /// Something can't be measured.
    #[error(transparent)]
    Cost(barscope_cost::Error),
    /// The thread that prints is gone.
    #[error(
        "the thread that prints ended without an answer: please report it, with the command and {BACKTRACE}"
    )]
    Lost,
    /// Standard output can't be written.
    #[error("can't print")]
    Print(#[from] io::Error),
}

impl Failure {
    /// The same, with the step that led to it.
    pub fn at(self, step: &str) -> Self {
        match self {
            Failure::Diagnostic(why) => Failure::Diagnostic(format!("{step:?}: {why}")),
            other => other,
        }
    }

    /// The exit code that it ends with.
    pub fn code(&self) -> Code {
        if lacks(self) {
            return Code::Host;
        }
        match self {
            Failure::Machine(MachineError::Host(error)) | Failure::Host(error) => host_code(error),
            Failure::Machine(MachineError::Boot { source: BootError::Structure { .. }, .. }) => Code::Host,
            Failure::Machine(_)
            | Failure::Guest(GuestError::File { .. })
            | Failure::File { .. }
            | Failure::Diagnostic(_)
            | Failure::Devices(_)
            | Failure::Report { .. }
            | Failure::Foreign { .. }
            | Failure::Binary { .. }
            | Failure::NoName { .. }
            | Failure::Explain(_)
            | Failure::BusFull
            | Failure::Place(_)
            | Failure::Scenario { .. }
            | Failure::Unmodelled
            | Failure::LinuxOnly { .. }
            | Failure::NoGolden { .. }
            | Failure::NotAGolden { .. }
            | Failure::OneInitrd
            | Failure::KeepNested
            | Failure::Needs { .. } => Code::Usage,
            Failure::Nested(error) => nested_code(error),
            Failure::Linux(error) | Failure::Guest(GuestError::Linux(error)) => linux_code(error),
            // A reader that has seen enough (`| head`).
            Failure::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => Code::Passed,
            Failure::Bless(BlessError::Incomplete { .. }) => Code::Inconclusive,
            Failure::Read(_) | Failure::Diff(_) | Failure::Bless(_) => Code::Usage,
            Failure::Cost(_) | Failure::Lost | Failure::Print(_) => Code::Host,
        }
    }
}

impl From<barscope_cost::Error> for Failure {
    fn from(error: barscope_cost::Error) -> Self {
        match error {
            barscope_cost::Error::Print(source) => Failure::Print(source),
            error => Failure::Cost(error),
        }
    }
}

impl From<nested::Error> for Failure {
    fn from(error: nested::Error) -> Self {
        match error {
            nested::Error::Print(source) => Failure::Print(source),
            error => Failure::Nested(error),
        }
    }
}

/// Files that a user named are his to mend; what isn't installed is the host's.
fn linux_code(error: &linux::Error) -> Code {
    use linux::Error::{
        Kernel, Libraries, NeedsModule, NoInterpreter, NoProgram, NoSuchKernel, NoVersion, Pack, Tree,
    };
    match error {
        Libraries { .. } | NoProgram { .. } | NoInterpreter { .. } | NeedsModule { .. } => Code::Usage,
        Pack(_) | Kernel { .. } | NoSuchKernel { .. } | NoVersion { .. } | Tree { .. } => Code::Usage,
        _ => Code::Host,
    }
}

/// The same of what the virtual machine needs.
fn nested_code(error: &nested::Error) -> Code {
    use nested::Error::{Busy, Late, Libraries, NoKernel, Output, Pack, Place};
    match error {
        Libraries { .. } | Pack(_) | Output { .. } | NoKernel { .. } | Busy | Place { .. } => Code::Usage,
        // As when the command itself finds out.
        Late => Code::Failed,
        _ => Code::Host,
    }
}

/// Whether the system has too little of something: whoever wrote the command line can't mend that there.
fn lacks(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let number = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    let lacking =
        [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EIO];
    number.is_some_and(|number| lacking.contains(&number))
}

/// A trace path that can't be written is the user's to mend, everything else the host's.
fn host_code(error: &HostError) -> Code {
    use WriteError::{Create, Foreign, InUse, Limit, NoFile};
    match error {
        HostError::Trace(Create { .. } | InUse { .. } | Foreign { .. } | NoFile { .. } | Limit { .. }) => {
            Code::Usage
        }
        _ => Code::Host,
    }
}

/// What a stop means for the exit code, and what to say about it.
pub fn explain(stop: &Stop, places: &[Place], definitions: &Definitions) -> (Code, Option<String>) {
    let at = |place: &Place| describe(place, definitions);
    let everywhere = || places.iter().map(|place| format!("\n  {}", at(place))).collect::<String>();
    let (code, text) = match stop {
        Stop::Exit { status: 0 } | Stop::PowerOff => return (Code::Passed, None),
        Stop::Exit { status } => (Code::Failed, format!("the guest ended with status {status}")),
        Stop::DebugExit { status } => {
            let why = format!("the guest ended with status {status} by isa-debug-exit, as QEMU counts");
            (Code::Failed, format!("{why}; add --exit-status kvm-unit-tests if {} is meant", status >> 1))
        }
        Stop::Reset => (Code::Failed, "the guest reset the machine".to_owned()),
        Stop::TripleFault(place) => {
            let hint = "triple fault: an exception without a handler, or a stack that isn't mapped";
            let place = if place.rip == RESET_VECTOR {
                "where is lost, since kvm-amd resets the vCPU; the last records show how far the guest came"
                    .to_owned()
            } else {
                at(place)
            };
            (Code::Failed, format!("{hint}\n  {place}"))
        }
        Stop::Halted(place) => {
            let why = "the guest halted with interrupts off: nothing can wake it";
            (Code::Failed, format!("{why}\n  {}", at(place)))
        }
        Stop::Timeout => {
            let why = "the guest did not end in time; give it longer with --timeout S, or look where it is:";
            (Code::Failed, format!("{why}{}", everywhere()))
        }
        Stop::TraceLimit { path, limit } => {
            (Code::Failed, WriteError::Limit { path: path.clone(), limit: *limit }.to_string())
        }
        Stop::NotEmulated { place, suberror } => {
            let why = "KVM can't emulate this instruction here";
            (Code::Host, format!("{why} (KVM_EXIT_INTERNAL_ERROR, suberror {suberror})\n  {}", at(place)))
        }
        Stop::Unexpected { what, place } => (Code::Host, format!("{what}\n  {}", at(place))),
        // Who saw enough says why.
        Stop::Enough { .. } => (Code::Failed, String::new()),
        Stop::Interrupted { signal } => {
            let name = signal_name(*signal);
            (Code::Interrupted, format!("stopped by {name}, at{}", everywhere()))
        }
        Stop::Panicked { doing, message } => {
            let what = format!("barscope itself failed while it served {doing}: {message}");
            (
                Code::Host,
                format!(
                    "{what}\nThat is a bug of barscope: please report it, with the command and {BACKTRACE}"
                ),
            )
        }
        Stop::Host(error) => (host_code(error), with_sources(error)),
    };
    (code, Some(text).filter(|text| !text.is_empty()))
}

/// Tells on standard error why nothing ran or nothing more is shown; a reader of standard output that has seen enough
/// (`| head`) knows it.
pub fn tell(failure: &Failure) {
    if failure.code() != Code::Passed {
        complain(format_args!("error: {}", with_sources(failure)));
    }
}

/// An error and what led to it, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent errors say what their source says.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn describe(place: &Place, definitions: &Definitions) -> String {
    let Place { vcpu, rip, cr3, bytes, bitness } = place;
    let symbol = Symbols::default().address(definitions, *rip, *cr3);
    let whose = symbol.map_or_else(|| "no known function".to_owned(), |symbol| symbol.to_string());
    let text = if bytes.is_empty() {
        "not mapped".to_owned()
    } else {
        let hex: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}  [{}]", disassemble(bytes, *rip, *bitness), hex.join(" "))
    };
    format!("vCPU {vcpu} at {rip:016x}  {whose}  {text}")
}
