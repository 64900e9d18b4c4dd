//! The counter, the queue, and what else BAR0 has beside computations and DMA.

use barscope_device::AccessSize::{Dword, Qword};

use super::*;

const CAUSES: u64 = 0x14;
const TRIGGER: u64 = 0x6c;

#[test]
fn the_counter_is_read_whole_or_in_halves_that_belong_together() {
    let mut fixture = decoded();
    fixture.advance(0x1_ffff_ffff);
    assert_eq!(fixture.read(REGISTERS, 0x60, Qword), Ok(0x1_ffff_ffff));

    assert_eq!(fixture.read32(REGISTERS, 0x60), 0xffff_ffff);
    fixture.advance(1);
    assert_eq!(fixture.read32(REGISTERS, 0x64), 0x1);

    assert_eq!(fixture.read32(REGISTERS, 0x60), 0x0);
    assert_eq!(fixture.read32(REGISTERS, 0x64), 0x2);
    assert_eq!(fixture.write(REGISTERS, 0x60, Qword, 0), Err(Refused::ReadOnly));
}

#[test]
fn reading_events_clears_them() {
    let mut fixture = decoded();
    fixture.write32(REGISTERS, TRIGGER, 0b10011);
    fixture.write32(REGISTERS, TRIGGER, 0b00001);

    assert_eq!(fixture.read32(REGISTERS, 0x68), 4);
    assert_eq!(fixture.read32(REGISTERS, 0x68), 0);
    assert_eq!(fixture.write(REGISTERS, 0x68, Dword, 0), Err(Refused::ReadOnly));
}

#[test]
fn trigger_is_write_only_and_sets_causes() {
    let mut fixture = decoded();

    fixture.write32(REGISTERS, TRIGGER, 0xffff_ffff);

    assert_eq!(fixture.read(REGISTERS, TRIGGER, Dword), Err(Refused::WriteOnly));
    assert_eq!(fixture.read32(REGISTERS, CAUSES), 0x1f);
}

#[test]
fn the_queue_gives_words_back_in_order() {
    let mut fixture = decoded();
    for word in [11, 12, 13] {
        fixture.write32(REGISTERS, 0x70, word);
    }
    assert_eq!(fixture.read32(REGISTERS, 0x74), 0x0_0003);

    assert_eq!(fixture.read32(REGISTERS, 0x70), 11);
    assert_eq!(fixture.read32(REGISTERS, 0x70), 12);
    assert_eq!(fixture.read32(REGISTERS, 0x70), 13);
    assert_eq!(fixture.read32(REGISTERS, 0x74), 0x0_0100);
}

#[test]
fn the_queue_reports_what_it_dropped_until_that_is_acknowledged() {
    let mut fixture = decoded();
    for word in 0..17 {
        fixture.write32(REGISTERS, 0x70, word);
    }
    assert_eq!(fixture.read32(REGISTERS, 0x74), 0x1_0210);
    for word in 0..16 {
        assert_eq!(fixture.read32(REGISTERS, 0x70), word);
    }
    assert_eq!(fixture.read32(REGISTERS, 0x70), 0);
    assert_eq!(fixture.read32(REGISTERS, 0x74), 0x3_0100);

    fixture.write32(REGISTERS, 0x74, 0x1_ffff);

    assert_eq!(fixture.read32(REGISTERS, 0x74), 0x2_0100);
}

#[test]
fn the_queue_interrupts_at_its_threshold() {
    let mut fixture = decoded();
    fixture.write32(REGISTERS, 0x78, 0xffff_ffe2);
    assert_eq!(fixture.read32(REGISTERS, 0x78), 2);

    fixture.write32(REGISTERS, 0x70, 1);
    assert_eq!(fixture.read32(REGISTERS, CAUSES), 0);
    fixture.write32(REGISTERS, 0x70, 2);
    assert_eq!(fixture.read32(REGISTERS, CAUSES), 0b10000);
}

#[test]
fn each_cause_has_a_vector_of_its_own() {
    let mut fixture = decoded();
    fixture.enable_bus_master();
    for vector in 0..8 {
        fixture.program_msix(VectorIndex::new(vector).unwrap(), 0xfee0_0000, 0x40 + u32::from(vector));
    }
    fixture.write32(REGISTERS, 0x18, 0x1f);
    fixture.take_effects();

    fixture.write32(REGISTERS, TRIGGER, 0b11000);

    let message = |index, data| {
        let index = VectorIndex::new(index).unwrap();
        Effect::Msi { index, address: 0xfee0_0000, data }
    };
    assert_eq!(fixture.take_effects(), [changed(CAUSES, 0, 0b11000), message(3, 0x43), message(4, 0x44)]);
}

#[test]
fn all_causes_share_the_pin() {
    let mut fixture = decoded();
    fixture.write32(REGISTERS, 0x18, 0x1f);
    fixture.write32(REGISTERS, TRIGGER, 0b01010);
    assert!(fixture.function().intx());

    fixture.write32(REGISTERS, CAUSES, 0b01000);
    assert!(fixture.function().intx());
    fixture.write32(REGISTERS, CAUSES, 0b00010);
    assert!(!fixture.function().intx());
}
