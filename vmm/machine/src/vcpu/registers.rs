//! A vCPU's registers, as KVM leaves them in the shared page.

use barscope_x86::{Registers, Segment};
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};

/// KVM's registers as plain numbers.
pub fn plain(general: &kvm_regs, system: &kvm_sregs) -> Registers {
    Registers {
        rax: general.rax,
        rbx: general.rbx,
        rcx: general.rcx,
        rdx: general.rdx,
        rsi: general.rsi,
        rdi: general.rdi,
        rsp: general.rsp,
        rbp: general.rbp,
        r8: general.r8,
        r9: general.r9,
        r10: general.r10,
        r11: general.r11,
        r12: general.r12,
        r13: general.r13,
        r14: general.r14,
        r15: general.r15,
        rip: general.rip,
        rflags: general.rflags,
        cs: segment(&system.cs),
        ds: segment(&system.ds),
        es: segment(&system.es),
        fs: segment(&system.fs),
        gs: segment(&system.gs),
        ss: segment(&system.ss),
        cr0: system.cr0,
        cr3: system.cr3,
        cr4: system.cr4,
        efer: system.efer,
        idt: system.idt.base,
    }
}

fn segment(segment: &kvm_segment) -> Segment {
    Segment { base: segment.base, dpl: segment.dpl, db: segment.db != 0, l: segment.l != 0 }
}
