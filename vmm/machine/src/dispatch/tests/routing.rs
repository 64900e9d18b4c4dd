//! Where accesses lead, and how each is recorded.

use super::puppet::READ_ONLY;
use super::*;
use crate::placement::{Asking, Placement};

#[test]
fn a_claimed_access_reaches_its_function_and_gives_what_that_answers() {
    let mut machine = Machine::enabled();

    machine.write(BAR0, 8, 0x1122_3344_5566_7788);
    assert_eq!(machine.read(BAR0 + 4, 4), 0x1122_3344);
    machine.write(BAR0 + READ_ONLY, 4, 9);
    assert_eq!(machine.read(BAR0 + 0x100, 2), 0xffff);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x0, 8 bytes, 0x1122334455667788: ok",
            "2 4.BAR0+0x0 0x0 -> 0x1122334455667788 by 1",
            "3 read 4.BAR0+0x4, 4 bytes, 0x11223344: ok",
            "4 write 4.BAR0+0x28, 4 bytes, 0x9: read-only",
            "5 read 4.BAR0+0x100, 2 bytes, 0xffff: reserved",
        ]
    );
}

#[test]
fn what_a_page_boundary_leaves_of_an_access_reaches_the_function_in_parts() {
    let mut machine = Machine::enabled();

    machine.write(BAR2, 7, 0x77_6655_4433_2211);
    assert_eq!(machine.read(BAR2 + 1, 3), 0x44_3322);
    assert_eq!(machine.read(BAR2, 8), 0x77_6655_4433_2211);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR2+0x0, 7 bytes, 0x77665544332211: ok",
            "2 read 4.BAR2+0x1, 3 bytes, 0x443322: ok",
            "3 read 4.BAR2+0x0, 8 bytes, 0x77665544332211: ok",
        ]
    );
}

#[test]
fn an_access_that_nothing_claims_gives_all_ones_or_is_dropped() {
    let mut machine = Machine::enabled();

    assert_eq!(machine.read(0xf800_0000, 4), 0xffff_ffff);
    machine.write(0xf800_0000, 4, 5);
    assert_eq!(machine.read_port(0xd000, 1), 0xff);

    assert_eq!(
        machine.records(),
        [
            "1 read nothing+0xf8000000, 4 bytes, 0xffffffff: unclaimed",
            "2 write nothing+0xf8000000, 4 bytes, 0x5: unclaimed",
            "3 read nothing+0x0 by port 0xd000, 1 bytes, 0xff: unclaimed",
        ]
    );
}

#[test]
fn an_access_that_crosses_a_boundary_never_reaches_the_function() {
    let mut machine = Machine::enabled();

    assert_eq!(machine.read(BAR2 + 0x3ffc, 8), u64::MAX);
    machine.write_port(BAR1 + 15, 2, 3);
    assert_eq!(machine.read_port(BAR1, 4), 0);

    assert_eq!(
        machine.records(),
        [
            "1 read 4.BAR2+0x3ffc, 8 bytes, 0xffffffffffffffff: straddles",
            "2 write 4.BAR1+0xf by port 0xc00f, 2 bytes, 0x3: straddles",
            "3 read 4.BAR1+0x0 by port 0xc000, 4 bytes, 0x0: ok",
        ]
    );
}

#[test]
fn what_is_not_decoded_is_not_reached() {
    let mut machine = Machine::enabled();

    machine.configure(4, COMMAND, 2);
    assert_eq!(machine.read_port(BAR1, 4), 0xffff_ffff);
    machine.configure(4, COMMAND, 1);
    assert_eq!(machine.read(BAR0, 4), 0xffff_ffff);
    assert_eq!(machine.read_port(BAR1, 4), 0);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.CONFIG+0x4, 4 bytes, 0x2: ok",
            "2 4.BAR1 Removed at 0xc000 by 1",
            "3 read nothing+0x0 by port 0xc000, 4 bytes, 0xffffffff: unclaimed",
            "4 write 4.CONFIG+0x4, 4 bytes, 0x1: ok",
            "5 4.BAR0 Removed at 0xf0000000 by 4",
            "6 4.BAR1 Added at 0xc000 by 4",
            "7 4.BAR2 Removed at 0x800000000 by 4",
            "8 4.BAR4 Removed at 0xf0001000 by 4",
            "9 read nothing+0xf0000000, 4 bytes, 0xffffffff: unclaimed",
            "10 read 4.BAR1+0x0 by port 0xc000, 4 bytes, 0x0: ok",
        ]
    );
}

