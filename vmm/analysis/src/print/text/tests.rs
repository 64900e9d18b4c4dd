//! Whole outputs, as literals.

use barscope_device::{Access, InterruptLoss, Region, Register, RegisterMap, Space};
use barscope_trace::End;
use barscope_trace::definition::{Definition, Function, Path, Process, Route, Walk};
use barscope_trace::event::{AccessEvent, Counted, EventKind, Outcome, RouteChange, Target};

use super::*;

use crate::Trace;
use crate::print::print;
use crate::sample::{MMAP, Sample, count, run};

/// What is printed, without the trace's path.
fn printed(trace: &Trace, width: usize, color: bool) -> String {
    let mut out = Vec::new();
    print(trace, &mut TextPrinter::new(&mut out, Clock::Virtual, width, color)).unwrap();
    String::from_utf8(out).unwrap().replace(&trace.info().path.display().to_string(), "t")
}

/// Wider than this test's lines may be, but that is what it is about.
const ON_ONE_LINE: &str = "\
test kernel · 1 vCPU · 32 MiB · virtual device clock
00:04.0  1234:1ab0 lab  BAR0 4 KiB @ 0xfe000000, BAR2 1 MiB @ 0x800000000 pref, MSI
       2 configuration accesses (CF8/CFC 2)

scenario same-register
     7      3 us  ring 0  ioremap  lab::start         lab.rs:17    ffffc90000001008 -> fe000008  BAR0+0x008 SCRATCH    W4 0xc0ffee01
     9      3 us  map    mmap(lab, 4096, offset 0) by user 1, on first touch
    10      3 us  page fault at 0000400000000008, resolved by mapping the page
    11      4 us  ring 3  mmap     user::touch        lab.rs:29    0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0xc0ffee01
    12      4 us  0 kernel entries counted by the guest
    13      4 us  unmap  mmap(lab, 4096, offset 0) by user 1
    both reached 0xfe000008                                                                                                             PASS

scenario interrupt
    16      5 us  ring 0  ioremap  lab::start         lab.rs:17    ffffc90000001024 -> fe000024  BAR0+0x024 OPCODE     W4 0x1 FACTORIAL
      `- STATUS 0 -> BUSY, busy 20 us, RESULT 0 -> 0x78, STATUS BUSY -> DONE, INT_STATUS 0 -> DONE, MSI vector 0x31 -> vCPU 0
    26     26 us  ring 0  ioremap  lab::isr           lab.rs:21    ffffc90000001014 -> fe000014  BAR0+0x014 INT_STATUS R4 0x1 DONE
      (caused by 16)
    27     27 us  ring 0  ioremap  lab::isr           lab.rs:22    ffffc90000001014 -> fe000014  BAR0+0x014 INT_STATUS W4 0x1 DONE
      (caused by 16)
      `- INT_STATUS DONE -> 0
                                                                                                                                        PASS
";

#[test]
fn a_scenario_may_have_a_name_that_is_longer_than_any_line() {
    let mut sample = Sample::new();
    let name = "n".repeat(70_000);
    sample.scenario_begin(&name);
    sample.scenario_end(true, "it was played");
    let text = printed(&sample.finished(), 80, false);
    assert!(text.contains(&format!("  PASS  {name}  ..\n")), "{}", &text[text.len() - 300..]);
}

