//! A command in a virtual machine whose processor has AMD-V, emulated in software, and
//! whose KVM is therefore kvm-amd: for a host that has no KVM, or one that can't run the guest.

mod description;
mod error;
mod folder;
mod growing;
mod image;
pub mod init;
mod keeper;
mod kept;
mod link;
mod outputs;
mod patience;
mod qemu;
mod screen;
mod task;
mod visit;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::debian;

pub use self::description::Hardware;
pub use self::error::Error;
pub use self::folder::Folder;
pub use self::image::Errand;
pub use self::keeper::keep;
pub use self::kept::{play, stop};
use self::outputs::Outputs;
use self::patience::Patience;
use self::qemu::Qemu;
pub use self::task::Order;
pub use self::task::Output;
use self::visit::Visit;

/// How somebody looks on at a command in its virtual machine.
#[derive(Clone, Copy, Default)]
pub struct Watcher {
    /// How long the command itself may take.
    pub limit: Option<Duration>,
    /// Nothing is told of the machine.
    pub quiet: bool,
    /// The machine was there already.
    pub is_kept: bool,
    /// Called before something is printed to standard output.
    pub before_printing: Option<fn()>,
}

/// Runs an errand in a machine that has this folder. Signals come from `signals`; the command gets them. Gives its exit
/// code, or `None` if a signal ended the machine.
///
/// # Errors
/// [`Error`] if there is no machine to run it in, or no answer.
pub fn run(
    errand: &Errand<'_>,
    folder: Folder,
    watcher: Watcher,
    signals: &mut dyn FnMut() -> Option<i32>,
) -> Result<Option<u8>, Error> {
    let qemu = qemu()?;
    let kernel = kernel(errand.kernel.as_deref())?;
    for output in &errand.outputs {
        check_folder(&output.path)?;
    }
    let outputs = Outputs::new(&errand.outputs);
    let memory = errand.memory_mib + qemu::pack(&errand.pack(&kernel)?, &folder)?;
    tell_boot(&kernel, &watcher);
    let began = Instant::now();
    let qemu = Qemu::start(qemu, &kernel.image, folder, memory)?;
    let patience = Patience::new(watcher.limit, began);
    Visit::new(Box::new(qemu), outputs, patience, watcher, began).attend(errand.stdin.as_ref(), signals)
}

fn tell_boot(kernel: &debian::Kernel, watcher: &Watcher) {
    if !watcher.quiet {
        eprintln!("nested: Debian's kernel {} boots in QEMU's emulated AMD-V processor", kernel.version);
    }
}

/// Whether there is a QEMU, before a long way.
///
/// # Errors
/// [`Error::Missing`] if not.
pub fn check() -> Result<(), Error> {
    qemu().map(drop)
}

fn kernel(version: Option<&str>) -> Result<debian::Kernel, Error> {
    match version {
        None => debian::kernel().ok_or(Error::Missing { what: "Debian's kernel linux-image-cloud-amd64" }),
        Some(version) => {
            debian::kernel_of(version).ok_or_else(|| Error::NoKernel { version: version.to_owned() })
        }
    }
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
