//! What does it cost to follow steps while a million candidates wait, as a ratio to only reading the trace?
//!
//! `cargo bench -p barscope-analysis --bench clauses` makes a trace of a million reads that nothing follows as asked, and holds
//! every clause of four steps against it in which a step refers to at most one earlier one: by cause or by time, in
//! `seq` and in `each`. `-- 200 seq` does it with 200,000 reads, and with the clauses whose text has `seq` in it.
//! What is given up for too many candidates is INCONCLUSIVE and told.
//!
//! Last, 100,000 clauses are held against a trace of 2,730 records.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use barscope_analysis::assert::{Engine, Verdict};
use barscope_analysis::view::Viewer;
use barscope_device::{Bdf, PciDevice, Region, Space};
use barscope_devices::lab::Lab;
use barscope_trace::definition::{Bar, Function, Machine, Route};
use barscope_trace::event::{AccessEvent, Target};
use barscope_trace::{Clock, Definition, End, Event, EventKind, Id, Lane, Stream, Writer};

const BAR0: u64 = 0xfe00_0000;
/// What the steps of a clause are like.
const STEPS: [&str; 4] = ["read BAR0.ID", "change BAR0.SCRATCH", "change BAR0.STATUS", "change BAR0.RESULT"];
/// The ratio to reading that clauses are meant to stay below.
const AIM: f64 = 20.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let thousands = arguments.iter().find_map(|argument| argument.parse::<u64>().ok()).unwrap_or(1000);
    let wanted: Vec<_> = arguments.iter().filter(|argument| argument.parse::<u64>().is_err()).collect();
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("waiting.trace");
    write(&path, thousands * 1000, false)?;
    let tried = directory.path().join("tried.trace");
    write(&tried, thousands * 1000, true)?;
    let reading = (0..3).map(|_| read(&path)).collect::<Result<Vec<_>, _>>()?;
    let reading = reading.into_iter().fold(f64::INFINITY, f64::min);
    println!("{thousands},000 candidates; reading alone takes {:.0} ms", reading * 1e3);

    let mut results = Vec::new();
    for text in clauses().into_iter().filter(|text| wanted.iter().all(|word| text.contains(word.as_str()))) {
        for path in [&path, &tried] {
            let (seconds, verdict) = check(path, &text)?;
            results.push((seconds / reading, verdict, text.clone()));
        }
    }
    results.sort_by(|one, other| other.0.total_cmp(&one.0));
    let decided = results.iter().filter(|(_, verdict, _)| !matches!(verdict, Verdict::Inconclusive(_)));
    let slow = decided.clone().filter(|(ratio, ..)| *ratio > AIM).count();
    println!("{} clauses, {} decided, {slow} of these above {AIM} x reading", results.len(), decided.count());
    println!("{:>10}  {:<13}slowest clauses", "to reading", "verdict");
    for (ratio, verdict, text) in results.iter().take(12) {
        println!("{ratio:>10.2}  {:<13}{}", word(verdict), text.replace('\n', "; "));
    }
    for (ratio, verdict, text) in &results {
        if matches!(verdict, Verdict::Inconclusive(_)) {
            println!("{ratio:>10.2}  {:<13}{}", "given up", text.replace('\n', "; "));
        }
    }
    many_clauses(directory.path())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail(_) => "FAIL",
        Verdict::Inconclusive(_) => "INCONCLUSIVE",
    }
}

/// All ways in which each of four steps may refer to at most one earlier one.
fn clauses() -> Vec<String> {
    let references = |step: usize| {
        let earlier = (0..step).flat_map(|at| [format!(" caused by n{at}"), format!(" within 1s of n{at}")]);
        std::iter::once(String::new()).chain(earlier).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for one in references(1) {
        for two in references(2) {
            for three in references(3) {
                let steps = [String::new(), one.clone(), two.clone(), three];
                let lines: Vec<_> = (0..4).map(|at| format!("{} as n{at}{}", STEPS[at], steps[at])).collect();
                all.push(format!("seq\n    {}", lines.join("\n    ")));
                let then = lines[1..].iter().map(|line| format!("    then {line}")).collect::<Vec<_>>();
                all.push(format!("each {}:\n{}", lines[0], then.join("\n")));
            }
        }
    }
    all
}

fn read(path: &Path) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let mut stream = Stream::open(path)?;
    let mut sum = 0;
    while let Some(event) = stream.next()? {
        sum ^= event.device_ns;
    }
    std::hint::black_box(sum);
    Ok(began.elapsed().as_secs_f64())
}

