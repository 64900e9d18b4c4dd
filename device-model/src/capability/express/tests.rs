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
