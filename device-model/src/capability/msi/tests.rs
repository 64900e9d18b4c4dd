use super::MsiSpec;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::dma::DmaError;
use crate::effect::{Effect, InterruptLoss};
use crate::fixture::Fixture;
use crate::probe::vector;
use crate::probe::{CAUSES, Probe, REGISTERS};
use crate::vector::VectorIndex;

/// The only capability, so the first.
const CAPABILITY: u64 = 0x40;
const MESSAGE_CONTROL: u64 = CAPABILITY + 0x02;
/// With a 64-bit address.
const MASK_BITS: u64 = CAPABILITY + 0x10;
const PENDING_BITS: u64 = CAPABILITY + 0x14;

fn with_vectors(vectors: u8) -> Fixture {
    with(Some(MsiSpec::new(vectors)))
}

fn with(spec: Option<MsiSpec>) -> Fixture {
    let mut fixture = Fixture::new(Probe::new().with_msi(spec));
    fixture.enable_memory();
    fixture
}

/// What the function does when its device says that these causes are pending, and no others, apart from
/// register changes.
fn pending(fixture: &mut Fixture, causes: u64) -> Vec<Effect> {
    fixture.take_effects();
    fixture.write(REGISTERS, CAUSES, Qword, causes).unwrap();
    let mut effects = fixture.take_effects();
    effects.retain(|effect| !matches!(effect, Effect::Change { .. }));
    effects
}

/// The same for a cause that rises from nothing and alone.
fn interrupt(fixture: &mut Fixture, cause: u64) -> Effect {
    pending(fixture, 0);
    let effects = pending(fixture, 1 << cause);
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects[0]
}

#[test]
fn the_capability_is_a_64_bit_one_with_one_vector() {
    let mut fixture = with_vectors(1);

    assert_eq!(fixture.capability(0x05), Some(0x40));
    assert_eq!(fixture.config_read(0x06, Word), 0x0010);
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0080);
}

#[test]
fn a_function_without_vectors_has_no_capability() {
    let mut fixture = with(None);

    assert_eq!(fixture.capability(0x05), None);
    assert_eq!(fixture.config_read(0x06, Word), 0x0000);
    assert_eq!(
        interrupt(&mut fixture, 0),
        Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::NothingEnabled }
    );
}

#[test]
fn the_address_is_dword_aligned_and_the_data_16_bits() {
    let mut fixture = with_vectors(1);

    for offset in [0x04, 0x08, 0x0c] {
        fixture.config_write(CAPABILITY + offset, Dword, 0xffff_ffff);
    }

    assert_eq!(fixture.config_read(CAPABILITY + 0x04, Dword), 0xffff_fffc);
    assert_eq!(fixture.config_read(CAPABILITY + 0x08, Dword), 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x0c, Dword), 0x0000_ffff);
}

#[test]
fn a_message_carries_the_programmed_address_and_data() {
    let mut fixture = with_vectors(1);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_f00c, 0x31);

    let message = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_f00c, data: 0x31 };
    assert_eq!(interrupt(&mut fixture, 0), message);
}

#[test]
fn the_control_word_may_be_written_as_a_byte_a_word_or_a_dword() {
    for (offset, size, value) in [(0x02, Byte, 0x01), (0x02, Word, 0x0001), (0x00, Dword, 0x0001_ffff)] {
        let mut fixture = with_vectors(1);

        fixture.config_write(CAPABILITY + offset, size, value);

        assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0081, "{size}");
        assert_eq!(fixture.config_read(CAPABILITY, Byte), 0x05, "{size}");
    }
}

#[test]
fn writing_the_upper_control_byte_leaves_the_enable_bit() {
    let mut fixture = with_vectors(1);
    fixture.config_write(MESSAGE_CONTROL, Byte, 0x01);

    fixture.config_write(MESSAGE_CONTROL + 1, Byte, 0x00);

    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0081);
}

