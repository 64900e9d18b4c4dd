//! Registers of the lab function, and what its driver's `uapi/lab.h` says: written down once more, and held
//! against both by a test.

pub const VENDOR: u16 = 0x1234;
pub const DEVICE: u16 = 0x1ab0;

pub const ID: usize = 0x00;
pub const SCRATCH: usize = 0x08;
pub const OPERAND: usize = 0x20;
pub const OPCODE: usize = 0x24;
pub const RESULT: usize = 0x28;
pub const INT_STATUS: usize = 0x14;
pub const TRIGGER: usize = 0x6c;
pub const ID_VALUE: u32 = 0x3142_414c;
pub const OPCODE_FACTORIAL: u32 = 1;
pub const OPCODE_SQUARE: u32 = 2;
pub const INT_DONE: u32 = 1 << 0;
pub const INT_DOORBELL: u32 = 1 << 3;
pub const INT_FIFO: u32 = 1 << 4;
pub const DMA_DONE: u32 = 1 << 1;
pub const DMA_ERROR: u32 = 1 << 2;
/// REASON of DMA_STATUS: bus mastering is off.
pub const DMA_NOT_MASTER: u32 = 4;
/// REASON of DMA_STATUS: part of the range lies outside BAR2.
pub const DMA_OUTSIDE: u32 = 3;
pub const DMA_REASON_SHIFT: u32 = 4;

pub const REGISTERS_BAR: usize = 0;
pub const REGISTERS_SIZE: usize = 0x1000;
pub const MEMORY_BAR: usize = 2;
pub const MEMORY_SIZE: u32 = 0x10_0000;
pub const DOORBELLS_BAR: usize = 5;

pub const MMAP_REGISTERS: u64 = 0;
pub const MMAP_MEMORY: u64 = 0x0100_0000;
pub const MMAP_ON_FAULT: u64 = 0x0200_0000;
pub const MMAP_DOORBELLS: u64 = 0x0300_0000;

pub const IRQ_INTX: u32 = 1;
pub const IRQ_MSI: u32 = 2;
pub const IRQ_MSIX: u32 = 3;

/// `struct lab_register`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Register {
    pub offset: u32,
    pub value: u32,
}

/// `struct lab_compute`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Compute {
    pub opcode: u32,
    pub operand: u32,
    pub result: u32,
    pub reserved: u32,
}

/// `struct lab_dma`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Dma {
    pub data: u64,
    pub offset: u32,
    pub length: u32,
    pub to_memory: u32,
    pub status: u32,
}

/// `struct lab_info`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Info {
    pub irq: u32,
    pub vectors: u32,
    pub interrupts: u32,
    pub reserved: u32,
}

/// A request's number (`asm-generic/ioctl.h`): direction, size, kind and number.
const fn request<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | (b'L' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;

pub const LAB_READ: u32 = request::<Register>(READ | WRITE, 1);
pub const LAB_WRITE: u32 = request::<Register>(WRITE, 2);
pub const LAB_COMPUTE: u32 = request::<Compute>(READ | WRITE, 3);
pub const LAB_DMA: u32 = request::<Dma>(READ | WRITE, 4);
pub const LAB_INFO: u32 = request::<Info>(READ, 5);
pub const LAB_TAKE: u32 = request::<u32>(READ, 6);
pub const LAB_IOREMAP: u32 = request::<u32>(WRITE, 7);
