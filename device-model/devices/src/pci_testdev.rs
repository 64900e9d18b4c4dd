//! `pci-testdev`, 1b36:0005: QEMU's device to test writes that KVM takes without user space, so that a test written for that
//! one runs here too. It follows QEMU's `docs/specs/pci-testdev.txt` and what QEMU 7.2 answers.
//!
//! BAR0, 4 KiB, 32-bit: tests by memory.
//!
//! | offset | bits     | name       | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x000  | 7:0      | TEST       | RW     | 0x0   | the test that runs; 3 more by ports |
//! | 0x001  | 7:0      | WIDTH      | RO     | 0x0   | bytes to write |
//! | 0x004  | 31:0     | OFFSET     | RO     | 0x0   | where to write |
//! | 0x008  | 31:0     | DATA       | RO     | 0x0   | what to write |
//! | 0x00c  | 31:0     | COUNT      | RO     | 0x0   | writes that reached the device |
//! | 0x010  | 25 bytes | NAME       | RO     |       | of the test |
//! | 0x800  | 7:0      | NO_EVENTFD | WO     | 0x0   | what test 0 writes to |
//! | 0x801  | 7:0      | WILDCARD   | WO     | 0x0   | what test 1 writes to |
//! | 0x802  | 7:0      | DATAMATCH  | WO     | 0x0   | what test 2 writes to |
//!
//! BAR1, 256 bytes, I/O ports: the same tests by ports.
//!
//! | offset | bits     | name       | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 7:0      | TEST       | RW     | 0x0   | the test that runs; 3 more by ports |
//! | 0x01   | 7:0      | WIDTH      | RO     | 0x0   | bytes to write |
//! | 0x04   | 31:0     | OFFSET     | RO     | 0x0   | where to write |
//! | 0x08   | 31:0     | DATA       | RO     | 0x0   | what to write |
//! | 0x0c   | 31:0     | COUNT      | RO     | 0x0   | writes that reached the device |
//! | 0x10   | 25 bytes | NAME       | RO     |       | of the test |
//! | 0x83   | 7:0      | NO_EVENTFD | WO     | 0x0   | what test 0 writes to |
//! | 0x84   | 7:0      | WILDCARD   | WO     | 0x0   | what test 1 writes to |
//! | 0x85   | 7:0      | DATAMATCH  | WO     | 0x0   | what test 2 writes to |
//!
//! BAR2, 64-bit, prefetchable, with `membar` only: addresses without anything behind them, which read as 0.
//!
//! Each BAR has three tests. A write of 0, 1 or 2 to TEST starts that test and stops the one before, in whichever BAR; any
//! other value stops it. WIDTH, OFFSET, DATA, COUNT and NAME tell of the test that runs, by either BAR, and read as 0
//! without one. The test is to write DATA, of WIDTH bytes, at OFFSET:
//!
//! - 0, `no-eventfd`: each such write exits to the device, and COUNT counts it;
//! - 1, `wildcard-eventfd`: a write of anything is counted by KVM, and COUNT stays 0;
//! - 2, `datamatch-eventfd`: so is a write of DATA and of one byte; others exit to the device.
//!
//! What KVM counts stands in the trace as doorbells. Where nothing counts them (without KVM), they reach the device, and
//! COUNT stays 0 all the same.
//!
//! All accesses are of single bytes: a wider one falls into them. What is refused reads as 0.
//!
//! What QEMU does otherwise: it counts writes of one byte only in the wildcard test by ports; here any width is counted, as it is
//! by memory in both.

use std::borrow::Cow;

