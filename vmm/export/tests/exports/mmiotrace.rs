//! mmiotrace, read by a program that knows the kernel's documentation only.

use std::fs::File;

use barscope_analysis::view::BusAddress;
use barscope_export::MmiotracePrinter;
use barscope_trace::EventKind;

use super::*;

#[test]
#[ignore = "needs python3"]
fn mmiotraces_reader_finds_every_access_to_memory() -> Result<()> {
    let trace = sample()?;
    let (_folder, path) = place("mmiotrace")?;
    exported(&trace, MmiotracePrinter::new(File::create(&path)?, trace.info().clock))?;
    let lines = read_by("python3".as_ref(), "read_mmiotrace.py", &path)?;
    let of = |keywords: &'static [&'static str]| {
        lines.iter().filter(move |line| keywords.iter().any(|keyword| line["line"] == *keyword))
    };
    let accesses: Vec<_> = of(&["R", "W"]).collect();
    let expected: Vec<_> = trace
        .views()
        .all()
        .iter()
        .filter_map(|view| Some((view, view.access()?)))
        .filter(|(_, access)| matches!(access.address(), BusAddress::Memory(_)))
        .collect();
    assert_eq!(accesses.len(), expected.len());
    assert!(accesses.iter().any(|line| line["width"] == 8), "accesses of all widths");
    for (line, (view, access)) in accesses.into_iter().zip(expected) {
        assert_eq!(line["line"], if access.write { "W" } else { "R" });
        assert_eq!(line["width"], access.size);
        assert_eq!(line["time"], view.device_ns / 1000);
        assert_eq!(line["value"], access.value);
        assert_eq!(line["pc"], access.code().map_or(0, |code| code.rip));
        assert_eq!(line["physical"], view.gpa().unwrap_or(0));
        // By way of the mapping's line.
        assert_eq!(line["virtual"], view.gva().unwrap_or(0), "{line}");
    }
    let count =
        |wanted: fn(&EventKind) -> bool| trace.events().iter().filter(|event| wanted(&event.kind)).count();
    assert_eq!(of(&["UNMAP"]).count(), count(|kind| matches!(kind, EventKind::Unmap { .. })));
    let said: Vec<Value> = of(&["MARK"])
        .filter_map(|line| line["text"].as_str()?.strip_prefix("barscope "))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    for (event, expected) in [
        ("msi", count(|kind| matches!(kind, EventKind::Msi { .. }))),
        ("dma", count(|kind| matches!(kind, EventKind::Dma { .. }))),
        ("intx", count(|kind| matches!(kind, EventKind::Intx { .. }))),
        ("scenario-begin", count(|kind| matches!(kind, EventKind::ScenarioBegin { .. }))),
        ("end", 1),
    ] {
        assert_eq!(said.iter().filter(|line| line["event"] == event).count(), expected, "{event}");
    }
    assert!(of(&["MARK"]).any(|line| line["text"] == "not played: two-vcpus, since there is no second CPU"));
    let lab = of(&["PCIDEV"]).find(|line| line["place"] == "0020").context("no lab")?;
    assert_eq!(lab["ids"], "12341ab0");
    let bars: Vec<_> = lab["bars"].as_array().context("no BARs")?.iter().map(Value::as_u64).collect();
    let addresses = [0xfe00_0000, 0xc001, 0x8_0000_000c, 0, 0xfe00_1000, 0xfe00_2000, 0xfea0_0000].map(Some);
    assert_eq!(bars, addresses);
    Ok(())
}

#[test]
fn lost_records_are_told_as_the_kernel_tells_them() -> Result<()> {
    let (_folder, path) = place("trace")?;
    let mut stream = barscope_trace::Stream::open(SAMPLE.as_ref())?;
    let lost = 100..107;
    barscope_trace::rewrite::copy(&mut stream, &path, |event| {
        (!lost.contains(&event.seq)).then_some(*event)
    })?;
    let trace = Trace::open(&path)?;
    let mut out = Vec::new();
    exported(&trace, MmiotracePrinter::new(&mut out, trace.info().clock))?;
    let text = String::from_utf8(out)?;
    assert_eq!(text.lines().filter(|line| *line == "MARK 0.000000 Lost 7 events.").count(), 1);
    assert_eq!(text.matches("Lost").count(), 1);
    Ok(())
}
