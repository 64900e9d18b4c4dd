//! What a restored function reports, against what the writes reported that led to its state, reckoned up slowly.

use std::collections::{BTreeMap, BTreeSet};

use crate::operations::{Operation, apply, device, enable, operation, reset};
use barscope_device::AccessSize::{Byte, Dword, Word};
use barscope_device::{Backing, BarIndex, Decode, Effect, Fixture, Options, Region, State, VectorIndex};
use barscope_devices::lab::{self, Lab};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_fresh_function_that_is_restored_reports_what_the_writes_did_on_balance(
        device in device(),
        operations in vec(prop_oneof![operation(), interrupt()], 0..60),
        options in option(),
        messages in any::<bool>(),
    ) {
        let new = || if device == 0 { lab(&options) } else { reset(device) };
        let (mut original, mut copy) = (new(), new());
        let backings: BTreeMap<_, _> =
            BarIndex::all().map(Region::Bar).map(|region| (region, copy.function().backing(region))).collect();
        let mut written = Vec::new();
        enable(&mut original);
        if messages {
            program_messages(&mut original);
        }
        written.append(&mut original.take_effects());
        for operation in &operations {
            apply(&mut original, operation);
            written.append(&mut original.take_effects());
        }
        let state = original.function().save();
        let held_back = held_back(&mut original, &state);
        let running = deadlines(&state);

        copy.restore(state).unwrap();

        let restored = copy.take_effects();
        prop_assert_eq!(Balance::of(&restored, &backings), Balance::of(&written, &backings));
        for effect in &restored {
            let is_event = matches!(
                effect,
                Effect::Msi { .. } | Effect::Dma { .. } | Effect::InterruptLost { .. } | Effect::AddressCut { .. }
            );
            prop_assert!(!is_event, "{effect:?}");
        }
        let masked = |effects: &[Effect]| -> BTreeSet<u16> {
            let index = |effect: &Effect| match effect {
                Effect::InterruptMasked { index } => Some(index.get()),
                _ => None,
            };
            effects.iter().filter_map(index).collect()
        };
        prop_assert_eq!(masked(&restored), held_back.clone());
        if copy.function().header().interrupt_pin.is_none() {
            prop_assert!(masked(&written).is_superset(&held_back));
        }
        let busy = |effects: &[Effect]| -> BTreeSet<u64> {
            let until = |effect: &Effect| match effect {
                Effect::Busy { until } => Some(*until),
                _ => None,
            };
            effects.iter().filter_map(until).collect()
        };
        prop_assert_eq!(busy(&restored), running.clone());
        prop_assert!(busy(&written).is_superset(&running));
    }
}

/// An operation that has to do with interrupts, on registers of some device.
fn interrupt() -> impl Strategy<Value = Operation> {
    let write = |region, offset, size, value| Operation::Write(region, offset, size, value);
    let device = prop_oneof![
        // The lab's INT_MASK, INT_STATUS and TRIGGER.
        (0_u64..8).prop_map(move |value| write(Region::BAR0, 0x18, Dword, value)),
        (0_u64..8).prop_map(move |value| write(Region::BAR0, 0x14, Dword, value)),
        (0_u64..8).prop_map(move |value| write(Region::BAR0, 0x6c, Dword, value)),
        // The ticker's PERIOD and CONTROL.
        Just(write(Region::BAR0, 0x00, Dword, 1_000)),
        Just(write(Region::BAR0, 0x04, Dword, 1)),
        (0_u64..3_000).prop_map(Operation::Advance),
        // Edu's interrupt raise and acknowledge registers.
        (0_u64..4).prop_map(move |value| write(Region::BAR0, 0x60, Dword, value)),
        (0_u64..4).prop_map(move |value| write(Region::BAR0, 0x64, Dword, value)),
    ];
    let function = prop_oneof![
        // Interrupt Disable, mask bits of MSI and of MSI-X's table, the mask of all of MSI-X, which are where the lab has
        // them.
        any::<bool>().prop_map(move |on| write(Region::Config, 0x05, Byte, if on { 4 } else { 0 })),
        (0_u64..16).prop_map(move |mask| write(Region::Config, 0x58, Byte, mask)),
        (0_u64..4, 0_u64..2).prop_map(move |(vector, masked)| {
            write(Region::Bar(BarIndex::BAR4), 16 * vector + 12, Dword, masked)
        }),
        prop_oneof![Just(0x00), Just(0x80), Just(0xc0)].prop_map(move |control| write(
            Region::Config,
            0x63,
            Byte,
            control
        )),
    ];
    prop_oneof![3 => device, 2 => function]
}

