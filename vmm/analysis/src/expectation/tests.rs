//! Each kind of clause: as text and in Rust it is the same, it passes, it fails, and it is inconclusive.

use std::time::Duration;

use barscope_trace::End;
use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{AccessEvent, Counted, EventKind};

use super::*;
use crate::Trace;
use crate::assert::{
    Finding, Goal, Limits, Step, Time, Verdict, access, any_access, change, check, mark, msi, read, write,
};
use crate::sample::Sample;

/// What becomes of the samples' computation.
#[derive(Clone, Copy, PartialEq)]
enum Story {
    /// The handler acknowledges, the program reads, no kernel entry is counted.
    Good,
    /// None of that.
    Bad,
}

/// A computation in scenario `s`, then a program between marks.
fn story(of: Story) -> Sample {
    let mut sample = Sample::new();
    sample.scenario_begin("s");
    tell(of, sample)
}

fn tell(story: Story, mut sample: Sample) -> Sample {
    if story == Story::Good {
        sample.computation();
    } else {
        let start = sample.kernel_write(0x24, 1);
        let cause = sample.access(start);
        sample.wait(100_000);
        let (address, data) = (0xfee0_0000, 0x31);
        let function = sample.lab;
        sample.event(EventKind::Msi { function, index: 0, address, data, delivered: true, cause });
        sample.event(EventKind::IsrEnter { vector: 0x31 });
        let read = sample.kernel_read(0x14, 1);
        sample.access(read);
        sample.event(EventKind::IsrExit { vector: 0x31 });
        let forbidden = sample.kernel_write(8, 7);
        sample.access(forbidden);
    }
    sample.mark("begin");
    let last = if story == Story::Good { 0 } else { 8 };
    for offset in [8, 8, last] {
        let read = sample.user_read(offset, 0);
        sample.access(read);
    }
    let value = if story == Story::Good { 0 } else { 4 };
    let what = Counted::KernelEntries;
    sample.event(EventKind::Count { what, value, address: 0, error_code: 0, rip: 0, process: 0, call: None });
    sample.mark("end");
    sample.scenario_end(true, "");
    sample
}

/// A trace in which an event is missing, just after the scenario's beginning.
fn lossy(of: Story) -> Trace {
    let mut sample = Sample::new();
    sample.scenario_begin("s");
    sample.lose();
    tell(of, sample).finished()
}

fn findings(trace: &Trace, text: &str) -> Vec<Finding> {
    let suite =
        parse("t.expect", text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("t.expect", text)));
    check(trace, suite)
}

/// The only clause's verdict.
fn verdict(trace: &Trace, clause: &str) -> Verdict {
    let text =
        format!("window user = mark \"begin\" .. mark \"end\"\ntest \"t\" in scenario s\n  {clause}\n");
    let findings = findings(trace, &text);
    assert_eq!(findings.len(), 1, "{text}");
    findings[0].verdict.clone()
}

/// The only clause of a text.
fn clause(text: &str) -> Clause {
    let text = format!("test \"t\"\n  {text}\n");
    let suite =
        parse("t.expect", &text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("t", &text)));
    suite.tests[0].clauses[0].clause.clone()
}

const US: Duration = Duration::from_micros(1);

fn goal() -> Goal {
    Goal { registers: 60, fields: 10, values: 100 }
}

