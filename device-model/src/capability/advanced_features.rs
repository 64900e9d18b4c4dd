//! Advanced Features: Function Level Reset for a function without PCI Express.
//!
//! Advanced Capabilities for Conventional PCI ECN (2006).

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Field, Register};

const LENGTH: usize = 6;
/// Registers, as offsets in the capability.
const LENGTH_AND_CAPABILITIES: usize = 0x02;
const CONTROL: usize = 0x04;

/// Transactions Pending is reported, and the function can be reset: neither comes without the other.
const CAPABILITIES_VALUE: u8 = 0b11;
/// Reads as zero.
const INITIATE_RESET: u8 = 1 << 0;

const CAPABILITIES_FIELDS: &[Field] = &[
    Field::bit("TRANSACTIONS_PENDING", 0, "it is reported"),
    Field::bit("FLR", 1, "the function can be reset by itself"),
];
const CONTROL_FIELDS: &[Field] = &[Field::bit("INITIATE_FLR", 0, "resets the function")];
const STATUS_FIELDS: &[Field] = &[Field::bit("TRANSACTIONS_PENDING", 0, "transactions are under way")];

static REGISTERS: [Register; 5] = [
    register("AF", 0, 2, Access::ReadOnly, &[], "Advanced Features: identifier, next capability"),
    register("AF_LENGTH", 2, 1, Access::ReadOnly, &[], "of the capability, in bytes"),
    register("AF_CAPABILITIES", 3, 1, Access::ReadOnly, CAPABILITIES_FIELDS, ""),
    register("AF_CONTROL", 4, 1, Access::ReadWrite, CONTROL_FIELDS, ""),
    register("AF_STATUS", 5, 1, Access::ReadOnly, STATUS_FIELDS, ""),
];

/// The Advanced Features capability of a function. No transaction is ever pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvancedFeaturesSpec {}

impl Layout for AdvancedFeaturesSpec {
    fn id(&self) -> u16 {
        0x13
    }

    fn name(&self) -> &'static str {
        "Advanced Features"
    }

    fn length(&self) -> usize {
        LENGTH
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        Ok(())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        config.define(offset + LENGTH_AND_CAPABILITIES, &[LENGTH as u8, CAPABILITIES_VALUE]);
        config.make_writable(offset + CONTROL, &[INITIATE_RESET]);
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}

/// The capability, at an offset.
pub(crate) struct AdvancedFeatures(usize);

impl AdvancedFeatures {
    pub(super) fn new(offset: usize) -> Self {
        Self(offset)
    }

    /// Takes back Initiate Function Level Reset; whether it was set.
    pub(super) fn take_reset(&self, config: &mut ConfigSpace) -> bool {
        let told = config.u16(self.0 + CONTROL) as u8 & INITIATE_RESET != 0;
        config.assign(self.0 + CONTROL, [INITIATE_RESET], [0]);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::AdvancedFeaturesSpec;
    use crate::access_size::AccessSize::{Byte, Dword, Qword};
    use crate::fixture::Fixture;
    use crate::probe::{Probe, REGISTERS, VALUE};

    #[test]
    fn it_resets_a_function_without_pci_express() {
        let mut fixture = Fixture::new(Probe::new().with_capabilities([AdvancedFeaturesSpec {}.into()]));
        fixture.enable_memory();
        fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();

        assert_eq!(fixture.config_read(0x40, Dword), 0x0306_0013);
        fixture.config_write(0x44, Byte, 0xff);

        assert_eq!(fixture.config_read(0x44, Dword), 0);
        assert_eq!(fixture.config_read(0x04, Byte), 0);
        fixture.enable_memory();
        assert_eq!(fixture.read(REGISTERS, VALUE, Qword), Ok(0));
    }
}
