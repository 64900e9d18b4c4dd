//! What does each scenario show, held against its trace?
//!
//! The guest's own verdict isn't enough: a scenario passes here if the accesses that prove it are in the
//! trace, and those that would disprove it aren't.

use anyhow::Result;
use protocol::scenario::{Needs, SCENARIOS};
use tests::{Bench, play};
use trace::assert::{
    Expect, Window, access, any_access, busy, change, map, mark, msi, page_fault, read, unmap, write,
};
use trace::definition::{MemoryType, Path};
use trace::event::{Counted, Outcome};
use vmm::Stop;

const BAR0: u64 = 0xfe00_0000;
const SCRATCH: u64 = BAR0 + 8;
/// Where the kernel's first `ioremap` and a program's first `mmap` begin.
const IOREMAP: u64 = 0xffff_c900_0000_1000;
const MMAP: u64 = 0x4000_0000_0000;

#[test]
#[ignore = "needs /dev/kvm"]
fn probe_reads_the_id_through_ioremap() -> Result<()> {
    let run = play("probe")?;
    let probe = run.expect("probe");
    probe
        .sequence([
            map(Path::Ioremap).mapped_by("lab::probe").address(IOREMAP),
            read("BAR0.ID").value(0x3142_414c).width(4).cpl(0).via(Path::Ioremap).announced(),
            unmap(Path::Ioremap),
        ])
        .assert_passed();
    let id = || read("BAR0.ID").function("lab::probe").file("lab.rs").gva(IOREMAP).gpa(BAR0);
    // ioremap with Linux's PAT: UC-.
    probe.count(id().memory_type(MemoryType::UncacheableMinus).device("00:04.0"), 1..=1).assert_passed();
    probe.never(access("BAR0").cpl(3)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn same_register_is_one_bus_address_behind_two_virtual_ones() -> Result<()> {
    let run = play("same-register")?;
    let kernel = |pattern: trace::filter::Filter| {
        pattern.via(Path::Ioremap).cpl(0).gva(IOREMAP + 8).gpa(SCRATCH).uncached().announced()
    };
    let user = |pattern: trace::filter::Filter| {
        pattern.via(Path::Mmap).cpl(3).gva(MMAP + 8).gpa(SCRATCH).uncached().announced()
    };
    let same = run.expect("same-register");
    same.sequence([
        kernel(write("BAR0.SCRATCH").value(0xc0ff_ee01)).function("lab::write_scratch"),
        user(read("BAR0.SCRATCH").value(0xc0ff_ee01)).function("user::exchange"),
        user(write("BAR0.SCRATCH").value(0xc0ff_ee02)),
        kernel(read("BAR0.SCRATCH").value(0xc0ff_ee02)).function("lab::read_scratch"),
    ])
    .assert_passed();
    // Neither side uses the other's mapping, though both mappings exist.
    same.never(access("BAR0").cpl(3).via(Path::Ioremap)).assert_passed();
    same.never(access("BAR0").cpl(0).via(Path::Mmap)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_filled_up_front_needs_no_fault() -> Result<()> {
    let run = play("mmap-up-front")?;
    let up_front = run.expect("mmap-up-front");
    up_front
        .sequence([
            map(Path::Mmap).mapped_by("user 1"),
            write("BAR0.SCRATCH").cpl(3).via(Path::Mmap),
            read("BAR0.SCRATCH").cpl(3).via(Path::Mmap),
        ])
        .assert_passed();
    up_front.never(page_fault(Counted::FaultResolved)).assert_passed();
    up_front.never(page_fault(Counted::FaultFatal)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_filled_by_fault_costs_one_fault_at_its_first_touch() -> Result<()> {
    let run = play("mmap-by-fault")?;
    let by_fault = run.expect("mmap-by-fault");
    by_fault
        .sequence([
            map(Path::Mmap),
            mark("first touch"),
            page_fault(Counted::FaultResolved).address(MMAP + 8),
            read("BAR0.SCRATCH").cpl(3).via(Path::Mmap).function("user::read_ten_times"),
        ])
        .assert_passed();
    by_fault.count(page_fault(Counted::FaultResolved), 1..=1).assert_passed();
    by_fault.count(read("BAR0.SCRATCH").via(Path::Mmap), 10..=10).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_thousand_user_accesses_enter_no_kernel() -> Result<()> {
    let run = play("no-kernel-entry")?;
    let scenario = run.expect("no-kernel-entry");
    scenario.count(write("BAR0.SCRATCH").cpl(3).via(Path::Mmap), 500..=500).assert_passed();
    scenario.count(read("BAR0.SCRATCH").cpl(3).via(Path::Mmap), 500..=500).assert_passed();
    scenario.kernel_entries(0..=0).assert_passed();
    let between = Window::marks("a thousand accesses begin", "a thousand accesses end");
    Expect::on(&run.trace).within(between).never(any_access().cpl(0)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn mmap_works_without_ioremap() -> Result<()> {
    let run = play("mmap-without-ioremap")?;
    let scenario = run.expect("mmap-without-ioremap");
    scenario.never(map(Path::Ioremap)).assert_passed();
    scenario.never(access("BAR0").via(Path::Ioremap)).assert_passed();
    scenario.count(access("BAR0.SCRATCH").cpl(3).via(Path::Mmap), 2..).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn ioremap_works_without_mmap() -> Result<()> {
    let run = play("ioremap-without-mmap")?;
    let scenario = run.expect("ioremap-without-mmap");
    scenario.never(map(Path::Mmap)).assert_passed();
    scenario.never(access("BAR0").via(Path::Mmap)).assert_passed();
    scenario.count(access("BAR0.SCRATCH").cpl(0).via(Path::Ioremap), 2..).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn iounmap_leaves_the_user_mapping_alone() -> Result<()> {
    let run = play("iounmap-keeps-mmap")?;
    run.expect("iounmap-keeps-mmap")
        .sequence([
            read("BAR0.SCRATCH").cpl(3).via(Path::Mmap),
            unmap(Path::Ioremap),
            read("BAR0.SCRATCH").cpl(3).via(Path::Mmap).value(0xc0ff_ee08),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn munmap_leaves_the_kernel_mapping_alone() -> Result<()> {
    let run = play("munmap-keeps-ioremap")?;
    run.expect("munmap-keeps-ioremap")
        .sequence([
            write("BAR0.SCRATCH").cpl(3).via(Path::Mmap).value(0xc0ff_ee09),
            unmap(Path::Mmap),
            read("BAR0.SCRATCH").cpl(0).via(Path::Ioremap).value(0xc0ff_ee09),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_touch_after_munmap_faults_and_reaches_no_device() -> Result<()> {
    let run = play("touch-after-munmap")?;
    let scenario = run.expect("touch-after-munmap");
    scenario
        .sequence([
            unmap(Path::Mmap),
            mark("touch after munmap"),
            // A read from ring 3 of a page that isn't present.
            page_fault(Counted::FaultFatal).address(MMAP + 8).error_code(4),
        ])
        .assert_passed();
    scenario.count(access("BAR0.SCRATCH").cpl(3), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn the_driver_refuses_to_map_past_the_end_of_the_bar() -> Result<()> {
    let run = play("map-past-end")?;
    let scenario = run.expect("map-past-end");
    scenario.never(map(Path::Mmap)).assert_passed();
    scenario.never(access("BAR0")).assert_passed();
    scenario.count(mark("refused: EINVAL"), 6..=6).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_program_cannot_use_the_kernels_mapping() -> Result<()> {
    let run = play("supervisor-page-from-user")?;
    let scenario = run.expect("supervisor-page-from-user");
    // A read from ring 3 of a page that is present, but the kernel's.
    scenario
        .sequence([map(Path::Ioremap), page_fault(Counted::FaultFatal).address(IOREMAP + 8).error_code(5)])
        .assert_passed();
    scenario.never(access("BAR0").cpl(3)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn with_memory_space_off_a_read_gives_all_ones() -> Result<()> {
    let run = play("decode-off")?;
    run.expect("decode-off")
        .sequence([
            write("BAR0.SCRATCH").value(0xc0ff_ee0d),
            any_access().gpa(SCRATCH).value(0xffff_ffff).outcome(Outcome::Unclaimed),
            read("BAR0.SCRATCH").value(0xc0ff_ee0d).outcome(Outcome::Ok),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_interrupt_goes_from_device_to_handler_and_is_acknowledged() -> Result<()> {
    let run = play("interrupt")?;
    let scenario = run.expect("interrupt");
    scenario
        .sequence([
            write("BAR0.INT_MASK").field("DONE", 1),
            write("BAR0.OPCODE").value(1).function("lab::start_factorial"),
            busy(),
            change("BAR0.RESULT").value(120),
            msi(0).delivered(true).vector(0x31),
            read("BAR0.INT_STATUS").field("DONE", 1).function("lab::isr").in_handler(),
            write("BAR0.INT_STATUS").field("DONE", 1).in_handler(),
            change("BAR0.INT_STATUS").was(1).value(0),
            read("BAR0.RESULT").value(120),
        ])
        .assert_passed();
    scenario.count(msi(0), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn every_access_of_the_test_kernel_is_resolved_to_instruction_function_and_mapping() -> Result<()> {
    let run = Bench::test_kernel().run()?;
    let mut accesses = 0;
    for view in run.trace.views().all() {
        let Some(access) = view.access() else { continue };
        accesses += 1;
        let code = access.code.as_ref();
        assert!(code.is_some_and(|code| !code.ambiguous), "record {}: no instruction", view.seq);
        assert!(access.function().is_some(), "record {}: no function", view.seq);
        if access.gpa().is_some() {
            assert!(access.announced(), "record {}: no announced mapping", view.seq);
        }
    }
    assert!(accesses > 1000, "{accesses} accesses");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn all_scenarios_pass_in_one_run() -> Result<()> {
    let run = Bench::test_kernel().run()?;
    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.needs != Needs::SecondCpu) {
        run.expect(scenario.name).count(any_access(), ..).assert_passed();
    }
    Ok(())
}
