//! Which part of which operand an exit carries.

use iced_x86::code_asm::{
    CodeAssembler, dword_ptr, eax, qword_ptr, rax, rdi, xmm0, xmm1, xmmword_ptr, ymm0, ymm1, ymmword_ptr,
};

use super::*;

#[test]
fn a_push_has_moved_the_stack_pointer_already() {
    let mut guest = after_running(|a| a.push(rax));
    guest.registers.rsp = DEVICE + 0x100;

    assert_eq!(found(&guest, write(BAR + 0x100, 8, 0)).offset, 0);
}

#[test]
fn a_pop_stores_to_its_operand() {
    let mut guest = after_running(|a| a.pop(qword_ptr(rdi)));
    guest.registers.rdi = DEVICE + 0x10;
    guest.registers.rsp = RAM + 0x108;

    assert_eq!(found(&guest, write(BAR + 0x10, 8, 7)).offset, 0);
}

#[test]
fn sixteen_bytes_come_as_two_parts() {
    let mut store = after_running(|a| a.movups(xmmword_ptr(rdi), xmm0));
    let mut load = before_running(|a| a.movups(xmm0, xmmword_ptr(rdi)));
    for guest in [&mut store, &mut load] {
        guest.registers.rdi = DEVICE + 0x20;
    }

    assert_eq!(found(&store, write(BAR + 0x20, 8, 1)).offset, 0);
    assert_eq!(found(&store, write(BAR + 0x28, 8, 2)).offset, 8);
    assert_eq!(found(&load, read(BAR + 0x20, 8)).offset, 0);
    assert_eq!(found(&load, read(BAR + 0x28, 8)).offset, 8);
    assert!(locate(&load, read(BAR + 0x30, 8)).is_none());
}

/// As newer KVMs hand them over: by 8 bytes, low first, loads before RIP moves and stores after.
#[test]
fn thirty_two_bytes_of_a_vector_come_as_four_parts() {
    let stores = [
        after_running(|a| a.vmovdqu(ymmword_ptr(rdi), ymm0)),
        after_running(|a| a.vmovaps(ymmword_ptr(rdi), ymm1)),
        after_running(|a| a.vmovntdq(ymmword_ptr(rdi), ymm0)),
    ];
    let loads = [
        before_running(|a| a.vmovdqu(ymm0, ymmword_ptr(rdi))),
        before_running(|a| a.vmovaps(ymm1, ymmword_ptr(rdi))),
        before_running(|a| a.vmovntdqa(ymm0, ymmword_ptr(rdi))),
        before_running(|a| a.vpxor(ymm0, ymm1, ymmword_ptr(rdi))),
    ];
    let parts = [0, 8, 16, 24];
    for mut guest in stores {
        guest.registers.rdi = DEVICE + 0x40;
        let offsets = parts.map(|at| found(&guest, write(BAR + 0x40 + at, 8, at)).offset);
        assert_eq!(offsets, parts);
        assert!(locate(&guest, write(BAR + 0x60, 8, 0)).is_none());
    }
    for mut guest in loads {
        guest.registers.rdi = DEVICE + 0x40;
        let offsets = parts.map(|at| found(&guest, read(BAR + 0x40 + at, 8)).offset);
        assert_eq!(offsets, parts);
        assert!(locate(&guest, read(BAR + 0x60, 8)).is_none());
    }
}

#[test]
fn sixteen_bytes_by_a_prefixed_instruction_come_as_two_parts() {
    let mut store = after_running(|a| a.vmovups(xmmword_ptr(rdi), xmm0));
    let mut load = before_running(|a| a.vpaddd(xmm0, xmm1, xmmword_ptr(rdi)));
    for guest in [&mut store, &mut load] {
        guest.registers.rdi = DEVICE + 0x20;
    }

    assert_eq!([0, 8].map(|at| found(&store, write(BAR + 0x20 + at, 8, 1)).offset), [0, 8]);
    assert_eq!([0, 8].map(|at| found(&load, read(BAR + 0x20 + at, 8)).offset), [0, 8]);
}

#[test]
fn an_operand_across_two_pages_comes_as_two_parts() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi), eax));
    let mut load = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    for guest in [&mut store, &mut load] {
        guest.registers.rdi = DEVICE + 0xffd;
        guest.registers.rax = 0x1122_3344;
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
    guest.registers.rdi = 0x8000_0ffe;

    assert_eq!(found(&guest, read(BAR + 0xffe, 2)).offset, 0);
    assert_eq!(found(&guest, read(BAR + 0x1000, 2)).offset, 2);
    assert!(locate(&guest, read(BAR + 0xffe, 4)).is_none());
}

#[test]
fn a_part_in_memory_makes_no_exit_and_the_other_part_is_found() {
    let mut guest = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    guest.map(DEVICE - 0x1000, 0x30_0000, KERNEL);
    guest.registers.rdi = DEVICE - 1;

    assert_eq!(found(&guest, read(BAR, 3)).offset, 1);
}

