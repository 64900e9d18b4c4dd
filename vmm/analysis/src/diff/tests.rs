//! Hand-made traces compared.

use barscope_trace::event::{AccessEvent, EventKind};
use barscope_trace::{Capabilities, Capability, End, Knowledge};

use super::*;
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL, call};

/// A trace that is on the disk as long as this is.
fn ended(sample: Sample, end: End) -> Sample {
    sample.writer.finish(end).unwrap();
    sample
}

fn finished(sample: Sample) -> Sample {
    ended(sample, End::Finished)
}

fn made(make: impl FnOnce(&mut Sample)) -> Sample {
    let mut sample = Sample::new();
    make(&mut sample);
    finished(sample)
}

fn compared(left: &Sample, right: &Sample, ignore: &[&str]) -> Difference {
    let ignore = ignore.iter().map(|word| word.parse().unwrap()).collect();
    compare(&left.path(), &right.path(), &Terms { ignore, only: None }).unwrap()
}

fn verdict(left: &Sample, right: &Sample, ignore: &[&str]) -> Verdict {
    compared(left, right, ignore).verdict()
}

/// What each side has alone, in keys.
fn only(difference: &Difference) -> [Vec<String>; 2] {
    [0, 1].map(|side| {
        let hunks = difference.aligner.hunks.iter();
        hunks.flat_map(|hunk| difference.lines(&hunk.items[side])).collect()
    })
}

#[test]
fn the_same_run_is_equal_whatever_time_and_numbers_are() {
    let one = made(Sample::play);
    let other = made(|sample| {
        // Ids, instances, sequence numbers and times are others.
        sample.text("no event is about this");
        sample.wait(5_000_000);
        sample.code("lab::isr", 22, true);
        sample.play();
    });
    assert_eq!(verdict(&one, &other, &[]), Verdict::Equal);
}

