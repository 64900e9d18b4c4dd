//! The expectation files that hold the test kernel's scenarios, in `tests/expect`.

use std::path::Path;

use anyhow::{Context, Result};

/// The file for what needs `--cpus 2`.
pub const TWO_VCPUS: &str = "tests/expect/two-vcpus.expect";

/// The repository: files are named from there.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The files for what a machine has without being asked, from [`root`] on.
///
/// # Errors
/// If the folder can't be read.
pub fn files() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in root().join("tests/expect").read_dir()? {
        let name = entry?.file_name().into_string().ok().context("a name that isn't UTF-8")?;
        let file = format!("tests/expect/{name}");
        if file.ends_with(".expect") && file != TWO_VCPUS {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The file for a scenario of the Linux guest.
pub fn linux_file(scenario: &str) -> String {
    format!("tests/expect/linux/{scenario}.expect")
}