/// A clause as text and in Rust; it passes on the good story and fails on the bad one.
fn clauses() -> Vec<(&'static str, Clause)> {
    vec![
        (
            "seq\n    write BAR0.OPCODE {OPCODE=1} as go\n    msi 0 within 50us of go as irq\n    \
             read BAR0.INT_STATUS in handler within 2us of irq caused by go\n    write BAR0.INT_STATUS in handler",
            Clause::Sequence(vec![
                write("BAR0.OPCODE").field("OPCODE", 1).named("go"),
                Step::from(msi(0)).bounded(50 * US, Time::Device, Some("go")).named("irq"),
                Step::from(read("BAR0.INT_STATUS").in_handler())
                    .bounded(2 * US, Time::Device, Some("irq"))
                    .because_of("go"),
                write("BAR0.INT_STATUS").in_handler().into(),
            ]),
        ),
        (
            "each msi 0: then write BAR0.INT_STATUS {DONE=1} within 5us",
            Clause::Each {
                trigger: msi(0).into(),
                then: vec![write("BAR0.INT_STATUS").field("DONE", 1).within(5 * US)],
                if_any: false,
            },
        ),
        (
            "each write BAR0.OPCODE as go if any:\n    then change BAR0.RESULT caused by go\n    then msi caused by go",
            Clause::Each {
                trigger: write("BAR0.OPCODE").named("go"),
                then: vec![
                    change("BAR0.RESULT").because_of("go"),
                    Step::from(Filter::parse("msi").unwrap()).because_of("go"),
                ],
                if_any: true,
            },
        ),
        ("always: never write BAR0.SCRATCH", Clause::Never(write("BAR0.SCRATCH"))),
        (
            "access BAR0.INT_STATUS exactly 2 times",
            Clause::Count(access("BAR0.INT_STATUS"), Limits::new(&(2..=2))),
        ),
        ("write BAR0.INT_STATUS at least 1", Clause::Count(write("BAR0.INT_STATUS"), Limits::new(&(1..)))),
        ("access at most 6 times", Clause::Count(any_access(), Limits::new(&(..=6)))),
        ("kernel entries exactly 0", Clause::KernelEntries { limits: Limits::new(&(0..=0)), between: None }),
        ("coverage registers >= 60% fields >= 10% values >= 100%", Clause::Coverage(goal())),
    ]
}

use crate::filter::Filter;

#[test]
fn text_and_rust_say_the_same() {
    for (text, made) in clauses() {
        assert_eq!(clause(text), made, "{text}");
    }
    let text = "kernel entries exactly 0 between read BAR0.ID by process test";
    let between = Some(Filter::parse("read BAR0.ID by process test").unwrap());
    let made = Clause::KernelEntries { limits: Limits::new(&(0..=0)), between };
    assert_eq!((clause(text), clause(&made.to_string())), (made.clone(), made));
}

#[test]
fn each_kind_of_clause_passes_and_fails() {
    let (good, bad) = (story(Story::Good).finished(), story(Story::Bad).finished());
    for (text, _) in clauses() {
        let passed = verdict(&good, text);
        assert!(passed.passed(), "{text}\n{passed}");
    }
    for (text, _) in clauses().into_iter().filter(|(text, _)| !text.contains("at most")) {
        assert!(matches!(verdict(&bad, text), Verdict::Fail(_)), "{text}");
    }
    assert!(matches!(verdict(&good, "access at most 5 times"), Verdict::Fail(_)));
}

#[test]
fn each_kind_of_clause_is_inconclusive_where_events_are_lost() {
    for (text, _) in clauses() {
        for story in [Story::Good, Story::Bad] {
            let verdict = verdict(&lossy(story), text);
            assert!(matches!(verdict, Verdict::Inconclusive(_)), "{text}\n{verdict}");
        }
    }
}

#[test]
fn what_is_broken_stays_broken_whatever_is_lost_later() {
    for (text, _) in clauses() {
        let lost_later = |of| {
            let sample = story(of);
            sample.lose();
            verdict(&sample.finished(), text)
        };
        // The scenario might have come again.
        assert!(matches!(lost_later(Story::Good), Verdict::Inconclusive(_)), "{text}");
        let whole = verdict(&story(Story::Bad).finished(), text);
        let verdict = lost_later(Story::Bad);
        assert_eq!(
            matches!(verdict, Verdict::Fail(_)),
            matches!(whole, Verdict::Fail(_)),
            "{text}\n{verdict}"
        );
    }
}

