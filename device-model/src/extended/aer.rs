//! Advanced Error Reporting.
//!
//! PCI Express Base 5.0, section 7.8.4. Not modelled: errors. A status bit and the header log are what a saved
//! state says they are; nothing sets them, and no message to the root complex leaves. Status, masks, severity and
//! log survive a Function Level Reset.

use serde::{Deserialize, Serialize};

use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Register};

/// Registers, as offsets in the capability.
const UNCORRECTABLE_STATUS: usize = 0x04;
const UNCORRECTABLE_MASK: usize = 0x08;
const UNCORRECTABLE_SEVERITY: usize = 0x0c;
const CORRECTABLE_STATUS: usize = 0x10;
const CORRECTABLE_MASK: usize = 0x14;
const CONTROL: usize = 0x18;
const HEADER_LOG: usize = 0x1c;
const ROOT_COMMAND: usize = 0x2c;
const ROOT_STATUS: usize = 0x30;
const ERROR_SOURCE: usize = 0x34;
const PREFIX_LOG: usize = 0x38;

/// Advanced Error Capabilities and Control: First Error Pointer, which the function sets.
const FIRST_ERROR: u32 = 0x1f;
const ECRC_GENERATION_CAPABLE: u32 = 1 << 5;
const ECRC_GENERATION_ENABLE: u32 = 1 << 6;
const ECRC_CHECK_CAPABLE: u32 = 1 << 7;
const ECRC_CHECK_ENABLE: u32 = 1 << 8;
const MULTIPLE_HEADERS_CAPABLE: u32 = 1 << 9;
const MULTIPLE_HEADERS_ENABLE: u32 = 1 << 10;
/// There is a TLP prefix in the log, which the function says.
const PREFIX_PRESENT: u32 = 1 << 11;
/// Reporting of the three kinds of errors.
const ROOT_COMMAND_WRITABLE: u32 = 0b111;
const ROOT_STATUS_WRITE_ONE_TO_CLEAR: u32 = 0x7f;

static REGISTERS: [Register; 11] = [
    register("AER", 0x00, 4, Access::ReadOnly, &[], "error reporting: identifier, next capability"),
    register("AER_UNCORRECTABLE_STATUS", 0x04, 4, Access::WriteOneToClear, &[], "errors that were detected"),
    register("AER_UNCORRECTABLE_MASK", 0x08, 4, Access::ReadWrite, &[], "errors that are not reported"),
    register("AER_UNCORRECTABLE_SEVERITY", 0x0c, 4, Access::ReadWrite, &[], "errors that are fatal"),
    register("AER_CORRECTABLE_STATUS", 0x10, 4, Access::WriteOneToClear, &[], "errors that were corrected"),
    register("AER_CORRECTABLE_MASK", 0x14, 4, Access::ReadWrite, &[], "errors that are not reported"),
    register("AER_CONTROL", 0x18, 4, Access::ReadWrite, &[], "capabilities and control"),
    register("AER_HEADER_LOG_0", 0x1c, 4, Access::ReadOnly, &[], "header of the packet with the first error"),
    register("AER_HEADER_LOG_1", 0x20, 4, Access::ReadOnly, &[], ""),
    register("AER_HEADER_LOG_2", 0x24, 4, Access::ReadOnly, &[], ""),
    register("AER_HEADER_LOG_3", 0x28, 4, Access::ReadOnly, &[], ""),
];
static ROOT: [Register; 3] = [
    register("AER_ROOT_COMMAND", 0x2c, 4, Access::ReadWrite, &[], "errors that interrupt"),
    register("AER_ROOT_STATUS", 0x30, 4, Access::WriteOneToClear, &[], "errors that were received"),
    register("AER_ERROR_SOURCE", 0x34, 4, Access::ReadOnly, &[], "functions that sent them"),
];
static PREFIX: [Register; 4] = [
    register(
        "AER_PREFIX_LOG_0",
        0x38,
        4,
        Access::ReadOnly,
        &[],
        "prefixes of the packet with the first error",
    ),
    register("AER_PREFIX_LOG_1", 0x3c, 4, Access::ReadOnly, &[], ""),
    register("AER_PREFIX_LOG_2", 0x40, 4, Access::ReadOnly, &[], ""),
    register("AER_PREFIX_LOG_3", 0x44, 4, Access::ReadOnly, &[], ""),
];

/// The Advanced Error Reporting capability of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AerSpec {
    /// Version of the capability, 4 bits.
    pub version: u8,
    /// Uncorrectable errors that the function can detect: bits of their status, mask and severity.
    pub uncorrectable: u32,
    /// Those that are masked after reset.
    pub uncorrectable_mask: u32,
    /// Those that are fatal after reset.
    pub uncorrectable_severity: u32,
    /// Correctable errors that it can detect: bits of their status and mask.
    pub correctable: u32,
    /// Those that are masked after reset.
    pub correctable_mask: u32,
    /// Whether it can generate ECRC.
    pub ecrc_generation: bool,
    /// Whether it can check ECRC.
    pub ecrc_check: bool,
    /// Whether it can record the headers of several errors.
    pub multiple_headers: bool,
    /// Root Error Status's interrupt message number, 5 bits, of a root complex event collector, which alone
    /// has registers for the root.
    pub root: Option<u8>,
    /// Whether it has a TLP Prefix Log.
    pub prefix_log: bool,
}

