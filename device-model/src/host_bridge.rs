//! The host bridge: what guests expect at 00:00.0. It has an identity and nothing else.

use serde_json::Value;

use crate::access_size::AccessSize;
use crate::address::Region;
use crate::context::Context;
use crate::device::PciDevice;
use crate::header::ConfigHeader;
use crate::refused::Refused;
use crate::register::RegisterMap;
use crate::state::BadState;

/// The host bridge, 1234:1ab1.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostBridge;

impl PciDevice for HostBridge {
    fn name(&self) -> &str {
        "host-bridge"
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0x1ab1,
            revision: 1,
            class: 0x06_00_00,
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &[]
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        Err(Refused::Reserved)
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        Err(Refused::Reserved)
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        None
    }

    fn reset(&mut self) {}

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<(), BadState> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_size::AccessSize::{Byte, Dword};
    use crate::fixture::Fixture;

    #[test]
    fn it_is_a_bridge_without_bars_or_capabilities() {
        let mut fixture = Fixture::new(HostBridge);

        assert_eq!(fixture.config_read(0x00, Dword), 0x1ab1_1234);
        assert_eq!(fixture.config_read(0x08, Dword), 0x0600_0001);
        for bar in (0x10..0x28).step_by(4) {
            fixture.config_write(bar, Dword, 0xffff_ffff);
            assert_eq!(fixture.config_read(bar, Dword), 0);
        }
        assert_eq!(fixture.config_read(0x34, Byte), 0);
    }
}
