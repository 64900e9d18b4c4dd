//! Can a bus have BARs of any size, and is one refused that can't be? And devices of many functions?

use anyhow::{Context as _, Result};
use barscope_analysis::view::View;
use barscope_bench::routes::bases;
use barscope_bench::{Bench, Run};
use barscope_device::{
    AccessSize, BadState, BarIndex, BarSpec, Bdf, ConfigHeader, Context, Devices, InterruptPin, Options,
    PciDevice, Refused, Region, RegisterMap,
};
use barscope_devices::catalog;
use barscope_trace::definition::MemoryType;
use barscope_trace::event::Outcome;
use barscope_vmm::{MachineError, Stop};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A device that is nothing but BARs: a word reads as the number of its page, with that of the BAR, from 1 on, above.
struct Plain {
    name: &'static str,
    bars: Vec<BarSpec>,
    pin: Option<InterruptPin>,
}

impl PciDevice for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0x1abf,
            class: 0xff_00_00,
            bars: self.bars.clone(),
            interrupt_pin: self.pin,
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &[]
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        _: AccessSize,
    ) -> Result<u64, Refused> {
        let Region::Bar(index) = region else { return Err(Refused::Reserved) };
        Ok(u64::from(index.get() + 1) << 28 | offset >> 12)
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        Err(Refused::ReadOnly)
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        None
    }

    fn reset(&mut self) {}

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<(), BadState> {
        Ok(())
    }
}

fn at(device: u8, function: u8) -> Result<Bdf> {
    Bdf::new(0, device, function).context("no such address")
}

/// The lab at its place, which the test kernel wants, and these devices.
fn beside_lab(others: Vec<(Bdf, Plain)>) -> Result<Devices> {
    let lab = catalog::named("lab").context("no lab")?;
    let mut all: Devices = lab.at(at(4, 0)?, &Options::defaults(&lab.options))?;
    all.extend(others.into_iter().map(|(bdf, device)| (bdf, Box::new(device) as Box<dyn PciDevice>)));
    Ok(all)
}

fn wide(name: &'static str, sizes: &[u64]) -> Plain {
    let indices = [BarIndex::BAR0, BarIndex::BAR2, BarIndex::BAR4];
    let bars = indices.into_iter().zip(sizes).map(|(index, size)| BarSpec::memory64(index, *size)).collect();
    Plain { name, bars, pin: None }
}

/// Has the test kernel place all BARs of these devices, and read both ends of each.
fn every_bar(others: Vec<(Bdf, Plain)>) -> Result<Run> {
    let run = Bench::test_kernel().devices(beside_lab(others)?).scenario("every-bar").run()?;
    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?} at {:?}", run.stop, run.places);
    assert_eq!(run.trace.info().lost, 0);
    Ok(run)
}

/// Address, value and memory type of each access to a region of `device`.
fn reads(run: &Run, device: &str) -> Vec<(u64, u64, Option<MemoryType>)> {
    let accesses = run.trace.views().all().iter().filter_map(View::access);
    accesses
        .filter(|access| {
            access.place().is_some_and(|place| place.device() == device) && !access.is_configuration()
        })
        .map(|access| {
            assert_eq!(access.outcome, Outcome::Ok);
            (access.gpa().unwrap_or(0), access.value, access.memory_type())
        })
        .collect()
}

