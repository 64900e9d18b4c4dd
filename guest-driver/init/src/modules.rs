//! Kernel modules: loading, unloading, and telling the bench where they are.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::task::Module;
use crate::{symbols, system};

/// The module for the lab function.
pub const LAB: &str = "/lab.ko";

/// How long a module may be in use still.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether drivers get devices by themselves; the device that is to get one; all devices.
const AUTOPROBE: &str = "/sys/bus/pci/drivers_autoprobe";
const PROBE: &str = "/sys/bus/pci/drivers_probe";
const DEVICES: &str = "/sys/bus/pci/devices";

/// Which modules are loaded.
#[derive(Default)]
pub struct Modules {
    /// The parameters of the lab module, while it is loaded.
    lab: Option<String>,
    /// Where its sections were when the bench was told.
    told: String,
}

impl Modules {
    /// Sees to it that the lab module is loaded with these parameters, or not loaded.
    ///
    /// # Errors
    /// What the system said.
    pub fn lab(&mut self, parameters: Option<&str>) -> io::Result<()> {
        if self.lab.as_deref() == parameters {
            return Ok(());
        }
        self.unload_lab()?;
        let Some(parameters) = parameters else { return Ok(()) };
        without_probing(|| {
            system::load_module(Path::new(LAB), parameters)?;
            self.lab = Some(parameters.to_owned());
            let sections = symbols::sections("lab")?;
            if sections != self.told {
                symbols::tell_module("lab", Path::new(LAB), &sections)?;
                self.told = sections;
            }
            Ok(())
        })
    }

    /// Unloads the lab module, if it is loaded.
    ///
    /// # Errors
    /// What the system said.
    pub fn unload_lab(&mut self) -> io::Result<()> {
        if self.lab.is_none() {
            return Ok(());
        }
        // Files that a program had open are closed soon after it has ended.
        let patience = Instant::now() + PATIENCE;
        while let Err(error) = system::unload_module("lab") {
            if error.kind() != io::ErrorKind::WouldBlock || Instant::now() > patience {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.lab = None;
        Ok(())
    }
}

/// Loads a user's module.
///
/// # Errors
/// What the system said.
pub fn load(module: &Module) -> io::Result<()> {
    without_probing(|| load_and_tell(module))
}

fn load_and_tell(Module { path, name, parameters }: &Module) -> io::Result<()> {
    let path = Path::new(path);
    system::load_module(path, parameters)?;
    // A module may come without sections to tell of; it is traced all the same.
    symbols::sections(name).and_then(|sections| symbols::tell_module(name, path, &sections)).ok();
    Ok(())
}

/// Loads a module in `load`, and has its driver probe its devices only after that: what probing accesses is
/// recorded when the bench knows the module's functions.
fn without_probing(load: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    fs::write(AUTOPROBE, "0")?;
    let loaded = load();
    fs::write(AUTOPROBE, "1")?;
    loaded?;
    for device in fs::read_dir(DEVICES)? {
        let device = device?;
        if !device.path().join("driver").exists() {
            // It fails for a device that no driver is for.
            fs::write(PROBE, device.file_name().as_encoded_bytes()).ok();
        }
    }
    Ok(())
}