#[test]
fn an_access_takes_two_lines_in_80_columns() {
    let expected = "\
test kernel · 1 vCPU · 32 MiB · virtual device clock
00:04.0  1234:1ab0 lab  BAR0 4 KiB @ 0xfe000000, BAR2 1 MiB @ 0x800000000 pref,
         MSI
       2 configuration accesses (CF8/CFC 2)

scenario same-register
     7      3 us  ring 0  ioremap  lab::start  lab.rs:17
      ffffc90000001008 -> fe000008  BAR0+0x008 SCRATCH    W4 0xc0ffee01
     9      3 us  map    mmap(lab, 4096, offset 0) by user 1, on first touch
    10      3 us  page fault at 0000400000000008, resolved by mapping the page
    11      4 us  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0xc0ffee01
    12      4 us  0 kernel entries counted by the guest
    13      4 us  unmap  mmap(lab, 4096, offset 0) by user 1
    both reached 0xfe000008                                                 PASS

scenario interrupt
    16      5 us  ring 0  ioremap  lab::start  lab.rs:17
      ffffc90000001024 -> fe000024  BAR0+0x024 OPCODE     W4 0x1 FACTORIAL
      `- STATUS 0 -> BUSY, busy 20 us, RESULT 0 -> 0x78, STATUS BUSY -> DONE,
         INT_STATUS 0 -> DONE, MSI vector 0x31 -> vCPU 0
    26     26 us  ring 0  ioremap  lab::isr  lab.rs:21  (caused by 16)
      ffffc90000001014 -> fe000014  BAR0+0x014 INT_STATUS R4 0x1 DONE
    27     27 us  ring 0  ioremap  lab::isr  lab.rs:22  (caused by 16)
      ffffc90000001014 -> fe000014  BAR0+0x014 INT_STATUS W4 0x1 DONE
      `- INT_STATUS DONE -> 0
                                                                            PASS

mappings
  00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
    kernel  ioremap   ffffc90000001000  UC- -> UC, by lab::probe, 4 accesses
    user    mmap      0000400000000000  UC- -> UC, by user 1, on first touch,
                      1 access, 1 fault, 0 kernel entries

scenarios
  PASS  same-register  both reached 0xfe000008
  PASS  interrupt

2 scenarios, 2 passed · 7 accesses traced, 0 lost · 0.30 s
trace: t
";
    assert_eq!(printed(&run(), 80, false), expected);
}

#[test]
fn what_is_longer_than_the_width_is_broken_between_words() {
    let mut sample = Sample::new();
    let decode = sample.configuration(4, 6);
    sample.add_routes(decode);
    let read = sample.user_read(0x14, 0x1);
    sample.access(read);
    let trace = sample.finished();
    for width in [52, 60, 70, 80] {
        let text = printed(&trace, width, false);
        let accesses = text.split("\n\n").next().unwrap();
        let longest = accesses.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(width), "{width}: {text}");
    }
    // Colours are no words of the text.
    assert!(printed(&trace, 60, true).contains("mmap    \u{1b}[0m"));
}

/// One BAR after the other has the same address: each mapping's accesses count for what they reached.
#[test]
fn accesses_belong_to_the_bar_that_they_reached() {
    let mut sample = Sample::new();
    let decode = sample.configuration(4, 6);
    sample.add_routes(decode);
    sample.event(EventKind::Map { mapping: sample.kernel_mapping });
    let read = sample.kernel_read(8, 1);
    sample.access(read);
    let (function, region, space) =
        (Some(sample.lab), barscope_device::Region::BAR2, barscope_device::Space::Memory);
    let moved = Route { function, region, space, base: 0xfe00_0000, size: 1 << 20 };
    let moved = sample.writer.define(&Definition::Route(moved)).unwrap();
    for (route, change) in [
        (sample.bar2, RouteChange::Removed),
        (sample.bar0, RouteChange::Removed),
        (moved, RouteChange::Added),
    ] {
        sample.event(EventKind::Route { route, change, cause: decode });
    }
    sample.access(AccessEvent { route: moved, ..read });
    sample.access(AccessEvent { route: moved, ..read });
    let text = printed(&sample.finished(), 80, false);
    let mappings = text.split("\nmappings\n").nth(1).unwrap();
    let expected = "  \
  00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
    kernel  ioremap   ffffc90000001000  UC- -> UC, by lab::probe, 1 access
  00:04.0 lab BAR2 = 0xfe00000c -> fe000000-fe0fffff, 1 MiB
    kernel  ioremap   ffffc90000001000  UC- -> UC, by lab::probe, 2 accesses
";
    assert!(mappings.starts_with(expected), "{mappings}");
}

#[test]
fn an_access_takes_one_line_in_140_columns() {
    assert_eq!(printed(&run(), 140, false).split("\nmappings\n").next(), Some(ON_ONE_LINE));
}