#[test]
fn memory_and_ports_reach_the_same_device_by_different_regions() {
    let mut machine = Machine::enabled();

    machine.write_port(BAR1, 4, 0x55);
    assert_eq!(machine.read(BAR0, 4), 0x55);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR1+0x0 by port 0xc000, 4 bytes, 0x55: ok",
            "2 4.BAR0+0x0 0x0 -> 0x55 by 1",
            "3 read 4.BAR0+0x0, 4 bytes, 0x55: ok",
        ]
    );
}

#[test]
fn configuration_space_is_reached_by_memory_and_by_ports() {
    let mut machine = Machine::new();

    assert_eq!(machine.read(ecam(4, 0), 4), 0xabcd_1234);
    assert_eq!(machine.read(ecam(5, 0), 4), 0xffff_ffff);
    machine.write_port(0xcf8, 4, 0x8000_2000);
    assert_eq!(machine.read_port(0xcf8, 4), 0x8000_2000);
    assert_eq!(machine.read_port(0xcfe, 2), 0xabcd);
    machine.write_port(0xcf8, 4, 0x8000_2800);
    assert_eq!(machine.read_port(0xcfc, 4), 0xffff_ffff);

    assert_eq!(
        machine.records(),
        [
            "1 read 4.CONFIG+0x0, 4 bytes, 0xabcd1234: ok",
            "2 read nothing+0xe0028000, 4 bytes, 0xffffffff: unclaimed",
            "3 write 0.CONFIG+0x0 by port 0xcf8, 4 bytes, 0x80002000: ok",
            "4 read 0.CONFIG+0x0 by port 0xcf8, 4 bytes, 0x80002000: ok",
            "5 read 4.CONFIG+0x2 by port 0xcfe, 2 bytes, 0xabcd: ok",
            "6 write 0.CONFIG+0x0 by port 0xcf8, 4 bytes, 0x80002800: ok",
            "7 read nothing+0x0 by port 0xcfc, 4 bytes, 0xffffffff: unclaimed",
        ]
    );
}

#[test]
fn configuration_ports_take_no_access_across_their_registers() {
    let mut machine = Machine::new();
    machine.write_port(0xcf8, 4, 0x8000_20fe);
    machine.start();

    // Narrow ones pass CONFIG_ADDRESS by; the last reaches past CONFIG_DATA's 256 bytes.
    assert_eq!(machine.read_port(0xcf8, 2), 0xffff);
    assert_eq!(machine.read_port(0xcfa, 4), 0xffff_ffff);
    assert_eq!(machine.read_port(0xcfe, 4), 0xffff_ffff);
    assert_eq!(machine.read_port(0xcfc, 4), 0xffff_ffff);

    assert_eq!(
        machine.records(),
        [
            "1 read nothing+0x0 by port 0xcf8, 2 bytes, 0xffff: unclaimed",
            "2 read nothing+0x2 by port 0xcfa, 4 bytes, 0xffffffff: unclaimed",
            "3 read nothing+0x6 by port 0xcfe, 4 bytes, 0xffffffff: unclaimed",
            "4 read 4.CONFIG+0xfe by port 0xcfc, 4 bytes, 0xffffffff: straddles",
        ]
    );
}

