//! A stock Linux kernel with a driver and programs: what each scenario shows is held by a file of
//! `tests/expect/linux`, what takes computing is held here.
//!
//! One run plays them all, in a virtual machine with an emulated processor, since the KVM here may not be
//! able to run Linux; with `BARSCOPE_LINUX=direct` it runs on that. A scenario passes if the accesses that
//! prove it are in the trace, and those that would disprove it aren't: the guest's verdict isn't enough.

use std::path::{self, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use barscope_analysis::Trace;
use barscope_analysis::assert::{Expect, Window, read};
use barscope_analysis::filter::Filter;
use barscope_analysis::view::Place;
use barscope_bench::command::{Ended, Session, debian, libraries, output};
use barscope_bench::expectations::{linux_file, root};
use barscope_bench::falsify::each_clause_can_fail;
use barscope_guest_abi::linux::SCENARIOS;
use barscope_trace::EventKind;
use barscope_trace::definition::Path;

/// What `lab` says in ID.
const ID: u64 = 0x3142_414c;

struct Run {
    ended: Ended,
    trace: Trace,
    console: String,
}

/// Runs in the repository, where expectation files are.
fn run(arguments: &[&str]) -> Result<Run> {
    let session = Session::new()?;
    let direct = std::env::var_os("BARSCOPE_LINUX").is_some_and(|value| value == "direct");
    let mut all = vec!["run", "--guest", "linux"];
    if !direct {
        all.push("--nested");
    }
    all.extend(arguments);
    let console = session.path("barscope.console");
    let mut command = session.barscope(&all)?;
    command.current_dir(root()).arg("--trace").arg(session.path("barscope.trace"));
    command.arg("--console").arg(&console);
    libraries(&mut command)?;
    let ended = output(&mut command)?;
    let trace = session.trace().map_err(|error| anyhow!("{error:#}\n{}", ended.stderr))?;
    Ok(Run { ended, trace, console: std::fs::read_to_string(console)? })
}

/// All scenarios, played once, with all expectations.
fn all() -> Result<&'static Run> {
    static RUN: OnceLock<Result<Run, String>> = OnceLock::new();
    let played = RUN.get_or_init(|| {
        let files: Vec<_> = SCENARIOS.iter().map(|scenario| linux_file(scenario.name)).collect();
        let mut arguments = vec!["--cpus", "2"];
        for file in &files {
            arguments.extend(["--expect", file.as_str()]);
        }
        run(&arguments).map_err(|error| format!("{error:#}"))
    });
    played.as_ref().map_err(|error| anyhow!("{error}"))
}

