//! Capabilities: what a function can do beyond its header, a file each.
//!
//! Each is data that a device puts into its header's list. It lays out its registers in configuration space;
//! those that do something read them back from there. PCI Local Bus 3.0, section 6.7.

mod active;
mod advanced_features;
mod express;
pub(crate) mod messages;
mod msi;
mod msix;
mod other;
mod power;
mod vendor;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::register::Register;

pub(crate) use active::ActiveCapabilities;
pub use advanced_features::AdvancedFeaturesSpec;
pub use express::{ExpressKind, ExpressSpec, LinkSpec, SlotSpec};
pub use msi::MsiSpec;
pub(crate) use msix::{Msix, MsixState};
pub use msix::{MsixPlace, MsixSpec, is_msix_register};
pub use other::OtherSpec;
pub(crate) use power::PowerState;
pub use power::{PowerData, PowerSpec};
pub use vendor::VendorSpec;

/// A capability as a part of configuration space, its head included.
pub(crate) trait Layout {
    /// Its identifier.
    fn id(&self) -> u16;

    /// Its name, for errors.
    fn name(&self) -> &'static str;

    /// Its length in bytes.
    fn length(&self) -> usize;

    /// Whether a function has one at most.
    fn is_unique(&self) -> bool {
        true
    }

    /// Checks that it can exist in a function with these BARs.
    fn check(&self, bars: &[BarSpec]) -> Result<(), BadHeader>;

    /// Lays out what follows its head, which is the list's.
    fn define(&self, config: &mut ConfigSpace, offset: usize);

    /// Its registers by name, in ascending order of their offsets in it.
    fn registers(&self) -> Vec<Register>;
}

/// A capability in the first 256 bytes of configuration space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Power management.
    PowerManagement(PowerSpec),
    /// Message-signalled interrupts.
    Msi(MsiSpec),
    /// Vendor-specific.
    Vendor(VendorSpec),
    /// PCI Express.
    Express(ExpressSpec),
    /// Message-signalled interrupts with a table in a BAR.
    Msix(MsixSpec),
    /// Function Level Reset of a conventional function.
    AdvancedFeatures(AdvancedFeaturesSpec),
    /// One that is not modelled, as its bytes.
    Other(OtherSpec),
}

impl Capability {
    pub(crate) fn layout(&self) -> &dyn Layout {
        match self {
            Capability::PowerManagement(spec) => spec,
            Capability::Msi(spec) => spec,
            Capability::Vendor(spec) => spec,
            Capability::Express(spec) => spec,
            Capability::Msix(spec) => spec,
            Capability::AdvancedFeatures(spec) => spec,
            Capability::Other(spec) => spec,
        }
    }
}

/// What it is, in a few words.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::PowerManagement(spec) => spec.fmt(f),
            Capability::Msi(spec) => spec.fmt(f),
            Capability::Vendor(_) => f.write_str("vendor-specific"),
            Capability::Express(spec) => spec.fmt(f),
            Capability::Msix(spec) => spec.fmt(f),
            Capability::AdvancedFeatures(_) => f.write_str("Advanced Features with Function Level Reset"),
            Capability::Other(spec) => spec.fmt(f),
        }
    }
}

/// A capability, and its place in configuration space if the device cares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed<T> {
    /// Its offset, a multiple of 4; if not given, the lowest one where it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u16>,
    /// The capability.
    #[serde(flatten)]
    pub capability: T,
}

impl<T> Placed<T> {
    /// A capability at an offset.
    pub fn at(offset: u16, capability: impl Into<T>) -> Self {
        Self { offset: Some(offset), capability: capability.into() }
    }
}

impl<S: Into<Capability>> From<S> for Placed<Capability> {
    fn from(spec: S) -> Self {
        Self { offset: None, capability: spec.into() }
    }
}

macro_rules! capability_from {
    ($($variant:ident($spec:ty))*) => {
        $(impl From<$spec> for Capability {
            fn from(spec: $spec) -> Self {
                Self::$variant(spec)
            }
        })*
    };
}

capability_from! {
    PowerManagement(PowerSpec)
    Msi(MsiSpec)
    Vendor(VendorSpec)
    Express(ExpressSpec)
    Msix(MsixSpec)
    AdvancedFeatures(AdvancedFeaturesSpec)
    Other(OtherSpec)
}