#[test]
fn an_interrupt_is_lost_while_msi_is_disabled() {
    let mut fixture = with_vectors(1);
    fixture.enable_bus_master();

    assert_eq!(
        interrupt(&mut fixture, 0),
        Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::NothingEnabled }
    );
}

#[test]
fn an_interrupt_is_lost_without_bus_mastering() {
    for address in [0xfee0_0000, 0x800] {
        let mut fixture = with_vectors(1);
        fixture.program_msi(address, 0x31);

        let lost = Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::BusMasterOff };
        assert_eq!(interrupt(&mut fixture, 0), lost);
        assert_eq!(dword(&fixture, 0x800), 0);
    }
}

fn dword(fixture: &Fixture, address: u64) -> u32 {
    let mut bytes = [0; 4];
    fixture.memory().read(address, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

#[test]
fn a_message_to_memory_is_written_there_and_interrupts_nobody() {
    let mut fixture = with_vectors(1);
    fixture.enable_bus_master();
    fixture.memory().write(0x7fc, &[0xff; 12]).unwrap();
    fixture.program_msi(0x800, 0xc0de);

    let effects = pending(&mut fixture, 1);

    let lost = Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::MemoryWrite };
    let written = Effect::Dma { to_memory: true, address: 0x800, length: 4, outcome: Ok(()) };
    assert_eq!(effects, [lost, written]);
    assert_eq!(dword(&fixture, 0x800), 0xc0de);
    assert_eq!((dword(&fixture, 0x7fc), dword(&fixture, 0x804)), (0xffff_ffff, 0xffff_ffff));
    assert_eq!(fixture.config_read(0x06, Word), 0x0010);
}

#[test]
fn a_message_to_where_nothing_is_ends_in_a_master_abort() {
    // The fixture has 64 KiB; the last two have the low half of an interrupt's address.
    for address in [0x1_0000, 0xfedf_fffc, 0xfef0_0000, 0x12_fee0_0000, 0xffff_ffff_fee0_0000] {
        let mut fixture = with_vectors(1);
        fixture.enable_bus_master();
        fixture.program_msi(address, 0x31);

        let lost = Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::MemoryWrite };
        let outcome = Err(DmaError::OutOfBounds);
        let written = Effect::Dma { to_memory: true, address, length: 4, outcome };
        assert_eq!(pending(&mut fixture, 1), [lost, written]);
        assert_eq!(fixture.config_read(0x06, Word), 0x2010);
    }
}

#[test]
fn every_address_from_0xfee00000_to_0xfeefffff_interrupts() {
    for address in [0xfee0_0000, 0xfee0_1000, 0xfeef_fffc] {
        let mut fixture = with_vectors(1);
        fixture.enable_bus_master();
        fixture.program_msi(address, 0x31);

        assert_eq!(interrupt(&mut fixture, 0), Effect::Msi { index: VectorIndex::ZERO, address, data: 0x31 });
    }
}

#[test]
fn the_index_replaces_the_low_bits_of_the_data() {
    let mut fixture = with_vectors(4);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x47);
    // Multiple Message Enable: four vectors.
    fixture.config_write(MESSAGE_CONTROL, Byte, 0x21);

    let message = Effect::Msi { index: vector(2), address: 0xfee0_0000, data: 0x46 };
    assert_eq!(interrupt(&mut fixture, 2), message);
}

#[test]
fn causes_without_a_vector_of_their_own_share_the_first() {
    let mut fixture = with_vectors(4);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x44);
    // Two vectors, then as many as the function asked for although the field says 128.
    fixture.config_write(MESSAGE_CONTROL, Byte, 0x11);
    assert_eq!(
        interrupt(&mut fixture, 1),
        Effect::Msi { index: vector(1), address: 0xfee0_0000, data: 0x45 }
    );
    assert_eq!(
        interrupt(&mut fixture, 3),
        Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x44 }
    );

    fixture.config_write(MESSAGE_CONTROL, Byte, 0x71);
    assert_eq!(
        interrupt(&mut fixture, 3),
        Effect::Msi { index: vector(3), address: 0xfee0_0000, data: 0x47 }
    );
}

