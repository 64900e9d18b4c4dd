//! What the BARs of the lab function hold. BAR 2 is memory for accesses of any width and alignment. BAR
//! 0, 4 KiB, has these registers, of 32 bits if not said otherwise:
//!
//! | offset | register   | access | what                                                     |
//! |--------|------------|--------|----------------------------------------------------------|
//! | 0x00   | ID         | RO     | 0x3142414c                                               |
//! | 0x04   | VERSION    | RO     | major in the high half, minor in the low                 |
//! | 0x08   | SCRATCH    | RW     | any value                                                |
//! | 0x0c   | CONTROL    | RW     | bit 0 ENABLE, bit 1 RESET, bit 2 FLIP                    |
//! | 0x10   | STATUS     | RO     | bit 0 BUSY, bit 1 DONE, bit 2 ERROR                      |
//! | 0x14   | INT_STATUS | W1C    | bit 0 DONE, 1 ERROR, 2 DMA, 3 DOORBELL, 4 FIFO           |
//! | 0x18   | INT_MASK   | RW     | a one lets the interrupt of INT_STATUS's bit through     |
//! | 0x20   | OPERAND    | RW     | what to compute with                                     |
//! | 0x24   | OPCODE     | RW     | 1 FACTORIAL; a write starts it                           |
//! | 0x28   | RESULT     | RO     | valid once STATUS says DONE                              |
//! | 0x40   | DMA_ADDRESS | RW    | 64 bits: in memory                                       |
//! | 0x48   | DMA_OFFSET | RW     | in BAR 2                                                 |
//! | 0x4c   | DMA_LENGTH | RW     | in bytes                                                 |
//! | 0x50   | DMA_CONTROL | RW    | bit 0 START, bit 1 TO_MEMORY                             |
//! | 0x54   | DMA_STATUS | RO     | bit 0 BUSY, 1 DONE, 2 ERROR, 7:4 REASON                  |
//! | 0x60   | COUNTER    | RO     | 64 bits: time in ns; its halves belong together          |
//! | 0x68   | EVENTS     | RC     | causes since the last read                               |
//! | 0x6c   | TRIGGER    | WO     | sets bits of INT_STATUS                                  |
//! | 0x70   | FIFO_DATA  | RW     | writes push, reads pop; 16 words                         |
//! | 0x74   | FIFO_STATUS | W1C   | 4:0 LEVEL, 8 EMPTY, 9 FULL, 16 OVERFLOW, 17 UNDERFLOW    |
//! | 0x78   | FIFO_THRESHOLD | RW | level that interrupts                                    |
//! | 0x80   | DOORBELL_COUNT | RO | how often doorbells in BAR 5 were rung                   |
//!
//! BAR 1, ports, has INDEX at 0x00, an offset in BAR 0, and DATA at 0x04, the register there.
//!
//! Written down here on its own, not taken from the device's model, so that a slip in one shows: a test
//! compares the two.

/// Vendor in the low half, device in the high.
pub const PCI_ID: u32 = 0x1ab0_1234;
/// Index of the BAR with the registers.
pub const REGISTERS_BAR: usize = 0;
/// Index of the BAR with the ports.
pub const WINDOW_BAR: usize = 1;
/// Index of the BAR with the memory.
pub const MEMORY_BAR: usize = 2;
/// Its size in bytes.
pub const MEMORY_SIZE: u32 = 0x10_0000;
/// Index of the BAR with the table of messages.
pub const MESSAGES_BAR: usize = 4;
/// Index of the BAR with the doorbells, smaller than a page.
pub const DOORBELLS_BAR: usize = 5;

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
pub const DMA_ADDRESS: u64 = 0x40;
pub const DMA_OFFSET: u64 = 0x48;
pub const DMA_LENGTH: u64 = 0x4c;
pub const DMA_CONTROL: u64 = 0x50;
pub const DMA_STATUS: u64 = 0x54;
pub const COUNTER: u64 = 0x60;
pub const EVENTS: u64 = 0x68;
pub const TRIGGER: u64 = 0x6c;
pub const FIFO_DATA: u64 = 0x70;
pub const FIFO_STATUS: u64 = 0x74;
pub const FIFO_THRESHOLD: u64 = 0x78;
pub const DOORBELL_COUNT: u64 = 0x80;
/// Not a register.
pub const RESERVED: u64 = 0x1c;
/// Ports of the window.
pub const WINDOW_INDEX: u64 = 0x00;
pub const WINDOW_DATA: u64 = 0x04;

pub const ID_VALUE: u32 = 0x3142_414c;
pub const VERSION_VALUE: u32 = 0x0001_0000;
pub const CONTROL_ENABLE: u32 = 1 << 0;
/// BAR 2 is served the other way: directly instead of access by access.
pub const CONTROL_FLIP: u32 = 1 << 2;
/// Of STATUS.
pub const STATUS_DONE: u32 = 1 << 1;
pub const STATUS_ERROR: u32 = 1 << 2;
/// Of INT_STATUS and INT_MASK.
pub const INT_DONE: u32 = 1 << 0;
pub const INT_ERROR: u32 = 1 << 1;
pub const INT_DMA: u32 = 1 << 2;
pub const INT_FIFO: u32 = 1 << 4;
pub const INT_ALL: u32 = 0x1f;
pub const DMA_START: u32 = 1 << 0;
pub const DMA_TO_MEMORY: u32 = 1 << 1;
pub const DMA_BUSY: u32 = 1 << 0;
pub const DMA_DONE: u32 = 1 << 1;
pub const DMA_ERROR: u32 = 1 << 2;
/// Where REASON begins in DMA_STATUS, and its values.
pub const DMA_REASON_SHIFT: u32 = 4;
pub const DMA_DISABLED: u32 = 1;
pub const DMA_BAD_LENGTH: u32 = 2;
pub const DMA_BAD_OFFSET: u32 = 3;
pub const DMA_NOT_MASTER: u32 = 4;
pub const DMA_BAD_ADDRESS: u32 = 5;
pub const FIFO_DEPTH: u32 = 16;
pub const FIFO_EMPTY: u32 = 1 << 8;
pub const FIFO_FULL: u32 = 1 << 9;
pub const FIFO_OVERFLOW: u32 = 1 << 16;
pub const FIFO_UNDERFLOW: u32 = 1 << 17;
pub const OPCODE_FACTORIAL: u32 = 1;
