use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, ah, al, ax, byte_ptr, dword_ptr, dx, eax, ecx, qword_ptr, rax, rdi, rsi, word_ptr, xmm0,
    xmmword_ptr,
};

use super::*;
use crate::vcpu::fixture::{CODE, CODE_PHYSICAL, Guest, KERNEL};

/// Two pages of a BAR: neighbours by virtual address, apart by physical.
const DEVICE: u64 = 0x7000_0000;
const BAR: u64 = 0xfe00_0000;
const BAR_NEXT: u64 = 0xfe20_0000;
/// A page of plain memory.
const RAM: u64 = 0x50_0000;

struct NoFunctions;

impl FunctionStarts for NoFunctions {
    fn function_start(&self, _: u64, _: u64) -> Option<u64> {
        None
    }
}

/// One function that starts here.
struct StartsAt(u64);

impl FunctionStarts for StartsAt {
    fn function_start(&self, _: u64, rip: u64) -> Option<u64> {
        (rip >= self.0).then_some(self.0)
    }
}

fn guest() -> Guest {
    let mut guest = Guest::new(4);
    guest.map(CODE, CODE_PHYSICAL, KERNEL);
    guest.map(RAM, 0x20_0000, KERNEL);
    guest.map(DEVICE, BAR, KERNEL);
    guest.map(DEVICE + 0x1000, BAR_NEXT, KERNEL);
    guest
}

/// The guest before its instruction.
fn before_running(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Guest {
    let mut guest = guest();
    guest.code(code);
    guest
}

/// The guest with RIP past its code.
fn after_running(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Guest {
    let mut guest = guest();
    guest.registers.general.rip = CODE + guest.code(code);
    guest
}

fn after_bytes(bytes: &[u8]) -> Guest {
    let mut guest = guest();
    guest.bytes(bytes);
    guest.registers.general.rip += bytes.len() as u64;
    guest
}

fn read(address: u64, size: u8) -> MemoryExit {
    MemoryExit { address, size, written: None }
}

fn write(address: u64, size: u8, value: u64) -> MemoryExit {
    MemoryExit { address, size, written: Some(value) }
}

fn locate_by(guest: &Guest, functions: &dyn FunctionStarts, exit: MemoryExit) -> Option<(Located, Operand)> {
    Locator::new().locate(&guest.memory, &guest.registers, functions, &exit)
}

fn locate(guest: &Guest, exit: MemoryExit) -> Option<(Located, Operand)> {
    locate_by(guest, &NoFunctions, exit)
}

/// Asserts that `exit` came from the instruction at [`CODE`], without doubt; its operand.
#[track_caller]
fn found(guest: &Guest, exit: MemoryExit) -> Operand {
    let (located, operand) = locate(guest, exit).expect("no instruction fits");
    assert_eq!(located.decoded.ip(), CODE, "{}", located.decoded);
    assert!(!located.ambiguous);
    operand
}

#[test]
fn a_read_is_by_the_instruction_at_rip() {
    let mut guest = before_running(|a| a.mov(eax, dword_ptr(rdi + 8)));
    guest.registers.general.rdi = DEVICE;

    let (located, operand) = locate(&guest, read(BAR + 8, 4)).unwrap();

    assert_eq!(located.bytes(), [0x8b, 0x47, 0x08]);
    assert_eq!(located.decoded.ip(), CODE);
    assert_eq!((operand.walk.page, operand.walk.physical, operand.offset), (DEVICE, BAR, 0));
    assert!(!operand.read_modify_write);
}

#[test]
fn a_store_is_found_behind_rip() {
    let mut guest = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.rax = 0xffff_ffff_0000_002a;

    let (located, operand) = locate(&guest, write(BAR + 8, 4, 0x2a)).unwrap();

    assert_eq!(located.bytes(), [0x89, 0x47, 0x08]);
    assert_eq!((located.decoded.ip(), located.ambiguous), (CODE, false));
    assert_eq!((operand.walk.page, operand.offset), (DEVICE, 0));
    assert!(!operand.read_modify_write);
}

#[test]
fn nothing_is_found_where_the_exit_fits_no_instruction() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    store.registers.general.rdi = DEVICE;
    store.registers.general.rax = 42;

    assert!(locate(&store, write(BAR + 12, 4, 42)).is_none(), "another register");
    assert!(locate(&store, write(BAR + 8, 8, 42)).is_none(), "wider than the operand");
    assert!(locate(&store, write(BAR + 8, 4, 43)).is_none(), "another value");
    assert!(locate(&store, read(BAR + 8, 4)).is_none(), "a read");

    let mut load = before_running(|a| a.mov(eax, dword_ptr(rdi + 8)));
    load.registers.general.rdi = DEVICE;
    assert!(locate(&load, read(BAR, 4)).is_none(), "another register");
    assert!(locate(&load, write(BAR + 8, 4, 0)).is_none(), "a write");
    load.registers.general.rdi = 0x9000_0000;
    assert!(locate(&load, read(BAR + 8, 4)).is_none(), "an address that isn't mapped");
    load.registers.general.rip = 0x9000_0000;
    assert!(locate(&load, read(BAR + 8, 4)).is_none(), "code that isn't mapped");
}

#[test]
fn an_address_alone_is_no_access() {
    let mut guest = before_running(|a| a.lea(rax, qword_ptr(rdi + 8)));
    guest.registers.general.rdi = DEVICE;

    assert!(locate(&guest, read(BAR + 8, 8)).is_none());
}

/// `mov [r15+8], eax`, whose last three bytes are `mov [rdi+8], eax`.
const WITH_PREFIX: [u8; 4] = [0x41, 0x89, 0x47, 0x08];
/// `mov ecx, 0x41000000`, whose last byte looks like that prefix, and `mov [rdi+8], eax`.
const AFTER_PREFIX: [u8; 8] = [0xb9, 0x00, 0x00, 0x00, 0x41, 0x89, 0x47, 0x08];

#[test]
fn a_prefix_belongs_to_the_store_if_the_address_says_so() {
    let mut guest = after_bytes(&WITH_PREFIX);
    guest.registers.general.rdi = RAM;
    guest.registers.general.r15 = DEVICE;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.bytes(), located.ambiguous), (&WITH_PREFIX[..], false));
}

