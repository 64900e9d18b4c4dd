//! What the virtual machine is to do, as a file in its initramfs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// Where the file is.
const FILE: &str = "/task.json";

/// A command, and what it needs and leaves.
#[derive(Serialize, Deserialize)]
pub struct Task {
    /// Kernel modules to load, in this order.
    pub modules: Vec<PathBuf>,
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder that it starts in.
    pub folder: PathBuf,
    /// Files that it makes, to be brought back while they grow.
    pub outputs: Vec<Output>,
}

/// A file that a command makes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Output {
    /// Where it is, there and here.
    pub path: PathBuf,
    /// A trace changes in places; every other file only gets longer.
    pub is_trace: bool,
}

impl Task {
    /// Its place in the initramfs, and its content.
    ///
    /// # Errors
    /// If a path isn't UTF-8.
    pub fn file(&self) -> io::Result<(&'static Path, Vec<u8>)> {
        Ok((Path::new(FILE), serde_json::to_vec(self)?))
    }

    /// Reads it, in the machine.
    ///
    /// # Errors
    /// If it isn't there.
    pub fn read() -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(FILE)?)?)
    }
}
