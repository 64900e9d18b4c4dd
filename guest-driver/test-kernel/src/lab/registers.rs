//! What the BARs of the lab function hold. BAR 2 is memory for accesses of any width and alignment. BAR
//! 0, 4 KiB, has these registers of 32 bits:
//!
//! | offset | register   | access | what                                                     |
//! |--------|------------|--------|----------------------------------------------------------|
//! | 0x00   | ID         | RO     | 0x3142414c                                               |
//! | 0x04   | VERSION    | RO     | major in the high half, minor in the low                 |
//! | 0x08   | SCRATCH    | RW     | any value                                                |
//! | 0x0c   | CONTROL    | RW     | bit 0 ENABLE, bit 1 RESET                                |
//! | 0x10   | STATUS     | RO     | bit 0 BUSY, bit 1 DONE, bit 2 ERROR                      |
//! | 0x14   | INT_STATUS | W1C    | bit 0 DONE, bit 1 ERROR                                  |
//! | 0x18   | INT_MASK   | RW     | a one lets the interrupt of INT_STATUS's bit through     |
//! | 0x20   | OPERAND    | RW     | what to compute with                                     |
//! | 0x24   | OPCODE     | RW     | 1 FACTORIAL; a write starts it                           |
//! | 0x28   | RESULT     | RO     | valid once STATUS says DONE                              |
//!
//! Written down here on its own, not taken from the device's model, so that a slip in one shows: a test
//! compares the two.

/// Vendor in the low half, device in the high.
pub const PCI_ID: u32 = 0x1ab0_1234;
/// Index of the BAR with the registers.
pub const REGISTERS_BAR: usize = 0;
/// Index of the BAR with the memory.
pub const MEMORY_BAR: usize = 2;

pub const ID: u64 = 0x00;
pub const VERSION: u64 = 0x04;
/// Offset of SCRATCH, which ring 3 uses too.
pub const SCRATCH: u64 = 0x08;
pub const CONTROL: u64 = 0x0c;
pub const STATUS: u64 = 0x10;
pub const INT_STATUS: u64 = 0x14;
pub const INT_MASK: u64 = 0x18;
pub const OPERAND: u64 = 0x20;
pub const OPCODE: u64 = 0x24;
pub const RESULT: u64 = 0x28;

pub const ID_VALUE: u32 = 0x3142_414c;
pub const VERSION_VALUE: u32 = 0x0001_0000;
pub const CONTROL_ENABLE: u32 = 1 << 0;
/// Of STATUS.
pub const STATUS_DONE: u32 = 1 << 1;
/// Of INT_STATUS and INT_MASK.
pub const INT_DONE: u32 = 1 << 0;
pub const OPCODE_FACTORIAL: u32 = 1;
