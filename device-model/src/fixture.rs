//! A bench for one device, without a virtual machine: a clock that only the test moves, a memory, and
//! the device's effects.

use std::cell::RefCell;
use std::ops::Range;

use crate::access_size::AccessSize::{self, Byte, Dword, Qword, Word};
use crate::address::{BarIndex, Region};
use crate::config::{COMMAND, COMMAND_BUS_MASTER, COMMAND_IO_SPACE, COMMAND_MEMORY_SPACE};
use crate::context::BusContext;
use crate::device::PciDevice;
use crate::dma::{DmaError, DmaMemory};
use crate::effect::{Effect, TimestampedEffect};
use crate::function::PciFunction;
use crate::refused::Refused;
use crate::state::{BadState, State};
use crate::vector::VectorIndex;

/// Bytes of guest memory, from address 0, without being told.
const MEMORY_SIZE: usize = 0x1_0000;
const CAPABILITIES_POINTER: u64 = 0x34;
const MSI: u64 = 0x05;
const MSI_64_BIT: u64 = 1 << 7;
const MSIX: u64 = 0x11;
const MSIX_ENABLE: u64 = 1 << 15;

/// A function, and the machine that a test plays around it. Accesses are numbered from 1.
///
/// ```
/// use barscope_device::AccessSize::Dword;
/// use barscope_device::{Fixture, HostBridge};
///
/// let mut fixture = Fixture::new(HostBridge);
///
/// assert_eq!(fixture.config_read(0x00, Dword), 0x1ab1_1234);
/// ```
pub struct Fixture {
    function: PciFunction,
    memory: Memory,
    now: u64,
    accesses: u64,
    effects: Vec<TimestampedEffect>,
}

impl Fixture {
    /// The device after reset, at time 0, with 64 KiB of zeroed guest memory from address 0.
    ///
    /// # Panics
    /// If its header can't exist; see [`PciFunction::new`].
    pub fn new(device: impl PciDevice + 'static) -> Self {
        Self::boxed(Box::new(device))
    }

    /// The same for a device whose type is not known.
    ///
    /// # Panics
    /// As for [`Fixture::new`].
    pub fn boxed(device: Box<dyn PciDevice>) -> Self {
        Self {
            function: PciFunction::new(device),
            memory: Memory(RefCell::new(vec![0; MEMORY_SIZE])),
            now: 0,
            accesses: 0,
            effects: Vec::new(),
        }
    }

    /// The same fixture with `size` bytes of zeroed guest memory.
    #[must_use]
    pub fn with_memory(mut self, size: usize) -> Self {
        self.memory = Memory(RefCell::new(vec![0; size]));
        self
    }

    /// The function, to ask it for what it decodes or to reset it.
    pub fn function(&mut self) -> &mut PciFunction {
        &mut self.function
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Sets Memory Space in the Command register, so that memory BARs are decoded.
    pub fn enable_memory(&mut self) {
        self.set_command(COMMAND_MEMORY_SPACE);
    }

    /// Sets I/O Space in the Command register, so that I/O BARs are decoded.
    pub fn enable_io(&mut self) {
        self.set_command(COMMAND_IO_SPACE);
    }

    /// Sets Bus Master in the Command register, so that DMA and MSI leave the function.
    pub fn enable_bus_master(&mut self) {
        self.set_command(COMMAND_BUS_MASTER);
    }

    /// Finds the MSI capability, sets where messages go, and enables it.
    ///
    /// # Panics
    /// If the function has none.
    #[track_caller]
    pub fn program_msi(&mut self, address: u64, data: u16) {
        let capability = self.capability(MSI).expect("the function has no MSI capability");
        let control = self.config_read(capability + 0x02, Word);
        self.config_write(capability + 0x04, Dword, address & 0xffff_ffff);
        if control & MSI_64_BIT != 0 {
            self.config_write(capability + 0x08, Dword, address >> 32);
        }
        let offset = if control & MSI_64_BIT != 0 { 0x0c } else { 0x08 };
        self.config_write(capability + offset, Word, data.into());
        self.config_write(capability + 0x02, Word, control | 1);
    }

    /// Finds the MSI-X capability, sets where the messages of `vector` go, unmasks it, and enables all.
    ///
    /// # Panics
    /// If the function has none, no such vector, or doesn't decode its BAR.
    #[track_caller]
    pub fn program_msix(&mut self, vector: VectorIndex, address: u64, data: u32) {
        let capability = self.capability(MSIX).expect("the function has no MSI-X capability");
        let table = self.config_read(capability + 0x04, Dword);
        let region = Region::Bar(BarIndex::new((table & 7) as u8).expect("MSI-X lies in a BAR"));
        let entry = (table & !7) + 16 * u64::from(vector.get());
        for (offset, value) in [(0, address), (8, data.into())] {
            accepted(self.write(region, entry + offset, Qword, value), region, entry + offset);
        }
        let control = self.config_read(capability + 0x02, Word);
        self.config_write(capability + 0x02, Word, control | MSIX_ENABLE);
    }

    /// Offset of the capability `id` in configuration space.
    #[track_caller]
    pub fn capability(&mut self, id: u64) -> Option<u64> {
        let mut offset = self.config_read(CAPABILITIES_POINTER, Byte);
        while offset != 0 {
            if self.config_read(offset, Byte) == id {
                return Some(offset);
            }
            offset = self.config_read(offset + 1, Byte);
        }
        None
    }

    /// Reads configuration space.
    ///
    /// # Panics
    /// If the function refuses.
    #[track_caller]
    pub fn config_read(&mut self, offset: u64, size: AccessSize) -> u64 {
        accepted(self.read(Region::Config, offset, size), Region::Config, offset)
    }

    /// Writes configuration space.
    ///
    /// # Panics
    /// If the function refuses.
    #[track_caller]
    pub fn config_write(&mut self, offset: u64, size: AccessSize, value: u64) {
        accepted(self.write(Region::Config, offset, size, value), Region::Config, offset);
    }

    /// Reads 32 bits.
    ///
    /// # Panics
    /// If the device refuses, or the region is not decoded.
    #[track_caller]
    pub fn read32(&mut self, region: Region, offset: u64) -> u32 {
        accepted(self.read(region, offset, Dword), region, offset) as u32
    }

    /// Writes 32 bits.
    ///
    /// # Panics
    /// If the device refuses, or the region is not decoded.
    #[track_caller]
    pub fn write32(&mut self, region: Region, offset: u64, value: u32) {
        accepted(self.write(region, offset, Dword, value.into()), region, offset);
    }

    /// Reads `size` bytes.
    ///
    /// # Errors
    /// The device's refusal.
    ///
    /// # Panics
    /// If the region is not decoded: no such access would reach the function. If a register changes that the map says no
    /// such read changes; see [`Access`](crate::Access).
    #[track_caller]
    pub fn read(&mut self, region: Region, offset: u64, size: AccessSize) -> Result<u64, Refused> {
        self.expect_decoded(region);
        self.accesses += 1;
        let result = self.call(|function, bus| function.read(bus, region, offset, size));
        self.expect_reported("read", region, offset);
        result
    }

    /// Writes the low `size` bytes of `value`.
    ///
    /// # Errors
    /// The device's refusal.
    ///
    /// # Panics
    /// If the region is not decoded: no such access would reach the function. If plain bytes are written, and a register
    /// changes.
    #[track_caller]
    pub fn write(
        &mut self,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        self.expect_decoded(region);
        self.accesses += 1;
        let result = self.call(|function, bus| function.write(bus, region, offset, size, value));
        self.expect_reported("write", region, offset);
        result
    }

    /// Rings the doorbell at `offset` as a machine does that counts instead of trapping.
    pub fn doorbell(&mut self, region: Region, offset: u64, count: u64) {
        self.accesses += 1;
        self.call(|function, bus| function.doorbell(bus, region, offset, count));
    }

    /// Moves the clock, and fires each timer when it comes due.
    pub fn advance(&mut self, nanoseconds: u64) {
        let end = self.now + nanoseconds;
        while let Some(deadline) = self.function.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.call(PciFunction::advance);
        }
        self.now = end;
    }

