use std::collections::BTreeSet;

use proptest::collection::btree_set;
use proptest::prelude::*;

use super::*;
use crate::probe::vector;

fn set(numbers: &[u16]) -> InterruptSet {
    numbers.iter().map(|number| vector(*number)).collect()
}

#[test]
fn a_mask_stands_for_the_first_64_numbers() {
    let mut found = set(&[2047]);
    found.insert_mask(1 << 63 | 0b101);

    assert_eq!(found, set(&[0, 2, 63, 2047]));
    assert_eq!(format!("{found:?}"), "{0, 2, 63, 2047}");
}

#[test]
fn sets_are_equal_by_what_is_in_them_whatever_was() {
    let mut found = set(&[7, 2000]);
    found.remove(vector(2000));

    assert_eq!(found, set(&[7]));
    assert_ne!(found, InterruptSet::EMPTY);
    found.clear();
    assert_eq!(found, InterruptSet::EMPTY);
    assert!(found.is_empty());
}

#[test]
fn all_numbers_below_a_count() {
    assert!(InterruptSet::below(0).is_empty());
    assert_eq!(
        InterruptSet::below(65).iter().map(VectorIndex::get).collect::<Vec<_>>(),
        Vec::from_iter(0..65)
    );
    assert_eq!(InterruptSet::below(2048).iter().count(), 2048);
}

#[test]
fn it_is_stored_as_words_of_which_there_are_no_more_than_32() {
    assert_eq!(serde_json::to_string(&set(&[0, 64, 66])).unwrap(), "[1,5]");
    assert_eq!(serde_json::from_str::<InterruptSet>("[1,5,0]").unwrap(), set(&[0, 64, 66]));
    let words = format!("[{}]", ["0"; 33].join(","));
    let error = serde_json::from_str::<InterruptSet>(&words).unwrap_err().to_string();
    assert!(error.starts_with("a set of interrupts has 32 words at most"), "{error}");
}

proptest! {
    #[test]
    fn it_agrees_with_a_set_of_numbers(
        a in btree_set(0_u16..2048, 0..40),
        b in btree_set(0_u16..2048, 0..40),
        probed in 0_u16..2048,
    ) {
        let of = |numbers: &BTreeSet<u16>| set(&numbers.iter().copied().collect::<Vec<_>>());
        let numbers = |set: &InterruptSet| set.iter().map(VectorIndex::get).collect::<BTreeSet<_>>();

        prop_assert_eq!(numbers(&of(&a)), a.clone());
        prop_assert_eq!(of(&a).contains(vector(probed)), a.contains(&probed));
        prop_assert_eq!(of(&a).union(&of(&b)), of(&(&a | &b)));
        prop_assert_eq!(of(&a).intersection(&of(&b)), of(&(&a & &b)));
        prop_assert_eq!(of(&a).difference(&of(&b)), of(&(&a - &b)));
        let mut left = of(&a);
        left.remove_all(&of(&b));
        prop_assert_eq!(left, of(&(&a - &b)));
        prop_assert_eq!(of(&a) == of(&b), a == b);
        let text = serde_json::to_string(&of(&a)).unwrap();
        prop_assert_eq!(serde_json::from_str::<InterruptSet>(&text).unwrap(), of(&a));
    }
}