#[test]
fn a_pending_bound_fails_at_the_end_and_is_open_if_the_end_is_not_the_guests() {
    let text = "each msi 0: then write BAR0.ID within 1s";
    let pending = |end| {
        let mut sample = Sample::new();
        sample.scenario_begin("s");
        sample.computation();
        verdict(&sample.ended(end), text)
    };
    assert!(matches!(pending(End::Finished), Verdict::Fail(_)));
    assert!(matches!(pending(End::Interrupted("Ctrl-C".into())), Verdict::Inconclusive(_)));
    assert!(matches!(pending(End::Failed("triple fault".into())), Verdict::Inconclusive(_)));
}

#[test]
fn any_consistent_assignment_satisfies_a_sequence() {
    let mut sample = Sample::new();
    sample.scenario_begin("s");
    for (offset, wait) in [(0, 100_000), (0, 10_000), (0x10, 10_000), (0x28, 0)] {
        let read = sample.kernel_read(offset, 0);
        sample.access(read);
        sample.wait(wait);
    }
    sample.scenario_end(true, "");
    let trace = sample.finished();
    // The first read of ID is too early; the second one fits.
    let near = "seq\n    read BAR0.ID as id\n    read BAR0.STATUS\n    read BAR0.RESULT within 30us of id";
    assert!(verdict(&trace, near).passed());
    let nearer = "seq\n    read BAR0.ID as id\n    read BAR0.STATUS\n    read BAR0.RESULT within 20us of id";
    let text = verdict(&trace, nearer).to_string();
    assert!(text.contains("step 3 not found after record 4"), "{text}");
    assert!(text.contains("nearest: record 5: it came 22us after record 3"), "{text}");
    // Bounds of both clocks at once: host time passes by 10 ms a record.
    let both =
        "seq\n    read BAR0.ID as id\n    read BAR0.RESULT within 30us device of id within 20ms host of id";
    assert!(verdict(&trace, both).passed());
    let host = "seq\n    read BAR0.ID as id\n    read BAR0.RESULT within 10ms host of id";
    assert!(!verdict(&trace, host).passed());
}

#[test]
fn causes_tell_apart_what_times_cannot() {
    let mut sample = Sample::new();
    sample.scenario_begin("s");
    let first = sample.kernel_write(0x24, 1);
    let first = sample.access(first);
    let second = sample.kernel_write(0x24, 1);
    let second = sample.access(second);
    let function = sample.lab;
    let msi = |cause| EventKind::Msi { function, index: 0, address: 0, data: 0x31, delivered: true, cause };
    sample.event(msi(second));
    sample.event(msi(second));
    sample.scenario_end(true, "");
    let trace = sample.finished();
    assert!(verdict(&trace, "each write BAR0.OPCODE: then msi 0").passed());
    let text = verdict(&trace, "each write BAR0.OPCODE as go: then msi 0 caused by go").to_string();
    assert!(text.contains(&format!("record {first} (write BAR0.OPCODE) was never followed by")), "{text}");
    assert!(text.contains(&format!("record {second} led to it, not record {first}")), "{text}");
    assert!(verdict(&trace, "seq\n    write BAR0.OPCODE as go\n    msi 0 caused by go").passed());
}

#[test]
fn nothing_passes_vacuously() {
    let trace = story(Story::Good).finished();
    for (text, reason) in [
        ("each dma: then read BAR0.ID", "there was no dma: say \"if any\" if that is all right"),
        ("in scenario x: never access", "this never began: the trace has no scenario \"x\""),
        (
            "never access BAR0.STATU",
            "no device in the trace has a register BAR0.STATU; did you mean BAR0.STATUS?",
        ),
        ("never access on nic", "the trace has no device nic"),
        ("never access BAR0.STATUS {DUNE=1}", "STATUS has no field DUNE; did you mean DONE?"),
        ("coverage values >= 50%", ""),
    ] {
        match verdict(&trace, text) {
            Verdict::Fail(failure) => assert_eq!(failure.reason, reason, "{text}"),
            other => assert!(reason.is_empty() && other.passed(), "{text}\n{other}"),
        }
    }
    assert!(verdict(&trace, "each dma if any: then read BAR0.ID").passed());
}

