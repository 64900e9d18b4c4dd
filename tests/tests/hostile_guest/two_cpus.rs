//! Two vCPUs that do anything at once, and change the code that both run.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, ax, ds, dword_ptr, eax, ebx, ecx, edi, es, esi, esp, ss};

use super::code::{self, PLACES, STACK};
use super::random::Random;
use super::{anything, assert_ended, exit, fill_requests, run, seeds};

/// Physical address at which the second processor begins, in real mode.
const TRAMPOLINE: u32 = 0x1_0000;
/// The second one says that it runs, and that it is done.
const STARTED: u32 = 0x26_0000;
const DONE: u32 = 0x26_0004;
const OPERATIONS: u32 = 1500;
/// Interrupt Command Register of the local APIC (Intel SDM volume 3, section 11.6.1).
const ICR_LOW: u32 = 0xfee0_0300;
const ICR_HIGH: u32 = 0xfee0_0310;
/// Spurious Interrupt Vector Register, which enables it.
const SPURIOUS: u32 = 0xfee0_00f0;

/// From real mode to flat protected mode: `cli; lgdt; mov cr0, PE; jmp 8:ENTRY`, the entry's place, the descriptors.
const CODE: [u8; 48] = [
    0xfa, 0x2e, 0x66, 0x0f, 0x01, 0x16, 0x1a, 0x00, // cli; lgdt cs:[0x1a]
    0x66, 0xb8, 0x11, 0x00, 0x00, 0x00, 0x0f, 0x22, // mov eax, 0x11; mov cr0, eax
    0xc0, 0x66, 0xea, 0x00, 0x00, 0x00, 0x00, 0x08, // jmp 8:ENTRY
    0x00, 0x90, 0x17, 0x00, 0x18, 0x00, 0x01,
    0x00, // limit and base of the table, 8 before its first entry
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00, // code
    0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00, // data
];
const ENTRY: u32 = 0x13;

/// Wakes the second processor, and waits for a while until it says so.
fn wake(a: &mut CodeAssembler, entry: CodeLabel) -> Result<(), IcedError> {
    for (index, bytes) in (0..).zip(CODE.chunks_exact(4)) {
        let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | i32::from(*byte));
        a.mov(dword_ptr(TRAMPOLINE + index * 4), word)?;
    }
    // The entry's address, by a call over a jump to it: labels are no operands in 32-bit code.
    let mut here = a.create_label();
    a.call(here)?;
    a.jmp(entry)?;
    a.set_label(&mut here)?;
    a.pop(eax)?;
    a.mov(dword_ptr(TRAMPOLINE + ENTRY), eax)?;
    a.mov(dword_ptr(SPURIOUS), 0x13f)?;
    for command in [0x4500, 0x4600 | TRAMPOLINE >> 12] {
        a.mov(dword_ptr(ICR_HIGH), 1 << 24)?;
        a.mov(dword_ptr(ICR_LOW), command as i32)?;
    }
    wait_for(a, STARTED, 100_000)
}

/// Looks at a word of memory so many times, unless it becomes other than 0.
fn wait_for(a: &mut CodeAssembler, word: u32, times: u32) -> Result<(), IcedError> {
    let (mut again, mut there) = (a.create_label(), a.create_label());
    a.mov(ecx, times)?;
    a.set_label(&mut again)?;
    a.cmp(dword_ptr(word), 0)?;
    a.jne(there)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.set_label(&mut there)?;
    a.nop()
}

/// Anything, a call of code that the other one changes, or a change of that.
fn operation(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    let place = PLACES[random.below(3) as usize];
    match random.below(4) {
        0 => a.mov(dword_ptr(place), code::code(random) as i32),
        1 => {
            a.mov(esi, random.address())?;
            a.mov(edi, random.address())?;
            a.mov(ecx, random.below(4))?;
            a.mov(eax, random.value())?;
            a.mov(ebx, place)?;
            a.call(ebx)
        }
        _ => anything::operation(a, random),
    }
}

#[test]
#[ignore = "needs /dev/kvm"]
fn two_cpus_that_do_anything_at_once_end_nothing_but_their_guest() -> Result<()> {
    for seed in seeds(3) {
        let mut random = Random::new(seed);
        let guest = raw_guest::assemble(|a| {
            a.mov(esp, STACK)?;
            fill_requests(a, &mut random)?;
            for place in PLACES {
                a.mov(dword_ptr(place), code::code(&mut random) as i32)?;
            }
            let mut second = a.create_label();
            wake(a, second)?;
            (0..OPERATIONS).try_for_each(|_| operation(a, &mut random))?;
            wait_for(a, DONE, 100_000)?;
            exit(a)?;

            a.set_label(&mut second)?;
            a.mov(eax, 0x10)?;
            a.mov(ds, ax)?;
            a.mov(es, ax)?;
            a.mov(ss, ax)?;
            a.mov(esp, STACK - 0x1000)?;
            a.mov(dword_ptr(STARTED), 1)?;
            (0..OPERATIONS).try_for_each(|_| operation(a, &mut random))?;
            a.mov(dword_ptr(DONE), 1)?;
            let mut forever = a.create_label();
            a.set_label(&mut forever)?;
            a.pause()?;
            a.jmp(forever)
        })?;
        let run = run(Bench::kernel(guest).cpus(2))?;
        // What is half of one code and half of another may run forever.
        if !matches!(run.stop, Stop::Timeout) {
            assert_ended(&run);
        }
        assert!(run.trace.events().iter().any(|event| event.vcpu == Some(1)), "the second one never ran");
    }
    Ok(())
}
