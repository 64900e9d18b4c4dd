//! Perfetto's format, decoded with the definitions that Perfetto publishes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;

use barscope_device::{Bdf, Region, Space};
use barscope_export::PerfettoPrinter;
use barscope_trace::definition::{Entered, Frame, Function, Image, Machine, Process, Route, Stack};
use barscope_trace::event::{AccessEvent, Target};
use barscope_trace::{Clock, Definition, End, Event, EventKind, Writer};

use super::*;

/// The Python that has Perfetto's package: xtask sets it up.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
    target.join("perfetto/bin/python")
}

fn decoded(trace: &Trace) -> Result<Vec<Value>> {
    let (_folder, path) = place("perfetto")?;
    exported(trace, PerfettoPrinter::new(BufWriter::new(File::create(&path)?)))?;
    read_by(&python(), "read_perfetto.py", &path)
}

/// Beginnings of slices on a track of this name.
fn slices<'a>(events: &'a [Value], track: &str) -> Vec<&'a Value> {
    let begins = |event: &&Value| event["type"] == "TYPE_SLICE_BEGIN" && event["track"][0] == track;
    events.iter().filter(begins).collect()
}

#[test]
#[ignore = "needs python3 and PyPI's perfetto"]
fn perfettos_own_definitions_decode_every_record() -> Result<()> {
    let trace = sample()?;
    let events = decoded(&trace)?;
    let count =
        |wanted: fn(&EventKind) -> bool| trace.events().iter().filter(|event| wanted(&event.kind)).count();
    // Accesses on their vCPU's track, which is one of the machine's.
    let accesses: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "TYPE_INSTANT" && event["track"][0] == "vCPU 0")
        .collect();
    assert!(accesses.iter().all(|event| event["track"][1] == "machine"));
    let by_record: BTreeMap<_, _> =
        accesses.iter().map(|event| (event["notes"]["record"].as_u64(), *event)).collect();
    assert_eq!(by_record.len(), count(|kind| matches!(kind, EventKind::Access(_))));
    for view in trace.views().all() {
        let Some(access) = view.access() else { continue };
        let event = by_record[&Some(view.seq)];
        assert_eq!(event["ns"], view.device_ns);
        assert_eq!(event["notes"]["value"], access.value);
        let flows: Vec<_> = [Some(view.seq), view.cause()].into_iter().flatten().map(Value::from).collect();
        assert_eq!(event["flows"], Value::Array(flows));
        if let Some(made) = view.made() {
            assert_eq!(event["code"][0], made.function().unwrap_or_default());
            assert_eq!(event["code"][2], made.by.line.unwrap_or(0));
        }
    }
    let busy = slices(&events, "busy");
    assert_eq!(busy.len(), count(|kind| matches!(kind, EventKind::Busy { .. })));
    assert_eq!(slices(&events, "vCPU 0").len(), count(|kind| matches!(kind, EventKind::IsrEnter { .. })));
    assert_eq!(
        slices(&events, "scenarios").len(),
        count(|kind| matches!(kind, EventKind::ScenarioBegin { .. }))
    );
    let maps = events
        .iter()
        .filter(|event| event["type"] == "TYPE_SLICE_BEGIN" && event["notes"]["physical"].is_number());
    assert_eq!(maps.count(), count(|kind| matches!(kind, EventKind::Map { .. })));
    // One flow from the write that starts a computation, by way of its message, to its handler and what that does.
    let cause = busy[0]["flows"][0].as_u64().context("a cause")?;
    let chain: Vec<_> = events
        .iter()
        .filter(|event| event["flows"].as_array().is_some_and(|flows| flows.contains(&cause.into())))
        .filter_map(|event| event["name"].as_str())
        .collect();
    let expected = [
        "W lab OPCODE",
        "STATUS",
        "OPCODE",
        "busy",
        "STATUS",
        "INT_STATUS",
        "RESULT",
        "MSI 0",
        "handler of vector 0x31",
        "R lab INT_STATUS",
        "W lab INT_STATUS",
    ];
    assert_eq!(chain, expected);
    Ok(())
}

/// Two accesses within a system call, one of the program itself, one within an interrupt.
#[test]
#[ignore = "needs python3 and PyPI's perfetto"]
fn processes_have_slices_of_what_they_were_in() -> Result<()> {
    let (_folder, path) = place("trace")?;
    let writer = Writer::create(&path, Clock::Virtual)?;
    let define = |definition| writer.define(&definition);
    define(Definition::Machine(Machine { guest: "linux".into(), vcpus: 1, memory: 1 << 25 }))?;
    let function = define(Definition::Function(Function {
        bdf: Bdf::from_routing_id(0x20),
        name: "card".into(),
        vendor: 1,
        device: 2,
        bars: Vec::new(),
        msi_vectors: 0,
        msix_vectors: 0,
        register_maps: Vec::new(),
        untrapped: Vec::new(),
    }))?;
    let (space, base, size) = (Space::Memory, 0xfe00_0000, 4096);
    let route = Route { function: Some(function), region: Region::BAR0, space, base, size };
    let route = define(Definition::Route(route))?;
    let process = define(Definition::Process(Process {
        address_space: 0x5000,
        pid: 77,
        thread: None,
        name: "tool".into(),
    }))?;
    let stack = |frames| define(Definition::Stack(Stack { process: Some(process), frames, cut: None }));
    let frame = |how| Frame { how, address: 0x40_0000, cr3: 0, image: None };
    let ioctl = stack(vec![frame(Entered::SystemCall { number: 16 })])?;
    let kernel = Definition::Image(Image::new("kernel", None));
    let kernel = writer.define_with_blob(&kernel, b"ffffffff81000000 100 __handle_irq_event_percpu\n")?;
    let handler = Frame { address: 0xffff_ffff_8100_0010, image: Some(kernel), ..frame(Entered::Call) };
    let interrupt = stack(vec![handler, frame(Entered::Interrupt)])?;
    let own = stack(Vec::new())?;
    let mut lane = writer.lane(Some(0));
    for (ns, stack, cpl) in [(10, ioctl, 0), (20, ioctl, 0), (30, own, 3), (40, interrupt, 0)] {
        let access = AccessEvent {
            route,
            target: Target::Memory(0xfe00_0008),
            size: 4,
            cpl,
            stack,
            instruction: define(Definition::Instruction(barscope_trace::definition::Instruction {
                rip: 0x1000,
                bytes: vec![0x8b, 7],
                cr3: 0,
                ambiguous: false,
                code_size: 64,
                image: None,
            }))?,
            ..AccessEvent::default()
        };
        let kind = EventKind::Access(access);
        lane.record(&Event { seq: writer.reserve(), host_ns: ns, device_ns: ns, vcpu: Some(0), kind })?;
    }
    writer.finish(End::Finished)?;
    let events = decoded(&Trace::open(&path)?)?;
    let track = "tool (guest's thread 77)";
    let on: Vec<_> = events.iter().filter(|event| event["track"][0] == track).collect();
    assert!(on.iter().all(|event| event["track"][1] == "tool (guest's pid 77)"));
    let said: Vec<_> = on.iter().map(|event| (event["ns"].as_u64(), event["name"].as_str())).collect();
    let expected = [(10, Some("ioctl")), (20, None), (30, Some("program")), (30, None)]
        .map(|(ns, name)| (Some(ns), name));
    assert_eq!(said, expected);
    let handlers = slices(&events, "vCPU 0");
    assert_eq!(handlers.len(), 1);
    assert_eq!((&handlers[0]["ns"], &handlers[0]["name"]), (&40.into(), &"interrupt handler".into()));
    Ok(())
}
