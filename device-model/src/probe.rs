//! A device that does on demand what tests of the function around it need.

use std::borrow::Cow;

use serde_json::Value;

use crate::access_size::AccessSize;
use crate::address::{BarIndex, Region};
use crate::bar::BarSpec;
use crate::capability::{Capability, ExpressSpec, MsiSpec, MsixSpec, Placed, PowerSpec, VendorSpec};
use crate::context::Context;
use crate::device::PciDevice;
use crate::extended::{ExtendedCapability, SerialNumberSpec};
use crate::header::{ConfigHeader, InterruptPin};
use crate::interrupt_set::InterruptSet;
use crate::refused::Refused;
use crate::register::{Access, Register, RegisterMap};
use crate::state::{self, BadState};
use crate::vector::VectorIndex;

pub(crate) const REGISTERS: Region = Region::BAR0;
/// Holds what is written; a timer that comes due adds one.
pub(crate) const VALUE: u64 = 0x00;
/// Counts accesses by itself.
pub(crate) const VOLATILE: u64 = 0x08;
/// A write says which of the first 64 interrupt causes are pending, leaves the others alone, and adds one to VALUE.
pub(crate) const CAUSES: u64 = 0x10;
/// A write makes the cause of that number pending; with bit 63, no longer.
pub(crate) const CAUSE: u64 = 0x30;
/// A write transfers VALUE to that address, 8 bytes, and then adds one to VALUE.
pub(crate) const DMA_WRITE: u64 = 0x18;
/// A write fetches VALUE from that address, 8 bytes.
pub(crate) const DMA_READ: u64 = 0x20;
/// A write sets timer 0, or with bit 63 timer 1, to that delay.
pub(crate) const TIMER: u64 = 0x28;

static REGISTER_MAPS: [RegisterMap; 1] = [RegisterMap {
    region: REGISTERS,
    registers: Cow::Borrowed(&[
        Register::new64("VALUE", VALUE, Access::ReadWrite, ""),
        Register::new64("VOLATILE", VOLATILE, Access::ReadWrite, "").volatile(),
    ]),
}];

pub(crate) struct Probe {
    pub(crate) header: ConfigHeader,
    value: u64,
    accesses: u64,
    causes: InterruptSet,
}

impl Probe {
    /// With one 32-bit BAR of 4 KiB.
    pub(crate) fn new() -> Self {
        Self::with_bars(&[BarSpec::memory32(BarIndex::BAR0, 0x1000)])
    }

    pub(crate) fn with_bars(bars: &[BarSpec]) -> Self {
        let header = ConfigHeader {
            vendor: 0x1234,
            device: 0xabcd,
            revision: 7,
            class: 0x01_02_03,
            subsystem_vendor: 0x5678,
            subsystem: 0x9abc,
            bars: bars.to_vec(),
            capabilities: vec![MsiSpec::new(1).into()],
            ..ConfigHeader::default()
        };
        Self { header, value: 0, accesses: 0, causes: InterruptSet::EMPTY }
    }

    /// As a device asks for that has one of each.
    pub(crate) fn with_every_capability() -> Self {
        let spec = MsiSpec { masking: true, ..MsiSpec::new(8) };
        Self::new()
            .with_capabilities([PowerSpec::default().into(), spec.into()])
            .with_msix(8)
            .with_resettable_express()
            .with(VendorSpec::new(b"bench"))
            .with_extended([SerialNumberSpec { number: 0x1ab0_0000_0000_0001 }.into()])
    }

    /// With these capabilities and no others.
    pub(crate) fn with_capabilities(
        mut self,
        capabilities: impl IntoIterator<Item = Placed<Capability>>,
    ) -> Self {
        self.header.capabilities = capabilities.into_iter().collect();
        self
    }

    /// With one more capability.
    pub(crate) fn with(mut self, capability: impl Into<Capability>) -> Self {
        self.header.capabilities.push(Placed::from(capability.into()));
        self
    }

    pub(crate) fn with_extended(
        mut self,
        capabilities: impl IntoIterator<Item = Placed<ExtendedCapability>>,
    ) -> Self {
        self.header.extended_capabilities = capabilities.into_iter().collect();
        self
    }

    /// With this MSI capability, or none, and no other capability.
    pub(crate) fn with_msi(self, spec: Option<MsiSpec>) -> Self {
        self.with_capabilities(spec.map(Placed::from))
    }

    /// MSI-X in BAR2, with pending bits at 0x1000.
    pub(crate) fn with_msix(mut self, vectors: u16) -> Self {
        self.header.bars.push(BarSpec::memory64(BarIndex::BAR2, 0x2000));
        self.with(MsixSpec::new(vectors, BarIndex::BAR2, 0, 0x1000))
    }

    pub(crate) fn with_pin(mut self) -> Self {
        self.header.interrupt_pin = Some(InterruptPin::A);
        self
    }

    pub(crate) fn with_rom(mut self, size: u32) -> Self {
        self.header.rom = Some(size);
        self
    }

    /// As a Root Complex Integrated Endpoint.
    pub(crate) fn with_express(self) -> Self {
        self.with(ExpressSpec::default())
    }

    /// The same, with Function Level Reset.
    pub(crate) fn with_resettable_express(self) -> Self {
        self.with(ExpressSpec::default().with_function_level_reset())
    }
}

impl PciDevice for Probe {
    fn name(&self) -> &str {
        "probe"
    }

    fn header(&self) -> ConfigHeader {
        self.header.clone()
    }

    fn register_maps(&self) -> &[RegisterMap] {
        let described = self.header.bars.iter().any(|bar| bar.region() == REGISTERS);
        if described { &REGISTER_MAPS } else { &[] }
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        _: AccessSize,
    ) -> Result<u64, Refused> {
        self.accesses += 1;
        self.peek(region, offset).ok_or(Refused::Reserved)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: Region,
        offset: u64,
        _: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        self.accesses += 1;
        match offset {
            VALUE => self.value = value,
            CAUSES => {
                self.causes.remove_all(&InterruptSet::below(64));
                self.causes.insert_mask(value);
                self.value += 1;
            }
            CAUSE if value >> 63 == 0 => self.causes.insert(vector(value as u16)),
            CAUSE => self.causes.remove(vector(value as u16)),
            DMA_WRITE => {
                // The outcome is among the effects, which is what the tests look at.
                let _ = context.dma_write(value, &self.value.to_le_bytes());
                self.value += 1;
            }
            DMA_READ => {
                let mut bytes = [0; 8];
                if context.dma_read(value, &mut bytes).is_ok() {
                    self.value = u64::from_le_bytes(bytes);
                }
            }
            TIMER => context.set_timer((value >> 63) as u8, value & !(1 << 63)),
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn timer(&mut self, _: &mut Context<'_>, _: u8) {
        self.value += 1;
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.clone_from(&self.causes);
    }

    fn peek(&self, _: Region, offset: u64) -> Option<u64> {
        match offset {
            VALUE => Some(self.value),
            VOLATILE => Some(self.accesses),
            _ => None,
        }
    }

    fn reset(&mut self) {
        self.value = 0;
        self.accesses = 0;
        self.causes.clear();
    }

    fn save(&self) -> Value {
        state::encode(&(self.value, self.accesses, &self.causes))
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        (self.value, self.accesses, self.causes) = state::decode(state)?;
        Ok(())
    }
}

/// A vector by its number.
pub(crate) const fn vector(index: u16) -> VectorIndex {
    VectorIndex::new(index).expect("there is no such vector")
}
