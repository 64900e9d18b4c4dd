//! `--nested`: runs the command in a virtual machine whose processor has AMD-V, emulated in software, and
//! whose KVM is therefore kvm-amd: for a host that has no KVM, or one that can't run the guest.

mod error;
mod folder;
mod growing;
mod image;
pub mod init;
pub mod libraries;
mod link;
mod outputs;
mod patience;
mod qemu;
mod screen;
mod task;
mod visit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use barscope_vmm::debian;

pub use self::error::Error;
use self::folder::Folder;
use self::image::Errand;
use self::outputs::Outputs;
use self::patience::Patience;
use self::qemu::Qemu;
use self::task::Output;
use self::visit::Visit;
use crate::args::{Guest, Nested, Run};
use crate::ending::Failure;
use crate::linux;
use crate::signals::Signals;

/// Memory for a program of which nothing is known, in MiB.
const PROGRAM_MIB: u64 = 1024;

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
        outputs: outputs(args),
        memory_mib: args.memory_mib(),
    };
    let limit = Some(args.time_limit());
    let folder = folder()?;
    if args.guest != Guest::Linux || args.initrd.is_some() {
        return send(errand, folder, limit, args.quiet);
    }
    // Before the longer way.
    qemu()?;
    // What goes into the guest is put together here, where compiler, headers and programs are.
    let guest = linux::Guest::prepare(args)?;
    let system = |what| move |source| Error::System { what, source };
    let (archive, _) = folder.file("guest").map_err(system("a file for the guest"))?;
    guest.archive_to(&archive)?;
    // Programs are named still: how many there are is shown.
    errand.arguments = without(errand.arguments, &["--kernel", "--module", "--firmware"]);
    let firmware = if args.has_firmware() { "on" } else { "off" };
    errand.arguments.extend(["--firmware".into(), firmware.into()]);
    for (option, path) in [("--kernel", guest.kernel.as_path()), ("--initrd", archive.as_path())] {
        errand.arguments.extend([option.into(), path.into()]);
    }
    errand.inputs = args.expect.iter().map(PathBuf::as_path).collect();
    errand.inputs.extend([guest.kernel.as_path(), archive.as_path()]);
    send(errand, folder, limit, args.quiet)
}

/// The files that the options name for what the command makes.
fn outputs(args: &Run) -> Vec<Output> {
    let output = |path: &Path| Output { path: path.to_owned(), is_trace: path == args.trace };
    args.outputs().into_iter().map(output).collect()
}

fn folder() -> Result<Folder, Error> {
    Folder::new().map_err(|source| Error::System { what: "a folder for the virtual machine", source })
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
    send(errand, folder()?, None, true)
}

/// Runs an errand in a machine that has this folder, and its command no more than this time.
fn send(errand: Errand<'_>, folder: Folder, limit: Option<Duration>, quiet: bool) -> Result<u8, Failure> {
    let mut signals = Signals::catch().map_err(|source| Error::System { what: "signals", source })?;
    let qemu = qemu()?;
    let kernel =
        debian::kernel().ok_or(Error::Missing { what: "Debian's kernel linux-image-cloud-amd64" })?;
    for output in &errand.outputs {
        check_folder(&output.path)?;
    }
    let outputs = Outputs::new(&errand.outputs);
    let memory = errand.memory_mib;
    let files = errand.pack(&kernel)?;
    if !quiet {
        eprintln!("nested: Debian's kernel {} boots in QEMU's emulated AMD-V processor", kernel.version);
    }
    let qemu = Qemu::start(qemu, &kernel, folder, &files, memory)?;
    let patience = Patience::new(limit, Instant::now());
    Visit::new(qemu, outputs, patience, quiet).attend(&mut signals)
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
