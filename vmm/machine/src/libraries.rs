//! The shared libraries of a program, for it to run where nothing else is.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::host_file::{self, MODULE_MAX};

/// The shared libraries that a program loads, and what loads them; none if it is linked statically.
///
/// # Errors
/// If the program is no ELF file, or its loader doesn't find a library.
pub fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let bytes = host_file::read(program, MODULE_MAX)?;
    let Some(loader) = loader(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
    else {
        return Ok(Vec::new());
    };
    // The loader alone knows where it looks (RUNPATH, cache, LD_LIBRARY_PATH); it starts nothing here.
    // A name alone would be looked for where libraries are.
    let path = std::path::absolute(program)?;
    let output = Command::new(&loader).arg("--list").arg(path).output()?;
    let listed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || listed.contains("not found") {
        let said = format!("{listed}{}", String::from_utf8_lossy(&output.stderr));
        return Err(io::Error::other(said.trim().replace('\n', "; ")));
    }
    // `\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)`
    let files = listed.lines().filter_map(|line| line.split_once(" => ")?.1.rsplit_once(" (0x"));
    let mut files: Vec<_> = files.map(|(path, _)| PathBuf::from(path)).collect();
    files.retain(|file| *file != loader);
    files.push(loader);
    Ok(files)
}

/// What the kernel starts to load this program (PT_INTERP).
fn loader(elf: &[u8]) -> Result<Option<PathBuf>, object::Error> {
    let header = FileHeader64::<object::Endianness>::parse(elf)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, elf)? {
        if let Some(path) = segment.interpreter(endian, elf)? {
            return Ok(Some(PathBuf::from(String::from_utf8_lossy(path).into_owned())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_rust_program_needs_the_c_library_and_its_loader() {
        let files = libraries(&std::env::current_exe().unwrap()).unwrap();
        let named = |start: &str| {
            files.iter().any(|file| file.file_name().unwrap().to_string_lossy().starts_with(start))
        };
        assert!(named("libc.so") && named("ld-linux"), "{files:?}");
        assert!(files.iter().all(|file| file.is_file()), "{files:?}");
    }

    #[test]
    fn the_test_kernel_needs_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), barscope_guests::TEST_KERNEL).unwrap();
        assert!(libraries(file.path()).unwrap().is_empty());
    }

    #[test]
    fn text_is_no_program() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "#!/bin/sh\n").unwrap();
        assert_eq!(libraries(file.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
