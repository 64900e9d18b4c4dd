//! A process: an address space, the registers of its one thread, and its mappings of the device.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use barscope_guest_abi::{Count, counted, path};
use common::system_call::{Errno, fill, number};

use crate::cpu::{self, Cpu, USER_CODE, USER_DATA};
use crate::lab;
use crate::paging::{Caching, Entry, PAGE, Root, flag, flush};
use crate::text::Text;
use crate::trap_frame::{TrapFrame, fault_address, vector};
use crate::{bench, frames, program};

/// The process that runs on each CPU, or null.
static CURRENT: [AtomicPtr<Process>; cpu::COUNT] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; cpu::COUNT];

/// One page, in the 2 MiB that the program is in: no page table of its own.
const STACK: u64 = 0x5f_f000;
/// Where a process's mappings of the device begin; a free page lies between two.
pub const MAPPINGS_BASE: u64 = 0x4000_0000_0000;

/// Interrupts on; bit 1 is always set.
const RFLAGS: u64 = 0x202;
/// Error code bit of a page fault: the page is present.
const FAULT_PRESENT: u64 = 1;

const MAPPINGS: usize = 4;
/// Tables and stack: 8 in use.
const FRAMES: usize = 16;

/// How a run of a process ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(u64),
    /// It paused, and can be run again.
    Pause,
    /// Nothing could resolve its page fault.
    Fault {
        /// The address that it touched.
        address: u64,
        /// The processor's error code.
        error_code: u64,
    },
    /// Another exception, by its vector.
    Exception(u64),
}

/// A mapping that the driver's `mmap` granted.
struct Mapping {
    start: u64,
    length: u64,
    physical: u64,
    caching: Caching,
    announced_as: u64,
}

impl Mapping {
    /// The page-table entry for its page at `address`.
    fn entry(&self, address: u64) -> u64 {
        (self.physical + address - self.start) | flag::DATA | flag::USER | self.caching.flags()
    }
}

/// Processes count from 1, which names them in the trace.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    fn enter_user(frame: *const TrapFrame, trap_stack: *mut u64);
    fn leave_user(stack: u64) -> !;
}

/// A process. Its mappings and its memory go when it is dropped.
pub struct Process {
    root: Root,
    frames: [u64; FRAMES],
    frame_count: usize,
    registers: TrapFrame,
    number: u64,
    file: lab::File,
    mappings: [Option<Mapping>; MAPPINGS],
    next_mapping: u64,
    exit: Exit,
    faults_resolved: u64,
    entries_before: u64,
    entries_counted: Option<u64>,
}

impl Process {
    /// A process that is about to run the program's `routine` with two arguments, and has the device
    /// `file` open. `None` if there is no memory for it.
    pub fn new(file: lab::File, routine: u64, arguments: [u64; 2]) -> Option<Self> {
        let number = LAST_NUMBER.fetch_add(1, Relaxed) + 1;
        let root = Root(frames::allocate()?);
        root.share_kernel_half(Root::active());
        let mut process = Self {
            root,
            frames: [root.0; FRAMES],
            frame_count: 1,
            registers: TrapFrame::default(),
            number,
            file,
            mappings: [const { None }; MAPPINGS],
            next_mapping: MAPPINGS_BASE,
            exit: Exit::Pause,
            faults_resolved: 0,
            entries_before: 0,
            entries_counted: None,
        };
        let stack = process.allocate()?;
        process.entry(STACK)?.set(stack | flag::DATA | flag::USER);
        let entry_point = program::map(|address| process.entry(address))?;
        process.registers = TrapFrame {
            rdi: routine,
            rsi: arguments[0],
            rdx: arguments[1],
            rip: entry_point,
            cs: u64::from(USER_CODE),
            rflags: RFLAGS,
            // As if the entry point had been called.
            rsp: STACK + PAGE - 8,
            ss: u64::from(USER_DATA),
            ..TrapFrame::default()
        };
        bench::image("user", program::file(), root.0);
        Some(process)
    }

