//! What code in this guest is called, told to the bench.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use barscope_guest_abi::linux::SYSTEM_MAP;

use crate::bench;

/// Variables that say where parts of the address space are, the list of modules, tasks, types and unwind tables.
const VARIABLES: [&str; 13] = [
    "page_offset_base",
    "vmalloc_base",
    "modules",
    "init_task",
    "current_task",
    "pcpu_hot",
    "__per_cpu_offset",
    "__start_BTF",
    "__stop_BTF",
    "__start_orc_unwind",
    "__stop_orc_unwind",
    "__start_orc_unwind_ip",
    "__stop_orc_unwind_ip",
];

/// The kernel's functions, and this program's own.
///
/// # Errors
/// What the system said.
pub fn tell_kernel() -> io::Result<()> {
    bench::image("init", &fs::read("/proc/self/exe")?);
    // A kernel may be built without the first, and most travel without the second.
    let there = |path| File::open(path).map_or_else(absent, wanted);
    bench::symbols(&there("/proc/kallsyms")?, &there(SYSTEM_MAP)?);
    Ok(())
}

fn absent(error: io::Error) -> io::Result<Vec<u8>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) }
}

/// Functions, variables that matter, and what tells where the kernel was moved to.
fn wanted(symbols: File) -> io::Result<Vec<u8>> {
    let mut wanted = Vec::new();
    for line in BufReader::new(symbols).lines() {
        let line = line?;
        let mut words = line.split_whitespace().skip(1);
        let function = words.next().is_some_and(|kind| matches!(kind, "t" | "T" | "w" | "W"));
        if function || words.next().is_some_and(|name| VARIABLES.contains(&name)) {
            wanted.extend(line.as_bytes());
            wanted.push(b'\n');
        }
    }
    Ok(wanted)
}

/// Where the sections of a loaded module are: a line each.
///
/// # Errors
/// What the system said.
pub fn sections(module: &str) -> io::Result<String> {
    let mut sections = String::new();
    for entry in fs::read_dir(Path::new("/sys/module").join(module).join("sections"))? {
        let entry = entry?;
        let address = fs::read_to_string(entry.path())?;
        sections += &format!("{} {}\n", entry.file_name().to_string_lossy(), address.trim());
    }
    Ok(sections)
}

/// A loaded module's functions and lines.
///
/// # Errors
/// What the system said.
pub fn tell_module(name: &str, file: &Path, sections: &str) -> io::Result<()> {
    bench::module(name, &fs::read(file)?, sections);
    Ok(())
}
