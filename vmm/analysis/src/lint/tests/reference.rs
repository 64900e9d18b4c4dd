//! Lints held against slow, obvious ones on random traces: those look at all that came before, record by record, and
//! remember nothing.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::*;
use crate::view::{Place, View};

/// Traces that are made.
const TRACES: u64 = 600;
/// Records of one at most.
const RECORDS: usize = 40;

/// How often a lint finds something, and the records.
type Counts = BTreeMap<&'static str, Vec<u64>>;
/// Whether a lint finds something in a record.
type Judge<'a> = fn(&Before<'a>) -> bool;

/// `lab` in a machine whose configuration space has what lints follow, and a register that can only be written.
fn random_trace(random: &mut Rng) -> Sample {
    let mut sample = machine();
    sample.add_routes(0);
    for _ in 0..random.usize(1..RECORDS) {
        match random.u8(0..20) {
            0 => {
                sample.lose();
            }
            1..7 => configure(&mut sample, random),
            9 | 10 => acknowledge(&mut sample, random),
            7 | 8 => nobody_answers(&mut sample, random),
            _ => touch(&mut sample, random),
        }
    }
    sample
}

fn configure(sample: &mut Sample, random: &mut Rng) {
    let power = random.u8(0..4) == 0;
    if power {
        let state = random.choice([0, 3]).unwrap();
        if random.bool() {
            write_config(sample, 0x44, 2, state)
        } else {
            read_config(sample, 0x44, 2, state)
        };
        return;
    }
    let status = random.choice([0, 0x2000, 0x0010, 0x2010]).unwrap();
    let command = random.choice([0, 2, 6, 0x406]).unwrap();
    let (size, value) = if random.bool() { (4, status << 16 | command) } else { (2, command) };
    if random.bool() {
        write_config(sample, 4, size, value)
    } else {
        read_config(sample, 4, size, value)
    };
}

fn touch(sample: &mut Sample, random: &mut Rng) {
    let offset = random.choice([8, 0x10, 0x14, 0x14, 0x14, 0x1c, 0x24]).unwrap();
    let value = random.choice([0, 1, 2, 3, 5, 0x100, 0x101, u64::from(u32::MAX)]).unwrap();
    let access =
        if random.bool() { sample.kernel_write(offset, value) } else { sample.kernel_read(offset, value) };
    let outcome = match random.u8(0..12) {
        0 => Outcome::Width,
        1 => Outcome::Alignment,
        2 => Outcome::Straddles,
        3 => Outcome::Reserved,
        4 => Outcome::WriteOnly,
        _ => Outcome::Ok,
    };
    let size = if random.u8(0..8) == 0 { 1 } else { 4 };
    let read_modify_write = random.u8(0..6) == 0;
    sample.access(AccessEvent { outcome, size, read_modify_write, ..access });
}

/// Causes are read, and written back with others or without.
fn acknowledge(sample: &mut Sample, random: &mut Rng) {
    let causes = random.choice([1, 2]).unwrap();
    let added = random.choice([0, 4, 8]).unwrap();
    let read_modify_write = random.u8(0..6) == 0;
    let read = sample.kernel_read(0x14, causes);
    sample.access(AccessEvent { read_modify_write, ..read });
    let write = sample.kernel_write(0x14, causes | added);
    sample.access(AccessEvent { read_modify_write, ..write });
}

/// BAR 0 is gone for one access.
fn nobody_answers(sample: &mut Sample, random: &mut Rng) {
    // By a configuration write, of which there may be another one before: a machine alone does it at a reset.
    remove_routes(sample, u64::MAX);
    let access = if random.bool() { sample.kernel_write(8, 1) } else { sample.kernel_read(8, u64::MAX) };
    sample.access(AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..access });
    sample.add_routes(u64::MAX);
}

/// What is said of record `at` by someone who looks back over all records before it.
struct Before<'a> {
    views: &'a [View],
    at: usize,
}

