//! What statistics say of traces made by hand.

use barscope_trace::End;
use barscope_trace::event::{AccessEvent, Counted, EventKind, Outcome, Target};

use super::*;
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL, THREADED};

fn stats(sample: &Sample) -> Stats {
    sample.writer.finish(End::Finished).unwrap();
    Stats::of(&sample.path()).unwrap()
}

fn register<'a>(stats: &'a Stats, name: &str) -> &'a Accesses {
    let found = stats.registers.rows().find(|(key, _)| key.to_string() == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", stats.registers)).1
}

fn path<'a>(stats: &'a Stats, name: &str) -> &'a Accesses {
    stats.paths.get(&PathName { path: name.to_owned() }).unwrap()
}

fn function<'a>(stats: &'a Stats, name: &str) -> &'a Accesses {
    stats.functions.get(&FunctionName { function: name.to_owned() }).unwrap()
}

fn counts(accesses: &Accesses) -> (u64, u64, u64) {
    (accesses.reads, accesses.writes, accesses.refused)
}

#[test]
fn accesses_are_counted_by_register_path_function_and_vcpu() {
    let mut sample = Sample::new();
    for access in [
        AccessEvent { service_ns: 100, ..sample.kernel_read(0, 0x3142_414c) },
        AccessEvent { service_ns: 300, ..sample.kernel_read(0, 0x3142_414c) },
        sample.user_write(8, 1),
        AccessEvent { outcome: Outcome::Reserved, ..sample.user_write(0x40, 1) },
        AccessEvent {
            route: sample.bar2,
            target: Target::Memory(crate::sample::BAR2 + 0x1234),
            ..sample.user_read(0, 9)
        },
    ] {
        sample.access(access);
    }
    sample.unclaimed_read();
    sample.configuration(4, 6);
    let stats = stats(&sample);
    assert_eq!((stats.records, stats.accesses, stats.instructions), (8, 8, 8));
    assert_eq!(counts(register(&stats, "BAR0.ID")), (2, 0, 0));
    assert_eq!(counts(register(&stats, "BAR0.SCRATCH")), (0, 1, 0));
    assert_eq!(counts(register(&stats, "BAR0 reserved")), (0, 1, 1));
    assert_eq!(counts(register(&stats, "BAR2.MEMORY")), (1, 0, 0));
    assert_eq!(counts(register(&stats, "nothing")), (1, 0, 1));
    assert_eq!(counts(register(&stats, "CONFIG")), (0, 1, 0));
    assert_eq!(counts(register(&stats, "CONFIG_ADDRESS")), (0, 1, 0));
    let service = &register(&stats, "BAR0.ID").service;
    assert_eq!((service.count(), service.total(), service.max()), (2, 400, 300));
    assert_eq!(service.percentile(50), Some(103));

    assert_eq!(counts(path(&stats, "ioremap")), (3, 0, 1));
    assert_eq!(counts(path(&stats, "mmap")), (1, 2, 1));
    assert_eq!(counts(path(&stats, "port")), (0, 2, 0));
    assert_eq!(counts(function(&stats, "lab::probe")), (3, 0, 1));
    assert_eq!(counts(function(&stats, "user::touch")), (1, 2, 1));
    assert_eq!(counts(function(&stats, "no known function")), (0, 2, 0));
    assert_eq!(counts(stats.vcpus.get(&Vcpu { vcpu: Some(0) }).unwrap()), (4, 4, 2));
    assert!(stats.complete());
}

#[test]
fn an_interrupt_is_timed_from_its_message_to_the_handlers_first_access() {
    let mut sample = Sample::new();
    sample.computation();
    let stats = stats(&sample);
    let (device, busy) = stats.busy.rows().next().unwrap();
    assert_eq!((device.bdf.as_str(), device.device.as_str()), ("00:04.0", "lab"));
    assert_eq!((busy.count(), busy.total()), (1, 20_000));
    let (line, interrupts) = stats.interrupts.rows().next().unwrap();
    assert_eq!(line.mechanism, Mechanism::Message);
    assert_eq!((interrupts.raised, interrupts.lost, interrupts.masked), (1, 0, 0));
    // Two records of 10 ms host time after the message; device time goes on by 1 us with each access.
    assert_eq!((interrupts.host.count(), interrupts.host.max()), (1, 20_000_000));
    assert_eq!((interrupts.device.count(), interrupts.device.max()), (1, 1000));
}

