use barscope_device::AccessSize::{Byte, Dword, Qword, Word};
use barscope_device::{DmaError, Effect, Fixture, VectorIndex};

use super::*;

const MS: u64 = 1_000_000;
const MESSAGE: Effect = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x31 };

/// Decoded and mastering the bus, with options.
fn fixture_with(given: &[(&str, &str)]) -> Fixture {
    let options = Options::parse("edu", &options(), given).unwrap();
    let mut fixture = Fixture::new(Edu::new(&options));
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.take_effects();
    fixture
}

fn fixture() -> Fixture {
    fixture_with(&[])
}

/// Describes a transfer and starts it.
fn start(
    fixture: &mut Fixture,
    source: u64,
    destination: u64,
    count: u64,
    command: u64,
) -> Result<(), Refused> {
    for (register, value) in [(DMA_SOURCE, source), (DMA_DESTINATION, destination), (DMA_COUNT, count)] {
        fixture.write(REGISTERS, register, Qword, value).unwrap();
    }
    fixture.write(REGISTERS, DMA_COMMAND, Qword, command)
}

/// The same, to its end.
fn transfer(fixture: &mut Fixture, source: u64, destination: u64, count: u64, command: u64) {
    start(fixture, source, destination, count, command).unwrap();
    fixture.advance(100 * MS);
    assert_eq!(fixture.read(REGISTERS, DMA_COMMAND, Qword), Ok(command & !1));
}

fn bytes(fixture: &Fixture, address: u64, length: usize) -> Vec<u8> {
    let mut data = vec![0xee; length];
    fixture.memory().read(address, &mut data).unwrap();
    data
}

/// Messages, and levels of the pin.
fn interrupts(fixture: &mut Fixture) -> Vec<Effect> {
    let mut effects = fixture.take_effects();
    effects.retain(|effect| matches!(effect, Effect::Intx { .. } | Effect::Msi { .. }));
    effects
}

#[test]
fn a_factorial_comes_after_its_time_and_interrupts_if_asked() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, STATUS, 0xffff_ffff);
    fixture.write32(REGISTERS, FACTORIAL, 12);

    fixture.advance(1_011);
    assert_eq!(fixture.read32(REGISTERS, STATUS), 0x81);
    assert_eq!(fixture.read32(REGISTERS, FACTORIAL), 12);
    assert_eq!(fixture.write(REGISTERS, FACTORIAL, Dword, 5), Err(Refused::Busy));

    fixture.advance(1);
    assert_eq!(fixture.read32(REGISTERS, STATUS), 0x80);
    assert_eq!(fixture.read32(REGISTERS, FACTORIAL), 479_001_600);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0x1);
    assert_eq!(interrupts(&mut fixture), [Effect::Intx { asserted: true }]);
}

#[test]
fn a_factorial_is_cut_to_32_bits() {
    let mut fixture = fixture();
    for (operand, factorial) in
        [(0, 1), (1, 1), (13, 0x7328_cc00), (33, 0x8000_0000), (34, 0), (0xffff_ffff, 0)]
    {
        fixture.write32(REGISTERS, FACTORIAL, operand);
        fixture.advance(5_000 * MS);
        assert_eq!(fixture.read32(REGISTERS, FACTORIAL), factorial, "{operand}");
    }
}

#[test]
fn every_raise_sends_a_message_while_something_is_pending() {
    let mut fixture = fixture();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.write32(REGISTERS, INT_RAISE, 0);
    assert_eq!(interrupts(&mut fixture), []);

    for value in [0x2, 0x4, 0x4, 0x0] {
        fixture.write32(REGISTERS, INT_RAISE, value);
        assert_eq!(interrupts(&mut fixture), [MESSAGE], "{value:#x}");
    }
    fixture.write32(REGISTERS, INT_ACKNOWLEDGE, 0x2);
    assert_eq!(interrupts(&mut fixture), []);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0x4);
}

#[test]
fn the_pin_is_asserted_while_anything_is_pending() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, INT_RAISE, 0x8000_0000);
    fixture.write32(REGISTERS, INT_RAISE, 0x2);
    fixture.write32(REGISTERS, INT_ACKNOWLEDGE, 0x8000_0000);
    assert_eq!(interrupts(&mut fixture), [Effect::Intx { asserted: true }]);
    fixture.write32(REGISTERS, INT_ACKNOWLEDGE, 0x2);
    assert_eq!(interrupts(&mut fixture), [Effect::Intx { asserted: false }]);
}

