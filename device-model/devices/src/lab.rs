//! `lab`, 1234:1ab0: a device to try drivers on. It computes for a while and interrupts when done, has
//! memory and moves it by DMA, and has one of each kind of register that drivers get wrong.
//!
//! BAR0, 4 KiB, 32-bit: registers.
//!
//! | offset | bits | name           | access | reset      | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 31:0 | ID             | RO     | 0x3142414c | tells the device: LAB1 |
//! | 0x04   | 31:0 | VERSION        | RO     | 0x10000    | of the registers |
//! | 0x08   | 31:0 | SCRATCH        | RW     | 0x0        | holds what is written |
//! | 0x0c   | 31:0 | CONTROL        | RW     | 0x0        | enables and resets |
//! |        | 0    | ENABLE         |        |            | computations and transfers may start |
//! |        | 1    | RESET          |        |            | resets every register; reads as 0 |
//! |        | 2    | FLIP           |        |            | BAR2 changes from trapped to direct, or back |
//! | 0x10   | 31:0 | STATUS         | RO     | 0x0        | what the computation is at |
//! |        | 0    | BUSY           |        |            | a computation is under way |
//! |        | 1    | DONE           |        |            | the last computation ended; RESULT is valid |
//! |        | 2    | ERROR          |        |            | the last computation could not start |
//! | 0x14   | 31:0 | INT_STATUS     | W1C    | 0x0        | interrupt causes |
//! |        | 0    | DONE           |        |            | a computation ended |
//! |        | 1    | ERROR          |        |            | a computation or a transfer failed |
//! |        | 2    | DMA            |        |            | a transfer ended |
//! |        | 3    | DOORBELL       |        |            | a doorbell was rung |
//! |        | 4    | FIFO           |        |            | the queue's level rose to FIFO_THRESHOLD |
//! | 0x18   | 31:0 | INT_MASK       | RW     | 0x0        | a one lets the cause interrupt |
//! |        | 0    | DONE           |        |            | a computation ended |
//! |        | 1    | ERROR          |        |            | a computation or a transfer failed |
//! |        | 2    | DMA            |        |            | a transfer ended |
//! |        | 3    | DOORBELL       |        |            | a doorbell was rung |
//! |        | 4    | FIFO           |        |            | the queue's level rose to FIFO_THRESHOLD |
//! | 0x20   | 31:0 | OPERAND        | RW     | 0x0        | what to compute with |
//! | 0x24   | 31:0 | OPCODE         | RW     | 0x0        | starts a computation: 1 FACTORIAL, 2 SQUARE, 3 POPCOUNT |
//! | 0x28   | 31:0 | RESULT         | RO     | 0x0        | of the last computation, modulo 2^32 |
//! | 0x40   | 63:0 | DMA_ADDRESS    | RW     | 0x0        | in guest memory |
//! | 0x48   | 31:0 | DMA_OFFSET     | RW     | 0x0        | in BAR2 |
//! | 0x4c   | 31:0 | DMA_LENGTH     | RW     | 0x0        | in bytes, from 1 to 1 MiB |
//! | 0x50   | 31:0 | DMA_CONTROL    | RW     | 0x0        | direction and start |
//! |        | 0    | START          |        |            | starts a transfer; reads as 0 |
//! |        | 1    | TO_MEMORY      |        |            | from BAR2 to guest memory |
//! | 0x54   | 31:0 | DMA_STATUS     | RO     | 0x0        | what the transfer is at |
//! |        | 0    | BUSY           |        |            | a transfer is under way |
//! |        | 1    | DONE           |        |            | the last transfer ended |
//! |        | 2    | ERROR          |        |            | the last transfer failed |
//! |        | 7:4  | REASON         |        |            | why: 1 DISABLED, 2 LENGTH, 3 OFFSET, 4 MASTERING, 5 ADDRESS |
//! | 0x60   | 63:0 | COUNTER        | RO     | 0x0        | device time in ns; never reset |
//! | 0x68   | 31:0 | EVENTS         | RC     | 0x0        | causes set since the last read |
//! | 0x6c   | 31:0 | TRIGGER        | WO     | 0x0        | sets the causes that are ones |
//! |        | 0    | DONE           |        |            | a computation ended |
//! |        | 1    | ERROR          |        |            | a computation or a transfer failed |
//! |        | 2    | DMA            |        |            | a transfer ended |
//! |        | 3    | DOORBELL       |        |            | a doorbell was rung |
//! |        | 4    | FIFO           |        |            | the queue's level rose to FIFO_THRESHOLD |
//! | 0x70   | 31:0 | FIFO_DATA      | RCW    | 0x0        | writes push, reads pop |
//! | 0x74   | 31:0 | FIFO_STATUS    | W1C    | 0x100      | of the queue |
//! |        | 4:0  | LEVEL          |        |            | words in the queue; read-only |
//! |        | 8    | EMPTY          |        |            | no word; read-only |
//! |        | 9    | FULL           |        |            | 16 words; read-only |
//! |        | 16   | OVERFLOW       |        |            | a push while full dropped its word |
//! |        | 17   | UNDERFLOW      |        |            | a pop while empty gave 0 |
//! | 0x78   | 31:0 | FIFO_THRESHOLD | RW     | 0x8        | level that interrupts; 5 bits |
//! | 0x80   | 31:0 | DOORBELL_COUNT | RO     | 0x0        | how often doorbells were rung |
//!
//! BAR1, 16 ports: the same registers through an index and a data port.
//!
//! | offset | bits | name  | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 31:0 | INDEX | RW     | 0x0   | an offset in BAR0: bits 11:2 |
//! | 0x04   | 31:0 | DATA  | RCW    | 0x0   | the register of BAR0 at INDEX |
//!
//! BAR2, 1 MiB, 64-bit, prefetchable: memory.
//!
//! | offset | bits  | name   | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 1 MiB | MEMORY | RW     |       | plain bytes |
//!
//! BAR5, 256 bytes, 32-bit: doorbells. BAR4, 4 KiB, 32-bit, has the table and pending bits of MSI-X.
//!
//! | offset | bits | name      | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 31:0 | DOORBELL0 | WO     | 0x0   | rings, whatever is written |
//! | 0x20   | 31:0 | DOORBELL1 | WO     | 0x0   | rings, whatever is written |
//! | 0x40   | 31:0 | DOORBELL2 | WO     | 0x0   | rings, whatever is written |
//! | 0x60   | 31:0 | DOORBELL3 | WO     | 0x0   | rings, whatever is written |
//! | 0x80   | 31:0 | DOORBELL4 | WO     | 0x0   | rings, whatever is written |
//! | 0xa0   | 31:0 | DOORBELL5 | WO     | 0x0   | rings, whatever is written |
//! | 0xc0   | 31:0 | DOORBELL6 | WO     | 0x0   | rings, whatever is written |
//! | 0xe0   | 31:0 | DOORBELL7 | WO     | 0x0   | rings, whatever is written |
//!
//! ROM, 4 KiB: an image.
//!
//! | offset | bits  | name      | access | reset | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 4 KiB | ROM_IMAGE | RO     |       | an image that does nothing |
//!
//! Registers take aligned accesses of their own size, and the halves of 64-bit ones; anything else is
//! refused. Memory takes any width at any alignment; CONTROL.RESET leaves it, other resets zero it.
//!
//! A computation takes 20 us of device time. STATUS is BUSY meanwhile, and writes to OPERAND and OPCODE
//! are dropped; then RESULT holds the result, and DONE is set in STATUS and INT_STATUS. Starting one
//! while ENABLE is clear, or with an unknown opcode, sets ERROR in both at once. Clearing ENABLE does not
//! stop a computation; RESET does.
//!
//! A transfer takes 1 us and 1 ns a byte. DMA_STATUS is BUSY meanwhile, and writes to the other registers
//! for it are dropped; then DONE is set there, and DMA in INT_STATUS. A transfer that can't start fails at
//! once, one that guest memory or the Command register refuses at its end: ERROR is set in both registers,
//! and DMA_STATUS has the reason. Nothing is moved then.
//!
//! Reading the lower half of COUNTER keeps the upper half for the next read of that, so that both belong
//! together. The queue holds 16 words.
//!
//! Interrupt causes are numbered like the bits of INT_STATUS. A cause is pending while INT_STATUS &
//! INT_MASK has its bit. Cause n has vector n, or shares vector 0 if software gave fewer; without MSI and
//! MSI-X all share INTA#.

