//! DMA.

use barscope_device::AccessSize::{Byte, Dword, Qword, Word};

use super::*;

const DONE: u32 = 0b010;
const ERROR: u32 = 0b100;

/// Describes a transfer of `length` bytes and starts it.
fn transfer(fixture: &mut Fixture, address: u64, offset: u32, length: u32, to_memory: bool) {
    fixture.write(REGISTERS, 0x40, Qword, address).unwrap();
    fixture.write32(REGISTERS, 0x48, offset);
    fixture.write32(REGISTERS, 0x4c, length);
    fixture.write32(REGISTERS, 0x50, if to_memory { 0b11 } else { 0b01 });
}

/// DMA_STATUS without the reason, the reason, and INT_STATUS.
fn outcome(fixture: &mut Fixture) -> (u32, u32, u32) {
    let status = fixture.read32(REGISTERS, 0x54);
    (status & 0xf, status >> 4, fixture.read32(REGISTERS, 0x14))
}

#[test]
fn bytes_go_from_bar2_to_guest_memory() {
    let mut fixture = enabled();
    fixture.write(MEMORY, 0x101, Dword, 0x4433_2211).unwrap();
    fixture.take_effects();

    transfer(&mut fixture, 0x2003, 0x101, 4, true);
    fixture.advance(1_004);

    let mut data = [0; 6];
    fixture.memory().read(0x2002, &mut data).unwrap();
    assert_eq!(data, [0, 0x11, 0x22, 0x33, 0x44, 0]);
    let effect = Effect::Dma { to_memory: true, address: 0x2003, length: 4, outcome: Ok(()) };
    assert!(fixture.take_effects().contains(&effect));
    assert_eq!(outcome(&mut fixture), (DONE, 0, 0b00100));
}

#[test]
fn bytes_go_from_guest_memory_to_bar2() {
    let mut fixture = enabled();
    fixture.memory().write(0x2003, &[1, 2, 3]).unwrap();

    transfer(&mut fixture, 0x2003, 0xf_fffd, 3, false);
    fixture.advance(1_003);

    assert_eq!(fixture.read(MEMORY, 0xf_fffc, Dword), Ok(0x0302_0100));
    assert_eq!(outcome(&mut fixture), (DONE, 0, 0b00100));
}

#[test]
fn a_transfer_takes_a_microsecond_and_a_nanosecond_a_byte() {
    let mut fixture = enabled();

    transfer(&mut fixture, 0, 0, 0x1000, true);
    fixture.advance(5_095);
    assert_eq!(fixture.read32(REGISTERS, 0x54), 0b001);

    fixture.advance(1);
    assert_eq!(fixture.read32(REGISTERS, 0x54), DONE);
}

#[test]
fn its_registers_are_ignored_while_busy() {
    let mut fixture = enabled();
    transfer(&mut fixture, 0, 0, 16, true);

    for (offset, size) in [(0x40, Qword), (0x44, Dword), (0x48, Dword), (0x4c, Dword), (0x50, Dword)] {
        assert_eq!(fixture.write(REGISTERS, offset, size, 1), Err(Refused::Busy), "{offset:#x}");
    }
}

#[test]
fn the_address_may_be_written_in_halves() {
    let mut fixture = enabled();

    fixture.write32(REGISTERS, 0x44, 0x12);
    fixture.write32(REGISTERS, 0x40, 0xfee0_0000);

    assert_eq!(fixture.read(REGISTERS, 0x40, Qword), Ok(0x12_fee0_0000));
    assert_eq!(fixture.read32(REGISTERS, 0x44), 0x12);
    assert_eq!(fixture.read(REGISTERS, 0x42, Dword), Err(Refused::Alignment));
    assert_eq!(fixture.read(REGISTERS, 0x40, Word), Err(Refused::Width));
}

#[test]
fn what_can_not_start_is_an_error_at_once() {
    for (length, offset, reason) in [
        (0, 0, 2),
        (0x10_0001, 0, 2),
        (0xffff_ffff, 0xffff_ffff, 2),
        (1, 0x10_0000, 3),
        (2, 0xf_ffff, 3),
        (1, 0xffff_ffff, 3),
    ] {
        let mut fixture = enabled();

        transfer(&mut fixture, 0, offset, length, true);

        assert_eq!(outcome(&mut fixture), (ERROR, reason, 0b00010), "{length:#x} at {offset:#x}");
        assert_eq!(fixture.function().next_deadline(), None);
    }
    let mut fixture = decoded();
    transfer(&mut fixture, 0, 0, 16, true);
    assert_eq!(outcome(&mut fixture), (ERROR, 1, 0b00010));
}

#[test]
fn guest_memory_is_checked_from_start_to_end() {
    // The fixture has 64 KiB.
    for address in [0x1_0000, 0xfff1, u64::MAX, u64::MAX - 15] {
        let mut fixture = enabled();
        fixture.write(MEMORY, 0, Qword, u64::MAX).unwrap();

        transfer(&mut fixture, address, 0, 16, false);
        fixture.advance(1_016);

        assert_eq!(outcome(&mut fixture), (ERROR, 5, 0b00010), "{address:#x}");
        assert_eq!(fixture.read(MEMORY, 0, Qword), Ok(u64::MAX));
    }
}

#[test]
fn a_transfer_goes_nowhere_without_bus_mastering() {
    let mut fixture = enabled();
    fixture.config_write(0x04, Word, 0x2);

    transfer(&mut fixture, 0x2000, 0, 16, true);
    fixture.advance(1_016);

    assert_eq!(outcome(&mut fixture), (ERROR, 4, 0b00010));
}

#[test]
fn a_transfer_that_ends_in_d3hot_goes_nowhere() {
    let mut fixture = enabled();
    transfer(&mut fixture, 0x2000, 0, 16, true);
    let power = fixture.capability(0x01).unwrap();
    fixture.config_write(power + 4, Byte, 0b11);
    fixture.take_effects();

    fixture.advance(1_016);

    let outcome = Err(barscope_device::DmaError::BusMasterOff);
    let effect = Effect::Dma { to_memory: true, address: 0x2000, length: 16, outcome };
    assert_eq!(fixture.take_effects()[0], effect);
}
