//! PCI Express: the capability of an endpoint, with its link or without, and Function Level Reset.
//!
//! PCI Express Base 5.0, sections 7.5.3 and 6.6.2. Of what it lists, only Initiate Function Level Reset does
//! something. Payload size, read request size, ordering and completion timeouts are kept for software to read
//! back, and so is what it asks of a link or of a slot: these are what the device says they are, always. No error and
//! no event is ever detected by itself.

mod registers;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::register::Register;

/// Registers, as offsets in the capability.
const CAPABILITIES: usize = 0x02;
const DEVICE_CAPABILITIES: usize = 0x04;
const DEVICE_CONTROL: usize = 0x08;
const DEVICE_STATUS: usize = 0x0a;
const LINK_CAPABILITIES: usize = 0x0c;
const LINK_CONTROL: usize = 0x10;
const LINK_STATUS: usize = 0x12;
const SLOT_CAPABILITIES: usize = 0x14;
const SLOT_CONTROL: usize = 0x18;
const SLOT_STATUS: usize = 0x1a;
const ROOT_CONTROL: usize = 0x1c;
const ROOT_CAPABILITIES: usize = 0x1e;
const ROOT_STATUS: usize = 0x20;
const DEVICE_CAPABILITIES_2: usize = 0x24;
const DEVICE_CONTROL_2: usize = 0x28;
const LINK_CAPABILITIES_2: usize = 0x2c;
const LINK_CONTROL_2: usize = 0x30;
const LINK_STATUS_2: usize = 0x32;
const SLOT_CAPABILITIES_2: usize = 0x34;
const SLOT_CONTROL_2: usize = 0x38;

/// Device Capabilities: Function Level Reset.
const FUNCTION_LEVEL_RESET: u32 = 1 << 28;
/// Device Capabilities: role-based error reporting.
const ROLE_BASED_ERRORS: u32 = 1 << 15;
/// Relaxed ordering and no-snoop allowed, read requests of 512 bytes.
const DEVICE_CONTROL_RESET: u16 = 0x2810;
/// Error reporting, relaxed ordering, no-snoop, read request size.
const DEVICE_CONTROL_WRITABLE: u16 = 0x781f;
/// Maximum payload size, which a Function Level Reset leaves alone.
const PAYLOAD: u16 = 0b111 << 5;
/// Reads as zero.
const INITIATE_RESET: u16 = 1 << 15;
/// The four kinds of detected errors.
const DEVICE_STATUS_WRITE_ONE_TO_CLEAR: u8 = 0x0f;
const TRANSACTIONS_PENDING: u8 = 1 << 5;
/// ASPM, read completion boundary, common clock, extended synch, clock power management, autonomous width:
/// a Function Level Reset leaves them alone.
const LINK_CONTROL_WRITABLE: u16 = 0x03cb;
/// A link equalization request of an 8 GT/s link.
const LINK_STATUS_2_WRITE_ONE_TO_CLEAR: u16 = 1 << 5;
/// Root Control: system errors, PME interrupts, CRS visibility.
const ROOT_CONTROL_WRITABLE: u16 = 0x001f;
/// Root Status: PME Status.
const ROOT_STATUS_WRITE_ONE_TO_CLEAR: u32 = 1 << 16;
/// Root Status: PME Pending, and who sent it.
const ROOT_STATUS_REPORTED: u32 = 0x0002_ffff;
/// PCI Express Capabilities: there is a slot.
const SLOT_IMPLEMENTED: u16 = 1 << 8;
/// Slot Status: events.
const SLOT_STATUS_WRITE_ONE_TO_CLEAR: u16 = 0x011f;
/// Slot Status: the latch, the card, the interlock.
const SLOT_STATUS_REPORTED: u16 = 0x00e0;

/// The PCI Express capability of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpressSpec {
    /// Version of the capability, 4 bits. Before version 2 it ends with the registers of the link, or of the
    /// device.
    pub version: u8,
    /// The kind of function.
    pub kind: ExpressKind,
    /// Interrupt Message Number, 5 bits.
    pub interrupt_message: u8,
    /// Device Capabilities, but for Function Level Reset.
    pub device_capabilities: u32,
    /// Whether it can be reset by itself.
    pub function_level_reset: bool,
    /// Bits of Device Control that software can write. Initiate Function Level Reset comes besides.
    pub device_control: u16,
    /// Whether Device Status reports auxiliary power.
    pub auxiliary_power: bool,
    /// Device Capabilities 2.
    pub device_capabilities_2: u32,
    /// Bits of Device Control 2 that software can write.
    pub device_control_2: u16,
    /// Registers of its link.
    pub link: Option<LinkSpec>,
    /// Registers of its slot, which only ports use; some integrated endpoints have them as well.
    pub slot: Option<SlotSpec>,
    /// Root Capabilities. A root port and an event collector have the registers of a root in any case; another
    /// function, if it says something here.
    pub root_capabilities: u16,
}

