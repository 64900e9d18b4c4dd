use super::*;
use crate::fixture::{Guest, KERNEL, MEMORY, TOP_TABLE};

/// A virtual address whose table indexes differ: 1, 2, 3, 4 and, from the top down of five levels, 5.
const PAGE: u64 = 5 << 48 | 1 << 39 | 2 << 30 | 3 << 21 | 4 << 12;
fn translated(guest: &Guest, address: u64) -> Option<u64> {
    walk(&guest.memory, &guest.registers, address).map(|walk| walk.translate(address))
}

#[test]
fn four_levels_are_walked_from_the_top_down() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, KERNEL);

    let walk = walk(&guest.memory, &guest.registers, PAGE + 0x123).unwrap();

    assert_eq!(walk.entries(), [0x2007, 0x3007, 0x4007, 0xfe00_1003]);
    assert_eq!(walk.leaf(), 0xfe00_1003);
    assert_eq!((walk.cr3, walk.levels), (0x1000, 4));
    assert_eq!((walk.page, walk.physical, walk.page_size), (PAGE, 0xfe00_1000, 0x1000));
    assert_eq!(walk.translate(PAGE + 0x123), 0xfe00_1123);
}

#[test]
fn five_levels_are_walked_where_cr4_says_so() {
    let mut guest = Guest::new(5);
    guest.map(PAGE, 0xfe00_1000, KERNEL);

    let walk = walk(&guest.memory, &guest.registers, PAGE + 8).unwrap();

    assert_eq!(walk.entries(), [0x2007, 0x3007, 0x4007, 0x5007, 0xfe00_1003]);
    assert_eq!(walk.levels, 5);
    assert_eq!(walk.translate(PAGE + 8), 0xfe00_1008);
    // The same address without bits 56 to 48 has another entry in the fifth level only.
    assert_eq!(translated(&guest, PAGE & 0xffff_ffff_ffff), None);
}

#[test]
fn flag_bits_of_cr3_are_no_part_of_the_table_address() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, KERNEL);
    guest.registers.cr3 = 0x8000_0000_0000_0000 | TOP_TABLE | 0x18;

    assert_eq!(translated(&guest, PAGE), Some(0xfe00_1000));
}

#[test]
fn a_2_mib_page_ends_the_walk_a_level_early() {
    let mut guest = Guest::new(4);
    guest.map_at_level(2, 0x4020_0000, 0xfe00_0000, KERNEL);

    let walk = walk(&guest.memory, &guest.registers, 0x4031_2345).unwrap();

    assert_eq!(walk.entries(), [0x2007, 0x3007, 0xfe00_0083]);
    assert_eq!((walk.page, walk.physical, walk.page_size), (0x4020_0000, 0xfe00_0000, 0x20_0000));
    assert_eq!(walk.translate(0x4031_2345), 0xfe11_2345);
}

#[test]
fn a_1_gib_page_ends_the_walk_two_levels_early() {
    let mut guest = Guest::new(4);
    guest.map_at_level(3, 0x40_0000_0000, 0x8_0000_0000, KERNEL);

    let walk = walk(&guest.memory, &guest.registers, 0x40_3fff_ffff).unwrap();

    assert_eq!(walk.entries(), [0x2007, 0x8_0000_0083]);
    assert_eq!((walk.page, walk.physical, walk.page_size), (0x40_0000_0000, 0x8_0000_0000, 0x4000_0000));
    assert_eq!(walk.translate(0x40_3fff_ffff), 0x8_3fff_ffff);
}

#[test]
fn the_pat_bit_of_a_large_page_is_no_address_bit() {
    let mut guest = Guest::new(4);
    guest.map_at_level(2, 0x4020_0000, 0xfe00_0000, KERNEL | 1 << 12);

    assert_eq!(translated(&guest, 0x4020_0010), Some(0xfe00_0010));
}

#[test]
fn bits_above_the_address_are_no_part_of_it() {
    let mut guest = Guest::new(4);
    // Execute-disable, a protection key and bits that the processor leaves to software.
    guest.map(PAGE, 0xfe00_1000, KERNEL | 0xfff0_0000_0000_0e00);

    assert_eq!(translated(&guest, PAGE + 4), Some(0xfe00_1004));
}

#[test]
fn an_entry_that_is_not_present_ends_the_walk_at_any_level() {
    for place in [0x1008, 0x2010, 0x3018, 0x4020] {
        let mut guest = Guest::new(4);
        guest.map(PAGE, 0xfe00_1000, KERNEL);
        let entry = guest.memory.read_entry(place).unwrap();
        assert_ne!(entry, 0);

        guest.set_entry(place, entry & !1);

        assert_eq!(translated(&guest, PAGE), None, "entry at {place:#x}");
    }
}

