//! The registers as data.

use std::borrow::Cow;

use barscope_device::{Access, Field, Region, Register, RegisterMap};

use super::rom;

pub(super) const REGISTERS: Region = Region::BAR0;
pub(super) const REGISTERS_SIZE: u64 = 0x1000;
pub(super) const WINDOW: Region = Region::BAR1;
pub(super) const WINDOW_SIZE: u64 = 0x10;
pub(super) const MEMORY: Region = Region::BAR2;
pub(super) const MEMORY_SIZE: u64 = 0x10_0000;
pub(super) const DOORBELLS: Region = Region::BAR5;
pub(super) const DOORBELLS_SIZE: u64 = 0x100;

pub(super) const ID: u64 = 0x00;
pub(super) const VERSION: u64 = 0x04;
pub(super) const SCRATCH: u64 = 0x08;
pub(super) const CONTROL: u64 = 0x0c;
pub(super) const STATUS: u64 = 0x10;
pub(super) const INT_STATUS: u64 = 0x14;
pub(super) const INT_MASK: u64 = 0x18;
pub(super) const OPERAND: u64 = 0x20;
pub(super) const OPCODE: u64 = 0x24;
pub(super) const RESULT: u64 = 0x28;
pub(super) const DMA_ADDRESS: u64 = 0x40;
pub(super) const DMA_OFFSET: u64 = 0x48;
pub(super) const DMA_LENGTH: u64 = 0x4c;
pub(super) const DMA_CONTROL: u64 = 0x50;
pub(super) const DMA_STATUS: u64 = 0x54;
pub(super) const COUNTER: u64 = 0x60;
pub(super) const EVENTS: u64 = 0x68;
pub(super) const TRIGGER: u64 = 0x6c;
pub(super) const FIFO_DATA: u64 = 0x70;
pub(super) const FIFO_STATUS: u64 = 0x74;
pub(super) const FIFO_THRESHOLD: u64 = 0x78;
pub(super) const DOORBELL_COUNT: u64 = 0x80;

pub(super) const INDEX: u64 = 0x00;
pub(super) const DATA: u64 = 0x04;

pub(super) const ID_VALUE: u32 = 0x3142_414c;
pub(super) const VERSION_VALUE: u32 = 0x0001_0000;
pub(super) const CONTROL_ENABLE: u32 = 1 << 0;
pub(super) const CONTROL_RESET: u32 = 1 << 1;
pub(super) const CONTROL_FLIP: u32 = 1 << 2;
pub(super) const STATUS_BUSY: u32 = 1 << 0;
pub(super) const STATUS_DONE: u32 = 1 << 1;
pub(super) const STATUS_ERROR: u32 = 1 << 2;
pub(super) const INT_DONE: u32 = 1 << 0;
pub(super) const INT_ERROR: u32 = 1 << 1;
pub(super) const INT_DMA: u32 = 1 << 2;
pub(super) const INT_DOORBELL: u32 = 1 << 3;
pub(super) const INT_FIFO: u32 = 1 << 4;
pub(super) const INT_ALL: u32 = INT_DONE | INT_ERROR | INT_DMA | INT_DOORBELL | INT_FIFO;

pub(super) const FACTORIAL: u32 = 1;
pub(super) const SQUARE: u32 = 2;
pub(super) const POPCOUNT: u32 = 3;

pub(super) const DMA_START: u32 = 1 << 0;
pub(super) const DMA_TO_MEMORY: u32 = 1 << 1;
/// Why a transfer failed, in DMA_STATUS bits 7:4.
pub(super) const REASON_SHIFT: u32 = 4;
pub(super) const REASON_DISABLED: u32 = 1;
pub(super) const REASON_LENGTH: u32 = 2;
pub(super) const REASON_OFFSET: u32 = 3;
pub(super) const REASON_BUS_MASTER: u32 = 4;
pub(super) const REASON_ADDRESS: u32 = 5;