/// The kind of a function that is no bridge: Device/Port Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpressKind {
    /// An endpoint, at the end of a link.
    Endpoint = 0,
    /// An endpoint that may need I/O ports.
    LegacyEndpoint = 1,
    /// A root port, of those that software sees as a host bridge: others are bridges.
    RootPort = 4,
    /// A Root Complex Integrated Endpoint: on bus 0, without a link.
    IntegratedEndpoint = 9,
    /// A Root Complex Event Collector.
    EventCollector = 10,
}

/// The registers of a link, as an endpoint has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSpec {
    /// Link Capabilities.
    pub capabilities: u32,
    /// Bits of Link Control that software can write.
    pub control: u16,
    /// Link Status: the speed in bits 3:0, the width in 9:4.
    pub status: u16,
    /// Link Capabilities 2.
    pub capabilities_2: u32,
    /// Link Control 2 after reset: the target speed in bits 3:0.
    pub control_2: u16,
    /// Bits of Link Control 2 that software can write.
    pub control_2_writable: u16,
    /// Link Status 2.
    pub status_2: u16,
}

impl ExpressKind {
    /// Whether it has registers of a root.
    pub const fn is_root(self) -> bool {
        matches!(self, ExpressKind::RootPort | ExpressKind::EventCollector)
    }
}

/// The registers of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlotSpec {
    /// Whether the capability says that there is one.
    pub implemented: bool,
    /// Slot Capabilities.
    pub capabilities: u32,
    /// Slot Control after reset.
    pub control: u16,
    /// Bits of Slot Control that software can write.
    pub control_writable: u16,
    /// Slot Capabilities 2.
    pub capabilities_2: u32,
    /// Slot Control 2 in bits 15:0 and Slot Status 2 in 31:16: nothing, as far as it is specified, and read-only.
    pub control_2: u32,
}

impl Default for SlotSpec {
    /// One without a button, a latch, indicators or power control, which are all off.
    fn default() -> Self {
        Self {
            implemented: true,
            capabilities: 0,
            control: 0x07c0,
            control_writable: 0x1fff,
            capabilities_2: 0,
            control_2: 0,
        }
    }
}

impl Default for ExpressSpec {
    /// Version 2, a Root Complex Integrated Endpoint: payloads of 128 bytes, role-based error reporting.
    fn default() -> Self {
        Self {
            version: 2,
            kind: ExpressKind::IntegratedEndpoint,
            interrupt_message: 0,
            device_capabilities: ROLE_BASED_ERRORS,
            function_level_reset: false,
            device_control: DEVICE_CONTROL_WRITABLE,
            auxiliary_power: false,
            device_capabilities_2: 0,
            device_control_2: 0,
            link: None,
            slot: None,
            root_capabilities: 0,
        }
    }
}

impl ExpressSpec {
    fn has_root(&self) -> bool {
        self.kind.is_root() || self.root_capabilities != 0
    }

    /// An endpoint with a link.
    pub fn endpoint(link: LinkSpec) -> Self {
        Self { kind: ExpressKind::Endpoint, link: Some(link), ..Self::default() }
    }

    /// The same function, that can be reset by itself.
    #[must_use]
    pub fn with_function_level_reset(mut self) -> Self {
        self.function_level_reset = true;
        self
    }
}

impl Default for LinkSpec {
    /// One lane at 2.5 GT/s, up.
    fn default() -> Self {
        Self {
            capabilities: 0x0000_0011,
            control: LINK_CONTROL_WRITABLE,
            status: 0x0011,
            capabilities_2: 0x0000_0002,
            control_2: 0x0001,
            control_2_writable: 0x001f,
            status_2: 0,
        }
    }
}

impl fmt::Display for ExpressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PCI Express")?;
        f.write_str(if self.function_level_reset { " with Function Level Reset" } else { "" })
    }
}

impl Layout for ExpressSpec {
    fn id(&self) -> u16 {
        0x10
    }

