//! Is every call of a device that is due made, in time, by whichever thread; and what if it panics?

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context as _, Result};
use barscope_bench::raw_guest::store;
use barscope_bench::{Bench, Run, raw_guest};
use barscope_device::register::{Access, Register, RegisterMap};
use barscope_device::state::BadState;
use barscope_device::{
    AccessSize, Backing, BarIndex, BarSpec, Bdf, ConfigHeader, Context, PciDevice, Refused, Region,
};
use barscope_trace::{Clock, EventKind};
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dx, eax, ebx, ecx, edx};
use serde_json::Value;

const REGISTERS: Region = Region::BAR0;
const GATHERED: Region = Region::BAR1;
const BELLS: Region = Region::BAR2;

const START: u64 = 0x0;
const PANIC: u64 = 0x4;
const RESULT: u64 = 0x8;

static MAPS: [RegisterMap; 3] = [
    RegisterMap {
        region: REGISTERS,
        registers: Cow::Borrowed(&[
            Register::new32("START", START, Access::ReadWrite, "starts a timer, in ns"),
            Register::new32("PANIC", PANIC, Access::ReadWrite, "a write panics"),
            Register::new32("RESULT", RESULT, Access::ReadOnly, "what came of it"),
        ]),
    },
    RegisterMap {
        region: GATHERED,
        registers: Cow::Borrowed(&[Register::new32("DATA", 0, Access::ReadWrite, "goes into RESULT")]),
    },
    RegisterMap {
        region: BELLS,
        registers: Cow::Borrowed(&[Register::new32("BELL", 0, Access::WriteOnly, "starts a timer of 1 ms")]),
    },
];

/// Gathers writes to BAR1 until a timer ends; a doorbell in BAR2 starts another one.
#[derive(Default)]
struct Subject {
    /// BAR2 is trapped as well: then nothing is left that isn't.
    no_bells: bool,
    trapped: bool,
    result: u32,
}

impl PciDevice for Subject {
    fn name(&self) -> &str {
        "subject"
    }

    fn header(&self) -> ConfigHeader {
        let bars = BarIndex::all().take(3).map(|index| BarSpec::memory32(index, 0x1000)).collect();
        ConfigHeader { vendor: 0x1234, device: 0x5b00, bars, ..ConfigHeader::default() }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        _: AccessSize,
    ) -> Result<u64, Refused> {
        self.peek(region, offset).ok_or(Refused::Reserved)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        _: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        match (region, offset) {
            (REGISTERS, START) => context.set_timer(0, value),
            (REGISTERS, PANIC) => panic!("told to"),
            (GATHERED, 0) => self.result = value as u32,
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn timer(&mut self, _: &mut Context<'_>, index: u8) {
        match index {
            0 => self.trapped = true,
            _ => self.result += 0x100,
        }
    }

    fn backing(&self, region: Region) -> Backing {
        match region {
            GATHERED if !self.trapped => Backing::Coalesced,
            BELLS if !self.no_bells => Backing::Doorbell,
            _ => Backing::Trapped,
        }
    }

    fn doorbell(&mut self, context: &mut Context<'_>, _: Region, _: u64, _: u64) {
        context.set_timer(1, 1_000_000);
    }

    fn peek(&self, region: Region, offset: u64) -> Option<u64> {
        match (region, offset) {
            (REGISTERS, START | PANIC) => Some(0),
            (REGISTERS, RESULT) => Some(self.result.into()),
            _ => None,
        }
    }

    fn reset(&mut self) {
        *self = Self { no_bells: self.no_bells, ..Self::default() };
    }

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<(), BadState> {
        Ok(())
    }
}

const BAR0: u32 = 0xfe00_0000;
const BAR1: u32 = 0xfe00_1000;
const BAR2: u32 = 0xfe00_2000;

/// Spins for about a tenth of a second without leaving the guest.
fn spin(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.rdtsc()?;
    a.mov(ebx, eax)?;
    a.set_label(&mut again)?;
    a.rdtsc()?;
    a.sub(eax, ebx)?;
    a.cmp(eax, 250_000_000)?;
    a.jb(again)
}

/// Runs `code` with the device decoded, and ends.
fn run(device: Subject, code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Run> {
    let guest = raw_guest::assemble(|a| {
        for (register, value) in [(0x10, BAR0), (0x14, BAR1), (0x18, BAR2), (0x04, 2)] {
            raw_guest::configure(a, 4, register, value)?;
        }
        code(a)?;
        store(a, 0x2000, 0)?;
        store(a, 0x2004, 0)?;
        a.mov(ebx, 0x2000)?;
        a.mov(ecx, 8)?;
        a.mov(eax, 9)?;
        a.mov(edx, 0xb5c)?;
        a.out(dx, eax)
    })?;
    let devices: barscope_device::Devices =
        vec![(Bdf::new(0, 4, 0).context("an address")?, Box::new(device))];
    Bench::kernel(guest).devices(devices).clock(Clock::Host).time_limit(Duration::from_secs(20)).run()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_panic_of_a_device_ends_the_run_and_says_what_it_served() -> Result<()> {
    let run = run(Subject::default(), |a| store(a, BAR0 + PANIC as u32, 7))?;
    let Stop::Panicked { doing, message } = &run.stop else { panic!("{:?}", run.stop) };
    assert_eq!(message, "told to");
    assert_eq!(doing, "a write of 0x7, 4 bytes at 0xfe000004 by vCPU 0");
    assert_eq!(run.places.len(), 1);
    assert!(
        matches!(run.trace.info().end, Some(barscope_trace::End::Failed(why)) if why.contains("told to"))
    );
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_gathered_write_reaches_the_device_though_its_region_is_trapped_meanwhile() -> Result<()> {
    let device = Subject { no_bells: true, ..Subject::default() };
    let run = run(device, |a| {
        store(a, BAR0, 30_000_000)?;
        store(a, BAR1, 0x2a)?;
        spin(a)
    })?;
    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    let trapped = |kind: &EventKind| {
        matches!(kind, EventKind::Backing { backing: barscope_trace::event::Backing::Trapped, .. })
    };
    assert_eq!(run.trace.events().iter().filter(|event| trapped(&event.kind)).count(), 1);
    let count = |wanted: fn(&EventKind) -> bool| {
        run.trace.events().iter().filter(|event| wanted(&event.kind)).count()
    };
    let written = |kind: &EventKind| matches!(kind, EventKind::Access(access) if access.coalesced && access.value == 0x2a);
    assert_eq!(count(written), 1);
    assert_eq!(count(|kind| matches!(kind, EventKind::Change { new: 0x2a, .. })), 1);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_timer_that_a_doorbell_starts_is_served_in_time() -> Result<()> {
    let run = run(Subject::default(), |a| {
        store(a, BAR2, 1)?;
        spin(a)
    })?;
    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    let time = |wanted: fn(&EventKind) -> bool| {
        run.trace.events().iter().find(|event| wanted(&event.kind)).map(|event| event.device_ns)
    };
    let rang = time(|kind| matches!(kind, EventKind::Doorbell { .. })).context("it rang")?;
    let ended =
        time(|kind| matches!(kind, EventKind::Change { new: 0x100, .. })).context("its timer ended")?;
    assert!((1_000_000..100_000_000).contains(&(ended - rang)), "{} ns", ended - rang);
    Ok(())
}
