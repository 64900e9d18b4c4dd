//! The lab function through its driver.

mod abi;

use std::fs::{File, OpenOptions};
use std::io;

use crate::mapping::{Mapping, Source};
use crate::pci::Function;
use crate::system;

pub use self::abi::*;

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

    /// A computation, from its start to the interrupt that ends it; the result.
    ///
    /// # Errors
    /// What the driver said.
    pub fn compute(&self, opcode: u32, operand: u32) -> io::Result<u32> {
        let mut compute = Compute { opcode, operand, ..Compute::default() };
        system::control(&self.file, LAB_COMPUTE, &mut compute)?;
        Ok(compute.result)
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
        let source =
            Source { path: barscope_guest_abi::path::MMAP, name: "lab0", physical_address, on_fault };
        Mapping::device(&self.file, window, length, &source)
    }
}
