//! The lab function as sysfs shows it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const DEVICES: &str = "/sys/bus/pci/devices";
const COMMAND: u64 = 4;
/// Bus Master Enable.
const BUS_MASTER: u8 = 1 << 2;

/// A PCI function.
pub struct Function(PathBuf);

impl Function {
    /// The function with these identifiers.
    ///
    /// # Errors
    /// What the system said; or there is none.
    pub fn find(vendor: u16, device: u16) -> io::Result<Self> {
        for entry in fs::read_dir(DEVICES)? {
            let path = entry?.path();
            let number = |file: &str| {
                let text = fs::read_to_string(path.join(file)).unwrap_or_default();
                u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
            };
            if number("vendor") == Some(vendor) && number("device") == Some(device) {
                return Ok(Self(path));
            }
        }
        Err(io::Error::other(format!("no PCI function {vendor:04x}:{device:04x}")))
    }

    /// Bus address of the first byte of a BAR.
    ///
    /// # Errors
    /// What the system said.
    pub fn bar(&self, index: usize) -> io::Result<u64> {
        let resources = fs::read_to_string(self.0.join("resource"))?;
        let start = resources.lines().nth(index).and_then(|line| line.split_whitespace().next());
        start
            .and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
            .ok_or_else(|| io::Error::other(format!("no BAR {index}")))
    }

    /// Opens one of its files to read and write.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.0.join(name))
    }

    /// Writes to one of its files.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.0.join(name), text)
    }

    /// The folder of its driver in sysfs.
    ///
    /// # Errors
    /// What the system said; or it has none.
    pub fn driver(&self) -> io::Result<PathBuf> {
        self.0.join("driver").canonicalize()
    }

    /// Takes its driver away from it.
    ///
    /// # Errors
    /// What the system said; or it has none.
    pub fn unbind(&self) -> io::Result<()> {
        fs::write(self.0.join("driver/unbind"), self.name())
    }

    /// Has the kernel forget it, and look again.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_and_rescan(&self) -> io::Result<()> {
        self.write("remove", "1")?;
        if self.0.exists() {
            return Err(io::Error::other("it is still there after its removal"));
        }
        fs::write("/sys/bus/pci/rescan", "1")
    }

    /// Sets or clears Bus Master Enable behind the driver's back.
    ///
    /// # Errors
    /// What the system said.
    pub fn set_bus_mastering(&self, on: bool) -> io::Result<()> {
        let config = self.open("config")?;
        let mut command = [0];
        config.read_exact_at(&mut command, COMMAND)?;
        let new = if on { command[0] | BUS_MASTER } else { command[0] & !BUS_MASTER };
        config.write_all_at(&[new], COMMAND)
    }

    /// Its address, as sysfs and drivers call it.
    pub fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