#[test]
fn devices_have_to_be_there_and_tests_may_be_about_each() {
    let trace = story(Story::Good).finished();
    let of = |text: &str| {
        findings(&trace, text).into_iter().map(|finding| (finding.test, finding.verdict.passed()))
    };
    let text = "device lab at 00:04.0\ndevice lab at 00:05.0\ntest \"t\" for each lab\n  access at least 1\n";
    assert_eq!(
        of(text).collect::<Vec<_>>(),
        [
            ("devices and coverage".to_owned(), true),
            ("devices and coverage".to_owned(), false),
            ("t [00:04.0]".to_owned(), true),
        ]
    );
    let text = "test \"t\" on 00:05.0\n  never access\ntest \"u\" for each nic\n  never access\n";
    assert_eq!(of(text).collect::<Vec<_>>(), [("t".to_owned(), false), ("u".to_owned(), false)]);
    // What is of no device belongs to every test.
    assert!(of("test \"t\" on lab\n  mark \"begin\" exactly 1 time\n").all(|(_, passed)| passed));
}

#[test]
fn windows_are_named_and_taken_clause_by_clause() {
    let trace = story(Story::Good).finished();
    for (text, passes) in [
        ("in user: access BAR0 by user exactly 3 times", true),
        ("in user: never access by kernel", true),
        ("never access by kernel", false),
        ("in trace: scenario-begin exactly 1 time", true),
        ("in user: seq\n    mark \"begin\"\n    mark \"end\"", true),
    ] {
        assert_eq!(verdict(&trace, text).passed(), passes, "{text}");
    }
}

#[test]
fn a_failure_shows_its_line_the_nearest_miss_and_the_records_around() {
    let trace = story(Story::Bad).finished();
    let text = "\n# remark\ntest \"acknowledged\"\n  each msi 0: \\\n    then write BAR0.INT_STATUS within 1ms # soon\n";
    let [finding] = findings(&trace, text).try_into().unwrap();
    let location = finding.location.unwrap();
    assert_eq!((&*location.file, location.line), ("t.expect", 4));
    let expected = "\
FAIL  \"acknowledged\", the whole trace
  each msi index == 0: then write BAR0.INT_STATUS within 1ms
  record 3 (msi index == 0) was never followed by: write BAR0.INT_STATUS within 1ms
  nearest: record 5: is something else
         2  ioremap  lab::start lab.rs:17     W4 BAR0.OPCODE 0x1 FACTORIAL
         3  device                            MSI vector 0x31 -> vCPU 0
         4                                    interrupt handler 0x31 begins
  >      5  ioremap  lab::probe lab.rs:13     R4 BAR0.INT_STATUS 0x1 DONE
         6                                    interrupt handler 0x31 is done
         7  ioremap  lab::start lab.rs:17     W4 BAR0.SCRATCH 0x7
         8                                    mark begin";
    assert_eq!(finding.verdict.to_string(), expected);
}

#[test]
fn a_failure_names_the_record_that_decided_it() {
    let trace = story(Story::Bad).finished();
    let record = |text: &str| match &findings(&trace, text)[0].verdict {
        Verdict::Fail(failure) => failure.record,
        other => panic!("{other}"),
    };
    assert_eq!(record("test \"t\"\n  never msi 0\n"), Some(3));
    // The scenario's end is the last record.
    let last = trace.views().all().last().map(|view| view.seq);
    assert_eq!(record("test \"t\" in scenario s\n  dma at least 1\n"), last);
    assert_eq!(record("test \"t\"\n  dma at least 1\n"), None);
    assert_eq!(record("test \"t\" in scenario x\n  never msi 0\n"), None);
}

