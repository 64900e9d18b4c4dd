use super::{ExpressKind, ExpressSpec, LinkSpec, SlotSpec};
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::effect::{Decode, Effect};
use crate::fixture::Fixture;
use crate::probe::{CAUSES, Probe, REGISTERS, TIMER, VALUE};
use crate::{Region, Space};

const CAPABILITY: u64 = 0x40;
const DEVICE_CONTROL: u64 = CAPABILITY + 0x08;
const DEVICE_STATUS: u64 = CAPABILITY + 0x0a;

fn fixture() -> Fixture {
    let mut fixture = Fixture::new(Probe::new().with_msi(None).with_resettable_express().with_pin());
    fixture.config_write(0x10, Dword, 0xfe00_0000);
    fixture.enable_memory();
    fixture.take_effects();
    fixture
}

#[test]
fn it_is_an_integrated_endpoint_that_can_be_reset() {
    let mut fixture = fixture();

    assert_eq!(fixture.capability(0x10), Some(CAPABILITY));
    assert_eq!(fixture.config_read(CAPABILITY + 0x02, Word), 0x0092);
    assert_eq!(fixture.config_read(CAPABILITY + 0x04, Dword), 0x1000_8000);
    assert_eq!(fixture.config_read(DEVICE_CONTROL, Word), 0x2810);
}

#[test]
fn it_has_no_link() {
    let mut fixture = fixture();

    for offset in (0x0c..0x3c).step_by(4) {
        fixture.config_write(CAPABILITY + offset, Dword, 0xffff_ffff);
        assert_eq!(fixture.config_read(CAPABILITY + offset, Dword), 0, "{offset:#x}");
    }
}

#[test]
fn device_control_keeps_what_is_implemented_and_status_has_nothing_to_clear() {
    let mut fixture = fixture();

    fixture.config_write(DEVICE_CONTROL, Word, 0x7fff);
    fixture.config_write(DEVICE_STATUS, Word, 0xffff);

    assert_eq!(fixture.config_read(DEVICE_CONTROL, Dword), 0x0000_781f);
}

#[test]
fn a_function_level_reset_undoes_and_reports_everything() {
    let mut fixture = fixture();
    fixture.write(REGISTERS, CAUSES, Qword, 1).unwrap();
    fixture.write(REGISTERS, TIMER, Qword, 500).unwrap();
    fixture.take_effects();

    fixture.config_write(DEVICE_CONTROL + 1, Byte, 0x80);

    let decode = Decode { space: Space::Memory, base: 0xfe00_0000, size: 0x1000 };
    assert_eq!(
        fixture.take_effects(),
        [
            Effect::Change { region: REGISTERS, offset: VALUE, old: 1, new: 0 },
            Effect::Decode { region: Region::BAR0, from: Some(decode), to: None },
            Effect::Intx { asserted: false },
        ]
    );
    assert_eq!(fixture.config_read(DEVICE_CONTROL, Word), 0x2810);
    assert_eq!(fixture.config_read(0x04, Dword), 0x0010_0000);
    assert_eq!(fixture.config_read(0x10, Dword), 0);
    assert_eq!(fixture.function().next_deadline(), None);
}

fn with(spec: ExpressSpec) -> Fixture {
    Fixture::new(Probe::new().with_capabilities([spec.into()]))
}

#[test]
fn an_endpoint_has_the_registers_of_its_link() {
    let link = LinkSpec { capabilities: 0x0047_5c11, status: 0x1011, ..LinkSpec::default() };
    let mut fixture = with(ExpressSpec::endpoint(link));

    assert_eq!(fixture.config_read(CAPABILITY + 0x02, Word), 0x0002);
    assert_eq!(fixture.config_read(CAPABILITY + 0x0c, Dword), 0x0047_5c11);
    fixture.config_write(CAPABILITY + 0x10, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x10, Dword), 0x1011_03cb);
    fixture.config_write(CAPABILITY + 0x30, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x30, Dword), 0x0000_001f);
}

#[test]
fn what_a_link_was_configured_for_outlasts_a_function_level_reset() {
    let express = ExpressSpec { device_control: 0x78ff, ..ExpressSpec::endpoint(LinkSpec::default()) };
    let mut fixture = with(express.with_function_level_reset());
    fixture.config_write(CAPABILITY + 0x10, Word, 0x0041);
    fixture.config_write(DEVICE_CONTROL, Word, 0x002f);

    fixture.config_write(DEVICE_CONTROL, Word, 0x802f);

    assert_eq!(fixture.config_read(CAPABILITY + 0x10, Word), 0x0041);
    assert_eq!(fixture.config_read(DEVICE_CONTROL, Word), 0x2830);
    fixture.function().reset();
    assert_eq!(fixture.config_read(CAPABILITY + 0x10, Word), 0x0000);
    assert_eq!(fixture.config_read(DEVICE_CONTROL, Word), 0x2810);
}

#[test]
fn a_root_port_has_registers_of_a_slot_and_of_the_root() {
    let slot = Some(SlotSpec { capabilities: 0x0008_0060, ..SlotSpec::default() });
    let mut fixture = with(ExpressSpec {
        kind: ExpressKind::RootPort,
        slot,
        root_capabilities: 1,
        ..ExpressSpec::default()
    });

    assert_eq!(fixture.config_read(CAPABILITY + 0x02, Word), 0x0142);
    assert_eq!(fixture.config_read(CAPABILITY + 0x14, Dword), 0x0008_0060);
    assert_eq!(fixture.config_read(CAPABILITY + 0x18, Dword), 0x0000_07c0);
    fixture.config_write(CAPABILITY + 0x18, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x18, Dword), 0x0000_1fff);
    fixture.config_write(CAPABILITY + 0x1c, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(CAPABILITY + 0x1c, Dword), 0x0001_001f);
}

#[test]
fn the_first_version_is_as_long_as_its_registers() {
    let link = Some(LinkSpec::default());
    let slot = Some(SlotSpec::default());
    let first = ExpressSpec { version: 1, ..ExpressSpec::default() };
    for (spec, length) in [
        (first.clone(), 0x0c),
        (ExpressSpec { link: link.clone(), ..first.clone() }, 0x14),
        (ExpressSpec { link, slot, ..first.clone() }, 0x1c),
        (ExpressSpec { kind: ExpressKind::RootPort, ..first }, 0x24),
    ] {
        let capabilities = [spec.into(), crate::VendorSpec::default().into()];
        let mut fixture = Fixture::new(Probe::new().with_capabilities(capabilities));
        assert_eq!(fixture.config_read(CAPABILITY + 1, Byte), CAPABILITY + length);
    }
}