    fn name(&self) -> &'static str {
        "PCI Express"
    }

    fn length(&self) -> usize {
        match (self.version, &self.link) {
            (2.., _) => 0x3c,
            _ if self.has_root() => ROOT_STATUS + 4,
            _ if self.slot.is_some() => SLOT_STATUS + 2,
            (_, Some(_)) => LINK_STATUS + 2,
            (_, None) => DEVICE_STATUS + 2,
        }
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        let version = self.version;
        BadHeader::unless((1..16).contains(&version), "PCI Express's version", version, "1 to 15")?;
        let message = self.interrupt_message;
        BadHeader::unless(message < 32, "PCI Express's interrupt message number", message, "5 bits")?;
        let capabilities = self.device_capabilities;
        let what = "PCI Express's device capabilities";
        let allowed = "all but bit 28, which function_level_reset stands for";
        BadHeader::unless(capabilities & FUNCTION_LEVEL_RESET == 0, what, capabilities, allowed)?;
        let (what, allowed) = ("PCI Express's device control mask", "bits 14:0");
        BadHeader::unless(self.device_control & INITIATE_RESET == 0, what, self.device_control, allowed)
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        let capabilities =
            u16::from(self.version) | (self.kind as u16) << 4 | u16::from(self.interrupt_message) << 9;
        let has_slot = self.slot.is_some_and(|slot| slot.implemented);
        let capabilities = capabilities | if has_slot { SLOT_IMPLEMENTED } else { 0 };
        config.define(offset + CAPABILITIES, &capabilities.to_le_bytes());
        let reset = if self.function_level_reset { FUNCTION_LEVEL_RESET } else { 0 };
        config.define(offset + DEVICE_CAPABILITIES, &(self.device_capabilities | reset).to_le_bytes());
        let control = DEVICE_CONTROL_RESET & self.device_control;
        config.define(offset + DEVICE_CONTROL, &control.to_le_bytes());
        let initiate = if self.function_level_reset { INITIATE_RESET } else { 0 };
        config.make_writable(offset + DEVICE_CONTROL, &(self.device_control | initiate).to_le_bytes());
        config.make_sticky(offset + DEVICE_CONTROL, &PAYLOAD.to_le_bytes());
        config.define(offset + DEVICE_STATUS, &[u8::from(self.auxiliary_power) << 4]);
        config.make_write_one_to_clear(offset + DEVICE_STATUS, &[DEVICE_STATUS_WRITE_ONE_TO_CLEAR]);
        config.make_reported(offset + DEVICE_STATUS, &[TRANSACTIONS_PENDING]);
        if let Some(link) = &self.link {
            config.define(offset + LINK_CAPABILITIES, &link.capabilities.to_le_bytes());
            config.make_writable(offset + LINK_CONTROL, &link.control.to_le_bytes());
            config.make_sticky(offset + LINK_CONTROL, &link.control.to_le_bytes());
            config.define(offset + LINK_STATUS, &link.status.to_le_bytes());
        }
        if let Some(slot) = &self.slot {
            config.define(offset + SLOT_CAPABILITIES, &slot.capabilities.to_le_bytes());
            config.define(offset + SLOT_CONTROL, &slot.control.to_le_bytes());
            config.make_writable(offset + SLOT_CONTROL, &slot.control_writable.to_le_bytes());
            let events = SLOT_STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes();
            config.make_write_one_to_clear(offset + SLOT_STATUS, &events);
            config.make_reported(offset + SLOT_STATUS, &SLOT_STATUS_REPORTED.to_le_bytes());
        }
        if self.has_root() {
            config.make_writable(offset + ROOT_CONTROL, &ROOT_CONTROL_WRITABLE.to_le_bytes());
            config.define(offset + ROOT_CAPABILITIES, &self.root_capabilities.to_le_bytes());
            let status = ROOT_STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes();
            config.make_write_one_to_clear(offset + ROOT_STATUS, &status);
            config.make_reported(offset + ROOT_STATUS, &ROOT_STATUS_REPORTED.to_le_bytes());
        }
        if self.version < 2 {
            return;
        }
        if let Some(slot) = &self.slot {
            config.define(offset + SLOT_CAPABILITIES_2, &slot.capabilities_2.to_le_bytes());
            config.define(offset + SLOT_CONTROL_2, &slot.control_2.to_le_bytes());
        }
        config.define(offset + DEVICE_CAPABILITIES_2, &self.device_capabilities_2.to_le_bytes());
        config.make_writable(offset + DEVICE_CONTROL_2, &self.device_control_2.to_le_bytes());
        if let Some(link) = &self.link {
            config.define(offset + LINK_CAPABILITIES_2, &link.capabilities_2.to_le_bytes());
            config.define(offset + LINK_CONTROL_2, &link.control_2.to_le_bytes());
            config.make_writable(offset + LINK_CONTROL_2, &link.control_2_writable.to_le_bytes());
            config.make_sticky(offset + LINK_CONTROL_2, &link.control_2_writable.to_le_bytes());
            config.define(offset + LINK_STATUS_2, &link.status_2.to_le_bytes());
            let request = LINK_STATUS_2_WRITE_ONE_TO_CLEAR.to_le_bytes();
            config.make_write_one_to_clear(offset + LINK_STATUS_2, &request);
        }
    }

    fn registers(&self) -> Vec<Register> {
        let (second, link) = (self.version >= 2, self.link.is_some());
        let parts: [(bool, &[Register]); 6] = [
            (true, &registers::DEVICE),
            (link, &registers::LINK),
            (self.slot.is_some(), &registers::SLOT),
            (self.has_root(), &registers::ROOT),
            (second && (self.device_capabilities_2 != 0 || self.device_control_2 != 0), &registers::DEVICE_2),
            (second && link, &registers::LINK_2),
        ];
        parts.iter().filter(|(has, _)| *has).flat_map(|(_, registers)| registers.iter().cloned()).collect()
    }
}

/// The capability, at an offset.
pub(crate) struct Express(usize);

impl Express {
    pub(super) fn new(offset: usize) -> Self {
        Self(offset)
    }

    /// Takes back Initiate Function Level Reset; whether it was set.
    pub(super) fn take_reset(&self, config: &mut ConfigSpace) -> bool {
        let told = config.u16(self.0 + DEVICE_CONTROL) & INITIATE_RESET != 0;
        config.assign(self.0 + DEVICE_CONTROL, INITIATE_RESET.to_le_bytes(), [0; 2]);
        told
    }
}

#[cfg(test)]
mod tests;
