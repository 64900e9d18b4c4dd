//! What is told as nearest to what wasn't found.

use std::sync::Arc;

use super::*;
use crate::Trace;
use crate::assert::Time;
use crate::assert::evidence::Late;
use crate::filter::{Compiled, Filter};
use crate::sample::Sample;

/// Configuration accesses (records 1 and 2), a write of OPCODE (3), a read of STATUS (4), and 10.7 ms later a write
/// of INT_STATUS (5) and one more (6).
fn trace() -> Trace {
    let mut sample = Sample::new();
    sample.configuration(4, 6);
    let accesses = [sample.kernel_write(0x24, 1), sample.kernel_read(0x10, 0), sample.kernel_write(0x14, 1)];
    for (at, access) in accesses.into_iter().enumerate() {
        if at == 2 {
            sample.wait(10_700_000 - 2000);
        }
        sample.access(access);
    }
    let again = sample.kernel_write(0x14, 1);
    sample.access(again);
    sample.finished()
}

fn compiled(trace: &Trace, text: &str) -> Arc<Compiled> {
    Arc::new(Filter::parse(text).unwrap().compile(trace.definitions()).unwrap())
}

/// What is nearest, and the record that the context is of.
fn nearest(trace: &Trace, evidence: &Evidence) -> (Option<String>, Option<u64>) {
    let (mut context, mut recent) = (Context::default(), VecDeque::new());
    for view in trace.views().all() {
        context.look(evidence, u64::MAX, view, &recent);
        recent.push_back(view.clone());
    }
    let marked = context.lines.iter().find(|line| line.marked).map(|line| line.seq);
    (context.nearest.map(|nearest| nearest.text), marked)
}

fn looking(trace: &Trace, text: &str, at: Option<u64>) -> Evidence {
    Evidence { at, look: Some((compiled(trace, text), 1)), ..Evidence::default() }
}

#[test]
fn what_something_was_awaited_after_is_not_nearest_to_it() {
    let trace = trace();
    let (text, marked) = nearest(&trace, &looking(&trace, "write BAR0.OPCODE == 9", Some(3)));
    // Another write of that BAR.
    assert_eq!(text.as_deref(), Some("record 5: is at BAR0.INT_STATUS, value is 0x1, not 0x9"));
    assert_eq!(marked, Some(5));
}

#[test]
fn the_same_place_is_nearer_than_the_same_kind() {
    let trace = trace();
    let (text, _) = nearest(&trace, &looking(&trace, "read BAR0.INT_STATUS", None));
    assert_eq!(text.as_deref(), Some("record 5: is something else"));
}

#[test]
fn configuration_accesses_are_near_only_to_what_asks_for_them() {
    let trace = trace();
    for (wanted, expected) in [
        ("access BAR2.MEMORY by kernel", None),
        ("write width == 2 by kernel", Some(3)),
        ("read CONFIG+4", Some(2)),
        ("msi", None),
    ] {
        let (text, marked) = nearest(&trace, &looking(&trace, wanted, None));
        assert_eq!(marked, expected, "{wanted}: {text:?}");
    }
}

#[test]
fn what_came_late_is_nearest_with_its_delay() {
    let trace = trace();
    let [first, ..] = trace.views().all() else { panic!("no records") };
    let since = trace.views().all().iter().find(|view| view.seq == 3).unwrap();
    assert!(since.device_ns > first.device_ns);
    let late = |text: &str, limit_ns| Late {
        filter: compiled(&trace, text),
        since: 3,
        since_ns: since.device_ns,
        limit_ns,
        time: Time::Device,
    };
    let evidence =
        |late| Evidence { late: Some(late), ..looking(&trace, "write BAR0.INT_STATUS {DONE=0}", Some(3)) };
    let (text, marked) = nearest(&trace, &evidence(late("write BAR0.INT_STATUS", 10_000_000)));
    assert_eq!(text.as_deref(), Some("record 5: it came 10.7ms after record 3"));
    assert_eq!(marked, Some(5));
    // What came in time isn't late.
    let (text, _) = nearest(&trace, &evidence(late("read BAR0.STATUS", 10_000_000)));
    assert_eq!(text.as_deref(), Some("record 5: DONE is 0x1, not 0x0"));
}

#[test]
fn times_are_rounded_to_a_tenth_of_their_unit() {
    for (ns, text) in
        [(0, "0ns"), (999, "999ns"), (22_000, "22us"), (10_713_000, "10.7ms"), (1_000_000_000, "1s")]
    {
        assert_eq!(rounded(ns), text);
    }
}
