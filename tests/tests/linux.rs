//! A stock Linux kernel with a driver and programs: what each scenario shows, held against the trace.
//!
//! One run plays them all, in a virtual machine with an emulated processor, since the KVM here may not be
//! able to run Linux; with `BARSCOPE_LINUX=direct` it runs on that. A scenario passes here if the accesses
//! that prove it are in the trace, and those that would disprove it aren't: the guest's verdict isn't enough.

use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use protocol::linux::SCENARIOS;
use tests::command::{Ended, Session};
use trace::Trace;
use trace::assert::{
    Expect, Window, access, any_access, dma, interrupt_lost, intx, map, mark, msi, not_emulated, page_fault,
    read, unmap, write,
};
use trace::definition::{MemoryType, Path};
use trace::event::{Counted, DmaOutcome, Outcome};
use trace::view::What;

/// Where the driver's mapping and the program's lead.
const ID: u64 = 0x3142_414c;
const SCRATCH: &str = "BAR0.SCRATCH";

struct Run {
    ended: Ended,
    trace: Trace,
    console: String,
}

fn run(arguments: &[&str]) -> Result<Run> {
    let session = Session::new()?;
    let direct = std::env::var_os("BARSCOPE_LINUX").is_some_and(|value| value == "direct");
    let mut all = vec!["run", "--guest", "linux"];
    if !direct {
        all.push("--nested");
    }
    all.extend(arguments);
    let ended = session.run(&all)?;
    let trace = session.trace().map_err(|error| anyhow!("{error:#}\n{}", ended.stderr))?;
    let console = std::fs::read_to_string(session.path("barscope.console"))?;
    Ok(Run { ended, trace, console })
}

/// All scenarios, played once.
fn all() -> Result<&'static Run> {
    static RUN: OnceLock<Result<Run, String>> = OnceLock::new();
    let played = RUN.get_or_init(|| run(&["--cpus", "2"]).map_err(|error| format!("{error:#}")));
    played.as_ref().map_err(|error| anyhow!("{error}"))
}

