//! What a bzImage finds in memory at its start.

use barscope_x86::PhysicalMemory;

use super::*;
use crate::boot::tests::ONE_CPU;
use crate::boot::{BootModule, load};

const MIB: u64 = 1 << 20;
const SETUP: usize = 5 * 512;

/// The smallest bzImage: `hlt` at its 64-bit entry, 1 MiB to unpack itself into from 2 MiB on.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; SETUP + 0x201];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &(MIB as u32).to_le_bytes());
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x236, &1_u16.to_le_bytes());
    put(0x258, &(2 * MIB).to_le_bytes());
    put(0x260, &(MIB as u32).to_le_bytes());
    put(SETUP + 0x200, &[0xf4]);
    file
}

fn memory() -> GuestMemory {
    GuestMemory::new(16 * MIB).unwrap()
}

fn read<const N: usize>(memory: &GuestMemory, address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    assert!(memory.read_physical(address, &mut bytes));
    bytes
}

fn payload<'a>(kernel: &'a [u8], modules: &'a [BootModule]) -> Payload<'a> {
    Payload { kernel, name: "vmlinuz", modules, command_line: "console=ttyS0" }
}

fn initramfs(content: &[u8]) -> [BootModule; 1] {
    [BootModule { content: content.to_vec(), text: "initramfs".to_owned() }]
}

#[test]
fn a_bzimage_is_entered_in_long_mode_with_its_boot_parameters() {
    let memory = memory();

    let protocol = load(&memory, &payload(&bzimage(), &initramfs(b"0707")), &ONE_CPU).unwrap();

    assert_eq!(protocol, BootProtocol::Linux { entry: 0x10_0200 });
    assert_eq!(read(&memory, 0x10_0200), [0xf4]);
    let (mut general, mut system) = Default::default();
    protocol.start(&mut general, &mut system);
    assert_eq!((general.rip, general.rsi), (0x10_0200, 0x6000));
    assert_eq!((system.cs.selector, system.cs.l, system.ds.selector), (0x10, 1, 0x18));
    // Loader, command line, initramfs, RSDP, entries of the memory map.
    assert_eq!(read(&memory, 0x6210), [0xff]);
    assert_eq!(u32::from_le_bytes(read(&memory, 0x6228)), 0x8000);
    assert_eq!(&read(&memory, 0x8000), b"console=ttyS0\0");
    assert_eq!(u32::from_le_bytes(read(&memory, 0x6218)), 0xff_f000);
    assert_eq!(u32::from_le_bytes(read(&memory, 0x621c)), 4);
    assert_eq!(&read(&memory, 0xff_f000), b"0707");
    assert_eq!(u64::from_le_bytes(read(&memory, 0x6070)), 0xe_0000);
    assert_eq!(read(&memory, 0x61e8), [4]);
}

#[test]
fn the_first_page_tables_map_four_gigabytes_to_themselves() {
    let memory = memory();
    load(&memory, &payload(&bzimage(), &[]), &ONE_CPU).unwrap();
    let entry = |at: u64| u64::from_le_bytes(read(&memory, at));

    assert_eq!(entry(0xa000), 0xb003);
    assert_eq!([entry(0xb000), entry(0xb018), entry(0xb020)], [0xc003, 0xf003, 0]);
    assert_eq!([entry(0xc000), entry(0xc008), entry(0xfff8)], [0x83, 0x20_0083, 0xffe0_0083]);
}

#[test]
fn a_bzimage_or_an_initramfs_that_does_not_fit_is_told_so() {
    let kernel = bzimage();
    let big = vec![0; 14 * MIB as usize];

    let too_large = load(&memory(), &payload(&kernel, &initramfs(&big)), &ONE_CPU);
    assert!(matches!(too_large, Err(BootError::InitramfsTooLarge { size_mib: 14, mib: 16 })));
    assert!(load(&memory(), &payload(&kernel, &initramfs(&big[..13 * MIB as usize])), &ONE_CPU).is_ok());
    let mut needs_more = kernel.clone();
    needs_more[0x260..0x264].copy_from_slice(&(15 * MIB as u32).to_le_bytes());
    assert!(matches!(
        load(&memory(), &payload(&needs_more, &[]), &ONE_CPU),
        Err(BootError::TooLarge { mib: 16 })
    ));
}

#[test]
fn a_bzimage_that_is_cut_short_or_has_no_64_bit_entry_is_no_kernel() {
    let mut no_entry = bzimage();
    no_entry[0x236] = 0;
    for file in [&bzimage()[..0x210], &no_entry] {
        let result = load(&memory(), &payload(file, &[]), &ONE_CPU);
        assert!(matches!(result, Err(BootError::NoKernel { .. })), "{result:?}");
    }
}