#[test]
fn a_prefix_belongs_to_the_instruction_before_if_the_address_says_so() {
    let mut guest = after_bytes(&AFTER_PREFIX);
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.r15 = RAM;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.bytes(), located.ambiguous), (&[0x89, 0x47, 0x08][..], false));
}

#[test]
fn two_stores_that_both_fit_are_told_apart_by_where_the_function_starts() {
    for (code, address) in [(&WITH_PREFIX[..], CODE), (&AFTER_PREFIX[..], CODE + 5)] {
        let mut guest = after_bytes(code);
        guest.registers.general.rdi = DEVICE;
        guest.registers.general.r15 = DEVICE;

        let (located, _) = locate_by(&guest, &StartsAt(CODE), write(BAR + 8, 4, 0)).unwrap();

        assert_eq!((located.decoded.ip(), located.ambiguous), (address, false));
    }
}

#[test]
fn two_stores_that_both_fit_are_ambiguous_where_no_function_is_known() {
    let mut guest = after_bytes(&WITH_PREFIX);
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.r15 = DEVICE;

    for functions in [&NoFunctions as &dyn FunctionStarts, &StartsAt(CODE - 0x1000), &StartsAt(0)] {
        let (located, _) = locate_by(&guest, functions, write(BAR + 8, 4, 0)).unwrap();
        assert_eq!((located.decoded.ip(), located.ambiguous), (CODE, true));
    }
}

#[test]
fn two_stores_that_both_fit_are_dropped_if_the_function_has_neither() {
    // mov eax, 0x08478941: the bytes of both stores.
    let mut guest = after_bytes(&[0xb8, 0x41, 0x89, 0x47, 0x08]);
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.r15 = DEVICE;

    assert!(locate_by(&guest, &StartsAt(CODE), write(BAR + 8, 4, 0)).is_none());
}

#[test]
fn immediates_are_compared_at_the_width_of_the_store() {
    let mut byte = after_running(|a| a.mov(byte_ptr(rdi), 0x80));
    let mut word = after_running(|a| a.mov(word_ptr(rdi), 0xff80));
    let mut dword = after_running(|a| a.mov(dword_ptr(rdi), -2));
    let mut qword = after_running(|a| a.mov(qword_ptr(rdi), -2));
    for guest in [&mut byte, &mut word, &mut dword, &mut qword] {
        guest.registers.general.rdi = DEVICE;
    }

    assert_eq!(found(&byte, write(BAR, 1, 0x80)).offset, 0);
    assert_eq!(found(&word, write(BAR, 2, 0xff80)).offset, 0);
    assert_eq!(found(&dword, write(BAR, 4, 0xffff_fffe)).offset, 0);
    assert_eq!(found(&qword, write(BAR, 8, 0xffff_ffff_ffff_fffe)).offset, 0);
    assert!(locate(&qword, write(BAR, 8, 0xffff_fffe)).is_none());
}

