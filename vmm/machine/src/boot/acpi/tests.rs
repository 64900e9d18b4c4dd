use barscope_x86::PhysicalMemory;

use super::*;

const MEMORY: u64 = 16 << 20;
/// Size of the header that every table but the RSDP has.
const HEADER: usize = 36;

/// The window that a machine has without large BARs.
const WINDOW: RangeInclusive<u64> = 0x8_0000_0000..=0xf_ffff_ffff;

fn tables(cpus: u8) -> (GuestMemory, u64) {
    tables_of(&Hardware { cpus, above_4_gib: WINDOW })
}

fn tables_of(hardware: &Hardware) -> (GuestMemory, u64) {
    let memory = GuestMemory::new(MEMORY).unwrap();
    let rsdp = write(&memory, hardware).unwrap();
    (memory, rsdp)
}

fn dsdt_of(above_4_gib: RangeInclusive<u64>) -> Vec<u8> {
    let (memory, rsdp) = tables_of(&Hardware { cpus: 1, above_4_gib });
    table(&memory, u64_at(&named(&memory, rsdp, b"FACP"), 140))
}

fn bytes(memory: &GuestMemory, address: u64, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    assert!(memory.read_physical(address, &mut bytes), "{address:#x}");
    bytes
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

#[track_caller]
fn assert_sums_to_zero(bytes: &[u8]) {
    assert_eq!(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
}

/// The table at `address`, its checksum right.
#[track_caller]
fn table(memory: &GuestMemory, address: u64) -> Vec<u8> {
    let length = u32_at(&bytes(memory, address, 8), 4);
    let table = bytes(memory, address, length);
    assert_sums_to_zero(&table);
    table
}

/// All tables that the XSDT leads to.
fn listed(memory: &GuestMemory, rsdp: u64) -> Vec<Vec<u8>> {
    let xsdt = table(memory, u64_at(&bytes(memory, rsdp, 36), 24));
    assert_eq!(&xsdt[..4], b"XSDT");
    xsdt[HEADER..].chunks_exact(8).map(|entry| table(memory, u64_at(entry, 0))).collect()
}

fn named(memory: &GuestMemory, rsdp: u64, signature: &[u8; 4]) -> Vec<u8> {
    listed(memory, rsdp).into_iter().find(|table| &table[..4] == signature).unwrap()
}

#[test]
fn the_rsdp_has_two_right_checksums() {
    let (memory, rsdp) = tables(1);
    assert_eq!(rsdp, 0xe_0000);

    let rsdp = bytes(&memory, rsdp, 36);

    assert_eq!(&rsdp[..8], b"RSD PTR ");
    assert_eq!(rsdp[15], 2, "revision");
    assert_eq!(u32_at(&rsdp, 20), 36, "length");
    assert_sums_to_zero(&rsdp[..20]);
    assert_sums_to_zero(&rsdp);
}

#[test]
fn the_xsdt_lists_fadt_madt_and_mcfg() {
    let (memory, rsdp) = tables(1);

    let signatures: Vec<_> = listed(&memory, rsdp).iter().map(|table| table[..4].to_vec()).collect();

    assert_eq!(signatures, [b"FACP", b"APIC", b"MCFG"]);
}

#[test]
fn the_fadt_leads_to_a_dsdt_with_the_host_bridge() {
    let (memory, rsdp) = tables(1);
    let fadt = named(&memory, rsdp, b"FACP");
    // HW_REDUCED_ACPI: there is no ACPI hardware to look for.
    assert_ne!(u32_at(&fadt, 112) & 1 << 20, 0);

    let dsdt = table(&memory, u64_at(&fadt, 140));

    assert_eq!(&dsdt[..4], b"DSDT");
    // _HID PNP0A08 and PNP0C02, as EISA identifiers.
    for id in [[0x41, 0xd0, 0x0a, 0x08], [0x41, 0xd0, 0x0c, 0x02]] {
        assert!(dsdt.windows(4).any(|bytes| bytes == id), "{id:02x?}");
    }
}

/// The QWord address space descriptor of memory (ACPI 6.5, section 6.4.3.5.1): granularity, first and last address,
/// translation and length follow six bytes of tag, length, kind and flags.
#[test]
fn the_host_bridge_announces_the_window_above_4_gib_wherever_it_is() {
    for (window, length) in [(WINDOW, 1 << 35), (1 << 35..=(1 << 42) - 1, (1 << 42) - (1 << 35))] {
        let dsdt = dsdt_of(window.clone());
        let descriptors: Vec<_> =
            (0..dsdt.len()).filter(|at| dsdt[*at..].starts_with(&[0x8a, 0x2b, 0, 0])).collect();
        let [at] = descriptors[..] else { panic!("{descriptors:?}") };
        let words: Vec<_> = (0..5).map(|index| u64_at(&dsdt, at + 6 + 8 * index)).collect();
        assert_eq!(words, [0, *window.start(), *window.end(), 0, length]);
    }
}

/// An entry of _PRT is a package of address, pin, source and number. A function's pin decides, its number doesn't:
/// the address stands for all functions of a device.
#[test]
fn every_pin_of_every_device_is_wired_to_its_turn_of_four_inputs() {
    let dsdt = dsdt_of(WINDOW);
    for device in 0..32_u8 {
        for pin in 0..4_u8 {
            // A package of four: the address in as many bytes as it needs, then bytes, whose 0 and 1 have opcodes of
            // their own.
            let byte = |value: u8| if value < 2 { vec![value] } else { vec![0x0a, value] };
            let address =
                if device == 0 { vec![0x0b, 0xff, 0xff] } else { vec![0x0c, 0xff, 0xff, device, 0] };
            let gsi = 16 + (device + pin) % 4;
            let entry = [vec![4], address, byte(pin), vec![0], byte(gsi)].concat();
            let found = dsdt.windows(entry.len()).filter(|bytes| *bytes == entry).count();
            assert_eq!(found, 1, "device {device}, pin {pin}: {entry:02x?}");
        }
    }
}

#[test]
fn the_mcfg_puts_bus_0_where_the_machine_has_it() {
    let (memory, rsdp) = tables(1);

    let mcfg = named(&memory, rsdp, b"MCFG");

    assert_eq!(mcfg.len(), HEADER + 8 + 16);
    assert_eq!(u64_at(&mcfg, 44), 0xe000_0000, "base");
    assert_eq!(mcfg[52..56], [0, 0, 0, 0], "segment, first and last bus");
}

#[test]
fn the_madt_has_a_local_apic_a_processor_and_one_ioapic() {
    let (memory, rsdp) = tables(2);

    let madt = named(&memory, rsdp, b"APIC");

    assert_eq!(u32_at(&madt, 36), 0xfee0_0000);
    let local_apics = [[0, 8, 0, 0, 1, 0, 0, 0], [0, 8, 1, 1, 1, 0, 0, 0]].concat();
    let ioapic = [1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0];
    assert_eq!(madt[44..], [&local_apics[..], &ioapic].concat());
}

#[test]
fn tables_neither_overlap_nor_leave_the_area_that_is_reserved_for_them() {
    let (memory, rsdp) = tables(1);
    let xsdt = u64_at(&bytes(&memory, rsdp, 36), 24);
    let mut addresses: Vec<_> =
        table(&memory, xsdt)[HEADER..].chunks_exact(8).map(|entry| u64_at(entry, 0)).collect();
    addresses.push(xsdt);
    addresses.push(u64_at(&named(&memory, rsdp, b"FACP"), 140));
    addresses.sort_unstable();

    let mut end = rsdp + 36;
    for address in addresses {
        assert!(address >= end, "{address:#x}");
        end = address + table(&memory, address).len() as u64;
    }
    assert!(end <= 0x10_0000);
}
