//! Do comparisons find what differs, and nothing else? Do goldens hold for equal runs, however often?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use barscope_analysis::Trace;
use barscope_analysis::diff::{Ignore, Terms, Verdict, compare};
use barscope_analysis::golden::{Blessed, Golden, bless};
use barscope_bench::command::{Session, libraries, output};
use barscope_bench::expectations::root;
use barscope_bench::mutation::{Mutator, unchanged};
use barscope_trace::definition::{Definition, Image, Instruction, Mapping, Process, Route, Walk};
use barscope_trace::event::{AccessEvent, EventKind, Target};
use barscope_trace::{Capability, End, Event, Stream, WriteOptions, Writer, rewrite};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");

fn verdict(left: &Path, right: &Path, terms: &Terms) -> Result<Verdict> {
    Ok(compare(left, right, terms)?.verdict())
}

/// Writes a trace of these events with everything else of another one.
fn write(of: &Trace, events: &[Event], path: &Path) -> Result<()> {
    let options = WriteOptions { limit: u64::MAX, ..WriteOptions::default() };
    let writer = Writer::create_with(path, of.info().clock, options)?;
    for (id, definition) in of.definitions().iter() {
        writer.define_with_blob(definition, of.definitions().blob(id))?;
    }
    for capability in Capability::ALL {
        writer.know(capability, of.info().capabilities.of(capability));
    }
    let mut lanes = BTreeMap::new();
    for event in events {
        let seq = writer.reserve();
        lanes
            .entry(event.vcpu)
            .or_insert_with(|| writer.lane(event.vcpu))
            .record(&Event { seq, ..*event })?;
    }
    Ok(writer.finish(End::Finished)?)
}

/// KASLR, another build of the kernel, BARs elsewhere, other numbers of processes, other times.
#[test]
fn where_things_are_makes_no_difference() -> Result<()> {
    const CODE: u64 = 0x20_0000;
    const BARS: u64 = 0x40_0000;
    const LATER: u64 = 1_000_000;
    let session = Session::new()?;
    let path = session.path("elsewhere");
    let moved = |address: u64| if address >= 0x1_0000 { address.wrapping_add(BARS) } else { address };
    let define = |_, definition: &Definition| match definition.clone() {
        Definition::Route(route) => Definition::Route(Route { base: moved(route.base), ..route }),
        Definition::Instruction(code) => {
            Definition::Instruction(Instruction { rip: code.rip.wrapping_add(CODE), ..code })
        }
        Definition::Image(image) => Definition::Image(Image { bias: image.bias.wrapping_add(CODE), ..image }),
        Definition::Process(process) => Definition::Process(Process { pid: process.pid + 1000, ..process }),
        Definition::Walk(walk) => Definition::Walk(Walk { page: walk.page.wrapping_add(BARS), ..walk }),
        Definition::Mapping(mapping) => Definition::Mapping(Mapping {
            virtual_address: mapping.virtual_address.wrapping_add(BARS),
            physical_address: moved(mapping.physical_address),
            ..mapping
        }),
        other => other,
    };
    let keep = |event: &Event| {
        let kind = match event.kind {
            EventKind::Access(access) => {
                let target = match access.target {
                    Target::Memory(address) => Target::Memory(moved(address)),
                    // Ports stay where every machine has them.
                    port => port,
                };
                EventKind::Access(AccessEvent { target, instance: access.instance + 7, ..access })
            }
            EventKind::NotEmulated { cpl, instruction, walk, route, gpa, operand, stack } => {
                EventKind::NotEmulated { cpl, instruction, walk, route, gpa: gpa.map(moved), operand, stack }
            }
            EventKind::Busy { function, until_ns, cause } => {
                EventKind::Busy { function, until_ns: until_ns + LATER, cause }
            }
            other => other,
        };
        Some(Event { kind, host_ns: event.host_ns + 12_345, device_ns: event.device_ns + LATER, ..*event })
    };
    rewrite::copy_with(&mut Stream::open(SAMPLE.as_ref())?, &path, define, keep)?;
    let difference = compare(SAMPLE.as_ref(), &path, &Terms::default())?;
    let mut text = Vec::new();
    difference.print_text(&mut text, 120, false)?;
    ensure!(difference.verdict() == Verdict::Equal, "{}", String::from_utf8_lossy(&text));
    Ok(())
}

/// What isn't compared, by the kind of record and how a mutation calls the change; empty for any of either. Times, idle
/// time, vCPUs and vectors are for the kernel and the clock to choose.
const NOT_COMPARED: [(&str, &str); 6] = [
    ("", "a second late"),
    ("", "on another vCPU"),
    ("", "with another place in its instruction's operand"),
    ("clock-jump", ""),
    ("isr-enter", "with another vector"),
    ("isr-exit", "with another vector"),
];

