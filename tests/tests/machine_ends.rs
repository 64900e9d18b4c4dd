//! Does a run end when it should, whatever the guest, the terminal or barscope's own threads do?

use std::io::Read;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_bench::command::Session;
use barscope_bench::raw_guest::{self, configure, store};
use barscope_trace::EventKind;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edi, edx};
use rustix::process::{Pid, Signal, kill_process};

/// How much later than it should a run may end.
const LATE: Duration = Duration::from_millis(1000);

const BAR0: u32 = 0xfe00_0000;

/// Goes on for ever, and does `body` over and over.
fn for_ever(
    a: &mut CodeAssembler,
    body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    body(a)?;
    a.jmp(again)
}

/// A guest whose `ticker`, at 00:08.0, ticks as fast as it can.
fn ticking() -> Result<Vec<u8>> {
    Ok(raw_guest::assemble(|a| {
        configure(a, 8, 0x10, 0xfe01_0000)?;
        configure(a, 8, 0x04, 0x2)?;
        store(a, 0xfe01_0000, 1000)?;
        store(a, 0xfe01_0004, 1)?;
        for_ever(a, CodeAssembler::pause)
    })?)
}

/// A guest that reads a register of `lab` over and over.
fn reading() -> Result<Vec<u8>> {
    Ok(raw_guest::assemble(|a| {
        configure(a, 4, 0x10, BAR0)?;
        configure(a, 4, 0x04, 0x2)?;
        a.mov(edi, BAR0)?;
        for_ever(a, |a| a.mov(eax, dword_ptr(edi)))
    })?)
}

/// A guest that writes to the serial port over and over.
fn printing() -> Result<Vec<u8>> {
    Ok(raw_guest::assemble(|a| {
        a.mov(edx, 0x3f8)?;
        a.mov(al, i32::from(b'x'))?;
        for_ever(a, |a| a.out(dx, al))
    })?)
}

/// A run of `guest` that nobody reads anything of.
fn unread(session: &Session, guest: &[u8], arguments: &[&str]) -> Result<Child> {
    let kernel = session.file("guest.elf", guest)?;
    let kernel = kernel.to_str().context("a path")?.to_owned();
    let mut command = session.barscope(&["run", "--kernel", &kernel])?;
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Waits for the end; how long that took, and the exit code.
fn end(child: &mut Child) -> Result<(Duration, Option<i32>)> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((began.elapsed(), status.code()));
        }
        if began.elapsed() > Duration::from_secs(60) {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("it ran on for a minute");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}