/// Options of the lab that make its interrupts and backings differ.
fn option() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = prop_oneof![
        Just(("msix", "off")),
        Just(("msi-vectors", "0")),
        Just(("msi-vectors", "32")),
        Just(("msi-masking", "off")),
        Just(("memory", "direct")),
        Just(("doorbells", "ioeventfd")),
    ];
    vec(one, 0..3).prop_map(|mut options| {
        options.sort_unstable();
        options.dedup_by_key(|(name, _)| *name);
        options
    })
}

/// Gives messages an address, so that they interrupt where they are enabled.
fn program_messages(fixture: &mut Fixture) {
    if fixture.capability(0x05).is_some() {
        fixture.program_msi(0xfee0_0000, 0x31);
    }
    if fixture.capability(0x11).is_some() {
        for vector in 0..4 {
            fixture.program_msix(
                VectorIndex::new(vector).expect("it is below 2048"),
                0xfee0_0000,
                0x40 + u32::from(vector),
            );
        }
    }
}

/// What effects change for good: each thing from its first value to its last, unless these are equal.
#[derive(Debug, PartialEq)]
struct Balance {
    registers: BTreeMap<(Region, u64), (u64, u64)>,
    decodes: Vec<(Region, Option<Decode>, Option<Decode>)>,
    backings: BTreeMap<Region, Backing>,
    pin: bool,
}

impl Balance {
    /// `before` has the backing that each region had at first.
    fn of(effects: &[Effect], before: &BTreeMap<Region, Backing>) -> Self {
        let (mut registers, mut decodes) = (BTreeMap::new(), BTreeMap::new());
        let (mut backings, mut pin) = (BTreeMap::new(), false);
        for effect in effects {
            match *effect {
                Effect::Change { region, offset, old, new } => {
                    registers.entry((region, offset)).or_insert((old, old)).1 = new;
                }
                Effect::Decode { region, from, to } => {
                    decodes.entry(region).or_insert((from, from)).1 = to;
                }
                Effect::Backing { region, backing } => {
                    backings.insert(region, backing);
                }
                Effect::Intx { asserted } => pin = asserted,
                _ => {}
            }
        }
        backings.retain(|region, last| before[region] != *last);
        registers.retain(|_, (first, last)| first != last);
        let decodes = decodes.into_iter().filter(|(_, (first, last))| first != last);
        let decodes = decodes.map(|(region, (first, last))| (region, first, last)).collect();
        Self { registers, decodes, backings, pin }
    }
}

/// Interrupts that wait for a mask to go: as the pending bits say, or for the pin, as the state does.
fn held_back(fixture: &mut Fixture, state: &State) -> BTreeSet<u16> {
    let saved = serde_json::to_value(state).expect("a state serializes");
    let function = &saved["function"];
    let numbers = |words: &serde_json::Value| -> BTreeSet<u16> {
        let word = words[0].as_u64().unwrap_or(0);
        (0..64).filter(|bit| word >> bit & 1 != 0).collect()
    };
    let is_asleep = fixture.capability(0x01).is_some_and(|at| fixture.config_read(at + 4, Byte) & 3 != 0);
    if is_asleep {
        return BTreeSet::new();
    }
    let enabled = |fixture: &mut Fixture, id, bit: u64| {
        fixture.capability(id).filter(|at| fixture.config_read(at + 2, Word) & bit != 0)
    };
    if enabled(fixture, 0x11, 1 << 15).is_some() {
        return numbers(&function["msix"]["pending"]);
    }
    if let Some(at) = enabled(fixture, 0x05, 1 << 0) {
        let control = fixture.config_read(at + 2, Word);
        if control & 1 << 8 == 0 {
            return BTreeSet::new();
        }
        let place = if control & 1 << 7 == 0 { 0x10 } else { 0x14 };
        let pending = fixture.config_read(at + place, Dword);
        return (0..32).filter(|bit| pending >> bit & 1 != 0).collect();
    }
    let disabled = fixture.config_read(0x04, Word) & 1 << 10 != 0;
    let has_pin = fixture.config_read(0x3d, Byte) != 0;
    if disabled && has_pin { numbers(&function["interrupts"]["causes"]) } else { BTreeSet::new() }
}

/// Deadlines of the timers that run, as the state has them.
fn deadlines(state: &State) -> BTreeSet<u64> {
    let saved = serde_json::to_value(state).expect("a state serializes");
    let running = saved["function"]["timers"]["running"].as_array().expect("timers are a list");
    running.iter().filter_map(|timer| timer["deadline"].as_u64()).collect()
}

fn lab(options: &[(&str, &str)]) -> Fixture {
    let options = Options::parse("lab", &lab::options(), options).expect("it takes these");
    Fixture::new(Lab::new(&options))
}
