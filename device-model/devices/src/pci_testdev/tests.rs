use barscope_device::AccessSize::{Byte, Dword, Qword, Word};
use barscope_device::{Effect, Fixture};

use super::*;

fn fixture() -> Fixture {
    let mut fixture = Fixture::new(PciTestdev::new(&Options::defaults(&options())));
    fixture.enable_memory();
    fixture.enable_io();
    fixture.take_effects();
    fixture
}

fn start(fixture: &mut Fixture, region: Region, test: u64) {
    fixture.write(region, 0, Byte, test).unwrap();
}

fn read(fixture: &mut Fixture, offset: u64, size: AccessSize) -> u64 {
    fixture.read(MEMORY, offset, size).unwrap()
}

fn name(fixture: &mut Fixture) -> String {
    let bytes = (16..41).map(|offset| read(fixture, offset, Byte) as u8);
    String::from_utf8(bytes.take_while(|byte| *byte != 0).collect()).unwrap()
}

#[test]
fn a_test_tells_what_to_write_where() {
    let mut fixture = fixture();
    for (region, test, number, offset, data, called) in [
        (MEMORY, 0, 0, 0x800, 0xfa, "mmio-no-eventfd"),
        (MEMORY, 1, 1, 0x801, 0xce, "mmio-wildcard-eventfd"),
        (MEMORY, 2, 2, 0x802, 0xfa, "mmio-datamatch-eventfd"),
        (PORTS, 0, 3, 0x83, 0xfa, "portio-no-eventfd"),
        (PORTS, 1, 4, 0x84, 0xce, "portio-wildcard-eventfd"),
        (PORTS, 2, 5, 0x85, 0xfa, "portio-datamatch-eventfd"),
    ] {
        start(&mut fixture, region, test);
        let words = [0, 4, 8, 12].map(|offset| read(&mut fixture, offset, Dword));
        assert_eq!(words, [0x100 | number, offset, data, 0], "{called}");
        assert_eq!(name(&mut fixture), called);
    }
    assert_eq!(read(&mut fixture, 4, Qword), 0xfa_0000_0085);
    assert_eq!(read(&mut fixture, 5, Word), 0);
}

#[test]
fn without_a_test_all_reads_as_zero() {
    let mut fixture = fixture();
    assert_eq!([0, 4, 8, 12, 16].map(|offset| read(&mut fixture, offset, Dword)), [0; 5]);
    start(&mut fixture, MEMORY, 1);
    assert_ne!(read(&mut fixture, 4, Dword), 0);
    start(&mut fixture, PORTS, 3);
    assert_eq!([0, 4, 8, 12, 16].map(|offset| read(&mut fixture, offset, Dword)), [0; 5]);
    assert_eq!(fixture.write(MEMORY, 0x800, Byte, 0xfa), Err(Refused::Reserved));
    assert_eq!(fixture.read(MEMORY, 0x100, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.read(MEMORY, 0x800, Byte), Err(Refused::WriteOnly));
}

#[test]
fn only_writes_that_reach_the_device_are_counted() {
    let mut fixture = fixture();
    start(&mut fixture, MEMORY, 0);
    for value in [0xfa, 0xfa, 0xfb, 0xfa] {
        fixture.write(MEMORY, 0x800, Byte, value).unwrap();
    }
    assert_eq!(read(&mut fixture, 12, Dword), 3);
    // A wider one falls into bytes.
    fixture.write(MEMORY, 0x7ff, Dword, 0xfa00).unwrap();
    assert_eq!(read(&mut fixture, 12, Dword), 4);

    start(&mut fixture, MEMORY, 2);
    assert_eq!(read(&mut fixture, 12, Dword), 0);
    fixture.write(MEMORY, 0x802, Byte, 0xfa).unwrap();
    fixture.write(MEMORY, 0x802, Byte, 0xfb).unwrap();
    assert_eq!(read(&mut fixture, 12, Dword), 0);
    fixture.write(MEMORY, 0x802, Word, 0xfa).unwrap();
    assert_eq!(read(&mut fixture, 12, Dword), 1);

    start(&mut fixture, PORTS, 1);
    fixture.write(PORTS, 0x84, Byte, 0x00).unwrap();
    fixture.write(PORTS, 0x84, Dword, 0xffff_ffff).unwrap();
    assert_eq!(read(&mut fixture, 12, Dword), 0);
}

#[test]
fn kvm_is_to_count_what_the_running_test_writes() {
    let mut fixture = fixture();
    let mut served = |region, test| {
        start(&mut fixture, region, test);
        let effects = fixture.take_effects();
        let changes: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Backing { region, backing } => Some((*region, *backing)),
                _ => None,
            })
            .collect();
        let function = fixture.function();
        (changes, function.doorbells(MEMORY), function.doorbells(PORTS))
    };
    let (doorbell, trapped) = (Backing::Doorbell, Backing::Trapped);
    let any = |offset| vec![Doorbell { offset, only: None }];
    let matching = |offset| vec![Doorbell { offset, only: Some((Byte, 0xfa)) }];
    assert_eq!(served(MEMORY, 0), (vec![], vec![], vec![]));
    assert_eq!(served(MEMORY, 1), (vec![(MEMORY, doorbell)], any(0x801), vec![]));
    // The region stays one of doorbells, with another one.
    assert_eq!(served(MEMORY, 2), (vec![(MEMORY, doorbell)], matching(0x802), vec![]));
    assert_eq!(served(PORTS, 2), (vec![(MEMORY, trapped), (PORTS, doorbell)], vec![], matching(0x85)));
    assert_eq!(served(PORTS, 1), (vec![(PORTS, doorbell)], vec![], any(0x84)));
    assert_eq!(served(PORTS, 9), (vec![(PORTS, trapped)], vec![], vec![]));
}

#[test]
fn a_reset_stops_the_test_and_a_saved_one_goes_on() {
    let mut fixture = fixture();
    start(&mut fixture, MEMORY, 0);
    fixture.write(MEMORY, 0x800, Byte, 0xfa).unwrap();
    let saved = fixture.function().save();
    fixture.function().reset();
    fixture.enable_memory();
    assert_eq!(read(&mut fixture, 4, Dword), 0);
    fixture.restore(saved).unwrap();
    assert_eq!([4, 12].map(|offset| read(&mut fixture, offset, Dword)), [0x800, 1]);
}

#[test]
fn membar_is_a_bar_without_anything_behind_it() {
    let options = Options::parse("pci-testdev", &options(), &[("membar", "64G")]).unwrap();
    let mut fixture = Fixture::new(PciTestdev::new(&options));
    fixture.enable_memory();
    assert_eq!(fixture.function().header().region_size(Region::BAR2), Some(64 << 30));
    assert_eq!(fixture.read(Region::BAR2, 0x1000, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.write(Region::BAR2, 0, Byte, 1), Err(Refused::Reserved));
}