#[test]
fn a_repeated_store_is_at_rip_with_its_address_moved_on() {
    let mut guest = before_running(|a| a.rep().stosd());
    guest.registers.rdi = DEVICE + 0x14;
    guest.registers.rcx = 3;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
    assert!(locate(&guest, write(BAR + 0x08, 4, 0)).is_none());
}

#[test]
fn a_repeated_store_may_run_backwards() {
    let mut guest = before_running(|a| a.rep().stosd());
    guest.registers.rdi = DEVICE + 0x0c;
    guest.registers.rflags = 1 << 10;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
}

#[test]
fn a_repeated_copy_reads_where_it_is_and_writes_where_it_was() {
    let mut guest = before_running(|a| a.rep().movsd());
    guest.registers.rsi = DEVICE + 0x40;
    guest.registers.rdi = RAM;
    assert_eq!(found(&guest, read(BAR + 0x40, 4)).offset, 0);

    guest.registers.rsi = RAM + 4;
    guest.registers.rdi = DEVICE + 0x44;
    assert_eq!(found(&guest, write(BAR + 0x40, 4, 0)).offset, 0);
}

#[test]
fn a_string_store_that_is_over_is_behind_rip() {
    let mut guest = after_running(CodeAssembler::stosd);
    guest.registers.rdi = DEVICE + 0x14;

    assert_eq!(found(&guest, write(BAR + 0x10, 4, 0)).offset, 0);
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
    by_gs.registers.rdi = 0x18;
    by_gs.registers.gs.base = DEVICE;
    found(&by_gs, read(BAR + 0x18, 4));

    let mut by_ds = before_running(|a| a.mov(eax, dword_ptr(rdi)));
    by_ds.registers.rdi = DEVICE + 0x18;
    by_ds.registers.ds.base = 0x1000;
    found(&by_ds, read(BAR + 0x18, 4));
}

#[test]
fn segments_have_a_base_outside_64_bit_mode() {
    // mov [edi+8], eax without paging, by segments that start elsewhere.
    let mut guest = after_bytes(&[0x89, 0x47, 0x08]);
    guest.registers.cr0 = 1;
    guest.registers.efer = 0;
    guest.registers.cs.l = false;
    guest.registers.cs.db = true;
    guest.registers.cs.base = CODE_PHYSICAL - 0x1000;
    guest.registers.ds.base = BAR;
    guest.registers.rip = 0x1003;
    guest.registers.rdi = 0x20;

    let (located, operand) = locate(&guest, write(BAR + 0x28, 4, 0)).unwrap();

    assert_eq!(located.decoded.ip(), CODE_PHYSICAL);
    assert_eq!((operand.walk.page, operand.walk.levels), (BAR, 0));
}

#[test]
fn a_copy_has_two_operands() {
    let mut guest = before_running(CodeAssembler::movsd);
    guest.registers.rsi = DEVICE + 4;
    guest.registers.rdi = 0x9000_0000;
    let mut locator = Locator::<()>::default();
    let copy = locator.at_rip(&guest.memory, &guest.registers).unwrap().decoded;
    let physical = |operands: Vec<Reached>| {
        let pages = operands.into_iter().flat_map(|reached| reached.pages);
        let mut all: Vec<_> = pages.map(|(_, physical)| physical).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(physical(locator.operands(&guest.memory, &guest.registers, &copy)), [BAR + 4]);

    guest.registers.rdi = RAM;
    assert_eq!(physical(locator.operands(&guest.memory, &guest.registers, &copy)), [0x20_0000, BAR + 4]);
}

#[test]
fn an_operand_tells_its_direction_its_size_and_each_page_that_it_lies_in() {
    // vmovdqu ymm0,[rdi]; vmovdqu [rdi],ymm0; popcnt eax,[rdi]; add [rdi],eax; fld of 80 bits.
    let both = [BAR + 0xff0, BAR_NEXT];
    for (bytes, expected, pages) in [
        (&[0xc5, 0xfe, 0x6f, 0x07][..], (true, false, 32), &both[..]),
        (&[0xc5, 0xfe, 0x7f, 0x07], (false, true, 32), &both),
        (&[0xf3, 0x0f, 0xb8, 0x07], (true, false, 4), &both[..1]),
        (&[0x01, 0x07], (true, true, 4), &both[..1]),
        (&[0xdb, 0x2f], (true, false, 10), &both[..1]),
    ] {
        let mut guest = guest();
        guest.bytes(bytes);
        guest.registers.rdi = DEVICE + 0xff0;
        let mut locator = Locator::<()>::default();
        let decoded = locator.at_rip(&guest.memory, &guest.registers).unwrap().decoded;
        let operands = locator.operands(&guest.memory, &guest.registers, &decoded);
        let [only] = operands.as_slice() else { panic!("{} operands", operands.len()) };
        let MemoryOperand { reads, writes, size } = only.operand;
        assert_eq!((reads, writes, size), expected);
        let physical: Vec<_> = only.pages.iter().map(|(_, physical)| *physical).collect();
        assert_eq!(physical, pages);
    }
}
