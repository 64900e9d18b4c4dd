//! A platform for tests: it keeps the calls that it gets, and a test plays guest, host time and interrupt controller.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use barscope_device::{AccessSize, DeviceMemory, DmaError, DmaMemory, Storage};
use barscope_trace::BusAddress;

use super::Platform;
use crate::host::HostError;
use crate::lock::lock;

/// A call of the dispatcher's that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Write { address: u64, data: Vec<u8> },
    SignalMsi { address: u64, data: u32 },
    SetIrqLine { gsi: u8, asserted: bool },
    SetDeadline(Option<u64>),
    MapMemslot { base: u64, size: usize },
    UnmapMemslot { base: u64 },
    RegisterIoeventfd { address: BusAddress },
    UnregisterIoeventfd { address: BusAddress },
    RegisterCoalescedZone { base: u64, size: u64 },
    UnregisterCoalescedZone { base: u64, size: u64 },
}

/// The platform. It delivers every message and supports everything, unless told otherwise.
#[derive(Default)]
pub struct TestPlatform(Mutex<State>);

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    memory: HashMap<u64, u8>,
    now: u64,
    is_deaf: bool,
    is_plain: bool,
    /// Content of memslots by their base.
    memslots: HashMap<u64, Arc<Mutex<Vec<u8>>>>,
    dirty: HashMap<u64, HashSet<u64>>,
    /// Writes that were counted, by address.
    counted: HashMap<BusAddress, u64>,
}

impl TestPlatform {
    /// The size of its guest memory in bytes, from address 0 up.
    pub const MEMORY_SIZE: u64 = 0x1_0000;

    /// The calls since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        mem::take(&mut lock(&self.0).calls)
    }

    /// Moves host time to `now`.
    pub fn set_now(&self, now: u64) {
        lock(&self.0).now = now;
    }

    /// Delivers no message from here on.
    pub fn deliver_nothing(&self) {
        lock(&self.0).is_deaf = true;
    }

    /// Serves no region by itself from here on.
    pub fn support_nothing(&self) {
        lock(&self.0).is_plain = true;
    }

    /// The guest writes a byte in a memslot, which nobody sees.
    pub fn guest_writes(&self, base: u64, offset: usize, byte: u8) {
        let mut state = lock(&self.0);
        lock(&state.memslots[&base])[offset] = byte;
        state.dirty.entry(base).or_default().insert(offset as u64 / 4096);
    }

    /// The guest writes a counted register.
    pub fn guest_rings(&self, address: u64) {
        *lock(&self.0).counted.get_mut(&BusAddress::Memory(address)).expect("no ioeventfd there") += 1;
    }

    fn call(&self, call: Call) {
        lock(&self.0).calls.push(call);
    }

    fn is_plain(&self) -> bool {
        lock(&self.0).is_plain
    }
}

impl Platform for TestPlatform {
    /// Its base and its number of pages.
    type Memslot = (u64, usize);
    /// Its address.
    type Ioeventfd = BusAddress;

    fn signal_msi(&self, address: u64, data: u32) -> bool {
        self.call(Call::SignalMsi { address, data });
        !lock(&self.0).is_deaf
    }

    fn set_irq_line(&self, gsi: u8, asserted: bool) {
        self.call(Call::SetIrqLine { gsi, asserted });
    }

    fn now(&self) -> u64 {
        lock(&self.0).now
    }

    fn set_deadline(&self, deadline: Option<u64>) {
        self.call(Call::SetDeadline(deadline));
    }

    fn map_memslot(&self, base: u64, memory: &mut DeviceMemory) -> Result<Option<(u64, usize)>, HostError> {
        if self.is_plain() {
            return Ok(None);
        }
        let size = memory.size();
        let content = Arc::new(Mutex::new(vec![0; size]));
        memory.move_to(Box::new(Shared(Arc::clone(&content))));
        lock(&self.0).memslots.insert(base, content);
        self.call(Call::MapMemslot { base, size });
        Ok(Some((base, size / 4096)))
    }

    fn unmap_memslot(&self, (base, _): (u64, usize)) -> Result<(), HostError> {
        lock(&self.0).memslots.remove(&base).expect("no memslot there");
        self.call(Call::UnmapMemslot { base });
        Ok(())
    }

    fn take_dirty_pages(&self, (base, pages): &(u64, usize)) -> Result<Vec<u64>, HostError> {
        let mut words = vec![0; pages.div_ceil(64)];
        for page in lock(&self.0).dirty.remove(base).unwrap_or_default() {
            words[page as usize / 64] |= 1 << (page % 64);
        }
        Ok(words)
    }

    fn register_ioeventfd(
        &self,
        address: BusAddress,
        _: Option<(AccessSize, u64)>,
    ) -> Result<Option<BusAddress>, HostError> {
        if self.is_plain() {
            return Ok(None);
        }
        lock(&self.0).counted.insert(address, 0);
        self.call(Call::RegisterIoeventfd { address });
        Ok(Some(address))
    }

    fn unregister_ioeventfd(&self, address: BusAddress) -> Result<u64, HostError> {
        self.call(Call::UnregisterIoeventfd { address });
        Ok(lock(&self.0).counted.remove(&address).expect("no ioeventfd there"))
    }

    fn take_writes(&self, address: &BusAddress) -> u64 {
        mem::take(lock(&self.0).counted.get_mut(address).expect("no ioeventfd there"))
    }

    fn register_coalesced_zone(&self, base: u64, size: u64) -> Result<bool, HostError> {
        if self.is_plain() {
            return Ok(false);
        }
        self.call(Call::RegisterCoalescedZone { base, size });
        Ok(true)
    }

    fn unregister_coalesced_zone(&self, base: u64, size: u64) -> Result<(), HostError> {
        self.call(Call::UnregisterCoalescedZone { base, size });
        Ok(())
    }
}

impl DmaMemory for TestPlatform {
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        let state = lock(&self.0);
        for (at, byte) in addresses(address, data.len())?.zip(data) {
            *byte = state.memory.get(&at).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        let addresses = addresses(address, data.len())?;
        self.call(Call::Write { address, data: data.to_vec() });
        lock(&self.0).memory.extend(addresses.zip(data.iter().copied()));
        Ok(())
    }
}

fn addresses(address: u64, length: usize) -> Result<Range<u64>, DmaError> {
    let end = address.checked_add(length as u64).filter(|end| *end <= TestPlatform::MEMORY_SIZE);
    Ok(address..end.ok_or(DmaError::OutOfBounds)?)
}

/// Memory that a device shares with the guest.
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Storage for Shared {
    fn load(&self, offset: usize, data: &mut [u8]) {
        data.copy_from_slice(&lock(&self.0)[offset..offset + data.len()]);
    }

    fn store(&mut self, offset: usize, data: &[u8]) {
        lock(&self.0)[offset..offset + data.len()].copy_from_slice(data);
    }
}
