use super::*;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::address::BarIndex;
use crate::bar::BarSpec;
use crate::fixture::Fixture;
use crate::masked_bytes::MaskedBytes;
use crate::probe::Probe;

fn with(capabilities: impl IntoIterator<Item = Placed<ExtendedCapability>>) -> Fixture {
    Fixture::new(Probe::new().with_express().with_extended(capabilities))
}

/// The bits that a write of ones, and then one of zeros, leaves.
fn written(fixture: &mut Fixture, offset: u64) -> (u64, u64) {
    fixture.config_write(offset, Dword, 0xffff_ffff);
    let ones = fixture.config_read(offset, Dword);
    fixture.config_write(offset, Dword, 0);
    (ones, fixture.config_read(offset, Dword))
}

#[test]
fn the_list_begins_at_0x100_and_each_says_where_the_next_one_is() {
    let ats = AtsSpec { queue_depth: 4, page_aligned: true, ..AtsSpec::default() };
    let serial = SerialNumberSpec { number: 0x1122_3344_5566_7788 };
    let mut fixture = with([serial.into(), Placed::at(0x400, ats)]);

    assert_eq!(fixture.config_read(0x100, Dword), 0x4001_0003);
    assert_eq!(fixture.config_read(0x104, Qword), 0x1122_3344_5566_7788);
    assert_eq!(fixture.config_read(0x400, Qword), 0x0000_0024_0001_000f);
}

#[test]
fn address_translation_keeps_its_unit_and_its_enable_bit() {
    let mut fixture = with([AtsSpec::default().into()]);

    fixture.config_write(0x106, Word, 0xffff);

    assert_eq!(fixture.config_read(0x104, Dword), 0x801f_0000);
}

#[test]
fn error_masks_and_severities_are_written_and_survive_a_function_level_reset() {
    let mut fixture =
        Fixture::new(Probe::new().with_resettable_express().with_extended([AerSpec::default().into()]));
    assert_eq!(fixture.config_read(0x100, Dword), 0x0002_0001);
    assert_eq!(fixture.config_read(0x10c, Dword), 0x0006_2030);
    assert_eq!(fixture.config_read(0x114, Dword), 0x0000_2000);

    assert_eq!(written(&mut fixture, 0x104), (0, 0));
    assert_eq!(written(&mut fixture, 0x108), (0x001f_f030, 0));
    assert_eq!(written(&mut fixture, 0x110), (0, 0));
    assert_eq!(written(&mut fixture, 0x118), (0, 0));
    assert_eq!(written(&mut fixture, 0x11c), (0, 0));
    fixture.config_write(0x108, Dword, 0x0000_1000);
    fixture.config_write(0x10c, Dword, 0x0000_0010);
    let express = fixture.capability(0x10).unwrap();
    fixture.config_write(express + 8, Word, 0x8000);

    assert_eq!(fixture.config_read(0x108, Dword), 0x0000_1000);
    assert_eq!(fixture.config_read(0x10c, Dword), 0x0000_0010);
    fixture.function().reset();
    assert_eq!(fixture.config_read(0x108, Dword), 0);
    assert_eq!(fixture.config_read(0x10c, Dword), 0x0006_2030);
}

#[test]
fn error_reporting_has_as_many_registers_as_it_asks_for() {
    for (root, prefix_log, length) in
        [(None, false, 0x2c), (Some(3), false, 0x38), (None, true, 0x48), (Some(3), true, 0x48)]
    {
        let aer = AerSpec { root, prefix_log, ecrc_check: true, ..AerSpec::default() };
        let mut fixture = with([aer.into(), SerialNumberSpec { number: 0 }.into()]);

        assert_eq!(fixture.config_read(0x102, Word) >> 4, 0x100 + length);
        assert_eq!(written(&mut fixture, 0x118), (0x180, 0x080));
        let (ones, zeros) = if root.is_some() { (0x7, 0x0) } else { (0x0, 0x0) };
        let after = if length == 0x2c { (0x0001_0003, 0x0001_0003) } else { (ones, zeros) };
        assert_eq!(written(&mut fixture, 0x12c), after);
        let source = if root.is_some() { 3 << 27 } else { 0 };
        let head = if length == 0x2c { 0 } else { source };
        assert_eq!(fixture.config_read(0x130, Dword), head);
    }
}

