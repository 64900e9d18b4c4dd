//! Lints held against slow, obvious ones on random traces: those look at all that came before, record by record, and
//! remember nothing. They are written from what a lint says that it looks for.

mod calls;
mod causes;
mod configuration;
mod interrupts;
mod memory_types;
mod msix;
mod programs;
mod registers;

use std::collections::BTreeMap;

use barscope_trace::Lane;
use barscope_trace::event::Event;
use fastrand::Rng;

use super::*;
use crate::view::{AccessView, Place, View, Views};

/// Records that show a mistake, as someone says when coming to one more: mostly that one.
type Judge = fn(&Before<'_>) -> Vec<u64>;

/// A lint that remembers nothing.
struct Slow {
    lint: &'static str,
    finds: Judge,
    /// Records that show that their code heeds what it would be a site of.
    heeds: Judge,
}

impl Slow {
    const fn new(lint: &'static str, finds: Judge) -> Self {
        Self { lint, finds, heeds: |_| Vec::new() }
    }

    fn all(&self, views: &Views) -> Vec<u64> {
        let by = |judge: Judge| {
            let all = views.all();
            (0..all.len()).flat_map(|at| judge(&Before { views: all, at })).collect::<Vec<_>>()
        };
        let heeded: Vec<_> = by(self.heeds).into_iter().map(|seq| place_in_code(views, seq)).collect();
        let found = by(self.finds).into_iter();
        found.filter(|seq| !heeded.contains(&place_in_code(views, *seq))).collect()
    }
}

/// The code that makes an access, and the register that it reaches.
fn place_in_code(views: &Views, seq: u64) -> Option<(String, Option<Bdf>, u64)> {
    let view = views.get(seq)?;
    let (offset, _, access) = register_of(view)?;
    Some((view.made()?.describe(), access.bdf(), offset))
}

/// Holds lints against slow ones on so many traces, in which each has something to find.
fn hold<const LINTS: usize>(traces: u64, random_trace: fn(&mut Story), slow: &[Slow; LINTS]) {
    let mut found = BTreeMap::<&str, u64>::new();
    for seed in 0..traces {
        let mut story = Story::new(seed);
        random_trace(&mut story);
        let trace = story.finished();
        let mut linter = Linter::default();
        trace.views().all().iter().for_each(|view| linter.take(trace.definitions(), view));
        let report = linter.finish(&Capabilities::COMPLETE, Completeness::default());
        for it in slow {
            let (lint, records) = (it.lint, it.all(trace.views()));
            let own = report.findings.iter().chain(&report.sites).filter(|it| it.lint.name == lint);
            let count: u64 = own.clone().map(|finding| finding.count).sum();
            let mut named: Vec<_> = own.flat_map(|finding| finding.records.clone()).collect();
            named.sort_unstable();
            assert_eq!(count, records.len() as u64, "seed {seed}, {lint}: {named:?}, slowly {records:?}");
            assert!(named.iter().all(|record| records.contains(record)), "seed {seed}, {lint}: {named:?}");
            *found.entry(lint).or_default() += count;
        }
    }
    assert!(found.len() == LINTS && found.values().all(|count| *count > 20), "{found:?}");
}

/// A trace that is being made up, of two vCPUs.
struct Story {
    random: Rng,
    sample: Sample,
    second: Lane,
}

impl Story {
    fn new(seed: u64) -> Self {
        let sample = machine();
        let second = sample.writer.lane(Some(1));
        Self { random: Rng::with_seed(seed), sample, second }
    }

    /// One of these.
    fn choice<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.usize(0..of.len())]
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u32) -> bool {
        self.random.u32(0..times) == 0
    }

    /// An access of the first vCPU or of the second.
    fn access_on(&mut self, vcpu: u8, access: AccessEvent) -> u64 {
        if vcpu == 0 { self.sample.access(access) } else { self.event_on(vcpu, EventKind::Access(access)) }
    }

    /// A record of the first vCPU or of the second.
    fn event_on(&mut self, vcpu: u8, kind: EventKind) -> u64 {
        if vcpu == 0 {
            return self.sample.event(kind);
        }
        let seq = self.sample.writer.reserve();
        let event = Event { seq, host_ns: seq * 10_000_000, device_ns: 0, vcpu: Some(vcpu), kind };
        self.second.record(&event).unwrap();
        seq
    }

    fn finished(self) -> crate::Trace {
        drop(self.second);
        self.sample.finished()
    }
}

/// What is said of record `at` by someone who looks back over all records before it.
#[derive(Clone, Copy)]
struct Before<'a> {
    views: &'a [View],
    at: usize,
}

impl<'a> Before<'a> {
    fn it(&self) -> &'a View {
        &self.views[self.at]
    }

    fn seq(&self) -> u64 {
        self.it().seq
    }

    fn access(&self) -> Option<AccessView<'a>> {
        self.it().access()
    }

    /// The same of the records before it, the last one first, as far as none is missing.
    fn earlier(&self) -> impl Iterator<Item = Before<'a>> + use<'a> {
        let views = self.views;
        let whole = move |at: &usize| views[*at].seq + 1 == views[*at + 1].seq;
        (0..self.at).rev().take_while(whole).map(move |at| Before { views, at })
    }

    /// Whether no record is missing before it.
    fn is_whole(&self) -> bool {
        self.seq() == self.at as u64 + 1
    }

    /// This record, if it shows something.
    fn if_so(&self, shows: bool) -> Vec<u64> {
        if shows { vec![self.seq()] } else { Vec::new() }
    }
}

/// A register of a BAR: its offset, what is known of it, and the access.
fn register_of(view: &View) -> Option<(u64, &Register, AccessView<'_>)> {
    let access = view.access()?;
    let place = access.place().filter(|place| !place.is_configuration())?;
    let register = place.register()?;
    Some((register.offset, register, access))
}