#[test]
fn coverage_tells_what_is_missing_of_the_kind_that_it_is_about() {
    let mut sample = Sample::new();
    let acknowledgement = sample.kernel_write(0x14, 1);
    sample.access(acknowledgement);
    let trace = sample.finished();
    for (goal, told, untold) in [
        ("registers", "BAR0.SCRATCH", "INT_STATUS"),
        ("fields", "BAR0.INT_STATUS ERROR", "BAR0.SCRATCH"),
        ("values", "BAR0.OPCODE", "BAR0.STATUS"),
    ] {
        let text = format!("test \"t\"\n  coverage {goal} >= 100%\n");
        let Verdict::Fail(failure) = &findings(&trace, &text)[0].verdict else {
            panic!("{goal} are covered")
        };
        assert!(failure.reason.contains(told) && !failure.reason.contains(untold), "{}", failure.reason);
    }
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, at, message) in [
        ("", "1:1", "no test here: a file that asks for nothing can't fail"),
        (
            "tset \"a\"\n",
            "1:1",
            "expected test, device, window, coverage, mark, scenario or allow, found \"tset\"; did you mean test?",
        ),
        ("test a\n", "1:6", "expected the test's name in quotes, found \"a\""),
        ("test \"a\"\n", "1:1", "a test needs clauses: lines below it that are indented more"),
        (
            "test \"a\"\n  read BAR0\n",
            "2:12",
            "expected how often: at least 1, at most 1, exactly 1 or 1..2, found the end",
        ),
        (
            "test \"a\"\n  read BAR0 at last 1\n",
            "2:13",
            "expected how often: at least 1, at most 1, exactly 1 or 1..2, found \"at\"",
        ),
        ("test \"a\"\n  seq\n", "2:3", "seq needs steps: lines below it that are indented more"),
        (
            "test \"a\"\n  seq\n    msi 0 within 5us\n",
            "3:18",
            "a time is after a step before, and there is none",
        ),
        (
            "test \"a\"\n  each msi 0: write BAR0\n",
            "2:15",
            "expected \"then\" and what has to follow, found \"write\"",
        ),
        (
            "test \"a\"\n  each msi 0 as irq: then read BAR0 caused by irk\n",
            "2:47",
            "no step before is called irk; did you mean irq?",
        ),
        ("window w = mark \"a\"\ntest \"a\"\n  never read\n", "1:20", "expected \"..\", found the end"),
        (
            "window umap = msi .. msi\ntest \"a\" in unap\n  never read\n",
            "2:13",
            "no window is called unap; did you mean umap?",
        ),
        ("test \"a\"\n  never read\ntest \"a\"\n  never write\n", "3:6", "there is a test \"a\" already"),
        ("test \"a\"\n  seq\n    read as a\n    write as a\n", "4:14", "a step before is called a already"),
        ("test \"a\"\n  seq\n    read as a as b\n", "3:18", "a step has one name"),
        (
            "test \"a\"\n  each read as a: then msi caused by a caused by a\n",
            "2:50",
            "a record is caused by one other",
        ),
        (
            "test \"a\"\n  read at least 0\n",
            "2:8",
            "at least 0 times asks for nothing: say how often at least, or at most",
        ),
        (
            "test \"a\"\n  kernel entries at least 0\n",
            "2:18",
            "at least 0 times asks for nothing: say how often at least, or at most",
        ),
        (
            "test \"a\"\n  never read write\n",
            "2:14",
            "no record is both read and write: say \"or\" for one of them",
        ),
        (
            "window w = mark \"a\" .. read delivered\n",
            "1:29",
            "no read record has the property delivered: msi records have it",
        ),
        ("window v = mark \"a\" .. end mark\n", "1:28", "expected the end of the line, found \"mark\""),
        ("mark a\n", "1:6", "expected the mark's text in quotes, found \"a\""),
        ("mark \"a\"\n", "2:1", "no test here: a file that asks for nothing can't fail"),
        ("  test \"a\"\n", "1:3", "this line is indented, but belongs to none: begin it at the margin"),
        (
            "test \"a\"\n  never read\n    write\n",
            "3:5",
            "this line is indented more, but nothing can belong to the one above it",
        ),
        ("coverage registers >= 900%\n", "1:23", "expected a share from 1% to 100%, found a percentage"),
        ("test \"a\"\n  read 3..2 times\n", "2:11", "3..2 is no range: nothing can be in it"),
        ("device lab\n", "1:11", "expected \"at\" and an address, like at 00:04.0, found the end"),
        ("test \"a\" @\n", "1:10", "'@' has no meaning here"),
        (
            "alow torn-64\n",
            "1:1",
            "expected test, device, window, coverage, mark, scenario or allow, found \"alow\"; did you mean allow?",
        ),
        ("allow\n", "1:6", "expected the lint's name, as `barscope lint --list` has it, found the end"),
        ("allow torn-65 on BAR0.X\n", "1:7", "there is no lint torn-65; did you mean torn-64?"),
        ("allow xyz on BAR0.X\n", "1:7", "there is no lint xyz; `barscope lint --list` names all"),
        (
            "allow torn-64 BAR0.X\n",
            "1:15",
            "expected \"on\" and a register, like on BAR0.STATUS, found \"BAR0.X\"",
        ),
        (
            "allow torn-64 on COUNTER\n",
            "1:18",
            "expected a register or a region, like BAR0.STATUS, BAR0+0x40, CONFIG or lab.BAR0.STATUS, found \"COUNTER\"",
        ),
        (
            "allow torn-64 on BAR0.X.DONE because \"x\"\n",
            "1:18",
            "findings are of whole registers: leave out what follows its name",
        ),
        ("allow torn-64 on BAR0.X in s\n", "1:28", "expected \"scenario\" and its name, found \"s\""),
        ("allow torn-64 on BAR0.X\n", "1:24", "expected \"because\" and the reason in quotes, found the end"),
        ("allow torn-64 on BAR0.X because\n", "1:32", "expected the reason in quotes, found the end"),
        ("allow torn-64 on BAR0.X because \" \"\n", "1:33", "the reason is empty: say why it is right here"),
        ("allow torn-64 on BAR0.X because \"x\" y\n", "1:37", "expected the end of the line, found \"y\""),
        (
            "allow torn-64 on BAR0.X because \"x\"\n",
            "2:1",
            "no test here: a file that asks for nothing can't fail",
        ),
    ] {
        let diagnostic = parse("f", text).expect_err(text);
        let shown = diagnostic.show("f", text);
        assert_eq!(shown.lines().next(), Some(format!("f:{at}: {message}").as_str()), "{text}");
    }
}

