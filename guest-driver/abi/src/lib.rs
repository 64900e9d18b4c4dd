//! The guest ABI: what a guest tells the bench, through one I/O port.
//!
//! - `in eax, PORT` gives [`SIGNATURE`] under barscope. Other machines give all-ones.
//! - `out PORT, eax` makes the host read a request: `eax` is the request's number ([`request`]),
//!   `rbx` the *virtual* address of its structure and `rcx` that structure's size in bytes. The host
//!   walks the address with the caller's CR3, so ring 3 can ask as well as ring 0 (through the TSS
//!   bitmap or `ioperm`). Requests without a structure pass 0 and 0.
//!
//! Every field is a little-endian 64-bit word, so that C and Rust agree on the layout without
//! padding. A guest that never asks is traced all the same; what is then guessed is marked so.

#![no_std]

pub mod bug;
pub mod linux;
pub mod port;
pub mod scenario;

/// The I/O port, 32 bits wide.
pub const PORT: u16 = 0x0b5c;

/// What a read of [`PORT`] gives: `BSC1` in ASCII.
pub const SIGNATURE: u32 = u32::from_le_bytes(*b"BSC1");

/// The longest text that the host reads, in bytes; more is cut off.
pub const MAX_TEXT: u64 = 256;

/// The longest image that the host reads, in bytes; a longer one is refused. Of symbols and of a module, what is longer is
/// cut off.
pub const MAX_IMAGE: u64 = 64 << 20;

/// The longest list of mappings that the host reads, in bytes; more is cut off.
pub const MAX_MAPS: u64 = 1 << 20;

/// The most rings of [`Entries`].
pub const MAX_RINGS: u64 = 8;

/// The longest [`Ring`], in bytes.
pub const MAX_RING: u64 = 4 << 20;

/// Request numbers, as `eax` holds them.
pub mod request {
    /// A named point in the trace: [`super::Mark`].
    pub const MARK: u32 = 1;
    /// A mapping was made: [`super::Map`].
    pub const MAP: u32 = 2;
    /// A mapping went away: [`super::Unmap`].
    pub const UNMAP: u32 = 3;
    /// An ELF file with symbols for code in this address space: [`super::Image`].
    pub const IMAGE: u32 = 4;
    /// A scenario begins: [`super::Mark`] holds its name.
    pub const SCENARIO_BEGIN: u32 = 5;
    /// A scenario ended: [`super::ScenarioEnd`].
    pub const SCENARIO_END: u32 = 6;
    /// The guest counted something: [`super::Count`].
    pub const COUNT: u32 = 7;
    /// Nothing to do until a device acts: a virtual clock jumps to its next deadline. No structure.
    pub const IDLE: u32 = 8;
    /// The guest is done: [`super::Exit`].
    pub const EXIT: u32 = 9;
    /// An interrupt handler begins: [`super::Isr`].
    pub const ISR_ENTER: u32 = 10;
    /// An interrupt handler is done: [`super::Isr`].
    pub const ISR_EXIT: u32 = 11;
    /// The symbols of Linux: [`super::Symbols`].
    pub const SYMBOLS: u32 = 12;
    /// A module that Linux loaded: [`super::Module`].
    pub const MODULE: u32 = 13;
    /// The caller's address space is that of a process: [`super::Process`].
    pub const PROCESS: u32 = 14;
    /// A file that processes map: [`super::File`].
    pub const FILE: u32 = 15;
    /// What a process maps: [`super::Maps`].
    pub const MAPS: u32 = 16;
    /// Something that people should know of: [`super::Mark`] holds its text.
    pub const WARNING: u32 = 17;
    /// Bytes of what the host has for the guest: [`super::Fetch`].
    pub const FETCH: u32 = 18;
    /// A turn is over, and nothing is recorded until the next one begins: [`super::Exit`].
    pub const TURN_END: u32 = 19;
    /// Nothing is left of the turn. Comes back when the next one begins, if there is one. No structure.
    pub const TIDY: u32 = 20;
    /// Rings that Linux tells entries into its kernel in: [`super::Entries`].
    pub const ENTRIES: u32 = 21;
    /// How an address is mapped is to be recorded: [`super::Walk`].
    pub const WALK: u32 = 22;
}

