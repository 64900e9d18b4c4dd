//! A vCPU's registers at an exit.

use iced_x86::Register;
use serde::{Deserialize, Serialize};

/// EFER.LMA: the vCPU is in long mode.
const EFER_LMA: u64 = 1 << 10;
/// CR0.PG: paging is on.
const CR0_PG: u64 = 1 << 31;
/// CR4.LA57: page tables have five levels.
const CR4_LA57: u64 = 1 << 12;
/// RFLAGS.IF: interrupts are taken.
const RFLAGS_IF: u64 = 1 << 9;

/// A segment register, as far as addresses and privilege depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Linear address of its first byte.
    pub base: u64,
    /// Descriptor privilege level, 0 to 3; that of SS is the current one.
    pub dpl: u8,
    /// D/B: code in it is 32 bits wide by default, not 16.
    pub db: bool,
    /// L: code in it is 64 bits wide.
    pub l: bool,
}

/// General and system registers at an exit.
#[expect(missing_docs, reason = "they are called as the manual calls them")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cs: Segment,
    pub ds: Segment,
    pub es: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub ss: Segment,
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    /// Linear address of the interrupt descriptor table.
    #[serde(default)]
    pub idt: u64,
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
    #[inline]
    pub fn cpl(&self) -> u8 {
        self.ss.dpl & 3
    }

    /// CR3 without its flag bits: the physical address of the top-level table.
    #[inline]
    pub fn address_space(&self) -> u64 {
        self.cr3 & 0x000f_ffff_ffff_f000
    }

    /// How addresses are translated now.
    #[inline]
    pub fn paging(&self) -> Paging {
        if self.cr0 & CR0_PG == 0 {
            Paging::Off
        } else if self.efer & EFER_LMA == 0 {
            Paging::Legacy
        } else {
            Paging::Long { levels: if self.cr4 & CR4_LA57 == 0 { 4 } else { 5 } }
        }
    }

    /// Width of the code that runs, for a decoder: 16, 32 or 64.
    #[inline]
    pub fn bitness(&self) -> u32 {
        match (self.runs_64_bit_code(), self.cs.db) {
            (true, _) => 64,
            (false, false) => 16,
            (false, true) => 32,
        }
    }

    /// CS.L means something in long mode only (SDM volume 3, section 3.4.5).
    #[inline]
    fn runs_64_bit_code(&self) -> bool {
        self.efer & EFER_LMA != 0 && self.cs.l
    }

    /// Whether the vCPU takes interrupts.
    pub fn interrupts_enabled(&self) -> bool {
        self.rflags & RFLAGS_IF != 0
    }

    /// Linear address of RIP.
    #[inline]
    pub fn linear_rip(&self) -> u64 {
        if self.runs_64_bit_code() { self.rip } else { self.cs.base.wrapping_add(self.rip) & 0xffff_ffff }
    }

    /// The register's value, as an effective address or a store's source needs it: segment registers
    /// give their base. `None` for what the shared page doesn't hold.
    #[inline]
    pub fn value(&self, register: Register) -> Option<u64> {
        if register.is_segment_register() {
            return self.segment(register).map(|segment| self.effective_base(register, segment));
        }
        let regs = self;
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

    #[inline]
    fn segment(&self, register: Register) -> Option<&Segment> {
        Some(match register {
            Register::CS => &self.cs,
            Register::DS => &self.ds,
            Register::ES => &self.es,
            Register::FS => &self.fs,
            Register::GS => &self.gs,
            Register::SS => &self.ss,
            _ => return None,
        })
    }

    /// In 64-bit mode only FS and GS have a base (SDM volume 1, section 3.4.4).
    #[inline]
    fn effective_base(&self, register: Register, segment: &Segment) -> u64 {
        if self.runs_64_bit_code() && !matches!(register, Register::FS | Register::GS) {
            0
        } else {
            segment.base
        }
    }
}
