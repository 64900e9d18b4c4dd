//! Which of the instructions that could have made an exit did.

use iced_x86::code_asm::{ax, dword_ptr, eax, rdi, rsi, word_ptr};

use super::*;

/// `mov [r15+8], eax`, whose last three bytes are `mov [rdi+8], eax`.
const WITH_PREFIX: [u8; 4] = [0x41, 0x89, 0x47, 0x08];
/// `mov ecx, 0x41000000`, whose last byte looks like that prefix, and `mov [rdi+8], eax`.
const AFTER_PREFIX: [u8; 8] = [0xb9, 0x00, 0x00, 0x00, 0x41, 0x89, 0x47, 0x08];

#[test]
fn a_prefix_belongs_to_the_store_if_the_address_says_so() {
    let mut guest = after_bytes(&WITH_PREFIX);
    guest.registers.rdi = RAM;
    guest.registers.r15 = DEVICE;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.bytes(), located.ambiguous), (&WITH_PREFIX[..], false));
}

#[test]
fn a_prefix_belongs_to_the_instruction_before_if_the_address_says_so() {
    let mut guest = after_bytes(&AFTER_PREFIX);
    guest.registers.rdi = DEVICE;
    guest.registers.r15 = RAM;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.bytes(), located.ambiguous), (&[0x89, 0x47, 0x08][..], false));
}

#[test]
fn two_stores_that_both_fit_are_told_apart_by_where_the_function_starts() {
    for (code, address) in [(&WITH_PREFIX[..], CODE), (&AFTER_PREFIX[..], CODE + 5)] {
        let mut guest = after_bytes(code);
        guest.registers.rdi = DEVICE;
        guest.registers.r15 = DEVICE;

        let (located, _) = locate_by(&guest, &StartsAt(CODE), write(BAR + 8, 4, 0)).unwrap();

        assert_eq!((located.decoded.ip(), located.ambiguous), (address, false));
    }
}

#[test]
fn two_stores_that_both_fit_are_ambiguous_where_no_function_is_known() {
    let mut guest = after_bytes(&WITH_PREFIX);
    guest.registers.rdi = DEVICE;
    guest.registers.r15 = DEVICE;

    for functions in [&NoFunctions as &dyn FunctionStarts, &StartsAt(CODE - 0x1000), &StartsAt(0)] {
        let (located, _) = locate_by(&guest, functions, write(BAR + 8, 4, 0)).unwrap();
        assert_eq!((located.decoded.ip(), located.ambiguous), (CODE, true));
    }
}

#[test]
fn two_stores_that_both_fit_are_dropped_if_the_function_has_neither() {
    // mov eax, 0x08478941: the bytes of both stores.
    let mut guest = after_bytes(&[0xb8, 0x41, 0x89, 0x47, 0x08]);
    guest.registers.rdi = DEVICE;
    guest.registers.r15 = DEVICE;

    assert!(locate_by(&guest, &StartsAt(CODE), write(BAR + 8, 4, 0)).is_none());
}

#[test]
fn a_narrow_store_is_not_taken_for_a_part_of_a_wider_one() {
    // 66 89 07, whose last two bytes store all of EAX.
    let mut guest = after_running(|a| a.mov(word_ptr(rdi), ax));
    guest.registers.rdi = DEVICE;
    guest.registers.rax = 0x1234;

    found(&guest, write(BAR, 2, 0x1234));
}

#[test]
fn code_may_start_a_page_whose_neighbours_are_not_mapped() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi), eax));
    store.registers.rdi = DEVICE;
    assert!(walk(&store.memory, &store.registers, CODE - 1).is_none());
    found(&store, write(BAR, 4, 0));

    // The last two bytes of the page.
    let mut load = guest();
    load.write(CODE_PHYSICAL + 0xffe, &[0x8b, 0x07]);
    load.registers.rip = CODE + 0xffe;
    load.registers.rdi = DEVICE;
    assert!(locate(&load, read(BAR, 4)).is_some());
}

#[test]
fn code_may_cross_into_a_page_that_lies_elsewhere() {
    let mut guest = guest();
    guest.map(CODE + 0x1000, 0x40_0000, KERNEL);
    guest.write(CODE_PHYSICAL + 0xfff, &[0x89]);
    guest.write(0x40_0000, &[0x47, 0x08]);
    guest.registers.rip = CODE + 0x1002;
    guest.registers.rdi = DEVICE;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.decoded.ip(), located.bytes()), (CODE + 0xfff, &[0x89, 0x47, 0x08][..]));
}

#[test]
fn a_known_instruction_is_forgotten_when_its_bytes_change() {
    let mut locator = Locator::<()>::default();
    let mut guest = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    guest.registers.rdi = DEVICE;
    guest.registers.rsi = DEVICE;
    let mut bytes = |guest: &Guest| {
        let exit = write(BAR + 8, 4, 0);
        let found = locator.locate(&guest.memory, &guest.registers, &NoFunctions, &exit);
        found.unwrap().0.bytes().to_vec()
    };
    assert_eq!(bytes(&guest), [0x89, 0x47, 0x08]);
    assert_eq!(bytes(&guest), [0x89, 0x47, 0x08]);

    guest.registers.rip = CODE + guest.code(|a| a.mov(dword_ptr(rsi + 8), eax));

    assert_eq!(bytes(&guest), [0x89, 0x46, 0x08]);
}