#[test]
fn sources_of_every_kind_fit_what_they_hold() {
    let mut high_byte = after_running(|a| a.mov(byte_ptr(rdi), ah));
    let mut low_byte = after_running(|a| a.mov(byte_ptr(rdi), al));
    let mut whole = after_running(|a| a.mov(qword_ptr(rdi), rax));
    for guest in [&mut high_byte, &mut low_byte, &mut whole] {
        guest.registers.general.rdi = DEVICE;
        guest.registers.general.rax = 0x1122_3344_5566_7788;
    }

    found(&high_byte, write(BAR, 1, 0x77));
    found(&low_byte, write(BAR, 1, 0x88));
    found(&whole, write(BAR, 8, 0x1122_3344_5566_7788));
    assert!(locate(&high_byte, write(BAR, 1, 0x88)).is_none());
}

#[test]
fn a_segment_register_is_stored_as_its_selector() {
    // mov [rdi], ds
    let mut guest = after_bytes(&[0x8c, 0x1f]);
    guest.registers.general.rdi = DEVICE;
    guest.registers.system.ds.selector = 0x10;

    found(&guest, write(BAR, 2, 0x10));
}

#[test]
fn a_flag_is_stored_by_setcc() {
    let mut guest = after_running(|a| a.sete(byte_ptr(rdi)));
    guest.registers.general.rdi = DEVICE;

    assert!(!found(&guest, write(BAR, 1, 1)).read_modify_write);
}

#[test]
fn a_push_has_moved_the_stack_pointer_already() {
    let mut guest = after_running(|a| a.push(rax));
    guest.registers.general.rsp = DEVICE + 0x100;

    assert_eq!(found(&guest, write(BAR + 0x100, 8, 0)).offset, 0);
}

#[test]
fn a_pop_stores_to_its_operand() {
    let mut guest = after_running(|a| a.pop(qword_ptr(rdi)));
    guest.registers.general.rdi = DEVICE + 0x10;
    guest.registers.general.rsp = RAM + 0x108;

    assert_eq!(found(&guest, write(BAR + 0x10, 8, 7)).offset, 0);
}

#[test]
fn sixteen_bytes_come_as_two_parts() {
    let mut store = after_running(|a| a.movups(xmmword_ptr(rdi), xmm0));
    let mut load = before_running(|a| a.movups(xmm0, xmmword_ptr(rdi)));
    for guest in [&mut store, &mut load] {
        guest.registers.general.rdi = DEVICE + 0x20;
    }

    assert_eq!(found(&store, write(BAR + 0x20, 8, 1)).offset, 0);
    assert_eq!(found(&store, write(BAR + 0x28, 8, 2)).offset, 8);
    assert_eq!(found(&load, read(BAR + 0x20, 8)).offset, 0);
    assert_eq!(found(&load, read(BAR + 0x28, 8)).offset, 8);
    assert!(locate(&load, read(BAR + 0x30, 8)).is_none());
}

#[test]
fn an_operand_across_two_pages_comes_as_two_parts() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi), eax));
    let mut load = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    for guest in [&mut store, &mut load] {
        guest.registers.general.rdi = DEVICE + 0xffd;
        guest.registers.general.rax = 0x1122_3344;
    }

    let first = found(&store, write(BAR + 0xffd, 3, 0x22_3344));
    let second = found(&store, write(BAR_NEXT, 1, 0x11));
    assert_eq!((first.walk.page, first.offset), (DEVICE, 0));
    assert_eq!((second.walk.page, second.offset), (DEVICE + 0x1000, 3));

    assert_eq!(found(&load, read(BAR + 0xffd, 3)).offset, 0);
    assert_eq!(found(&load, read(BAR_NEXT, 1)).offset, 3);
    assert!(locate(&load, read(BAR_NEXT, 2)).is_none(), "longer than the rest");
    assert!(locate(&load, read(BAR + 0x1000, 1)).is_none(), "next to the first page, but not mapped so");
}

#[test]
fn an_operand_is_cut_at_4_kib_inside_a_large_page_too() {
    let mut guest = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    guest.map_at_level(2, 0x8000_0000, BAR, KERNEL);
    guest.registers.general.rdi = 0x8000_0ffe;

    assert_eq!(found(&guest, read(BAR + 0xffe, 2)).offset, 0);
    assert_eq!(found(&guest, read(BAR + 0x1000, 2)).offset, 2);
    assert!(locate(&guest, read(BAR + 0xffe, 4)).is_none());
}