/// The kind of a mutation: that of its record, and what happens to it, without numbers.
fn kind_of(about: &str, trace: &Trace) -> Option<(&'static str, String)> {
    let (_, rest) = about.split_once("record ")?;
    let (seq, what) = rest.split_once(' ')?;
    let seq: u64 = seq.parse().ok()?;
    let event = trace.events().iter().find(|event| event.seq == seq)?;
    let what = what.split(" after record").next().unwrap_or_default();
    let numbers = |word: &&str| !word.bytes().any(|byte| byte.is_ascii_digit());
    let words: Vec<_> = what.split(' ').filter(numbers).collect();
    Some((event.kind.kind().name, words.join(" ")))
}

/// Each kind of change to each kind of record is found: one taken out, repeated, there besides, or with something
/// changed.
#[test]
fn every_kind_of_change_is_found() -> Result<()> {
    let session = Session::new()?;
    let whole = Trace::open(SAMPLE.as_ref())?;
    let mutator = Mutator::new(&whole);
    let mut kinds = BTreeMap::<_, [u32; 2]>::new();
    let views = whole.views().all();
    for scenario in ["probe", "same-register", "interrupt", "dma-both-ways", "shared-line", "msi-vectors"] {
        let inside = |view: &&barscope_analysis::view::View| view.scenario.as_deref() == Some(scenario);
        let first = views.iter().position(|view| inside(&view)).context("no such scenario")?;
        let part = first..first + views.iter().filter(inside).count();
        let before = session.path("before");
        write(&whole, &unchanged(whole.events(), part.clone()), &before)?;
        for mutation in mutator.all(part.clone()).take(200) {
            let kind = kind_of(&mutation.about, &whole).with_context(|| mutation.about.clone())?;
            let after = session.path("after");
            write(&whole, &mutation.apply(whole.events(), part.clone()), &after)?;
            let is_found = verdict(&before, &after, &Terms::default())? == Verdict::Different;
            kinds.entry(kind).or_default()[usize::from(is_found)] += 1;
            std::fs::remove_file(&after)?;
        }
        std::fs::remove_file(&before)?;
    }
    ensure!(kinds.len() > 40, "{kinds:#?}");
    for ((kind, what), [missed, found]) in &kinds {
        let is_it =
            |(of, how): &&(&str, &str)| (of.is_empty() || of == kind) && (how.is_empty() || how == what);
        let is_left_out = NOT_COMPARED.iter().find(is_it).is_some();
        ensure!(is_left_out || *found > 0, "{kind} {what}: {missed} missed, {found} found");
    }
    Ok(())
}

#[test]
fn the_command_tells_traces_apart_by_its_exit_code() -> Result<()> {
    let session = Session::new()?;
    let run = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let ended = session.run(arguments)?;
        Ok((ended.code, ended.stdout + &ended.stderr))
    };
    let other = session.path("other");
    rewrite::copy(&mut Stream::open(SAMPLE.as_ref())?, &other, |event| match event.kind {
        EventKind::Access(access) if access.write && access.cpl == 3 => {
            let kind = EventKind::Access(AccessEvent { value: access.value ^ 1, ..access });
            Some(Event { kind, ..*event })
        }
        _ => Some(*event),
    })?;
    let lossy = session.path("lossy");
    rewrite::copy(&mut Stream::open(SAMPLE.as_ref())?, &lossy, |event| {
        (event.seq != 1000).then_some(*event)
    })?;
    for (arguments, code, words) in [
        (&["diff", SAMPLE, SAMPLE][..], 0, "EQUAL"),
        (&["diff", SAMPLE, "other"], 1, "first difference, scenario same-register, "),
        (&["diff", SAMPLE, "other", "--only", "read"], 0, "compared only: read"),
        (&["diff", SAMPLE, "lossy"], 4, "B: 1 record is lost"),
        (&["diff", SAMPLE, "nothing"], 2, "cannot read the trace nothing"),
        (
            &["diff", SAMPLE, SAMPLE, "--only", "BAR0.NOSUCH"],
            2,
            "no device in the trace has a register BAR0.NOSUCH",
        ),
        (&["diff", SAMPLE, SAMPLE, "--ignore", "colour"], 2, "what isn't compared may be time, code, "),
        (&["check", SAMPLE, "--golden", "g.golden"], 2, "`barscope bless TRACE -o g.golden` writes it"),
        (&["bless", "lossy", "-o", "g.golden"], 4, "isn't all of a run: 1 record is lost"),
        (&["bless", SAMPLE, "other", "-o", "g.golden"], 1, "nothing is written"),
        (&["bless", SAMPLE, "-o", "g.golden", "--only", "BAR0", "--ignore", "path"], 0, "review it"),
        // What it was made by stays.
        (&["bless", SAMPLE, "-o", "g.golden"], 0, "g.golden is as it was"),
        (&["check", SAMPLE, "--golden", "g.golden"], 0, "PASS  g.golden"),
        (
            &["check", "other", "--golden", "g.golden"],
            1,
            "if that is meant: barscope bless other -o g.golden",
        ),
        (
            &["check", "other", "--golden", "g.golden", "--annotate", "github"],
            1,
            "::error file=g.golden,line=",
        ),
        (&["bless", SAMPLE, "-o", "lossy"], 2, "lossy"),
    ] {
        let (found, said) = run(arguments)?;
        ensure!(found == Some(code) && said.contains(words), "{arguments:?}: {found:?}\n{said}");
    }
    let golden = std::fs::read_to_string(session.path("g.golden"))?;
    ensure!(golden.contains("\nignore path\nonly BAR0\n"), "{golden}");
    Ok(())
}