fn scenario(name: &str) -> Result<Expect<'static>> {
    Ok(Expect::on(&all()?.trace).within(Window::scenario(name)))
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_the_guest_passes_every_scenario_and_loses_nothing() -> Result<()> {
    let run = all()?;
    ensure!(run.ended.code == Some(0), "{}\n{}", run.ended.stdout, run.ended.stderr);
    ensure!(run.trace.lost() == 0, "{} events are lost", run.trace.lost());
    for scenario in SCENARIOS {
        let passed = format!("PASS  {}", scenario.name);
        ensure!(run.ended.stdout.contains(&passed), "no {passed:?} in:\n{}", run.ended.stdout);
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_the_driver_reads_the_id_through_ioremap_uncached() -> Result<()> {
    let probe = scenario("probe")?;
    let id = || read("BAR0.ID").value(ID).width(4).cpl(0).via(Path::Ioremap);
    let whose = id().memory_type(MemoryType::UncacheableMinus).function("lab_probe");
    probe.count(whose, 1..=1).assert_passed();
    probe.never(access("BAR0").cpl(3)).assert_passed();
    // Nobody told: it is inferred from where the page is.
    probe.never(id().announced()).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_ioctl_and_mmap_reach_one_register() -> Result<()> {
    let both = scenario("ioctl-and-mmap")?;
    let driver =
        |filter: trace::filter::Filter| filter.cpl(0).via(Path::Ioremap).uncached().function("lab_ioctl");
    let program = |filter: trace::filter::Filter| filter.cpl(3).via(Path::Mmap).uncached().announced();
    both.sequence([
        driver(write(SCRATCH).value(0xc0ff_ee01)),
        program(read(SCRATCH).value(0xc0ff_ee01)).function("paths::ioctl_and_mmap"),
        program(write(SCRATCH).value(0xc0ff_ee02)),
        driver(read(SCRATCH).value(0xc0ff_ee02)),
    ])
    .assert_passed();
    both.sequence([
        write("BAR0.OPCODE").cpl(0),
        msi(0).delivered(true),
        read("BAR0.INT_STATUS").function("lab_irq").file("lab_irq.c"),
        write("BAR0.INT_STATUS").field("DONE", 1).function("lab_irq"),
        read("BAR0.RESULT").cpl(0).value(120),
        read("BAR0.RESULT").cpl(3).value(120),
    ])
    .assert_passed();
    both.never(access("BAR0").cpl(3).via(Path::Ioremap)).assert_passed();
    let loads = Expect::on(&all()?.trace).within(Window::marks("loads: begin", "loads: end"));
    loads.count(read(SCRATCH).cpl(3), 100..=100).assert_passed();
    loads.never(any_access().cpl(0)).assert_passed();
    both.kernel_entries(0..=0).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_call_enters_the_kernel_and_a_load_does_not() -> Result<()> {
    let window = |name: &str| -> Result<Expect<'static>> {
        let (from, to) = (format!("{name}: begin"), format!("{name}: end"));
        Ok(Expect::on(&all()?.trace).within(Window::marks(&from, &to)))
    };
    let calls = window("calls")?;
    calls.count(write(SCRATCH).cpl(0).function("lab_file_write"), 50..=50).assert_passed();
    calls.count(read(SCRATCH).cpl(0).function("lab_file_read"), 50..=50).assert_passed();
    calls.never(access("BAR0").cpl(3)).assert_passed();
    let loads = window("loads and stores")?;
    loads.count(access(SCRATCH).cpl(3), 100..=100).assert_passed();
    loads.never(access("BAR0").cpl(0)).assert_passed();
    // 100 by the calls, none by the rest.
    scenario("calls-or-loads")?.kernel_entries(100..=100).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_mapping_filled_by_faults_costs_one() -> Result<()> {
    let by_fault = scenario("mmap-by-fault")?;
    by_fault.count(page_fault(Counted::FaultResolved), 1..=1).assert_passed();
    by_fault.kernel_entries(1..=1).assert_passed();
    by_fault.count(read("BAR0.ID").cpl(3).uncached(), 3..=3).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_each_mapping_lives_without_the_other() -> Result<()> {
    let without = scenario("no-ioremap")?;
    without.count(read("BAR0.ID").cpl(3).value(ID), 1..=1).assert_passed();
    without.never(access("BAR0").via(Path::Ioremap)).assert_passed();
    let program = |filter: trace::filter::Filter| filter.cpl(3).via(Path::Mmap);
    scenario("iounmap")?
        .sequence([
            read(SCRATCH).cpl(0).value(1),
            mark("iounmap"),
            program(write(SCRATCH).value(2)),
            program(read(SCRATCH).value(2)),
            read(SCRATCH).cpl(0).value(2),
        ])
        .assert_passed();
    scenario("munmap")?
        .sequence([
            program(write(SCRATCH).value(3)),
            unmap(Path::Mmap),
            mark("munmap"),
            read(SCRATCH).cpl(0).via(Path::Ioremap).value(3),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_small_bar_comes_with_its_neighbours() -> Result<()> {
    let small = scenario("small-bar")?;
    small.count(map(Path::Mmap), 1..=1).assert_passed();
    small.count(write("BAR5.DOORBELL0").cpl(3), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_write_combining_is_in_the_page_tables_and_every_store_arrives() -> Result<()> {
    let combining = scenario("write-combining")?;
    let word = |filter: trace::filter::Filter| filter.cpl(3).width(4).memory_type(MemoryType::WriteCombining);
    combining.count(word(write("BAR2")), 16..=16).assert_passed();
    combining.count(word(read("BAR2")), 16..=16).assert_passed();
    combining.never(access("BAR2").uncached()).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_sysfs_and_dev_mem_give_a_bar_away_once_its_driver_is_gone() -> Result<()> {
    for (name, path) in [("sysfs", Path::Sysfs), ("dev-mem", Path::DevMem)] {
        let window = scenario(name)?;
        window
            .sequence([mark("no driver"), read("BAR0.ID").cpl(3).via(path).value(ID).uncached()])
            .assert_passed();
        window.never(access("BAR0").cpl(3).via(Path::Mmap)).assert_passed();
    }
    let memory = scenario("sysfs")?;
    memory
        .count(access("BAR2").cpl(3).via(Path::Sysfs).memory_type(MemoryType::WriteCombining), 2..=2)
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_mapped_file_reaches_no_device() -> Result<()> {
    scenario("file-mapping")?.never(any_access()).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_the_handler_acknowledges_whatever_way_the_interrupt_comes() -> Result<()> {
    let handled = || {
        [
            read("BAR0.INT_STATUS").cpl(0).via(Path::Ioremap).function("lab_irq"),
            write("BAR0.INT_STATUS").cpl(0).field("DONE", 1).function("lab_irq"),
            read("BAR0.RESULT").cpl(3).value(120),
        ]
    };
    let start = || write("BAR0.OPCODE").cpl(3).via(Path::Mmap);
    for name in ["msi-x", "msi"] {
        let [status, acknowledge, result] = handled();
        let message = msi(0).delivered(true);
        scenario(name)?.sequence([start(), message, status, acknowledge, result]).assert_passed();
        scenario(name)?.never(intx(true)).assert_passed();
    }
    let [status, acknowledge, result] = handled();
    let pin = scenario("intx")?;
    pin.sequence([start(), intx(true), status, acknowledge, intx(false), result]).assert_passed();
    pin.never(msi(0)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_dma_moves_both_ways_and_not_without_bus_mastering() -> Result<()> {
    let transfers = scenario("dma")?;
    let done = || dma().dma_outcome(DmaOutcome::Done);
    transfers
        .sequence([
            write("BAR0.DMA_CONTROL").field("START", 1).field("TO_MEMORY", 0),
            done(),
            msi(2).delivered(true),
            write("BAR0.DMA_CONTROL").field("TO_MEMORY", 1),
            done(),
            mark("bus mastering off"),
            write("BAR0.DMA_CONTROL").field("START", 1),
            dma().dma_outcome(DmaOutcome::BusMasterOff),
            // The message that would say so is bus mastering, too.
            interrupt_lost(1),
        ])
        .assert_passed();
    transfers.count(done(), 2..=2).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_mapping_goes_with_its_driver_only_if_the_driver_takes_it_back() -> Result<()> {
    let id = || read("BAR0.ID").cpl(3).via(Path::Mmap);
    scenario("taken-back")?.count(id(), 1..=1).assert_passed();
    let outlived = scenario("outlives-driver")?;
    outlived.sequence([id().value(ID), mark("unbound"), id().value(ID).outcome(Outcome::Ok)]).assert_passed();
    scenario("rescan")?
        .sequence([
            mark("rescanned"),
            read("BAR0.ID").cpl(0).function("lab_ioctl").value(ID),
            read("BAR0.ID").cpl(3).value(ID),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_two_cpus_lose_nothing_and_keep_their_order() -> Result<()> {
    const TIMES: u64 = 200;
    let views = all()?.trace.views();
    for (register, level, first) in [("SCRATCH", 0, 0xd000_0000), ("OPERAND", 3, 0xa000_0000)] {
        let values =
            views.all().iter().filter(|view| view.scenario.as_deref() == Some("two-cpus")).filter_map(
                |view| {
                    let What::Access(access) = &view.what else { return None };
                    let named = access.place.as_ref().and_then(trace::view::Place::register_name).as_deref()
                        == Some(register);
                    (named && access.write && access.cpl == level).then_some((view.vcpu, access.value))
                },
            );
        let values: Vec<_> = values.collect();
        assert_eq!(values.len() as u64, TIMES, "{register}");
        let cpu = values[0].0;
        for (turn, (vcpu, value)) in (0..).zip(&values) {
            assert_eq!((*vcpu, *value), (cpu, first | turn), "{register}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_a_vector_load_from_device_memory_is_shown_as_what_it_is() -> Result<()> {
    // What memcpy picks depends on the processor: wide loads are shown where KVM can't emulate them, others
    // arrive in parts.
    let memcpy = scenario("memcpy")?;
    let shown = memcpy.count(not_emulated(), 1..).passed();
    let arrived = memcpy.count(read("BAR2").cpl(3), 16..).passed();
    ensure!(shown || arrived, "neither an instruction that can't be emulated nor its loads");
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_user_accesses_name_their_process() -> Result<()> {
    let trace = &all()?.trace;
    let mut processes = trace.views().all().iter().filter_map(|view| view.access()?.process.clone());
    let first = processes.next();
    ensure!(first.is_some_and(|process| process.pid > 1 && process.name == "ioctl-and-mmap"), "no process");
    Ok(())
}

/// What Linux says of this machine at the level of warnings. The rest is said of any virtual machine: the
/// processor's bugs, and clocks.
#[test]
#[ignore = "needs QEMU and Debian's kernel: cargo xtask setup"]
fn on_linux_linux_does_not_complain_of_the_machine_and_relaxed_dev_mem_works_beside_a_driver() -> Result<()> {
    let run = run(&["--scenario", "dev-mem", "--append", "loglevel=5 iomem=relaxed"])?;
    ensure!(run.ended.code == Some(0), "{}\n{}", run.ended.stdout, run.ended.stderr);
    let relaxed = Expect::on(&run.trace).within(Window::scenario("dev-mem"));
    relaxed.count(read("BAR0.ID").cpl(3).via(Path::DevMem).value(ID), 1..=1).assert_passed();
    let subjects = [
        "pci", "acpi", "pat", "mtrr", "irq", "ioapic", "apic", "bug", "ecam", "mmconfig", "resource", "bar ",
    ];
    let complaints: Vec<_> = run
        .console
        .lines()
        .filter(|line| {
            let line = line.to_lowercase();
            subjects.iter().any(|subject| line.contains(subject))
                && !KNOWN.iter().any(|known| line.contains(known))
        })
        .collect();
    ensure!(complaints.is_empty(), "{complaints:#?}");
    Ok(())
}

/// Warnings that are not about the machine: the processor's known bugs, which it shares with the host's.
const KNOWN: [&str; 2] = ["zen1", "speculative return stack overflow"];
