use super::*;
use crate::BadState;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::effect::{Effect, InterruptLoss};
use crate::fixture::Fixture;
use crate::probe::vector;
use crate::probe::{CAUSE, CAUSES, Probe, REGISTERS};
use crate::vector::VectorIndex;

const TABLE_BAR: Region = Region::BAR2;
const PENDING_BITS: u64 = 0x1000;
const MESSAGE_CONTROL: u64 = 0x42;

/// With vectors 0 and 1 of three programmed and unmasked, and MSI-X enabled.
fn enabled() -> Fixture {
    let mut fixture = masked();
    fixture.program_msix(VectorIndex::ZERO, 0xfee0_0000, 0x40);
    fixture.program_msix(vector(1), 0xfee0_1000, 0x51);
    fixture
}

fn masked() -> Fixture {
    let mut fixture = Fixture::new(Probe::new().with_msi(None).with_msix(3));
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.take_effects();
    fixture
}

fn pending(fixture: &mut Fixture, causes: u64) -> Vec<Effect> {
    fixture.take_effects();
    fixture.write(REGISTERS, CAUSES, Qword, causes).unwrap();
    let mut effects = fixture.take_effects();
    effects.retain(|effect| !matches!(effect, Effect::Change { .. }));
    effects
}

#[test]
fn the_capability_says_how_many_vectors_and_where() {
    let mut fixture = masked();

    assert_eq!(fixture.capability(0x11), Some(0x40));
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0002);
    assert_eq!(fixture.config_read(0x44, Dword), 0x0000_0002);
    assert_eq!(fixture.config_read(0x48, Dword), 0x0000_1002);
}

#[test]
fn the_control_word_may_be_written_as_a_byte_a_word_or_a_dword() {
    for (offset, size, value) in [(0x43, Byte, 0xff), (0x42, Word, 0xffff), (0x40, Dword, 0xffff_ffff)] {
        let mut fixture = masked();

        fixture.config_write(offset, size, value);

        assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0xc002, "{size}");
        assert_eq!(fixture.config_read(0x40, Byte), 0x11, "{size}");
    }
}

#[test]
fn vectors_are_masked_after_reset() {
    let mut fixture = masked();

    for vector in 0..3 {
        assert_eq!(fixture.read(TABLE_BAR, 16 * vector + 8, Qword), Ok(0x1_0000_0000));
    }
}

#[test]
fn entries_take_aligned_accesses_of_4_and_8_bytes() {
    let mut fixture = masked();

    fixture.write(TABLE_BAR, 0x10, Qword, 0x0000_0012_fee0_0003).unwrap();
    fixture.write(TABLE_BAR, 0x18, Dword, 0x51).unwrap();

    assert_eq!(fixture.read(TABLE_BAR, 0x10, Dword), Ok(0xfee0_0000));
    assert_eq!(fixture.read(TABLE_BAR, 0x14, Dword), Ok(0x12));
    assert_eq!(fixture.read(TABLE_BAR, 0x18, Qword), Ok(0x1_0000_0051));
    assert_eq!(fixture.read(TABLE_BAR, 0x10, Word), Err(Refused::Width));
    assert_eq!(fixture.write(TABLE_BAR, 0x1c, Byte, 0), Err(Refused::Width));
    assert_eq!(fixture.read(TABLE_BAR, 0x14, Qword), Err(Refused::Alignment));
    assert_eq!(fixture.write(TABLE_BAR, 0x2e, Dword, 0), Err(Refused::Alignment));
}

#[test]
fn reserved_bits_of_the_vector_control_stay_zero() {
    let mut fixture = masked();

    fixture.write(TABLE_BAR, 0x0c, Dword, 0xffff_ffff).unwrap();

    assert_eq!(fixture.read(TABLE_BAR, 0x0c, Dword), Ok(1));
}

#[test]
fn nothing_of_it_lies_behind_the_last_vector() {
    let mut fixture = masked();

    assert_eq!(fixture.read(TABLE_BAR, 0x30, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.read(TABLE_BAR, 0x1008, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.read(TABLE_BAR, 0x28, Qword), Ok(0x1_0000_0000));
}

#[test]
fn pending_bits_are_read_only() {
    let mut fixture = masked();

    assert_eq!(fixture.write(TABLE_BAR, PENDING_BITS, Qword, u64::MAX), Err(Refused::ReadOnly));
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Qword), Ok(0));
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS + 4, Dword), Ok(0));
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Byte), Err(Refused::Width));
}

#[test]
fn each_vector_has_its_own_message() {
    let mut fixture = enabled();

    assert_eq!(
        pending(&mut fixture, 0b11),
        [
            Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x40 },
            Effect::Msi { index: vector(1), address: 0xfee0_1000, data: 0x51 },
        ]
    );
}

#[test]
fn causes_beyond_the_last_vector_share_the_first() {
    let mut fixture = enabled();

    let message = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x40 };
    assert_eq!(pending(&mut fixture, 1 << 31), [message]);
}