fn check(path: &Path, clause: &str) -> Result<(f64, Verdict), Box<dyn Error>> {
    let text = format!("test \"t\"\n  {clause}\n");
    let began = Instant::now();
    let verdict = verdicts(path, &text)?.pop().ok_or("no verdict")?;
    Ok((began.elapsed().as_secs_f64(), verdict))
}

fn verdicts(path: &Path, text: &str) -> Result<Vec<Verdict>, Box<dyn Error>> {
    let suite = barscope_analysis::expectation::parse("t.expect", text)
        .map_err(|diagnostic| diagnostic.show("t", text))?;
    let mut engine = Engine::new(suite);
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::default();
    while let Some(event) = stream.next()? {
        engine.take(stream.definitions(), &viewer.view(stream.definitions(), &event));
    }
    let findings = engine.finish(&stream.info());
    Ok(findings.into_list().into_iter().map(|finding| finding.verdict).collect())
}

fn many_clauses(directory: &Path) -> Result<(), Box<dyn Error>> {
    const CLAUSES: usize = 100_000;
    let path = directory.join("small.trace");
    write(&path, 682, true)?;
    let clause = |at: usize| match at % 4 {
        0 => format!("  never write BAR0.SCRATCH == {at}\n"),
        1 => format!("  read BAR0.ID value == {at} at most {at}\n"),
        2 => "  seq\n    read BAR0.ID as a\n    change BAR0.SCRATCH caused by a\n".to_owned(),
        _ => "  each change BAR0.RESULT if any: then read BAR0.ID within 1s\n".to_owned(),
    };
    let text: String = std::iter::once("test \"t\"\n".to_owned()).chain((0..CLAUSES).map(clause)).collect();
    let began = Instant::now();
    let verdicts = verdicts(&path, &text)?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{} clauses on 2,730 records: {seconds:.1} s", verdicts.len());
    Ok(())
}

/// Writes reads, each with changes after it that are like the next steps; like the last one only if it is to be
/// `tried`, with nothing that led to it.
fn write(path: &Path, reads: u64, tried: bool) -> Result<(), Box<dyn Error>> {
    let writer = Writer::create(path, Clock::Virtual)?;
    let define = |definition| writer.define(&definition);
    define(Definition::Machine(Machine { guest: "waiting".into(), vcpus: 1, memory: 32 << 20 }))?;
    let model = Lab::default();
    let bars = model.header().bars;
    let lab = define(Definition::Function(Function {
        bdf: Bdf::new(0, 4, 0).ok_or("no place")?,
        name: "lab".into(),
        vendor: 0x1234,
        device: 0x1ab0,
        bars: bars
            .iter()
            .map(|bar| Bar {
                index: bar.index,
                space: bar.space,
                size: bar.size,
                wide: bar.wide,
                prefetchable: bar.prefetchable,
            })
            .collect(),
        msi_vectors: 8,
        msix_vectors: 0,
        register_maps: model.register_maps().to_vec(),
        untrapped: Vec::new(),
    }))?;
    let region = Region::BAR0;
    let route = Route { function: Some(lab), region, space: Space::Memory, base: BAR0, size: 4096 };
    let bar0 = define(Definition::Route(route))?;
    let mut lane = writer.lane(Some(0));
    let mut time = 0;
    for at in 0..reads {
        let read = access(&writer, &mut lane, bar0, &mut time)?;
        let scratch = change(&writer, &mut lane, lab, 8, read, &mut time)?;
        let cause = if at % 2 == 0 { read } else { scratch };
        change(&writer, &mut lane, lab, 0x10, cause, &mut time)?;
        if tried {
            change(&writer, &mut lane, lab, 0x28, 0, &mut time)?;
        }
    }
    writer.finish(End::Finished)?;
    Ok(())
}

fn access(writer: &Writer, lane: &mut Lane, route: Id, time: &mut u64) -> Result<u64, Box<dyn Error>> {
    let target = Target::Memory(BAR0);
    let access = AccessEvent { route, target, size: 4, ..AccessEvent::default() };
    record(writer, lane, EventKind::Access(access), time)
}

fn change(
    writer: &Writer,
    lane: &mut Lane,
    function: Id,
    offset: u64,
    cause: u64,
    time: &mut u64,
) -> Result<u64, Box<dyn Error>> {
    let region = Region::BAR0;
    record(writer, lane, EventKind::Change { function, region, offset, old: 0, new: 1, cause }, time)
}

fn record(writer: &Writer, lane: &mut Lane, kind: EventKind, time: &mut u64) -> Result<u64, Box<dyn Error>> {
    *time += 10;
    let seq = writer.reserve();
    lane.record(&Event { seq, host_ns: *time, device_ns: *time, vcpu: Some(0), kind })?;
    Ok(seq)
}
