//! Whole outputs, as literals; and that no record makes it fail.

mod every_record;

use barscope_trace::End;
use barscope_trace::definition::{Cut, Definition, MemoryType, Path, Walk};
use barscope_trace::event::{AccessEvent, Counted, Outcome, Target};

use super::*;
use crate::sample::stacks::{HARD, IOCTL};
use crate::sample::{MMAP, Sample, address, count};

fn drawn(explanation: &Explanation, width: usize) -> String {
    let mut out = Vec::new();
    print(&mut out, explanation, width, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// The trace of a sample that is done.
fn finished(sample: &Sample) -> PathBuf {
    sample.writer.finish(End::Finished).unwrap();
    sample.path()
}

fn explained(sample: &Sample, seq: u64) -> String {
    drawn(&explain(&finished(sample), seq).unwrap(), 80)
}

/// The rows with these labels.
fn rows(text: &str, labels: &[&str]) -> Vec<String> {
    let labelled =
        |line: &&str| labels.iter().any(|label| line.trim_start_matches(['|', ' ']).starts_with(label));
    text.lines().filter(labelled).map(str::to_owned).collect()
}

fn played() -> Sample {
    let mut sample = Sample::new();
    sample.play();
    sample
}

#[test]
fn an_access_is_drawn_layer_by_layer_with_all_that_followed() {
    let expected = "\
record 16: W4 BAR0.OPCODE 0x1 FACTORIAL
scenario interrupt, vCPU 0, 5 us device clock, 160 ms host

code           lab::start lab.rs:17
| instruction  mov [rdi],eax, at RIP
| privilege    ring 0, kernel
v
virtual        ffffc90000001024
| mapping      ioremap(0xfe000000, 0x1000), by lab::probe
| made         record 5, announced
| filled       at once
v
page walk      CR3 3000
| PML4         [402] 7003 S W
| PDPT         [000] 8003 S W
| PD           [000] 9003 S W
| PT           [001] fe00001b S W PWT PCD
| page         4 KiB
| rights       ring 0 only, writable
| memory type  PAT asks UC- (entry 3, PWT PCD), MTRR says UC -> UC,
|              uncached: each access goes out by itself, in order
v
physical       fe000024
| KVM exit     KVM_EXIT_MMIO
| route        fe000000-fe000fff, 00:04.0 lab BAR0, since record 3 (by 2)
v
register       BAR0+0x024 OPCODE, RW, 4 bytes
| write        0x1 FACTORIAL, 4 bytes
| value        0x0 -> 0x1
| fields       OPCODE[31:0] 0 -> 1 FACTORIAL
| kernel entry none: it is the kernel
v
device         time since record 16: of the device clock, of the host
        17      +0 us       +10 ms  OPCODE 0 -> FACTORIAL
        18      +0 us       +20 ms  STATUS 0 -> BUSY
        19      +0 us       +30 ms  busy 20 us
        21     +20 us       +50 ms  RESULT 0 -> 0x78
        22     +20 us       +60 ms  STATUS BUSY -> DONE
        23     +20 us       +70 ms  INT_STATUS 0 -> DONE
        24     +20 us       +80 ms  MSI vector 0x31 -> vCPU 0
        25     +20 us       +90 ms  interrupt handler 0x31 begins
        26     +21 us      +100 ms  R4 BAR0.INT_STATUS 0x1 DONE,
                                    lab::isr lab.rs:21
        27     +22 us      +110 ms  W4 BAR0.INT_STATUS 0x1 DONE,
                                    lab::isr lab.rs:22
        28     +22 us      +120 ms    INT_STATUS DONE -> 0
";
    let rip = format!("{:x}", address("lab::start", 17));
    assert_eq!(explained(&played(), 16).replace(&rip, "RIP"), expected);
}

#[test]
fn a_bar_that_no_access_put_there_was_put_there_by_firmware() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let read = sample.kernel_read(8, 0);
    let seq = sample.access(read);
    let text = explained(&sample, seq);
    let route = "| route        fe000000-fe000fff, 00:04.0 lab BAR0, since record 1 (by firmware)\n";
    assert!(text.contains(route), "{text}");
}

#[test]
fn an_interrupt_is_explained_by_the_access_that_led_to_it() {
    let expected = "\
record 24: MSI vector 0x31 -> vCPU 0
scenario interrupt, 00:04.0 lab by itself, 25 us device clock, 240 ms host

what           message-signalled interrupt of 00:04.0 lab,
               vector 0 of the function: 0x31 written to fee00000, KVM took it
caused by      record 16: W4 BAR0.OPCODE 0x1 FACTORIAL, lab::start lab.rs:17

device         time since record 16: of the device clock, of the host
        17      +0 us       +10 ms  OPCODE 0 -> FACTORIAL
";
    let text = explained(&played(), 24);
    assert_eq!(text.get(..expected.len()), Some(expected));
    assert!(text.contains("\n>       24     +20 us       +80 ms  MSI vector 0x31 -> vCPU 0\n"), "{text}");
}

#[test]
fn the_ends_of_a_handler_belong_to_the_access_that_led_to_the_interrupt() {
    let sample = played();
    let path = finished(&sample);
    for seq in [25, 29] {
        assert_eq!(explain(&path, seq).unwrap().cause.map(|cause| cause.seq), Some(16), "{seq}");
    }
    let handler = ["| handler      interrupt caused by record 16"];
    assert_eq!(rows(&explained(&sample, 26), &["handler"]), handler);
}

/// What is drawn above the layers, and the code's layer.
fn way_of(frames: &[crate::sample::stacks::Outer<'_>], cut: Option<Cut>) -> String {
    let mut sample = Sample::new();
    let test = sample.process("test", 93);
    let stack = sample.stack(Some(test), frames, cut);
    let read = sample.read_by("ioread32", 8, stack);
    let seq = sample.access(read);
    let text = explained(&sample, seq);
    let (_, from) = text.split_once("\n\n").unwrap();
    from.split_once("v\nvirtual").unwrap().0.to_owned()
}

#[test]
fn the_way_goes_from_the_programs_line_to_the_instruction() {
    let expected = "\
process        test 93
| program      lab::probe lab.rs:13
| program      user::touch lab.rs:28
| system call  ioctl
| kernel       do_syscall_64+0x21
| kernel       __x64_sys_ioctl+0x21
| module       edu_ioctl+0x21 [edu]
| accessor     ioread32+0x20
v
code           edu_ioctl < ioread32
| instruction  mov eax,[rdi], at ffffffff81000020
| privilege    ring 0, kernel, test 93
";
    let way = way_of(&IOCTL, None);
    // What is inlined into the program's functions stands behind them.
    let plain: Vec<_> =
        way.lines().filter(|line| !line.contains("_volatile") && !line.contains("inlined")).collect();
    assert_eq!(plain.join("\n") + "\n", expected);
}

#[test]
fn the_way_says_what_was_interrupted_and_why_callers_are_missing() {
    let expected = "\
process        test 93, interrupted: none of this is its own
| kernel       default_idle+0x20
| interrupt    what follows interrupts that
| kernel       common_interrupt+0x21
| kernel       handle_irq_event+0x21
| kernel       __handle_irq_event_percpu+0x21
| module       edu_irq+0x21 [edu]
| accessor     ioread32+0x20
v
code           edu_irq < ioread32
| instruction  mov eax,[rdi], at ffffffff81000020
| privilege    ring 0, kernel
| handler      of a device, interrupts off
";
    assert_eq!(way_of(&HARD, None), expected);
    let cut = way_of(&IOCTL[..1], Some(Cut::Asked));
    assert!(
        cut.starts_with(
            "process        test 93, perhaps interrupted\n\
             | cut          more callers were not asked for: --stacks full has them\n"
        ),
        "{cut}"
    );
}

#[test]
fn a_mapping_filled_on_first_touch_names_the_page_fault() {
    let text = explained(&played(), 11);
    let expected = [
        "| filled       by a page fault, record 10",
        "  kernel entry record 12: 0 kernel entries counted by the guest",
    ];
    assert_eq!(rows(&text, &["filled", "kernel entry"]), expected);
}

#[test]
fn a_mapping_is_explained_with_its_use_from_its_beginning_from_its_end_and_from_its_page_fault() {
    let expected = "\
mapping        0000400000000000-0000400000000fff -> fe000000-fe000fff, 4 KiB,
               in the address space of CR3 5000
               mmap(lab, 4096, offset 0) by user 1, made in record 9,
               undone in record 13, filled on first touch
used           00:04.0 lab BAR0, 1 access, record 11, memory type UC- -> UC,
               1 page fault
";
    for seq in [9, 10, 13] {
        assert!(explained(&played(), seq).ends_with(expected), "{seq}");
    }
    let mut sample = Sample::new();
    let fault = count(&mut sample, barscope_trace::event::Counted::FaultFatal, 1, MMAP);
    assert!(explained(&sample, fault).ends_with("no mapping of a device held the address\n"));
}

#[test]
fn two_accesses_are_set_side_by_side_and_what_differs_is_marked() {
    let expected = "             record 7, ioremap           record 11, mmap
code         lab::start lab.rs:17        user::touch lab.rs:29
instruction  mov [rdi],eax, at RIP111    mov eax,[rdi], at RIP222
privilege    ring 0, kernel              ring 3, user                <- differs
virtual      ffffc90000001008            0000400000000008            <- differs
mapping      ioremap(0xfe000000, 0x1000) mmap(lab, 4096, offset 0)   <- differs
             by lab::probe               by user 1
made         record 5, announced         record 9, announced
                                         undone in record 13
filled       at once                     by a page fault, record 10  <- differs
page walk    CR3 3000                    CR3 5000
PML4         [402] 7003 S W              [128] 7007 U W              <- U
PDPT         [000] 8003 S W              [000] 8007 U W              <- U
PD           [000] 9003 S W              [000] 9007 U W              <- U
PT           [001] fe00001b S W PWT PCD  [000] fe00001f U W PWT PCD  <- U
page         4 KiB                       4 KiB                       == same
rights       ring 0 only, writable       ring 3 too, writable        <- differs
memory type  PAT asks UC- (entry 3, PWT  PAT asks UC- (entry 3, PWT  == same
             PCD), MTRR says UC -> UC    PCD), MTRR says UC -> UC
             uncached: each access goes  uncached: each access goes
             out by itself, in order     out by itself, in order
physical     fe000008                    fe000008                    == same
KVM exit     KVM_EXIT_MMIO               KVM_EXIT_MMIO               == same
route        fe000000-fe000fff           fe000000-fe000fff           == same
             00:04.0 lab BAR0            00:04.0 lab BAR0
             since record 3 (by 2)       since record 3 (by 2)
register     BAR0+0x008 SCRATCH, RW      BAR0+0x008 SCRATCH, RW      == same
             4 bytes                     4 bytes
write        0xc0ffee01, 4 bytes
value        0x0 -> 0xc0ffee01
read                                     0xc0ffee01, 4 bytes
kernel entry none: it is the kernel      record 12: 0 kernel entries
                                         counted by the guest

Both reached fe000008, which is BAR0.SCRATCH of 00:04.0 lab. They differ in:
privilege, virtual address, mapping, filled, page-table bit U, rights.
";
    let sample = played();
    let mut out = Vec::new();
    compare(&finished(&sample), 7, 11).unwrap().print(&mut out, 80, false).unwrap();
    let mut text = String::from_utf8(out).unwrap();
    for (name, function, line) in [("RIP111", "lab::start", 17), ("RIP222", "user::touch", 29)] {
        text = text.replace(&format!("{:x}", address(function, line)), name);
    }
    assert_eq!(text, expected);
}

#[test]
fn only_accesses_are_compared() {
    let sample = played();
    let error = compare(&finished(&sample), 7, 24).unwrap_err();
    let expected = "record 24 is no access, so it has no layers to compare: MSI vector 0x31 -> vCPU 0";
    assert_eq!(error.to_string(), expected);
}

/// The page walk of an address of a program, that nothing accesses: a page of memory, and the device's beside it.
fn walks(sample: &mut Sample) -> (u64, u64) {
    let device = sample.user_walk();
    let leaf = 0x9a3_1000 | 7;
    let entries = [&device.entries[..3], &[leaf]].concat();
    let memory = Walk {
        page: MMAP + 0x1000,
        entries,
        pat: Some(MemoryType::WriteBack),
        mtrr: Some(MemoryType::WriteBack),
        memory_type: MemoryType::WriteBack,
        path: Path::Unknown,
        announced: false,
        mapping: None,
        ..device.clone()
    };
    let route = sample.bar0;
    let texts = [sample.text("the device's file"), sample.text("a regular file")];
    let ids = [device, memory].map(|walk| sample.writer.define(&Definition::Walk(walk)).unwrap());
    let walk = |at: usize, address, gpa, route| EventKind::PageWalk {
        cpl: 3,
        text: texts[at],
        address,
        walk: ids[at],
        gpa: Some(gpa),
        route,
    };
    let device = sample.event(walk(0, MMAP + 8, 0xfe00_0008, route));
    let memory = sample.event(walk(1, MMAP + 0x1008, 0x9a3_1008, 0));
    (device, memory)
}

#[test]
fn a_page_walk_is_drawn_without_an_access() {
    let expected = "\
record 2: page walk of a regular file: 0000400000001008 -> 9a31008, memory, WB
vCPU 0, 0 us device clock, 20 ms host

asked by       ring 3
v
virtual        0000400000001008
v
page walk      CR3 5000
| PML4         [128] 7007 U W
| PDPT         [000] 8007 U W
| PD           [000] 9007 U W
| PT           [001] 9a31007 U W
| page         4 KiB
| rights       ring 3 too, writable
| memory type  PAT asks WB (entry 0, no bits), MTRR says WB -> WB,
|              cached: loads and stores need not leave the processor
v
physical       9a31008
  leads to     memory, no device's
";
    let mut sample = Sample::new();
    let (_, memory) = walks(&mut sample);
    assert_eq!(explained(&sample, memory), expected);
}

#[test]
fn a_page_that_is_not_there_ends_the_walk() {
    let mut sample = Sample::new();
    let text = sample.text("nothing");
    let walk = EventKind::PageWalk { cpl: 0, text, address: 0x1000, walk: 0, gpa: None, route: 0 };
    let seq = sample.event(walk);
    let text = explained(&sample, seq);
    assert!(text.contains("page walk of nothing: 0000000000001000, no page"), "{text}");
    assert!(
        text.contains("page walk      ends at an entry that isn't present: an access would fault"),
        "{text}"
    );
    assert!(!text.contains("leads to"), "{text}");
}

#[test]
fn the_walks_of_a_device_and_of_a_file_differ_in_a_bit_of_the_last_entry() {
    let mut sample = Sample::new();
    let (device, memory) = walks(&mut sample);
    let compared = compare(&finished(&sample), device, memory).unwrap();
    let of = |label: &str| compared.rows.iter().find(|row| row.label == label).unwrap();
    assert_eq!(of("PD").bits.as_deref(), Some(&[][..]));
    assert_eq!(of("PT").bits.as_deref(), Some(&["PWT", "PCD"][..]));
    assert_eq!(of("leads to").left, ["BAR0+0x008 SCRATCH, a device's"]);
    assert_eq!(of("leads to").right, ["memory, no device's"]);
}

#[test]
fn a_path_that_was_inferred_says_so() {
    let mut sample = Sample::new();
    let read = AccessEvent { walk: sample.inferred_walk(), ..sample.kernel_read(8, 0) };
    let seq = sample.access(read);
    let expected = ["| mapping      ioremap: inferred from the page walk, not announced"];
    assert_eq!(rows(&explained(&sample, seq), &["mapping"]), expected);
}

#[test]
fn halves_and_parts_of_an_instruction_name_each_other() {
    let mut sample = Sample::new();
    let half = AccessEvent { read_modify_write: true, ..sample.kernel_read(8, 1) };
    let read = sample.access(half);
    let instance = 1;
    let write = sample.event(EventKind::Access(AccessEvent { write: true, instance, ..half }));
    let first = sample.kernel_read(0x10, 0);
    let seq = sample.access(first);
    for fragment in [4, 8] {
        let target = Target::Memory(crate::sample::BAR0 + 0x10 + u64::from(fragment));
        sample.event(EventKind::Access(AccessEvent { instance: 2, fragment, target, ..first }));
    }
    for (seq, expected) in [
        (read, "of a read-modify-write: record 2 writes back"),
        (write, "of a read-modify-write: record 1 reads first"),
        (seq, "one of 3 of one instruction: also records 4, 5"),
    ] {
        assert_eq!(rows(&explained(&sample, seq), &["parts"]), [format!("| parts        {expected}")]);
    }
}

#[test]
fn an_access_that_nothing_decodes_has_no_route() {
    let mut sample = Sample::new();
    let seq = sample.unclaimed_read();
    let port = Target::Port { port: 0xc004, routing_id: 0, offset: 0 };
    let ins = AccessEvent { target: port, size: 4, outcome: Outcome::Unclaimed, ..AccessEvent::default() };
    let ins = sample.access(ins);
    let expected = [
        "| KVM exit     KVM_EXIT_MMIO",
        "| route        none: no function of this machine decodes it,",
        "register       none",
    ];
    assert_eq!(rows(&explained(&sample, seq), &["KVM exit", "route", "register"]), expected);
    let expected = ["port           c004", "| KVM exit     KVM_EXIT_IO"];
    assert_eq!(rows(&explained(&sample, ins), &["port", "KVM exit"]), expected);
}

#[test]
fn a_record_that_is_not_there_names_those_that_are() {
    let sample = played();
    let path = finished(&sample);
    let (name, last) = (path.display(), 30);
    for seq in [0, 31] {
        let error = explain(&path, seq).unwrap_err().to_string();
        assert_eq!(error, format!("{name} has no record {seq}: it holds records 1 to {last}"));
    }
    let error = compare(&path, 7, 99).unwrap_err().to_string();
    assert_eq!(error, format!("{name} has no record 99: it holds records 1 to {last}"));
}

#[test]
fn a_lost_record_and_an_empty_trace_say_so() {
    let mut sample = Sample::new();
    let path = sample.path();
    let error = explain(&path, 1).unwrap_err().to_string();
    assert_eq!(error, format!("{} holds no records", path.display()));
    sample.mark("one");
    let lost = sample.writer.reserve();
    let last = sample.mark("three");
    let error = explain(&path, lost).unwrap_err().to_string();
    assert_eq!(error, format!("{} has lost record 2: it holds others up to 3", path.display()));
    let text = drawn(&explain(&path, last).unwrap(), 80);
    let notes = "\
1 record is lost: what is shown may lack a part
unfinished: still running, or its writer was killed
";
    assert!(text.ends_with(notes), "{text}");
}

#[test]
fn a_count_around_something_else_is_not_that_of_the_access() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    sample.scenario_begin("ways");
    let read = sample.user_read(8, 0);
    let read = sample.access(read);
    sample.mark("calls: begin");
    let write = sample.kernel_write(8, 1);
    sample.access(write);
    sample.mark("calls: end");
    count(&mut sample, Counted::KernelEntries, 100, 0);
    sample.writer.finish(End::Finished).unwrap();
    let explanation = explain(&sample.path(), read).unwrap();
    assert!(explanation.access.unwrap().kernel_entries.is_none());
}

#[test]
fn an_access_says_whether_its_program_entered_the_kernel_since_the_one_before() {
    let mut sample = Sample::new();
    let poll = sample.process("poll", 85);
    sample.entry(poll, None);
    sample.program_reads(poll);
    let without = sample.program_reads(poll);
    sample.entry(poll, Some(1));
    sample.entry(poll, Some(39));
    let with = sample.program_reads(poll);
    let path = finished(&sample);
    let told = |seq| explain(&path, seq).unwrap().access.unwrap().entered.unwrap().describe();
    assert_eq!(told(without), format!("none since its access before, record {}", without - 1));
    let expected = format!("2 since its access before, record {without}: the last is record {}", with - 1);
    assert_eq!(told(with), expected);
}