use barscope_device::{
    Access, AccessSize, Backing, BadState, BarIndex, BarSpec, ConfigHeader, Context, Doorbell, OptionSpec,
    Options, PciDevice, Refused, Region, Register, RegisterMap, state,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const MEMORY: Region = Region::BAR0;
const PORTS: Region = Region::BAR1;
const MEMORY_SIZE: u64 = 4096;
const PORTS_SIZE: u64 = 256;

const TEST: u64 = 0x00;
const WIDTH: u64 = 0x01;
const OFFSET: u64 = 0x04;
const DATA: u64 = 0x08;
const COUNT: u64 = 0x0c;
const NAME: u64 = 0x10;
/// Room for the longest name and its NUL.
const NAME_SIZE: u64 = 25;

const DATA_MATCHED: u8 = 0xfa;
const DATA_OF_WILDCARD: u8 = 0xce;

/// Options.
pub fn options() -> Vec<OptionSpec> {
    let sizes = &["0", "4K", "1M", "256M", "1G", "64G", "1T"];
    vec![OptionSpec::new("membar", sizes, "0", "size of BAR2; none with 0")]
}

const fn byte(mut register: Register) -> Register {
    register.size = 1;
    register
}

/// The registers of a BAR whose tests write to `first` and the two bytes after it.
const fn registers(first: u64) -> [Register; 9] {
    [
        byte(Register::new32("TEST", TEST, Access::ReadWrite, "the test that runs; 3 more by ports")),
        byte(Register::new32("WIDTH", WIDTH, Access::ReadOnly, "bytes to write")),
        Register::new32("OFFSET", OFFSET, Access::ReadOnly, "where to write"),
        Register::new32("DATA", DATA, Access::ReadOnly, "what to write"),
        Register::new32("COUNT", COUNT, Access::ReadOnly, "writes that reached the device"),
        Register::memory("NAME", NAME, NAME_SIZE, "of the test").with_access(Access::ReadOnly),
        byte(Register::new32("NO_EVENTFD", first, Access::WriteOnly, "what test 0 writes to")),
        byte(Register::new32("WILDCARD", first + 1, Access::WriteOnly, "what test 1 writes to")),
        byte(Register::new32("DATAMATCH", first + 2, Access::WriteOnly, "what test 2 writes to")),
    ]
}

static MEMORY_REGISTERS: [Register; 9] = registers(MEMORY_SIZE / 2);
static PORTS_REGISTERS: [Register; 9] = registers(PORTS_SIZE / 2 + 3);
static REGISTER_MAPS: [RegisterMap; 2] = [
    RegisterMap { region: MEMORY, registers: Cow::Borrowed(&MEMORY_REGISTERS) },
    RegisterMap { region: PORTS, registers: Cow::Borrowed(&PORTS_REGISTERS) },
];

/// What a test is about.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    NoEventfd,
    Wildcard,
    Datamatch,
}

/// A test that runs.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Running {
    kind: Kind,
    /// By ports; by memory otherwise.
    by_ports: bool,
    count: u32,
}

impl Running {
    fn region(self) -> Region {
        if self.by_ports { PORTS } else { MEMORY }
    }

    /// Its number among those of both BARs.
    fn number(self) -> u8 {
        self.kind as u8 + if self.by_ports { 3 } else { 0 }
    }

    fn offset(self) -> u64 {
        let half = if self.by_ports { PORTS_SIZE } else { MEMORY_SIZE } / 2;
        half + u64::from(self.number())
    }

    fn data(self) -> u8 {
        if self.kind == Kind::Wildcard { DATA_OF_WILDCARD } else { DATA_MATCHED }
    }

    fn name(self) -> String {
        let how = if self.by_ports { "portio" } else { "mmio" };
        let what = match self.kind {
            Kind::NoEventfd => "no-eventfd",
            Kind::Wildcard => "wildcard-eventfd",
            Kind::Datamatch => "datamatch-eventfd",
        };
        format!("{how}-{what}")
    }

