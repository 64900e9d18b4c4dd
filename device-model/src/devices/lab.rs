//! `lab`, 1234:1ab0: a device to try drivers on. It computes for a while and interrupts when done, and
//! it has memory.
//!
//! BAR0, 4 KiB, 32-bit: registers. They take aligned 4-byte accesses; anything else is refused.
//!
//! | offset | name | access | bits |
//! |---|---|---|---|
//! | 0x00 | ID | RO | 0x3142414c, "LAB1" |
//! | 0x04 | VERSION | RO | 0x00010000 |
//! | 0x08 | SCRATCH | RW | anything |
//! | 0x0c | CONTROL | RW | 0 ENABLE, 1 RESET: returns every register to its reset value and reads as 0 |
//! | 0x10 | STATUS | RO | 0 BUSY, 1 DONE, 2 ERROR |
//! | 0x14 | INT_STATUS | W1C | 0 DONE, 1 ERROR |
//! | 0x18 | INT_MASK | RW | 0 DONE, 1 ERROR: a one lets the cause through |
//! | 0x20 | OPERAND | RW | what to compute with |
//! | 0x24 | OPCODE | RW | 1 FACTORIAL, 2 SQUARE, 3 POPCOUNT: writing it starts the computation |
//! | 0x28 | RESULT | RO | modulo 2^32 |
//!
//! BAR2, 1 MiB, 64-bit, prefetchable: memory, for accesses of any width and alignment. RESET leaves it.
//!
//! A computation takes 20 us of device time. STATUS is BUSY meanwhile, and writes to OPERAND and OPCODE
//! are dropped; then RESULT holds the result, and DONE is set in STATUS and INT_STATUS. Starting one
//! while ENABLE is clear, or with an unknown opcode, sets ERROR in both at once. Clearing ENABLE does not
//! stop a computation; RESET does.
//!
//! One MSI vector. A message leaves when INT_STATUS & INT_MASK turns from zero to nonzero.

use std::borrow::Cow;

use crate::address::Region;
use crate::bar::BarSpec;
use crate::context::Context;
use crate::device::{PciDevice, Refused};
use crate::header::ConfigHeader;
use crate::memory::DeviceMemory;
use crate::register::{Access, Field, Register, RegisterMap};

const REGISTERS: Region = Region::Bar(0);
const REGISTERS_SIZE: u64 = 0x1000;
const MEMORY: Region = Region::Bar(2);
const MEMORY_SIZE: u64 = 0x10_0000;

const ID: u64 = 0x00;
const VERSION: u64 = 0x04;
const SCRATCH: u64 = 0x08;
const CONTROL: u64 = 0x0c;
const STATUS: u64 = 0x10;
const INT_STATUS: u64 = 0x14;
const INT_MASK: u64 = 0x18;
const OPERAND: u64 = 0x20;
const OPCODE: u64 = 0x24;
const RESULT: u64 = 0x28;

const ID_VALUE: u32 = 0x3142_414c;
const VERSION_VALUE: u32 = 0x0001_0000;
const CONTROL_ENABLE: u32 = 1 << 0;
const CONTROL_RESET: u32 = 1 << 1;
const STATUS_BUSY: u32 = 1 << 0;
const STATUS_DONE: u32 = 1 << 1;
const STATUS_ERROR: u32 = 1 << 2;
const INT_DONE: u32 = 1 << 0;
const INT_ERROR: u32 = 1 << 1;
const INT_ALL: u32 = INT_DONE | INT_ERROR;

const FACTORIAL: u32 = 1;
const SQUARE: u32 = 2;
const POPCOUNT: u32 = 3;

/// The timer that runs while it computes.
const COMPUTATION: u8 = 0;
/// Device time in nanoseconds that a computation takes.
const COMPUTATION_NS: u64 = 20_000;