/// Stands for the caller's own address space, whose CR3 a program doesn't know ([`Map::address_space`],
/// [`Image::address_space`]).
pub const OWN_ADDRESS_SPACE: u64 = u64::MAX;

/// Bytes in the caller's address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bytes {
    /// Virtual address.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
}

impl Bytes {
    /// The bytes of `slice`, which has to stay where it is until the request was made.
    pub fn of(slice: &[u8]) -> Self {
        Self { address: slice.as_ptr() as u64, length: slice.len() as u64 }
    }
}

/// [`request::MARK`], [`request::SCENARIO_BEGIN`] and [`request::WARNING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Mark {
    /// UTF-8.
    pub text: Bytes,
}

/// What made a mapping ([`Map::kind`]).
pub mod path {
    /// `ioremap`, into the kernel's address space.
    pub const IOREMAP: u64 = 1;
    /// A driver's `mmap` file operation, into a process's address space.
    pub const MMAP: u64 = 2;
    /// `mmap` of a sysfs `resourceN` file.
    pub const SYSFS: u64 = 3;
    /// `mmap` of `/dev/mem`.
    pub const DEV_MEM: u64 = 4;
    /// The kernel's linear mapping of physical memory.
    pub const DIRECT_MAP: u64 = 5;
    /// `ioremap_wc`, into the kernel's address space.
    pub const IOREMAP_WC: u64 = 6;
    /// `mmap` of a sysfs `resourceN_wc` file.
    pub const SYSFS_WC: u64 = 7;
    /// `mmap` of a UIO device's file.
    pub const UIO: u64 = 8;
}

/// [`request::MAP`]: a mapping was made. It takes effect for accesses from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Map {
    /// The guest's own number for it, to name it in [`Unmap`]. Not 0.
    pub id: u64,
    /// One of [`path`].
    pub kind: u64,
    /// Virtual address of its first byte.
    pub virtual_address: u64,
    /// Bus address of its first byte.
    pub physical_address: u64,
    /// Length in bytes.
    pub length: u64,
    /// The address space: a CR3, [`OWN_ADDRESS_SPACE`], or 0 for one in the kernel's part, that all share.
    pub address_space: u64,
    /// 1 if the page tables fill on first touch, 0 if they are filled already.
    pub on_fault: u64,
    /// Who asked for it, like `lab::probe` or `user 1`; UTF-8.
    pub who: Bytes,
    /// The call that made it, like `ioremap(0xfe000000, 0x1000)`; UTF-8.
    pub call: Bytes,
    /// The file that a program maps, like `/dev/lab`; UTF-8; empty for a mapping of no file.
    pub file: Bytes,
    /// Offset of its first byte in the file, in bytes.
    pub offset: u64,
}

/// [`request::WALK`]: the page walk of an address in the caller's address space, which nothing accesses for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Walk {
    /// Virtual address.
    pub address: u64,
    /// What is there; UTF-8.
    pub what: Bytes,
}

/// [`request::UNMAP`]: a mapping went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Unmap {
    /// The number that [`Map::id`] gave it.
    pub id: u64,
}

/// [`request::IMAGE`]: an ELF file whose symbols and lines name code in this address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Image {
    /// A name for people; UTF-8.
    pub name: Bytes,
    /// The whole file.
    pub elf: Bytes,
    /// The address space it is in: a CR3, [`OWN_ADDRESS_SPACE`], or 0 for the kernel's part.
    pub address_space: u64,
}

/// [`request::SCENARIO_END`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ScenarioEnd {
    /// 1 if everything that the scenario checked held.
    pub passed: u64,
    /// One line on what it showed, or on what did not hold; UTF-8.
    pub summary: Bytes,
}

