//! `edu`, 1234:11e8: QEMU's device for teaching, so that a driver written for that one runs here too. It
//! follows QEMU's `docs/specs/edu.rst` and, where that is silent, what QEMU 7.2 was recorded to answer
//! (`tests/data/edu` of this crate).
//!
//! BAR0, 1 MiB, 32-bit: registers.
//!
//! | offset | bits  | name            | access | reset     | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 31:0  | ID              | RO     | 0x10000ed | what it is, and its version |
//! |        | 7:0   | SIGNATURE       |        |           | 0xed |
//! |        | 23:16 | MINOR           |        |           | minor version |
//! |        | 31:24 | MAJOR           |        |           | major version |
//! | 0x04   | 31:0  | LIVENESS        | RW     | 0x0       | reads as what was written, inverted |
//! | 0x08   | 31:0  | FACTORIAL       | RW     | 0x0       | an operand; its factorial, once computed |
//! | 0x20   | 31:0  | STATUS          | RW     | 0x0       | about the computation |
//! |        | 0     | COMPUTING       |        |           | it runs (read-only) |
//! |        | 7     | INTERRUPT       |        |           | raise FACTORIAL at its end |
//! | 0x24   | 31:0  | INT_STATUS      | RO     | 0x0       | raised and not acknowledged; interrupts unless 0 |
//! |        | 0     | FACTORIAL       |        |           | a computation ended |
//! |        | 8     | DMA             |        |           | a transfer ended |
//! | 0x60   | 31:0  | INT_RAISE       | WO     | 0x0       | sets bits of INT_STATUS |
//! |        | 0     | FACTORIAL       |        |           | a computation ended |
//! |        | 8     | DMA             |        |           | a transfer ended |
//! | 0x64   | 31:0  | INT_ACKNOWLEDGE | WO     | 0x0       | clears bits of INT_STATUS |
//! |        | 0     | FACTORIAL       |        |           | a computation ended |
//! |        | 8     | DMA             |        |           | a transfer ended |
//! | 0x80   | 63:0  | DMA_SOURCE      | RW     | 0x0       | address that a transfer reads |
//! | 0x88   | 63:0  | DMA_DESTINATION | RW     | 0x0       | address that a transfer writes |
//! | 0x90   | 63:0  | DMA_COUNT       | RW     | 0x0       | its length in bytes |
//! | 0x98   | 63:0  | DMA_COMMAND     | RW     | 0x0       | starts a transfer; dropped without START |
//! |        | 0     | START           |        |           | set until the transfer ends |
//! |        | 1     | TO_MEMORY       |        |           | out of the buffer, not into it |
//! |        | 2     | INTERRUPT       |        |           | raise DMA at its end |
//!
//! Registers take aligned accesses of 4 bytes, those from 0x80 up also of 8; a write of 4 bytes zeroes the
//! upper half there, which can't be accessed alone. An unaligned access falls into the largest aligned
//! ones that it consists of, like 8 bytes at 0x04. Of what is refused, parts narrower than 4 bytes read as
//! 0, others as all-ones.
//!
//! A computation takes 1 us of device time, and 1 ns for each multiplication. FACTORIAL holds the operand
//! meanwhile, and writes to it are dropped.
//!
//! A transfer takes 100 ms, between guest memory and a buffer of 4096 bytes, which has the addresses from
//! 0x40000 up in DMA_SOURCE or DMA_DESTINATION and is reached in no other way. Writes to these registers
//! are dropped meanwhile. Of the address in guest memory, the low 28 bits count, or as many as `dma-bits`
//! says; a trace tells of an address that is cut. If that memory can't be read, the buffer gets zeros; if it can't be written, nothing is moved;
//! either way the transfer ends like any other.
//!
//! Raising sends a message by MSI also while something else is still pending, and if nothing is added.
//!
//! What QEMU does otherwise (its device under a Q35 or i440FX):
//!
//! - A transfer that doesn't lie in the buffer is refused when it is started, with "out of range" in the
//!   trace. QEMU 7.2 aborts when it would end, even of one of 0 bytes or up to the buffer's last byte.
//! - A transfer outside guest memory moves nothing and sets Received Master Abort in the Status register.
//!   QEMU moves what lies in memory, reaches other devices, and sets nothing.
//! - With memory decoding off, reads give all-ones; QEMU's give 0.
//! - Configuration space behind the MSI capability, and the upper half of MSI's data, are read-only zeros;
//!   QEMU's keep what is written. Parity Error Response in the Command register and Multiple Message
//!   Enable of MSI can be written; QEMU's can't.
//! - Turning MSI off asserts the pin if something is pending; QEMU's stays as it is until the next raise.

mod parts;
mod registers;

use std::borrow::Cow;

use barscope_device::{
    Access, AccessSize, BadState, BarIndex, BarSpec, ConfigHeader, Context, Deviation, DeviceMemory, Differs,
    Field, Hex, InterruptPin, InterruptSet, MsiSpec, OptionSpec, Options, PciDevice, Refused, Region,
    Register, RegisterMap, state,
};
use serde_json::Value;

