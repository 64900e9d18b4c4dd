//! The driver for the lab function, 1234:1ab0. BAR 0, 4 KiB, has 32-bit registers:
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
//! | 0x20   | OPERAND    | RW     |                                                          |
//! | 0x24   | OPCODE     | RW     | 1 FACTORIAL; a write starts it                           |
//! | 0x28   | RESULT     | RO     |                                                          |
//!
//! Written down here on its own, not taken from the device's model, so that a slip in one shows.

mod message;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;
use common::system_call::Errno;

use crate::ioremap::{IoMemory, ioremap};
use crate::paging::PAGE;
use crate::pci::{Bar, Function};
use crate::scenarios::Failure;
use crate::{irq, scenarios};

/// Vendor in the low half, device in the high.
pub const PCI_ID: u32 = 0x1ab0_1234;

const REGISTERS_BAR: usize = 0;

const ID: u64 = 0x00;
const VERSION: u64 = 0x04;
/// SCRATCH, which ring 3 uses too.
pub const SCRATCH: u64 = 0x08;
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
/// Of INT_STATUS and INT_MASK.
const INT_DONE: u32 = 1 << 0;
/// Of STATUS.
pub const STATUS_DONE: u32 = 1 << 1;
const OPCODE_FACTORIAL: u32 = 1;

/// What the interrupt handler found in INT_STATUS since [`Lab::start_factorial`].
static CAUSES: AtomicU32 = AtomicU32::new(0);