#[test]
fn unmasking_a_vector_fires_what_is_pending() {
    let mut fixture = enabled();

    assert_eq!(pending(&mut fixture, 0b100), [Effect::InterruptMasked { index: vector(2) }]);
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Qword), Ok(0b100));

    fixture.write(TABLE_BAR, 0x20, Qword, 0xfee0_2000).unwrap();
    fixture.write(TABLE_BAR, 0x2c, Dword, 0).unwrap();
    assert_eq!(fixture.take_effects(), [Effect::Msi { index: vector(2), address: 0xfee0_2000, data: 0 }]);
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Qword), Ok(0));
}

#[test]
fn a_vector_without_an_address_writes_to_address_0() {
    let mut fixture = enabled();
    fixture.memory().write(0, &[0xff; 8]).unwrap();
    fixture.write(TABLE_BAR, 0x2c, Dword, 0).unwrap();

    let lost = Effect::InterruptLost { index: vector(2), why: InterruptLoss::MemoryWrite };
    let written = Effect::Dma { to_memory: true, address: 0, length: 4, outcome: Ok(()) };
    assert_eq!(pending(&mut fixture, 0b100), [lost, written]);

    let mut bytes = [0; 8];
    fixture.memory().read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn the_function_mask_holds_every_vector_back() {
    let mut fixture = enabled();
    fixture.config_write(MESSAGE_CONTROL + 1, Byte, 0xc0);

    assert_eq!(pending(&mut fixture, 0b01), [Effect::InterruptMasked { index: VectorIndex::ZERO }]);

    fixture.config_write(MESSAGE_CONTROL + 1, Byte, 0x80);
    assert_eq!(
        fixture.take_effects(),
        [Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x40 }]
    );
}

#[test]
fn a_cause_that_goes_while_masked_fires_nothing() {
    let mut fixture = enabled();
    pending(&mut fixture, 0b100);

    pending(&mut fixture, 0);

    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Dword), Ok(0));
    fixture.write(TABLE_BAR, 0x2c, Dword, 0).unwrap();
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn a_message_is_lost_without_bus_mastering() {
    let mut fixture = enabled();
    fixture.config_write(0x04, Word, 0x2);

    let lost = Effect::InterruptLost { index: vector(1), why: InterruptLoss::BusMasterOff };
    assert_eq!(pending(&mut fixture, 0b10), [lost]);
}

#[test]
fn a_cause_is_lost_while_msix_is_disabled() {
    let mut fixture = enabled();
    fixture.config_write(MESSAGE_CONTROL, Word, 0);

    let lost = Effect::InterruptLost { index: vector(1), why: InterruptLoss::NothingEnabled };
    assert_eq!(pending(&mut fixture, 0b10), [lost]);
    assert_eq!(fixture.read(TABLE_BAR, PENDING_BITS, Dword), Ok(0));
}

#[test]
fn it_goes_before_msi() {
    let mut fixture = Fixture::new(Probe::new().with_msix(1));
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.program_msix(VectorIndex::ZERO, 0xfee0_0000, 0x40);

    assert_eq!(
        pending(&mut fixture, 1),
        [Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x40 }]
    );
}

#[test]
fn reset_masks_all_and_forgets_messages() {
    let mut fixture = enabled();

    fixture.function().reset();
    fixture.enable_memory();

    assert_eq!(fixture.read(TABLE_BAR, 0x10, Qword), Ok(0));
    assert_eq!(fixture.read(TABLE_BAR, 0x18, Qword), Ok(0x1_0000_0000));
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0002);
}

/// A table of 2048, each vector with data of its own, all of them unmasked. Pending bits are in another BAR.
fn largest() -> Fixture {
    let mut probe = Probe::new().with_msi(None);
    probe.header.bars.push(BarSpec::memory32(BarIndex::BAR1, 0x1000));
    probe.header.bars.push(BarSpec::memory64(BarIndex::BAR2, 0x8000));
    let pending = MsixPlace { bar: BarIndex::BAR1, offset: 0x800 };
    let mut fixture =
        Fixture::new(probe.with(MsixSpec { pending, ..MsixSpec::new(2048, BarIndex::BAR2, 0, 0) }));
    fixture.enable_memory();
    fixture.enable_bus_master();
    for number in 0..2048 {
        fixture.program_msix(vector(number), 0xfee0_0000, number.into());
    }
    fixture.take_effects();
    fixture
}

/// What the function does when a cause rises.
fn rise(fixture: &mut Fixture, cause: u64) -> Vec<Effect> {
    fixture.write(REGISTERS, CAUSE, Qword, cause).unwrap();
    fixture.take_effects()
}

fn fall(fixture: &mut Fixture, cause: u64) -> Vec<Effect> {
    rise(fixture, 1 << 63 | cause)
}

fn message(number: u16) -> Effect {
    Effect::Msi { index: vector(number), address: 0xfee0_0000, data: number.into() }
}