    /// Runs it until it exits, pauses or is stopped.
    #[inline(never)]
    pub fn run(&mut self) -> Exit {
        let kernel = Root::active();
        let process: *mut Self = self;
        let cpu = Cpu::this();
        let current = current(cpu);
        current.store(process, Relaxed);
        self.root.activate();
        // SAFETY: the address space has the kernel's half and the program; the trap handlers use
        // the process through `CURRENT` until `leave_user` returns here.
        unsafe { enter_user(&raw const (*process).registers, cpu.trap_stack()) };
        kernel.activate();
        current.store(core::ptr::null_mut(), Relaxed);
        self.exit
    }

    /// How its last run ended.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// How many page faults were resolved by mapping a page.
    pub fn faults_resolved(&self) -> u64 {
        self.faults_resolved
    }

    /// How often it entered the kernel between its two system calls that count; `None` if it did
    /// not make them.
    pub fn entries_counted(&self) -> Option<u64> {
        self.entries_counted
    }

    /// A frame that goes with the process.
    fn allocate(&mut self) -> Option<u64> {
        let place = self.frames.get_mut(self.frame_count)?;
        *place = frames::allocate()?;
        self.frame_count += 1;
        Some(*place)
    }

    fn entry(&mut self, address: u64) -> Option<Entry> {
        self.root.entry_or_build(address, || self.allocate())
    }

    /// `true` if the program goes on.
    fn trap(&mut self, frame: &mut TrapFrame) -> bool {
        self.exit = match frame.vector {
            vector::BREAKPOINT => return self.system_call(frame),
            vector::PAGE_FAULT => {
                let address = fault_address();
                if self.resolve_fault(address, frame) {
                    return true;
                }
                self.count_fault(counted::FAULT_FATAL, address, frame);
                Exit::Fault { address, error_code: frame.error_code }
            }
            other => Exit::Exception(other),
        };
        false
    }

    fn system_call(&mut self, frame: &mut TrapFrame) -> bool {
        let result = match frame.rax {
            number::EXIT => {
                self.exit = Exit::Code(frame.rdi);
                return false;
            }
            number::PAUSE => {
                self.exit = Exit::Pause;
                frame.rax = 0;
                self.registers = *frame;
                return false;
            }
            number::MMAP => self.mmap(frame.rdi, frame.rsi, frame.rdx),
            number::MUNMAP => self.munmap(frame.rdi).map(|()| 0),
            number::COUNT_BEGIN => {
                self.entries_before = Cpu::this().kernel_entries();
                Ok(0)
            }
            number::COUNT_END => Ok(self.count_entries()),
            _ => Err(Errno::NO_SYSTEM_CALL),
        };
        frame.rax = result.unwrap_or_else(Errno::result);
        true
    }

    /// The entry by this very system call is not counted.
    fn count_entries(&mut self) -> u64 {
        let entries = Cpu::this().kernel_entries() - self.entries_before - 1;
        self.entries_counted = Some(entries);
        bench::count(&Count {
            what: counted::KERNEL_ENTRIES,
            value: entries,
            address: 0,
            error_code: 0,
            rip: 0,
        });
        entries
    }

    /// The system call: finds room, asks the driver what to map, and maps it now or prepares to.
    fn mmap(&mut self, offset: u64, length: u64, when: u64) -> Result<u64, Errno> {
        let on_fault = match when {
            fill::UP_FRONT => false,
            fill::ON_FAULT => true,
            _ => return Err(Errno::INVALID),
        };
        let slot = self.mappings.iter().position(Option::is_none).ok_or(Errno::NO_MEMORY)?;
        let lab::Grant { physical, caching } = self.file.mmap(offset, length)?;
        let start = self.next_mapping;
        let mut mapping = Mapping { start, length, physical, caching, announced_as: 0 };
        if !on_fault {
            for page in (start..start + length).step_by(PAGE as usize) {
                self.fill_page(page, mapping.entry(page)).ok_or(Errno::NO_MEMORY)?;
            }
        }
        self.next_mapping += length + PAGE;
        mapping.announced_as = self.announce(&mapping, offset, on_fault);
        if let Some(place) = self.mappings.get_mut(slot) {
            *place = Some(mapping);
        }
        Ok(start)
    }

