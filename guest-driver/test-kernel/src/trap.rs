//! Traps: the interrupt descriptor table, and who handles what (Intel SDM volume 3, chapter 6).

use core::arch::{asm, global_asm};

use barscope_guest_abi::{Count, counted};

use crate::apic::SPURIOUS_VECTOR;
use crate::cpu::{Cpu, DOUBLE_FAULT_STACK, KERNEL_CODE, TablePointer};
use crate::lock::Lock;
use crate::text::Text;
use crate::trap_frame::{TrapFrame, fault_address, vector};
use crate::{bench, irq, machine, process, serial};

global_asm!(include_str!("trap.s"), options(att_syntax));

/// How many vectors have a stub, and the size of one, in `trap.s`.
const VECTORS: usize = 64;
const STUB_SIZE: u64 = 16;

const PRESENT: u64 = 1 << 47;
const USER_MAY_CALL: u64 = 3 << 45;
const INTERRUPT_GATE: u64 = 0xe << 40;

static TABLE: Lock<[[u64; 2]; VECTORS]> = Lock::new([[0; 2]; VECTORS]);

unsafe extern "C" {
    safe static trap_stubs: u8;
}

/// Fills the table, and loads it on the first CPU.
pub fn init() {
    TABLE.with(|table| {
        for (vector, gate) in (0..).zip(table.iter_mut()) {
            let stub = &raw const trap_stubs as u64 + vector * STUB_SIZE;
            let privilege = if vector == vector::BREAKPOINT { USER_MAY_CALL } else { 0 };
            let stack = if vector == vector::DOUBLE_FAULT { u64::from(DOUBLE_FAULT_STACK) << 32 } else { 0 };
            gate[0] = stub & 0xffff
                | u64::from(KERNEL_CODE) << 16
                | stack
                | INTERRUPT_GATE
                | privilege
                | PRESENT
                | (stub >> 16 & 0xffff) << 48;
            gate[1] = stub >> 32;
        }
    });
    load();
}

/// Loads the table, which is filled.
pub fn load() {
    let pointer = TABLE
        .with(|table| TablePointer { limit: size_of_val(table) as u16 - 1, base: table.as_ptr() as u64 });
    // SAFETY: the table is a static one, and complete.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags)) };
}

/// Called by the stubs.
#[unsafe(no_mangle)]
extern "C" fn handle_trap(frame: &mut TrapFrame) {
    const SPURIOUS: u64 = SPURIOUS_VECTOR as u64;
    const FIRST: u64 = irq::VECTORS.start as u64;
    const LAST: u64 = irq::VECTORS.end as u64 - 1;
    let cpu = Cpu::this();
    cpu.count_kernel_entry();
    match frame.vector {
        SPURIOUS => {}
        vector @ FIRST..=LAST => {
            frame.rip = irq::resume_at(frame.rip);
            irq::dispatch(vector as u8);
        }
        _ if frame.is_from_user() => process::handle_trap(cpu, frame),
        _ => kernel_fault(frame),
    }
}

/// An exception in ring 0 is a bug in the kernel. The trace gets to know of a page fault: it can't see
/// accesses that reach no device.
fn kernel_fault(frame: &TrapFrame) -> ! {
    if frame.vector == vector::PAGE_FAULT {
        bench::count(&Count {
            what: counted::FAULT_FATAL,
            value: 1,
            address: fault_address(),
            error_code: frame.error_code,
            rip: frame.rip,
        });
    }
    let text = Text::<160>::new()
        .str("test kernel: exception ")
        .decimal(frame.vector)
        .str(" at 0x")
        .hex(frame.rip, 16)
        .str(", error code 0x")
        .hex(frame.error_code, 1)
        .str(", CR2 0x")
        .hex(fault_address(), 16)
        .str("\n");
    serial::write(text.bytes());
    machine::exit(machine::STATUS_BUG)
}