#[test]
fn bytes_go_through_the_buffer_and_back() {
    let mut fixture = fixture();
    let data: Vec<u8> = (0..4096).map(|index| (index % 251) as u8).collect();
    fixture.memory().write(0x2000, &data).unwrap();

    transfer(&mut fixture, 0x2000, 0x4_0000, 4096, 0x1);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0);
    transfer(&mut fixture, 0x4_0064, 0x8000, 100, 0x7);

    assert_eq!(bytes(&fixture, 0x8000, 101), [&data[100..200], &[0]].concat());
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0x100);
}

#[test]
fn a_transfer_keeps_its_registers_and_ends_after_100_ms() {
    let mut fixture = fixture();
    start(&mut fixture, 0x2000, 0x4_0000, 4, 0x1).unwrap();

    for register in [DMA_SOURCE, DMA_DESTINATION, DMA_COUNT, DMA_COMMAND] {
        assert_eq!(fixture.write(REGISTERS, register, Dword, 0x1), Err(Refused::Busy));
    }
    fixture.advance(100 * MS - 1);
    assert_eq!(fixture.read32(REGISTERS, DMA_COMMAND), 0x1);
    fixture.advance(1);
    assert_eq!(fixture.read32(REGISTERS, DMA_COMMAND), 0x0);
    assert_eq!(fixture.read32(REGISTERS, DMA_SOURCE), 0x2000);
}

#[test]
fn a_transfer_beyond_the_buffer_is_refused() {
    let mut fixture = fixture();
    for (address, count) in [
        (0x3_ffff, 4),
        (0x4_0000, 4097),
        (0x4_0fff, 2),
        (0x4_1000, 1),
        (0x4_0001, u64::MAX),
        (u64::MAX, 1),
        (0, 0),
    ] {
        assert_eq!(start(&mut fixture, 0, address, count, 0x5), Err(Refused::Range), "{address:#x}, {count}");
        assert_eq!(start(&mut fixture, address, 0, count, 0x7), Err(Refused::Range), "{address:#x}, {count}");
    }
    fixture.advance(200 * MS);
    assert_eq!(fixture.read32(REGISTERS, DMA_COMMAND), 0);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0);

    transfer(&mut fixture, 0x2000, 0x4_1000, 0, 0x5);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0x100);
}

#[test]
fn without_bus_mastering_a_transfer_ends_and_brings_zeros() {
    let mut fixture = fixture();
    fixture.memory().write(0x2000, &[0x11; 8]).unwrap();
    transfer(&mut fixture, 0x2000, 0x4_0000, 8, 0x1);

    fixture.config_write(0x04, Word, 0x0002);
    transfer(&mut fixture, 0x4_0000, 0x3000, 8, 0x7);
    assert_eq!(fixture.read32(REGISTERS, INT_STATUS), 0x100);
    transfer(&mut fixture, 0x2000, 0x4_0000, 4, 0x1);

    fixture.config_write(0x04, Word, 0x0006);
    assert_eq!(bytes(&fixture, 0x3000, 8), [0; 8]);
    transfer(&mut fixture, 0x4_0000, 0x3000, 8, 0x3);
    assert_eq!(bytes(&fixture, 0x3000, 8), [0, 0, 0, 0, 0x11, 0x11, 0x11, 0x11]);
}

#[test]
fn a_transfer_outside_memory_ends_with_received_master_abort() {
    let mut fixture = fixture();
    transfer(&mut fixture, 0xffff, 0x4_0000, 2, 0x1);

    assert_eq!(fixture.config_read(0x06, Word), 0x2010);
}