/// What was counted ([`Count::what`]).
pub mod counted {
    /// Entries into the kernel (system calls, faults, interrupts) while a program ran.
    pub const KERNEL_ENTRIES: u64 = 1;
    /// A page fault that the kernel resolved by mapping a page of a mapping.
    pub const FAULT_RESOLVED: u64 = 2;
    /// A page fault that nothing could resolve: the program was stopped.
    pub const FAULT_FATAL: u64 = 3;
}

/// [`request::COUNT`]: something that a trace of device accesses can't see, counted by the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Count {
    /// One of [`counted`].
    pub what: u64,
    /// How many.
    pub value: u64,
    /// The faulting virtual address, or 0.
    pub address: u64,
    /// The page fault's error code, or 0.
    pub error_code: u64,
    /// RIP of the instruction that faulted, or 0.
    pub rip: u64,
}

/// [`request::FETCH`]: has the host write to memory what it has for the guest: the length of an archive in the kernel's
/// "newc" format, 8 bytes, and the archive. What is past its end stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fetch {
    /// Where the first of them is, counted in bytes.
    pub offset: u64,
    /// Where they go: memory that is there already, since the host takes no page faults.
    pub to: Bytes,
}

/// [`request::EXIT`] and [`request::TURN_END`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Exit {
    /// 0 if all went well.
    pub status: u64,
}

/// [`request::ISR_ENTER`] and [`request::ISR_EXIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Isr {
    /// The interrupt's vector.
    pub vector: u64,
}

/// [`request::SYMBOLS`]: what code and data of the kernel are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Symbols {
    /// Lines as `/proc/kallsyms` has them: address, kind and name.
    pub lines: Bytes,
    /// Lines as the kernel's `System.map` has them, at the addresses that it was linked for; empty if it isn't here. The host
    /// finds where the kernel was moved to: what `lines` leave out or hide is known by these.
    pub linked: Bytes,
}

/// [`request::MODULE`]: a module, and where its sections are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Module {
    /// Its name; UTF-8.
    pub name: Bytes,
    /// The whole file, a relocatable ELF file.
    pub elf: Bytes,
    /// A line for each section: its name, a space, its address in hexadecimal.
    pub sections: Bytes,
}

/// [`request::PROCESS`]: whose address space the caller is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Process {
    /// Its number.
    pub pid: u64,
    /// The name of its command; UTF-8.
    pub name: Bytes,
}

/// [`request::FILE`]: an executable or a shared library, which [`Maps`] refer to from here on. One with the same numbers
/// takes the place of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct File {
    /// The number of its device, as [`Maps::lines`] have it: the major one in the upper half, the minor one in the lower.
    pub device: u64,
    /// The number of its inode.
    pub inode: u64,
    /// Its path; UTF-8.
    pub path: Bytes,
    /// The whole file.
    pub elf: Bytes,
}

/// What becomes of a process ([`Maps::state`]).
pub mod state {
    /// It goes on.
    pub const RUNS: u64 = 1;
    /// It runs no more code: its address space will be another's.
    pub const ENDS: u64 = 2;
    /// It goes on, and nothing more will be told of it, since another one traces it.
    pub const LET_GO: u64 = 3;
}

/// [`request::MAPS`]: what a process maps now, which takes the place of what was told of it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Maps {
    /// Its number.
    pub pid: u64,
    /// One of [`state`].
    pub state: u64,
    /// The path of the script that it runs, if it does; UTF-8.
    pub script: Bytes,
    /// Lines as `/proc/PID/maps` has them.
    pub lines: Bytes,
}

/// [`request::ENTRIES`]: from here on Linux writes each system call and each page fault of programs to rings, as perf events
/// whose samples hold IP, TID, TIME, ADDR and RAW, and which follow commands and forks (`perf_event_open(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entries {
    /// [`Ring`]s, one a CPU, one after the other. They stay where they are.
    pub rings: Bytes,
    /// Number of the tracepoint `raw_syscalls:sys_enter`.
    pub system_call: u64,
    /// Number of the tracepoint `exceptions:page_fault_user`.
    pub page_fault: u64,
}

/// A ring of perf events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ring {
    /// Number of the CPU.
    pub cpu: u64,
    /// Where the caller has it: a page, and a power of two of pages.
    pub memory: Bytes,
}
