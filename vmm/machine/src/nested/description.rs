//! What is kept, as its keeper is told and tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The hidden command that keeps a machine.
pub const KEEPER: &str = "nested-keeper";
/// What a keeper says to whoever started it once the machine boots.
pub const READY: &str = "ready";

/// What makes two machines the same, each by the option that says it.
pub type Hardware = Vec<(String, String)>;

/// What to keep, and where.
#[derive(Serialize, Deserialize)]
pub struct Keep {
    /// What it is.
    pub hardware: Hardware,
    /// The machine's folder, which holds its initramfs; the lock on it is standard input.
    pub folder: PathBuf,
    /// The kernel that it boots.
    pub kernel: PathBuf,
    /// Its memory in MiB.
    pub memory: u64,
    /// Where those come who want a turn.
    pub socket: PathBuf,
    /// After how many seconds without a turn it ends.
    pub idle: u64,
}

/// What it says to whoever comes.
#[derive(Serialize, Deserialize)]
pub struct Hello {
    /// What the machine is.
    pub hardware: Hardware,
    /// The machine's folder.
    pub folder: PathBuf,
}