mod configuration;
mod fifo;
mod map;
mod registers;
mod rom;
mod transfer;

use barscope_device::{
    AccessSize, Backing, BadState, ConfigHeader, Context, DeviceMemory, Hex, InterruptSet, Options,
    PciDevice, Refused, Region, RegisterMap, read_bytes, state,
};
use serde_json::Value;

pub use configuration::options;

use configuration::Configuration;
use map::{DATA, DOORBELLS, INDEX, MEMORY, MEMORY_SIZE, REGISTER_MAPS, REGISTERS, WINDOW};
use registers::{COMPUTATION, Registers};

const VENDOR: u16 = 0x1234;
const DEVICE: u16 = 0x1ab0;
const REVISION: u8 = 1;

/// What INDEX can hold: the offset of a 32-bit register in BAR0.
const INDEX_BITS: u64 = 0xffc;

/// The device; see the module.
pub struct Lab {
    configuration: Configuration,
    registers: Registers,
    memory: DeviceMemory,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new(&Options::defaults(&options()))
    }
}

impl Lab {
    /// The device, as its options say.
    pub fn new(options: &Options) -> Self {
        Self {
            configuration: Configuration::new(options),
            registers: Registers::default(),
            memory: DeviceMemory::new(MEMORY_SIZE as usize),
        }
    }