#[test]
fn addresses_are_cut_to_as_many_bits_as_the_option_says() {
    for (options, address, reached) in [
        (&[][..], 0xffff_ffff_f000_1234, 0x1234),
        (&[("dma-bits", "24")][..], 0x0100_1234, 0x1234),
        (&[("dma-bits", "64")][..], 0x0100_1234, 0x0100_1234),
    ] {
        let mut fixture = fixture_with(options).with_memory(0x0100_2000);
        fixture.memory().write(reached, &[1, 2, 3, 4]).unwrap();
        transfer(&mut fixture, address, 0x4_0000, 4, 0x1);
        transfer(&mut fixture, 0x4_0000, 0x5000, 4, 0x3);
        assert_eq!(bytes(&fixture, 0x5000, 4), [1, 2, 3, 4], "{options:?}");
    }
}

#[test]
fn an_address_that_is_cut_is_told_before_its_transfer() {
    let mut fixture = fixture();
    transfer(&mut fixture, 0x1_1000_2000, 0x4_0000, 4, 0x1);
    let of_dma = |effect: &Effect| matches!(effect, Effect::AddressCut { .. } | Effect::Dma { .. });
    let mut effects = fixture.take_effects();
    effects.retain(of_dma);
    assert_eq!(
        effects,
        [
            Effect::AddressCut { asked: 0x1_1000_2000, bits: 28 },
            Effect::Dma { to_memory: false, address: 0x2000, length: 4, outcome: Ok(()) },
        ]
    );

    transfer(&mut fixture, 0x4_0000, 0x1000_3000, 4, 0x3);
    transfer(&mut fixture, 0x4_0000, 0x0fff_fff0, 4, 0x3);
    let mut effects = fixture.take_effects();
    effects.retain(of_dma);
    let outcome = Err(DmaError::OutOfBounds);
    assert_eq!(
        effects,
        [
            Effect::AddressCut { asked: 0x1000_3000, bits: 28 },
            Effect::Dma { to_memory: true, address: 0x3000, length: 4, outcome: Ok(()) },
            Effect::Dma { to_memory: true, address: 0x0fff_fff0, length: 4, outcome },
        ]
    );
}

#[test]
fn what_is_refused_says_why_and_reads_as_in_qemu() {
    let mut fixture = fixture();
    for (offset, size, refused, value) in [
        (0x00, Byte, Refused::Width, 0),
        (0x22, Word, Refused::Width, 0),
        (0x05, Dword, Refused::Alignment, 0),
        (0x00, Qword, Refused::Width, u64::MAX),
        (0x60, Dword, Refused::WriteOnly, 0xffff_ffff),
        (0x84, Dword, Refused::Reserved, 0xffff_ffff),
        (0x4_0000, Dword, Refused::Reserved, 0xffff_ffff),
        (0x5e, Qword, Refused::Alignment, 0xffff_ffff_0000),
    ] {
        assert_eq!(fixture.read(REGISTERS, offset, size), Err(refused), "{size} at {offset:#x}");
        let seen = fixture.function().refused_read(REGISTERS, offset, size);
        assert_eq!(seen, value, "{size} at {offset:#x}");
    }
    assert_eq!(fixture.write(REGISTERS, INT_STATUS, Dword, 1), Err(Refused::ReadOnly));
    assert_eq!(fixture.write(REGISTERS, LIVENESS, Word, 1), Err(Refused::Width));
    assert_eq!(fixture.read32(REGISTERS, LIVENESS), 0);
}

#[test]
fn turning_msi_off_moves_what_is_pending_to_the_pin() {
    let mut fixture = fixture();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.write32(REGISTERS, INT_RAISE, 1);
    fixture.config_write(0x42, Word, 0);

    assert_eq!(interrupts(&mut fixture), [MESSAGE, Effect::Intx { asserted: true }]);
}

#[test]
fn a_transfer_goes_on_where_it_was_saved() {
    let mut original = fixture();
    original.memory().write(0x2000, &[9; 4]).unwrap();
    transfer(&mut original, 0x2000, 0x4_0000, 4, 0x1);
    start(&mut original, 0x4_0000, 0x3000, 4, 0x7).unwrap();
    original.advance(50 * MS);

    let mut copy = fixture();
    copy.advance(original.now());
    copy.restore(original.function().save()).unwrap();
    copy.advance(50 * MS);

    assert_eq!(bytes(&copy, 0x3000, 4), [9; 4]);
    assert_eq!(copy.read32(REGISTERS, INT_STATUS), 0x100);
}