#[test]
fn interrupts_that_do_not_arrive_are_told_apart() {
    let mut sample = Sample::new();
    let function = sample.lab;
    let message = |delivered| EventKind::Msi {
        function,
        index: 0,
        address: 0xfee0_0000,
        data: 0x31,
        delivered,
        cause: 0,
    };
    sample.event(message(false));
    sample.event(EventKind::InterruptLost { function, index: 0, why: None, cause: 0 });
    sample.event(EventKind::InterruptMasked { function, index: 0, cause: 0 });
    for asserted in [true, false] {
        sample.event(EventKind::Intx { function, asserted, gsi: 20, cause: 0 });
    }
    // A handler that answers nothing, as far as the trace can tell.
    sample.event(EventKind::IsrEnter { vector: 0x40 });
    let read = sample.kernel_read(0x14, 0);
    sample.access(read);
    let stats = stats(&sample);
    let rows = stats
        .interrupts
        .rows()
        .map(|(line, row)| (line.mechanism, row.raised, row.lost, row.masked, row.host.count()));
    let expected =
        [(Mechanism::Message, 0, 1, 1, 0), (Mechanism::Pin, 1, 0, 0, 0), (Mechanism::None, 0, 1, 0, 0)];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn a_message_to_another_vcpu_is_not_what_a_handler_answers() {
    let mut sample = Sample::new();
    let (function, data) = (sample.lab, 0x31);
    let message = |address| EventKind::Msi { function, index: 0, address, data, delivered: true, cause: 0 };
    sample.event(message(0xfee0_1000));
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    let read = sample.kernel_read(0x14, 0);
    sample.access(read);
    let stats = stats(&sample);
    let (_, row) = stats.interrupts.rows().next().unwrap();
    assert_eq!((row.raised, row.host.count()), (1, 0));
}

#[test]
fn a_pin_that_stays_asserted_is_timed_once() {
    let mut sample = Sample::new();
    let function = sample.lab;
    sample.event(EventKind::Intx { function, asserted: true, gsi: 20, cause: 0 });
    for _ in 0..3 {
        sample.event(EventKind::IsrEnter { vector: 0x40 });
        let read = sample.kernel_read(0x14, 0);
        sample.access(read);
        sample.event(EventKind::IsrExit { vector: 0x40 });
    }
    let stats = stats(&sample);
    let (_, row) = stats.interrupts.rows().next().unwrap();
    assert_eq!((row.raised, row.host.count(), row.host.max()), (1, 1, 20_000_000));
}

#[test]
fn entries_into_the_kernel_that_overflow_stop_at_the_most() {
    let mut sample = Sample::new();
    let what = Counted::KernelEntries;
    for value in [u64::MAX, 5] {
        sample.event(EventKind::Count {
            what,
            value,
            address: 0,
            error_code: 0,
            rip: 0,
            process: 0,
            call: None,
        });
    }
    let stats = stats(&sample);
    assert_eq!(stats.windows.all()[0].kernel_entries, Some(u64::MAX));
    let mut twice = stats.windows.clone();
    twice.merge(stats.windows);
    assert_eq!(twice.all()[0].kernel_entries, Some(u64::MAX));
}

#[test]
fn a_polling_loop_ends_by_its_value_or_by_another_access() {
    let mut sample = Sample::new();
    let first = sample.kernel_read(0x10, 1);
    let began = (0..4).map(|_| sample.access(first)).min().unwrap();
    let ended = sample.access(AccessEvent { value: 2, ..first });
    let other = sample.kernel_write(8, 0);
    sample.access(other);
    (0..3).for_each(|_| {
        sample.access(first);
    });
    let write = sample.access(other);
    // Twice is no loop.
    sample.access(first);
    sample.access(first);
    let polling = stats(&sample).polling;
    assert_eq!((polling.loops, polling.reads), (2, 8));
    let long = &polling.longest[0];
    assert_eq!((long.reads, long.first, long.last, long.value), (5, began, ended, 2));
    assert_eq!((long.device_ns, long.meaning.as_str()), (4000, "DONE"));
    assert_eq!(long.end, LoopEnd::Value { before: 1 });
    assert_eq!(long.code.as_deref(), Some("lab::probe lab.rs:13"));
    assert_eq!(polling.longest[1].end, LoopEnd::Access { seq: write });
}

#[test]
fn a_loop_outlasts_the_handlers_of_interrupts_but_not_its_own() {
    let mut sample = Sample::new();
    let poll = sample.kernel_read(0x10, 1);
    sample.access(poll);
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    let inside = sample.kernel_read(0x14, 0);
    (0..3).for_each(|_| {
        sample.access(inside);
    });
    sample.event(EventKind::IsrExit { vector: 0x31 });
    sample.access(poll);
    sample.access(poll);
    sample.access(poll);
    let polling = stats(&sample).polling;
    let found: Vec<_> = polling.longest.iter().map(|found| (found.reads, found.end)).collect();
    assert_eq!(found, [(4, LoopEnd::Trace), (3, LoopEnd::Handler)]);
}

#[test]
fn parts_of_one_instruction_are_no_loop() {
    let mut sample = Sample::new();
    let poll = sample.kernel_read(0x10, 1);
    for fragment in 0..8 {
        sample.event(EventKind::Access(AccessEvent { instance: 7, fragment, ..poll }));
    }
    let stats = stats(&sample);
    assert_eq!((stats.accesses, stats.instructions, stats.polling.loops), (8, 1, 0));
}

#[test]
fn what_the_guest_counted_belongs_to_scenarios_and_marks() {
    let mut sample = Sample::new();
    let count = |what, value| EventKind::Count {
        what,
        value,
        address: 0,
        error_code: 0,
        rip: 0,
        process: 0,
        call: None,
    };
    let access = sample.user_read(8, 0);
    sample.access(access);
    sample.mark("outside");
    sample.access(access);
    sample.event(count(Counted::KernelEntries, 5));
    for _ in 0..2 {
        sample.scenario_begin("no-kernel-entry");
        sample.mark("inside");
        sample.event(count(Counted::KernelEntries, 0));
        sample.event(count(Counted::FaultFatal, 1));
        sample.scenario_end(true, "");
    }
    sample.event(count(Counted::FaultResolved, 1));
    let window = |name: &str, scenario, times, accesses| Window {
        name: name.to_owned(),
        scenario,
        times,
        accesses,
        ..Window::default()
    };
    let expected = [
        window("", false, 1, 1),
        Window { kernel_entries: Some(5), faults_resolved: 1, ..window("outside", false, 1, 1) },
        Window {
            kernel_entries: Some(0),
            faults_fatal: 2,
            passed: 2,
            ..window("no-kernel-entry", true, 2, 0)
        },
    ];
    assert_eq!(stats(&sample).windows.all(), expected);
}

#[test]
fn several_traces_add_up() {
    let trace = || {
        let mut sample = Sample::new();
        sample.scenario_begin("interrupt");
        sample.computation();
        let poll = sample.kernel_read(0x10, 2);
        (0..3).for_each(|_| {
            sample.access(poll);
        });
        sample.scenario_end(true, "");
        stats(&sample)
    };
    let (one, mut both) = (trace(), Stats::default());
    both.merge(trace());
    both.merge(trace());
    assert_eq!((both.records, both.accesses), (2 * one.records, 2 * one.accesses));
    assert_eq!(counts(register(&both, "BAR0.STATUS")), (6, 0, 0));
    assert_eq!(register(&both, "BAR0.STATUS").service.count(), 6);
    assert_eq!(both.interrupts.rows().next().unwrap().1.host.count(), 2);
    assert_eq!(both.windows.all()[0].times, 2);
    assert_eq!(both.polling.longest.iter().map(|found| found.trace).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(both.coverage_counts(), one.coverage_counts());
    assert_eq!(both.traces.len(), 2);
}

#[test]
fn a_trace_that_is_not_whole_gives_partial_figures_that_say_so() {
    let mut sample = Sample::new();
    let read = sample.kernel_read(0, 1);
    sample.access(read);
    sample.writer.reserve();
    sample.writer.finish(End::Interrupted("Ctrl-C".into())).unwrap();
    let stats = Stats::of(&sample.path()).unwrap();
    assert!(!stats.complete());
    assert_eq!((stats.traces[0].end, stats.traces[0].lost), (SourceEnd::Interrupted, 1));
    let text = stats.text(80, 20, false);
    assert!(text.contains("partial: what is missing"), "{text}");
    assert!(text.contains(": interrupted: Ctrl-C\n"), "{text}");
    assert!(text.contains(": 1 record is missing\n"), "{text}");
}

#[test]
fn text_keeps_to_eighty_columns_and_has_colours_only_if_asked() {
    let mut sample = Sample::new();
    sample.computation();
    let poll = sample.kernel_read(0x10, 2);
    (0..20_000).for_each(|_| {
        sample.access(poll);
    });
    let stats = stats(&sample);
    let text = stats.text(80, 20, false);
    let body = || text.lines().skip(1);
    assert!(body().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(stats.text(80, 20, true).contains("\x1b["));
    assert_eq!(stats.text(80, usize::MAX, false), text);
    let row = "    BAR0.STATUS               20,000        0       0        -        -        -";
    assert!(body().any(|line| line == row), "{text}");
    assert!(text.contains("20,000 reads  00:04.0 BAR0.STATUS  lab::probe lab.rs:13\n"), "{text}");
}

#[test]
fn nothing_comes_to_nothing() {
    let stats = stats(&Sample::new());
    assert_eq!((stats.records, stats.accesses), (0, 0));
    let text = stats.text(80, 20, false);
    assert!(text.contains("0 records"), "{text}");
    assert!(text.contains("0 of 6   0 %"), "{text}");
}

#[test]
fn json_holds_keys_and_figures_side_by_side() {
    let mut sample = Sample::new();
    let read = AccessEvent { service_ns: 100, ..sample.kernel_read(0, 0x3142_414c) };
    sample.access(read);
    let json = serde_json::to_value(stats(&sample)).unwrap();
    let expected = serde_json::json!({
        "bdf": "00:04.0", "device": "lab", "region": "BAR0", "offset": "0x0", "register": "ID",
        "reads": 1, "writes": 0, "refused": 0,
        "service": {"count": 1, "total_ns": 100, "p50_ns": 100, "p90_ns": 100, "p99_ns": 100, "max_ns": 100},
    });
    assert_eq!(json["registers"], serde_json::json!([expected]));
    assert_eq!(json["traces"][0]["status"], "finished");
    assert_eq!(json["coverage"][0]["regions"][0]["registers"][0]["covered"], true);
}

#[test]
fn call_stacks_name_functions_and_show_how_long_handlers_take() {
    let mut sample = Sample::new();
    let test = Some(sample.process("test", 93));
    let (task, hard) = (sample.stack(test, &IOCTL, None), sample.stack(test, &HARD, None));
    let threaded = sample.stack(None, &THREADED, None);
    let start = sample.read_by("ioread32", 8, task);
    let cause = sample.access(start);
    let (lab, address, data) = (sample.lab, 0xfee0_0000, 0x31);
    sample.event(EventKind::Msi { function: lab, index: 0, address, data, delivered: true, cause });
    sample.wait(4_000);
    let read = sample.read_by("ioread32", 8, hard);
    sample.access(read);
    let read = sample.read_by("ioread32", 8, threaded);
    sample.access(read);
    let stats = stats(&sample);
    for name in ["edu_ioctl", "edu_irq", "edu_thread"] {
        assert_eq!(counts(function(&stats, name)), (1, 0, 0), "{name}");
    }
    // What interrupts it is not the process's.
    let name = ProcessName { command: Some("test".into()), pid: Some(93) };
    assert_eq!(counts(stats.processes.get(&name).unwrap()), (1, 0, 0));
    assert_eq!(counts(stats.processes.get(&ProcessName { command: None, pid: None }).unwrap()), (2, 0, 0));
    let (_, interrupts) = stats.interrupts.rows().next().unwrap();
    // The access adds a microsecond. The thread's is not the first that answers.
    assert_eq!((interrupts.raised, interrupts.device.count(), interrupts.device.max()), (1, 1, 5_000));
}