    fn map(region: Region) -> Result<&'static RegisterMap, Refused> {
        REGISTER_MAPS.iter().find(|map| map.region == region).ok_or(Refused::Reserved)
    }
}

impl PciDevice for Lab {
    fn name(&self) -> &str {
        "lab"
    }

    fn header(&self) -> ConfigHeader {
        self.configuration.header()
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &REGISTER_MAPS
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        let register = Self::map(region)?.check_read(offset, size)?;
        match (region, offset) {
            (REGISTERS, _) => self.registers.read(context, register, offset, size),
            (WINDOW, INDEX) => Ok(self.registers.index.into()),
            (WINDOW, DATA) => self.read(context, REGISTERS, self.registers.index.into(), size),
            (MEMORY, _) => self.memory.read(offset, size),
            (Region::Rom, _) => read_bytes(&rom::IMAGE, offset, size),
            _ => Err(Refused::Reserved),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let register = Self::map(region)?.check_write(offset, size)?;
        match (region, offset) {
            (REGISTERS, _) => self.registers.write(context, register, offset, size, value)?,
            (WINDOW, INDEX) => self.registers.index = (value & INDEX_BITS) as u32,
            (WINDOW, DATA) => {
                self.write(context, REGISTERS, self.registers.index.into(), size, value)?;
            }
            (MEMORY, _) => self.memory.write(offset, size, value)?,
            (DOORBELLS, _) => self.registers.ring(1),
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>, index: u8) {
        if index == COMPUTATION {
            self.registers.finish_computation();
        } else {
            self.registers.finish_transfer(context, &mut self.memory);
        }
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.insert_mask(self.registers.interrupts().into());
    }

    fn backing(&self, region: Region) -> Backing {
        match (region, self.configuration.memory) {
            (MEMORY, Backing::Trapped) if self.registers.flipped() => Backing::Direct,
            (MEMORY, Backing::Direct) if self.registers.flipped() => Backing::Trapped,
            (MEMORY, backing) => backing,
            (DOORBELLS, _) => self.configuration.doorbells,
            _ => Backing::Trapped,
        }
    }

    fn memory(&mut self, region: Region) -> Option<&mut DeviceMemory> {
        (region == MEMORY).then_some(&mut self.memory)
    }

    fn doorbell(&mut self, _: &mut Context<'_>, _: Region, _: u64, count: u64) {
        self.registers.ring(count);
    }

    fn peek(&self, region: Region, offset: u64) -> Option<u64> {
        match (region, offset) {
            (REGISTERS, _) => self.registers.peek(offset),
            (WINDOW, INDEX) => Some(self.registers.index.into()),
            _ => None,
        }
    }

    fn reset(&mut self) {
        self.registers = Registers::default();
        self.memory.reset();
    }

    fn save(&self) -> Value {
        state::encode(&(&self.registers, self.memory.save()))
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        let (registers, memory): (Registers, Hex) = state::decode(state)?;
        if !self.memory.restore(&memory) {
            return Err(BadState::TooLong);
        }
        self.registers = registers;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
