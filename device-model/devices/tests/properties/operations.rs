//! Random use of a device: what the property tests have in common.

use barscope_device::AccessSize::{self, Byte, Dword, Qword, Word};
use barscope_device::{Fixture, Refused, Region};
use barscope_devices::catalog;
use proptest::prelude::*;

/// Something that a guest does, or time that passes.
#[derive(Clone, Debug)]
pub enum Operation {
    Read(Region, u64, AccessSize),
    Write(Region, u64, AccessSize, u64),
    Advance(u64),
    Doorbell(u64),
}

/// Any operation; mostly one on registers that exist.
pub fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => place().prop_map(|(region, offset, size)| Operation::Read(region, offset, size)),
        6 => (place(), value()).prop_map(|((region, offset, size), value)| {
            Operation::Write(region, offset, size, value)
        }),
        1 => (0_u64..50_000).prop_map(Operation::Advance),
        1 => (1_u64..5).prop_map(Operation::Doorbell),
    ]
}

fn place() -> impl Strategy<Value = (Region, u64, AccessSize)> {
    let region = prop_oneof![
        4 => Just(Region::BAR0),
        1 => Just(Region::BAR1),
        1 => Just(Region::BAR2),
        1 => Just(Region::BAR4),
        1 => Just(Region::BAR5),
        1 => Just(Region::Rom),
        1 => Just(Region::Config),
    ];
    (region, offset(), size())
}

/// An offset: in the first 256 bytes, aligned, for the most part.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0_u64..0x40).prop_map(|word| word * 4),
        2 => 0_u64..0x100,
        1 => 0_u64..0x1000,
        1 => any::<u64>(),
    ]
}

/// Any size, the usual one most often.
pub fn size() -> impl Strategy<Value = AccessSize> {
    prop_oneof![1 => Just(Byte), 1 => Just(Word), 6 => Just(Dword), 1 => Just(Qword)]
}

/// A value: small ones and all-ones are what registers react to.
pub fn value() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..0x20, 1 => Just(u64::MAX), 3 => any::<u64>()]
}

/// Any device of the catalog, as an index.
pub fn device() -> impl Strategy<Value = usize> {
    0..catalog::entries().len()
}

/// The device after reset, decoding everything and mastering the bus.
pub fn fixture(device: usize) -> Fixture {
    let mut fixture = reset(device);
    enable(&mut fixture);
    fixture
}

/// The device after reset.
pub fn reset(device: usize) -> Fixture {
    let [device] = <[_; 1]>::try_from(catalog::entries()[device].with_defaults()).ok().expect("one function");
    Fixture::boxed(device)
}

/// Switches on all that a driver would. BARs lie apart only where that matters: a fixture has no bus.
pub fn enable(fixture: &mut Fixture) {
    fixture.config_write(0x04, Word, 0x7);
    fixture.config_write(0x30, Dword, 0xfe10_0001);
}

/// Does it, unless the region isn't decoded: no such access would reach the function.
pub fn apply(fixture: &mut Fixture, operation: &Operation) -> Option<Result<u64, Refused>> {
    match *operation {
        Operation::Read(region, offset, size) => {
            is_decoded(fixture, region).then(|| fixture.read(region, offset, size))
        }
        Operation::Write(region, offset, size, value) => {
            is_decoded(fixture, region).then(|| fixture.write(region, offset, size, value).map(|()| value))
        }
        Operation::Advance(nanoseconds) => {
            fixture.advance(nanoseconds);
            None
        }
        Operation::Doorbell(count) => {
            fixture.doorbell(Region::BAR5, 0x20, count);
            None
        }
    }
}

fn is_decoded(fixture: &mut Fixture, region: Region) -> bool {
    let decoding = fixture.function().decoding();
    region == Region::Config || decoding.iter().any(|(decoded, _)| *decoded == region)
}
