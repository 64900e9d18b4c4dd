use barscope_x86::PhysicalMemory;
use object::endian::Endianness;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

use super::*;
use crate::boot::tests::ONE_CPU;
use crate::boot::{BootModule, load};

const MIB: u64 = 1 << 20;

/// A header of version 1 with these flags and address fields.
fn one(flags: u32, fields: &[u32]) -> Vec<u8> {
    let checksum = 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    [&[0x1bad_b002, flags, checksum], fields].concat().iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A header of version 2 with these tags (type, flags, words), and the one that ends them.
fn two(tags: &[(u16, u16, &[u32])]) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    for (kind, flags, words) in tags.iter().chain([&(0, 0, &[][..])]) {
        bytes.extend([*kind, *flags].map(u16::to_le_bytes).as_flattened());
        bytes.extend((8 + 4 * words.len() as u32).to_le_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let length = bytes.len() as u32;
    let checksum = 0_u32.wrapping_sub(0xe852_50d6).wrapping_sub(length);
    for (at, word) in [(0, 0xe852_50d6), (8, length), (12, checksum)] {
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// An ELF file with one segment: `content` at `physical`, linked to `virtual_`, entered at `entry`, `zeroes` bytes longer
/// in memory. The segment begins at offset 0x100 of the file.
fn elf(is_64: bool, content: &[u8], physical: u64, virtual_: u64, entry: u64, zeroes: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Endianness::Little, is_64, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(1);
    let offset = writer.reserve(content.len() as u64, 0x100);
    let header = FileHeader {
        os_abi: object::elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: object::elf::ET_EXEC,
        e_machine: object::elf::EM_386,
        e_entry: entry,
        e_flags: object::elf::FileFlags(0),
    };
    writer.write_file_header(&header).unwrap();
    writer.write_align_program_headers();
    writer.write_program_header(&ProgramHeader {
        p_type: object::elf::PT_LOAD,
        p_flags: object::elf::PF_R,
        p_offset: offset,
        p_vaddr: virtual_,
        p_paddr: physical,
        p_filesz: content.len() as u64,
        p_memsz: content.len() as u64 + zeroes,
        p_align: 4,
    });
    writer.write_align(0x100);
    writer.write(content);
    bytes
}

/// The smallest kernel of version 1: 32-bit, at 1 MiB.
fn kernel() -> Vec<u8> {
    elf(false, &one(0, &[]), MIB, MIB, MIB, 0)
}

/// The smallest of version 2 with these tags.
fn kernel_2(tags: &[(u16, u16, &[u32])]) -> Vec<u8> {
    elf(false, &two(tags), MIB, MIB, MIB, 0)
}

fn memory() -> GuestMemory {
    GuestMemory::new(16 * MIB).unwrap()
}

fn try_load(memory: &GuestMemory, kernel: &[u8], modules: &[BootModule]) -> Result<BootProtocol, BootError> {
    load(memory, &Payload { kernel, name: "kernel", modules, command_line: "a=1 b" }, &ONE_CPU)
}

#[track_caller]
fn loaded(memory: &GuestMemory, kernel: &[u8], modules: &[BootModule]) -> Entry {
    match try_load(memory, kernel, modules) {
        Ok(BootProtocol::Multiboot(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn error(kernel: &[u8]) -> String {
    try_load(&memory(), kernel, &[]).unwrap_err().to_string()
}

fn read(memory: &GuestMemory, address: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    assert!(memory.read_physical(address.into(), &mut bytes));
    bytes
}

fn words(memory: &GuestMemory, address: u32, count: usize) -> Vec<u32> {
    let bytes = read(memory, address, 4 * count);
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn text(memory: &GuestMemory, address: u32) -> String {
    let bytes = read(memory, address, 64);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

fn module(size: usize, text: &str) -> BootModule {
    BootModule { content: vec![0x5a; size], text: text.to_owned() }
}

#[test]
fn a_kernel_starts_in_protected_mode_with_its_magic_number_and_information() {
    for (file, magic) in [(kernel(), 0x2bad_b002), (kernel_2(&[]), 0x36d7_6289)] {
        let memory = memory();
        let entry = loaded(&memory, &file, &[]);
        let (mut general, mut system) = Default::default();
        BootProtocol::Multiboot(entry).start(&mut general, &mut system);

        assert_eq!((general.rip, general.rax, general.rflags), (MIB, magic, 2));
        assert_eq!(general.rbx, u64::from(entry.information));
        assert_eq!((system.cr0 & 0x8000_0001, system.cs.db, system.cs.l, system.efer), (1, 1, 0, 0));
        assert_eq!((system.cs.limit, system.ds.limit, system.ss.base), (0xffff_ffff, 0xffff_ffff, 0));
        // Whoever loads a segment register finds flat descriptors.
        let gdt = words(&memory, system.gdt.base as u32, 6);
        assert_eq!((system.cs.selector, gdt[2], gdt[3]), (8, 0xffff, 0x00cf_9b00));
        assert_eq!((system.ds.selector, gdt[4], gdt[5]), (16, 0xffff, 0x00cf_9300));
        assert_eq!(system.gdt.limit, 23);
    }
}

#[test]
fn version_1_is_told_memory_command_line_modules_and_loader() {
    let memory = memory();
    let modules = [module(5, "one"), module(4096, "two with arguments")];
    let information = loaded(&memory, &kernel(), &modules).information;
    let info = words(&memory, information, 29);

    assert_eq!(info[0], 0b10_0100_1101, "flags");
    assert_eq!([info[1], info[2]], [640, 15 * 1024], "KiB of memory");
    assert_eq!(text(&memory, info[4]), "kernel a=1 b");
    assert_eq!(text(&memory, info[16]), "barscope");
    let listed = words(&memory, info[6], 8);
    assert_eq!((info[5], &listed[..2], listed[3]), (2, &[0x10_1000, 0x10_1005][..], 0));
    assert_eq!((&listed[4..6], listed[7]), (&[0x10_2000, 0x10_3000][..], 0));
    assert_eq!([text(&memory, listed[2]), text(&memory, listed[6])], ["one", "two with arguments"]);
    assert_eq!(read(&memory, 0x10_1000, 6), [0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0]);
    // Size, base, length and kind, four times.
    assert_eq!(info[11], 96);
    let map = words(&memory, info[12], 24);
    assert_eq!(map[..6], [20, 0, 0, 0xa_0000, 0, 1]);
    assert_eq!(map[6..12], [20, 0xa_0000, 0, 0x6_0000, 0, 2]);
    assert_eq!(map[12..18], [20, 0x10_0000, 0, 0xf0_0000, 0, 1]);
    assert_eq!(map[18..], [20, 0xe000_0000, 0, 0x10_0000, 0, 2]);
}

#[test]
fn version_2_is_told_the_same_by_tags_and_where_acpi_is() {
    let memory = memory();
    let information = loaded(&memory, &kernel_2(&[]), &[module(5, "one x")]).information;
    assert_eq!(information % 8, 0);
    let size = words(&memory, information, 1)[0] as usize;
    let all = read(&memory, information, size);
    let mut tags = Vec::new();
    let mut at = 8;
    while at < size {
        let word = |at: usize| u32::from_le_bytes(all[at..at + 4].try_into().unwrap());
        let length = word(at + 4) as usize;
        tags.push((word(at), all[at + 8..at + length].to_vec()));
        at += length.next_multiple_of(8);
    }

    let kinds: Vec<_> = tags.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 6, 14, 15, 0]);
    assert_eq!(tags[0].1, b"a=1 b\0");
    assert_eq!(tags[1].1, b"barscope\0");
    assert_eq!(tags[2].1, b"\x00\x10\x10\x00\x05\x10\x10\x00one x\0");
    assert_eq!(tags[3].1, [[0x80, 2, 0, 0], [0, 0x3c, 0, 0]].concat());
    assert_eq!(tags[4].1.len(), 8 + 4 * 24);
    assert_eq!(tags[4].1[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(tags[5].1, tags[6].1[..20]);
    assert_eq!((&tags[6].1[..8], tags[6].1.len()), (&b"RSD PTR "[..], 36));
}

#[test]
fn a_header_counts_where_the_specification_looks_for_it() {
    let at = |header: Vec<u8>, offset: usize| {
        let mut file = vec![0; offset];
        file.extend(header);
        file
    };
    let fields = [0x10_0000, 0x10_0000, 0, 0, 0x10_0000];
    let is_one = |offset| Header::of_version_1(&at(one(1 << 16, &fields), offset)).is_some();
    assert_eq!([0, 4, 8180, 8184, 8192, 2].map(is_one), [true, true, true, false, false, false]);
    let is_two = |offset| Header::of_version_2(&at(two(&[]), offset)).is_some();
    assert_eq!([0, 8, 32752, 32760, 32768, 4].map(is_two), [true, true, true, false, false, false]);
    let mut wrong = one(0, &[]);
    wrong[8] ^= 1;
    assert!(Header::of_version_1(&wrong).is_none(), "a wrong checksum");
}

#[test]
fn version_1_goes_before_version_2() {
    let mut both = two(&[]);
    both.extend(one(0, &[]));
    let file = elf(false, &both, MIB, MIB, MIB, 0);
    assert_eq!(loaded(&memory(), &file, &[]).magic, 0x2bad_b002);
}

#[test]
fn elf_files_of_both_classes_are_entered_at_the_physical_address() {
    for is_64 in [false, true] {
        let memory = memory();
        let file = elf(is_64, &one(0, &[]), 2 * MIB, 0xc020_0000, 0xc020_0008, 100);
        assert_eq!(loaded(&memory, &file, &[]).entry, 0x20_0008);
        assert_eq!(words(&memory, 0x20_0000, 2), [0x1bad_b002, 0]);
    }
    let high = elf(true, &one(0, &[]), MIB, MIB, 1 << 32, 0);
    assert_eq!(
        error(&high),
        "its entry at 0x100000000 is not below 4 GiB, where a multiboot kernel starts in 32-bit code"
    );
}

#[test]
fn addresses_in_the_header_go_before_program_headers() {
    // Eight bytes before the header, and eight after it, are loaded; what follows is zero.
    let mut file = b"beforeit".to_vec();
    file.extend(one(1 << 16, &[0x20_0008, 0x20_0000, 0x20_0030, 0x20_1000, 0x20_0028]));
    file.extend(b"after it, the end");
    let memory = memory();
    assert_eq!(loaded(&memory, &file, &[module(1, "m")]).entry, 0x20_0028);
    assert_eq!(read(&memory, 0x20_0000, 8), b"beforeit");
    assert_eq!(read(&memory, 0x20_0028, 10), b"after it\0\0");
    // The module lies behind the zeroes.
    assert_eq!(read(&memory, 0x20_1000, 1), [0x5a]);

    // The same in version 2, from the file's beginning to its end.
    let tags: &[(u16, u16, &[u32])] = &[(2, 0, &[0x20_0008, u32::MAX, 0, 0]), (3, 0, &[0x20_0010])];
    let mut file = b"beforeit".to_vec();
    file.extend(two(tags));
    file.extend(b"the end");
    assert_eq!(loaded(&memory, &file, &[]).entry, 0x20_0010);
    assert_eq!(read(&memory, 0x20_0000, 8), b"beforeit");
    assert_eq!(read(&memory, 0x20_0000 + file.len() as u32 - 7, 7), b"the end");
}

#[test]
fn addresses_that_contradict_each_other_are_told() {
    let file = |fields: [u32; 5]| one(1 << 16, &fields);
    for (fields, why) in [
        ([0x20_0000, 0x20_0004, 0, 0, 0], "load_addr is above header_addr"),
        ([0x20_0004, 0x20_0000, 0, 0, 0], "what is loaded begins before the file"),
        ([0x20_0000, 0x20_0000, 0x1f_ffff, 0, 0], "load_end_addr is below load_addr"),
        ([0x20_0000, 0x20_0000, 0, 0x1f_ffff, 0], "bss_end_addr is below load_addr"),
        ([0x20_0000, 0x20_0000, 0x20_0020, 0x20_0010, 0], "bss_end_addr is below load_end_addr"),
    ] {
        assert_eq!(
            error(&file(fields)),
            format!("the addresses in its multiboot header contradict each other: {why}")
        );
    }
    assert_eq!(error(&file([0x20_0000, 0x20_0000, 0x20_0021, 0, 0])), "it ends before its last segment does");
    assert_eq!(error(&one(1 << 16, &[0, 0])), "its multiboot header is cut short");
}

#[test]
fn what_version_1_has_to_understand_is_bits_0_to_2() {
    assert_eq!(loaded(&memory(), &elf(false, &one(7, &[]), MIB, MIB, MIB, 0), &[]).entry, 0x10_0000);
    let flagged = |bit: u32| error(&elf(false, &one(1 << bit, &[]), MIB, MIB, MIB, 0));
    for bit in [3, 15] {
        assert!(flagged(bit).starts_with(&format!("its multiboot header needs flag {bit}, which")));
    }
    // The upper half is for features that a loader may lack.
    assert_eq!(loaded(&memory(), &elf(false, &one(1 << 17, &[]), MIB, MIB, MIB, 0), &[]).entry, 0x10_0000);
}

#[test]
fn a_tag_of_version_2_that_cannot_be_given_is_an_error_unless_it_is_optional() {
    for (tag, words, what) in [
        (4, &[1][..], "a text console or a frame buffer (tag 4)"),
        (5, &[1024, 768, 32], "a frame buffer (tag 5)"),
        (11, &[], "something that the specification doesn't have (tag 11)"),
    ] {
        let text = error(&kernel_2(&[(tag, 0, words)]));
        assert!(text.starts_with(&format!("its Multiboot2 header needs {what}")), "{text}");
        assert_eq!(loaded(&memory(), &kernel_2(&[(tag, 1, words)]), &[]).entry, 0x10_0000);
    }
    for kind in [5, 8, 9, 12, 22] {
        let text = error(&kernel_2(&[(1, 0, &[6, kind])]));
        assert!(text.starts_with(&format!("its Multiboot2 header asks for information {kind},")), "{text}");
        loaded(&memory(), &kernel_2(&[(1, 1, &[6, kind])]), &[]);
    }
    // What is given, a console that it can do without, pages for modules, and what only EFI does.
    let fine: &[(u16, u16, &[u32])] = &[
        (1, 0, &[1, 2, 3, 4, 6, 14, 15, 21]),
        (4, 0, &[2]),
        (6, 0, &[]),
        (7, 0, &[]),
        (8, 0, &[0x10_0000]),
        (9, 0, &[0x10_0000]),
    ];
    loaded(&memory(), &kernel_2(fine), &[]);
    assert_eq!(
        error(&kernel_2(&[(2, 0, &[0x20_0000, 0x20_0000, 0, 0])])),
        "its Multiboot2 header has load addresses (tag 2), but no entry (tag 3)"
    );
    let mut mips = kernel_2(&[]);
    mips[0x104] = 4;
    mips[0x10c] -= 4;
    assert_eq!(error(&mips), "its Multiboot2 header is for architecture 4, not 0 (i386)");
}

#[test]
fn a_relocatable_kernel_lies_where_it_may_and_is_told_where() {
    let place = |min, max, align| {
        let memory = memory();
        let file = kernel_2(&[(10, 0, &[min, max, align, 0]), (3, 0, &[0x10_0010])]);
        let entry = loaded(&memory, &file, &[]);
        let size = words(&memory, entry.information, 1)[0] as usize;
        let tag = read(&memory, entry.information + size as u32 - 8 - 16, 12);
        assert_eq!(tag[..8], [21, 0, 0, 0, 12, 0, 0, 0]);
        let base = u32::from_le_bytes(tag[8..].try_into().unwrap());
        assert_eq!(words(&memory, base, 1), [0xe852_50d6]);
        assert_eq!(entry.entry, base + 0x10);
        base
    };
    assert_eq!(place(0, 0xffff_ffff, 0x1000), 0x10_0000, "where it is linked to");
    assert_eq!(place(0x20_0001, 0xffff_ffff, 0x1000), 0x20_1000);
    assert_eq!(place(0x9_fff8, 0xffff_ffff, 0x20_0000), 0x20_0000);
    assert_eq!(place(0x1_0000, 0x2_0000, 1), 0x1_0000, "below the legacy hole");
    let nowhere = error(&kernel_2(&[(10, 0, &[0xa_0000, 0xf_ffff, 1, 0])]));
    assert!(nowhere.starts_with("no place for it between 0xa0000 and 0xfffff"), "{nowhere}");
}

#[test]
fn what_a_kernel_is_told_lies_beside_it() {
    for (address, size) in [(0x4000, 0x9_0000), (0x1_0000, 0x8_0000), (MIB, 8 * MIB)] {
        let memory = memory();
        let file = elf(false, &one(0, &[]), address, address, address, size);
        let Entry { information, gdt, .. } = loaded(&memory, &file, &[]);
        let kernel = address..address + size + 12;
        for told in [information, gdt] {
            assert!(!kernel.contains(&told.into()), "{told:#x} in {kernel:x?}");
            assert!((0x1_0000..0xa_0000).contains(&told) || u64::from(told) >= MIB, "{told:#x}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let firmware = |address| error(&elf(false, &one(0, &[]), address, address, address, 0));
    for address in [0x9_fff8, 0xe_0000, 0xf_fff8] {
        assert!(
            firmware(address).starts_with(&format!("a segment at {address:#x} reaches where firmware is"))
        );
    }
    for address in [16 * MIB, 16 * MIB - 4, 0xffff_fff8] {
        assert!(firmware(address).contains("doesn't fit into 16 MiB of guest memory"));
    }
    let far = elf(true, &one(0, &[]), u64::MAX - 4, MIB, MIB, 0);
    assert!(error(&far).contains("doesn't fit into 16 MiB of guest memory"));
    let module = [module(16 << 20, "large")];
    let text = try_load(&memory(), &kernel(), &module).unwrap_err().to_string();
    assert!(text.contains("16 MiB doesn't fit beside the kernel"), "{text}");
    let nothing = two(&[]);
    assert!(error(&nothing).contains("is no ELF file"));
}

#[test]
fn one_initrd_is_all_that_other_protocols_take() {
    let pvh = barscope_guests::TEST_KERNEL;
    for modules in [vec![module(1, "a"), module(1, "b")], vec![module(1, "a with arguments")]] {
        let memory = GuestMemory::new(32 * MIB).unwrap();
        assert!(matches!(try_load(&memory, pvh, &modules), Err(BootError::Modules)));
    }
}

#[test]
fn no_truncated_or_damaged_file_panics() {
    let memory = memory();
    let tags: &[(u16, u16, &[u32])] =
        &[(1, 1, &[4]), (2, 0, &[0x20_0000, 0x20_0000, 0, 0]), (3, 0, &[0x20_0000]), (10, 0, &[0, !0, 8, 0])];
    let fields = [0x20_0000, 0x20_0000, 0, 0x20_0100, 0x20_0000];
    for file in [kernel(), kernel_2(&tags[2..]), two(tags), one(1 << 16, &fields)] {
        for length in 0..file.len() {
            let _ = try_load(&memory, &file[..length], &[]);
        }
        for offset in 0..file.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[offset] = value;
                let _ = try_load(&memory, &damaged, &[]);
            }
        }
    }
    // With checksums mended, so that fields are reached.
    for offset in 0x110..0x110 + 80 {
        for value in [0x00, 0x07, 0x80, 0xff] {
            let mut damaged = kernel_2(tags);
            if let Some(byte) = damaged.get_mut(offset) {
                *byte = value;
                let _ = try_load(&memory, &damaged, &[]);
            }
        }
    }
}
