//! Does the machine answer a guest as a PC does: ports, CONFIG_ADDRESS, messages to memory, firmware?

use anyhow::Result;
use barscope_analysis::assert::{Expect, Verdict, access, read, write};
use barscope_bench::routes::bases;
use barscope_bench::{Bench, Run, raw_guest};
use barscope_trace::EventKind;
use barscope_trace::event::{AccessEvent, DmaOutcome, Outcome, RouteChange, Target};
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, ax, dword_ptr, dx, eax, edi, edx};

const CONFIG_ADDRESS: u32 = 0xcf8;
const CONFIG_DATA: u32 = 0xcfc;
/// CONFIG_ADDRESS for 00:04.0.
const LAB: u32 = 0x8000_2000;
const COMMAND: u32 = 0x04;
const BAR0: u32 = 0x10;
const BAR1: u32 = 0x14;

fn out(a: &mut CodeAssembler, port: u32, value: u32) -> Result<(), IcedError> {
    a.mov(edx, port)?;
    a.mov(eax, value)?;
    a.out(dx, eax)
}

/// Reads a port to EAX.
fn input(a: &mut CodeAssembler, port: u32) -> Result<(), IcedError> {
    a.mov(edx, port)?;
    a.in_(eax, dx)
}

/// Writes a register of the configuration space of 00:04.0.
fn configure(a: &mut CodeAssembler, register: u32, value: u32) -> Result<(), IcedError> {
    out(a, CONFIG_ADDRESS, LAB | register)?;
    out(a, CONFIG_DATA, value)
}

/// Boots a guest on a machine with `lab` that does this and ends.
fn run(firmware: bool, code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Run> {
    let guest = raw_guest::assemble(|a| {
        code(a)?;
        a.ud2()
    })?;
    let run = Bench::kernel(guest).device("lab", &[])?.firmware(firmware).run()?;
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    assert_eq!(run.trace.info().lost, 0);
    Ok(run)
}

fn accesses(run: &Run) -> impl Iterator<Item = AccessEvent> + '_ {
    run.trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Access(access) => Some(access),
        _ => None,
    })
}

