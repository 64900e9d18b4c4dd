//! What the kernel shows of itself.

use std::{fs, io};

use crate::system;

/// Kinds of file systems, and where they are below a root.
const MOUNTS: [(&str, &str); 4] =
    [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev"), ("tracefs", "sys/kernel/tracing")];

/// Mounts what the kernel shows of itself, below a root.
///
/// # Errors
/// What the system said.
pub fn mount_below(root: &str) -> io::Result<()> {
    for (kind, target) in MOUNTS {
        let target = format!("{root}{target}");
        fs::create_dir_all(&target)?;
        system::mount_kind(kind, &target)
            .map_err(|error| io::Error::new(error.kind(), format!("{target}: {error}")))?;
    }
    Ok(())
}
