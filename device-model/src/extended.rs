//! Extended capabilities, which only ECAM reaches, a file each: registers with their kinds of access, for
//! software to find and to configure. What they would make a function do is not modelled; each file says what
//! that is.
//!
//! PCI Express Base 5.0, sections 7.6.1 and 7.8.

mod aer;
mod ats;
mod other;
mod resizable_bar;
mod serial_number;
mod sr_iov;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capability::{Layout, Placed};

pub use aer::AerSpec;
pub use ats::AtsSpec;
pub use other::OtherExtendedSpec;
pub use resizable_bar::{ResizableBar, ResizableBarSpec};
pub use serial_number::SerialNumberSpec;
pub use sr_iov::SrIovSpec;

/// Identifier, version and offset of the next one.
const HEAD: usize = 4;

/// A capability from 0x100 on in configuration space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtendedCapability {
    /// Advanced Error Reporting.
    ErrorReporting(AerSpec),
    /// Device Serial Number.
    SerialNumber(SerialNumberSpec),
    /// Address Translation Services.
    AddressTranslation(AtsSpec),
    /// Single Root I/O Virtualization.
    SrIov(SrIovSpec),
    /// Resizable BAR.
    ResizableBar(ResizableBarSpec),
    /// One that is not modelled, as its bytes.
    Other(OtherExtendedSpec),
}

impl ExtendedCapability {
    pub(crate) fn layout(&self) -> &dyn Layout {
        match self {
            ExtendedCapability::ErrorReporting(spec) => spec,
            ExtendedCapability::SerialNumber(spec) => spec,
            ExtendedCapability::AddressTranslation(spec) => spec,
            ExtendedCapability::SrIov(spec) => spec,
            ExtendedCapability::ResizableBar(spec) => spec,
            ExtendedCapability::Other(spec) => spec,
        }
    }

    /// Version of the capability, 4 bits.
    pub(crate) fn version(&self) -> u8 {
        match self {
            ExtendedCapability::ErrorReporting(spec) => spec.version,
            ExtendedCapability::SrIov(spec) => spec.version,
            ExtendedCapability::Other(spec) => spec.version,
            ExtendedCapability::SerialNumber(_)
            | ExtendedCapability::AddressTranslation(_)
            | ExtendedCapability::ResizableBar(_) => 1,
        }
    }
}

/// What it is, in a few words.
impl fmt::Display for ExtendedCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExtendedCapability::ErrorReporting(_) => f.write_str("Advanced Error Reporting"),
            ExtendedCapability::SerialNumber(_) => f.write_str("serial number"),
            ExtendedCapability::AddressTranslation(_) => f.write_str("Address Translation Services"),
            ExtendedCapability::SrIov(spec) => write!(f, "SR-IOV ({} virtual functions)", spec.total),
            ExtendedCapability::ResizableBar(_) => f.write_str("Resizable BAR"),
            ExtendedCapability::Other(spec) => spec.fmt(f),
        }
    }
}

impl<S: Into<ExtendedCapability>> From<S> for Placed<ExtendedCapability> {
    fn from(spec: S) -> Self {
        Self { offset: None, capability: spec.into() }
    }
}

macro_rules! extended_capability_from {
    ($($variant:ident($spec:ty))*) => {
        $(impl From<$spec> for ExtendedCapability {
            fn from(spec: $spec) -> Self {
                Self::$variant(spec)
            }
        })*
    };
}

extended_capability_from! {
    ErrorReporting(AerSpec)
    SerialNumber(SerialNumberSpec)
    AddressTranslation(AtsSpec)
    SrIov(SrIovSpec)
    ResizableBar(ResizableBarSpec)
    Other(OtherExtendedSpec)
}

#[cfg(test)]
mod tests;