#[test]
fn an_overlapping_bar_is_mapped_once_the_other_one_moves() {
    let mut machine = Machine::with(Clock::Virtual, &[(4, Backing::Trapped), (8, Backing::Trapped)]);
    machine.enable(4);
    machine.enable(8);
    machine.write(BAR0, 4, 0x44);
    machine.write(BAR0 + 0x10_0000, 4, 0x88);
    machine.start();

    machine.configure(8, 0x10, BAR0);
    assert_eq!(machine.read(BAR0, 4), 0x44);
    machine.configure(4, 0x10, 0xf020_0000);
    assert_eq!(machine.read(BAR0, 4), 0x88);
    assert_eq!(machine.read(0xf020_0000, 4), 0x44);

    assert_eq!(
        machine.records(),
        [
            "1 write 8.CONFIG+0x10, 4 bytes, 0xf0000000: ok",
            "2 8.BAR0 Removed at 0xf0100000 by 1",
            "3 8.BAR0 Refused at 0xf0000000 by 1",
            "4 read 4.BAR0+0x0, 4 bytes, 0x44: ok",
            "5 write 4.CONFIG+0x10, 4 bytes, 0xf0200000: ok",
            "6 4.BAR0 Removed at 0xf0000000 by 5",
            "7 8.BAR0 Added at 0xf0000000 by 5",
            "8 4.BAR0 Added at 0xf0200000 by 5",
            "9 read 8.BAR0+0x0, 4 bytes, 0x88: ok",
            "10 read 4.BAR0+0x0, 4 bytes, 0x44: ok",
        ]
    );
}

#[test]
fn a_bar_over_guest_memory_is_refused() {
    let mut machine = Machine::enabled();

    machine.configure(4, 0x10, 0);
    assert_eq!(machine.read(BAR0, 4), 0xffff_ffff);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.CONFIG+0x10, 4 bytes, 0x0: ok",
            "2 4.BAR0 Removed at 0xf0000000 by 1",
            "3 4.BAR0 Refused at 0x0 by 1",
            "4 read nothing+0xf0000000, 4 bytes, 0xffffffff: unclaimed",
        ]
    );
}

#[test]
fn firmware_leaves_addresses_and_decoding_behind() {
    let mut machine = Machine::new();

    let function = PciFunction::new(Box::new(Puppet::with_bells(Backing::Trapped)));
    let at = (Bdf::new(0, 4, 0).unwrap(), function);
    let placement = Placement::new(&[Asking::of(&at)], 36).unwrap();
    machine.dispatcher.run_firmware(&placement, &mut machine.lane).unwrap();
    assert_eq!(machine.read(0xf000_4000, 4), 0);
    assert_eq!(machine.read_port(0xc000, 4), 0);

    assert_eq!(
        machine.records(),
        [
            "1 4.CONFIG+0x10 0x0 -> 0xf0000000",
            "2 4.CONFIG+0x14 0x1 -> 0xc001",
            "3 4.CONFIG+0x18 0x4 -> 0xf0004004",
            "4 4.CONFIG+0x20 0x0 -> 0xf0001000",
            "5 4.CONFIG+0x4 0x0 -> 0x103",
            "6 4.BAR0 Added at 0xf0000000",
            "7 4.BAR1 Added at 0xc000",
            "8 4.BAR2 Added at 0xf0004000",
            "9 4.BAR4 Added at 0xf0001000",
            "10 read 4.BAR2+0x0, 4 bytes, 0x0: ok",
            "11 read 4.BAR1+0x0 by port 0xc000, 4 bytes, 0x0: ok",
        ]
    );
}

#[test]
fn drivers_read_the_interrupt_line_that_firmware_wrote() {
    let mut machine = Machine::with(Clock::Virtual, &[(4, Backing::Trapped), (5, Backing::Trapped)]);

    assert_eq!([machine.read(ecam(4, 0x3c), 1), machine.read(ecam(5, 0x3c), 1)], [16, 17]);
}
