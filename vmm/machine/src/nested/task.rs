//! What the virtual machine is to do: a file in its initramfs, and turns that come later.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::link::CHUNK;

/// Where the file is.
const FILE: &str = "/task.json";

/// What it begins with.
#[derive(Serialize, Deserialize)]
pub struct Task {
    /// Kernel modules to load, in this order.
    pub modules: Vec<PathBuf>,
    /// What to do then; turns come by the port without one.
    pub order: Option<Order>,
}

/// A command, and what it leaves.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder that it starts in.
    pub folder: PathBuf,
    /// Whether something is typed for it; otherwise it reads nothing.
    pub reads: bool,
    /// Files that it makes, to be brought back while they grow.
    pub outputs: Vec<Output>,
}

/// An order in a machine that is kept. A command that goes on after one has its standard input for a socket: it says by a byte
/// there what its exit code would be, and gets the next order as a line.
#[derive(Serialize, Deserialize)]
pub struct Turn {
    /// The order.
    pub order: Order,
    /// Files that it reads and that come before it.
    pub inputs: Vec<PathBuf>,
    /// Nothing is told of the machine.
    pub quiet: bool,
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

impl Turn {
    /// It, for a message.
    ///
    /// # Errors
    /// If a path isn't UTF-8, or its command line too long.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self)?;
        if bytes.len() > CHUNK {
            return Err(io::Error::other("a command line that is too long for a machine that is kept"));
        }
        Ok(bytes)
    }

    /// Reads it, in the machine.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
