//! The state that PVH and multiboot enter a kernel in: 32-bit protected mode without paging, flat segments, interrupts
//! off.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};

/// Selectors of code, data and task.
const CODE_SELECTOR: u16 = 0x8;
const DATA_SELECTOR: u16 = 0x10;
const TASK_SELECTOR: u16 = 0x18;
/// Descriptors at these selectors, for a kernel that loads a segment register before it has descriptors of its own.
pub(super) const DESCRIPTORS: [u64; 3] = [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

/// Has the first instruction be the one at `entry`; general registers are 0.
pub(super) fn enter(entry: u64, general: &mut kvm_regs, system: &mut kvm_sregs) {
    const CR0_PE: u64 = 1;
    const CODE: u8 = 0xb;
    const DATA: u8 = 0x3;
    const BUSY_TSS: u8 = 0xb;

    *general = kvm_regs { rip: entry, rflags: 2, ..Default::default() };
    let flat = |selector, type_| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    system.cs = flat(CODE_SELECTOR, CODE);
    for segment in [&mut system.ds, &mut system.es, &mut system.fs, &mut system.gs, &mut system.ss] {
        *segment = flat(DATA_SELECTOR, DATA);
    }
    system.tr = kvm_segment {
        limit: 0x67,
        selector: TASK_SELECTOR,
        type_: BUSY_TSS,
        present: 1,
        ..Default::default()
    };
    system.cr0 = CR0_PE;
    system.cr3 = 0;
    system.cr4 = 0;
    system.efer = 0;
}
