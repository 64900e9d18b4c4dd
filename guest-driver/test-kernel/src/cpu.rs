//! Each CPU's own state: segments, task state, kernel entries (Intel SDM volume 3, chapters 3
//! and 8).

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Selector of ring 0's code.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of ring 3's data.
pub const USER_DATA: u16 = 0x18 | 3;
/// Selector of ring 3's code.
pub const USER_CODE: u16 = 0x20 | 3;
const KERNEL_DATA: u16 = 0x10;
/// Selector of the first CPU's task state. The next one's is in the next place of its table, so that the
/// selector tells CPUs apart.
const TASK_STATE: u16 = 0x28;
/// Size of a task state's descriptor: two places.
const TASK_STATE_STEP: u16 = 0x10;

/// How many CPUs the kernel can use.
pub const COUNT: usize = 2;
const DESCRIPTORS: usize = 5 + 2 * COUNT;

/// Type and attributes of the task-state descriptor: present, an available 64-bit TSS.
const TASK_STATE_ATTRIBUTES: u64 = 0x89 << 40;

/// Which entry of the interrupt stack table double faults use.
pub const DOUBLE_FAULT_STACK: u8 = 1;
const DOUBLE_FAULT_STACK_SIZE: usize = 0x1000;

/// Bytes of the I/O permission bitmap: up to the guest ABI's last port, and the byte of ones that
/// has to follow. Ports past its end are forbidden.
const IO_BITMAP_SIZE: usize = barscope_guest_abi::PORT as usize / 8 + 2;
const _: () = assert!(barscope_guest_abi::PORT.is_multiple_of(4), "the port's four bits lie in one byte");

/// The task-state segment with its I/O permission bitmap.
#[repr(C, packed(4))]
struct TaskState {
    reserved_0: u32,
    /// Stack of traps from ring 3.
    rsp0: u64,
    rsp1_rsp2: [u64; 2],
    reserved_1: u64,
    interrupt_stacks: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    io_bitmap_offset: u16,
    io_bitmap: [u8; IO_BITMAP_SIZE],
}

#[repr(C, align(16))]
struct Stack([u8; DOUBLE_FAULT_STACK_SIZE]);

/// One CPU's state.
pub struct Cpu {
    index: usize,
    /// Counts entries into the kernel.
    kernel_entries: AtomicU64,
    descriptors: UnsafeCell<[u64; DESCRIPTORS]>,
    task_state: UnsafeCell<TaskState>,
    double_fault_stack: UnsafeCell<Stack>,
}

// SAFETY: only the CPU whose state it is uses it, and each part is used by one function at a time.
unsafe impl Sync for Cpu {}

/// The states of all CPUs; the first one is what the machine boots on.
pub static CPUS: [Cpu; COUNT] = [Cpu::new(0), Cpu::new(1)];

/// All ports forbidden but the guest ABI's four.
const fn io_bitmap() -> [u8; IO_BITMAP_SIZE] {
    let mut bitmap = [0xff; IO_BITMAP_SIZE];
    bitmap[barscope_guest_abi::PORT as usize / 8] = !(0xf << (barscope_guest_abi::PORT % 8));
    bitmap
}

/// What `lgdt` and `lidt` take.
#[repr(C, packed)]
pub struct TablePointer {
    /// Size in bytes, less one.
    pub limit: u16,
    /// Virtual address.
    pub base: u64,
}

impl Cpu {
    const fn new(index: usize) -> Self {
        let mut descriptors = [0; DESCRIPTORS];
        descriptors[1] = 0x00af_9b00_0000_ffff;
        descriptors[2] = 0x00cf_9300_0000_ffff;
        descriptors[3] = 0x00cf_f300_0000_ffff;
        descriptors[4] = 0x00af_fb00_0000_ffff;
        Self {
            index,
            kernel_entries: AtomicU64::new(0),
            descriptors: UnsafeCell::new(descriptors),
            task_state: UnsafeCell::new(TaskState {
                reserved_0: 0,
                rsp0: 0,
                rsp1_rsp2: [0; 2],
                reserved_1: 0,
                interrupt_stacks: [0; 7],
                reserved_2: 0,
                reserved_3: 0,
                io_bitmap_offset: core::mem::offset_of!(TaskState, io_bitmap) as u16,
                io_bitmap: io_bitmap(),
            }),
            double_fault_stack: UnsafeCell::new(Stack([0; DOUBLE_FAULT_STACK_SIZE])),
        }
    }

    /// The state of the CPU that this runs on. Before it has loaded its task state, the first one.
    pub fn this() -> &'static Self {
        let selector: u16;
        // SAFETY: reading the task register changes nothing.
        unsafe { asm!("str {:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
        let index = selector.saturating_sub(TASK_STATE) / TASK_STATE_STEP;
        CPUS.get(usize::from(index)).unwrap_or(&CPUS[0])
    }

    /// Its place among all.
    pub fn index(&self) -> usize {
        self.index
    }

    fn selector(&self) -> u16 {
        TASK_STATE + self.index as u16 * TASK_STATE_STEP
    }

    /// Loads segments and task state. Called once on its CPU, before the first trap.
    pub fn init(&self) {
        let descriptors = self.descriptors.get();
        let base = self.task_state.get() as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        // SAFETY: called once, while nothing else uses this CPU's state; the descriptors are those
        // that the boot code runs on, and more.
        unsafe {
            let stack_end = self.double_fault_stack.get().add(1) as u64;
            (*self.task_state.get()).interrupt_stacks[DOUBLE_FAULT_STACK as usize - 1] = stack_end;
            let place = usize::from(self.selector() / 8);
            let low = limit | (base & 0xff_ffff) << 16 | TASK_STATE_ATTRIBUTES | (base >> 24 & 0xff) << 56;
            for (descriptor, half) in (*descriptors).iter_mut().skip(place).zip([low, base >> 32]) {
                *descriptor = half;
            }
            let pointer =
                TablePointer { limit: size_of_val(&*descriptors) as u16 - 1, base: descriptors as u64 };
            asm!("lgdt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags));
            asm!("mov ds, {0:e}", "mov es, {0:e}", "mov ss, {0:e}", in(reg) u32::from(KERNEL_DATA),
                options(nostack, preserves_flags));
            asm!("ltr {0:x}", in(reg) self.selector(), options(nostack, preserves_flags));
        }
    }

    /// The kernel was entered.
    pub fn count_kernel_entry(&self) {
        self.kernel_entries.store(self.kernel_entries() + 1, Relaxed);
    }

    /// How often the kernel was entered until now.
    pub fn kernel_entries(&self) -> u64 {
        self.kernel_entries.load(Relaxed)
    }

    /// Where the stack pointer for traps from ring 3 lies. Not aligned to 8 bytes.
    pub fn trap_stack(&self) -> *mut u64 {
        // SAFETY: only the place is computed.
        unsafe { &raw mut (*self.task_state.get()).rsp0 }
    }
}
