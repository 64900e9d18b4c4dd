//! `--nested`: runs the command in a virtual machine whose processor has AMD-V, emulated in software, and
//! whose KVM is therefore kvm-amd: for a host that has no KVM, or one that can't run the guest.

mod image;
pub mod init;
pub mod libraries;
mod link;
mod qemu;
mod task;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use vmm::debian;
use vmm::initramfs::PackError;

use crate::args::{Guest, Nested, Run};
use crate::ending::{Code, Failure};
use crate::linux;
use crate::signals::Signals;
use image::Errand;
use link::Message;
use qemu::Qemu;

/// How long the machine may take to boot: five seconds where nothing else runs.
const BOOT: Duration = Duration::from_secs(180);
/// How long a command may take to end once it has got a signal.
const LEAVE: Duration = Duration::from_secs(30);
/// How often signals are looked for.
const TURN: Duration = Duration::from_millis(50);
/// Memory for a program of which nothing is known, in MiB.
const PROGRAM_MIB: u64 = 1024;

/// Why there is no virtual machine, or no answer from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something isn't installed.
    #[error("--nested needs {what}; `cargo xtask setup` provides it")]
    Missing {
        /// What it is.
        what: &'static str,
    },
    /// The kernel lacks a module.
    #[error("Debian's kernel {kernel} has no module {module}; `cargo xtask setup` provides one that has")]
    NoModule {
        /// The module.
        module: String,
        /// The kernel's version.
        kernel: String,
    },
    /// A program's libraries can't be found.
    #[error("{}", program.display())]
    Libraries {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file that the command made can't be written here.
    #[error("{}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host lacks something else.
    #[error("{what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The machine didn't come up in time.
    #[error("the virtual machine did not come up in {} s: {said}", BOOT.as_secs())]
    Boot {
        /// Its console.
        said: String,
    },
    /// The machine ended by itself.
    #[error("the virtual machine ended without an answer: {said}")]
    Ended {
        /// Its console.
        said: String,
    },
    /// The command can't be started there.
    #[error("can't be started in the virtual machine: {why}")]
    NotStarted {
        /// What the system said there.
        why: String,
    },
}

impl Error {
    /// The exit code that it ends with.
    pub fn code(&self) -> Code {
        match self {
            Error::Libraries { .. } | Error::Pack(_) | Error::Output { .. } => Code::Usage,
            _ => Code::Host,
        }
    }
}

/// Runs `barscope run` there, with the same options; gives its exit code.
///
/// # Errors
/// [`Failure`] if there is no machine to run it in, or no answer.
pub fn run(args: &Run) -> Result<u8, Failure> {
    // There it is the only file.
    crate::run::check_trace(args)?;
    let mut errand = Errand {
        program: None,
        arguments: std::env::args_os().skip(1).filter(|argument| argument != "--nested").collect(),
        inputs: args.inputs(),
        outputs: args.outputs(),
        memory_mib: args.memory_mib(),
    };
    if args.guest != Guest::Linux || args.initrd.is_some() {
        return send(errand, args.quiet);
    }
    // Before the longer way.
    qemu()?;
    // What goes into the guest is put together here, where compiler, headers and programs are.
    let guest = linux::Guest::prepare(args)?;
    let system = |what| move |source| Error::System { what, source };
    let archive = NamedTempFile::with_prefix("barscope-").map_err(system("a file for the guest"))?;
    guest.archive_to(archive.path())?;
    // Programs are named still: how many there are is shown.
    errand.arguments = without(errand.arguments, &["--kernel", "--module", "--firmware"]);
    let firmware = if args.has_firmware() { "on" } else { "off" };
    errand.arguments.extend(["--firmware".into(), firmware.into()]);
    for (option, path) in [("--kernel", guest.kernel.as_path()), ("--initrd", archive.path())] {
        errand.arguments.extend([option.into(), path.into()]);
    }
    errand.inputs = args.expect.iter().map(PathBuf::as_path).collect();
    errand.inputs.extend([guest.kernel.as_path(), archive.path()]);
    send(errand, args.quiet)
}

/// The arguments without these options and their values.
fn without(arguments: Vec<OsString>, options: &[&str]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if options.iter().any(|option| text == *option) {
            arguments.next();
        } else if !options.iter().any(|option| text.starts_with(&format!("{option}="))) {
            kept.push(argument);
        }
    }
    kept
}

