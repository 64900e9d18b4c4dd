//! Unpacked packages name files by absolute paths: they are made to lead into the folder.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, path};

use crate::compiler;

/// Rewrites what leads out of the folder: absolute symbolic links, and what the headers' Makefiles name; then has their
/// modules compiled by a compiler that is here.
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
            let moved = format!("{}/usr/src/", folder.display());
            let text = text.replace("include /usr/src/", &format!("include {moved}"));
            fs::write(&makefile, text.replace("KBUILD_OUTPUT=/usr/src/", &format!("KBUILD_OUTPUT={moved}")))?;
        }
        compiler::settle(&headers.path())?;
    }
    Ok(())
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
    fn what_leads_out_of_the_folder_leads_into_it() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-headers-{}", std::process::id()));
        let at = |path: &str| folder.join(path);
        fs::create_dir_all(at("usr/src/linux-headers-1-cloud"))?;
        fs::create_dir_all(at("lib/modules/1"))?;
        let makefile = at("usr/src/linux-headers-1-cloud/Makefile");
        fs::write(
            &makefile,
            "KBUILD_OUTPUT=/usr/src/linux-headers-1-cloud\ninclude /usr/src/linux-headers-1-common/Makefile\n",
        )?;
        symlink("/usr/src/linux-headers-1-cloud", at("lib/modules/1/build"))?;
        symlink("/etc/only-here", at("lib/modules/1/other"))?;
        // Twice is once.
        relocate(&folder)?;
        relocate(&folder)?;
        let root = folder.display();
        let expected = format!(
            "KBUILD_OUTPUT={root}/usr/src/linux-headers-1-cloud\n\
             include {root}/usr/src/linux-headers-1-common/Makefile\n"
        );
        assert_eq!(fs::read_to_string(makefile)?, expected);
        assert_eq!(fs::read_link(at("lib/modules/1/build"))?, at("usr/src/linux-headers-1-cloud"));
        assert_eq!(fs::read_link(at("lib/modules/1/other"))?, Path::new("/etc/only-here"));
        fs::remove_dir_all(folder)
    }
}
