//! What guests run, compiled or packed with this crate: a test kernel, Linux's first process with its programs, and the
//! sources of a Linux driver.
//!
//! Nothing here knows a device model: a guest's register maps are written a second time on purpose, so that one slip
//! can't pass both sides.

/// The test kernel, an ELF file with a PVH note and symbols. Its driver reaches the `lab` function by `ioremap`, and its
/// program in ring 3 by `mmap`.
pub const TEST_KERNEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/test-kernel"));

/// The first process of a Linux guest, an ELF file without shared libraries: it plays scenarios, and is the programs
/// that it plays.
pub const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The sources of Linux's driver for the `lab` function, each with its path in one folder: what `make -C HEADERS
/// M=FOLDER modules` makes [`DRIVER_MODULE`] of. GPL-2.0, as each file says.
pub const DRIVER: &[(&str, &str)] = &[
    ("Kbuild", include_str!("../linux/Kbuild")),
    ("lab.h", include_str!("../linux/lab.h")),
    ("lab_regs.h", include_str!("../linux/lab_regs.h")),
    ("uapi/lab.h", include_str!("../linux/uapi/lab.h")),
    ("lab_main.c", include_str!("../linux/lab_main.c")),
    ("lab_device.c", include_str!("../linux/lab_device.c")),
    ("lab_irq.c", include_str!("../linux/lab_irq.c")),
    ("lab_file.c", include_str!("../linux/lab_file.c")),
    ("lab_mmap.c", include_str!("../linux/lab_mmap.c")),
];

/// The module's file that [`DRIVER`] makes.
pub const DRIVER_MODULE: &str = "lab.ko";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn the_driver_is_all_of_its_folder_but_the_licence() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/linux"));
        let mut found = BTreeSet::new();
        files(folder, &mut found);
        let mut listed: BTreeSet<_> = DRIVER.iter().map(|(path, _)| folder.join(path)).collect();
        listed.insert(folder.join("LICENSE-GPL-2.0"));
        assert_eq!(found, listed);
    }
}