impl Default for AerSpec {
    /// The errors that every endpoint has, with the values after reset that the specification gives.
    fn default() -> Self {
        Self {
            version: 2,
            uncorrectable: 0x001f_f030,
            uncorrectable_mask: 0,
            uncorrectable_severity: 0x0006_2030,
            correctable: 0x0000_31c1,
            correctable_mask: 0x0000_2000,
            ecrc_generation: false,
            ecrc_check: false,
            multiple_headers: false,
            root: None,
            prefix_log: false,
        }
    }
}

impl Layout for AerSpec {
    fn id(&self) -> u16 {
        0x01
    }

    fn name(&self) -> &'static str {
        "Advanced Error Reporting"
    }

    fn length(&self) -> usize {
        match (self.prefix_log, self.root) {
            (true, _) => PREFIX_LOG + 0x10,
            (false, Some(_)) => ERROR_SOURCE + 0x04,
            (false, None) => HEADER_LOG + 0x10,
        }
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        BadHeader::unless(self.version < 16, "AER's version", self.version, "4 bits")?;
        let (mask, severity) = (self.uncorrectable_mask, self.uncorrectable_severity);
        let own = "those that it can detect";
        BadHeader::unless(mask & !self.uncorrectable == 0, "AER's mask of uncorrectable errors", mask, own)?;
        let what = "AER's severity of uncorrectable errors";
        BadHeader::unless(severity & !self.uncorrectable == 0, what, severity, own)?;
        let mask = self.correctable_mask;
        BadHeader::unless(mask & !self.correctable == 0, "AER's mask of correctable errors", mask, own)?;
        let message = self.root.unwrap_or(0);
        BadHeader::unless(message < 32, "AER's interrupt message number", message, "5 bits")
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        let log = |config: &mut ConfigSpace, at: usize| {
            config.make_reported(offset + at, &[0xff; 0x10]);
            config.make_sticky(offset + at, &[0xff; 0x10]);
        };
        for (at, errors) in
            [(UNCORRECTABLE_STATUS, self.uncorrectable), (CORRECTABLE_STATUS, self.correctable)]
        {
            config.make_write_one_to_clear(offset + at, &errors.to_le_bytes());
            config.make_sticky(offset + at, &errors.to_le_bytes());
        }
        for (at, reset, errors) in [
            (UNCORRECTABLE_MASK, self.uncorrectable_mask, self.uncorrectable),
            (UNCORRECTABLE_SEVERITY, self.uncorrectable_severity, self.uncorrectable),
            (CORRECTABLE_MASK, self.correctable_mask, self.correctable),
        ] {
            config.define(offset + at, &reset.to_le_bytes());
            config.make_writable(offset + at, &errors.to_le_bytes());
            config.make_sticky(offset + at, &errors.to_le_bytes());
        }
        let (mut capable, mut enable) = (0, 0);
        for (has, capability, control) in [
            (self.ecrc_generation, ECRC_GENERATION_CAPABLE, ECRC_GENERATION_ENABLE),
            (self.ecrc_check, ECRC_CHECK_CAPABLE, ECRC_CHECK_ENABLE),
            (self.multiple_headers, MULTIPLE_HEADERS_CAPABLE, MULTIPLE_HEADERS_ENABLE),
        ] {
            if has {
                capable |= capability;
                enable |= control;
            }
        }
        let reported = FIRST_ERROR | if self.prefix_log { PREFIX_PRESENT } else { 0 };
        config.define(offset + CONTROL, &capable.to_le_bytes());
        config.make_writable(offset + CONTROL, &enable.to_le_bytes());
        config.make_reported(offset + CONTROL, &reported.to_le_bytes());
        config.make_sticky(offset + CONTROL, &(enable | reported).to_le_bytes());
        log(config, HEADER_LOG);
        if let Some(message) = self.root {
            config.make_writable(offset + ROOT_COMMAND, &ROOT_COMMAND_WRITABLE.to_le_bytes());
            config.define(offset + ROOT_STATUS, &(u32::from(message) << 27).to_le_bytes());
            let errors = ROOT_STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes();
            config.make_write_one_to_clear(offset + ROOT_STATUS, &errors);
            config.make_sticky(offset + ROOT_STATUS, &errors);
            config.make_reported(offset + ERROR_SOURCE, &[0xff; 4]);
            config.make_sticky(offset + ERROR_SOURCE, &[0xff; 4]);
        }
        if self.prefix_log {
            log(config, PREFIX_LOG);
        }
    }

    fn registers(&self) -> Vec<Register> {
        let root: &[Register] = if self.root.is_some() { &ROOT } else { &[] };
        let prefix: &[Register] = if self.prefix_log { &PREFIX } else { &[] };
        [&REGISTERS, root, prefix].concat()
    }
}