#[test]
fn a_value_that_differs_is_told_with_what_both_have_around_it() {
    let run = |value: u64| {
        made(move |sample| {
            for value in [1, value, 3] {
                let write = sample.kernel_write(8, value);
                sample.access(write);
            }
        })
    };
    let (one, other) = (run(2), run(7));
    let difference = compared(&one, &other, &[]);
    assert_eq!(difference.verdict(), Verdict::Different);
    let expected = ["0x2", "0x7"]
        .map(|value| vec![format!("write4 lab.BAR0.SCRATCH {value} via ioremap UC- in lab::start")]);
    assert_eq!(only(&difference), expected);
    assert_eq!(verdict(&one, &other, &["value:BAR0.SCRATCH"]), Verdict::Equal);

    let mut text = Vec::new();
    difference.print_text(&mut text, 120, false).unwrap();
    let text = String::from_utf8(text).unwrap();
    for part in [
        "first difference, outside scenarios, kernel\n",
        "  -- only in A --\n     2      2 us  ring 0  ioremap  lab::start",
        "  -- in both again --\n     3      3 us",
        "@@ -2 +2 @@\n  write4 lab.BAR0.SCRATCH 0x1 via ioremap UC- in lab::start\n\
         - write4 lab.BAR0.SCRATCH 0x2 via ioremap UC- in lab::start\n\
         + write4 lab.BAR0.SCRATCH 0x7 via ioremap UC- in lab::start\n  write4 lab.BAR0.SCRATCH 0x3 ",
        "write lab.BAR0.SCRATCH        3        3        1        1\n",
        "\nDIFFERENT  1 difference\n",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn functions_are_compared_but_neither_their_addresses_nor_their_lines() {
    let run = |function: &'static str, line: u32| {
        made(move |sample| {
            let read = sample.kernel_read(0, 1);
            let instruction = sample.code(function, line, false);
            sample.access(AccessEvent { instruction, ..read });
        })
    };
    assert_eq!(verdict(&run("lab::isr", 21), &run("lab::isr", 22), &[]), Verdict::Equal);
    assert_eq!(verdict(&run("lab::isr", 21), &run("lab::probe", 13), &[]), Verdict::Different);
    assert_eq!(verdict(&run("lab::isr", 21), &run("lab::probe", 13), &["code"]), Verdict::Equal);
}

#[test]
fn a_poll_may_take_any_number_of_reads_where_time_is_left_out() {
    let run = |reads: usize, last: u64| {
        made(move |sample| {
            for value in std::iter::repeat_n(1, reads).chain([last]) {
                let read = sample.kernel_read(0x10, value);
                sample.access(read);
            }
        })
    };
    assert_eq!(verdict(&run(1, 2), &run(5, 2), &[]), Verdict::Different);
    assert_eq!(verdict(&run(0, 2), &run(5, 2), &["time"]), Verdict::Equal);
    assert_eq!(verdict(&run(5, 4), &run(5, 2), &["time"]), Verdict::Different);
}

#[test]
fn the_order_of_handler_and_task_is_time_and_the_order_within_each_is_not() {
    let run = |early: bool, offsets: [u64; 2]| {
        made(move |sample| {
            let process = sample.process("test", 86);
            let handler = sample.stack(Some(process), &HARD, None);
            let task = sample.stack(Some(process), &IOCTL, None);
            for (at, offset) in offsets.into_iter().enumerate() {
                let (read, in_task) =
                    (sample.read_by("ioread32", 0x14, handler), sample.read_by("ioread32", offset, task));
                if early == (at == 0) {
                    sample.access(read);
                }
                sample.access(in_task);
            }
        })
    };
    let (early, late, swapped) = (run(true, [0, 8]), run(false, [0, 8]), run(true, [8, 0]));
    assert_eq!(verdict(&early, &late, &[]), Verdict::Different);
    assert_eq!(verdict(&early, &late, &["time"]), Verdict::Equal);
    assert_eq!(verdict(&early, &swapped, &["time"]), Verdict::Different);
    let difference = compared(&early, &swapped, &["time"]);
    let lane = difference.whose(&difference.aligner.hunks[0]);
    assert_eq!(lane, "outside scenarios, process test");
}

#[test]
fn a_helper_is_told_with_its_caller_and_a_process_by_its_name() {
    let run = |pid: u64| {
        made(move |sample| {
            let process = sample.process("test", pid);
            let mut frames = vec![call("edu_read")];
            frames.extend(IOCTL);
            let stack = sample.stack(Some(process), &frames, None);
            let read = sample.read_by("ioread32", 8, stack);
            sample.access(read);
        })
    };
    let (one, other) = (run(86), run(104));
    assert_eq!(verdict(&one, &other, &[]), Verdict::Equal);
    let empty = made(|_| ());
    let difference = compared(&one, &empty, &[]);
    assert_eq!(
        only(&difference)[0][1],
        "read4 lab.BAR0.SCRATCH 0x1 via ioremap UC- in edu_ioctl < edu_read [edu]"
    );
    assert_eq!(difference.aligner.hunks.len(), 2);
}

#[test]
fn addresses_of_transfers_and_of_messages_are_no_values() {
    let run = |address: u64, vector: u32| {
        made(move |sample| {
            let write = sample.kernel_write(8, address);
            let cause = sample.access(write);
            let function = sample.lab;
            sample.event(EventKind::Dma {
                function,
                to_memory: true,
                address,
                length: 256,
                outcome: barscope_trace::event::DmaOutcome::Done,
                cause,
            });
            let delivered = true;
            let message =
                EventKind::Msi { function, index: 0, address: 0xfee0_0000, data: vector, delivered, cause };
            sample.event(message);
        })
    };
    let (one, other) = (run(0x13b000, 0x31), run(0x200_0000, 0x22));
    assert_eq!(verdict(&one, &other, &[]), Verdict::Equal);
    let [left, _] = only(&compared(&one, &made(|_| ()), &[]));
    assert!(left.iter().any(|key| key.starts_with("write4 lab.BAR0.SCRATCH dma-address ")), "{left:?}");
}

#[test]
fn what_may_be_missing_is_never_equal_and_what_came_before_is_different_all_the_same() {
    let run = |value: u64, lost: bool, end: End| {
        let mut sample = Sample::new();
        for (at, value) in [value, 2, 3, 4].into_iter().enumerate() {
            let write = sample.kernel_write(8, value);
            sample.access(write);
            if lost && at == 2 {
                sample.lose();
            }
        }
        ended(sample, end)
    };
    let whole = run(1, false, End::Finished);
    for (lost, end) in
        [(true, End::Finished), (false, End::Interrupted("x".into())), (false, End::Failed("x".into()))]
    {
        assert_eq!(verdict(&whole, &run(1, lost, end.clone()), &[]), Verdict::Inconclusive);
        assert_eq!(verdict(&run(1, lost, end.clone()), &whole, &[]), Verdict::Inconclusive);
        assert_eq!(verdict(&whole, &run(9, lost, end), &[]), Verdict::Different);
    }
    // What comes after the gap may come of it.
    let mut late = Sample::new();
    for value in [1, 2, 3, 9] {
        let write = late.kernel_write(8, value);
        late.access(write);
        if value == 3 {
            late.lose();
        }
    }
    let late = finished(late);
    let difference = compared(&whole, &late, &[]);
    assert_eq!((difference.verdict(), difference.aligner.count), (Verdict::Inconclusive, 1));
    assert!(difference.doubts[0].starts_with("B: 1 record is lost"), "{:?}", difference.doubts);
}

#[test]
fn what_only_one_side_tells_is_left_out_and_said() {
    let told = made(Sample::play);
    let mut less = Capabilities::COMPLETE;
    less.set(Capability::Functions, Knowledge::Unknown);
    let mut untold = Sample::new().knowing(less);
    untold.play();
    let untold = finished(untold);
    let difference = compared(&told, &untold, &[]);
    assert_eq!(difference.verdict(), Verdict::Inconclusive);
    assert_eq!(
        difference.doubts,
        ["B doesn't tell the names of its functions: --ignore code compares the rest"]
    );
    assert_eq!(verdict(&told, &untold, &["code"]), Verdict::Equal);
}

#[test]
fn a_filter_chooses_what_is_compared() {
    let run = |value: u64| {
        made(move |sample| {
            let write = sample.kernel_write(8, value);
            sample.access(write);
            let read = sample.kernel_read(0, 1);
            sample.access(read);
        })
    };
    let (one, other) = (run(1), run(2));
    let by = |only: &str| {
        let terms = Terms { ignore: Vec::new(), only: Some(only.to_owned()) };
        compare(&one.path(), &other.path(), &terms)
    };
    assert_eq!(by("BAR0.ID").unwrap().verdict(), Verdict::Equal);
    assert_eq!(by("write BAR0").unwrap().verdict(), Verdict::Different);
    let Err(error) = by("BAR0.SCRATC") else { panic!("no such register") };
    assert!(error.to_string().contains("did you mean BAR0.SCRATCH?"), "{error}");
}

#[test]
fn json_has_an_object_for_each_difference_and_each_register_and_one_for_all() {
    let (one, other) = (
        made(Sample::play),
        made(|sample| {
            sample.scenario_begin("interrupt");
        }),
    );
    let mut text = Vec::new();
    compared(&one, &other, &[]).print_json(&mut text).unwrap();
    let lines: Vec<serde_json::Value> =
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["verdict"], &last["right"]),
        (&"diff".into(), &"different".into(), &0.into())
    );
    let events: std::collections::BTreeSet<_> =
        lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events.into_iter().collect::<Vec<_>>(), ["diff", "difference", "register"]);
    let sum: u64 = lines.iter().filter_map(|line| line["only_left"].as_u64()).sum();
    assert_eq!(Some(sum), last["left"].as_u64());
}
