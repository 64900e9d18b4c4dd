//! A platform without processors: guest memory, an interrupt controller that takes every message and tells nobody,
//! and no ways around an access.

use std::time::Instant;

use barscope_device::{AccessSize, DeviceMemory, DmaError, DmaMemory};
use barscope_trace::BusAddress;

use super::Platform;
use crate::host::HostError;
use crate::memory::GuestMemory;

/// Where local APICs take messages (Intel SDM volume 3, "Message Address Register Format").
const MESSAGES: std::ops::RangeInclusive<u64> = 0xfee0_0000..=0xfeef_ffff;

/// The platform.
pub struct BarePlatform {
    memory: GuestMemory,
    began: Instant,
}

impl BarePlatform {
    /// A platform with this memory.
    pub fn new(memory: GuestMemory) -> Self {
        Self { memory, began: Instant::now() }
    }
}

impl Platform for BarePlatform {
    type Memslot = ();
    type Ioeventfd = ();

    fn signal_msi(&self, address: u64, _: u32) -> bool {
        MESSAGES.contains(&address)
    }

    fn set_irq_line(&self, _: u8, _: bool) {}

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn set_deadline(&self, _: Option<u64>) {}

    fn map_memslot(&self, _: u64, _: &mut DeviceMemory) -> Result<Option<()>, HostError> {
        Ok(None)
    }

    fn unmap_memslot(&self, (): ()) -> Result<(), HostError> {
        Ok(())
    }

    fn take_dirty_pages(&self, (): &()) -> Result<Vec<u64>, HostError> {
        Ok(Vec::new())
    }

    fn register_ioeventfd(
        &self,
        _: BusAddress,
        _: Option<(AccessSize, u64)>,
    ) -> Result<Option<()>, HostError> {
        Ok(None)
    }

    fn unregister_ioeventfd(&self, (): ()) -> Result<u64, HostError> {
        Ok(0)
    }

    fn take_writes(&self, (): &()) -> u64 {
        0
    }

    fn register_coalesced_zone(&self, _: u64, _: u64) -> Result<bool, HostError> {
        Ok(false)
    }

    fn unregister_coalesced_zone(&self, _: u64, _: u64) -> Result<(), HostError> {
        Ok(())
    }
}

impl DmaMemory for BarePlatform {
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        self.memory.read(address, data)
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        self.memory.write(address, data)
    }
}
