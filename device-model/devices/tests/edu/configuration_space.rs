//! Configuration space: after reset, and what software can write.

use barscope_device::AccessSize::{Byte, Dword, Word};
use std::collections::BTreeMap;

use barscope_device::{Differs, Fixture, Hex};
use barscope_devices::edu;
use serde::Deserialize;

const RECORDED: &str = include_str!("../data/edu/configuration.json");

/// Of the Command and Status registers: no write sets it.
const RECEIVED_MASTER_ABORT: u32 = 1 << 29;

#[derive(Deserialize)]
struct Recorded {
    reset_dump_hex: Hex,
    writable_map: BTreeMap<String, Written>,
}

/// What a register holds after writes, as hexadecimal numbers.
#[derive(Deserialize)]
struct Written {
    reset: String,
    after_ffffffff: String,
    after_0: String,
}

fn recorded() -> Recorded {
    serde_json::from_str(RECORDED).expect("the recording is as its README says")
}

fn number(text: &str) -> u32 {
    let digits = text.strip_prefix("0x").expect("a number begins with 0x");
    u32::from_str_radix(digits, 16).expect("a number is hexadecimal")
}

fn fixture() -> Fixture {
    crate::fixture(0x1000)
}

#[test]
fn after_reset_it_is_qemus() {
    let mut fixture = fixture();
    let found = (0..0x100).map(|offset| fixture.config_read(offset, Byte) as u8).collect();

    assert_eq!(Hex(found), recorded().reset_dump_hex);
}

#[test]
fn software_can_write_the_bits_that_it_can_in_qemus() {
    let deviations = edu::deviations();
    let mut met = 0;
    for (offset, recorded) in recorded().writable_map {
        let offset = number(&offset);
        let mut fixture = fixture();
        let mut read = || fixture.config_read(offset.into(), Dword) as u32;
        assert_eq!(read(), number(&recorded.reset), "{offset:#x} after reset");
        fixture.config_write(offset.into(), Dword, 0xffff_ffff);
        let ones = fixture.config_read(offset.into(), Dword) as u32;
        fixture.config_write(offset.into(), Dword, 0);
        let zeros = fixture.config_read(offset.into(), Dword) as u32;

        let differing =
            deviations.iter().fold(0, |all, deviation| all | deviation.differs.bits(offset.into(), 4));
        let unwritable = if offset == 0x04 { RECEIVED_MASTER_ABORT } else { 0 };
        let differing = differing as u32 & !unwritable;
        met += usize::from(differing != 0);
        assert_eq!(ones ^ number(&recorded.after_ffffffff), differing, "{offset:#x} after ones");
        assert_eq!(zeros, number(&recorded.after_0), "{offset:#x} after zeros");
    }
    let listed = deviations.iter().map(|deviation| match &deviation.differs {
        Differs::Configuration { bytes, .. } => (bytes.end - bytes.start) as usize / 4,
        _ => 0,
    });
    assert_eq!(met, listed.sum::<usize>());
}

#[test]
fn narrow_writes_move_the_bar_as_they_move_qemus() {
    let mut fixture = fixture();
    let bar = |fixture: &mut Fixture, offset, size, value| {
        fixture.config_write(offset, size, value);
        fixture.config_read(0x10, Dword)
    };

    assert_eq!(bar(&mut fixture, 0x10, Dword, 0xfe0f_ffff), 0xfe00_0000);
    assert_eq!(bar(&mut fixture, 0x12, Word, 0xfe20), 0xfe20_0000);
    assert_eq!(bar(&mut fixture, 0x13, Byte, 0xfd), 0xfd20_0000);
}