#[test]
fn a_narrow_store_is_not_taken_for_a_part_of_a_wider_one() {
    // 66 89 07, whose last two bytes store all of EAX.
    let mut guest = after_running(|a| a.mov(word_ptr(rdi), ax));
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.rax = 0x1234;

    found(&guest, write(BAR, 2, 0x1234));
}

#[test]
fn a_part_in_memory_makes_no_exit_and_the_other_part_is_found() {
    let mut guest = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    guest.map(DEVICE - 0x1000, 0x30_0000, KERNEL);
    guest.registers.general.rdi = DEVICE - 1;

    assert_eq!(found(&guest, read(BAR, 3)).offset, 1);
}

#[test]
fn a_repeated_store_is_at_rip_with_its_address_moved_on() {
    let mut guest = before_running(|a| a.rep().stosd());
    guest.registers.general.rdi = DEVICE + 0x14;
    guest.registers.general.rcx = 3;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
    assert!(locate(&guest, write(BAR + 0x08, 4, 0)).is_none());
}

#[test]
fn a_repeated_store_may_run_backwards() {
    let mut guest = before_running(|a| a.rep().stosd());
    guest.registers.general.rdi = DEVICE + 0x0c;
    guest.registers.general.rflags = 1 << 10;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
}

#[test]
fn a_repeated_copy_reads_where_it_is_and_writes_where_it_was() {
    let mut guest = before_running(|a| a.rep().movsd());
    guest.registers.general.rsi = DEVICE + 0x40;
    guest.registers.general.rdi = RAM;
    assert_eq!(found(&guest, read(BAR + 0x40, 4)).offset, 0);

    guest.registers.general.rsi = RAM + 4;
    guest.registers.general.rdi = DEVICE + 0x44;
    assert_eq!(found(&guest, write(BAR + 0x40, 4, 0)).offset, 0);
}

#[test]
fn a_string_store_that_is_over_is_behind_rip() {
    let mut guest = after_running(|a| a.stosd());
    guest.registers.general.rdi = DEVICE + 0x14;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
}

#[test]
fn both_halves_of_a_read_modify_write_say_so() {
    let mut before = before_running(|a| a.add(dword_ptr(rdi), 1));
    let mut after = after_running(|a| a.add(dword_ptr(rdi), 1));
    let mut exchange = before_running(|a| a.xchg(dword_ptr(rdi), eax));
    let mut compare = before_running(|a| a.lock().cmpxchg(dword_ptr(rdi), ecx));
    for guest in [&mut before, &mut after, &mut exchange, &mut compare] {
        guest.registers.general.rdi = DEVICE;
    }

    assert!(found(&before, read(BAR, 4)).read_modify_write);
    assert!(found(&after, write(BAR, 4, 0x31)).read_modify_write);
    assert!(found(&exchange, read(BAR, 4)).read_modify_write);
    assert!(found(&compare, read(BAR, 4)).read_modify_write);
}

#[test]
fn an_operand_may_be_relative_to_rip() {
    let displacement = [0x0a, 0x00, 0xc0, 0x6f];
    let load = [[0x8b, 0x05].as_slice(), &displacement].concat();
    let store = [[0x89, 0x05].as_slice(), &displacement].concat();

    let mut guest = guest();
    guest.bytes(&load);
    assert_eq!(found(&guest, read(BAR + 0x10, 4)).walk.page, DEVICE);
    assert_eq!(found(&after_bytes(&store), write(BAR + 0x10, 4, 0)).walk.page, DEVICE);
}

#[test]
fn of_the_segments_only_fs_and_gs_have_a_base_in_64_bit_mode() {
    let mut by_gs = before_running(|a| a.mov(eax, dword_ptr(rdi).gs()));
    by_gs.registers.general.rdi = 0x18;
    by_gs.registers.system.gs.base = DEVICE;
    found(&by_gs, read(BAR + 0x18, 4));

    let mut by_ds = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    by_ds.registers.general.rdi = DEVICE + 0x18;
    by_ds.registers.system.ds.base = 0x1000;
    found(&by_ds, read(BAR + 0x18, 4));
}