/// Why a machine with these devices isn't built.
fn refusal(others: Vec<(Bdf, Plain)>) -> Result<String> {
    let refused = Bench::test_kernel().devices(beside_lab(others)?).run().err().context("it ran")?;
    assert!(matches!(refused.downcast_ref(), Some(MachineError::NoRoom(_))), "{refused:#}");
    Ok(refused.to_string())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn bars_of_terabytes_are_placed_above_memory_and_answer_at_both_ends() -> Result<()> {
    let far = wide("far", &[16 * MIB, TIB, TIB]);
    let run = every_bar(vec![(at(5, 0)?, wide("near", &[64 * GIB])), (at(6, 0)?, far)])?;

    assert_eq!(bases(&run.trace, "lab", "BAR2"), [Some(0x8_0000_0000)]);
    let uncached = Some(MemoryType::Uncacheable);
    let expected = [(0x10_0000_0000, 0x1000_0000, uncached), (0x1f_ffff_fffc, 0x10ff_ffff, uncached)];
    assert_eq!(reads(&run, "near"), expected);
    let expected = [
        (0x8_0100_0000, 0x1000_0000, uncached),
        (0x8_01ff_fffc, 0x1000_0fff, uncached),
        (0x100_0000_0000, 0x3000_0000, uncached),
        (0x1ff_ffff_fffc, 0x3fff_ffff, uncached),
        (0x200_0000_0000, 0x5000_0000, uncached),
        (0x2ff_ffff_fffc, 0x5fff_ffff, uncached),
    ];
    assert_eq!(reads(&run, "far"), expected);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn bars_below_4_gib_are_placed_wherever_there_is_room() -> Result<()> {
    let bars = vec![BarSpec::memory32(BarIndex::BAR0, 16), BarSpec::memory32(BarIndex::BAR1, 128 * MIB)];
    let run = every_bar(vec![(at(5, 0)?, Plain { name: "low", bars, pin: None })])?;

    assert_eq!(bases(&run.trace, "low", "BAR0"), [Some(0xfe00_2100)]);
    assert_eq!(bases(&run.trace, "low", "BAR1"), [Some(0xf000_0000)]);
    assert_eq!(reads(&run, "low").len(), 4);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_bus_that_no_processor_has_addresses_for_is_refused_with_the_sums() -> Result<()> {
    let said = refusal(vec![(at(5, 0)?, wide("vast", &[1 << 51, 1 << 51]))])?;
    let expected = "the devices ask for 4 PiB + 1 MiB above 4 GiB: vast at 00:05.0 BAR0 2 PiB, vast at 00:05.0 BAR2 \
                    2 PiB, lab at 00:04.0 BAR2 1 MiB; with this processor's ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains(" bits of physical address the window there holds "), "{said}");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_bus_whose_32_bit_bars_find_no_room_is_refused_with_the_sums() -> Result<()> {
    let bars = vec![BarSpec::memory32(BarIndex::BAR0, 2 * GIB)];
    let said = refusal(vec![(at(5, 0)?, Plain { name: "low", bars, pin: None })])?;
    let expected = "the devices ask for 2 GiB + 16 KiB below 4 GiB: low at 00:05.0 BAR0 2 GiB, lab at 00:04.0 BAR0 4 KiB, \
                    lab at 00:04.0 BAR4 4 KiB, lab at 00:04.0 BAR5 4 KiB, lab at 00:04.0 ROM 4 KiB; the window there \
                    holds 236 MiB; give them 64-bit BARs, or leave devices out";
    assert_eq!(said, expected);
    Ok(())
}

/// What the first read of the dword at `offset` in configuration space gave.
fn configuration(run: &Run, function: Bdf, offset: u64) -> Option<u64> {
    let mut accesses = run.trace.views().all().iter().filter_map(View::access);
    let found = accesses.find(|access| {
        let place = access.place().filter(|_| access.is_configuration() && !access.write);
        access.bdf() == Some(function) && place.is_some_and(|place| place.offset == offset)
    });
    found.map(|access| access.value)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_guest_finds_eight_functions_of_a_device_with_their_pins_in_turns() -> Result<()> {
    use InterruptPin::{A, B, C, D};
    let names = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];
    let mut functions = Vec::new();
    for ((number, name), pin) in (0..).zip(names).zip([A, B, C, D, D, C, B, A]) {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x1000), BarSpec::io(BarIndex::BAR1, 16)];
        functions.push((at(5, number)?, Plain { name, bars, pin: Some(pin) }));
    }
    let run = every_bar(functions)?;
    let read = |function, offset| Ok::<_, anyhow::Error>(configuration(&run, at(5, function)?, offset));
    // Header Type has its bit in function 0, and Interrupt Line and Pin are in turns from 16 on.
    assert_eq!(read(0, 0x0c)?, Some(0x0080_0000));
    let lines = [0x111, 0x212, 0x313, 0x410, 0x410, 0x313, 0x212, 0x111];
    for (function, expected) in (0..).zip(lines) {
        assert_eq!(read(function, 0x3c)?, Some(expected), "function {function}");
    }
    for (index, name) in (0..).zip(names) {
        let base = 0xfe00_3000 + index * 0x1000;
        assert_eq!(bases(&run.trace, name, "BAR0"), [Some(base)]);
        assert_eq!(bases(&run.trace, name, "BAR1"), [Some(0xc010 + index * 16)]);
    }
    Ok(())
}
