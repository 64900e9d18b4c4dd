use barscope_device::{AccessSize, Region};
use barscope_vmm::perform::Request;

use super::*;

const BDF: Bdf = Bdf::from_routing_id(0x20);

fn read(region: Region, offset: u64, recorded: u64, observed: u64, decoded: bool) -> Done {
    let size = AccessSize::Dword.bytes() as u8;
    let operation = Operation::Access { bdf: BDF, region, offset, request: Request::read(size) };
    let answer = |value| (Answer::Value(value), Vec::new());
    Done { number: 7, operation, decoded, recorded: answer(recorded), observed: answer(observed) }
}

fn deviations() -> Vec<Deviation> {
    vec![
        Deviation { differs: Differs::UndecodedRead { gives: 0 }, why: "a" },
        Deviation { differs: Differs::Configuration { bytes: 0x40..0x44, bits: 0x70 }, why: "b" },
        Deviation { differs: Differs::Pin { bytes: 0x42..0x44 }, why: "c" },
    ]
}

/// Which deviation explains it; `Err` if none does.
fn explained(done: &Done) -> Result<Option<usize>, Where> {
    let mut comparison = Comparison::default();
    comparison.take(done, Told::All, &deviations());
    match comparison.first {
        Some(first) => Err(first.difference.place),
        None => Ok(comparison.explained.keys().next().copied()),
    }
}

#[test]
fn a_documented_difference_is_explained_and_no_other() {
    let all = u64::from(u32::MAX);
    assert_eq!(explained(&read(Region::BAR0, 8, 0, 0, true)), Ok(None));
    assert_eq!(explained(&read(Region::BAR0, 8, 0, all, false)), Ok(Some(0)));
    let at = |region, offset| Err(Where::At(BDF, region, offset));
    assert_eq!(explained(&read(Region::BAR0, 8, 0, all, true)), at(Region::BAR0, 8));
    assert_eq!(explained(&read(Region::BAR0, 8, 1, all, false)), at(Region::BAR0, 8));
    assert_eq!(explained(&read(Region::Config, 0x40, 0x10, 0x60, true)), Ok(Some(1)));
    assert_eq!(explained(&read(Region::Config, 0x40, 0x90, 0x60, true)), at(Region::Config, 0x40));
    assert_eq!(explained(&read(Region::Config, 0x44, 0x10, 0x60, true)), at(Region::Config, 0x44));
}

#[test]
fn a_level_that_may_differ_does_until_both_are_equal_again() {
    let operation = |offset| Operation::Access {
        bdf: BDF,
        region: Region::Config,
        offset,
        request: Request::write(2, 0),
    };
    let done = |offset, recorded: &[bool], observed: &[bool]| {
        let deeds = |levels: &[bool]| {
            (Answer::Nothing, levels.iter().map(|level| Deed::Pin(BDF, *level)).collect::<Vec<_>>())
        };
        let (recorded, observed) = (deeds(recorded), deeds(observed));
        Done { number: 7, operation: operation(offset), decoded: true, recorded, observed }
    };
    let mut comparison = Comparison::default();
    comparison.take(&done(0x42, &[], &[true]), Told::Pins, &deviations());
    comparison.take(&done(0x60, &[true], &[]), Told::Pins, &deviations());
    assert_eq!(comparison.explained.get(&2), Some(&Count { count: 2, first: 7 }));
    assert!(comparison.first.is_none());
    comparison.take(&done(0x60, &[false], &[]), Told::Pins, &deviations());
    assert_eq!(comparison.first.unwrap().difference.place, Where::Pin(BDF));
}

#[test]
fn what_differs_after_something_unknown_is_undecided() {
    let mut comparison = Comparison::default();
    comparison.doubt(5, "memory".to_owned());
    comparison.take(&read(Region::BAR0, 8, 1, 2, true), Told::All, &[]);
    assert!(comparison.first.is_none());
    assert_eq!(comparison.undecided, Some(Count { count: 1, first: 7 }));
}

#[test]
fn a_deed_that_is_missing_or_not_told_counts_as_far_as_it_is_told() {
    let deed = Deed::Message { bdf: BDF, index: 0, address: 0xfee0_0000, data: 0x31 };
    let mut done = read(Region::BAR0, 8, 1, 1, true);
    done.observed.1.push(deed);
    let mut comparison = Comparison::default();
    comparison.take(&done, Told::Pins, &[]);
    assert!(comparison.first.is_none());
    comparison.take(&done, Told::All, &[]);
    let first = comparison.first.unwrap().difference;
    assert_eq!((first.recorded, first.observed), (Side::Deed(None), Side::Deed(Some(deed))));
}
