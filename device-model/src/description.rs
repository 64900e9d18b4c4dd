//! Functions as data: identity, BARs, capabilities and register maps, read from and written to files in TOML.
//!
//! The file's format is docs/register-maps.md's. A description says what software finds, not what a function does:
//! reading one makes no device.

mod lists;
mod number;
mod read;
mod registers;
mod table;
mod typed;
mod write;

use crate::bad_header::BadHeader;
use crate::device::PciDevice;
use crate::diagnostic::Diagnostic;
use crate::header::ConfigHeader;
use crate::register::{self, BadMap, RegisterMap};
use crate::text::{DEVICE_NAME_RULE, TEXT_RULE, is_device_name, is_text};

/// The longest file, in bytes: nobody writes more by hand, and what reads it allocates many times as much.
pub const FILE_MAX: usize = 4 << 20;

/// What software finds of a function.
///
/// One that exists can hold: a function could be made with its header and its register maps, and the text that it is
/// written to reads back as an equal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    name: String,
    summary: String,
    header: ConfigHeader,
    register_maps: Vec<RegisterMap>,
}

/// Why a description can't hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDescription {
    /// A device's name that no command line could say.
    #[error("{0:?} is no device's name: {DEVICE_NAME_RULE}")]
    Name(String),
    /// A text that can't be shown in one line.
    #[error("{what}: this text can't be shown: {TEXT_RULE}")]
    Text {
        /// What it is about.
        what: String,
    },
    /// The header can't exist.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// A register map can't hold.
    #[error(transparent)]
    Map(#[from] BadMap),
    /// More registers, fields and named values than a file may have.
    #[error("{parts} registers, fields and named values; a description has {} at most", registers::PARTS_MAX)]
    Parts {
        /// Their number.
        parts: usize,
    },
    /// More text than a file may have.
    #[error(
        "written out, each register of a row for itself, it has {bytes} bytes; a file has {FILE_MAX} at most"
    )]
    TooLong {
        /// The file's length.
        bytes: usize,
    },
}

impl Description {
    /// A description. Maps without registers are left out, and the others sorted by region.
    ///
    /// # Errors
    /// [`BadDescription`] if no function could be made of it, or no file.
    pub fn new(
        name: impl Into<String>,
        summary: impl Into<String>,
        header: ConfigHeader,
        mut register_maps: Vec<RegisterMap>,
    ) -> Result<Self, BadDescription> {
        register_maps.retain(|map| !map.registers.is_empty());
        register_maps.sort_by_key(|map| map.region);
        let description = Self { name: name.into(), summary: summary.into(), header, register_maps };
        description.check()?;
        Ok(description)
    }

    /// What software finds of a device; `summary` is one line on what it is.
    ///
    /// # Errors
    /// As for [`Description::new`].
    pub fn of(device: &dyn PciDevice, summary: &str) -> Result<Self, BadDescription> {
        Self::new(device.name(), summary, device.header(), device.register_maps().to_vec())
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, where ([`Diagnostic::position`]), and what would be right.
    pub fn read(text: &str) -> Result<Self, Diagnostic> {
        read::read(text)
    }

    /// The file that reads back as this. A file that is written again keeps what it says, but not its remarks nor the
    /// order of its keys.
    pub fn to_toml(&self) -> String {
        write::write(self)
    }

    /// Short name of the device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line on what it is; may be empty.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Identity, BARs and capabilities.
    pub fn header(&self) -> &ConfigHeader {
        &self.header
    }

    /// Its registers, one map a region, in ascending order of regions; without those of MSI-X.
    pub fn register_maps(&self) -> &[RegisterMap] {
        &self.register_maps
    }

    fn check(&self) -> Result<(), BadDescription> {
        if !is_device_name(&self.name) {
            return Err(BadDescription::Name(self.name.clone()));
        }
        self.header.check()?;
        let region_size = |region| self.header.region_size(region);
        register::check(&self.register_maps, region_size)?;
        register::check(&self.header.with_msix_registers(self.register_maps.clone()), region_size)?;
        let unshown = self.texts().find(|(_, text)| !is_text(text));
        if let Some((what, _)) = unshown {
            return Err(BadDescription::Text { what });
        }
        let registers = || self.register_maps.iter().flat_map(|map| map.registers.iter());
        let fields = || registers().flat_map(|register| register.fields.iter());
        let parts = registers().count() + fields().map(|field| 1 + field.values.len()).sum::<usize>();
        if parts > registers::PARTS_MAX {
            return Err(BadDescription::Parts { parts });
        }
        let bytes = self.to_toml().len();
        if bytes > FILE_MAX { Err(BadDescription::TooLong { bytes }) } else { Ok(()) }
    }

    /// Every text for people, with what it is about.
    fn texts(&self) -> impl Iterator<Item = (String, &str)> {
        let summary = std::iter::once(("summary".to_owned(), &*self.summary));
        let maps = self.register_maps.iter();
        let registers = maps.flat_map(|map| map.registers.iter().map(|register| (map.region, register)));
        summary.chain(registers.flat_map(|(region, register)| {
            let place = format!("{region}.{}", register.name);
            let fields = register.fields.iter();
            let of_field = {
                let place = place.clone();
                move |field: &'_ register::Field| format!("{place}.{}", field.name)
            };
            let fields = fields.map(move |field| (of_field(field), &*field.doc));
            std::iter::once((place, &*register.doc)).chain(fields)
        }))
    }
}

#[cfg(test)]
mod tests;
