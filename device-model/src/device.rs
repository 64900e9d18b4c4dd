//! The trait of a PCI device: a state machine that is lent its surroundings for one call.

use serde_json::Value;

use crate::access_size::AccessSize;
use crate::address::Region;
use crate::backing::{Backing, Doorbell};
use crate::context::Context;
use crate::header::ConfigHeader;
use crate::interrupt_set::InterruptSet;
use crate::memory::DeviceMemory;
use crate::refused::Refused;
use crate::register::RegisterMap;
use crate::state::BadState;

/// A PCI device behind a type-0 function. It never knows its addresses: offsets are relative to a
/// region, and the function around it ([`crate::function::PciFunction`]) holds configuration space,
/// decoding, capabilities and timers.
pub trait PciDevice: Send {
    /// Short name, as in `--device NAME`.
    fn name(&self) -> &str;

    /// Identity, BARs and capabilities: what configuration space is built from.
    fn header(&self) -> ConfigHeader;

    /// Its registers, one map a region, without those of MSI-X. The trace names accesses and changes with them.
    fn register_maps(&self) -> &[RegisterMap];

    /// Reads `size` bytes at `offset`; the whole access lies in the region.
    ///
    /// # Errors
    /// [`Refused`] if the device doesn't answer such a read: the guest reads [`PciDevice::refused_read`].
    fn read(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused>;

    /// The value that the guest reads where [`PciDevice::read`] refused: all-ones as on a bus where nobody
    /// answers, unless the device is known for something else.
    fn refused_read(&self, region: Region, offset: u64, size: AccessSize) -> u64 {
        let _ = (region, offset, size);
        u64::MAX
    }

    /// Writes the low `size` bytes of `value` at `offset`.
    ///
    /// # Errors
    /// [`Refused`] if the device ignores such a write.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused>;

    /// Timer `index` that it set has come due; `context.now()` is its deadline or later.
    fn timer(&mut self, context: &mut Context<'_>, index: u8) {
        let _ = (context, index);
    }

    /// Adds the interrupt causes that are pending to `pending`, which is lent empty. Asked after every call, so that
    /// a cause is a level that lasts until the driver acknowledges it. What software enabled decides what
    /// becomes of it: a message of its own, a message that it shares, the INTx pin, or nothing.
    fn interrupts(&self, pending: &mut InterruptSet) {
        let _ = pending;
    }

    /// The backing that `region` is to have from now on. Asked after every call.
    fn backing(&self, region: Region) -> Backing {
        let _ = region;
        Backing::Trapped
    }

    /// The doorbells of `region` from now on, while it is [`Backing::Doorbell`]; `None` for its write-only registers, each
    /// rung by any write. Asked after every call.
    fn doorbells(&self, region: Region) -> Option<&[Doorbell]> {
        let _ = region;
        None
    }

    /// The content of `region`, if it is plain memory that can be [`Backing::Direct`].
    fn memory(&mut self, region: Region) -> Option<&mut DeviceMemory> {
        let _ = region;
        None
    }

    /// The register at `offset` of a region that is [`Backing::Doorbell`] was written `count` times since
    /// the last call. What was written is not known.
    fn doorbell(&mut self, context: &mut Context<'_>, region: Region, offset: u64, count: u64) {
        let _ = (context, region, offset, count);
    }

    /// The value of the register at `offset` (a register's start, from the map), without the side
    /// effects of a read. `None` for memory and for what holds nothing.
    fn peek(&self, region: Region, offset: u64) -> Option<u64>;

    /// Returns everything to its value after reset.
    fn reset(&mut self);

    /// Everything that it remembers; see [`crate::state`].
    fn save(&self) -> Value;

    /// Takes back what [`PciDevice::save`] of an equal device gave.
    ///
    /// # Errors
    /// [`BadState`] if it isn't that; the device is then what it was.
    fn restore(&mut self, state: Value) -> Result<(), BadState>;
}
