//! What is printed is what the schema says, for every kind of event.

use std::collections::BTreeSet;

use barscope_trace::definition::Cut;
use barscope_trace::event::KINDS;
use barscope_trace::{Clock, Id};
use boon::{Compiler, Schemas};
use serde_json::Value;

use super::schema;
use crate::print::{JsonPrinter, print};
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL};

/// Holds lines against the schema; what is wrong with the first that isn't like it.
fn validate(lines: &[Value]) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("events", schema()).map_err(|error| error.to_string())?;
    let compiled = compiler.compile("events", &mut schemas).map_err(|error| error.to_string())?;
    for line in lines {
        schemas.validate(line, compiled).map_err(|error| format!("{line}\n{error:#}"))?;
    }
    Ok(())
}

/// Events of every kind, of things that are there and of things that aren't.
fn printed() -> Vec<Value> {
    let mut sample = Sample::new();
    sample.play();
    let text = sample.text("text");
    let sound = [sample.lab, sample.bar0, sample.user_mapping, text, sample.mmap];
    sample.record_each(sound, 16);
    let lab = sample.lab;
    sample.record_each([text, text, text, lab, lab], 0);
    sample.record_each([0; 5], u64::MAX);
    sample.record_each([Id::MAX; 5], 100);
    sample.unclaimed_read();
    let process = sample.process("test", 93);
    for (frames, cut) in [(&IOCTL[..], None), (&HARD, None), (&IOCTL[..1], Some(Cut::Asked)), (&[], None)] {
        let stack = sample.stack(Some(process), frames, cut);
        let read = sample.read_by("pci_enable_resources", 8, stack);
        sample.access(read);
        let read = sample.read_by("ioread32", 8, stack);
        sample.access(read);
    }
    let mut out = Vec::new();
    print(&sample.finished(), &mut JsonPrinter::new(&mut out, Clock::Virtual)).unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_kind_is_printed_as_the_schema_says() {
    let lines = printed();
    let printed: BTreeSet<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    let missing: Vec<_> = KINDS.iter().map(|kind| kind.name).filter(|name| !printed.contains(name)).collect();
    assert!(missing.is_empty(), "sample/each.rs has no event of {missing:?}");
    assert_eq!(validate(&lines), Ok(()));
}

#[test]
fn an_access_names_who_made_it_and_its_callers() {
    let lines = printed();
    let made = |line: &&Value| line["made_by"]["function"] == "edu_ioctl" && line["context"] == "task";
    let access = lines.iter().find(made).unwrap();
    let own = ["accessor", "module", "file", "asked_by"].map(|key| &access["made_by"][key]);
    assert_eq!(own, [&Value::from("ioread32"), &"edu".into(), &Value::Null, &Value::Null]);
    assert_eq!((&access["system_call"], &access["process"]["pid"]), (&"ioctl".into(), &93.into()));
    let frames = access["stack"]["frames"].as_array().unwrap();
    let entered: Vec<_> = frames.iter().map(|frame| (&frame["function"], &frame["entered"])).collect();
    assert_eq!(entered[0], (&"edu_ioctl".into(), &"call".into()));
    let program = frames.iter().find(|frame| frame["number"] == 16).unwrap();
    assert_eq!(program["entered"], "system-call");
    let kernels = lines.iter().find(|line| line["made_by"]["asked_by"]["function"] == "edu_ioctl").unwrap();
    assert_eq!(kernels["made_by"]["function"], "pci_enable_resources");
}

#[test]
fn what_the_schema_does_not_say_is_refused() {
    let lines = printed();
    let of = |kind: &str| lines.iter().find(|line| line["event"] == kind).unwrap().clone();
    let changed = |kind: &str, key: &str, value: Value| {
        let mut line = of(kind);
        line[key] = value;
        validate(&[line])
    };
    assert_eq!(changed("access", "value", "0x1".into()), Ok(()));
    for (kind, key, value) in [
        ("access", "value", Value::from(1)),
        ("access", "value", "0x01".into()),
        ("access", "size", "4".into()),
        ("access", "telepath", true.into()),
        ("msi", "data", 49.into()),
        ("dma", "outcome", "maybe".into()),
        ("change", "event", "changed".into()),
    ] {
        assert!(changed(kind, key, value.clone()).is_err(), "{kind} {key} {value}");
    }
    let mut without = of("mark");
    without.as_object_mut().unwrap().remove("text");
    assert!(validate(&[without]).is_err());
}
