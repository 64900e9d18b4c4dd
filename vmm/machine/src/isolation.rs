//! Page-table isolation: Linux gives programs page tables of their own, without the kernel, in the page after the kernel's:
//! `Documentation/arch/x86/pti.rst`.
//!
//! An address space has two CR3 then. It goes by the kernel's, which is what a task's structure says and holds all that the
//! program's does: the latter is the former with bit 12, which no kernel's has.

use std::sync::atomic::{AtomicBool, Ordering};

use barscope_x86::{PhysicalMemory, Registers, walk};

/// The bit of CR3 that a program's page tables have, and the kernel's don't.
const USER_HALF: u64 = 1 << 12;

/// Whether a guest's kernel keeps itself out of programs' page tables.
#[derive(Debug, Default)]
pub struct Isolation(AtomicBool);

impl Isolation {
    /// Looks whether it does: `registers` are a program's, `address` is one of the kernel's. What they are by the kernel's
    /// page tables.
    pub fn find(&self, memory: &impl PhysicalMemory, registers: &Registers, address: u64) -> Registers {
        let of_kernel = kernel_half(registers);
        let is_mapped = |registers: &Registers| walk(memory, registers, address).is_some();
        if registers.cr3 & USER_HALF != 0 && !is_mapped(registers) && is_mapped(&of_kernel) {
            self.0.store(true, Ordering::Relaxed);
        }
        self.by_kernel(*registers)
    }

    /// A vCPU's registers, with the kernel's page tables instead of the program's.
    #[inline]
    pub fn by_kernel(&self, registers: Registers) -> Registers {
        if self.0.load(Ordering::Relaxed) && registers.cpl() == 3 {
            kernel_half(&registers)
        } else {
            registers
        }
    }
}

fn kernel_half(registers: &Registers) -> Registers {
    Registers { cr3: registers.cr3 & !USER_HALF, ..*registers }
}

#[cfg(test)]
mod tests {
    use barscope_device::DmaMemory;
    use barscope_x86::Segment;

    use super::*;
    use crate::memory::GuestMemory;

    const KERNEL: u64 = 0xffff_ffff_8100_0000;
    const PROGRAM: u64 = 0x40_0000;
    const TABLES: u64 = 0x2000;

    /// Memory with top-level tables at 0x2000 and 0x3000: both lead to the program's page, `with_kernel` of them to the
    /// kernel's.
    fn memory(with_kernel: &[u64]) -> GuestMemory {
        let memory = GuestMemory::new(1 << 20).unwrap();
        let entry = |table: u64, index: u64, to: u64| {
            memory.write(table + 8 * index, &(to | 7).to_le_bytes()).unwrap();
        };
        for top in [TABLES, TABLES | USER_HALF] {
            entry(top, 0, 0x4000);
        }
        for top in with_kernel {
            entry(*top, 511, 0x7000);
        }
        for (table, index, to) in [(0x4000, 0, 0x5000), (0x5000, 2, 0x6000), (0x6000, 0, 0xa000)] {
            entry(table, index, to);
        }
        for (table, index, to) in [(0x7000, 510, 0x8000), (0x8000, 8, 0x9000), (0x9000, 0, 0xb000)] {
            entry(table, index, to);
        }
        memory
    }

    fn registers(cr3: u64, cpl: u8) -> Registers {
        let ss = Segment { dpl: cpl, ..Segment::default() };
        Registers { cr0: 0x8000_0001, cr4: 0x20, efer: 0x500, cr3, ss, ..Registers::default() }
    }

    #[test]
    fn a_program_whose_page_tables_lack_the_kernel_goes_by_those_that_have_it() {
        let (memory, isolation) = (memory(&[TABLES]), Isolation::default());
        let program = registers(TABLES | USER_HALF | 0x882, 3);
        assert_eq!(isolation.by_kernel(program).cr3, 0x3882);
        assert_eq!(isolation.find(&memory, &program, KERNEL).cr3, 0x2882);
        let by_kernel = isolation.by_kernel(program);
        assert_eq!(by_kernel.address_space(), 0x2000);
        assert_eq!(walk(&memory, &by_kernel, PROGRAM).unwrap().translate(PROGRAM + 8), 0xa008);
        // The kernel's own stay as they are, and so do those that some other kernel has there.
        assert_eq!(isolation.by_kernel(registers(0x3000, 0)).cr3, 0x3000);
    }

    #[test]
    fn page_tables_that_hold_the_kernel_are_left_as_they_are() {
        let memory = memory(&[TABLES, TABLES | USER_HALF]);
        for cr3 in [TABLES, TABLES | USER_HALF] {
            let isolation = Isolation::default();
            assert_eq!(isolation.find(&memory, &registers(cr3, 3), KERNEL).cr3, cr3);
            assert_eq!(isolation.by_kernel(registers(TABLES | USER_HALF, 3)).cr3, 0x3000);
        }
        // A program that is somewhere else altogether says nothing of it.
        let isolation = Isolation::default();
        assert_eq!(isolation.find(&memory, &registers(0xc000 | USER_HALF, 3), KERNEL).cr3, 0xd000);
    }
}
