//! Two vCPUs that do anything at once, and change the code that both run.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use barscope_cost::second_cpu;
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, dword_ptr, eax, ebx, ecx, edi, esi, esp};

use super::code::{self, PLACES, STACK};
use super::random::Random;
use super::{anything, assert_ended, exit, fill_requests, run, seeds};

/// The second one says that it runs, and that it is done.
const STARTED: u32 = 0x26_0000;
const DONE: u32 = 0x26_0004;
const OPERATIONS: u32 = 1500;

/// Wakes the second processor, and waits for a while until it says so.
fn wake(a: &mut CodeAssembler, entry: CodeLabel) -> Result<(), IcedError> {
    second_cpu::wake(a, entry)?;
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
            second_cpu::load_segments(a)?;
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
