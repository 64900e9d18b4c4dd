//! What a trap leaves: registers, the vector, and the address of a page fault (Intel SDM volume 3, chapter 6).

use core::arch::asm;

/// Vectors of exceptions.
pub mod vector {
    /// `#BP`: here, a system call.
    pub const BREAKPOINT: u64 = 3;
    /// `#UD`.
    pub const INVALID_OPCODE: u64 = 6;
    /// `#DF`.
    pub const DOUBLE_FAULT: u64 = 8;
    /// `#PF`.
    pub const PAGE_FAULT: u64 = 14;
}

/// The registers of what was interrupted, as the stubs and the processor push them, under their
/// names in the processor's manual.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl TrapFrame {
    /// Whether ring 3 was interrupted.
    pub fn is_from_user(&self) -> bool {
        self.cs & 3 == 3
    }
}

/// The address whose access caused the page fault that is being handled.
pub fn fault_address() -> u64 {
    let address: u64;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}
