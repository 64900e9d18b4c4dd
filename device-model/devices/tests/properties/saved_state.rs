//! A function that was saved and restored can't be told from one that was not.

use crate::operations::{apply, device, fixture, operation};
use barscope_device::AccessSize::{Byte, Dword};
use barscope_device::{
    BadState, BusContext, Decode, DmaError, DmaMemory, Effect, Fixture, Options, PciFunction, Region, Space,
    State,
};
use barscope_devices::lab::{self, Lab};
use barscope_devices::ticker::Ticker;
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
        copy.restore(state).unwrap();
        let decoded = copy.function().decoding();
        prop_assert_eq!(newly_decoded(&copy.take_effects()), decoded);

        prop_assert_eq!(copy.function().save(), original.function().save());
        prop_assert_eq!(copy.function().decoding(), original.function().decoding());
        prop_assert_eq!(copy.function().intx(), original.function().intx());
        for operation in &after {
            prop_assert_eq!(apply(&mut copy, operation), apply(&mut original, operation));
            prop_assert_eq!(copy.take_timestamped_effects(), original.take_timestamped_effects());
        }
        prop_assert_eq!(copy.function().save(), original.function().save());
    }
}

#[test]
fn a_state_of_another_version_is_refused_with_both_versions() {
    let mut fixture = lab(&[]);
    let text = serde_json::to_string(&fixture.function().save()).unwrap();
    let versions = [
        (text.replacen("\"version\":1", "\"version\":2", 1), 2),
        ("{\"version\":7,\"function\":[1,2,3],\"more\":null}".to_owned(), 7),
        // Before there were versions.
        ("{\"name\":\"lab\",\"config\":\"00\",\"msix\":null}".to_owned(), 0),
    ];
    for (text, version) in versions {
        let error = fixture.restore(serde_json::from_str(&text).unwrap()).unwrap_err();

        assert_eq!(
            error.to_string(),
            format!(
                "a state of version {version}, and this is version 1: restore it with a program of its version, or \
                 save it anew"
            )
        );
    }
}

#[test]
fn a_state_fits_a_function_with_neighbours_and_one_without() {
    let mut alone = interrupting();
    let state = alone.function().save();
    let mut beside = PciFunction::new(Box::new(Lab::default())).multi_function();
    let (memory, mut effects) = (NoMemory, Vec::new());
    let mut bus = BusContext { now: 0, cause: 0, memory: &memory, effects: &mut effects };

    beside.restore(&mut bus, state).unwrap();
    assert_eq!(beside.read(&mut bus, Region::Config, 0x0e, Byte), Ok(0x80));
    assert_eq!(beside.read(&mut bus, Region::Config, 0x10, Dword), Ok(0xfe00_0000));

    alone.restore(beside.save()).unwrap();
    assert_eq!(alone.config_read(0x0e, Byte), 0x00);
}

struct NoMemory;

impl DmaMemory for NoMemory {
    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), DmaError> {
        Err(DmaError::OutOfBounds)
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<(), DmaError> {
        Err(DmaError::OutOfBounds)
    }
}

/// What effects say is decoded from now on.
fn newly_decoded(effects: &[Effect]) -> Vec<(Region, Decode)> {
    let moved = effects.iter().filter_map(|effect| match effect {
        Effect::Decode { region, to, .. } => Some((*region, (*to)?)),
        _ => None,
    });
    moved.collect()
}

fn lab(options: &[(&str, &str)]) -> Fixture {
    let options = Options::parse("lab", &lab::options(), options).expect("it takes these");
    Fixture::new(Lab::new(&options))
}

/// Decoded at 0xfe000000, with a cause that is pending on the pin.
fn interrupting() -> Fixture {
    let mut fixture = lab(&[]);
    fixture.config_write(0x10, Dword, 0xfe00_0000);
    fixture.enable_memory();
    fixture.write32(Region::BAR0, 0x18, 0x1); // INT_MASK.DONE
    fixture.write32(Region::BAR0, 0x6c, 0x1); // TRIGGER.DONE
    fixture
}