#[test]
fn tables_outside_memory_end_the_walk() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, KERNEL);
    guest.set_entry(0x1000 + 8, MEMORY | 7);
    assert_eq!(translated(&guest, PAGE), None);

    guest.set_entry(0x1000 + 8, 0x000f_ffff_ffff_f007);
    assert_eq!(translated(&guest, PAGE), None);

    guest.registers.cr3 = u64::MAX;
    assert_eq!(translated(&guest, PAGE), None);
}

#[test]
fn a_page_is_the_users_only_if_every_level_says_so() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, 7);
    let user = |guest: &Guest| walk(&guest.memory, &guest.registers, PAGE).unwrap().user();
    assert!(user(&guest));

    guest.set_entry(0x2000 + 2 * 8, 0x3003);
    assert!(!user(&guest));

    guest.set_entry(0x2000 + 2 * 8, 0x3007);
    guest.set_entry(0x4000 + 4 * 8, 0xfe00_1003);
    assert!(!user(&guest));
}

#[test]
fn a_page_is_writable_only_if_every_level_says_so() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, 7);
    let writable = |guest: &Guest| walk(&guest.memory, &guest.registers, PAGE).unwrap().writable();
    assert!(writable(&guest));

    guest.set_entry(0x3000 + 3 * 8, 0x4005);
    assert!(!writable(&guest));
}

#[test]
fn with_paging_off_addresses_are_physical() {
    let mut guest = Guest::new(4);
    guest.registers.cr0 = 1;

    let walk = walk(&guest.memory, &guest.registers, 0xfe00_1234).unwrap();

    assert_eq!(walk.translate(0xfe00_1234), 0xfe00_1234);
    assert_eq!((walk.cr3, walk.levels, walk.leaf()), (0, 0, 0));
    assert_eq!(walk.entries(), [0; 0]);
    assert!(!walk.user());
}

#[test]
fn paging_outside_long_mode_is_not_followed() {
    let mut guest = Guest::new(4);
    guest.map(PAGE, 0xfe00_1000, KERNEL);
    guest.registers.efer = 0;

    assert_eq!(translated(&guest, PAGE), None);
}

#[test]
fn reading_goes_on_in_the_next_page_wherever_that_lies() {
    let mut guest = Guest::new(4);
    guest.map(0x40_0000, 0x10_0000, KERNEL);
    guest.map(0x40_1000, 0x20_0000, KERNEL);
    guest.write(0x10_0ffc, &[1, 2, 3, 4]);
    guest.write(0x20_0000, &[5, 6, 7, 8]);

    let mut data = [0; 8];
    let got = read_virtual(&guest.memory, &guest.registers, 0x40_0ffc, &mut data);

    assert_eq!((got, data), (8, [1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn reading_stops_at_a_page_that_is_not_mapped() {
    let mut guest = Guest::new(4);
    guest.map(0x40_0000, 0x10_0000, KERNEL);
    guest.write(0x10_0ffe, &[1, 2]);

    let mut data = [0xff; 8];
    let got = read_virtual(&guest.memory, &guest.registers, 0x40_0ffe, &mut data);

    assert_eq!((got, &data[..2]), (2, &[1, 2][..]));
}

#[test]
fn reading_stops_at_a_page_that_is_no_memory() {
    let mut guest = Guest::new(4);
    guest.map(0x40_0000, 0x10_0000, KERNEL);
    guest.map(0x40_1000, 0xfe00_0000, KERNEL);

    let mut data = [0; 8];
    assert_eq!(read_virtual(&guest.memory, &guest.registers, 0x40_0ffe, &mut data), 2);
    assert_eq!(read_virtual(&guest.memory, &guest.registers, 0x40_1000, &mut data), 0);
}

#[test]
fn reading_wraps_at_the_end_of_the_address_space() {
    let mut guest = Guest::new(4);
    guest.map(0xffff_ffff_ffff_f000, 0x10_0000, KERNEL);
    guest.map(0, 0x20_0000, KERNEL);
    guest.write(0x10_0fff, &[1]);
    guest.write(0x20_0000, &[2]);

    let mut data = [0; 2];
    let got = read_virtual(&guest.memory, &guest.registers, u64::MAX, &mut data);

    assert_eq!((got, data), (2, [1, 2]));
}