#[test]
fn virtual_functions_are_configured_though_there_are_none() {
    let sr_iov = SrIovSpec {
        initial: 8,
        total: 8,
        first: 0x80,
        stride: 2,
        device: 0x10ca,
        bars: vec![BarSpec::memory64(BarIndex::BAR0, 0x4000).with_prefetch()],
        ..SrIovSpec::default()
    };
    let mut fixture = with([sr_iov.into()]);

    assert_eq!(fixture.config_read(0x10c, Dword), 0x0008_0008);
    assert_eq!(fixture.config_read(0x114, Dword), 0x0002_0080);
    assert_eq!(fixture.config_read(0x118, Dword), 0x10ca_0000);
    assert_eq!(fixture.config_read(0x11c, Qword), 0x0000_0001_0000_0553);
    assert_eq!(written(&mut fixture, 0x124), (0xffff_c00c, 0x0000_000c));
    assert_eq!(written(&mut fixture, 0x128), (0xffff_ffff, 0));
    assert_eq!(written(&mut fixture, 0x12c), (0, 0));
    fixture.config_write(0x110, Word, 4);
    fixture.config_write(0x108, Word, 0x0009);
    assert_eq!(fixture.config_read(0x108, Dword), 0x0009);
    assert_eq!(fixture.config_read(0x110, Dword), 4);
    fixture.enable_memory();
    assert_eq!(fixture.function().decoding().len(), 1);
}

#[test]
fn a_bar_that_can_be_resized_says_its_sizes_and_keeps_the_chosen_one() {
    let sizes = ResizableBar { bar: BarIndex::BAR0, sizes: 0x1f00, size: 8 };
    let large = ResizableBar { bar: BarIndex::BAR2, sizes: 1 << 28 | 1, size: 0 };
    let mut fixture = with([ResizableBarSpec { bars: vec![sizes, large] }.into()]);

    assert_eq!(fixture.config_read(0x104, Qword), 0x0000_0840_0001_f000);
    assert_eq!(fixture.config_read(0x10c, Qword), 0x0001_0002_0000_0010);
    fixture.config_write(0x108, Dword, 0xffff_ccff);

    assert_eq!(fixture.config_read(0x108, Dword), 0x0000_0c40);
}

#[test]
fn one_that_is_not_modelled_is_bytes_with_a_mask() {
    let content = MaskedBytes::new([1, 2, 3, 4], [0, 0xf0]);
    let other = OtherExtendedSpec { id: 0x000b, version: 2, content };
    let mut fixture = with([other.clone().into(), other.into()]);

    fixture.config_write(0x104, Dword, 0xffff_ffff);

    assert_eq!(fixture.config_read(0x100, Qword), 0x0403_f201_1082_000b);
    assert_eq!(fixture.config_read(0x108, Qword), 0x0403_0201_0002_000b);
}

#[test]
#[should_panic(expected = "capability 0x01 is Advanced Error Reporting, which has a type of its own")]
fn one_that_has_a_type_of_its_own_is_refused() {
    with([OtherExtendedSpec { id: 1, version: 1, content: MaskedBytes::default() }.into()]);
}

#[test]
#[should_panic(
    expected = "the first extended capability, serial number, is at 0x200; the list begins at 0x100"
)]
fn a_list_that_begins_elsewhere_is_refused() {
    with([Placed::at(0x200, SerialNumberSpec { number: 1 })]);
}

#[test]
#[should_panic(expected = "AER's severity of uncorrectable errors is 0x1; it takes those that it can detect")]
fn an_error_that_is_not_detected_has_no_severity() {
    with([AerSpec { uncorrectable_severity: 1, ..AerSpec::default() }.into()]);
}

#[test]
fn the_byte_behind_the_last_one_is_zero() {
    let mut fixture = with([SerialNumberSpec { number: u64::MAX }.into()]);

    assert_eq!(fixture.config_read(0x10b, Byte), 0xff);
    assert_eq!(fixture.config_read(0x10c, Byte), 0x00);
}