#[test]
fn a_window_may_stay_open_until_the_end_of_the_trace() {
    let trace = story(Story::Good).finished();
    let of = |from: &str, clause: &str| {
        let text = format!("window v = mark \"{from}\" .. end\ntest \"t\"\n  in v: {clause}\n");
        findings(&trace, &text)[0].verdict.clone()
    };
    assert!(of("begin", "read BAR0 by user exactly 3 times").passed());
    assert!(of("end", "never access").passed());
    let text = of("end", "access at least 1").to_string();
    assert!(text.starts_with("FAIL  \"t\", window v\n"), "{text}");
}

#[test]
fn marks_and_scenarios_that_may_be_absent_are_declared_at_the_margin() {
    let text =
        "mark \"gave up\"\nscenario retry\nscenario \"two words\"\ntest \"t\"\n  never mark \"gave up\"\n";
    let suite = parse("t.expect", text).unwrap();
    assert_eq!(suite.declared_marks, ["gave up"]);
    assert_eq!(suite.declared_scenarios, ["retry", "two words"]);
    assert_eq!(suite.tests.len(), 1);
}

#[test]
fn a_file_may_allow_what_lints_find_and_test_nothing() {
    let text = "allow torn-64 on BAR0.COUNTER because \"still\"\n\
                allow wrong-width on lab.BAR2+0x40 in scenario s because \"a test\"\n";
    let Contents { suite, allows } = super::read("f", text).unwrap();
    assert!(suite.tests.is_empty());
    let lines: Vec<_> =
        allows.iter().map(|it| (it.to_string(), it.reason.as_str(), it.location.line)).collect();
    assert_eq!(
        lines,
        [
            ("torn-64 on BAR0.COUNTER".to_owned(), "still", 1),
            ("wrong-width on lab.BAR2+0x40 in scenario s".to_owned(), "a test", 2)
        ]
    );
    let with_test = format!("{text}test \"a\"\n  never write\n");
    assert_eq!(parse("f", &with_test).unwrap().tests.len(), 1);
}