    /// Moves the clock while nobody serves timers, and then fires those that are due.
    pub fn advance_late(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        self.call(PciFunction::advance);
    }

    /// Gives the function a state that it, or an equal one, had.
    ///
    /// # Errors
    /// As for [`PciFunction::restore`].
    pub fn restore(&mut self, state: State) -> Result<(), BadState> {
        self.call(|function, bus| function.restore(bus, state))
    }

    /// Effects since the last call of this, with their timestamps and causes.
    pub fn take_timestamped_effects(&mut self) -> Vec<TimestampedEffect> {
        std::mem::take(&mut self.effects)
    }

    /// Effects since the last call of this, without timestamps and causes.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.effects.drain(..).map(|timestamped| timestamped.effect).collect()
    }

    /// Guest memory.
    pub fn memory(&self) -> &dyn DmaMemory {
        &self.memory
    }

    fn set_command(&mut self, bits: u16) {
        let command = self.config_read(COMMAND as u64, Word);
        self.config_write(COMMAND as u64, Word, command | u64::from(bits));
    }

    #[track_caller]
    fn expect_decoded(&self, region: Region) {
        let decoded = || self.function.decoding().iter().any(|(decoded, _)| *decoded == region);
        assert!(
            region == Region::Config || decoded(),
            "{region} is not decoded; enable_memory() or enable_io() comes first"
        );
    }

    #[track_caller]
    fn expect_reported(&self, what: &str, region: Region, offset: u64) {
        if let Some(changed) = self.function.unreported() {
            panic!(
                "a {what} at {region}+{offset:#x} changed {changed}, which the register map says no such access does: \
                 its access has to be RC or RCW, and no range of memory"
            );
        }
    }

    fn call<R>(&mut self, body: impl FnOnce(&mut PciFunction, &mut BusContext<'_>) -> R) -> R {
        let mut bus = BusContext {
            now: self.now,
            cause: self.accesses,
            memory: &self.memory,
            effects: &mut self.effects,
        };
        body(&mut self.function, &mut bus)
    }
}

#[track_caller]
fn accepted<T>(answer: Result<T, Refused>, region: Region, offset: u64) -> T {
    match answer {
        Ok(value) => value,
        Err(refused) => panic!("{region}+{offset:#x}: {refused}"),
    }
}

/// Guest memory from address 0.
struct Memory(RefCell<Vec<u8>>);

impl DmaMemory for Memory {
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let bytes = self.0.borrow();
        data.copy_from_slice(&bytes[range(address, data.len(), bytes.len())?]);
        Ok(())
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let mut bytes = self.0.borrow_mut();
        let range = range(address, data.len(), bytes.len())?;
        bytes[range].copy_from_slice(data);
        Ok(())
    }
}

/// The `length` bytes from `address` on, of which there are `size`.
fn range(address: u64, length: usize, size: usize) -> Result<Range<usize>, DmaError> {
    let start = usize::try_from(address).map_err(|_| DmaError::OutOfBounds)?;
    let end = start.checked_add(length).filter(|&end| end <= size);
    Ok(start..end.ok_or(DmaError::OutOfBounds)?)
}
