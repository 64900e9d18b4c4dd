//! Lines as literals, and what holds for all of them.

use barscope_trace::Tail;
use barscope_trace::event::{AccessEvent, EventKind, RouteChange};
use serde_json::{Value, json};

use super::*;
use crate::Trace;
use crate::print::print;
use crate::sample::Sample;
use crate::view::Viewer;

fn printed(trace: &Trace) -> Vec<String> {
    let mut out = Vec::new();
    print(trace, &mut JsonPrinter::new(&mut out, Clock::Virtual)).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

fn interrupt() -> Sample {
    let mut sample = Sample::new();
    let decode = sample.configuration(4, 6);
    sample.add_routes(decode);
    sample.event(EventKind::Map { mapping: sample.kernel_mapping });
    sample.scenario_begin("interrupt");
    sample.computation();
    sample.scenario_end(true, "done");
    sample
}

#[test]
fn each_event_is_one_object_between_machine_and_end() {
    let trace = interrupt().finished();
    let lines = printed(&trace);
    let objects = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let kinds = objects.iter().map(|object| object["event"].as_str().unwrap()).collect::<Vec<_>>();
    let expected = [
        "machine",
        "function",
        "access",
        "access",
        "route",
        "route",
        "map",
        "scenario-begin",
        "access",
        "change",
        "change",
        "busy",
        "clock-jump",
        "change",
        "change",
        "change",
        "msi",
        "isr-enter",
        "access",
        "access",
        "change",
        "isr-exit",
        "scenario-end",
        "end",
    ];
    assert_eq!(kinds, expected);
    let seqs = objects.iter().filter_map(|object| object["seq"].as_u64()).collect::<Vec<_>>();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}

#[test]
fn an_access_has_everything_by_name() {
    let trace = interrupt().finished();
    let line = printed(&trace).into_iter().find(|line| line.contains("OPCODE")).unwrap();
    let access = serde_json::from_str::<Value>(&line).unwrap();
    assert!(line.starts_with(
        r#"{"seq":7,"event":"access","device_ns":3000,"host_ns":70000000,"vcpu":0,"scenario":"interrupt","cause":null,"#
    ));
    for (key, expected) in [
        ("bdf", json!("00:04.0")),
        ("device", json!("lab")),
        ("region", json!("BAR0")),
        ("offset", json!("0x24")),
        ("register", json!("OPCODE")),
        ("fields", json!({ "OPCODE": "FACTORIAL" })),
        ("value", json!("0x1")),
        ("write", json!(true)),
        ("size", json!(4)),
        ("cpl", json!(0)),
        ("path", json!("ioremap")),
        ("announced", json!(true)),
        ("gva", json!("0xffffc90000001024")),
        ("gpa", json!("0xfe000024")),
        ("port", Value::Null),
        ("outcome", json!("ok")),
    ] {
        assert_eq!(access[key], expected, "{key}");
    }
    assert_eq!(access["code"]["function"], "lab::start");
    assert_eq!(access["code"]["line"], 17);
    assert_eq!(access["code"]["instruction"], "mov [rdi],eax");
    let types = ["pat", "mtrr", "memory_type"].map(|name| access["walk"][name].clone());
    assert_eq!(types, ["UC-", "UC", "UC"]);
    assert_eq!(access["mapping"]["call"], "ioremap(0xfe000000, 0x1000)");
}

#[test]
fn a_lost_interrupt_and_a_cut_address_say_why() {
    let mut sample = Sample::new();
    let function = sample.lab;
    let why = Some(barscope_device::InterruptLoss::BusMasterOff);
    sample.event(EventKind::InterruptLost { function, index: 1, why, cause: 0 });
    sample.event(EventKind::InterruptLost { function, index: 1, why: None, cause: 0 });
    sample.event(EventKind::AddressCut { function, asked: 0x1_1000_2000, bits: 28, cause: 0 });
    let lines = printed(&sample.finished());
    let ending = |event: &str, at: usize| {
        let of_event = format!(r#""event":"{event}""#);
        let line = lines.iter().filter(|line| line.contains(&of_event)).nth(at).unwrap();
        line.split_once(r#""cause":null,"#).unwrap().1.to_owned()
    };
    assert_eq!(
        ending("interrupt-lost", 0),
        r#""bdf":"00:04.0","device":"lab","index":1,"why":"bus-master-off"}"#
    );
    assert_eq!(ending("interrupt-lost", 1), r#""bdf":"00:04.0","device":"lab","index":1,"why":null}"#);
    assert_eq!(
        ending("address-cut", 0),
        r#""bdf":"00:04.0","device":"lab","asked":"0x110002000","bits":28,"used":"0x2000"}"#
    );
}

#[test]
fn equal_runs_differ_in_host_times_only() {
    let run = |service_ns| {
        let mut sample = interrupt();
        let read = sample.kernel_read(8, 1);
        sample.access(AccessEvent { service_ns, ..read });
        printed(&sample.finished())
    };
    let without_host_times = |line: &String| {
        let mut object = serde_json::from_str::<Value>(line).unwrap();
        object.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "host_ns" | "service_ns"));
        object
    };
    let (first, second) = (run(100), run(200));
    assert_ne!(first, second);
    assert!(first.iter().map(without_host_times).eq(second.iter().map(without_host_times)));
}

#[test]
fn a_growing_trace_prints_the_same() {
    let mut sample = interrupt();
    let mut tail = Tail::open(&sample.path()).unwrap();
    let mut out = Vec::new();
    let mut printer = JsonPrinter::new(&mut out, tail.info().clock);
    let mut viewer = Viewer::knowing(&tail.info().capabilities);
    let mut poll = |tail: &mut Tail| {
        for event in tail.poll().unwrap() {
            let view = viewer.view(tail.definitions(), &event);
            printer.print(tail.definitions(), &view).unwrap();
        }
    };
    poll(&mut tail);
    sample.computation();
    poll(&mut tail);
    let trace = sample.finished();
    poll(&mut tail);
    printer.finish(&tail.info()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), printed(&trace));
}

#[test]
fn what_an_address_selects_and_what_is_absent_are_objects() {
    let mut sample = Sample::new();
    sample.configuration(0x10, 0xfe00_0000);
    let command = sample.configuration(0x04, 2);
    sample.add_routes(command);
    let cause = sample.configuration(0x04, 0);
    let route = sample.bar0;
    sample.event(EventKind::Route { route, change: RouteChange::Removed, cause });
    let read = sample.unclaimed_read();
    let (address, data) = (0xfee0_0000, 0x31);
    let function = sample.lab;
    let msi = sample.event(EventKind::Msi { function, index: 0, address, data, delivered: true, cause: 0 });
    let objects: Vec<_> =
        printed(&sample.finished()).iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let of = |seq: u64| objects.iter().find(|object| object["seq"] == seq).unwrap();
    let selected = json!({
        "bdf": "00:04.0", "device": "lab", "region": "CONFIG", "offset": "0x10", "register": "BAR0",
    });
    assert_eq!((&of(1)["selects"], &of(2)["selects"]), (&selected, &Value::Null));
    assert_eq!(of(2)["register"], "BAR0");
    let absent = json!({
        "bdf": "00:04.0", "device": "lab", "region": "BAR0", "address": "0xfe000000", "was_there": true,
        "since": cause, "why": "memory-space-off", "moved_to": null,
    });
    assert_eq!((&of(read)["absent"], &of(2)["absent"]), (&absent, &Value::Null));
    assert_eq!(of(msi)["bdf"], "00:04.0");
}
