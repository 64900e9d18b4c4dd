//! What lies beside BAR0: the window, doorbells, the ROM, and how all are backed.

use barscope_device::AccessSize::{Byte, Dword, Qword, Word};

use super::*;

fn with(options: &[(&str, &str)]) -> Fixture {
    let mut fixture = Fixture::new(Lab::new(&Options::parse("lab", &super::options(), options).unwrap()));
    fixture.enable_memory();
    fixture.enable_io();
    fixture.take_effects();
    fixture
}

#[test]
fn the_window_reaches_the_register_at_index() {
    let mut fixture = with(&[]);

    fixture.write32(WINDOW, 0x0, 0x08);
    fixture.write32(WINDOW, 0x4, 0xc0ff_ee01);

    assert_eq!(fixture.read32(REGISTERS, 0x08), 0xc0ff_ee01);
    assert_eq!(fixture.read32(WINDOW, 0x4), 0xc0ff_ee01);
}

#[test]
fn the_window_keeps_an_aligned_offset_and_refuses_as_the_register_does() {
    let mut fixture = with(&[]);

    fixture.write32(WINDOW, 0x0, 0xffff_ffff);
    assert_eq!(fixture.read32(WINDOW, 0x0), 0xffc);
    assert_eq!(fixture.read(WINDOW, 0x4, Dword), Err(Refused::Reserved));

    fixture.write32(WINDOW, 0x0, 0x6c);
    assert_eq!(fixture.read(WINDOW, 0x4, Dword), Err(Refused::WriteOnly));
    assert_eq!(fixture.read(WINDOW, 0x4, Byte), Err(Refused::Width));
    assert_eq!(fixture.read(WINDOW, 0x8, Dword), Err(Refused::Reserved));
}

#[test]
fn a_doorbell_counts_and_interrupts() {
    let mut fixture = with(&[]);

    fixture.write32(DOORBELLS, 0xe0, 0xdead_beef);
    assert_eq!(fixture.read32(REGISTERS, 0x80), 1);
    assert_eq!(fixture.read32(REGISTERS, 0x14), 0b01000);

    assert_eq!(fixture.read(DOORBELLS, 0xe0, Dword), Err(Refused::WriteOnly));
    assert_eq!(fixture.write(DOORBELLS, 0x04, Dword, 1), Err(Refused::Reserved));
    assert_eq!(fixture.write(DOORBELLS, 0x20, Word, 1), Err(Refused::Width));
}

#[test]
fn doorbells_that_a_machine_counted_come_together() {
    let mut fixture = with(&[("doorbells", "ioeventfd")]);
    assert_eq!(fixture.function().backing(DOORBELLS), Backing::Doorbell);
    let doorbells = fixture.function().doorbells(DOORBELLS);
    assert_eq!(doorbells.len(), 8);
    assert_eq!(doorbells[1], Doorbell { offset: 0x20, only: None });

    fixture.doorbell(DOORBELLS, 0x20, 5);

    assert_eq!(fixture.read32(REGISTERS, 0x80), 5);
    assert_eq!(fixture.read32(REGISTERS, 0x14), 0b01000);
}

#[test]
fn memory_is_switched_while_the_device_runs() {
    for (option, first, second) in
        [("trapped", Backing::Trapped, Backing::Direct), ("direct", Backing::Direct, Backing::Trapped)]
    {
        let mut fixture = with(&[("memory", option)]);
        assert_eq!(fixture.function().backing(MEMORY), first);

        fixture.write32(REGISTERS, 0x0c, 0x4);
        let switched = Effect::Backing { region: MEMORY, backing: second };
        assert_eq!(fixture.take_effects(), [changed(0x0c, 0, 4), switched]);
        assert_eq!(fixture.function().backing(MEMORY), second);

        fixture.write32(REGISTERS, 0x0c, 0x2);
        assert_eq!(fixture.function().backing(MEMORY), first);
    }
}

#[test]
fn only_memory_can_be_lent() {
    let mut fixture = with(&[]);

    assert_eq!(fixture.function().memory(MEMORY).map(|memory| memory.size()), Some(0x10_0000));
    assert!(fixture.function().memory(REGISTERS).is_none());
}

#[test]
fn the_rom_holds_a_valid_image() {
    let mut fixture = with(&[]);
    fixture.config_write(0x30, Dword, 0xfe10_0001);

    assert_eq!(fixture.read(Region::Rom, 0x00, Word), Ok(0xaa55));
    assert_eq!(fixture.read(Region::Rom, 0x18, Word), Ok(0x20));
    assert_eq!(fixture.read(Region::Rom, 0x20, Qword), Ok(0x1ab0_1234_5249_4350));
    let bytes = (0..0x1000).map(|offset| fixture.read(Region::Rom, offset, Byte).unwrap());
    assert_eq!(bytes.sum::<u64>() & 0xff, 0);
    assert_eq!(fixture.write(Region::Rom, 0, Dword, 0), Err(Refused::ReadOnly));
    assert_eq!(fixture.read(Region::Rom, 0xffe, Dword), Err(Refused::Reserved));
}

#[test]
fn options_shape_the_function() {
    let mut fixture =
        with(&[("msix", "off"), ("msi-vectors", "2"), ("msi-address", "32"), ("msi-masking", "off")]);
    assert_eq!(fixture.capability(0x11), None);
    let msi = fixture.capability(0x05).unwrap();
    assert_eq!(fixture.config_read(msi + 2, Word), 0x0002);
    fixture.config_write(0x20, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(0x20, Dword), 0);

    assert_eq!(with(&[("msi-vectors", "0")]).capability(0x05), None);
}
