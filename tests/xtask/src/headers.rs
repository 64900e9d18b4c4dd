//! Unpacked packages name files by absolute paths: they are made to lead into the folder.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, path};

/// Rewrites what leads out of the folder: absolute symbolic links, and what the headers' Makefiles include.
///
/// # Errors
/// If a file can't be read or written.
pub fn relocate(folder: &Path) -> io::Result<()> {
    let folder = path::absolute(folder)?;
    links(&folder, &folder)?;
    for headers in fs::read_dir(folder.join("usr/src")).into_iter().flatten().flatten() {
        let makefile = headers.path().join("Makefile");
        // The common part's Makefile has no such line.
        if let Ok(text) = fs::read_to_string(&makefile) {
            let moved = format!("include {}/usr/src/", folder.display());
            fs::write(&makefile, text.replace("include /usr/src/", &moved))?;
        }
        let variables = headers.path().join(".kernelvariables");
        if let Ok(text) = fs::read_to_string(&variables) {
            fs::write(&variables, with_a_compiler(&text, is_program))?;
        }
    }
    Ok(())
}

/// Debian's headers name the compiler that their kernel was built with, like `gcc-14`: the machine's own stands in where
/// that one isn't.
fn with_a_compiler(variables: &str, is_program: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| match line.rsplit_once("gcc-") {
        Some((before, version)) if line.starts_with("CC =") && !is_program(&format!("gcc-{version}")) => {
            format!("{before}gcc\n")
        }
        _ => format!("{line}\n"),
    };
    variables.lines().map(line).collect()
}

fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn links(here: &Path, root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(here)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            links(&path, root)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            let Ok(below) = target.strip_prefix("/") else { continue };
            let moved = root.join(below);
            // Not what has been moved already, nor what only the system has.
            if !target.starts_with(root) && moved.exists() {
                fs::remove_file(&path)?;
                symlink(&moved, &path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_not_here_gives_way_to_the_machines_own() {
        let variables = "override ARCH = x86\nCC = $(CROSS_COMPILE)gcc-14\n";
        assert_eq!(with_a_compiler(variables, |_| false), "override ARCH = x86\nCC = $(CROSS_COMPILE)gcc\n");
        assert_eq!(with_a_compiler(variables, |name| name == "gcc-14"), variables);
    }

    #[test]
    fn what_leads_out_of_the_folder_leads_into_it() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-headers-{}", std::process::id()));
        let at = |path: &str| folder.join(path);
        fs::create_dir_all(at("usr/src/linux-headers-1-cloud"))?;
        fs::create_dir_all(at("lib/modules/1"))?;
        let makefile = at("usr/src/linux-headers-1-cloud/Makefile");
        fs::write(&makefile, "include /usr/src/linux-headers-1-common/Makefile\n")?;
        symlink("/usr/src/linux-headers-1-cloud", at("lib/modules/1/build"))?;
        symlink("/etc/only-here", at("lib/modules/1/other"))?;
        // Twice is once.
        relocate(&folder)?;
        relocate(&folder)?;
        let root = folder.display();
        let expected = format!("include {root}/usr/src/linux-headers-1-common/Makefile\n");
        assert_eq!(fs::read_to_string(makefile)?, expected);
        assert_eq!(fs::read_link(at("lib/modules/1/build"))?, at("usr/src/linux-headers-1-cloud"));
        assert_eq!(fs::read_link(at("lib/modules/1/other"))?, Path::new("/etc/only-here"));
        fs::remove_dir_all(folder)
    }
}