/// Runs any program there; gives its exit code.
///
/// # Errors
/// [`Failure`] if there is no machine to run it in, or no answer.
pub fn program(args: &Nested) -> Result<u8, Failure> {
    let errand = Errand {
        program: Some(&args.program),
        arguments: args.arguments.clone(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        memory_mib: PROGRAM_MIB,
    };
    send(errand, true)
}

fn send(errand: Errand<'_>, quiet: bool) -> Result<u8, Failure> {
    let mut signals = Signals::catch().map_err(|source| Error::System { what: "signals", source })?;
    let qemu = qemu()?;
    let kernel =
        debian::kernel().ok_or(Error::Missing { what: "Debian's kernel linux-image-cloud-amd64" })?;
    let outputs: Vec<PathBuf> = errand.outputs.iter().map(|&path| path.to_owned()).collect();
    for path in &outputs {
        check_folder(path)?;
    }
    let memory = errand.memory_mib;
    let files = errand.pack(&kernel)?;
    if !quiet {
        eprintln!("nested: Debian's kernel {} boots in QEMU's emulated AMD-V processor", kernel.version);
    }
    let qemu = Qemu::start(qemu, &kernel, &files, memory)?;
    Visit { qemu, outputs, file: None, stdout: true, started: None, quiet }.attend(&mut signals)
}

fn qemu() -> Result<Command, Error> {
    debian::qemu().ok_or(Error::Missing { what: "qemu-system-x86_64" })
}

/// Finds out before the long way that a file can't be written.
fn check_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let known = folder.metadata().map(drop);
    known.map_err(|source| Error::Output { path: path.to_owned(), source })
}

/// A command in its virtual machine.
struct Visit {
    qemu: Qemu,
    outputs: Vec<PathBuf>,
    /// The output that is arriving.
    file: Option<(PathBuf, File)>,
    /// Somebody still reads standard output.
    stdout: bool,
    /// When the command started.
    started: Option<Instant>,
    quiet: bool,
}

impl Visit {
    /// Passes on what comes and signals that are caught, until the command ends; gives its exit code.
    fn attend(&mut self, signals: &mut Signals) -> Result<u8, Failure> {
        let began = Instant::now();
        let mut leaving: Option<Instant> = None;
        loop {
            match self.qemu.messages.recv_timeout(TURN) {
                Ok(Ok(message)) => {
                    if let Some(code) = self.take(message, began)? {
                        return Ok(code);
                    }
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Ended { said: self.qemu.last_words() }.into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(signal) = signals.received() {
                // Before there is a command, and for one that doesn't listen, the machine itself ends.
                let gone = self.started.is_none() || leaving.is_some() || self.qemu.signal(signal).is_err();
                if gone {
                    return Ok(Code::Interrupted as u8);
                }
                leaving = Some(Instant::now());
            }
            if leaving.is_some_and(|since| since.elapsed() > LEAVE) {
                return Ok(Code::Interrupted as u8);
            }
            if self.started.is_none() && began.elapsed() > BOOT {
                return Err(Error::Boot { said: self.qemu.last_words() }.into());
            }
        }
    }

    /// Deals with a message; gives the exit code if it is the last one.
    fn take(&mut self, message: Message, began: Instant) -> Result<Option<u8>, Failure> {
        match message {
            Message::Started => {
                self.started = Some(Instant::now());
                if !self.quiet {
                    eprintln!("nested: up after {} s", began.elapsed().as_secs());
                }
            }
            Message::NotStarted(why) => return Err(Error::NotStarted { why }.into()),
            Message::Stdout(bytes) => self.print(&bytes)?,
            // Nobody to tell if it fails.
            Message::Stderr(bytes) => drop(io::stderr().write_all(&bytes)),
            Message::File(index) => {
                let path = self.outputs.get(index as usize).cloned().unwrap_or_default();
                let file = File::create(&path);
                let file = file.map_err(|source| Error::Output { path: path.clone(), source })?;
                self.file = Some((path, file));
            }
            Message::Content(bytes) => {
                if let Some((path, file)) = &mut self.file {
                    let written = file.write_all(&bytes);
                    written.map_err(|source| Error::Output { path: path.clone(), source })?;
                }
            }
            Message::Ended(code) => return Ok(Some(code)),
            Message::Signal(_) => {}
        }
        Ok(None)
    }

    /// A reader that has seen enough (`| head`) ends the printing, not the run.
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.stdout {
            return Ok(());
        }
        if linux::is_shown() {
            // What the command shows of its progress may be on this line.
            linux::clear();
        }
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.stdout = false;
                Ok(())
            }
            other => other,
        }
    }
}