use parts::aligned_parts;
use registers::{COMPUTATION, Registers};

const REGISTERS: Region = Region::BAR0;
const ID: u64 = 0x00;
const LIVENESS: u64 = 0x04;
const FACTORIAL: u64 = 0x08;
const STATUS: u64 = 0x20;
const INT_STATUS: u64 = 0x24;
const INT_RAISE: u64 = 0x60;
const INT_ACKNOWLEDGE: u64 = 0x64;
const DMA_SOURCE: u64 = 0x80;
const DMA_DESTINATION: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
const DMA_COMMAND: u64 = 0x98;

const ID_RESET: u32 = 0x0100_00ed;
const STATUS_COMPUTING: u32 = 1 << 0;
const STATUS_INTERRUPT: u32 = 1 << 7;
const INT_FACTORIAL: u32 = 1 << 0;
const INT_DMA: u32 = 1 << 8;
const COMMAND_START: u64 = 1 << 0;
const COMMAND_TO_MEMORY: u64 = 1 << 1;
const COMMAND_INTERRUPT: u64 = 1 << 2;

const BUFFER_SIZE: usize = 4096;
/// Anything narrower is refused before the device sees it.
const NARROWEST: AccessSize = AccessSize::Dword;

/// Options.
pub fn options() -> Vec<OptionSpec> {
    let bits = &["16", "24", "28", "30", "32", "40", "48", "64"];
    vec![OptionSpec::new("dma-bits", bits, "28", "bits of an address for DMA that count (QEMU's dma_mask)")]
}

/// What it does otherwise than QEMU's, as the module's documentation says, where a recording shows it.
pub fn deviations() -> Vec<Deviation> {
    let configuration = |bytes, bits, why| Deviation { differs: Differs::Configuration { bytes, bits }, why };
    vec![
        Deviation {
            differs: Differs::UndecodedRead { gives: 0 },
            why: "reads with memory decoding off give all-ones, as on a bus; QEMU's give 0",
        },
        configuration(
            0x04..0x08,
            STATUS_RECEIVED_MASTER_ABORT | COMMAND_PARITY_ERROR,
            "Parity Error Response can be written, and DMA outside memory sets Received Master Abort; QEMU's don't",
        ),
        configuration(
            0x40..0x44,
            0x0070_0000,
            "Multiple Message Enable of MSI can be written, as the specification says; QEMU's can't",
        ),
        configuration(
            0x4c..0x50,
            0xffff_0000,
            "the upper half of MSI's data is reserved; QEMU's keeps what is written",
        ),
        configuration(
            0x50..0x100,
            0xffff_ffff,
            "nothing is behind the MSI capability; QEMU's keeps what is written",
        ),
        Deviation {
            differs: Differs::Pin { bytes: 0x42..0x44 },
            why: "turning MSI off asserts the pin if something is pending; QEMU's stays until the next raise",
        },
    ]
}

const STATUS_RECEIVED_MASTER_ABORT: u32 = 1 << 29;
const COMMAND_PARITY_ERROR: u32 = 1 << 6;

const ID_FIELDS: &[Field] = &[
    Field::new("SIGNATURE", 0, 8, "0xed"),
    Field::new("MINOR", 16, 8, "minor version"),
    Field::new("MAJOR", 24, 8, "major version"),
];
const STATUS_FIELDS: &[Field] = &[
    Field::bit("COMPUTING", 0, "it runs (read-only)"),
    Field::bit("INTERRUPT", 7, "raise FACTORIAL at its end"),
];
const INT_STATUS_FIELDS: &[Field] =
    &[Field::bit("FACTORIAL", 0, "a computation ended"), Field::bit("DMA", 8, "a transfer ended")];
const COMMAND_FIELDS: &[Field] = &[
    Field::bit("START", 0, "set until the transfer ends"),
    Field::bit("TO_MEMORY", 1, "out of the buffer, not into it"),
    Field::bit("INTERRUPT", 2, "raise DMA at its end"),
];

