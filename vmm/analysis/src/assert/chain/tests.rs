//! The matcher against all assignments of events to steps.

use fastrand::Rng;

use super::*;
use crate::assert::Time;

/// An event: the steps that it is like, its time, its cause.
#[derive(Clone, Debug)]
struct Event {
    now: Timestamp,
    hits: Vec<usize>,
    cause: Option<u64>,
}

/// Whether steps from `step` on can follow those that were found.
fn can_go_on(links: &[Link], events: &[Event], found: &mut Vec<usize>) -> bool {
    let step = found.len();
    let Some(link) = links.get(step) else { return true };
    let from = found.last().map_or(0, |last| last + 1);
    (from..events.len()).any(|at| {
        let event = &events[at];
        let fits = event.hits.contains(&step)
            && link.within.iter().all(|bound| bound.holds(events[found[bound.since]].now, event.now))
            && link.caused_by.is_none_or(|cause| event.cause == Some(events[found[cause]].now.seq));
        if !fits {
            return false;
        }
        found.push(at);
        let can = can_go_on(links, events, found);
        found.pop();
        can
    })
}

fn random_links(random: &mut Rng, steps: usize) -> Vec<Link> {
    let link = |step: usize, random: &mut Rng| {
        let mut link = Link::default();
        if step == 0 {
            return link;
        }
        if random.u8(0..5) < 2 {
            link.caused_by = Some(random.usize(0..step));
        }
        while random.u8(0..5) < 2 && link.within.len() < 3 {
            let time = if random.bool() { Time::Device } else { Time::Host };
            let since = random.usize(0..step);
            link.within.push(Bound { limit_ns: random.u64(0..6), time, since });
        }
        link
    };
    (0..steps).map(|step| link(step, random)).collect()
}

fn random_events(random: &mut Rng, steps: usize) -> Vec<Event> {
    let count = random.u64(0..10);
    let (mut device_ns, mut host_ns) = (0, 0);
    let often = random.u8(1..4);
    (0..count)
        .map(|at| {
            device_ns += random.u64(0..3);
            host_ns += random.u64(0..3);
            let hits = (0..steps).filter(|_| random.u8(0..4) < often).collect();
            let cause = (at > 0 && random.bool()).then(|| random.u64(1..=at));
            Event { now: Timestamp { seq: at + 1, device_ns, host_ns }, hits, cause }
        })
        .collect()
}

/// Holds the matcher against all assignments.
fn compare(seed: u64) {
    let random = &mut Rng::with_seed(seed);
    let steps = random.usize(1..6);
    let links = random_links(random, steps);
    let events = random_events(random, steps);
    let sequence = Plan::new(links.clone(), false);
    let mut matcher = Matcher::new(&sequence);
    let found = events.iter().any(|event| matcher.take(&sequence, &event.hits, event.now, event.cause));
    assert_eq!(found, can_go_on(&links, &events, &mut Vec::new()), "seed {seed}: {links:?} {events:?}");
    if steps == 1 {
        return;
    }
    let each = Plan::new(links.clone(), true);
    let mut matcher = Matcher::new(&each);
    let triggers = |events: &[Event]| {
        let is_trigger = |at: &usize| events[*at].hits.contains(&0);
        (0..events.len()).filter(is_trigger).collect::<Vec<_>>()
    };
    let unfollowed = triggers(&events).into_iter().find(|at| !can_go_on(&links, &events, &mut vec![*at]));
    for (at, event) in events.iter().enumerate() {
        matcher.take(&each, &event.hits, event.now, event.cause);
        let Some(overdue) = matcher.overdue(&each, event.now) else { continue };
        let seq = overdue.trigger.seq as usize;
        // Whatever comes after the bound's end can't help.
        assert!(!can_go_on(&links, &events, &mut vec![seq - 1]), "seed {seed}: {links:?} {events:?}");
        assert!(seq <= at);
        return;
    }
    let answer = matcher.unfollowed(&each).map(|one| one.trigger.seq as usize - 1);
    assert_eq!(answer, unfollowed, "seed {seed}: {links:?} {events:?}");
    assert_eq!(matcher.is_waiting(), unfollowed.is_some(), "seed {seed}");
}

#[test]
fn steps_are_found_as_by_trying_all_assignments() {
    for seed in 0..crate::assert::reference::cases(60_000) {
        compare(seed);
    }
}
