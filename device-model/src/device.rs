//! What a PCI device is to everything around it: a state machine lent its surroundings for one call.

use crate::address::{Region, Space};
use crate::config::ConfigHeader;
use crate::register::RegisterMap;

/// A PCI device behind a type-0 function. It never knows its addresses: offsets are relative to a
/// region, and the function around it ([`crate::function::PciFunction`]) holds configuration space,
/// decoding, MSI and timers.
pub trait PciDevice: Send {
    /// Short name, as in `--device NAME`.
    fn name(&self) -> &'static str;

    /// Identity, BARs and capabilities: what configuration space is built from.
    fn header(&self) -> ConfigHeader;

    /// Its registers, one map a region. The trace names accesses and changes with them.
    fn register_maps(&self) -> &'static [RegisterMap];

    /// Reads `size` bytes (1, 2, 4 or 8) at `offset`; the whole access lies in the region.
    ///
    /// # Errors
    /// [`Refused`] if the device doesn't answer such a read: the guest sees all-ones.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: u8,
    ) -> Result<u64, Refused>;

    /// Writes the low `size` bytes (1, 2, 4 or 8) of `value` at `offset`.
    ///
    /// # Errors
    /// [`Refused`] if the device ignores such a write.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: u8,
        value: u64,
    ) -> Result<(), Refused>;

    /// Timer `index` that it set has come due; `context.now()` is its deadline or later.
    fn timer(&mut self, context: &mut Context<'_>, index: u8) {
        let _ = (context, index);
    }

    /// What the register at `offset` (a register's start, from the map) holds, without the side
    /// effects of a read. `None` for memory and for what holds nothing.
    fn peek(&self, region: Region, offset: u64) -> Option<u64>;

    /// Returns everything to its value after reset.
    fn reset(&mut self);
}

/// Why a device didn't answer an access. Not an error of the VMM: the guest sees all-ones, or its
/// write is dropped, and the trace says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No register there.
    #[error("no register there")]
    Reserved,
    /// The register takes no access of this width.
    #[error("unsupported width")]
    Width,
    /// The access is not aligned to the register.
    #[error("unaligned")]
    Alignment,
    /// A read of a write-only register.
    #[error("write-only")]
    WriteOnly,
    /// A write to a read-only register.
    #[error("read-only")]
    ReadOnly,
    /// The device is in a state that ignores it (busy).
    #[error("ignored while busy")]
    Busy,
}

/// Guest memory, as DMA sees it.
pub trait DmaMemory {
    /// Fills `data` from guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`] if any byte lies outside guest memory; then nothing was read.
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError>;

    /// Writes `data` at guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`] if any byte lies outside guest memory; then nothing was written.
    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError>;
}

/// Why a transfer didn't happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DmaError {
    /// Bus Master Enable is off (Command bit 2): the transfer goes nowhere.
    #[error("bus mastering is off")]
    BusMasterOff,
    /// Start, length or their sum lie outside guest memory.
    #[error("outside guest memory")]
    OutOfBounds,
}

/// What a device did besides answering, in order. The dispatcher records each and sends interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A register changed its value.
    Change {
        /// Where it lies.
        region: Region,
        /// Its offset.
        offset: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
    },
    /// A message-signalled interrupt leaves the function.
    Msi {
        /// Which of the function's vectors.
        index: u16,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
    },
    /// An interrupt cause arose that no enabled mechanism could carry.
    InterruptLost {
        /// Which of the function's vectors.
        index: u16,
    },
    /// A DMA transfer, done or refused.
    Dma {
        /// From device to memory.
        to_memory: bool,
        /// Guest physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Whether it happened.
        outcome: Result<(), DmaError>,
    },
    /// A timer was set: the device is busy until then.
    Busy {
        /// Device time in nanoseconds.
        until: u64,
    },
    /// A region is decoded elsewhere from here on: a BAR moved, or decoding went on or off.
    Decode {
        /// Which.
        region: Region,
        /// What it decoded before, if anything.
        from: Option<Decode>,
        /// What it decodes now, if anything.
        to: Option<Decode>,
    },
}

/// A range of addresses that a function claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decode {
    /// Memory or I/O.
    pub space: Space,
    /// Bus address or port of the first byte.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// An [`Effect`], when it happened and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Device time in nanoseconds; a timer's deadline for what a timer did.
    pub at: u64,
    /// Sequence number of the access that led to it.
    pub cause: u64,
    /// What happened.
    pub effect: Effect,
}

/// What the dispatcher lends a function for one call.
pub struct Cycle<'a> {
    /// Device time in nanoseconds.
    pub now: u64,
    /// Sequence number of the access that is dispatched.
    pub cause: u64,
    /// Guest memory.
    pub memory: &'a dyn DmaMemory,
    /// Where the function adds what it does, in order.
    pub occurrences: &'a mut Vec<Occurrence>,
}

/// A device's surroundings, lent for one call: clock, timers, interrupts, DMA.
///
/// Built by [`crate::function::PciFunction`] only.
pub struct Context<'a> {
    pub(crate) now: u64,
    pub(crate) cause: u64,
    pub(crate) msi: Option<crate::msi::MsiTarget>,
    pub(crate) bus_master: bool,
    pub(crate) memory: &'a dyn DmaMemory,
    pub(crate) timers: &'a mut crate::timer::Timers,
    pub(crate) effects: &'a mut Vec<Effect>,
}