static REGISTER_MAPS: [RegisterMap; 1] = [RegisterMap {
    region: REGISTERS,
    registers: Cow::Borrowed(&[
        Register::new32("ID", ID, Access::ReadOnly, "what it is, and its version")
            .reset_to(ID_RESET as u64)
            .with_fields(ID_FIELDS),
        Register::new32("LIVENESS", LIVENESS, Access::ReadWrite, "reads as what was written, inverted"),
        Register::new32(
            "FACTORIAL",
            FACTORIAL,
            Access::ReadWrite,
            "an operand; its factorial, once computed",
        ),
        Register::new32("STATUS", STATUS, Access::ReadWrite, "about the computation")
            .with_fields(STATUS_FIELDS),
        Register::new32(
            "INT_STATUS",
            INT_STATUS,
            Access::ReadOnly,
            "raised and not acknowledged; interrupts unless 0",
        )
        .with_fields(INT_STATUS_FIELDS),
        Register::new32("INT_RAISE", INT_RAISE, Access::WriteOnly, "sets bits of INT_STATUS")
            .with_fields(INT_STATUS_FIELDS),
        Register::new32("INT_ACKNOWLEDGE", INT_ACKNOWLEDGE, Access::WriteOnly, "clears bits of INT_STATUS")
            .with_fields(INT_STATUS_FIELDS),
        Register::new64("DMA_SOURCE", DMA_SOURCE, Access::ReadWrite, "address that a transfer reads"),
        Register::new64(
            "DMA_DESTINATION",
            DMA_DESTINATION,
            Access::ReadWrite,
            "address that a transfer writes",
        ),
        Register::new64("DMA_COUNT", DMA_COUNT, Access::ReadWrite, "its length in bytes"),
        Register::new64(
            "DMA_COMMAND",
            DMA_COMMAND,
            Access::ReadWrite,
            "starts a transfer; dropped without START",
        )
        .with_fields(COMMAND_FIELDS),
    ]),
}];

/// The device; see the module.
pub struct Edu {
    /// How many bits of an address in guest memory count.
    dma_bits: u8,
    registers: Registers,
    buffer: DeviceMemory,
}

impl Default for Edu {
    fn default() -> Self {
        Self::new(&Options::defaults(&options()))
    }
}

impl Edu {
    /// The device, as its options say.
    pub fn new(options: &Options) -> Self {
        Self {
            dma_bits: options.value("dma-bits").parse().unwrap_or(64),
            registers: Registers::default(),
            buffer: DeviceMemory::new(BUFFER_SIZE),
        }
    }

    /// The register that an aligned part of an access, at `offset` and of `size`, reaches; `whole` is the
    /// size of the access.
    fn register(offset: u64, size: AccessSize, whole: AccessSize) -> Result<&'static Register, Refused> {
        if size < NARROWEST {
            return Err(if whole < NARROWEST { Refused::Width } else { Refused::Alignment });
        }
        let register = REGISTER_MAPS[0].at(offset).ok_or(Refused::Reserved)?;
        if register.offset != offset {
            return Err(Refused::Reserved);
        }
        if register.size < size.bytes() { Err(Refused::Width) } else { Ok(register) }
    }
}

impl PciDevice for Edu {
    fn name(&self) -> &str {
        "edu"
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0x11e8,
            revision: 0x10,
            class: 0x00_ff_00,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            bars: vec![BarSpec::memory32(BarIndex::BAR0, 0x10_0000)],
            interrupt_pin: Some(InterruptPin::A),
            capabilities: vec![MsiSpec::new(1).into()],
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &REGISTER_MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        let mut value = 0;
        let mut answered = false;
        let mut refused = Refused::Width;
        for part in aligned_parts(offset, size) {
            let register = Self::register(part.offset, part.size, size);
            let content =
                register.and_then(|register| self.registers.value(register.offset).ok_or(Refused::WriteOnly));
            value |= part.place(content.unwrap_or(unanswered(part.size)));
            match content {
                Ok(_) => answered = true,
                Err(reason) => refused = reason,
            }
        }
        if answered { Ok(value) } else { Err(refused) }
    }

    fn refused_read(&self, _: Region, offset: u64, size: AccessSize) -> u64 {
        let parts = aligned_parts(offset, size);
        parts.fold(0, |value, part| value | part.place(unanswered(part.size)))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let mut outcome = Err(Refused::Width);
        for part in aligned_parts(offset, size) {
            let register = Self::register(part.offset, part.size, size);
            let written = register.and_then(|_| self.registers.write(context, part.offset, part.cut(value)));
            outcome = outcome.or(written);
        }
        outcome
    }

    fn timer(&mut self, context: &mut Context<'_>, index: u8) {
        if index == COMPUTATION {
            self.registers.finish_computation(context);
        } else {
            self.registers.finish_transfer(context, &mut self.buffer, self.dma_bits);
        }
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.insert_mask(self.registers.int_status.min(1).into());
    }

    fn peek(&self, _: Region, offset: u64) -> Option<u64> {
        self.registers.value(offset)
    }

    fn reset(&mut self) {
        self.registers = Registers::default();
        self.buffer.reset();
    }

    fn save(&self) -> Value {
        state::encode(&(&self.registers, self.buffer.save()))
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        let (registers, buffer): (Registers, Hex) = state::decode(state)?;
        if !self.buffer.restore(&buffer) {
            return Err(BadState::TooLong);
        }
        self.registers = registers;
        Ok(())
    }
}

/// What a part of an access reads that no register answers.
fn unanswered(size: AccessSize) -> u64 {
    if size < NARROWEST { 0 } else { u64::MAX }
}

#[cfg(test)]
mod tests;