    fn announce(&self, mapping: &Mapping, offset: u64, on_fault: bool) -> u64 {
        let who = Text::<32>::new().str("user ").decimal(self.number);
        let call =
            Text::<64>::new().str("mmap(lab, ").decimal(mapping.length).str(", offset 0x").hex(offset, 1);
        bench::map(&bench::Mapping {
            path: path::MMAP,
            virtual_address: mapping.start,
            physical_address: mapping.physical,
            length: mapping.length,
            address_space: self.root.0,
            on_fault,
            who: who.bytes(),
            call: call.str(")").bytes(),
            file: b"lab",
            offset,
        })
    }

    /// The system call: the whole mapping that starts at `address`.
    fn munmap(&mut self, address: u64) -> Result<(), Errno> {
        let starts_there =
            |mapping: &&mut Option<Mapping>| matches!(mapping, Some(it) if it.start == address);
        let mapping =
            self.mappings.iter_mut().find(starts_there).and_then(Option::take).ok_or(Errno::INVALID)?;
        for page in (address..address + mapping.length).step_by(PAGE as usize) {
            if let Some(entry) = self.root.entry(page) {
                entry.set(0);
            }
            flush(page);
        }
        bench::unmap(mapping.announced_as);
        Ok(())
    }

    /// Maps the page at `address`, if it belongs to a mapping and only was not touched before.
    fn resolve_fault(&mut self, address: u64, frame: &TrapFrame) -> bool {
        if frame.error_code & FAULT_PRESENT != 0 {
            return false;
        }
        let page = address & !(PAGE - 1);
        let belongs = |mapping: &&Mapping| (mapping.start..mapping.start + mapping.length).contains(&page);
        let mapping = self.mappings.iter().flatten().find(belongs);
        let Some(entry) = mapping.map(|mapping| mapping.entry(page)) else { return false };
        if self.fill_page(page, entry).is_none() {
            return false;
        }
        self.faults_resolved += 1;
        self.count_fault(counted::FAULT_RESOLVED, address, frame);
        true
    }

    fn fill_page(&mut self, address: u64, entry: u64) -> Option<()> {
        self.entry(address)?.set(entry);
        Some(())
    }

    fn count_fault(&self, what: u64, address: u64, frame: &TrapFrame) {
        bench::count(&Count { what, value: 1, address, error_code: frame.error_code, rip: frame.rip });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for mapping in self.mappings.iter().flatten() {
            bench::unmap(mapping.announced_as);
        }
        for &frame in self.frames.iter().take(self.frame_count) {
            frames::release(frame);
        }
    }
}

/// Where the process is kept that runs on this CPU. Looked up so that nothing is left that could panic, whose message needs
/// SSE.
fn current(cpu: &Cpu) -> &'static AtomicPtr<Process> {
    CURRENT.get(cpu.index()).unwrap_or(&CURRENT[0])
}

/// Handles a trap out of ring 3, where the current process of `cpu` runs. Does not return if that is
/// over.
pub fn handle_trap(cpu: &Cpu, frame: &mut TrapFrame) {
    // SAFETY: only a process that `run` made the current one gets into ring 3, and `run` does not
    // touch it meanwhile.
    let goes_on = unsafe { (*current(cpu).load(Relaxed)).trap(frame) };
    if !goes_on {
        // SAFETY: the trap stack is where `enter_user` left it, and holds what it saved; nothing
        // in between needs to be dropped.
        unsafe { leave_user(cpu.trap_stack().read_unaligned()) };
    }
}