    /// The byte at `offset` of what describes it.
    fn byte(self, offset: u64) -> u8 {
        let word = |at: u64, value: u32| value.to_le_bytes()[(offset - at) as usize];
        match offset {
            TEST => self.number(),
            WIDTH => 1,
            OFFSET..DATA => word(OFFSET, self.offset() as u32),
            DATA..COUNT => word(DATA, self.data().into()),
            COUNT..NAME => word(COUNT, self.count),
            NAME.. => self.name().as_bytes().get((offset - NAME) as usize).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// Which writes KVM counts.
    fn doorbell(self) -> Option<Doorbell> {
        let only = match self.kind {
            Kind::NoEventfd => return None,
            Kind::Wildcard => None,
            Kind::Datamatch => Some((AccessSize::Byte, self.data().into())),
        };
        Some(Doorbell { offset: self.offset(), only })
    }
}

/// The device; see the module.
pub struct PciTestdev {
    membar: Option<u64>,
    running: Option<Running>,
    /// That of the running test.
    doorbell: Option<Doorbell>,
}

impl PciTestdev {
    /// The device, as its options say.
    pub fn new(options: &Options) -> Self {
        let membar = match options.value("membar") {
            "4K" => Some(4 << 10),
            "1M" => Some(1 << 20),
            "256M" => Some(256 << 20),
            "1G" => Some(1 << 30),
            "64G" => Some(64 << 30),
            "1T" => Some(1 << 40),
            _ => None,
        };
        Self { membar, running: None, doorbell: None }
    }

    fn run(&mut self, running: Option<Running>) {
        self.running = running;
        self.doorbell = running.and_then(Running::doorbell);
    }

    /// Takes one byte of a write; whether it did anything.
    fn write_byte(&mut self, region: Region, offset: u64, value: u8) -> bool {
        if offset == TEST {
            let kind = [Kind::NoEventfd, Kind::Wildcard, Kind::Datamatch].get(usize::from(value)).copied();
            self.run(kind.map(|kind| Running { kind, by_ports: region == PORTS, count: 0 }));
            return true;
        }
        let Some(running) = &mut self.running else { return false };
        // The running test's offset counts in either BAR.
        let is_it = offset == running.offset();
        let counts = is_it && (running.kind == Kind::Wildcard || value == running.data());
        if counts {
            running.count = running.count.wrapping_add(1);
        }
        is_it
    }
}

impl PciDevice for PciTestdev {
    fn name(&self) -> &str {
        "pci-testdev"
    }

    fn header(&self) -> ConfigHeader {
        let mut bars =
            vec![BarSpec::memory32(BarIndex::BAR0, MEMORY_SIZE), BarSpec::io(BarIndex::BAR1, PORTS_SIZE)];
        bars.extend(self.membar.map(|size| BarSpec::memory64(BarIndex::BAR2, size).with_prefetch()));
        ConfigHeader {
            vendor: 0x1b36,
            device: 0x0005,
            class: 0x00_ff_00,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            bars,
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &REGISTER_MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        let register = REGISTER_MAPS.iter().find(|map| map.region == region).and_then(|map| map.at(offset));
        match register {
            None => Err(Refused::Reserved),
            Some(register) if !register.access.readable() => Err(Refused::WriteOnly),
            Some(_) => {
                let bytes = (0..size.bytes()).rev();
                let byte = |at| u64::from(self.running.map_or(0, |running| running.byte(offset + at)));
                Ok(bytes.fold(0, |value, at| value << 8 | byte(at)))
            }
        }
    }

    fn refused_read(&self, _: Region, _: u64, _: AccessSize) -> u64 {
        0
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        if region != MEMORY && region != PORTS {
            return Err(Refused::Reserved);
        }
        let rings = self.running.is_some_and(|running| {
            running.region() == region
                && self.doorbell.is_some_and(|doorbell| doorbell.offset == offset)
                && self.doorbell.is_some_and(|bell| bell.only.is_none_or(|only| only == (size, value)))
        });
        if rings {
            return Ok(());
        }
        let bytes = value.to_le_bytes().into_iter().take(size.bytes() as usize);
        let taken = (offset..)
            .zip(bytes)
            .fold(false, |taken, (offset, byte)| self.write_byte(region, offset, byte) || taken);
        if taken { Ok(()) } else { Err(Refused::Reserved) }
    }

    fn backing(&self, region: Region) -> Backing {
        let is_rung = self.doorbell.is_some() && self.running.is_some_and(|run| run.region() == region);
        if is_rung { Backing::Doorbell } else { Backing::Trapped }
    }

    fn doorbells(&self, region: Region) -> Option<&[Doorbell]> {
        match self.running {
            Some(running) if running.region() == region => Some(self.doorbell.as_slice()),
            _ => (region == MEMORY || region == PORTS).then_some(&[]),
        }
    }

    fn peek(&self, _: Region, offset: u64) -> Option<u64> {
        let size = match offset {
            TEST | WIDTH => 1,
            OFFSET | DATA | COUNT => 4,
            _ => return None,
        };
        let byte = |at| u64::from(self.running.map_or(0, |running| running.byte(offset + at)));
        Some((0..size).rev().fold(0, |value, at| value << 8 | byte(at)))
    }

    fn reset(&mut self) {
        self.run(None);
    }

    fn save(&self) -> Value {
        state::encode(&self.running)
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        let running = state::decode(state)?;
        self.run(running);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
