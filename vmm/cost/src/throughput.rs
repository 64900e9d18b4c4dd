//! How many records a second readers get through on one core, next to one that only reads them.

mod workload;

use std::path::Path;
use std::time::Duration;

use barscope_analysis::assert::{Engine, Verdict};
use barscope_analysis::coverage::Coverage;
use barscope_analysis::diff::{self, Terms, compare};
use barscope_analysis::lint;
use barscope_analysis::print::{JsonPrinter, Printer, TextPrinter};
use barscope_analysis::stats::Collector;
use barscope_analysis::view::Viewer;
use barscope_export::{CsvPrinter, FstPrinter, MmiotracePrinter, PerfettoPrinter, VcdPrinter};
use barscope_trace::{Clock, Event, Stream};
use tempfile::TempDir;

use crate::clock::Stamp;
use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Each, Error, Plan};

/// Turns that everything gets.
const TURNS: usize = 5;
/// What printers get, in records: they are slower by far.
const PRINTED: u64 = 200_000;
/// Columns of text.
const WIDTH: usize = 160;

/// Expectations that look at every record, and hold.
const EXPECTATIONS: &str = r#"
test "every interrupt is answered"
  each msi 0: then write BAR0.INT_STATUS {DONE=1} within 1ms
  never write BAR0.STATUS
  never access BAR0 pat WB
  write BAR0.OPCODE at least 100 times
coverage registers >= 10%
"#;

/// Reads the trace at this path; how many records it got through.
type Reader = fn(&Path) -> Result<u64, Error>;

const READ: (&str, Reader, Option<Aim>) = ("read", read_only, None);
/// Rows, how each comes about, and what it ought to be in millions of records a second.
const READERS: [(&str, Reader, Option<Aim>); 15] = [
    READ,
    ("stats", stats, Some(Aim::at_least(10.0))),
    ("check", check, Some(Aim::at_least(5.0))),
    ("lint", lints, Some(Aim::at_least(3.0))),
    // Of either side: a million of both take five seconds at most.
    ("diff", diff, Some(Aim::at_least(0.2))),
    ("views", views, None),
    ("coverage", coverage, None),
    ("show-text", text, Some(Aim::at_least(2.0))),
    // And of `export --to jsonl`, which is the same.
    ("show-json", json, Some(Aim::at_least(1.0))),
    ("export-csv", csv, Some(Aim::at_least(1.0))),
    ("export-mmiotrace", mmiotrace, Some(Aim::at_least(1.0))),
    ("export-perfetto", perfetto, Some(Aim::at_least(2.0))),
    ("export-vcd", vcd, Some(Aim::at_least(1.0))),
    ("export-fst", fst, Some(Aim::at_least(1.0))),
    ("pack", pack, Some(Aim::at_least(1.0))),
];

/// Names of rows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    READERS.into_iter().map(|(name, ..)| name)
}

/// Measures what the plan asks for. All read the same file, in turns, on this thread.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !names().any(|name| plan.wants(name)) {
        return Ok(());
    }
    let folder = TempDir::new().map_err(Error::system("a folder for a trace"))?;
    let path = folder.path().join("workload.trace");
    workload::write(&path, plan.records)?;
    let wanted: Vec<_> =
        READERS.into_iter().filter(|(name, ..)| *name == READ.0 || plan.wants(name)).collect();
    // Nanoseconds a record.
    let mut figures = vec![Samples::default(); wanted.len()];
    for _ in 0..TURNS {
        for ((_, reader, _), ns) in wanted.iter().zip(&mut figures) {
            let began = Stamp::now();
            let records = reader(&path)?;
            ns.extend(nanoseconds(Stamp::now().since(began), records));
        }
    }
    for ((name, _, aim), ns) in wanted.iter().zip(&figures) {
        let ratios = ns.over(&figures[0]);
        let row = Row {
            value: ns.median().map(|ns| 1000.0 / ns),
            ratio: ratios.median(),
            spread: ns.spread(),
            ..Row::new(name, "M/s")
        };
        each(row.aim(*aim))?;
    }
    Ok(())
}

fn nanoseconds(time: Duration, records: u64) -> f64 {
    time.as_nanos() as f64 / records as f64
}

/// Feeds `each` the first events of a trace, at most so many; how many they were.
fn for_each(path: &Path, most: u64, mut each: impl FnMut(&Stream, &Event)) -> Result<u64, Error> {
    let mut stream = Stream::open(path)?;
    let mut done = 0;
    while done < most
        && let Some(event) = stream.next()?
    {
        each(&stream, &event);
        done += 1;
    }
    Ok(done)
}

fn read_only(path: &Path) -> Result<u64, Error> {
    let mut sum = 0;
    let done = for_each(path, u64::MAX, |_, event| sum ^= event.device_ns)?;
    std::hint::black_box(sum);
    Ok(done)
}