#[test]
fn each_vector_of_the_largest_table_fires() {
    let mut fixture = largest();
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x87ff);

    for number in 0..2048 {
        assert_eq!(rise(&mut fixture, number.into()), [message(number)]);
        assert_eq!(rise(&mut fixture, number.into()), []);
    }
    for number in [0, 31, 32, 33, 63, 64, 2047] {
        assert_eq!(fall(&mut fixture, number), []);
        assert_eq!(rise(&mut fixture, number), [message(number as u16)]);
    }
}

#[test]
fn a_vector_of_any_number_is_masked_pending_and_unmasked() {
    for number in [0_u16, 31, 32, 33, 63, 64, 65, 1024, 2047] {
        let mut fixture = largest();
        let place = u64::from(number);
        let bits = 0x800 + place / 64 * 8;
        let pending = |fixture: &mut Fixture| fixture.read(Region::BAR1, bits, Qword);

        fixture.write(TABLE_BAR, 16 * place + 12, Dword, 1).unwrap();
        assert_eq!(rise(&mut fixture, place), [Effect::InterruptMasked { index: vector(number) }]);
        assert_eq!(pending(&mut fixture), Ok(1 << (place % 64)));
        let half = bits + place % 64 / 32 * 4;
        assert_eq!(fixture.read(Region::BAR1, half, Dword), Ok(1 << (place % 32)));
        assert_eq!(rise(&mut fixture, (place + 1) % 2048), [message((number + 1) % 2048)]);

        fixture.write(TABLE_BAR, 16 * place + 12, Dword, 0).unwrap();
        assert_eq!(fixture.take_effects(), [message(number)]);
        assert_eq!(pending(&mut fixture), Ok(0));

        fixture.config_write(MESSAGE_CONTROL + 1, Byte, 0xc7);
        fall(&mut fixture, place);
        assert_eq!(rise(&mut fixture, place), [Effect::InterruptMasked { index: vector(number) }]);
        fall(&mut fixture, place);
        fixture.config_write(MESSAGE_CONTROL + 1, Byte, 0x87);
        assert_eq!(fixture.take_effects(), []);
    }
}

#[test]
fn causes_beyond_64_share_the_vectors_that_there_are() {
    let mut fixture = enabled();

    let first = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x40 };
    assert_eq!(rise(&mut fixture, 2047), [first]);
    assert_eq!(rise(&mut fixture, 64), []);
    fall(&mut fixture, 64);
    fall(&mut fixture, 2047);
    assert_eq!(rise(&mut fixture, 64), [first]);
}

#[test]
fn pending_bits_of_any_vector_are_saved_and_restored() {
    let mut fixture = largest();
    fixture.write(TABLE_BAR, 16 * 2047 + 12, Dword, 1).unwrap();
    rise(&mut fixture, 2047);
    let state = fixture.function().save();
    let mut copy = largest();

    copy.restore(state.clone()).unwrap();
    copy.take_effects();
    assert_eq!(copy.read(Region::BAR1, 0x8f8, Qword), Ok(1 << 63));
    copy.write(TABLE_BAR, 16 * 2047 + 12, Dword, 0).unwrap();
    assert_eq!(copy.take_effects(), [message(2047)]);

    assert!(matches!(masked().restore(state), Err(BadState::OtherOptions(_))));
}

#[test]
fn its_registers_are_in_the_map_of_their_bar() {
    let mut fixture = masked();

    let map = fixture.function().register_maps().iter().find(|map| map.region == TABLE_BAR).unwrap();
    let name = |offset| map.at(offset).map(|register| register.name.as_ref());

    assert_eq!(name(0x00), Some("MSIX0_ADDRESS_LOW"));
    assert_eq!(name(0x2c), Some("MSIX2_CONTROL"));
    assert_eq!(name(0x30), None);
    assert_eq!(name(0x1000), Some("MSIX_PENDING"));
}

#[test]
fn pending_bits_of_many_vectors_have_numbered_registers() {
    let mut fixture = largest();

    let map = fixture.function().register_maps().iter().find(|map| map.region == Region::BAR1).unwrap();
    assert_eq!(map.registers.len(), 32);
    assert_eq!(map.registers[31].name, "MSIX_PENDING31");
}

#[test]
#[should_panic(expected = "MSI-X: table and pending bits overlap")]
fn a_table_over_the_pending_bits_is_refused() {
    Fixture::new(Probe::new().with_msix(257));
}

#[test]
fn registers_of_table_and_pending_bits_are_known_by_their_names() {
    let spec = MsixSpec::new(70, BarIndex::BAR2, 0, 0x1000);
    let names: Vec<_> = spec.register_maps().into_iter().flat_map(|map| map.registers.to_vec()).collect();
    assert_eq!(names.len(), 4 * 70 + 2);
    assert!(names.iter().all(|register| is_msix_register(&register.name)));
    for other in ["MSIX", "MSIX_CONTROL", "MSIX_TABLE", "MSIX_DATA", "MSIXA_DATA", "MSIX1_STATUS", "STATUS"] {
        assert!(!is_msix_register(other), "{other}");
    }
}