const CONTROL_FIELDS: &[Field] = &[
    Field::bit("ENABLE", 0, "computations may start"),
    Field::bit("RESET", 1, "returns every register to its reset value; reads as 0"),
];
const STATUS_FIELDS: &[Field] = &[
    Field::bit("BUSY", 0, "a computation is under way"),
    Field::bit("DONE", 1, "the last computation ended; RESULT is valid"),
    Field::bit("ERROR", 2, "the last computation could not start"),
];
const INT_STATUS_FIELDS: &[Field] =
    &[Field::bit("DONE", 0, "a computation ended"), Field::bit("ERROR", 1, "a computation could not start")];
const INT_MASK_FIELDS: &[Field] =
    &[Field::bit("DONE", 0, "let DONE interrupt"), Field::bit("ERROR", 1, "let ERROR interrupt")];
const OPCODES: &[(u64, Cow<'static, str>)] = &[
    (FACTORIAL as u64, Cow::Borrowed("FACTORIAL")),
    (SQUARE as u64, Cow::Borrowed("SQUARE")),
    (POPCOUNT as u64, Cow::Borrowed("POPCOUNT")),
];
const OPCODE_FIELDS: &[Field] = &[Field::new("OPCODE", 0, 32, "what to compute").with_values(OPCODES)];

static REGISTER_MAPS: [RegisterMap; 2] = [
    RegisterMap {
        region: REGISTERS,
        registers: Cow::Borrowed(&[
            Register::new32("ID", ID, Access::ReadOnly, "tells the device").reset_to(ID_VALUE as u64),
            Register::new32("VERSION", VERSION, Access::ReadOnly, "of the registers")
                .reset_to(VERSION_VALUE as u64),
            Register::new32("SCRATCH", SCRATCH, Access::ReadWrite, "holds what is written"),
            Register::new32("CONTROL", CONTROL, Access::ReadWrite, "enables and resets")
                .with_fields(CONTROL_FIELDS),
            Register::new32("STATUS", STATUS, Access::ReadOnly, "what the computation is at")
                .with_fields(STATUS_FIELDS),
            Register::new32("INT_STATUS", INT_STATUS, Access::WriteOneToClear, "interrupt causes")
                .with_fields(INT_STATUS_FIELDS),
            Register::new32("INT_MASK", INT_MASK, Access::ReadWrite, "causes that interrupt")
                .with_fields(INT_MASK_FIELDS),
            Register::new32("OPERAND", OPERAND, Access::ReadWrite, "what to compute with"),
            Register::new32("OPCODE", OPCODE, Access::ReadWrite, "starts a computation")
                .with_fields(OPCODE_FIELDS),
            Register::new32("RESULT", RESULT, Access::ReadOnly, "of the last computation, modulo 2^32"),
        ]),
    },
    RegisterMap {
        region: MEMORY,
        registers: Cow::Borrowed(&[Register::memory("MEMORY", 0, MEMORY_SIZE, "plain bytes")]),
    },
];

/// The device; see the module.
pub struct Lab {
    registers: Registers,
    memory: DeviceMemory,
}

/// What changes in BAR0; zero after reset.
#[derive(Default)]
struct Registers {
    scratch: u32,
    control: u32,
    status: u32,
    int_status: u32,
    int_mask: u32,
    operand: u32,
    opcode: u32,
    result: u32,
}

impl Default for Lab {
    fn default() -> Self {
        Self { registers: Registers::default(), memory: DeviceMemory::new(MEMORY_SIZE as usize) }
    }
}

impl Lab {
    fn write_register(&mut self, context: &mut Context<'_>, offset: u64, value: u32) -> Result<(), Refused> {
        let registers = &mut self.registers;
        match offset {
            SCRATCH => registers.scratch = value,
            CONTROL if value & CONTROL_RESET != 0 => {
                context.cancel_timer(COMPUTATION);
                *registers = Registers::default();
            }
            CONTROL => registers.control = value & CONTROL_ENABLE,
            INT_STATUS => registers.int_status &= !value,
            INT_MASK => registers.int_mask = value & INT_ALL,
            OPERAND | OPCODE if registers.status & STATUS_BUSY != 0 => return Err(Refused::Busy),
            OPERAND => registers.operand = value,
            OPCODE => {
                registers.opcode = value;
                self.start(context);
            }
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn start(&mut self, context: &mut Context<'_>) {
        let registers = &mut self.registers;
        let enabled = registers.control & CONTROL_ENABLE != 0;
        if enabled && compute(registers.opcode, registers.operand).is_some() {
            registers.status = STATUS_BUSY;
            context.set_timer(COMPUTATION, COMPUTATION_NS);
        } else {
            registers.status = STATUS_ERROR;
            registers.int_status |= INT_ERROR;
        }
    }

    /// Whether a cause is set that the mask lets through.
    fn interrupting(&self) -> bool {
        self.registers.int_status & self.registers.int_mask != 0
    }

    fn interrupt_if_risen(&self, context: &mut Context<'_>, before: bool) {
        if !before && self.interrupting() {
            context.interrupt(0);
        }
    }
}

/// `None` for an unknown opcode.
fn compute(opcode: u32, operand: u32) -> Option<u32> {
    match opcode {
        // From 34 on, the factorial has 32 factors of two.
        FACTORIAL => Some((1..=operand.min(34)).fold(1, u32::wrapping_mul)),
        SQUARE => Some(operand.wrapping_mul(operand)),
        POPCOUNT => Some(operand.count_ones()),
        _ => None,
    }
}

impl PciDevice for Lab {
    fn name(&self) -> &'static str {
        "lab"
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0x1ab0,
            revision: 1,
            class: 0xff_00_00,
            subsystem_vendor: 0x1234,
            subsystem: 0x1ab0,
            bars: vec![
                BarSpec::memory32(0, REGISTERS_SIZE),
                BarSpec::memory64(2, MEMORY_SIZE).with_prefetch(),
            ],
            msi_vectors: 1,
        }
    }

    fn register_maps(&self) -> &'static [RegisterMap] {
        &REGISTER_MAPS
    }

    fn read(&mut self, _: &mut Context<'_>, region: Region, offset: u64, size: u8) -> Result<u64, Refused> {
        match region {
            MEMORY => self.memory.read(offset, size),
            REGISTERS => {
                REGISTER_MAPS[0].check_read(offset, size)?;
                self.peek(region, offset).ok_or(Refused::Reserved)
            }
            _ => Err(Refused::Reserved),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: u8,
        value: u64,
    ) -> Result<(), Refused> {
        match region {
            MEMORY => self.memory.write(offset, size, value),
            REGISTERS => {
                REGISTER_MAPS[0].check_write(offset, size)?;
                let before = self.interrupting();
                self.write_register(context, offset, value as u32)?;
                self.interrupt_if_risen(context, before);
                Ok(())
            }
            _ => Err(Refused::Reserved),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>, _: u8) {
        let before = self.interrupting();
        let registers = &mut self.registers;
        // Neither operand nor opcode changed since it started.
        registers.result = compute(registers.opcode, registers.operand).unwrap_or_default();
        registers.status = STATUS_DONE;
        registers.int_status |= INT_DONE;
        self.interrupt_if_risen(context, before);
    }

    fn peek(&self, region: Region, offset: u64) -> Option<u64> {
        if region != REGISTERS {
            return None;
        }
        let registers = &self.registers;
        let value = match offset {
            ID => ID_VALUE,
            VERSION => VERSION_VALUE,
            SCRATCH => registers.scratch,
            CONTROL => registers.control,
            STATUS => registers.status,
            INT_STATUS => registers.int_status,
            INT_MASK => registers.int_mask,
            OPERAND => registers.operand,
            OPCODE => registers.opcode,
            RESULT => registers.result,
            _ => return None,
        };
        Some(value.into())
    }

    fn reset(&mut self) {
        self.registers = Registers::default();
        self.memory.reset();
    }
}

#[cfg(test)]
mod tests;