#[test]
fn what_can_only_be_a_typo_fails_with_what_there_is() {
    let trace = story(Story::Good).finished();
    for (text, reason) in [
        ("never access BAR3", "BAR3 is the upper half of BAR2, which is 64 bits wide: say BAR2"),
        ("never access BAR0+0x5000", "BAR0+0x5000 is past the end of BAR0, which has 0x1000 bytes"),
        ("never msi 77", "no vector 77: lab can send the message of vector 0 only"),
        ("never access vcpu == 5", "the machine has no vCPU 5: it has 1 vCPU"),
        ("never read BAR0.STATUS {DONE=2}", "DONE has 1 bit: == 0x2 never holds"),
        (
            "never read BAR0.ID BAR0.STATUS",
            "no record is both at BAR0.ID and at BAR0.STATUS: say \"or\" for one of them",
        ),
    ] {
        match verdict(&trace, text) {
            Verdict::Fail(failure) => assert_eq!(failure.reason, reason, "{text}"),
            other => panic!("{text}\n{other}"),
        }
    }
}

/// The blocks of this kind in the reference.
fn blocks(kind: &str) -> Vec<String> {
    let (page, fence) = (reference(), format!("```{kind}\n"));
    page.split(&fence).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_the_reference_hold() {
    let trace = story(Story::Good).finished();
    let [filters] = blocks("filter").try_into().unwrap();
    for text in filters.lines() {
        let filter =
            Filter::parse(text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("f", text)));
        filter
            .compile(trace.definitions())
            .unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("f", text)));
    }
    let [file] = blocks("expect").try_into().unwrap();
    for finding in findings(&trace, &file) {
        assert!(finding.verdict.passed(), "{}", finding.verdict);
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let words = [
        "test",
        "\"a\"",
        "\n",
        "  ",
        "    ",
        "seq",
        "each",
        "msi",
        "0",
        ":",
        "then",
        "write",
        "BAR0.STATUS",
        "{",
        "}",
        "DONE",
        "=",
        "1",
        "within",
        "5us",
        "as",
        "x",
        "caused",
        "by",
        "in",
        "user",
        "scenario",
        "window",
        "..",
        "coverage",
        "registers",
        ">=",
        "90%",
        "at",
        "least",
        "(",
        ")",
        "not",
        "or",
        "\\",
        "#",
        "é",
        "\"",
        "00:04.0",
        "allow",
        "torn-64",
        "on",
        "because",
    ];
    let mut random = 7_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..random % 30 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            text += words[(random >> 33) as usize % words.len()];
            if random & 1 << 60 != 0 {
                text.push(' ');
            }
        }
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        if let Err(diagnostic) = parse("f", &text) {
            diagnostic.show("f", &text);
        }
    }
}

#[test]
fn a_count_of_one_kind_of_access_is_no_other() {
    let mut sample = Sample::new();
    let cached = sample.kernel_write(0, 0);
    sample.access(AccessEvent { walk: sample.mmap, ..cached });
    let trace = sample.finished();
    let of = |text: &str| findings(&trace, &format!("test \"t\"\n  {text}\n"))[0].verdict.passed();
    assert!(of("write via mmap pat UC- exactly 1"));
    assert!(!of("write via ioremap at least 1"));
    assert_eq!(
        clause("write via mmap memtype WB at least 2"),
        Clause::Count(
            Filter::parse("write").unwrap().via(Path::Mmap).memory_type(MemoryType::WriteBack),
            Limits { low: 2, high: None },
        ),
    );
    assert_eq!(clause("mark \"x\" 1..2 times"), Clause::Count(mark("x"), Limits { low: 1, high: Some(2) }));
}
