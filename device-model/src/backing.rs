//! The backing of a region: what serves accesses to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access_size::AccessSize;

/// A register whose writes are only counted, while its region is [`Backing::Doorbell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doorbell {
    /// The register's offset in its region.
    pub offset: u64,
    /// The only write that counts (its size and its value); any without it. Another one is trapped.
    pub only: Option<(AccessSize, u64)>,
}

impl Doorbell {
    /// One that any write of any size rings.
    pub const fn any(offset: u64) -> Self {
        Self { offset, only: None }
    }
}

/// The backing of a region: exits to the device, a memslot, ioeventfds, or a zone of coalesced MMIO, in
/// KVM's words. A device says which it wants for each of its regions
/// ([`PciDevice::backing`](crate::device::PciDevice::backing)) and may change that while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backing {
    /// Each access reaches the device, and only it.
    #[default]
    Trapped,
    /// Plain memory of the device
    /// ([`PciDevice::memory`](crate::device::PciDevice::memory)) that guests reach without the device
    /// being told.
    Direct,
    /// A write to a doorbell ([`PciDevice::doorbells`](crate::device::PciDevice::doorbells)) is counted and reaches the
    /// device later, without its value ([`PciDevice::doorbell`](crate::device::PciDevice::doorbell)); other accesses are
    /// trapped.
    Doorbell,
    /// Writes are gathered and reach the device in order, but later; reads are trapped.
    Coalesced,
}

impl Backing {
    /// All of them.
    pub const ALL: [Backing; 4] = [Backing::Trapped, Backing::Direct, Backing::Doorbell, Backing::Coalesced];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Backing::Trapped => "trapped",
            Backing::Direct => "direct",
            Backing::Doorbell => "doorbell",
            Backing::Coalesced => "coalesced",
        }
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
