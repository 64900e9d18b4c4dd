//! The lab's configuration space against a reference that was written apart from the model: a table of
//! bytes with their masks, taken from the specifications.

use crate::operations::{size, value};
use barscope_device::AccessSize::Byte;
use barscope_device::{Fixture, Region, Space};
use barscope_devices::lab::Lab;
use proptest::collection::vec;
use proptest::prelude::*;

/// Offset, value after reset, writable bits, bits that a one clears; 4 bytes each.
#[rustfmt::skip]
const TABLE: &[(usize, u32, u32, u32)] = &[
    // Header: identity; Command and Status; class; cache line size; BARs; subsystem.
    (0x00, 0x1ab0_1234, 0x0000_0000, 0x0000_0000),
    (0x04, 0x0010_0000, 0x0000_0547, 0xf900_0000),
    (0x08, 0xff00_0001, 0x0000_0000, 0x0000_0000),
    (0x0c, 0x0000_0000, 0x0000_00ff, 0x0000_0000),
    (0x10, 0x0000_0000, 0xffff_f000, 0x0000_0000),
    (0x14, 0x0000_0001, 0x0000_fff0, 0x0000_0000),
    (0x18, 0x0000_000c, 0xfff0_0000, 0x0000_0000),
    (0x1c, 0x0000_0000, 0xffff_ffff, 0x0000_0000),
    (0x20, 0x0000_0000, 0xffff_f000, 0x0000_0000),
    (0x24, 0x0000_0000, 0xffff_ff00, 0x0000_0000),
    (0x2c, 0x1ab0_1234, 0x0000_0000, 0x0000_0000),
    (0x30, 0x0000_0000, 0xffff_f001, 0x0000_0000),
    (0x34, 0x0000_0040, 0x0000_0000, 0x0000_0000),
    (0x3c, 0x0000_0100, 0x0000_00ff, 0x0000_0000),
    // Power management.
    (0x40, 0x0003_4801, 0x0000_0000, 0x0000_0000),
    (0x44, 0x0000_0000, 0x0000_0003, 0x0000_0000),
    // MSI: eight vectors, 64-bit address, masking.
    (0x48, 0x0186_6005, 0x0071_0000, 0x0000_0000),
    (0x4c, 0x0000_0000, 0xffff_fffc, 0x0000_0000),
    (0x50, 0x0000_0000, 0xffff_ffff, 0x0000_0000),
    (0x54, 0x0000_0000, 0x0000_ffff, 0x0000_0000),
    (0x58, 0x0000_0000, 0x0000_00ff, 0x0000_0000),
    // MSI-X: eight vectors in BAR4.
    (0x60, 0x0007_6c11, 0xc000_0000, 0x0000_0000),
    (0x64, 0x0000_0004, 0x0000_0000, 0x0000_0000),
    (0x68, 0x0000_0804, 0x0000_0000, 0x0000_0000),
    // PCI Express: Device Control and Status. Initiate Function Level Reset reads as 0.
    (0x6c, 0x0092_a810, 0x0000_0000, 0x0000_0000),
    (0x70, 0x1000_8000, 0x0000_0000, 0x0000_0000),
    (0x74, 0x0000_2810, 0x0000_781f, 0x000f_0000),
    // Vendor-specific: "bench".
    (0xa8, 0x6208_0009, 0x0000_0000, 0x0000_0000),
    (0xac, 0x6863_6e65, 0x0000_0000, 0x0000_0000),
    // Device Serial Number.
    (0x100, 0x0001_0003, 0x0000_0000, 0x0000_0000),
    (0x104, 0x0000_0001, 0x0000_0000, 0x0000_0000),
    (0x108, 0x1ab0_0000, 0x0000_0000, 0x0000_0000),
];

const POWER_STATE: usize = 0x44;
const DEVICE_CONTROL_HIGH: usize = 0x75;

/// The reference.
struct Reference {
    value: Vec<u8>,
    writable: Vec<u8>,
    write_one_to_clear: Vec<u8>,
}

impl Reference {
    fn new() -> Self {
        let mut reference =
            Self { value: vec![0; 4096], writable: vec![0; 4096], write_one_to_clear: vec![0; 4096] };
        for &(offset, value, writable, write_one_to_clear) in TABLE {
            reference.value[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            reference.writable[offset..offset + 4].copy_from_slice(&writable.to_le_bytes());
            reference.write_one_to_clear[offset..offset + 4]
                .copy_from_slice(&write_one_to_clear.to_le_bytes());
        }
        reference
    }

    fn write(&mut self, offset: usize, size: usize, value: u64) {
        let power = self.value[POWER_STATE] & 3;
        let mut reset = false;
        for index in 0..size {
            let at = offset + index;
            let byte = (value >> (8 * index)) as u8;
            let mask = self.writable[at];
            self.value[at] = (self.value[at] & !mask) + (byte & mask);
            self.value[at] -= self.value[at] & byte & self.write_one_to_clear[at];
            reset |= at == DEVICE_CONTROL_HIGH && byte >= 0x80;
        }
        match self.value[POWER_STATE] & 3 {
            0 => reset |= power == 3,
            3 => {}
            _ => self.value[POWER_STATE] = power,
        }
        if reset {
            *self = Self::new();
        }
    }

    fn read(&self, offset: usize, size: usize) -> u64 {
        (0..size).map(|index| u64::from(self.value[offset + index]) << (8 * index)).sum()
    }
}

fn config_offset() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (0_usize..0x2c).prop_map(|word| word * 4),
        4 => 0_usize..0x110,
        1 => 0_usize..0x1000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_model_agrees_with_the_reference(writes in vec((config_offset(), size(), value()), 1..40)) {
        let mut fixture = Fixture::new(Lab::default());
        let mut reference = Reference::new();
        for (offset, size, value) in writes {
            let bytes = size.bytes() as usize;
            let offset = offset.min(4096 - bytes);
            fixture.config_write(offset as u64, size, value);
            reference.write(offset, bytes, value);

            let read = fixture.config_read(offset as u64, size);
            prop_assert_eq!(read, reference.read(offset, bytes), "{:#x} {}", offset, size);
        }
        for offset in 0..4096 {
            let read = fixture.config_read(offset as u64, Byte);
            prop_assert_eq!(read, reference.read(offset, 1), "{:#x}", offset);
        }
    }

    #[test]
    fn what_is_decoded_is_aligned_and_as_large_as_its_bar(
        writes in vec((config_offset(), size(), value()), 1..40),
    ) {
        let mut fixture = Fixture::new(Lab::default());
        for (offset, size, value) in writes {
            let bytes = size.bytes() as usize;
            let offset = offset.min(4096 - bytes);
            fixture.config_write(offset as u64, size, value);
            for (region, decode) in fixture.function().decoding() {
                let (space, size) = match region {
                    Region::BAR0 | Region::BAR4 | Region::Rom => (Space::Memory, 0x1000),
                    Region::BAR1 => (Space::Io, 0x10),
                    Region::BAR2 => (Space::Memory, 0x10_0000),
                    Region::BAR5 => (Space::Memory, 0x100),
                    other => panic!("{other} is not decoded"),
                };
                prop_assert_eq!((decode.space, decode.size, decode.base % decode.size), (space, size, 0));
                prop_assert!(decode.base.checked_add(size).is_some());
            }
        }
    }
}
