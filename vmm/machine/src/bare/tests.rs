use barscope_device::{
    Access as Rights, AccessSize, BadState, BarIndex, BarSpec, ConfigHeader, Context, InterruptPin,
    PciDevice, Refused, Register, RegisterMap,
};
use barscope_trace::{Content, Event, EventKind};
use tempfile::TempDir;

use super::*;

static MAPS: [RegisterMap; 1] = [RegisterMap {
    region: Region::BAR0,
    registers: std::borrow::Cow::Borrowed(&[Register::new32("COUNT", 0, Rights::ReadWrite, "")]),
}];

/// Counts writes; each has it interrupt 5 us later.
#[derive(Default)]
struct Bell {
    count: u32,
    rings: u32,
}

impl PciDevice for Bell {
    fn name(&self) -> &str {
        "bell"
    }

    fn header(&self) -> ConfigHeader {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x1000)];
        ConfigHeader { bars, interrupt_pin: Some(InterruptPin::A), ..ConfigHeader::default() }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        Ok(self.count.into())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        self.count += 1;
        context.set_timer(0, 5_000);
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>, _: u8) {
        self.rings += 1;
        // Done by then or not: both are told.
        let _ = context.dma_write(0x1000, &[self.rings as u8]);
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        Some(self.count.into())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn save(&self) -> barscope_device::state::Value {
        barscope_device::state::Value::Null
    }

    fn restore(&mut self, _: barscope_device::state::Value) -> Result<(), BadState> {
        Ok(())
    }
}

const BELL: Bdf = Bdf::from_routing_id(0x20);

fn bare(firmware: bool) -> (TempDir, Bare) {
    let folder = tempfile::tempdir().unwrap();
    let devices: Devices = vec![(BELL, Box::new(Bell::default()))];
    let around = Surroundings { firmware, ..Surroundings::default() };
    let bare = Bare::new(devices, around, &folder.path().join("trace"), WriteOptions::default()).unwrap();
    (folder, bare)
}

fn events(folder: &TempDir, bare: Bare) -> Vec<Event> {
    bare.finish().unwrap();
    Content::open(&folder.path().join("trace")).unwrap().events().to_vec()
}

#[test]
fn a_device_answers_without_a_processor_and_does_dma_when_time_has_passed() {
    let (folder, mut bare) = bare(true);
    bare.access(BELL, Region::BAR0, 0, Request::write(4, 7)).unwrap();
    let mut byte = [0xff];
    bare.read_memory(0x1000, &mut byte).unwrap();
    assert_eq!((bare.access(BELL, Region::BAR0, 0, Request::read(4)).unwrap(), byte), (1, [0]));
    bare.wait(3_999).unwrap();
    bare.read_memory(0x1000, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    bare.wait(1).unwrap();
    bare.read_memory(0x1000, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    let events = events(&folder, bare);
    let accesses = events.iter().filter(|event| matches!(event.kind, EventKind::Access(_)));
    // Bus mastering, the write, the read; no processor made them.
    assert_eq!(accesses.map(|event| event.vcpu).collect::<Vec<_>>(), [None; 3]);
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::Dma { address: 0x1000, .. })));
    assert!(events.is_sorted_by_key(|event| event.device_ns), "time goes back: {events:?}");
}

#[test]
fn without_firmware_a_bar_has_no_address_until_it_gets_one() {
    let (_folder, mut bare) = bare(false);
    let error = bare.access(BELL, Region::BAR0, 0, Request::read(4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "BAR0 of 00:04.0 was never given an address: write its BAR and the Command register first"
    );
    for (offset, value) in [(0x10, 0xf000_0000), (0x04, 2)] {
        bare.access(BELL, Region::Config, offset, Request::write(4, value)).unwrap();
    }
    assert_eq!(bare.access(BELL, Region::BAR0, 0, Request::read(4)).unwrap(), 0);
    // Nobody answers where it was.
    bare.access(BELL, Region::Config, 0x04, Request::write(2, 0)).unwrap();
    assert_eq!(bare.access(BELL, Region::BAR0, 0, Request::read(4)).unwrap(), 0xffff_ffff);
}

#[test]
fn a_function_that_was_reset_is_as_at_the_beginning() {
    let (_folder, mut bare) = bare(true);
    bare.access(BELL, Region::BAR0, 0, Request::write(4, 7)).unwrap();
    bare.reset(BELL).unwrap();
    bare.wait(1_000_000).unwrap();
    assert_eq!(bare.access(BELL, Region::BAR0, 0, Request::read(4)).unwrap(), 0);
    let mut byte = [0xff];
    bare.read_memory(0x1000, &mut byte).unwrap();
    assert_eq!(byte, [0], "its timer is gone");
    assert!(bare.read_memory(u64::MAX, &mut byte).is_err());
}
