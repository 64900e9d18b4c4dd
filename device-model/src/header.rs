//! A function as a device describes it: identity, BARs, interrupts, capabilities. All of it is data; what
//! configuration space makes of it lies with each part.

mod layout;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::address::Region;
use crate::bad_header::BadHeader;
use crate::bar::{self, BarSpec};
use crate::capability::{Capability, ExpressSpec, MsiSpec, MsixSpec, Placed};
use crate::extended::ExtendedCapability;
use crate::masked_bytes::PrivateBytes;
use crate::register::RegisterMap;
use crate::rom;
pub(crate) use layout::Laid;

/// Command register bits that exist: 10:0.
const COMMAND_BITS: u16 = 0x07ff;

/// A function's identity and parts, from which configuration space is built.
///
/// `..ConfigHeader::default()` stands for a PCI Express function with nothing: no BARs, no interrupts, no
/// capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigHeader {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code, 24 bits: base class in 23:16, subclass in 15:8, programming interface in 7:0.
    pub class: u32,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
    /// Base address registers, in ascending order of index.
    pub bars: Vec<BarSpec>,
    /// Size of the expansion ROM in bytes: a power of two from 2 KiB to 16 MiB.
    pub rom: Option<u32>,
    /// The INTx pin that it uses.
    pub interrupt_pin: Option<InterruptPin>,
    /// Capabilities, in the order of their list.
    pub capabilities: Vec<Placed<Capability>>,
    /// Extended capabilities, in the order of their list. The first one lies at 0x100.
    pub extended_capabilities: Vec<Placed<ExtendedCapability>>,
    /// Bytes outside the header and all capabilities.
    pub private: Vec<PrivateBytes>,
    /// The Command register.
    pub command: CommandSpec,
    /// Registers that PCI Express leaves at zero.
    pub conventional: ConventionalSpec,
    /// Completion code of the built-in self-test, 4 bits, if the function has such a test: it is over as soon as it is
    /// started.
    pub self_test: Option<u8>,
}

impl ConfigHeader {
    /// The MSI capability, if there is one.
    pub fn msi(&self) -> Option<&MsiSpec> {
        self.capabilities.iter().find_map(|placed| match &placed.capability {
            Capability::Msi(spec) => Some(spec),
            _ => None,
        })
    }

    /// The MSI-X capability, if there is one.
    pub fn msix(&self) -> Option<&MsixSpec> {
        self.capabilities.iter().find_map(|placed| match &placed.capability {
            Capability::Msix(spec) => Some(spec),
            _ => None,
        })
    }

    /// The PCI Express capability, if there is one.
    pub fn express(&self) -> Option<&ExpressSpec> {
        self.capabilities.iter().find_map(|placed| match &placed.capability {
            Capability::Express(spec) => Some(spec),
            _ => None,
        })
    }

    /// Offsets of the bytes that each capability has in configuration space, and then each extended one, in the
    /// order of their lists.
    ///
    /// # Errors
    /// As for [`ConfigHeader::check`].
    pub fn capability_ranges(&self) -> Result<Vec<Range<usize>>, BadHeader> {
        Ok(self.lay_out()?.ranges().collect())
    }

    /// Size of a region in bytes; `None` if the function has no such region.
    pub fn region_size(&self, region: Region) -> Option<u64> {
        match region {
            Region::Bar(_) => self.bars.iter().find(|bar| bar.region() == region).map(|bar| bar.size),
            Region::Rom => self.rom.map(u64::from),
            Region::Config => Some(4096),
        }
    }

    /// A device's register maps, with the registers of MSI-X in those of their BARs.
    pub(crate) fn with_msix_registers(&self, mut maps: Vec<RegisterMap>) -> Vec<RegisterMap> {
        for added in self.msix().into_iter().flat_map(MsixSpec::register_maps) {
            match maps.iter_mut().find(|map| map.region == added.region) {
                Some(map) => {
                    let registers = map.registers.to_mut();
                    registers.extend(added.registers.into_owned());
                    registers.sort_by_key(|register| register.offset);
                }
                None => maps.push(added),
            }
        }
        maps
    }

    /// Checks that such a function can exist.
    ///
    /// # Errors
    /// [`BadHeader`]: what can't be so, and what could.
    pub fn check(&self) -> Result<(), BadHeader> {
        self.lay_out().map(|_| ())
    }

    /// Checks it, and gives each capability its place.
    pub(crate) fn lay_out(&self) -> Result<Laid<'_>, BadHeader> {
        BadHeader::unless(self.class < 1 << 24, "the class code", self.class, "24 bits")?;
        bar::check(&self.bars)?;
        self.rom.map_or(Ok(()), rom::check)?;
        let CommandSpec { reset, writable } = self.command;
        BadHeader::unless(writable & !COMMAND_BITS == 0, "the command mask", writable, "bits 10:0")?;
        BadHeader::unless(reset & !COMMAND_BITS == 0, "the command after reset", reset, "bits 10:0")?;
        let code = self.self_test.unwrap_or(0);
        BadHeader::unless(code < 16, "the self-test's completion code", code, "4 bits")?;
        Laid::new(self)
    }
}

/// An interrupt pin of a function. A device with a single function uses INTA#.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterruptPin {
    /// INTA#.
    A = 1,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

/// The Command register of a function.
///
/// PCI Local Bus 3.0, section 6.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandSpec {
    /// Its value after reset. A bit that is set and can't be written is hardwired.
    pub reset: u16,
    /// Bits that software can write.
    pub writable: u16,
}

impl Default for CommandSpec {
    /// I/O Space, Memory Space, Bus Master, Parity Error Response, SERR# Enable and Interrupt Disable, all clear.
    fn default() -> Self {
        Self { reset: 0, writable: 0x0547 }
    }
}

/// Registers of a conventional PCI function, which in a PCI Express one are zero.
///
/// PCI Local Bus 3.0, sections 6.2.3 and 6.2.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConventionalSpec {
    /// Status: it can run at 66 MHz.
    pub mhz66: bool,
    /// Status: reserved bit 6; User Definable Features in PCI 2.1.
    pub user_definable: bool,
    /// Status: as a target, it takes fast back-to-back transactions to different targets.
    pub fast_back_to_back: bool,
    /// Status: its slowest assertion of DEVSEL#.
    pub devsel: Devsel,
    /// Bits of Latency Timer that software can write.
    pub latency_timer: u8,
    /// CardBus CIS Pointer.
    pub cardbus_cis: u32,
    /// Min_Gnt, in units of 250 ns.
    pub min_grant: u8,
    /// Max_Lat, in units of 250 ns.
    pub max_latency: u8,
}

/// The time in which a target claims a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Devsel {
    /// Fast, as PCI Express has it.
    #[default]
    Fast,
    /// Medium.
    Medium,
    /// Slow.
    Slow,
}
