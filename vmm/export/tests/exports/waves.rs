//! VCD and FST, read by `wellen`, which Surfer reads them with.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;

use barscope_export::{FstPrinter, VcdPrinter};
use barscope_trace::{EventKind, Stream};
use wellen::simple::Waveform;

use super::*;

/// Every signal by its full name, with its changes: time in nanoseconds, value in digits.
type Changes = BTreeMap<String, Vec<(u64, String)>>;

fn changes(path: &Path) -> Result<Changes> {
    let mut wave: Waveform = wellen::simple::read(path).map_err(|error| anyhow::anyhow!("{error}"))?;
    let hierarchy = wave.hierarchy();
    let scale = hierarchy.timescale().context("no timescale")?;
    ensure!(scale.factor == 1 && scale.unit == wellen::TimescaleUnit::NanoSeconds, "{scale:?}");
    let signals: Vec<_> = hierarchy
        .all_vars()
        .map(|var| (hierarchy[var].full_name(hierarchy), hierarchy[var].signal_ref()))
        .collect();
    wave.load_signals(&signals.iter().map(|(_, signal)| *signal).collect::<Vec<_>>());
    let times = wave.time_table().to_vec();
    let mut all = Changes::new();
    for (name, signal) in signals {
        let signal = wave.get_signal(signal).context("not loaded")?;
        let values = signal.iter_changes().map(|(at, value)| {
            let digits = value.to_bit_string().unwrap_or_default();
            (times[at as usize], digits)
        });
        let mut values: Vec<_> = values.collect();
        // One reader gives equal values in a row, the other doesn't.
        values.dedup_by(|next, one| next.1 == one.1);
        ensure!(all.insert(name.clone(), values).is_none(), "two signals are called {name}");
    }
    Ok(all)
}

fn both(trace: &Trace) -> Result<(Changes, Changes)> {
    let (_folder, path) = place("wave")?;
    exported(trace, VcdPrinter::new(BufWriter::new(File::create(&path)?)))?;
    let vcd = changes(&path)?;
    exported(trace, FstPrinter::new(BufWriter::new(File::create(&path)?)))?;
    Ok((vcd, changes(&path)?))
}

#[test]
fn both_formats_read_back_equal_and_as_the_trace_says() -> Result<()> {
    let trace = sample()?;
    let (vcd, fst) = both(&trace)?;
    assert!(vcd.len() > 100, "{} signals", vcd.len());
    assert_eq!(vcd.keys().collect::<Vec<_>>(), fst.keys().collect::<Vec<_>>());
    for (name, changes) in &vcd {
        assert_eq!(changes, &fst[name], "{name}");
    }
    // Each change of a register, by its own record.
    let (lab, _) = trace.definitions().functions().find(|(_, it)| it.name == "lab").context("no lab")?;
    let mut checked = 0;
    for event in trace.events() {
        let EventKind::Change { function, offset: 0x10, new, region, .. } = event.kind else { continue };
        if function != lab || region != barscope_device::Region::BAR0 {
            continue;
        }
        let at = |name: &str| {
            let before = vcd[name].iter().rfind(|(time, _)| *time <= event.device_ns);
            before.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        // Several changes at one time leave the last.
        let later = trace.events().iter().any(|other| {
            other.seq > event.seq
                && other.device_ns == event.device_ns
                && matches!(other.kind, EventKind::Change { offset: 0x10, .. })
        });
        if !later {
            assert_eq!(at("lab.BAR0.STATUS"), format!("{new:032b}"), "record {}", event.seq);
            assert_eq!(at("lab.BAR0.STATUS.BUSY"), (new & 1).to_string(), "record {}", event.seq);
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked}");
    let busy: Vec<_> = vcd["lab.busy"].iter().map(|(time, value)| (*time, value.as_str())).take(3).collect();
    assert_eq!(busy, [(0, "x"), (1_373_000, "1"), (1_393_000, "0")]);
    let messages = trace.events().iter().filter(|event| matches!(event.kind, EventKind::Msi { .. })).count();
    assert_eq!(vcd["lab.msi"].last().map(|last| last.1.as_str()), Some(&*format!("{messages:064b}")));
    Ok(())
}

#[test]
fn lost_records_are_a_signal() -> Result<()> {
    let (_folder, path) = place("trace")?;
    let mut stream = Stream::open(SAMPLE.as_ref())?;
    barscope_trace::rewrite::copy(&mut stream, &path, |event| (event.seq != 500).then_some(*event))?;
    let (vcd, fst) = both(&Trace::open(&path)?)?;
    let lost: Vec<_> = vcd["trace.lost"].iter().map(|(_, value)| value.trim_start_matches('0')).collect();
    assert_eq!(lost[1..], ["1"]);
    assert_eq!(vcd["trace.lost"], fst["trace.lost"]);
    Ok(())
}
