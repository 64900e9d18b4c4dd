//! The lab's DMA against a model of both memories, for any address, offset and length.

use barscope_device::AccessSize::Qword;
use barscope_device::{Fixture, Region};
use barscope_devices::lab::Lab;
use proptest::collection::vec;
use proptest::prelude::*;

const REGISTERS: Region = Region::BAR0;
const MEMORY: Region = Region::BAR2;
/// What the fixture and BAR2 have.
const GUEST_SIZE: u64 = 0x1_0000;
const MEMORY_SIZE: u64 = 0x10_0000;

#[derive(Clone, Debug)]
struct Transfer {
    address: u64,
    offset: u32,
    length: u32,
    to_memory: bool,
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let address = prop_oneof![4 => 0..GUEST_SIZE, 2 => GUEST_SIZE - 64..GUEST_SIZE + 64, 1 => any::<u64>()];
    let end = MEMORY_SIZE as u32;
    let offset = prop_oneof![4 => 0..end, 2 => end - 64..end + 64, 1 => any::<u32>()];
    let length = prop_oneof![6 => 0_u32..128, 2 => 0_u32..0x2_0000, 1 => any::<u32>()];
    (address, offset, length, any::<bool>()).prop_map(|(address, offset, length, to_memory)| Transfer {
        address,
        offset,
        length,
        to_memory,
    })
}

/// Where the bytes are, if all of them exist.
fn range(start: u64, length: u32, size: u64) -> Option<std::ops::Range<usize>> {
    let end = u128::from(start) + u128::from(length);
    (length > 0 && end <= u128::from(size)).then_some(start as usize..end as usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_transfer_moves_its_bytes_or_none(transfers in vec(transfer(), 1..8)) {
        let mut fixture = Fixture::new(Lab::default());
        fixture.enable_memory();
        fixture.enable_bus_master();
        fixture.write32(REGISTERS, 0x0c, 1);
        let mut guest: Vec<u8> = (0..GUEST_SIZE).map(|index| (index % 251) as u8).collect();
        fixture.memory().write(0, &guest).unwrap();
        let mut memory = vec![0_u8; MEMORY_SIZE as usize];

        for Transfer { address, offset, length, to_memory } in transfers {
            fixture.write(REGISTERS, 0x40, Qword, address).unwrap();
            fixture.write32(REGISTERS, 0x48, offset);
            fixture.write32(REGISTERS, 0x4c, length);
            fixture.write32(REGISTERS, 0x50, 1 | u32::from(to_memory) << 1);
            fixture.advance(10_000_000);

            let ranges = range(address, length, GUEST_SIZE).zip(range(offset.into(), length, MEMORY_SIZE));
            let moved = ranges.is_some();
            match ranges {
                Some((there, here)) if to_memory => guest[there].copy_from_slice(&memory[here]),
                Some((there, here)) => memory[here].copy_from_slice(&guest[there]),
                None => {}
            }
            prop_assert_eq!(fixture.read32(REGISTERS, 0x54) & 0b111, if moved { 0b010 } else { 0b100 });
        }

        let mut found = vec![0; guest.len()];
        fixture.memory().read(0, &mut found).unwrap();
        prop_assert!(found == guest, "guest memory differs");
        let mut found = vec![0; memory.len()];
        fixture.function().memory(MEMORY).unwrap().load(0, &mut found).unwrap();
        prop_assert!(found == memory, "BAR2 differs");
    }
}
