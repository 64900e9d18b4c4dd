//! Are entries into the kernel counted for a program that knows nothing of it, and each way to a BAR told?
//!
//! One guest with page-table isolation answers both: a driver and programs as strangers write them (`tests/strangers`).

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::view::View;
use barscope_bench::command::{Session, debian};
use barscope_bench::compile;
use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{Counted, EventKind};
use barscope_trace::{Capability, Knowledge};
use barscope_vmm::debian::kernel;

const DRIVER: &str = include_str!("../strangers/mybar.c");
const WAYS: &str = include_str!("../strangers/ways.c");
const POLL: &str = include_str!("../strangers/poll.c");
const EXPECT: &str = "test \"polling stays in the program\"
  in scenario poll: kernel entries exactly 0 between read BAR0.ID by process poll
  in scenario poll: seq
    fault-resolved by process poll
    read BAR0.ID by process poll
  never kernel-entries by process poll in syscall ioctl
";

/// What passes of the program that makes no system call meanwhile, and fails of the one that does.
const NONE_BETWEEN: &str = "kernel entries exactly 0 between read BAR0.ID by process poll";

/// Runs the programs, each entry recorded.
fn run(session: &Session) -> Result<()> {
    compile::modules(session, &[("mybar", DRIVER)])?;
    for (name, source) in [("ways", WAYS), ("poll", POLL)] {
        let source = session.file(&format!("{name}.c"), source.as_bytes())?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-g", "-o"]).arg(session.path(name)).arg(source);
        ensure!(gcc.status()?.success(), "{name}.c doesn't compile");
    }
    let version = kernel().context("no kernel: cargo xtask setup")?.version;
    let uio = format!("lib/modules/{version}/kernel/drivers/uio/uio_pci_generic.ko");
    let uio = debian()?.into_iter().map(|root| root.join(&uio)).find(|uio| uio.is_file());
    let uio = uio.context("no uio_pci_generic: cargo xtask setup")?;
    let ended = session.run(&[
        "run",
        "--guest",
        "linux",
        "--nested",
        "--quiet",
        "--append",
        "pti=on",
        "--device",
        "lab",
        "--device",
        "edu",
        "--module",
        "mybar.ko",
        "--module",
        &uio.to_string_lossy(),
        "--count-entries",
        "--program",
        "ways",
        "--program",
        "poll",
        "--program",
        "poll getpid",
    ])?;
    ensure!(ended.code == Some(0), "{}\n{}", ended.stdout, ended.stderr);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_entries_of_strangers_programs_are_counted_and_each_way_to_a_bar_is_told() -> Result<()> {
    let session = Session::new()?;
    run(&session)?;
    let console = std::fs::read_to_string(session.path("barscope.console"))?;
    let trace = session.trace()?;
    for capability in [Capability::KernelEntries, Capability::PageFaults] {
        assert_eq!(trace.info().capabilities.of(capability), Knowledge::Announced, "{capability:?}");
    }
    ways(&trace).context(console)?;
    faults(&trace)?;
    verdicts(&session)
}

/// How an access came to the device: path, memory type, who mapped it, by which call, how much.
type Way = (Path, Option<MemoryType>, String, String, u64);

fn way(view: &View) -> Option<Way> {
    let access = view.access().filter(|access| !access.is_configuration() && access.gpa().is_some())?;
    let mapping = access.mapping();
    let told = |get: fn(&barscope_trace::definition::Mapping) -> &String| {
        mapping.map(|mapping| get(mapping).trim_end_matches(|end: char| end.is_ascii_digit()).to_owned())
    };
    Some((
        access.path(),
        access.pat(),
        told(|mapping| &mapping.who).unwrap_or_default(),
        mapping.map(|mapping| mapping.call.clone()).unwrap_or_default(),
        mapping.map_or(0, |mapping| mapping.length),
    ))
}

/// Nobody announces a mapping: what the page walk doesn't say, the process's list of mappings does. Of the kernel's own,
/// nothing says more.
fn ways(trace: &Trace) -> Result<()> {
    let views = trace.views();
    let of = |name: &str| {
        let own = views.all().iter().filter(|view| match view.process() {
            Some(process) => process.name == name,
            None => false,
        });
        own.filter_map(way).collect::<Vec<_>>()
    };
    let program =
        |path, pat, call: &str, length| (path, Some(pat), "ways ".to_owned(), call.to_owned(), length);
    let (uncached, combining) = (MemoryType::UncacheableMinus, MemoryType::WriteCombining);
    let lab = "mmap of /sys/devices/pci0000:00/0000:00:04.0";
    assert_eq!(
        of("ways").into_iter().filter(|(path, ..)| *path != Path::Ioremap).collect::<Vec<_>>(),
        [
            program(Path::Sysfs, uncached, &format!("{lab}/resource0"), 4096),
            program(Path::SysfsWc, combining, &format!("{lab}/resource2_wc"), 8192),
            program(Path::DevMem, uncached, "mmap of /dev/mem", 4096),
            program(Path::Mmap, uncached, "mmap of /dev/mybar", 4096),
            program(Path::Uio, uncached, "mmap of /dev/uio0", 16384),
        ]
    );
    let mut touched =
        views.all().iter().filter(|view| view.calls().any(|call| call.function == Some("mybar_touch")));
    let kernel = |path, pat| Some((path, Some(pat), String::new(), String::new(), 0));
    assert_eq!(touched.next().and_then(way), kernel(Path::Ioremap, uncached));
    assert_eq!(touched.next().and_then(way), kernel(Path::IoremapWc, combining));
    ensure!(
        views.all().iter().filter_map(View::access).all(|access| !access.announced()),
        "nobody announces"
    );
    Ok(())
}

/// Each program's only fault of its mapping stands before its first access.
fn faults(trace: &Trace) -> Result<()> {
    let views = trace.views();
    let reads =
        |view: &View| view.process().is_some_and(|process| process.name == "poll") && view.access().is_some();
    let first: Vec<_> = views.all().windows(2).filter(|pair| !reads(&pair[0]) && reads(&pair[1])).collect();
    let mut found = 0;
    for pair in first {
        let access = pair[1].access().context("no access")?;
        let walk = access.walk().context("no walk")?;
        if let EventKind::Count { what: Counted::FaultResolved, address, error_code, rip, .. } = pair[0].kind
        {
            assert_eq!((address, error_code), (walk.page, 4), "a read by a program, of no page");
            assert_eq!(Some(rip), access.code().map(|code| code.rip));
            assert_eq!(
                pair[0].process().map(|process| process.pid),
                pair[1].process().map(|process| process.pid)
            );
            found += 1;
        }
    }
    assert_eq!(found, 2);
    Ok(())
}

fn verdicts(session: &Session) -> Result<()> {
    session.file("poll.expect", EXPECT.as_bytes())?;
    let ended = session.run(&["check", "barscope.trace", "poll.expect"])?;
    ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
    // A driver that hands out what it has in two ways, a program that takes every way there is, and Debian's UIO.
    let ended = session.run(&["lint", "barscope.trace", "--deny", "certain"])?;
    ensure!(ended.code == Some(0), "{}", ended.stdout);
    let verdict = |clause: &str| -> Result<Option<i32>> {
        session.file("t.expect", format!("test \"t\"\n  {clause}\n").as_bytes())?;
        let ended = session.run(&["check", "barscope.trace", "t.expect"])?;
        ensure!(ended.stderr.is_empty(), "{clause}: {}", ended.stderr);
        Ok(ended.code)
    };
    for (clause, code) in [
        (format!("in scenario poll: {NONE_BETWEEN}"), 0),
        (format!("in scenario \"poll getpid\": {NONE_BETWEEN}"), 1),
        (format!("in scenario \"poll getpid\": {}", NONE_BETWEEN.replace("exactly 0", "exactly 10")), 0),
        (
            "in scenario \"poll getpid\": kernel-entries by process poll in syscall getpid exactly 10"
                .to_owned(),
            0,
        ),
        ("in scenario poll: kernel-entries by process poll in syscall getpid exactly 0".to_owned(), 0),
        // What each thousand of reads is part of: the loader's, and the end's.
        ("in scenario poll: kernel entries at least 20".to_owned(), 0),
        ("read BAR0.ID via mmap exactly 2001".to_owned(), 0),
    ] {
        assert_eq!(verdict(&clause)?, Some(code), "{clause}");
    }
    Ok(())
}