#[test]
fn every_scenario_has_an_expectation_file() -> Result<()> {
    for scenario in SCENARIOS {
        let file = linux_file(scenario.name);
        let text = std::fs::read_to_string(root().join(&file))?;
        let suite = barscope_analysis::expectation::parse(&file, &text)
            .map_err(|diagnostic| anyhow!(diagnostic.show(&file, &text)))?;
        let own = Window::scenario(scenario.name);
        let is_held = suite.tests.iter().flat_map(|test| &test.clauses).any(|placed| placed.window == own);
        ensure!(is_held, "{file} asks nothing of scenario {}", scenario.name);
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_the_guest_passes_every_scenario_and_loses_nothing() -> Result<()> {
    let run = all()?;
    ensure!(run.ended.code == Some(0), "{}\n{}", run.ended.stdout, run.ended.stderr);
    // How far it is, is for terminals only.
    ensure!(!run.ended.stderr.contains("\x1b["), "{:?}", run.ended.stderr);
    ensure!(run.trace.info().lost == 0, "{} events are lost", run.trace.info().lost);
    for scenario in SCENARIOS {
        let passed = Filter::parse("scenario-end passed").map_err(|error| anyhow!("{error:?}"))?;
        let within = Expect::on(&run.trace).within(Window::scenario(scenario.name));
        within.count(passed, 1..=1).assert_passed();
    }
    let held = format!("0 failed, {} passed, 0 inconclusive", SCENARIOS.len());
    ensure!(run.ended.stdout.contains(&held), "no {held:?} in:\n{}", run.ended.stdout);
    Ok(())
}

/// As `expectation_mutations.rs` asks it of the files for the test kernel.
#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_each_clause_can_fail() -> Result<()> {
    let trace = &all()?.trace;
    let mut wrong = Vec::new();
    for scenario in SCENARIOS {
        match each_clause_can_fail(trace, &linux_file(scenario.name)) {
            Ok(report) => println!("{report}"),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_two_cpus_lose_nothing_and_keep_their_order() -> Result<()> {
    const TIMES: u64 = 200;
    let views = all()?.trace.views();
    for (register, level, first) in [("SCRATCH", 0, 0xd000_0000), ("OPERAND", 3, 0xa000_0000)] {
        let values =
            views.all().iter().filter(|view| view.scenario.as_deref() == Some("two-cpus")).filter_map(
                |view| {
                    let access = view.access()?;
                    let named = access.place().and_then(Place::register_name).as_deref() == Some(register);
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
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_nothing_reaches_the_device_between_two_drivers() -> Result<()> {
    let mut gone = 0;
    let mut without_driver = false;
    for view in all()?.trace.views().all() {
        match (view.kind, view.access()) {
            _ if view.scenario.as_deref() != Some("unbind-in-use") => {}
            (EventKind::Mark { .. }, _) => {
                without_driver = view.text() == Some("gone");
                gone += u32::from(without_driver);
            }
            (_, Some(access)) if without_driver => {
                let elsewhere = access.place().is_none_or(Place::is_configuration);
                ensure!(elsewhere, "record {} reaches the device", view.seq);
            }
            _ => {}
        }
    }
    assert_eq!(gone, 5);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_user_accesses_name_their_process() -> Result<()> {
    let trace = &all()?.trace;
    let accesses = trace.views().all().iter().filter_map(barscope_analysis::view::View::access);
    let mut processes = accesses.filter(|access| access.cpl == 3).filter_map(|access| access.process());
    let first = processes.next();
    ensure!(first.is_some_and(|process| process.pid > 1 && process.name == "ioctl-and-mmap"), "no process");
    Ok(())
}

/// What Linux says of this machine at the level of warnings. The rest is said of any virtual machine: the
/// processor's bugs, and clocks.
#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_nothing_is_said_against_the_machine_and_relaxed_dev_mem_works_beside_a_driver() -> Result<()> {
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

/// What `lspci -vvv -nn` says of the lab function, with the driver bound: its first line, and parts of others.
const LSPCI: [&str; 24] = [
    "00:04.0 Class [ff00]: Device [1234:1ab0] (rev 01)",
    "Subsystem: Device [1234:1ab0]",
    "Control: I/O+ Mem+ BusMaster+",
    "Interrupt: pin A routed to IRQ ",
    "Region 0: Memory at ",
    "(32-bit, non-prefetchable) [size=4K]",
    "Region 1: I/O ports at ",
    "[size=16]",
    "Region 2: Memory at ",
    "(64-bit, prefetchable) [size=1M]",
    "Region 4: Memory at ",
    "Region 5: Memory at ",
    "(32-bit, non-prefetchable) [size=256]",
    "Expansion ROM at ",
    "[disabled] [size=4K]",
    "Power Management version 3",
    "MSI: Enable- Count=1/8 Maskable+ 64bit+",
    "MSI-X: Enable+ Count=8 Masked-",
    "Vector table: BAR=4 offset=00000000",
    "PBA: BAR=4 offset=00000800",
    "Express (v2) Root Complex Integrated Endpoint",
    "FLReset+",
    "Vendor Specific Information: Len=08",
    "Kernel driver in use: lab",
];

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and lspci"]
fn on_linux_lspci_shows_the_device_as_designed_and_its_second_function() -> Result<()> {
    let program = path::absolute(in_debian("usr/bin/lspci")?)?;
    let program = format!("{} -vvv -nn", program.display());
    let devices = ["--device", "lab,bdf=00:04.0", "--device", "ticker,bdf=00:04.1"];
    let run = run(&[&["--quiet", "--program", &program], &devices[..]].concat())?;
    ensure!(run.ended.code == Some(0), "{}\n{}", run.ended.stdout, run.ended.stderr);
    // A paragraph for each function.
    let said = run.console.replace('\r', "");
    let lab = said.split("\n\n").find(|text| text.contains(LSPCI[0]));
    let lab = lab.with_context(|| format!("no lab in:\n{said}"))?;
    // They come in this order.
    let mut rest = lab;
    for part in LSPCI {
        let at = rest.find(part).with_context(|| format!("no {part:?}, or not in its place, in:\n{lab}"))?;
        rest = &rest[at + part.len()..];
    }
    let second = said.split("\n\n").find(|text| text.contains("00:04.1 Class [0880]: Device [1234:1ab2]"));
    let second = second.with_context(|| format!("no second function in:\n{said}"))?;
    ensure!(second.contains("Region 0: Memory at "), "{second}");
    for wrong in ["<unassigned>", "<ignored>", "rev ff", "access denied", "Unknown header", "<chain "] {
        ensure!(!said.contains(wrong), "{wrong:?} in:\n{said}");
    }
    Ok(())
}

/// A file of a package of Debian.
fn in_debian(file: &str) -> Result<PathBuf> {
    let found = debian()?.into_iter().map(|root| root.join(file)).find(|path| path.is_file());
    found.with_context(|| format!("no {file}: cargo xtask setup"))
}
