//! Devices without a machine: no processor, no kernel, no `/dev/kvm`. Whoever has one makes the accesses himself, and lets
//! device time pass.
//!
//! Accesses go where those of a guest go, through the dispatcher: routed, performed and recorded in the same place.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use barscope_device::{Bdf, Devices, DmaError, DmaMemory, Region};
use barscope_trace::definition::{self, Definition};
use barscope_trace::{BusAddress, Clock, End, EventKind, Lane, WriteOptions, Writer};

use crate::clock::ACCESS_NS;
use crate::dispatch::{Access, Dispatcher, Origin};
use crate::host::HostError;
use crate::machine::{MachineError, functions};
use crate::memory::GuestMemory;
use crate::perform::Request;
use crate::placement::{Asking, Placement};
use crate::platform::BarePlatform;

/// How many bits a physical address has.
const ADDRESS_BITS: u32 = 48;
const COMMAND: u64 = 0x04;
/// Command: what firmware leaves, and Bus Master Enable, as a driver adds it.
const COMMAND_ON: u64 = 0x0107;

/// Devices on a bus, and memory. Their clock is virtual.
pub struct Bare {
    dispatcher: Dispatcher<BarePlatform>,
    platform: Arc<BarePlatform>,
    placement: Placement,
    firmware: bool,
    writer: Writer,
    lane: Lane,
    /// Where regions were when they were last decoded.
    known: HashMap<(Bdf, Region), BusAddress>,
}

/// What is around devices.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// BARs have addresses, and functions decode them and may master the bus; the trace tells how that came.
    pub firmware: bool,
    /// Bytes of memory for DMA, from address 0 up.
    pub memory: u64,
    /// What an access advances device time by, in nanoseconds.
    pub access_ns: u64,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { firmware: true, memory: 64 << 20, access_ns: ACCESS_NS }
    }
}

/// An access that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The region has no address that an access could go to.
    #[error("{region} of {bdf} was never given an address: write its BAR and the Command register first")]
    NoAddress {
        /// The function.
        bdf: Bdf,
        /// The region.
        region: Region,
    },
    /// The host can't.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Bare {
    /// Puts the devices on a bus, and begins a trace.
    ///
    /// # Errors
    /// [`MachineError`] if they have no room there, or the trace can't be written.
    pub fn new(
        devices: Devices,
        Surroundings { firmware, memory, access_ns }: Surroundings,
        trace: &Path,
        options: WriteOptions,
    ) -> Result<Self, MachineError> {
        let functions = functions(devices)?;
        let asking: Vec<_> = functions.iter().map(Asking::of).collect();
        let placement = Placement::new(&asking, ADDRESS_BITS)?;
        let writer = Writer::create_with(trace, Clock::Virtual, options).map_err(HostError::from)?;
        let machine = definition::Machine { guest: "no guest".to_owned(), vcpus: 0, memory };
        writer.define(&Definition::Machine(machine)).map_err(HostError::from)?;
        let platform = Arc::new(BarePlatform::new(GuestMemory::new(memory)?));
        let dispatcher =
            Dispatcher::new(functions, Clock::Virtual, Arc::clone(&platform), memory, writer.clone())
                .map_err(HostError::from)?
                .with_access_time(access_ns);
        let lane = writer.lane(None);
        let known = HashMap::new();
        let mut bare = Self { dispatcher, platform, placement, firmware, writer, lane, known };
        bare.start()?;
        Ok(bare)
    }

    /// Does what firmware does, and lets all functions but the bridge master the bus.
    fn start(&mut self) -> Result<(), HostError> {
        if self.firmware {
            self.dispatcher.run_firmware(&self.placement, &mut self.lane)?;
            for bdf in self.dispatcher.addresses().filter(|bdf| bdf.routing_id() != 0).collect::<Vec<_>>() {
                if let Some(address) = self.dispatcher.address(bdf, Region::Config) {
                    self.ask(address, COMMAND, Request::write(2, COMMAND_ON))?;
                }
            }
        }
        Ok(())
    }

    /// Reads or writes at `offset` of a region. One that isn't decoded any more is asked for where it was: nobody
    /// answers there, as on a bus. Gives the value.
    ///
    /// # Errors
    /// [`Unreachable`] if it never had an address, or the trace can't be written.
    pub fn access(
        &mut self,
        bdf: Bdf,
        region: Region,
        offset: u64,
        request: Request,
    ) -> Result<u64, Unreachable> {
        if let Some(address) = self.dispatcher.address(bdf, region) {
            self.known.insert((bdf, region), address);
        }
        let address = self.known.get(&(bdf, region)).copied();
        let address = address.ok_or(Unreachable::NoAddress { bdf, region })?;
        Ok(self.ask(address, offset, request)?)
    }

    fn ask(&mut self, base: BusAddress, offset: u64, request: Request) -> Result<u64, HostError> {
        let address = match base {
            BusAddress::Memory(base) => BusAddress::Memory(base.saturating_add(offset)),
            BusAddress::Port(base) => BusAddress::Port(base.saturating_add(offset as u16)),
        };
        let access = Access { address, request, vcpu: None, origin: Origin::default() };
        self.dispatcher.access(&mut self.lane, &access)
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.dispatcher.now()
    }

    /// Whether a region has an address that accesses to it go to.
    pub fn is_decoded(&self, bdf: Bdf, region: Region) -> bool {
        self.dispatcher.address(bdf, region).is_some()
    }

    /// Lets device time pass: timers fire when they come due.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written.
    pub fn wait(&mut self, nanoseconds: u64) -> Result<(), HostError> {
        self.dispatcher.wait(&mut self.lane, nanoseconds)
    }

    /// Resets a function as the bus does, and starts it anew as at the beginning. A mark in the trace says so.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written.
    pub fn reset(&mut self, bdf: Bdf) -> Result<(), HostError> {
        let text = self.writer.define(&Definition::Text { text: format!("reset of {bdf}") })?;
        let now = self.dispatcher.now();
        self.dispatcher.record(&mut self.lane, None, now, EventKind::Mark { text, process: 0 })?;
        self.dispatcher.reset(&mut self.lane, bdf)?;
        self.start()
    }

    /// Reads memory, as a program would: that isn't recorded.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`].
    pub fn read_memory(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError> {
        self.platform.read(address, data)
    }

    /// The same for a write.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`].
    pub fn write_memory(&self, address: u64, data: &[u8]) -> Result<(), DmaError> {
        self.platform.write(address, data)
    }

    /// Completes the trace.
    ///
    /// # Errors
    /// [`HostError::Trace`].
    pub fn finish(self) -> Result<(), HostError> {
        drop(self.lane);
        Ok(self.writer.finish(End::Finished)?)
    }
}

#[cfg(test)]
mod tests;
