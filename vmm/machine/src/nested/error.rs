//! Why `--nested` has no machine, or no answer from it.

use std::io;
use std::path::PathBuf;

use crate::initramfs::PackError;

use super::patience::{BEYOND, BOOT, SILENCE};

/// Why there is no virtual machine, or no answer from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something isn't installed.
    #[error("--nested needs {what}; `cargo xtask setup` provides it")]
    Missing {
        /// What it is.
        what: &'static str,
    },
    /// No kernel has this version.
    #[error("no kernel {version} here for the machine around; `barscope kernel` names those that are")]
    NoKernel {
        /// What was named.
        version: String,
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
    /// The machine is there, and silent.
    #[error("the virtual machine hangs: nothing was heard of it for {} s; it was ended: {said}", SILENCE.as_secs())]
    Silent {
        /// Its console.
        said: String,
    },
    /// The command didn't end in time, nor did it end the guest.
    #[error(
        "the guest did not end in time, and the virtual machine was ended from outside {} s later; give it \
         longer with --timeout S",
        BEYOND.as_secs()
    )]
    Late,
    /// Somebody else's turn.
    #[error("another turn is being played in the machine that is kept: wait for its end, or end it")]
    Busy,
    /// The folder for what is kept is no place for it.
    #[error("{}: is not a folder for you alone; name another by XDG_RUNTIME_DIR", path.display())]
    Place {
        /// The folder.
        path: PathBuf,
    },
    /// Whoever is to keep the machine can't.
    #[error("the machine that is to be kept can't be started: {why}")]
    Keeper {
        /// What it said.
        why: String,
    },
    /// Standard output can't be written.
    #[error("can't print")]
    Print(#[from] io::Error),
    /// The command can't be started there.
    #[error("can't be started in the virtual machine: {why}")]
    NotStarted {
        /// What the system said there.
        why: String,
    },
}
