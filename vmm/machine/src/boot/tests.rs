use barscope_x86::PhysicalMemory;

use super::*;

const MIB: u64 = 1 << 20;
/// A machine with one vCPU, and the window that it has without large BARs.
pub(super) const ONE_CPU: Hardware = Hardware { cpus: 1, above_4_gib: 0x8_0000_0000..=0xf_ffff_ffff };
/// Where the parts of [`kernel`] lie in the file.
const PROGRAM_HEADERS: usize = 64;
const LOAD: usize = PROGRAM_HEADERS + 56;
const NOTE: usize = PROGRAM_HEADERS + 2 * 56;
const CODE: usize = NOTE + 20;

/// The smallest kernel: `hlt` at 1 MiB, where its PVH note says that the entry is.
fn kernel() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, EM_X86_64, version
    file.extend([MIB, PROGRAM_HEADERS as u64, 0].map(u64::to_le_bytes).concat());
    file.extend([0, 0, 64, 56, 2, 64, 0, 0].map(u16::to_le_bytes).concat());
    program_header(&mut file, 4, NOTE as u64, 0, 20);
    program_header(&mut file, 1, CODE as u64, MIB, 1);
    file.extend([4, 4, 18].map(u32::to_le_bytes).concat());
    file.extend(b"Xen\0");
    file.extend((MIB as u32).to_le_bytes());
    file.push(0xf4);
    file
}

fn program_header(file: &mut Vec<u8>, kind: u32, offset: u64, address: u64, size: u64) {
    file.extend([kind, 7].map(u32::to_le_bytes).concat());
    file.extend([offset, address, address, size, size, 4].map(u64::to_le_bytes).concat());
}

/// The kernel with a 64-bit word overwritten.
fn with(offset: usize, word: u64) -> Vec<u8> {
    let mut file = kernel();
    file[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    file
}

fn memory() -> GuestMemory {
    GuestMemory::new(16 * MIB).unwrap()
}

fn load_with(memory: &GuestMemory, kernel: &[u8], command_line: &str) -> Result<BootProtocol, BootError> {
    load(memory, &Payload { kernel, name: "kernel", modules: &[], command_line }, &ONE_CPU)
}

fn try_load(file: &[u8]) -> Result<BootProtocol, BootError> {
    load_with(&memory(), file, "")
}

#[track_caller]
fn reason(file: &[u8]) -> String {
    match try_load(file) {
        Err(BootError::NoKernel { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kernel_is_loaded_and_entered_where_its_note_says() {
    let memory = memory();

    let protocol = load_with(&memory, &kernel(), "scenario=probe").unwrap();

    assert_eq!(protocol, BootProtocol::Pvh { entry: MIB });
    let mut code = [0];
    assert!(memory.read_physical(MIB, &mut code));
    assert_eq!(code, [0xf4]);
    let (mut general, mut system) = Default::default();
    protocol.start(&mut general, &mut system);
    assert_eq!((general.rip, general.rbx), (MIB, 0x6000));
    assert_eq!((system.cr0 & 0x8000_0001, system.cs.db, system.cs.l), (1, 1, 0));
}

#[test]
fn the_start_info_leads_to_command_line_memory_map_and_rsdp() {
    let memory = memory();
    load_with(&memory, &kernel(), "scenario=probe").unwrap();
    let words = |address: u64, count: usize| {
        let mut bytes = vec![0; count * 8];
        assert!(memory.read_physical(address, &mut bytes));
        let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        words.collect::<Vec<_>>()
    };

    // Magic and version; flags and modules; module list; command line; RSDP; map; its entries.
    assert_eq!(words(0x6000, 7), [0x1_336e_c578, 0, 0, 0x8000, 0xe_0000, 0x7000, 4]);
    let mut text = [0; 15];
    assert!(memory.read_physical(0x8000, &mut text));
    assert_eq!(&text, b"scenario=probe\0");
    // Address, size, kind: 1 is memory, 2 is reserved.
    assert_eq!(words(0x7000, 3), [0, 0xa_0000, 1]);
    assert_eq!(words(0x7018, 3), [0xa_0000, 0x6_0000, 2]);
    assert_eq!(words(0x7030, 3), [0x10_0000, 0xf0_0000, 1]);
    assert_eq!(words(0x7048, 3), [0xe000_0000, 0x10_0000, 2]);
}

#[test]
fn what_does_not_start_like_an_elf_file_is_no_kernel() {
    for file in [&b""[..], b"#!/bin/sh\n", &[b'x'; 100], b"\x7fELF\x02\x01\x01"] {
        assert_eq!(reason(file), "it starts neither like an ELF file nor like a bzImage");
    }
}

#[test]
fn a_32_bit_file_without_a_multiboot_header_is_no_kernel() {
    let mut file = kernel();
    file[4] = 1;

    assert_eq!(reason(&file), "it is a 32-bit ELF file without a multiboot header");
}

#[test]
fn a_file_that_ends_early_is_no_kernel() {
    let file = kernel();

    assert_eq!(reason(&file[..file.len() - 1]), "it ends before its last segment does");
}

#[test]
fn a_kernel_without_a_pvh_note_is_told_so() {
    // Another note, no note at all, and another owner.
    assert!(matches!(try_load(&with(NOTE + 4, 17 << 32 | 4)), Err(BootError::NoPvhNote)));
    assert!(matches!(try_load(&with(PROGRAM_HEADERS, 7 << 32)), Err(BootError::NoPvhNote)));
    assert!(matches!(try_load(&with(NOTE + 12, 0x10_0000_0058_4e45)), Err(BootError::NoPvhNote)));
}

#[test]
fn a_segment_outside_memory_is_too_large() {
    let too_large = |file: &[u8]| matches!(try_load(file), Err(BootError::TooLarge { mib: 16 }));

    assert!(too_large(&with(LOAD + 24, 16 * MIB)), "behind memory");
    assert!(too_large(&with(LOAD + 24, u64::MAX)), "at the end of the address space");
    assert!(too_large(&with(LOAD + 40, 15 * MIB + 1)), "zeroes up to behind memory");
    assert!(!too_large(&with(LOAD + 40, 15 * MIB)), "zeroes up to its end");
}

#[test]
fn a_command_line_has_to_leave_room_for_its_nul() {
    let with_length = |length| load_with(&memory(), &kernel(), &"x".repeat(length));

    assert!(with_length(4095).is_ok());
    assert!(matches!(with_length(4096), Err(BootError::CommandLine { length: 4096 })));
}

#[test]
fn no_truncated_or_damaged_file_panics() {
    let memory = memory();
    let file = kernel();
    for length in 0..file.len() {
        assert!(load_with(&memory, &file[..length], "").is_err(), "{length} bytes");
    }
    for offset in 0..file.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[offset] = value;
            // What it gives is of no interest.
            let _ = load_with(&memory, &damaged, "");
        }
    }
}
