//! What holds for the registers of every device in the catalog, whatever a guest did before.

use crate::operations::{apply, device, enable, fixture, operation};
use barscope_device::AccessSize::{Byte, Qword, Word};
use barscope_device::{AccessSize, Fixture, Refused, Region, Register};
use proptest::collection::vec;
use proptest::prelude::*;

/// Every register that the function's maps have, with its region.
fn registers(fixture: &mut Fixture) -> Vec<(Region, Register)> {
    let maps = fixture.function().register_maps().to_vec();
    maps.into_iter()
        .flat_map(|map| map.registers.into_owned().into_iter().map(move |register| (map.region, register)))
        .collect()
}

/// Checks the function against its own documentation.
fn expect_reset_values(fixture: &mut Fixture) {
    enable(fixture);
    for (region, register) in registers(fixture) {
        let Register { offset, size, access, reset, .. } = register;
        if register.memory || register.volatile || (access.read_has_side_effect() && access.writable()) {
            continue;
        }
        let expected = if access.readable() { Ok(reset) } else { Err(Refused::WriteOnly) };
        assert_eq!(
            fixture.read(region, offset, AccessSize::new(size).expect("registers have such sizes")),
            expected,
            "{region}: {}",
            register.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn reads_without_a_side_effect_have_none(device in device(), operations in vec(operation(), 0..40)) {
        let mut fixture = fixture(device);
        for operation in &operations {
            apply(&mut fixture, operation);
        }
        enable(&mut fixture);
        // Waking from D3hot is left to chance.
        if fixture.function().decoding().is_empty() {
            return Ok(());
        }
        fixture.take_effects();
        let before = fixture.function().save();
        for (region, register) in registers(&mut fixture) {
            // A 64-bit BAR that ends past 2^64 isn't decoded.
            let is_decoded = fixture.function().decoding().iter().any(|(decoded, _)| *decoded == region);
            if is_decoded && register.access.readable() && !register.access.read_has_side_effect() {
                let size = AccessSize::at_most(register.size).expect("registers have a size");
                prop_assert!(fixture.read(region, register.offset, size).is_ok(), "{}", register.name);
            }
        }
        for offset in (0..4096).step_by(8) {
            fixture.config_read(offset, Qword);
        }
        prop_assert_eq!(fixture.function().save(), before);
        prop_assert_eq!(fixture.take_effects(), []);
    }

    #[test]
    fn reset_returns_everything(device in device(), operations in vec(operation(), 0..40)) {
        let mut fixture = fixture(device);
        fixture.function().reset();
        let fresh = fixture.function().save();
        enable(&mut fixture);
        for operation in &operations {
            apply(&mut fixture, operation);
        }

        fixture.function().reset();

        prop_assert_eq!(fixture.function().save(), fresh);
        prop_assert!(!fixture.function().intx());
        expect_reset_values(&mut fixture);
    }

    #[test]
    fn function_level_reset_and_waking_return_everything(
        operations in vec(operation(), 0..40),
        by_power in any::<bool>(),
    ) {
        let mut fixture = fixture(0);
        let express = fixture.capability(0x10).unwrap();
        let power = fixture.capability(0x01).unwrap();
        fixture.function().reset();
        let fresh = fixture.function().save();
        enable(&mut fixture);
        for operation in &operations {
            apply(&mut fixture, operation);
        }

        if by_power {
            fixture.config_write(power + 4, Byte, 3);
            fixture.config_write(power + 4, Byte, 0);
        } else {
            fixture.config_write(express + 8, Word, 0x8000);
        }

        prop_assert_eq!(fixture.function().save(), fresh);
        expect_reset_values(&mut fixture);
    }
}