#[test]
fn loops_are_folded() {
    let expected = "\
test kernel · 1 vCPU · 32 MiB · virtual device clock
00:04.0  1234:1ab0 lab  BAR0 4 KiB off, BAR2 1 MiB off pref, MSI

scenario loops
     2      1 us  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0x1
      x 999 more like it, to 1001
  1002      1 ms  mark pairs
  1003  1.001 ms  ring 3  mmap     user::touch  lab.rs:28
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    W4 0x1
  1004  1.002 ms  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0x1
      x 6 more of these 2, to 1016
  1017  1.015 ms  ring 3  mmap     user::touch  lab.rs:28
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    W4 0x1
  1018  1.015 ms  mark short
  1019  1.016 ms  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0x1
  1020  1.017 ms  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0x1
  1021  1.018 ms  ring 3  mmap     user::touch  lab.rs:28
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    W4 0x1
  1022  1.019 ms  ring 3  mmap     user::touch  lab.rs:29
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    R4 0x1
  1023   1.02 ms  ring 3  mmap     user::touch  lab.rs:28
      0000400000000008 -> fe000008  BAR0+0x008 SCRATCH    W4 0x1
                                                                            PASS

scenarios
  PASS  loops

1 scenario, 1 passed · 1,020 accesses traced, 0 lost · 10.24 s
trace: t
";
    assert_eq!(printed(&loops(), 80, false), expected);
}

#[test]
fn what_went_wrong_stands_out() {
    let expected = "\
test kernel · 1 vCPU · 32 MiB · virtual device clock
00:04.0  1234:1ab0 lab  BAR0 4 KiB @ 0xfe000000, BAR2 1 MiB @ 0x800000000 pref,
         MSI
       2 configuration accesses (CF8/CFC 2)

scenario decode-off
       2 configuration accesses (CF8/CFC 2)
     8      4 us  lab  BAR0 no longer decodes 0xfe000000,
         BAR2 no longer decodes 0x800000000 (caused by 7)
    10      5 us  ring 0  ioremap  lab::probe  lab.rs:13
      ffffc90000001008 -> fe000008  nothing               R4 0xffffffff
      `- nothing decodes this address: reads all-ones; BAR0 of 00:04.0 lab was
         there until record 7: Memory Space went off
    11      5 us  page fault at 0000400000000000, user write, no page: the
         program was stopped
    the read gave 0xfe, which isn't all-ones: something answered in the
    device's place                                                          FAIL

scenario interrupt
    15      5 us  warning: guest ABI: no request has number 77

mappings
  00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
    kernel  ioremap   ffffc90000001000  UC- -> UC, 1 access

scenarios
  FAIL  decode-off  the read gave 0xfe, which isn't all-ones: something answer..
  ----  interrupt   did not end

interrupted: time limit of 10 s
2 scenarios, 0 passed · 5 accesses traced, 1 lost · 0.15 s
trace: t
";
    assert_eq!(printed(&trouble(), 80, false), expected);
    let colored = printed(&trouble(), 80, true);
    assert!(colored.contains("\u{1b}[1m\u{1b}[31mFAIL\u{1b}[0m"));
    let plain = without_colors(&colored);
    assert_eq!(plain, expected);
}

#[test]
fn what_firmware_wrote_is_told_by_where_bars_are() {
    let mut sample = Sample::new();
    let (function, region) = (sample.lab, barscope_device::Region::Config);
    for (offset, new) in [(0x10, 0xfe00_0000), (0x04, 0x0103)] {
        sample.event(EventKind::Change { function, region, offset, old: 0, new, cause: 0 });
    }
    sample.add_routes(0);
    sample.mark("begin");
    let printed = printed(&sample.finished(), 100, false);
    let lab = "00:04.0  1234:1ab0 lab  BAR0 4 KiB @ 0xfe000000, BAR2 1 MiB @ 0x800000000 pref, MSI\n";
    assert!(printed.contains(lab), "{printed}");
    assert!(!printed.contains("0x103") && !printed.contains("CONFIG"), "{printed}");
}

#[test]
fn interrupts_that_nobody_got_and_addresses_that_were_cut_say_why() {
    let mut sample = Sample::new();
    sample.scenario_begin("dma");
    let function = sample.lab;
    let write = sample.kernel_write(8, 1);
    let cause = sample.access(write);
    sample.event(EventKind::AddressCut { function, asked: 0x1_1000_2000, bits: 28, cause });
    let reasons = [
        InterruptLoss::NothingEnabled,
        InterruptLoss::BusMasterOff,
        InterruptLoss::Asleep,
        InterruptLoss::MemoryWrite,
    ];
    for why in reasons.into_iter().map(Some).chain([None]) {
        sample.event(EventKind::InterruptLost { function, index: 1, why, cause });
    }
    sample.scenario_end(true, "");
    let printed = printed(&sample.finished(), 100, false);
    let expected = "\
      `- DMA address 0x110002000 cut to 28 bits: 0x2000,
         interrupt 1 lost: nothing enabled that carries it,
         interrupt 1 lost: its message can't leave, Bus Master is off,
         interrupt 1 lost: the function is in D3hot,
         interrupt 1 lost: its message is a memory write, outside 0xfee00000-0xfeefffff,
         interrupt 1 lost
";
    assert!(printed.contains(expected), "{printed}");
}

