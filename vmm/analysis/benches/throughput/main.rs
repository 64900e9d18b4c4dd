//! How many records a second do readers get through, next to a loop that only reads them?
//!
//! `cargo bench -p barscope-analysis` makes a trace of 4 million records in the directory for temporary files, 64 bytes
//! each; `cargo bench -p barscope-analysis -- 20 stats` makes one of 20 million, and measures only what is called so.
//! Everything reads the same file in turns, on one thread, and the best of several turns counts.

mod workload;

use std::path::Path;
use std::time::Instant;

use barscope_analysis::assert::{Engine, Verdict};
use barscope_analysis::coverage::Coverage;
use barscope_analysis::print::{JsonPrinter, Printer, TextPrinter};
use barscope_analysis::stats::Collector;
use barscope_analysis::view::Viewer;
use barscope_trace::{ReadError, Stream};

/// Turns that everything gets.
const TURNS: usize = 5;
/// What printers get, in records: they are slower by far.
const PRINTED: u64 = 200_000;

/// Expectations that look at every record, and hold.
const EXPECTATIONS: &str = r#"
test "every interrupt is answered"
  each msi 0: then write BAR0.INT_STATUS {DONE=1} within 1ms
  never write BAR0.STATUS
  never access BAR0 pat WB
  write BAR0.OPCODE at least 100 times
coverage registers >= 10%
"#;

type Job = fn(&Path) -> Result<u64, ReadError>;

const JOBS: [(&str, Job); 7] = [
    ("read only", read_only),
    ("stats", stats),
    ("check", check),
    ("resolve to views", view),
    ("coverage of views", coverage),
    ("show as text", text),
    ("show as JSON", json),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let millions = arguments.iter().find_map(|argument| argument.parse::<u64>().ok());
    let named: Vec<_> = arguments.iter().filter(|argument| argument.parse::<u64>().is_err()).collect();
    let wanted = |job: &&(&str, Job)| {
        job.0 == "read only" || named.is_empty() || named.iter().any(|name| job.0.contains(name.as_str()))
    };
    let jobs: Vec<_> = JOBS.iter().filter(wanted).collect();
    let records = millions.unwrap_or(4) * 1_000_000;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("throughput.trace");
    let began = Instant::now();
    workload::write(&path, records)?;
    let size = std::fs::metadata(&path)?.len() >> 20;
    println!("{records} records, {size} MiB, written in {:.2} s", began.elapsed().as_secs_f64());

    let mut best = vec![f64::INFINITY; jobs.len()];
    for _ in 0..TURNS {
        for ((_, job), best) in jobs.iter().zip(&mut best) {
            let began = Instant::now();
            let done = job(&path)?;
            *best = best.min(began.elapsed().as_secs_f64() * 1e9 / done as f64);
        }
    }
    println!("{:<22}{:>14}{:>14}{:>14}", "", "ns a record", "records/s", "to reading");
    for ((name, _), ns) in jobs.iter().zip(&best) {
        println!("{name:<22}{ns:>14.1}{:>12.2} M{:>14.2}", 1000.0 / ns, ns / best[0]);
    }
    Ok(())
}

/// Feeds every event to `each`.
fn for_each(
    path: &Path,
    most: u64,
    mut each: impl FnMut(&Stream, &barscope_trace::Event),
) -> Result<u64, ReadError> {
    let mut stream = Stream::open(path)?;
    let mut done = 0;
    while let Some(event) = stream.next()? {
        each(&stream, &event);
        done += 1;
        if done == most {
            break;
        }
    }
    Ok(done)
}

fn read_only(path: &Path) -> Result<u64, ReadError> {
    let mut sum = 0;
    let done = for_each(path, u64::MAX, |_, event| sum ^= event.device_ns)?;
    std::hint::black_box(sum);
    Ok(done)
}

fn stats(path: &Path) -> Result<u64, ReadError> {
    let mut stream = Stream::open(path)?;
    let mut collector = Collector::default();
    while let Some(event) = stream.next()? {
        collector.add(stream.definitions(), &event);
    }
    let stats = collector.finish(&stream.info());
    std::hint::black_box(stats.text(80, 20, false));
    Ok(stats.records)
}

fn check(path: &Path) -> Result<u64, ReadError> {
    let suite = barscope_analysis::expectation::parse("throughput.expect", EXPECTATIONS);
    let mut engine = Engine::new(suite.unwrap_or_else(|diagnostic| panic!("{diagnostic:?}")));
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::default();
    let mut done = 0;
    while let Some(event) = stream.next()? {
        engine.take(stream.definitions(), &viewer.view(stream.definitions(), &event));
        done += 1;
    }
    let findings = engine.finish(&stream.info());
    let failed = findings.into_list().into_iter().find(|finding| !matches!(finding.verdict, Verdict::Pass));
    assert!(failed.is_none(), "{failed:?}");
    Ok(done)
}

fn view(path: &Path) -> Result<u64, ReadError> {
    let mut viewer = Viewer::default();
    for_each(path, u64::MAX, |stream, event| {
        std::hint::black_box(viewer.view(stream.definitions(), event));
    })
}

fn coverage(path: &Path) -> Result<u64, ReadError> {
    let mut viewer = Viewer::default();
    let mut coverage = Coverage::default();
    for_each(path, u64::MAX, |stream, event| coverage.add(&viewer.view(stream.definitions(), event)))
}

fn text(path: &Path) -> Result<u64, ReadError> {
    printed(path, |clock| Box::new(TextPrinter::new(std::io::sink(), clock, 160, false)))
}

fn json(path: &Path) -> Result<u64, ReadError> {
    printed(path, |clock| Box::new(JsonPrinter::new(std::io::sink(), clock)))
}

fn printed(path: &Path, make: fn(barscope_trace::Clock) -> Box<dyn Printer>) -> Result<u64, ReadError> {
    let mut printer = make(barscope_trace::Clock::Virtual);
    let mut viewer = Viewer::default();
    for_each(path, PRINTED, |stream, event| {
        // Nothing is ever wrong with the sink.
        let _ = printer.print(stream.definitions(), &viewer.view(stream.definitions(), event));
    })
}
