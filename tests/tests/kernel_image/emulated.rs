//! Which instructions every KVM can run in ring 0.
//!
//! Where KVM emulates ring 0, it knows general-purpose integer instructions and a few SSE moves. What
//! it doesn't know ends the run, on that machine only: so the kernel may not contain it at all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use iced_x86::code_asm::{
    CodeAssembler, al, bl, byte_ptr, cr3, dword_ptr, dx, eax, ecx, edx, ptr, qword_ptr, rax, rcx, rdi, st0,
    st1, xmm0, xmm1, xmmword_ptr,
};
use iced_x86::{ConditionCode, Decoder, DecoderOptions, EncodingKind, IcedError, Instruction, Mnemonic};

/// What KVM's emulator knows, as far as a kernel may want it; beside what tests a condition.
#[rustfmt::skip]
const EMULATED: &[Mnemonic] = {
    use Mnemonic::*;
    &[
        // Moves.
        Mov, Movnti, Movzx, Movsx, Movsxd, Lea, Xchg, Bswap, Cbw, Cwde, Cdqe, Cwd, Cdq, Cqo, Push, Pop,
        Pushfq, Popfq, Leave,
        // Arithmetic and logic.
        Add, Adc, Sub, Sbb, Cmp, Inc, Dec, Neg, Mul, Imul, Div, Idiv, And, Or, Xor, Not, Test,
        // Shifts and bits.
        Shl, Shr, Sar, Rol, Ror, Shld, Shrd, Bt, Bts, Btr, Btc, Bsf, Bsr,
        // Atomic exchanges.
        Cmpxchg, Xadd,
        // Strings.
        Movsb, Movsw, Movsd, Movsq, Stosb, Stosw, Stosd, Stosq, Lodsb, Lodsw, Lodsd, Lodsq, Cmpsb,
        Cmpsw, Cmpsd, Cmpsq, Scasb, Scasw, Scasd, Scasq, Cld, Std,
        // Flow; of what raises an exception, only what stops on purpose.
        Call, Ret, Jmp, Jrcxz, Loop, Iretq, Nop, Pause, Ud2,
        // Ports and the processor itself.
        In, Out, Cli, Sti, Hlt, Lgdt, Lidt, Ltr, Str, Invlpg, Rdmsr, Wrmsr,
        // SSE, as far as it only moves.
        Movaps, Movups, Movdqa, Movdqu,
    ]
};

/// Why KVM may not be able to emulate `instruction`.
fn objection(instruction: &Instruction) -> Option<&'static str> {
    // Jcc, SETcc, CMOVcc, LOOPcc.
    let is_conditional = instruction.condition_code() != ConditionCode::None;
    if instruction.is_invalid() {
        Some("no instruction")
    } else if instruction.encoding() != EncodingKind::Legacy {
        Some("VEX, EVEX or another late encoding")
    } else if !is_conditional && !EMULATED.contains(&instruction.mnemonic()) {
        Some("not among what KVM's emulator surely knows")
    } else if matches!(instruction.mnemonic(), Mnemonic::Movsd | Mnemonic::Cmpsd)
        && !instruction.is_string_instruction()
    {
        Some("SSE2's instruction of that name")
    } else {
        None
    }
}

/// The code of a function symbol.
pub struct Function<'a> {
    pub name: &'a str,
    pub address: u64,
    pub code: &'a [u8],
    /// 16, 32 or 64.
    pub bitness: u32,
}

/// What is wrong with code, found by decoding it from function to function.
#[derive(Default)]
pub struct Scan {
    /// One line each.
    found: Vec<String>,
    /// Where instructions start.
    starts: BTreeSet<u64>,
    /// Where branches lead, and a line on the last one that does.
    targets: BTreeMap<u64, String>,
}

