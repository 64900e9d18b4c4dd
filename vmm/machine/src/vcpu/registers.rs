//! A vCPU's registers at an exit, as KVM left them in the shared page.

use iced_x86::Register;
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};

/// EFER.LMA: the vCPU is in long mode.
const EFER_LMA: u64 = 1 << 10;
/// CR0.PG: paging is on.
const CR0_PG: u64 = 1 << 31;
/// CR4.LA57: page tables have five levels.
const CR4_LA57: u64 = 1 << 12;
/// RFLAGS.IF: interrupts are taken.
const RFLAGS_IF: u64 = 1 << 9;

/// General and system registers.
#[derive(Clone, Copy)]
pub struct Registers {
    /// General registers, RIP and RFLAGS.
    pub general: kvm_regs,
    /// Segments, control registers and EFER.
    pub system: kvm_sregs,
}

/// How addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Virtual addresses are physical.
    Off,
    /// Long mode with 4 or 5 levels.
    Long {
        /// 4 or 5.
        levels: u8,
    },
    /// 32-bit paging, with or without PAE, which no walk follows.
    Legacy,
}

impl Registers {
    /// Current privilege level, 0 to 3.
    pub fn cpl(&self) -> u8 {
        self.system.ss.dpl & 3
    }

    /// CR3 without its flag bits: the physical address of the top-level table.
    pub fn address_space(&self) -> u64 {
        self.system.cr3 & 0x000f_ffff_ffff_f000
    }

    /// How addresses are translated now.
    pub fn paging(&self) -> Paging {
        if self.system.cr0 & CR0_PG == 0 {
            Paging::Off
        } else if self.system.efer & EFER_LMA == 0 {
            Paging::Legacy
        } else {
            Paging::Long { levels: if self.system.cr4 & CR4_LA57 == 0 { 4 } else { 5 } }
        }
    }

    /// Width of the code that runs, for a decoder: 16, 32 or 64.
    pub fn bitness(&self) -> u32 {
        match (self.runs_64_bit_code(), self.system.cs.db) {
            (true, _) => 64,
            (false, 0) => 16,
            (false, _) => 32,
        }
    }

    /// CS.L means something in long mode only (SDM volume 3, section 3.4.5).
    fn runs_64_bit_code(&self) -> bool {
        self.system.efer & EFER_LMA != 0 && self.system.cs.l != 0
    }

    /// Whether the vCPU takes interrupts.
    pub fn interrupts_enabled(&self) -> bool {
        self.general.rflags & RFLAGS_IF != 0
    }

    /// Linear address of RIP.
    pub fn linear_rip(&self) -> u64 {
        if self.runs_64_bit_code() {
            self.general.rip
        } else {
            self.system.cs.base.wrapping_add(self.general.rip) & 0xffff_ffff
        }
    }

    /// The register's value, as an effective address or a store's source needs it: segment registers
    /// give their base. `None` for what the shared page doesn't hold.
    pub fn value(&self, register: Register) -> Option<u64> {
        if register.is_segment_register() {
            return self.segment(register).map(|segment| self.effective_base(register, segment));
        }
        let regs = &self.general;
        let full = match register.full_register() {
            Register::RAX => regs.rax,
            Register::RBX => regs.rbx,
            Register::RCX => regs.rcx,
            Register::RDX => regs.rdx,
            Register::RSI => regs.rsi,
            Register::RDI => regs.rdi,
            Register::RSP => regs.rsp,
            Register::RBP => regs.rbp,
            Register::R8 => regs.r8,
            Register::R9 => regs.r9,
            Register::R10 => regs.r10,
            Register::R11 => regs.r11,
            Register::R12 => regs.r12,
            Register::R13 => regs.r13,
            Register::R14 => regs.r14,
            Register::R15 => regs.r15,
            _ => return None,
        };
        Some(match register {
            Register::AH | Register::BH | Register::CH | Register::DH => (full >> 8) & 0xff,
            _ => match register.size() {
                1 => full & 0xff,
                2 => full & 0xffff,
                4 => full & 0xffff_ffff,
                _ => full,
            },
        })
    }

    fn segment(&self, register: Register) -> Option<&kvm_segment> {
        Some(match register {
            Register::CS => &self.system.cs,
            Register::DS => &self.system.ds,
            Register::ES => &self.system.es,
            Register::FS => &self.system.fs,
            Register::GS => &self.system.gs,
            Register::SS => &self.system.ss,
            _ => return None,
        })
    }

    /// In 64-bit mode only FS and GS have a base (SDM volume 1, section 3.4.4).
    fn effective_base(&self, register: Register, segment: &kvm_segment) -> u64 {
        if self.runs_64_bit_code() && !matches!(register, Register::FS | Register::GS) {
            0
        } else {
            segment.base
        }
    }
}