pub(super) const FIFO_DEPTH: usize = 16;
pub(super) const FIFO_EMPTY: u32 = 1 << 8;
pub(super) const FIFO_FULL: u32 = 1 << 9;
pub(super) const FIFO_OVERFLOW: u32 = 1 << 16;
pub(super) const FIFO_UNDERFLOW: u32 = 1 << 17;
pub(super) const FIFO_THRESHOLD_RESET: u32 = 8;
/// From 0, never reached, to all that it holds.
pub(super) const FIFO_THRESHOLD_BITS: u32 = 0x1f;

const CONTROL_FIELDS: &[Field] = &[
    Field::bit("ENABLE", 0, "computations and transfers may start"),
    Field::bit("RESET", 1, "resets every register; reads as 0"),
    Field::bit("FLIP", 2, "BAR2 changes from trapped to direct, or back"),
];
const STATUS_FIELDS: &[Field] = &[
    Field::bit("BUSY", 0, "a computation is under way"),
    Field::bit("DONE", 1, "the last computation ended; RESULT is valid"),
    Field::bit("ERROR", 2, "the last computation could not start"),
];
const INT_FIELDS: &[Field] = &[
    Field::bit("DONE", 0, "a computation ended"),
    Field::bit("ERROR", 1, "a computation or a transfer failed"),
    Field::bit("DMA", 2, "a transfer ended"),
    Field::bit("DOORBELL", 3, "a doorbell was rung"),
    Field::bit("FIFO", 4, "the queue's level rose to FIFO_THRESHOLD"),
];
const OPCODES: &[(u64, Cow<'static, str>)] = &[
    (FACTORIAL as u64, Cow::Borrowed("FACTORIAL")),
    (SQUARE as u64, Cow::Borrowed("SQUARE")),
    (POPCOUNT as u64, Cow::Borrowed("POPCOUNT")),
];
const OPCODE_FIELDS: &[Field] = &[Field::new("OPCODE", 0, 32, "what to compute").with_values(OPCODES)];
const DMA_CONTROL_FIELDS: &[Field] = &[
    Field::bit("START", 0, "starts a transfer; reads as 0"),
    Field::bit("TO_MEMORY", 1, "from BAR2 to guest memory"),
];
const REASONS: &[(u64, Cow<'static, str>)] = &[
    (REASON_DISABLED as u64, Cow::Borrowed("DISABLED")),
    (REASON_LENGTH as u64, Cow::Borrowed("LENGTH")),
    (REASON_OFFSET as u64, Cow::Borrowed("OFFSET")),
    (REASON_BUS_MASTER as u64, Cow::Borrowed("MASTERING")),
    (REASON_ADDRESS as u64, Cow::Borrowed("ADDRESS")),
];
const DMA_STATUS_FIELDS: &[Field] = &[
    Field::bit("BUSY", 0, "a transfer is under way"),
    Field::bit("DONE", 1, "the last transfer ended"),
    Field::bit("ERROR", 2, "the last transfer failed"),
    Field::new("REASON", REASON_SHIFT as u8, 4, "why").with_values(REASONS),
];
const FIFO_STATUS_FIELDS: &[Field] = &[
    Field::new("LEVEL", 0, 5, "words in the queue; read-only"),
    Field::bit("EMPTY", 8, "no word; read-only"),
    Field::bit("FULL", 9, "16 words; read-only"),
    Field::bit("OVERFLOW", 16, "a push while full dropped its word"),
    Field::bit("UNDERFLOW", 17, "a pop while empty gave 0"),
];

pub(super) static REGISTER_MAPS: [RegisterMap; 5] = [
    RegisterMap {
        region: REGISTERS,
        registers: Cow::Borrowed(&[
            Register::new32("ID", ID, Access::ReadOnly, "tells the device: LAB1").reset_to(ID_VALUE as u64),
            Register::new32("VERSION", VERSION, Access::ReadOnly, "of the registers")
                .reset_to(VERSION_VALUE as u64),
            Register::new32("SCRATCH", SCRATCH, Access::ReadWrite, "holds what is written"),
            Register::new32("CONTROL", CONTROL, Access::ReadWrite, "enables and resets")
                .with_fields(CONTROL_FIELDS),
            Register::new32("STATUS", STATUS, Access::ReadOnly, "what the computation is at")
                .with_fields(STATUS_FIELDS),
            Register::new32("INT_STATUS", INT_STATUS, Access::WriteOneToClear, "interrupt causes")
                .with_fields(INT_FIELDS),
            Register::new32("INT_MASK", INT_MASK, Access::ReadWrite, "a one lets the cause interrupt")
                .with_fields(INT_FIELDS),
            Register::new32("OPERAND", OPERAND, Access::ReadWrite, "what to compute with"),
            Register::new32("OPCODE", OPCODE, Access::ReadWrite, "starts a computation")
                .with_fields(OPCODE_FIELDS),
            Register::new32("RESULT", RESULT, Access::ReadOnly, "of the last computation, modulo 2^32"),
            Register::new64("DMA_ADDRESS", DMA_ADDRESS, Access::ReadWrite, "in guest memory"),
            Register::new32("DMA_OFFSET", DMA_OFFSET, Access::ReadWrite, "in BAR2"),
            Register::new32("DMA_LENGTH", DMA_LENGTH, Access::ReadWrite, "in bytes, from 1 to 1 MiB"),
            Register::new32("DMA_CONTROL", DMA_CONTROL, Access::ReadWrite, "direction and start")
                .with_fields(DMA_CONTROL_FIELDS),
            Register::new32("DMA_STATUS", DMA_STATUS, Access::ReadOnly, "what the transfer is at")
                .with_fields(DMA_STATUS_FIELDS),
            Register::new64("COUNTER", COUNTER, Access::ReadOnly, "device time in ns; never reset")
                .volatile(),
            Register::new32("EVENTS", EVENTS, Access::ReadSideEffect, "causes set since the last read")
                .volatile(),
            Register::new32("TRIGGER", TRIGGER, Access::WriteOnly, "sets the causes that are ones")
                .with_fields(INT_FIELDS),
            Register::new32("FIFO_DATA", FIFO_DATA, Access::ReadWriteSideEffect, "writes push, reads pop"),
            Register::new32("FIFO_STATUS", FIFO_STATUS, Access::WriteOneToClear, "of the queue")
                .reset_to(FIFO_EMPTY as u64)
                .with_fields(FIFO_STATUS_FIELDS),
            Register::new32(
                "FIFO_THRESHOLD",
                FIFO_THRESHOLD,
                Access::ReadWrite,
                "level that interrupts; 5 bits",
            )
            .reset_to(FIFO_THRESHOLD_RESET as u64),
            Register::new32(
                "DOORBELL_COUNT",
                DOORBELL_COUNT,
                Access::ReadOnly,
                "how often doorbells were rung",
            ),
        ]),
    },
    RegisterMap {
        region: WINDOW,
        registers: Cow::Borrowed(&[
            Register::new32("INDEX", INDEX, Access::ReadWrite, "an offset in BAR0: bits 11:2"),
            Register::new32("DATA", DATA, Access::ReadWriteSideEffect, "the register of BAR0 at INDEX"),
        ]),
    },
    RegisterMap {
        region: MEMORY,
        registers: Cow::Borrowed(&[Register::memory("MEMORY", 0, MEMORY_SIZE, "plain bytes")]),
    },
    RegisterMap {
        region: DOORBELLS,
        registers: Cow::Borrowed(&[
            doorbell("DOORBELL0", 0),
            doorbell("DOORBELL1", 1),
            doorbell("DOORBELL2", 2),
            doorbell("DOORBELL3", 3),
            doorbell("DOORBELL4", 4),
            doorbell("DOORBELL5", 5),
            doorbell("DOORBELL6", 6),
            doorbell("DOORBELL7", 7),
        ]),
    },
    RegisterMap {
        region: Region::Rom,
        registers: Cow::Borrowed(&[Register::memory(
            "ROM_IMAGE",
            0,
            rom::SIZE as u64,
            "an image that does nothing",
        )
        .with_access(Access::ReadOnly)]),
    },
];

const fn doorbell(name: &'static str, index: u64) -> Register {
    Register::new32(name, index * 0x20, Access::WriteOnly, "rings, whatever is written")
}