/// Runs the test kernel again and again against a golden of its first run.
fn holds_for(runs: usize, more: &[&str]) -> Result<()> {
    let session = Session::new()?;
    let play = |arguments: &[&str]| {
        session.run(&[&["run", "--quiet", "--golden", "g.golden"], more, arguments].concat())
    };
    let first = play(&["--bless"])?;
    ensure!(first.code == Some(0), "{}", first.stderr);
    let text = std::fs::read_to_string(session.path("g.golden"))?;
    ensure!(text.lines().count() > 500, "{text}");
    for run in 2..=runs {
        let ended = play(&[])?;
        ensure!(ended.code == Some(0), "run {run}:\n{}\n{}", ended.stdout, ended.stderr);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_golden_of_the_test_kernel_holds_for_twenty_runs() -> Result<()> {
    holds_for(20, &[])
}

#[test]
#[ignore = "needs this machine's /dev/kvm and minutes"]
fn a_golden_of_the_test_kernel_holds_for_a_hundred_runs() -> Result<()> {
    holds_for(100, &[])
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_mistake_of_the_driver_shows_in_a_golden_and_a_run_that_fails_is_not_blessed() -> Result<()> {
    let session = Session::new()?;
    let first = session.run(&["run", "--quiet", "--golden", "g.golden", "--bless"])?;
    ensure!(first.code == Some(0), "{}", first.stderr);
    let text = std::fs::read_to_string(session.path("g.golden"))?;
    let wrong = ["run", "--quiet", "--golden", "g.golden", "--bug", "wrong-order"];
    let ended = session.run(&wrong)?;
    ensure!(
        ended.code == Some(1) && ended.stdout.contains("FAIL  g.golden\n"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    let changed = |sign: &str| {
        let lines = ended.stdout.lines().filter(|line| line.starts_with(sign));
        lines.filter(|line| line.contains("lab.BAR0.")).count()
    };
    ensure!(changed("+ ") > 0 && changed("- ") > 0, "{}", ended.stdout);
    ensure!(std::fs::read_to_string(session.path("g.golden"))? == text);
    Ok(())
}

/// Scenarios on Linux in which nothing races that isn't told apart: two vCPUs of one process, interrupts that coalesce
/// and drivers that go while they are used differ from run to run by intent.
const RACES: [&str; 3] = ["msi-shared", "two-cpus", "unbind-in-use"];

fn linux_terms() -> Terms {
    let only: Vec<_> = RACES.iter().map(|name| format!("scenario != {name:?}")).collect();
    Terms { ignore: vec![Ignore::Time], only: Some(only.join(" ")) }
}

/// Plays all scenarios on Linux, `runs` times, against a golden of the first time.
fn linux_holds_for(runs: usize) -> Result<()> {
    let session = Session::new()?;
    let play = |name: &str| -> Result<PathBuf> {
        let trace = session.path(name);
        let mut command = session.barscope(&["run", "--guest", "linux", "--nested", "--cpus", "2"])?;
        libraries(&mut command)?;
        command.current_dir(root()).arg("--console").arg(session.path("console"));
        command.arg("--trace").arg(&trace);
        let ended = output(&mut command)?;
        ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
        Ok(trace)
    };
    let first = play("first")?;
    let text = match bless(&[first], &linux_terms())? {
        Blessed::Golden(text) => text,
        Blessed::Flaps(_) => return Err(anyhow!("one trace agrees with itself")),
    };
    let golden = Golden::parse(&text).map_err(|diagnostic| anyhow!(diagnostic.show("golden", &text)))?;
    for run in 2..=runs {
        let checked = golden.check("golden".as_ref(), &play("other")?)?;
        let mut said = Vec::new();
        checked.print_text(&mut said, false)?;
        ensure!(checked.verdict() == Verdict::Equal, "run {run}:\n{}", String::from_utf8_lossy(&said));
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and minutes"]
fn on_linux_a_golden_holds_for_twenty_runs() -> Result<()> {
    linux_holds_for(20)
}
