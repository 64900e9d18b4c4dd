//! A function that was saved and restored can't be told from one that was not.

use crate::operations::{apply, device, fixture, operation};
use barscope_device::catalog;
use barscope_device::{BadState, PciFunction, State};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn save_and_restore_are_the_identity(
        device in device(),
        before in vec(operation(), 0..40),
        after in vec(operation(), 0..40),
    ) {
        // Both have the same clock, guest memory and number of accesses.
        let (mut original, mut copy) = (fixture(device), fixture(device));
        for operation in &before {
            prop_assert_eq!(apply(&mut copy, operation), apply(&mut original, operation));
        }
        original.take_effects();
        copy.take_effects();

        let text = serde_json::to_string(&original.function().save()).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        copy.function().reset();
        copy.function().restore(state).unwrap();

        prop_assert_eq!(copy.function().save(), original.function().save());
        prop_assert_eq!(copy.function().decoding(), original.function().decoding());
        prop_assert_eq!(copy.function().intx(), original.function().intx());
        for operation in &after {
            prop_assert_eq!(apply(&mut copy, operation), apply(&mut original, operation));
            prop_assert_eq!(copy.take_occurrences(), original.take_occurrences());
        }
        prop_assert_eq!(copy.function().save(), original.function().save());
    }
}

fn lab(options: &[(&str, &str)]) -> PciFunction {
    let entry = catalog::named("lab").expect("the catalog has it");
    PciFunction::new((entry.new)(&entry.options(options).expect("it takes these")))
}

#[test]
fn a_state_fits_only_the_device_and_the_options_that_it_was_saved_with() {
    let ticker = PciFunction::new(catalog::named("ticker").unwrap().with_defaults());

    let other = lab(&[]).restore(ticker.save());
    assert!(matches!(other, Err(BadState::OtherDevice { .. })), "{other:?}");

    for options in [("msi-vectors", "4"), ("msix", "off"), ("msi-address", "32")] {
        let other = lab(&[]).restore(lab(&[options]).save());
        assert!(matches!(other, Err(BadState::OtherOptions("lab"))), "{options:?}: {other:?}");
    }
}

#[test]
fn a_malformed_state_leaves_the_function_reset() {
    let mut function = lab(&[]);
    let fresh = function.save();
    let text = serde_json::to_string(&fresh).unwrap().replace("\"scratch\":0", "\"scratch\":-1");

    let malformed = function.restore(serde_json::from_str(&text).unwrap());

    assert!(matches!(malformed, Err(BadState::Malformed(_))), "{malformed:?}");
    assert_eq!(function.save(), fresh);
}