fn says(effects: &[Effect], asserted: bool) -> (bool, bool) {
    let decode = Decode { space: Space::Memory, base: 0xfe00_0000, size: 0x1000 };
    let (from, to) = if asserted { (None, Some(decode)) } else { (Some(decode), None) };
    (
        effects.contains(&Effect::Intx { asserted }),
        effects.contains(&Effect::Decode { region: Region::BAR0, from, to }),
    )
}

#[test]
fn restoring_says_what_is_decoded_and_asserted_from_then_on() {
    let state = interrupting().function().save();
    let mut fixture = lab(&[]);

    fixture.restore(state.clone()).unwrap();
    let effects = fixture.take_effects();
    assert_eq!(says(&effects, true), (true, true), "{effects:?}");
    let mask = Effect::Change { region: Region::BAR0, offset: 0x18, old: 0, new: 1 };
    assert!(effects.contains(&mask), "{effects:?}");

    fixture.restore(state).unwrap();
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn what_a_failed_restore_undoes_is_said() {
    let mut fixture = interrupting();
    fixture.take_effects();

    let other = fixture.restore(lab(&[("msix", "off")]).function().save());

    assert!(matches!(other, Err(BadState::OtherOptions(ref name)) if name == "lab"), "{other:?}");
    let effects = fixture.take_effects();
    assert_eq!(says(&effects, false), (true, true), "{effects:?}");
}

#[test]
fn a_message_that_was_sent_is_not_sent_again() {
    let mut fixture = lab(&[]);
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.write32(Region::BAR0, 0x18, 0x1);
    fixture.write32(Region::BAR0, 0x6c, 0x1);
    let is_message = |effect: &Effect| matches!(effect, Effect::Msi { .. });
    assert_eq!(fixture.take_effects().iter().filter(|effect| is_message(effect)).count(), 1);
    let mut copy = lab(&[]);

    copy.restore(fixture.function().save()).unwrap();

    assert!(!copy.take_effects().iter().any(is_message));
}

#[test]
fn a_state_fits_only_the_device_and_the_options_that_it_was_saved_with() {
    let mut ticker = Fixture::new(Ticker::default());

    let other = lab(&[]).restore(ticker.function().save());
    assert!(matches!(other, Err(BadState::OtherDevice { .. })), "{other:?}");

    for options in [("msi-vectors", "4"), ("msix", "off"), ("msi-address", "32")] {
        let other = lab(&[]).restore(lab(&[options]).function().save());
        assert!(
            matches!(other, Err(BadState::OtherOptions(ref name)) if name == "lab"),
            "{options:?}: {other:?}"
        );
    }
}

#[test]
fn a_state_that_no_write_leads_to_is_refused() {
    let fresh = serde_json::to_value(lab(&[]).function().save()).unwrap();
    let config = fresh["function"]["config"].as_str().unwrap();
    // D1 in PM_CONTROL, which it lacks; INITIATE_FLR in PCIE_DEVICE_CONTROL, which reads as 0.
    for (offset, byte) in [(0x44, "01"), (0x75, "a8")] {
        let mut config = config.to_owned();
        config.replace_range(2 * offset..2 * offset + 2, byte);
        let mut state = fresh.clone();
        state["function"]["config"] = config.into();

        let refused = lab(&[]).restore(serde_json::from_value(state).unwrap());
        assert!(matches!(refused, Err(BadState::OtherOptions(_))), "{offset:#x}: {refused:?}");
    }
}

#[test]
fn a_malformed_state_leaves_the_function_reset() {
    let mut fixture = lab(&[]);
    let fresh = fixture.function().save();
    let text = serde_json::to_string(&fresh).unwrap().replace("\"scratch\":0", "\"scratch\":-1");

    let malformed = fixture.restore(serde_json::from_str(&text).unwrap());

    assert!(matches!(malformed, Err(BadState::Malformed(_))), "{malformed:?}");
    assert_eq!(fixture.function().save(), fresh);
}
