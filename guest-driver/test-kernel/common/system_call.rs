//! The system calls of the test kernel.
//!
//! `int3` enters the kernel: number in `rax`, arguments in `rdi`, `rsi`, `rdx`, result in `rax`. A
//! breakpoint, since `syscall` and `int 0x80` from ring 3 do not work on every KVM that the bench
//! runs on.

/// Number of a system call.
pub mod number {
    /// Ends the program with the exit code `rdi`.
    pub const EXIT: u64 = 0;
    /// Calls the `mmap` operation of the lab driver: offset `rdi`, from one of [`super::area`] on, and
    /// length `rsi` in bytes, `rdx` one of [`super::fill`]. Gives the mapping's address or an error ([`super::Errno`], negated).
    pub const MMAP: u64 = 1;
    /// Undoes the mapping at address `rdi`.
    pub const MUNMAP: u64 = 2;
    /// Begins to count kernel entries.
    pub const COUNT_BEGIN: u64 = 3;
    /// Reports the entries between the two calls to the bench, and gives their number.
    pub const COUNT_END: u64 = 4;
    /// Gives control back to the scenario, which may let the program go on later.
    pub const PAUSE: u64 = 5;
}

/// Where the device's memory begins in its file: a driver with several BARs has to tell them apart by
/// the offset. As in VFIO, the BAR's index lies from bit 40 on.
pub mod area {
    /// BAR 0, the registers.
    pub const REGISTERS: u64 = 0;
    /// BAR 2, the memory.
    pub const MEMORY: u64 = 2 << SHIFT;
    /// The memory again, write-combining: a file for itself, as sysfs has `resource2_wc`.
    pub const MEMORY_WRITE_COMBINING: u64 = 10 << SHIFT;
    /// The registers, by an operation that forgets to check the length: a bug to be caught.
    pub const UNCHECKED: u64 = 8 << SHIFT;
    /// The doorbells, by the same operation: a page, of which they have the first 256 bytes.
    pub const UNCHECKED_DOORBELLS: u64 = 9 << SHIFT;
    /// Where the index begins.
    pub const SHIFT: u32 = 40;
}

/// When the page tables of a mapping are filled.
pub mod fill {
    /// By `mmap`, as `io_remap_pfn_range` does.
    pub const UP_FRONT: u64 = 0;
    /// By the page-fault handler at the first touch of each page, as `vmf_insert_pfn` does.
    pub const ON_FAULT: u64 = 1;
}

/// An error number, as Linux has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u64);

impl Errno {
    /// Out of memory, or of room in a table.
    pub const NO_MEMORY: Self = Self(12);
    /// Invalid argument.
    pub const INVALID: Self = Self(22);
    /// No such system call.
    pub const NO_SYSTEM_CALL: Self = Self(38);

    /// As a system call returns it: its negative.
    pub const fn result(self) -> u64 {
        self.0.wrapping_neg()
    }
}

/// What the program does: its first argument. The others are, unless said otherwise, `when` to fill
/// the mapping of the registers (one of [`fill`]), which each routine makes first, and a `value`.
pub mod routine {
    /// Reads SCRATCH, writes `value` to it; exits with what it read.
    pub const EXCHANGE: u64 = 0;
    /// Writes `value` to SCRATCH, reads it back; exits with what it read.
    pub const WRITE_AND_READ: u64 = 1;
    /// Reads SCRATCH ten times; exits with how many reads gave what the first did. No `value`.
    pub const READ_TEN_TIMES: u64 = 2;
    /// Writes `value` to SCRATCH 500 times and reads it 500 times, while the kernel counts its
    /// entries; exits with how many reads gave `value`.
    pub const THOUSAND_ACCESSES: u64 = 3;
    /// Reads SCRATCH, pauses, reads it again; exits with the second if the first was `value`, else
    /// with 0.
    pub const READ_PAUSE_READ: u64 = 4;
    /// Writes `value` to SCRATCH, unmaps the registers; exits with what `munmap` gave.
    pub const WRITE_AND_UNMAP: u64 = 5;
    /// Reads SCRATCH, unmaps the registers, reads it again, by which it has to be stopped. No
    /// `value`.
    pub const TOUCH_AFTER_UNMAP: u64 = 6;
    /// Maps nothing first, but asks for mappings that the BAR is too small for; exits with how many
    /// were not refused as invalid. No arguments.
    pub const MAP_PAST_END: u64 = 7;
    /// Maps nothing, but reads the address that is its only argument; exits with the value.
    pub const READ_ADDRESS: u64 = 8;
    /// Maps the memory, instead of the registers, and makes the accesses of a `value` of
    /// [`crate::shapes::shape`]; exits with how many values were wrong.
    pub const SHAPE: u64 = 9;
    /// Maps the memory write-combining, writes `value` to its beginning and reads that back; exits with
    /// what it read.
    pub const WRITE_COMBINING: u64 = 10;
    /// Maps a page more than the registers have, which nothing refuses; reads SCRATCH and then the
    /// beginning of that page, with which it exits. No `value`.
    pub const READ_PAST_END: u64 = 11;
    /// Maps the memory up front; writes the numbers from 1 to its second argument to the word at its
    /// first, an offset, and reads each back; exits with how many were right.
    pub const COUNT_UP: u64 = 12;
    /// Maps the doorbells, as a whole page; rings the first, and reads what lies after them, with which it
    /// exits. No `value`.
    pub const RING_AND_READ_ON: u64 = 13;
    /// Reads 8 bytes of which the last 4 lie behind the mapping, by which it has to be stopped. No
    /// `value`.
    pub const READ_ACROSS_END: u64 = 14;
    /// Loads SCRATCH as a floating-point number; exits with 0 if nothing stops it. No `value`.
    pub const FLOAT_LOAD: u64 = 15;
    /// Maps two pages of the memory, and the second of them again by itself; writes the complement of `value` to the first
    /// one and `value` to the second one; exits with what the latter mapping gives.
    pub const MAP_SECOND_PAGE: u64 = 16;
}