/// `text` without its colours.
fn without_colors(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

/// A loop of one access, one of two, and runs that are too short to fold.
fn loops() -> Trace {
    let mut sample = Sample::new();
    sample.scenario_begin("loops");
    let (read, write) = (sample.user_read(8, 1), sample.user_write(8, 1));
    for _ in 0..1000 {
        sample.access(read);
    }
    sample.mark("pairs");
    for _ in 0..7 {
        sample.access(write);
        sample.access(read);
    }
    sample.access(write);
    sample.mark("short");
    for access in [read, read, write, read, write] {
        sample.access(access);
    }
    sample.scenario_end(true, "");
    sample.finished()
}

/// Refusals, decoding off, a fatal fault, a failed scenario, one that never ended, lost events.
fn trouble() -> Trace {
    let mut sample = Sample::new();
    let decode = sample.configuration(4, 6);
    sample.add_routes(decode);
    sample.scenario_begin("decode-off");
    let cause = sample.configuration(4, 4);
    for route in [sample.bar0, sample.bar2] {
        sample.event(EventKind::Route { route, change: RouteChange::Removed, cause });
    }
    sample.unclaimed_read();
    count(&mut sample, Counted::FaultFatal, 1, MMAP);
    sample.scenario_end(
        false,
        "the read gave 0xfe, which isn't all-ones: something answered in the device's place",
    );
    sample.scenario_begin("interrupt");
    sample.writer.reserve();
    let text = sample.text("guest ABI: no request has number 77");
    sample.event(EventKind::Warning { text });
    sample.ended(End::Interrupted("time limit of 10 s".into()))
}

/// The lines that mention something, of all records shown one by one.
fn lines_with(trace: &Trace, words: &str) -> Vec<String> {
    let mut out = Vec::new();
    print(trace, &mut TextPrinter::new(&mut out, Clock::Virtual, 160, false).selective()).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().filter(|line| line.contains(words)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn functions_of_one_name_are_told_apart_by_address() {
    let mut sample = Sample::new();
    let mut other = Trace::open(&sample.path()).unwrap().definitions().function(sample.lab).unwrap().clone();
    other.bdf = barscope_device::Bdf::new(0, 5, 0).unwrap();
    let function = sample.writer.define(&Definition::Function(other)).unwrap();
    let region = barscope_device::Region::BAR0;
    let route =
        Route { function: Some(function), region, space: Space::Memory, base: 0xfd00_0000, size: 4096 };
    let route = sample.writer.define(&Definition::Route(route)).unwrap();
    let first = sample.kernel_write(8, 1);
    sample.access(first);
    let second = sample.access(AccessEvent { route, target: Target::Memory(0xfd00_0008), ..first });
    let (address, data) = (0xfee0_0000, 0x31);
    for function in [sample.lab, function] {
        sample.event(EventKind::Msi { function, index: 0, address, data, delivered: true, cause: 0 });
    }
    let trace = sample.finished();
    let shown = lines_with(&trace, "SCRATCH");
    assert!(
        shown[0].contains(" 00:04.0 BAR0+0x008 SCRATCH ")
            && shown[1].contains(" 00:05.0 BAR0+0x008 SCRATCH ")
    );
    assert_eq!(
        lines_with(&trace, "MSI vector"),
        [
            "3      2 us  00:04.0 lab  MSI vector 0x31 -> vCPU 0",
            "4      2 us  00:05.0 lab  MSI vector 0x31 -> vCPU 0",
        ]
    );
    assert_eq!(words::summary(trace.views().get(second).unwrap()), "W4 00:05.0 BAR0.SCRATCH 0x1");
}

#[test]
fn configuration_accesses_say_whose_register_it_is_and_what_an_address_selects() {
    let mut sample = Sample::new();
    sample.configuration(0x04, 6);
    sample.configuration(0x04, 0x10_0000);
    let absent = Target::Port { port: 0xcfc, routing_id: 0x38, offset: 0 };
    let read = AccessEvent { target: absent, size: 4, value: 0xffff_ffff, ..AccessEvent::default() };
    sample.access(AccessEvent { outcome: Outcome::Unclaimed, ..read });
    let trace = sample.finished();
    let summary = |seq| words::summary(trace.views().get(seq).unwrap());
    assert_eq!(summary(1), "W4 CONFIG_ADDRESS 0x80002004 -> 00:04.0 CONFIG.COMMAND");
    assert_eq!(summary(2), "W4 00:04.0 CONFIG.COMMAND 0x6 MEMORY_SPACE BUS_MASTER");
    assert_eq!(summary(4), "W4 00:04.0 CONFIG.COMMAND 0x100000 STATUS CAPABILITIES");
    assert_eq!(
        summary(5),
        "R4 00:07.0 CONFIG.VENDOR_ID 0xffffffff  (nothing decodes this address: reads all-ones)"
    );
    let shown = lines_with(&trace, "port cfc");
    assert!(
        shown[0].ends_with("00:04.0 CONFIG+0x004 COMMAND    W4 0x6 MEMORY_SPACE BUS_MASTER"),
        "{shown:?}"
    );
    assert!(shown[2].ends_with("00:07.0 CONFIG+0x000 VENDOR_ID  R4 0xffffffff"), "{shown:?}");
}

#[test]
fn a_bar_that_goes_is_told_outside_a_scenario_too_once_something_was_printed() {
    let mut sample = Sample::new();
    let decode = sample.configuration(4, 6);
    sample.add_routes(decode);
    let read = sample.kernel_read(8, 1);
    sample.access(read);
    let cause = sample.configuration(4, 0);
    let route = sample.bar0;
    sample.event(EventKind::Route { route, change: RouteChange::Removed, cause });
    sample.unclaimed_read();
    let text = printed(&sample.finished(), 160, false);
    assert!(!text.contains("BAR0 decodes"), "{text}");
    let expected = format!("lab  BAR0 no longer decodes 0xfe000000 (caused by {cause})\n");
    assert!(text.contains(&expected), "{text}");
}

/// A store of process 86, which is called so, after one of process 87, called `ascii`; a scenario and its summary.
fn of_processes(name: &str) -> Trace {
    let mut sample = Sample::new();
    let through = |pid, name: &str| {
        let process = Process { address_space: 0x9000, pid, thread: None, name: name.to_owned() };
        let process = sample.writer.define(&Definition::Process(process)).unwrap();
        let walk = Walk { user: true, process: Some(process), path: Path::Mmap, ..sample.ioremap_walk() };
        sample.writer.define(&Definition::Walk(walk)).unwrap()
    };
    let walks = [through(87, "ascii"), through(86, name)];
    sample.scenario_begin("二つの名前");
    for (at, walk) in (0..).zip(walks) {
        let access = AccessEvent { walk, ..sample.user_write(8, at) };
        sample.access(access);
    }
    sample.scenario_end(
        true,
        "二つのプロセスが同じレジスタに書き込み、 デバイスはそれぞれの書き込みに 応答しました",
    );
    sample.finished()
}

#[test]
fn wide_and_combining_characters_take_the_columns_that_they_have_at_a_terminal() {
    let text = printed(&of_processes("書き込みプロセスe\u{301}"), 80, false);
    let columns: Vec<_> = text.lines().map(unicode_width::UnicodeWidthStr::width).collect();
    assert!(columns.iter().all(|columns| *columns <= 80), "{columns:?}\n{text}");
    let summary = text.lines().find(|line| line.ends_with("PASS")).unwrap();
    assert_eq!(unicode_width::UnicodeWidthStr::width(summary), 80, "{text}");

    // On one line, what follows a name stands where it stands after any other.
    let text = printed(&of_processes("書き"), 200, false);
    let column = |value: &str| {
        let line = text.lines().find(|line| line.ends_with(value)).unwrap();
        let (before, _) = line.split_once("-> fe000008").unwrap();
        unicode_width::UnicodeWidthStr::width(before)
    };
    assert_eq!(column("W4 0x0"), column("W4 0x1"), "{text}");
}

/// A function with an MSI-X table in BAR4, set up and refused.
fn msix() -> Trace {
    let mut sample = Sample::new();
    let names = ["ADDRESS_LOW", "ADDRESS_HIGH", "DATA", "CONTROL"];
    let register = |(at, name): (u64, &str)| {
        let mut register = Register::new32("", 4 * at, Access::ReadWrite, "");
        register.name = format!("MSIX0_{name}").into();
        register
    };
    let registers: Vec<_> = (0..).zip(names).map(register).collect();
    let define = |definition: &Definition| sample.writer.define(definition).unwrap();
    let function = define(&Definition::Function(Function {
        bdf: "00:05.0".parse().unwrap(),
        name: "edu".into(),
        vendor: 0x1234,
        device: 0x11e8,
        bars: Vec::new(),
        msi_vectors: 0,
        msix_vectors: 1,
        register_maps: vec![RegisterMap { region: Region::BAR4, registers: registers.into() }],
        untrapped: Vec::new(),
    }));
    let route = define(&Definition::Route(Route {
        function: Some(function),
        region: Region::BAR4,
        space: Space::Memory,
        base: 0xfe00_1000,
        size: 4096,
    }));
    let entry = |sample: &Sample, offset, outcome| AccessEvent {
        route,
        target: Target::Memory(0xfe00_1000 + offset),
        outcome,
        ..sample.kernel_write(offset, 1)
    };
    sample.scenario_begin("msix");
    for offset in [0, 4, 8, 12] {
        let access = entry(&sample, offset, Outcome::Ok);
        sample.access(access);
    }
    let refused = AccessEvent { size: 1, ..entry(&sample, 12, Outcome::Width) };
    sample.access(refused);
    sample.scenario_end(true, "done");
    sample.finished()
}

#[test]
fn msix_tables_are_summed_up_but_for_what_they_refuse_and_how_to_unfold_them_is_told() {
    let text = printed(&msix(), 80, false);
    let expected = "
scenario msix
     6      5 us  ring 0  ioremap  lab::start  lab.rs:17
      ffffc9000000100c -> fe00100c  BAR4+0x00c MSIX0_CONTROL W1 0x1
      `- unsupported width: dropped
       4 accesses to MSI-X tables
    done                                                                    PASS
";
    assert!(text.contains(expected), "{text}");
    assert!(text.ends_with("trace: t\nunfold: barscope show t \"access BAR4\"\n"), "{text}");
    let mut out = Vec::new();
    print(&msix(), &mut TextPrinter::new(&mut out, Clock::Virtual, 80, false).selective()).unwrap();
    let all = String::from_utf8(out).unwrap();
    assert_eq!((all.matches("BAR4+0x").count(), all.contains("unfold")), (5, false), "{all}");
}

#[test]
fn of_a_console_only_what_is_wrong_is_printed_unless_it_is_asked_for() {
    let mut sample = Sample::new();
    for line in
        ["[    1.000000] myedu: id 1", "[    2.000000] BUG: kernel NULL pointer dereference, address: 0"]
    {
        let text = sample.text(line);
        sample.event(EventKind::Console { text });
    }
    let trace = sample.finished();
    let oops = "     2      0 us  console: [    2.000000] BUG: kernel NULL pointer dereference,\n         address: 0\n";
    let text = printed(&trace, 80, false);
    assert!(text.contains(oops) && !text.contains("myedu"), "{text}");
    let mut out = Vec::new();
    print(&trace, &mut TextPrinter::new(&mut out, Clock::Virtual, 80, false).selective()).unwrap();
    let all = String::from_utf8(out).unwrap();
    assert!(
        all.contains("     1      0 us  console: [    1.000000] myedu: id 1\n") && all.contains(oops),
        "{all}"
    );
}

#[test]
fn each_kind_of_address_has_its_colour() {
    let colored = printed(&run(), 140, true);
    for words in ["\u{1b}[34mffffc90000001008", "\u{1b}[35m0000400000000008", "\u{1b}[36m-> fe000008"] {
        assert!(colored.contains(words), "no {words:?} in {colored}");
    }
}