fn trace(session: &Session) -> Result<Trace> {
    let trace = session.trace()?;
    ensure!(trace.info().lost == 0, "{} records are lost", trace.info().lost);
    Ok(trace)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_time_limit_holds_though_nobody_reads_what_is_printed() -> Result<()> {
    for guest in [reading()?, printing()?, ticking()?] {
        let session = Session::new()?;
        let mut child = unread(&session, &guest, &["--timeout", "2"])?;
        let (took, code) = end(&mut child)?;
        assert_eq!(code, Some(1));
        assert!(took < Duration::from_secs(2) + LATE, "{took:?}");
        trace(&session)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn one_signal_ends_a_run_that_nobody_reads_and_leaves_its_trace() -> Result<()> {
    for name in [Signal::INT, Signal::TERM, Signal::HUP] {
        for guest in [reading()?, printing()?] {
            let session = Session::new()?;
            let mut child = unread(&session, &guest, &[])?;
            thread::sleep(Duration::from_secs(1));
            signal(&child, name)?;
            let (took, code) = end(&mut child)?;
            assert_eq!(code, Some(130));
            assert!(took < LATE, "{took:?}");
            trace(&session)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let session = Session::new()?;
    let mut child = unread(&session, &reading()?, &[])?;
    thread::sleep(Duration::from_secs(1));
    signal(&child, Signal::INT)?;
    thread::sleep(Duration::from_millis(50));
    signal(&child, Signal::INT)?;
    let (took, code) = end(&mut child)?;
    assert_eq!(code, Some(130));
    assert!(took < Duration::from_millis(300), "{took:?}");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_run_that_ended_by_itself_waits_for_its_reader_until_its_time_is_up() -> Result<()> {
    let session = Session::new()?;
    let mut command = session.barscope(&["run", "--format", "json"])?;
    let mut patient = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    thread::sleep(Duration::from_secs(3));
    assert!(patient.try_wait()?.is_none(), "its output doesn't fit into a pipe");
    let mut text = String::new();
    patient.stdout.take().context("a pipe")?.read_to_string(&mut text)?;
    assert_eq!(patient.wait()?.code(), Some(0));
    assert!(text.lines().count() > 2000, "{} lines", text.lines().count());

    let mut command = session.barscope(&["run", "--format", "json", "--timeout", "3"])?;
    let mut limited = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (took, code) = end(&mut limited)?;
    assert_eq!(code, Some(1));
    assert!(took < Duration::from_secs(3) + LATE, "{took:?}");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn device_timers_of_a_host_clock_go_on_while_nobody_reads_what_is_printed() -> Result<()> {
    let session = Session::new()?;
    let guest = raw_guest::assemble(|a| {
        configure(a, 8, 0x10, 0xfe01_0000)?;
        configure(a, 8, 0x04, 0x2)?;
        // A tick every 2 ms, each with a few records.
        store(a, 0xfe01_0000, 2_000_000)?;
        store(a, 0xfe01_0004, 1)?;
        a.mov(ecx, 20_000)?;
        a.mov(edi, 0xfe01_0000_u32)?;
        let mut fill = a.create_label();
        a.set_label(&mut fill)?;
        a.mov(eax, dword_ptr(edi))?;
        a.dec(ecx)?;
        a.jne(fill)?;
        for_ever(a, CodeAssembler::pause)
    })?;
    let mut child = unread(&session, &guest, &["--clock", "host", "--timeout", "4"])?;
    end(&mut child)?;
    let trace = trace(&session)?;
    let effects = trace.events().iter().filter(|event| event.vcpu.is_none());
    let times: Vec<u64> = effects.map(|event| event.device_ns / 1_000_000).collect();
    assert!(times.len() > 500, "{} effects of ticks", times.len());
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    assert!(gap < 1000, "no tick for {gap} ms");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn ticks_that_a_stopped_process_missed_are_not_made_up_for_one_by_one() -> Result<()> {
    let session = Session::new()?;
    let mut child = unread(&session, &ticking()?, &["--clock", "host", "--timeout", "4", "--quiet"])?;
    let began = Instant::now();
    thread::sleep(Duration::from_secs(1));
    signal(&child, Signal::STOP)?;
    thread::sleep(Duration::from_secs(4));
    signal(&child, Signal::CONT)?;
    end(&mut child)?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5) + LATE, "{took:?}");
    // Four seconds have four million periods.
    let trace = trace(&session)?;
    assert!(trace.events().len() < 3_000_000, "{} records", trace.events().len());
    Ok(())
}

/// A module whose 65,535 sections have one name, and addresses for a quarter million sections.
fn module() -> Result<Vec<u8>> {
    Ok(raw_guest::assemble(|a| {
        store(a, 0x40_0000, 0x464c_457f)?;
        store(a, 0x40_0004, 0x102)?;
        store(a, 0x40_0028, 64)?;
        store(a, 0x40_003c, 0xffff)?;
        // "a 0\n"
        a.mov(eax, 0x0a30_2061)?;
        a.mov(edi, 0x100_0000)?;
        a.mov(ecx, 0x4_0000)?;
        a.cld()?;
        a.rep().stosd()?;
        let words = [0x3000, 1, 0x40_0000, 0x42_0000, 0x100_0000, 0x10_0000];
        for (index, word) in (0..).zip(words) {
            store(a, 0x2000 + 8 * index, word)?;
            store(a, 0x2004 + 8 * index, 0)?;
        }
        for (request, size) in [(13, 48), (9, 8)] {
            a.mov(ebx, 0x2000)?;
            if request == 9 {
                store(a, 0x2000, 0)?;
            }
            a.mov(ecx, size)?;
            a.mov(eax, request)?;
            a.mov(edx, 0xb5c)?;
            a.out(dx, eax)?;
        }
        a.hlt()
    })?)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_module_request_that_was_worth_hours_is_read_in_a_moment() -> Result<()> {
    let session = Session::new()?;
    let mut child = unread(&session, &module()?, &["--timeout", "20"])?;
    let (took, code) = end(&mut child)?;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    Ok(())
}

/// Starts the second vCPU in real mode, where it reads CONFIG_ADDRESS over and over; halts the first for good.
fn one_halts_the_other_works() -> Result<Vec<u8>> {
    let mut code = CodeAssembler::new(16)?;
    code.cli()?;
    code.mov(dx, 0xcf8)?;
    for_ever(&mut code, |a| {
        for _ in 0..200 {
            a.nop()?;
        }
        a.in_(eax, dx)
    })?;
    let code = code.assemble(0x2_0000)?;
    Ok(raw_guest::assemble(|a| {
        for (offset, byte) in (0..).zip(&code) {
            a.mov(edi, 0x2_0000 + offset)?;
            a.mov(byte_ptr(edi), i32::from(*byte))?;
        }
        store(a, 0xfee0_00f0, 0x1ff)?;
        // So long that the second vCPU was seen waiting.
        a.mov(ecx, 300_000)?;
        let mut wait = a.create_label();
        a.set_label(&mut wait)?;
        a.pause()?;
        a.dec(ecx)?;
        a.jne(wait)?;
        for command in [0x4500, 0x4620] {
            store(a, 0xfee0_0310, 0x0100_0000)?;
            store(a, 0xfee0_0300, command)?;
        }
        a.cli()?;
        a.hlt()
    })?)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_guest_is_not_halted_for_good_while_another_vcpu_runs() -> Result<()> {
    for _ in 0..5 {
        let session = Session::new()?;
        let guest = one_halts_the_other_works()?;
        let arguments = ["--cpus", "2", "--timeout", "3", "--quiet"];
        let child = unread(&session, &guest, &arguments)?.wait_with_output()?;
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(said.contains("did not end in time"), "{said}");
        let trace = trace(&session)?;
        let by_second = |event: &&barscope_trace::Event| {
            event.vcpu == Some(1) && matches!(event.kind, EventKind::Access(_))
        };
        assert!(trace.events().iter().filter(by_second).count() > 100);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn vcpus_that_all_wait_for_each_other_are_halted_for_good() -> Result<()> {
    let session = Session::new()?;
    let guest = raw_guest::assemble(|a| {
        a.cli()?;
        a.hlt()
    })?;
    let child = unread(&session, &guest, &["--cpus", "3", "--quiet"])?.wait_with_output()?;
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(said.contains("halted with interrupts off"), "{said}");
    assert_eq!(child.status.code(), Some(1));
    Ok(())
}