impl Scan {
    pub fn add(&mut self, function: &Function<'_>) {
        let Function { name, address, code, bitness } = *function;
        for instruction in &mut Decoder::with_ip(bitness, code, address, DecoderOptions::NONE) {
            self.starts.insert(instruction.ip());
            let line = format!("{name} {:#x}: {instruction}", instruction.ip());
            if let Some(objection) = objection(&instruction) {
                self.found.push(format!("{line} ({objection})"));
            }
            if instruction.near_branch_target() != 0 {
                self.targets.insert(instruction.near_branch_target(), line);
            }
        }
    }

    /// What was found; also branches that lead to no instruction, as data among code shifts what is
    /// decoded after it.
    pub fn finish(mut self) -> Vec<String> {
        self.targets.retain(|target, _| !self.starts.contains(target));
        self.found.extend(self.targets.into_values().map(|line| format!("{line} (leads to no instruction)")));
        self.found
    }
}

#[test]
fn what_kvm_cannot_emulate_is_found() -> Result<()> {
    type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;
    let refused: &[(&str, Code)] = &[
        ("xorps", |a| a.xorps(xmm0, xmm1)),
        ("pxor", |a| a.pxor(xmm0, xmm1)),
        ("paddq", |a| a.paddq(xmm0, xmm1)),
        ("movsd", |a| a.movsd_2(xmm0, xmm1)),
        ("cmpsd", |a| a.cmpsd_3(xmm0, xmm1, 0)),
        ("movd", |a| a.movd(eax, xmm0)),
        ("vmovups", |a| a.vmovups(xmm0, xmmword_ptr(rdi))),
        ("fadd", |a| a.fadd_2(st0, st1)),
        ("wait", |a| a.wait()),
        ("emms", |a| a.emms()),
        ("popcnt", |a| a.popcnt(eax, ecx)),
        ("crc32", |a| a.crc32(eax, bl)),
        ("lzcnt", |a| a.lzcnt(eax, ecx)),
        ("andn", |a| a.andn(eax, ecx, edx)),
        ("adcx", |a| a.adcx(eax, ecx)),
        ("cmpxchg16b", |a| a.cmpxchg16b(xmmword_ptr(rdi))),
        ("xsave", |a| a.xsave(ptr(rdi))),
        ("int3", |a| a.int3()),
        ("int 0x80", |a| a.int(0x80)),
        ("syscall", |a| a.syscall()),
        ("swapgs", |a| a.swapgs()),
        ("verw", |a| a.verw(eax)),
        ("ud1", |a| a.ud1(eax, ecx)),
    ];
    for (name, code) in refused {
        assert!(!found_by(*code)?.is_empty(), "{name}");
    }
    assert!(!found_in(&[0x06]).is_empty(), "a byte that is no instruction");
    // jmp +1, over the first byte of a mov.
    assert!(!found_in(&[0xeb, 0x01, 0xb8, 0, 0, 0, 0]).is_empty(), "a branch into an instruction");
    Ok(())
}

#[test]
fn what_kvm_can_emulate_is_let_through() -> Result<()> {
    let found = found_by(|a| {
        a.mov(eax, dword_ptr(rdi))?;
        a.lock().cmpxchg(qword_ptr(rdi), rcx)?;
        a.rep().movsb()?;
        a.cmove(eax, ecx)?;
        a.sete(byte_ptr(rdi))?;
        a.bsr(eax, ecx)?;
        a.movups(xmmword_ptr(rdi), xmm0)?;
        a.out(dx, al)?;
        a.mov(cr3, rax)?;
        a.wrmsr()?;
        a.hlt()?;
        a.call(rax)?;
        a.ud2()?;
        a.iretq()
    })?;

    assert_eq!(found, [""; 0]);
    Ok(())
}

fn found_by(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Vec<String>> {
    let mut assembler = CodeAssembler::new(64)?;
    code(&mut assembler)?;
    Ok(found_in(&assembler.assemble(0x1000)?))
}

fn found_in(code: &[u8]) -> Vec<String> {
    let mut scan = Scan::default();
    scan.add(&Function { name: "snippet", address: 0x1000, code, bitness: 64 });
    scan.finish()
}