impl<'a> Before<'a> {
    fn it(&self) -> &'a View {
        &self.views[self.at]
    }

    /// The records before it, the last one first, as far as none is missing.
    fn back(&self) -> impl Iterator<Item = &'a View> {
        let views = self.views;
        let whole = move |at: &usize| views[*at].seq + 1 == views[*at + 1].seq;
        (0..self.at).rev().take_while(whole).map(move |at| &views[at])
    }

    /// Whether no record is missing before it.
    fn is_whole(&self) -> bool {
        self.it().seq == self.at as u64 + 1
    }

    fn wrong_width(&self) -> bool {
        let Some(access) = self.it().access() else { return false };
        if access.place().is_none_or(Place::is_configuration) {
            return false;
        }
        matches!(access.outcome, Outcome::Width | Outcome::Alignment | Outcome::Straddles)
    }

    fn reserved_write(&self) -> bool {
        let Some(access) = self.it().access().filter(|access| access.place().is_some()) else { return false };
        if access.place().is_some_and(Place::is_configuration) {
            return false;
        }
        if access.outcome == Outcome::Reserved {
            return true;
        }
        let Some((offset, known, _)) =
            register_of(self.it()).filter(|(.., access)| access.outcome == Outcome::Ok)
        else {
            return false;
        };
        let all_ones = u64::MAX >> (64 - 8 * u32::from(access.size));
        let is_idiom = known.access == Access::WriteOneToClear && access.value == all_ones;
        if !access.write || known.fields.is_empty() || is_idiom || !self.is_whole() {
            return false;
        }
        let used: u64 = known.fields.iter().map(Field::mask).fold(0, |all, mask| all | mask);
        let same = |view: &&View| {
            register_of(view).is_some_and(|(other, _, access)| {
                other == offset && !access.write && access.outcome == Outcome::Ok
            })
        };
        let given = self.views[..self.at].iter().filter(same).filter_map(View::access);
        let given = given.fold(known.reset, |all, access| all | access.value);
        access.value & !used & u64::from(u32::MAX) & !given != 0
    }

    fn config_w1c_merge(&self) -> bool {
        let whole = |view: &View| {
            let access = view.access()?;
            let place = access.place().filter(|place| place.is_configuration() && place.offset == 4)?;
            (place.offset == 4 && access.size == 4).then_some((access.write, access.value))
        };
        let Some((true, value)) = whole(self.it()) else { return false };
        let Some((false, read)) = self.back().find_map(whole) else { return false };
        // The only field of Status that clears.
        value & read & 0x2000_0000 != 0 && (value ^ read) & 0xffff != 0
    }

    /// What a write of INT_STATUS that follows right after its read had besides, and what that gave.
    fn added(&self) -> Option<(u64, u64)> {
        let causes = |view: &'a View| {
            let (offset, _, access) = register_of(view)?;
            (offset == 0x14 && access.outcome == Outcome::Ok && access.size == 4).then_some(access)
        };
        let write = causes(self.it()).filter(|access| access.write)?;
        let last = self.back().find(|view| view.access().is_some())?;
        let read = causes(last).filter(|access| !access.write)?.value;
        let added = write.value & !read;
        (read != 0 && write.value & read == read && added != 0).then_some((read, added))
    }

    fn w1c_write_back(&self) -> bool {
        let Some((read, added)) = self.added() else { return false };
        if self.it().access().is_some_and(|access| access.read_modify_write) {
            return true;
        }
        // All writes are of the same line of code.
        let earlier = (0..self.at).rev().map(|at| Before { views: self.views, at });
        let mut kept = earlier.filter(|before| !before.w1c_write_back()).filter_map(|before| before.added());
        kept.next().is_some_and(|(other, same)| other != read && same == added)
    }

    /// What the low byte of COMMAND, or the power state, was last told to be.
    fn told(&self, offset: u64) -> Option<u64> {
        let power = |view: &View| written_or_read(view, 0x44);
        for (at, view) in self.back().enumerate() {
            if let Some((value, _)) = written_or_read(view, offset) {
                return Some(value);
            }
            // On its way to D0 a function may forget what it knew.
            if let Some((state, true)) = power(view) {
                let before = self.back().skip(at + 1).find_map(power);
                if state & 3 != 3 && before.is_none_or(|(other, _)| other & 3 != state & 3) {
                    return None;
                }
            }
        }
        None
    }

    fn is_lost(&self) -> bool {
        let Some(access) = self.it().access() else { return false };
        access.outcome == Outcome::Unclaimed && access.absent().is_some_and(|absent| absent.base.is_some())
    }

    fn asleep(&self) -> bool {
        self.is_lost() && self.told(0x44).is_some_and(|state| state & 3 == 3)
    }

    fn decode_off(&self) -> bool {
        self.is_lost() && !self.asleep() && self.told(4).is_some_and(|command| command & 2 == 0)
    }
}

/// A register of BAR 0: its offset, what is known of it, and the access.
fn register_of(view: &View) -> Option<(u64, &Register, crate::view::AccessView<'_>)> {
    let access = view.access()?;
    let place = access.place().filter(|place| !place.is_configuration())?;
    let register = place.register()?;
    Some((register.offset, register, access))
}

/// What an access says that a register of configuration space holds, and whether it writes that.
fn written_or_read(view: &View, offset: u64) -> Option<(u64, bool)> {
    let access = view.access()?;
    let place = access.place()?;
    (place.is_configuration() && place.offset == offset).then_some((access.value, access.write))
}

fn slowly<'a>(views: &'a [View]) -> Counts {
    let lints: [(&str, Judge<'a>); 6] = [
        ("wrong-width", Before::wrong_width),
        ("reserved-write", Before::reserved_write),
        ("config-w1c-merge", Before::config_w1c_merge),
        ("w1c-write-back", Before::w1c_write_back),
        ("asleep", Before::asleep),
        ("decode-off", Before::decode_off),
    ];
    let records = |judge: Judge<'a>| {
        let all = (0..views.len()).map(|at| Before { views, at });
        all.filter(judge).map(|before| before.it().seq).collect::<Vec<_>>()
    };
    lints.into_iter().map(|(name, judge)| (name, records(judge))).collect()
}

#[test]
fn lints_find_what_slow_ones_find_in_random_traces() {
    let mut found = BTreeMap::<&str, u64>::new();
    for seed in 0..TRACES {
        let trace = random_trace(&mut Rng::with_seed(seed)).finished();
        let expected = slowly(trace.views().all());
        let mut linter = Linter::default();
        trace.views().all().iter().for_each(|view| linter.take(trace.definitions(), view));
        let report = linter.finish(&Capabilities::COMPLETE, Completeness::default());
        for (lint, records) in expected {
            let own = report.findings.iter().filter(|finding| finding.lint.name == lint);
            let count: u64 = own.clone().map(|finding| finding.count).sum();
            let mut named: Vec<_> = own.flat_map(|finding| finding.records.clone()).collect();
            named.sort_unstable();
            assert_eq!(count, records.len() as u64, "seed {seed}, {lint}: {named:?}, slowly {records:?}");
            assert!(named.iter().all(|record| records.contains(record)), "seed {seed}, {lint}: {named:?}");
            *found.entry(lint).or_default() += count;
        }
    }
    // Each has something to find.
    assert!(found.len() == 6 && found.values().all(|count| *count > 20), "{found:?}");
}