#[test]
fn segments_have_a_base_outside_64_bit_mode() {
    // mov [edi+8], eax without paging, by segments that start elsewhere.
    let mut guest = after_bytes(&[0x89, 0x47, 0x08]);
    guest.registers.system.cr0 = 1;
    guest.registers.system.efer = 0;
    guest.registers.system.cs.l = 0;
    guest.registers.system.cs.db = 1;
    guest.registers.system.cs.base = CODE_PHYSICAL - 0x1000;
    guest.registers.system.ds.base = BAR;
    guest.registers.general.rip = 0x1003;
    guest.registers.general.rdi = 0x20;

    let (located, operand) = locate(&guest, write(BAR + 0x28, 4, 0)).unwrap();

    assert_eq!(located.decoded.ip(), CODE_PHYSICAL);
    assert_eq!((operand.walk.page, operand.walk.levels), (BAR, 0));
}

#[test]
fn code_may_start_a_page_whose_neighbours_are_not_mapped() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi), eax));
    store.registers.general.rdi = DEVICE;
    assert!(walk(&store.memory, &store.registers, CODE - 1).is_none());
    found(&store, write(BAR, 4, 0));

    // The last two bytes of the page.
    let mut load = guest();
    load.write(CODE_PHYSICAL + 0xffe, &[0x8b, 0x07]);
    load.registers.general.rip = CODE + 0xffe;
    load.registers.general.rdi = DEVICE;
    assert!(locate(&load, read(BAR, 4)).is_some());
}

#[test]
fn code_may_cross_into_a_page_that_lies_elsewhere() {
    let mut guest = guest();
    guest.map(CODE + 0x1000, 0x40_0000, KERNEL);
    guest.write(CODE_PHYSICAL + 0xfff, &[0x89]);
    guest.write(0x40_0000, &[0x47, 0x08]);
    guest.registers.general.rip = CODE + 0x1002;
    guest.registers.general.rdi = DEVICE;

    let (located, _) = locate(&guest, write(BAR + 8, 4, 0)).unwrap();

    assert_eq!((located.decoded.ip(), located.bytes()), (CODE + 0xfff, &[0x89, 0x47, 0x08][..]));
}

#[test]
fn a_known_instruction_is_forgotten_when_its_bytes_change() {
    let mut locator = Locator::new();
    let mut guest = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    guest.registers.general.rdi = DEVICE;
    guest.registers.general.rsi = DEVICE;
    let mut bytes = |guest: &Guest| {
        let exit = write(BAR + 8, 4, 0);
        let found = locator.locate(&guest.memory, &guest.registers, &NoFunctions, &exit);
        found.unwrap().0.bytes().to_vec()
    };
    assert_eq!(bytes(&guest), [0x89, 0x47, 0x08]);
    assert_eq!(bytes(&guest), [0x89, 0x47, 0x08]);

    guest.registers.general.rip = CODE + guest.code(|a| a.mov(dword_ptr(rsi + 8), eax));

    assert_eq!(bytes(&guest), [0x89, 0x46, 0x08]);
}

#[test]
fn a_copy_has_two_operands() {
    let mut guest = before_running(|a| a.movsd());
    guest.registers.general.rsi = DEVICE + 4;
    guest.registers.general.rdi = 0x9000_0000;
    let mut locator = Locator::new();
    let copy = locator.at_rip(&guest.memory, &guest.registers).unwrap().decoded;
    let physical = |operands: Vec<(PageWalk, u64)>| {
        let mut all: Vec<_> = operands.into_iter().map(|(_, physical)| physical).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(physical(locator.operands(&guest.memory, &guest.registers, &copy)), [BAR + 4]);

    guest.registers.general.rdi = RAM;
    assert_eq!(physical(locator.operands(&guest.memory, &guest.registers, &copy)), [0x20_0000, BAR + 4]);
}

#[test]
fn a_port_instruction_is_at_rip_or_right_before_it() {
    let port = |guest: &Guest| {
        Locator::new().port(&guest.memory, &guest.registers).map(|located| located.bytes().to_vec())
    };

    assert_eq!(port(&before_running(|a| a.in_(eax, dx))).unwrap(), [0xed]);
    assert_eq!(port(&after_running(|a| a.out(dx, al))).unwrap(), [0xee]);
    assert_eq!(port(&after_running(|a| a.out(0xf4, eax))).unwrap(), [0xe7, 0xf4]);
    assert_eq!(port(&before_running(|a| a.rep().outsb())).unwrap(), [0xf3, 0x6e]);
    assert!(port(&after_running(|a| a.nop())).is_none());
}

#[test]
fn a_string_instruction_on_memory_is_no_port_instruction() {
    let mut guest = guest();
    guest.code(|a| {
        a.out(dx, al)?;
        a.stosd()
    });
    guest.registers.general.rip = CODE + 1;

    let located = Locator::new().port(&guest.memory, &guest.registers).unwrap();

    assert_eq!(located.bytes(), [0xee]);
}