#[test]
fn a_message_leaves_when_a_vector_rises_and_not_while_it_stays() {
    let mut fixture = with_vectors(4);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x44);
    let message = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x44 };

    assert_eq!(pending(&mut fixture, 0b0001), [message]);
    assert_eq!(pending(&mut fixture, 0b1001), []);
    assert_eq!(pending(&mut fixture, 0b1000), []);
    assert_eq!(pending(&mut fixture, 0b0000), []);
    assert_eq!(pending(&mut fixture, 0b1000), [message]);
}

#[test]
fn a_32_bit_capability_has_its_data_where_the_upper_address_would_be() {
    let mut fixture = with(Some(MsiSpec { wide: false, ..MsiSpec::new(1) }));
    fixture.enable_bus_master();
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0000);

    fixture.program_msi(0xfee0_0000, 0x31);

    assert_eq!(fixture.config_read(CAPABILITY + 0x08, Word), 0x31);
    assert_eq!(
        interrupt(&mut fixture, 0),
        Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x31 }
    );
}

#[test]
fn mask_and_pending_bits_follow_the_data_and_exist_for_each_vector() {
    for (wide, mask) in [(false, 0x0c), (true, 0x10)] {
        let mut fixture = with(Some(MsiSpec { wide, masking: true, ..MsiSpec::new(4) }));
        assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word) & 0x0100, 0x0100);

        fixture.config_write(CAPABILITY + mask, Dword, 0xffff_ffff);
        fixture.config_write(CAPABILITY + mask + 4, Dword, 0xffff_ffff);

        assert_eq!(fixture.config_read(CAPABILITY + mask, Dword), 0xf);
        assert_eq!(fixture.config_read(CAPABILITY + mask + 4, Dword), 0x0);
    }
}

fn masking() -> Fixture {
    let mut fixture = with(Some(MsiSpec { masking: true, ..MsiSpec::new(4) }));
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x44);
    fixture.config_write(MESSAGE_CONTROL, Byte, 0x21);
    fixture.config_write(MASK_BITS, Dword, 0b0010);
    fixture
}

#[test]
fn a_masked_vector_is_pending_and_fires_when_unmasked() {
    let mut fixture = masking();

    assert_eq!(pending(&mut fixture, 0b0010), [Effect::InterruptMasked { index: vector(1) }]);
    assert_eq!(fixture.config_read(PENDING_BITS, Dword), 0b0010);

    fixture.config_write(MASK_BITS, Byte, 0);
    assert_eq!(fixture.take_effects(), [Effect::Msi { index: vector(1), address: 0xfee0_0000, data: 0x45 }]);
    assert_eq!(fixture.config_read(PENDING_BITS, Dword), 0);
}

#[test]
fn a_cause_that_goes_while_masked_fires_nothing() {
    let mut fixture = masking();
    pending(&mut fixture, 0b0010);

    assert_eq!(pending(&mut fixture, 0b0000), []);
    assert_eq!(fixture.config_read(PENDING_BITS, Dword), 0);

    fixture.config_write(MASK_BITS, Byte, 0);
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn data_has_32_bits_where_software_enables_that() {
    let spec = MsiSpec { extended_data: true, ..MsiSpec::new(2) };
    let mut fixture = with(Some(spec));
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x30);
    fixture.config_write(CAPABILITY + 0x0e, Word, 0x1234);

    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0283);
    let message = |data| Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data };
    assert_eq!(interrupt(&mut fixture, 0), message(0x30));
    fixture.config_write(MESSAGE_CONTROL, Word, 0x0401);
    assert_eq!(interrupt(&mut fixture, 0), message(0x1234_0030));
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, Word), 0x0683);
}
