use crate::effect::Effect;
use crate::fixture::Fixture;
use crate::probe::{INTERRUPT, Probe, REGISTERS};

/// The only capability, so the first.
const CAPABILITY: u64 = 0x40;
const MESSAGE_CONTROL: u64 = CAPABILITY + 0x02;

fn with_vectors(vectors: u8) -> Fixture {
    let mut fixture = Fixture::new(Probe::new().with_msi_vectors(vectors));
    fixture.enable_memory();
    fixture
}

/// What the function does when its device wants interrupt `index`, apart from register changes.
fn interrupt(fixture: &mut Fixture, index: u64) -> Effect {
    fixture.take_effects();
    fixture.write(REGISTERS, INTERRUPT, 8, index).unwrap();
    fixture.take_effects().pop().unwrap()
}

#[test]
fn the_capability_is_a_64_bit_one_with_one_vector() {
    let mut fixture = with_vectors(1);

    assert_eq!(fixture.capability(0x05), Some(0x40));
    assert_eq!(fixture.config_read(0x06, 2), 0x0010);
    assert_eq!(fixture.config_read(MESSAGE_CONTROL, 2), 0x0080);
}

#[test]
fn a_function_without_vectors_has_no_capability() {
    let mut fixture = with_vectors(0);

    assert_eq!(fixture.capability(0x05), None);
    assert_eq!(fixture.config_read(0x06, 2), 0x0000);
    assert_eq!(interrupt(&mut fixture, 0), Effect::InterruptLost { index: 0 });
}

#[test]
fn the_address_is_dword_aligned_and_the_data_16_bits() {
    let mut fixture = with_vectors(1);

    for offset in [0x04, 0x08, 0x0c] {
        fixture.config_write(CAPABILITY + offset, 4, 0xffff_ffff);
    }

    assert_eq!(fixture.config_read(CAPABILITY + 0x04, 4), 0xffff_fffc);
    assert_eq!(fixture.config_read(CAPABILITY + 0x08, 4), 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x0c, 4), 0x0000_ffff);
}

#[test]
fn a_message_carries_the_programmed_address_and_data() {
    let mut fixture = with_vectors(1);
    fixture.enable_bus_master();
    fixture.program_msi(0x12_fee0_0000, 0x31);

    let message = Effect::Msi { index: 0, address: 0x12_fee0_0000, data: 0x31 };
    assert_eq!(interrupt(&mut fixture, 0), message);
}

#[test]
fn the_control_word_may_be_written_as_a_byte_a_word_or_a_dword() {
    for (offset, size, value) in [(0x02, 1, 0x01), (0x02, 2, 0x0001), (0x00, 4, 0x0001_ffff)] {
        let mut fixture = with_vectors(1);

        fixture.config_write(CAPABILITY + offset, size, value);

        assert_eq!(fixture.config_read(MESSAGE_CONTROL, 2), 0x0081, "{size} bytes");
        assert_eq!(fixture.config_read(CAPABILITY, 1), 0x05, "{size} bytes");
    }
}

#[test]
fn writing_the_upper_control_byte_leaves_the_enable_bit() {
    let mut fixture = with_vectors(1);
    fixture.config_write(MESSAGE_CONTROL, 1, 0x01);

    fixture.config_write(MESSAGE_CONTROL + 1, 1, 0x00);

    assert_eq!(fixture.config_read(MESSAGE_CONTROL, 2), 0x0081);
}

#[test]
fn an_interrupt_is_lost_while_msi_is_disabled() {
    let mut fixture = with_vectors(1);
    fixture.enable_bus_master();

    assert_eq!(interrupt(&mut fixture, 0), Effect::InterruptLost { index: 0 });
}

#[test]
fn an_interrupt_is_lost_without_bus_mastering() {
    let mut fixture = with_vectors(1);
    fixture.program_msi(0xfee0_0000, 0x31);

    assert_eq!(interrupt(&mut fixture, 0), Effect::InterruptLost { index: 0 });
}

#[test]
fn the_index_replaces_the_low_bits_of_the_data() {
    let mut fixture = with_vectors(4);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x47);
    // Multiple Message Enable: four vectors.
    fixture.config_write(MESSAGE_CONTROL, 1, 0x21);

    let message = Effect::Msi { index: 2, address: 0xfee0_0000, data: 0x46 };
    assert_eq!(interrupt(&mut fixture, 2), message);
}

#[test]
fn indices_share_the_vectors_that_software_gave() {
    let mut fixture = with_vectors(4);
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x44);
    // Two vectors, then as many as the function asked for although the field says 128.
    fixture.config_write(MESSAGE_CONTROL, 1, 0x11);
    assert_eq!(interrupt(&mut fixture, 3), Effect::Msi { index: 3, address: 0xfee0_0000, data: 0x45 });

    fixture.config_write(MESSAGE_CONTROL, 1, 0x71);
    assert_eq!(interrupt(&mut fixture, 3), Effect::Msi { index: 3, address: 0xfee0_0000, data: 0x47 });
}