/// Accesses to ports that aren't those of configuration space: port, value, outcome.
fn port_accesses(run: &Run) -> Vec<(u16, u64, Outcome)> {
    let all = accesses(run).filter_map(|access| match access.target {
        Target::Port { port, .. } if !(0xcf8..=0xcff).contains(&port) => {
            Some((port, access.value, access.outcome))
        }
        _ => None,
    });
    all.collect()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_io_bar_is_reached_at_any_port_where_nothing_fixed_is() -> Result<()> {
    for base in [0x1000, 0x3e0, 0x5f0, 0xb50 - 0x10, 0xcf0 - 0x10, 0xd00, 0xc100] {
        let run = run(false, |a| {
            configure(a, BAR1, base)?;
            configure(a, COMMAND, 1)?;
            out(a, base, 8)?;
            out(a, base + 4, 0xc0ff_ee01)?;
            input(a, base + 4)?;
            // The last byte, and one past the end.
            input(a, base + 0xd)
        })?;

        Expect::on(&run.trace)
            .sequence([
                write("BAR1.INDEX").value(8),
                write("BAR1.DATA").value(0xc0ff_ee01),
                read("BAR1.DATA").value(0xc0ff_ee01),
                read("BAR1").outcome(Outcome::Straddles),
            ])
            .assert_passed();
        let verdict = Expect::on(&run.trace).never(access("BAR1"));
        assert!(matches!(verdict, Verdict::Fail(_)), "{base:#x}");
    }
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_claim_over_fixed_ports_is_refused_and_tried_again_elsewhere() -> Result<()> {
    // Interrupt controllers, serial port, sleep control, guest ABI, configuration space.
    let fixed = [0x20, 0xa0, 0x3f0, 0x4d0, 0x600, 0xb50, 0xcf0];
    let run = run(false, |a| {
        configure(a, BAR1, 0x1000)?;
        configure(a, COMMAND, 1)?;
        for base in fixed {
            configure(a, BAR1, base)?;
        }
        out(a, 0xcf0, 0x1)?;
        configure(a, BAR1, 0x2000)
    })?;

    let refused = vec![None; fixed.len()];
    assert_eq!(bases(&run.trace, "lab", "BAR1"), [&[Some(0x1000)][..], &refused, &[Some(0x2000)]].concat());
    // What it claims in vain reaches nothing, and that is on record.
    assert_eq!(port_accesses(&run), [(0xcf0, 1, Outcome::Unclaimed)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn accesses_to_ports_where_nothing_is_are_recorded_in_the_window_for_bars_only() -> Result<()> {
    let run = run(false, |a| {
        for port in [0x70, 0x1000, 0xbffc] {
            input(a, port)?;
        }
        input(a, 0xc000)?;
        // Not decoded, so that it is no BAR's.
        configure(a, BAR1, 0x1000)?;
        input(a, 0x1000)
    })?;

    assert_eq!(port_accesses(&run), [(0xc000, 0xffff_ffff, Outcome::Unclaimed)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn config_address_keeps_its_bits_and_adds_the_low_ones_to_the_offset() -> Result<()> {
    let run = run(false, |a| {
        out(a, CONFIG_ADDRESS, 0xff00_2002)?;
        input(a, CONFIG_ADDRESS)?;
        // Device ID, though the port is that of the vendor.
        a.mov(edx, CONFIG_DATA)?;
        a.in_(ax, dx)?;
        // A byte there passes the register by.
        a.mov(edx, CONFIG_ADDRESS + 3)?;
        a.mov(al, 0)?;
        a.out(dx, al)?;
        input(a, CONFIG_ADDRESS)?;
        // Four bytes from 0xfe on don't reach extended configuration space.
        out(a, CONFIG_ADDRESS, LAB | 0xfe)?;
        input(a, CONFIG_DATA)
    })?;

    let answers: Vec<_> =
        accesses(&run).map(|access| (access.target, access.value, access.outcome)).collect();
    let address = |offset| Target::Port { port: 0xcf8 + offset, routing_id: 0, offset };
    let data = |offset| Target::Port { port: 0xcfc, routing_id: 0x20, offset };
    assert_eq!(
        answers,
        [
            (address(0), 0xff00_2002, Outcome::Ok),
            (address(0), 0xff00_2002, Outcome::Ok),
            (data(2), 0x1ab0, Outcome::Ok),
            (address(3), 0, Outcome::Unclaimed),
            (address(0), 0xff00_2002, Outcome::Ok),
            (address(0), 0x8000_20fe, Outcome::Ok),
            (data(0xfe), 0xffff_ffff, Outcome::Straddles),
        ]
    );
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_message_to_memory_is_in_memory_and_in_the_trace_as_dma() -> Result<()> {
    const MESSAGE: u32 = 0x20_0000;
    const REGISTERS: u32 = 0xfe00_0000;
    // Where MSI is, behind power management (8 bytes): control, address, data.
    const MSI: u32 = 0x48;
    let run = run(false, |a| {
        configure(a, BAR0, REGISTERS)?;
        configure(a, COMMAND, 6)?;
        configure(a, MSI + 4, MESSAGE)?;
        configure(a, MSI + 8, 0)?;
        configure(a, MSI + 12, 0xbeef)?;
        configure(a, MSI, 0x0001_0000)?;
        a.mov(edi, REGISTERS)?;
        a.mov(dword_ptr(edi + 0x18), 1)?; // INT_MASK
        a.mov(dword_ptr(edi + 0x6c), 1)?; // TRIGGER
        a.mov(edi, MESSAGE)?;
        a.mov(eax, dword_ptr(edi))?;
        a.mov(edi, REGISTERS)?;
        a.mov(dword_ptr(edi + 0x08), eax) // SCRATCH
    })?;

    Expect::on(&run.trace)
        .sequence([write("BAR0.TRIGGER"), write("BAR0.SCRATCH").value(0xbeef)])
        .assert_passed();
    let kinds = run.trace.events().iter().map(|event| event.kind);
    let sent: Vec<_> = kinds
        .filter_map(|kind| match kind {
            EventKind::Dma { to_memory, address, length, outcome, .. } => {
                Some((to_memory, address, length, outcome))
            }
            EventKind::Msi { .. } => Some((false, 0, 0, DmaOutcome::OutOfBounds)),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [(true, 0x20_0000, 4, DmaOutcome::Done)]);
    Ok(())
}

/// Reads Command and BAR0, then ID where BAR0 says that it is.
fn look(a: &mut CodeAssembler) -> Result<(), IcedError> {
    out(a, CONFIG_ADDRESS, LAB | COMMAND)?;
    a.mov(edx, CONFIG_DATA)?;
    a.in_(ax, dx)?;
    out(a, CONFIG_ADDRESS, LAB | BAR0)?;
    input(a, CONFIG_DATA)?;
    a.mov(edi, eax)?;
    a.mov(eax, dword_ptr(edi))
}

#[test]
#[ignore = "needs /dev/kvm"]
fn with_firmware_a_bar_answers_before_any_driver_came() -> Result<()> {
    let run = run(true, look)?;

    let seen: Vec<_> = accesses(&run).map(|access| (access.size, access.value)).collect();
    assert_eq!(seen, [(4, 0x8000_2004), (2, 0x0103), (4, 0x8000_2010), (4, 0xf000_0000), (4, 0x3142_414c)]);
    // The ROM has an address, and stays disabled.
    let changed: Vec<_> = run
        .trace
        .views()
        .all()
        .iter()
        .filter_map(|view| match (view.kind, view.place()) {
            (EventKind::Change { new, cause: 0, .. }, Some(place)) if place.device() == "lab" => {
                Some((place.offset, new))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        changed,
        [
            (0x10, 0xf000_0000),
            (0x14, 0xc001),
            (0x18, 0xf010_000c),
            (0x20, 0xf000_1000),
            (0x24, 0xf000_2000),
            (0x30, 0xf000_3000),
            (0x04, 0x0103),
        ]
    );
    // Command decodes them all at once, before the guest's first access.
    let routes: Vec<_> = run
        .trace
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Route { change, cause, .. } => Some((change, cause)),
            _ => None,
        })
        .collect();
    assert_eq!(routes, [(RouteChange::Added, 0); 5]);
    for (region, base) in
        [("BAR0", 0xf000_0000), ("BAR1", 0xc000), ("BAR2", 0xf010_0000), ("BAR4", 0xf000_1000)]
    {
        assert_eq!(bases(&run.trace, "lab", region), [Some(base)], "{region}");
    }
    assert_eq!(bases(&run.trace, "lab", "ROM"), []);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn without_firmware_a_function_is_as_after_reset() -> Result<()> {
    let run = run(false, look)?;

    let seen: Vec<_> = accesses(&run).map(|access| (access.size, access.value)).collect();
    assert_eq!(seen, [(4, 0x8000_2004), (2, 0), (4, 0x8000_2010), (4, 0)]);
    assert_eq!(bases(&run.trace, "lab", "BAR0"), []);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn equal_runs_with_firmware_are_equal() -> Result<()> {
    let records = || -> Result<Vec<_>> {
        let run = run(true, look)?;
        let kinds = run.trace.events().iter().map(|event| match event.kind {
            EventKind::Access(access) => EventKind::Access(AccessEvent { service_ns: 0, ..access }),
            other => other,
        });
        Ok(kinds.zip(run.trace.events().iter().map(|event| event.device_ns)).collect())
    };

    assert_eq!(records()?, records()?);
    Ok(())
}
