//! Kernel modules: loading, unloading, and telling the bench where they are.

use std::io;
use std::path::{Path, PathBuf};

use crate::{symbols, system};

/// The module for the lab function.
const LAB: &str = "/lab.ko";

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
        system::load_module(Path::new(LAB), parameters)?;
        self.lab = Some(parameters.to_owned());
        let sections = symbols::sections("lab")?;
        if sections != self.told {
            symbols::tell_module("lab", Path::new(LAB), &sections)?;
            self.told = sections;
        }
        Ok(())
    }

    /// Unloads the lab module, if it is loaded.
    ///
    /// # Errors
    /// What the system said.
    pub fn unload_lab(&mut self) -> io::Result<()> {
        if self.lab.take().is_some() {
            system::unload_module("lab")?;
        }
        Ok(())
    }
}

/// Loads a user's module.
///
/// # Errors
/// What the system said.
pub fn load(path: &str, parameters: &str) -> io::Result<()> {
    let path = PathBuf::from(path);
    system::load_module(&path, parameters)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    // A module may come without sections to tell of; it is traced all the same.
    symbols::sections(&name).and_then(|sections| symbols::tell_module(&name, &path, &sections)).ok();
    Ok(())
}
