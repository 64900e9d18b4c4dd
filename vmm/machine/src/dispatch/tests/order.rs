//! The order of a function's effects, in the trace and at the platform.

use super::puppet::{CAUSES, DMA, FLIP, TIMER, VALUE};
use super::*;

#[test]
fn a_transfer_comes_before_the_register_that_announces_it() {
    let mut machine = Machine::enabled();
    machine.write(BAR0 + VALUE, 8, 0x11);
    machine.start();

    machine.write(BAR0 + DMA, 8, 0x3000);

    assert_eq!(machine.calls(), [Call::Write { address: 0x3000, data: vec![0x11, 0, 0, 0, 0, 0, 0, 0] }]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x10, 8 bytes, 0x3000: ok",
            "2 8 bytes to 0x3000: done by 1",
            "3 4.BAR0+0x0 0x11 -> 0x12 by 1",
        ]
    );
}

#[test]
fn without_bus_mastering_a_transfer_does_not_happen_and_is_recorded_so() {
    let mut machine = Machine::enabled();
    machine.configure(4, COMMAND, 3);
    machine.start();

    machine.write(BAR0 + DMA, 8, 0x3000);

    assert_eq!(machine.calls(), []);
    assert_eq!(machine.records()[1], "2 8 bytes to 0x3000: bus-master-off by 1");
}

#[test]
fn all_effects_of_a_timer_name_the_access_that_set_it() {
    let mut machine = Machine::enabled();

    machine.write(BAR0 + TIMER, 4, 2500);
    machine.read(BAR0 + CAUSES + 4, 4);
    machine.read(BAR0 + VALUE, 4);
    machine.read(BAR0 + VALUE, 4);

    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x18, 4 bytes, 0x9c4: ok",
            "2 busy until 9500 by 1",
            "3 read 4.BAR0+0xc, 4 bytes, 0xffffffff: reserved",
            "4 read 4.BAR0+0x0, 4 bytes, 0x0: ok",
            "5 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "6 4 asserts 16 by 1",
            "7 read 4.BAR0+0x0, 4 bytes, 0x0: ok",
        ]
    );
}

#[test]
fn what_switches_decoding_off_ends_the_memslot_before_the_route_goes() {
    let mut machine = Machine::enabled();
    machine.write(BAR0 + FLIP, 4, 1);
    machine.start();
    machine.platform.guest_writes(BAR2, 0x1000, 7);

    machine.configure(4, COMMAND, 4);

    assert_eq!(machine.calls(), [Call::UnmapMemslot { base: BAR2 }]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.CONFIG+0x4, 4 bytes, 0x4: ok",
            "2 4.BAR2+0x1000 1 pages written since 0",
            "3 4.BAR0 Removed at 0xf0000000 by 1",
            "4 4.BAR1 Removed at 0xc000 by 1",
            "5 4.BAR2 Removed at 0x800000000 by 1",
            "6 4.BAR4 Removed at 0xf0001000 by 1",
        ]
    );
}
