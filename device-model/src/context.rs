//! Surroundings lent for one call: a [`BusContext`] to the function, a [`Context`] to its device.

use crate::dma::{DmaError, DmaMemory};
use crate::effect::{Effect, TimestampedEffect};
use crate::interrupt_set::InterruptSet;
use crate::timer::Timers;

/// A function's surroundings, lent by the dispatcher for one call: clock, guest memory, and a list for effects.
pub struct BusContext<'a> {
    /// Device time in nanoseconds.
    pub now: u64,
    /// Sequence number of the access that is dispatched; 0 for none.
    pub cause: u64,
    /// Guest memory.
    pub memory: &'a dyn DmaMemory,
    /// The list that the function's effects are added to, in order.
    pub effects: &'a mut Vec<TimestampedEffect>,
}

/// A device's surroundings, lent for one call: clock, timers, DMA.
///
/// Built by [`PciFunction`](crate::function::PciFunction) only.
pub struct Context<'a> {
    pub(crate) now: u64,
    pub(crate) late: u64,
    pub(crate) cause: u64,
    pub(crate) bus_master: bool,
    pub(crate) memory: &'a dyn DmaMemory,
    pub(crate) timers: &'a mut Timers,
    pub(crate) effects: &'a mut Vec<Effect>,
    /// Interrupt causes that arose anew.
    pub(crate) repeated: &'a mut InterruptSet,
}

impl Context<'_> {
    /// Device time in nanoseconds: that of the access, or the one at which the timer is served.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Delay of the timer that is served, in nanoseconds since it came due: 0 on a virtual clock. On a host
    /// clock, which goes on while the host is busy, a device that counts periods may have missed some.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Has [`PciDevice::timer`](crate::device::PciDevice::timer) called with `index`, `delay_ns` from
    /// now. A timer that runs already is set anew.
    ///
    /// A delay of 0 counts as 1, so that a timer that sets itself again can't hold the clock still.
    pub fn set_timer(&mut self, index: u8, delay_ns: u64) {
        let until = self.now.saturating_add(delay_ns.max(1));
        self.timers.set(index, until, self.cause);
        self.effects.push(Effect::Busy { until });
    }

    /// Stops timer `index`, if it runs.
    pub fn cancel_timer(&mut self, index: u8) {
        self.timers.cancel(index);
    }

    /// Interrupt causes that count as arisen anew, if they are pending after this call: a message leaves for each
    /// once more, though it was pending before. The pin is a level and stays. A device adds to them.
    pub fn repeated_interrupts(&mut self) -> &mut InterruptSet {
        self.repeated
    }

    /// `address` as a device puts it on the bus that has only this many address bits. If that is another
    /// address, an effect says so: a driver that forgot to tell the device's DMA mask meets this.
    pub fn cut_address(&mut self, address: u64, bits: u8) -> u64 {
        let mask = 1_u64.checked_shl(bits.into()).map_or(u64::MAX, |end| end - 1);
        if address & !mask != 0 {
            self.effects.push(Effect::AddressCut { asked: address, bits });
        }
        address & mask
    }

    /// Fills `data` from guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError`] if bus mastering is off or any byte lies outside guest memory. `data` is then
    /// what it was.
    pub fn dma_read(&mut self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let length = data.len() as u64;
        let outcome = self.mastering().and_then(|memory| memory.read(address, data));
        self.effects.push(Effect::Dma { to_memory: false, address, length, outcome });
        outcome
    }

    /// Writes `data` at guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError`] if bus mastering is off or any byte lies outside guest memory. Guest memory is
    /// then what it was.
    pub fn dma_write(&mut self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let length = data.len() as u64;
        let outcome = self.mastering().and_then(|memory| memory.write(address, data));
        self.effects.push(Effect::Dma { to_memory: true, address, length, outcome });
        outcome
    }

    /// Guest memory, if the function may master the bus.
    fn mastering(&self) -> Result<&dyn DmaMemory, DmaError> {
        if self.bus_master { Ok(self.memory) } else { Err(DmaError::BusMasterOff) }
    }
}