fn stats(path: &Path) -> Result<u64, Error> {
    let mut stream = Stream::open(path)?;
    let mut collector = Collector::default();
    while let Some(event) = stream.next()? {
        collector.add(stream.definitions(), &event);
    }
    let stats = collector.finish(&stream.info());
    std::hint::black_box(stats.text(80, 20, false));
    Ok(stats.records)
}

fn check(path: &Path) -> Result<u64, Error> {
    let suite = barscope_analysis::expectation::parse("workload.expect", EXPECTATIONS);
    let mut engine = Engine::new(suite.map_err(|diagnostic| Error::Workload(diagnostic.to_string()))?);
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::default();
    let mut done = 0;
    while let Some(event) = stream.next()? {
        engine.take(stream.definitions(), &viewer.view(stream.definitions(), &event));
        done += 1;
    }
    let findings = engine.finish(&stream.info());
    let failed = findings.into_list().into_iter().find(|finding| !matches!(finding.verdict, Verdict::Pass));
    failed.map_or(Ok(done), |failed| Err(Error::Workload(format!("{failed:?}"))))
}

/// All lints at once.
fn lints(path: &Path) -> Result<u64, Error> {
    let report = lint::lint(path).map_err(|error| Error::Workload(error.to_string()))?;
    Ok(std::hint::black_box(report).records)
}

fn diff(path: &Path) -> Result<u64, Error> {
    let difference = compare(path, path, &Terms::default());
    let difference = difference.map_err(|error| Error::Workload(error.to_string()))?;
    match difference.verdict() {
        diff::Verdict::Equal => Ok(difference.records()),
        verdict => Err(Error::Workload(format!("{} from itself", verdict.name()))),
    }
}

fn views(path: &Path) -> Result<u64, Error> {
    let mut viewer = Viewer::default();
    for_each(path, u64::MAX, |stream, event| {
        std::hint::black_box(viewer.view(stream.definitions(), event));
    })
}

fn coverage(path: &Path) -> Result<u64, Error> {
    let mut viewer = Viewer::default();
    let mut coverage = Coverage::default();
    for_each(path, u64::MAX, |stream, event| coverage.add(&viewer.view(stream.definitions(), event)))
}

fn text(path: &Path) -> Result<u64, Error> {
    printed(path, |clock| Box::new(TextPrinter::new(std::io::sink(), clock, WIDTH, false)))
}

fn json(path: &Path) -> Result<u64, Error> {
    printed(path, |clock| Box::new(JsonPrinter::new(std::io::sink(), clock)))
}

fn csv(path: &Path) -> Result<u64, Error> {
    printed(path, |_| Box::new(CsvPrinter::new(std::io::sink())))
}

fn mmiotrace(path: &Path) -> Result<u64, Error> {
    printed(path, |clock| Box::new(MmiotracePrinter::new(std::io::sink(), clock)))
}

fn perfetto(path: &Path) -> Result<u64, Error> {
    printed(path, |_| Box::new(PerfettoPrinter::new(std::io::sink())))
}

fn vcd(path: &Path) -> Result<u64, Error> {
    printed(path, |_| Box::new(VcdPrinter::new(std::io::sink())))
}

fn fst(path: &Path) -> Result<u64, Error> {
    let file = tempfile::tempfile().map_err(Error::system("a file for an export"))?;
    let mut printer = FstPrinter::new(std::io::BufWriter::new(file));
    let done = print(path, &mut printer)?;
    let stream = Stream::open(path)?;
    printer.finish(&stream.info()).map_err(Error::system("an export"))?;
    Ok(done)
}

fn pack(path: &Path) -> Result<u64, Error> {
    let packed = barscope_trace::pack::pack(path, &mut std::io::sink());
    packed.map_err(|error| Error::Workload(error.to_string()))?;
    // It packs blocks, and counts no records.
    Ok(Stream::open(path)?.last_seq()?)
}

fn printed(path: &Path, make: fn(Clock) -> Box<dyn Printer>) -> Result<u64, Error> {
    print(path, &mut *make(Clock::Virtual))
}

fn print(path: &Path, printer: &mut dyn Printer) -> Result<u64, Error> {
    let mut viewer = Viewer::default();
    for_each(path, PRINTED, |stream, event| {
        // Nothing is ever wrong with the sink.
        let _ = printer.print(stream.definitions(), &viewer.view(stream.definitions(), event));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_readers_get_through_the_workload_and_its_expectations_hold() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("trace");
        workload::write(&path, 10_000).unwrap();
        let records = read_only(&path).unwrap();
        assert!((10_000..10_100).contains(&records), "{records}");
        for (name, reader, _) in READERS {
            assert_eq!(reader(&path).unwrap(), records, "{name}");
        }
    }
}
