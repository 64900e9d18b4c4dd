//! The lab function through its driver: what `guest-driver/linux/uapi/lab.h` says, and the registers,
//! written down once more.

use std::fs::{File, OpenOptions};
use std::io;

use crate::mapping::{Mapping, Source};
use crate::pci::Function;
use crate::system;

pub const VENDOR: u16 = 0x1234;
pub const DEVICE: u16 = 0x1ab0;

pub const ID: usize = 0x00;
pub const SCRATCH: usize = 0x08;
pub const OPERAND: usize = 0x20;
pub const OPCODE: usize = 0x24;
pub const RESULT: usize = 0x28;
pub const ID_VALUE: u32 = 0x3142_414c;
pub const OPCODE_FACTORIAL: u32 = 1;
pub const INT_DONE: u32 = 1 << 0;
pub const DMA_DONE: u32 = 1 << 1;
pub const DMA_ERROR: u32 = 1 << 2;
/// REASON of DMA_STATUS: bus mastering is off.
pub const DMA_NOT_MASTER: u32 = 4;
pub const DMA_REASON_SHIFT: u32 = 4;

pub const REGISTERS_BAR: usize = 0;
pub const REGISTERS_SIZE: usize = 0x1000;
pub const MEMORY_BAR: usize = 2;
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

/// The driver's device file, open.
pub struct Lab {
    pub file: File,
    pub function: Function,
}

impl Lab {
    /// Opens the first one.
    ///
    /// # Errors
    /// What the system said.
    pub fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/lab0")?;
        Ok(Self { file, function: Function::find(VENDOR, DEVICE)? })
    }

    /// A register, read by the driver.
    ///
    /// # Errors
    /// What the driver said.
    pub fn read(&self, offset: usize) -> io::Result<u32> {
        let mut register = Register { offset: offset as u32, value: 0 };
        system::control(&self.file, LAB_READ, &mut register)?;
        Ok(register.value)
    }

    /// A register, written by the driver.
    ///
    /// # Errors
    /// What the driver said.
    pub fn write(&self, offset: usize, value: u32) -> io::Result<()> {
        system::control(&self.file, LAB_WRITE, &mut Register { offset: offset as u32, value })
    }

    /// The driver makes its mapping of BAR 0, or undoes it.
    ///
    /// # Errors
    /// What the driver said.
    pub fn ioremap(&self, wanted: bool) -> io::Result<()> {
        system::control(&self.file, LAB_IOREMAP, &mut u32::from(wanted))
    }

    /// A transfer of `bytes`: to BAR 2 from `offset` on, or from there. DMA_STATUS as it is then.
    ///
    /// # Errors
    /// What the driver said.
    pub fn transfer(&self, bytes: &mut [u8], offset: u32, to_memory: bool) -> io::Result<u32> {
        let mut dma = Dma {
            data: bytes.as_mut_ptr() as u64,
            offset,
            length: bytes.len() as u32,
            to_memory: to_memory.into(),
            status: 0,
        };
        system::control(&self.file, LAB_DMA, &mut dma)?;
        Ok(dma.status)
    }

    /// How its interrupts come.
    ///
    /// # Errors
    /// What the driver said.
    pub fn info(&self) -> io::Result<Info> {
        let mut info = Info::default();
        system::control(&self.file, LAB_INFO, &mut info)?;
        Ok(info)
    }

    /// Interrupt causes since the last time.
    ///
    /// # Errors
    /// What the driver said.
    pub fn take(&self) -> io::Result<u32> {
        let mut causes = 0;
        system::control(&self.file, LAB_TAKE, &mut causes)?;
        Ok(causes)
    }

    /// BAR 0, mapped by the driver's `mmap` at once.
    ///
    /// # Errors
    /// What the driver said.
    pub fn map_registers(&self) -> io::Result<Mapping> {
        self.map(REGISTERS_BAR, MMAP_REGISTERS, REGISTERS_SIZE, false)
    }

    /// A window of the driver's.
    ///
    /// # Errors
    /// What the driver said.
    pub fn map(&self, bar: usize, window: u64, length: usize, on_fault: bool) -> io::Result<Mapping> {
        let physical_address = self.function.bar(bar)?;
        let source = Source { path: protocol::path::MMAP, name: "lab0", physical_address, on_fault };
        Mapping::device(&self.file, window, length, &source)
    }
}
