//! Regions that the platform serves without an exit, while they move, end, and are collected from.

use super::puppet::FLIP;
use super::*;

/// A machine whose puppet has BAR2 as memory, and its doorbells served this way.
fn flipped(bells: Backing) -> Machine {
    let mut machine = Machine::with(Clock::Virtual, &[(4, bells)]);
    machine.enable(4);
    machine.start();
    machine.write(BAR0 + FLIP, 4, 1);
    machine
}

/// A write that the platform gathered and that arrives now.
fn arrives(machine: &mut Machine, address: u64, value: u64) {
    let origin = Origin { coalesced: true, ..Origin::default() };
    let access = Access {
        address: BusAddress::Memory(address),
        request: Request::write(4, value),
        vcpu: Some(0),
        origin,
    };
    let right = machine.dispatcher.lock_gathered().expect("there is no zone, and was none");
    machine.dispatcher.gathered(&mut machine.lane, &access, address).unwrap();
    drop(right);
}

#[test]
fn a_region_becomes_a_memslot_with_its_content_and_is_trapped_again_with_the_guests() {
    let mut machine = Machine::enabled();
    machine.write(BAR2 + 0x1000, 1, 0x11);
    machine.start();

    machine.write(BAR0 + FLIP, 4, 1);
    machine.platform.guest_writes(BAR2, 0x1001, 0x22);
    machine.platform.guest_writes(BAR2, 0x2000, 0x33);
    machine.write(BAR0 + FLIP, 4, 0);
    assert_eq!(machine.read(BAR2 + 0x1000, 2), 0x2211);

    assert_eq!(
        machine.calls(),
        [Call::MapMemslot { base: BAR2, size: 0x4000 }, Call::UnmapMemslot { base: BAR2 }]
    );
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x20, 4 bytes, 0x1: ok",
            "2 4.BAR2 is Direct by 1",
            "3 write 4.BAR0+0x20, 4 bytes, 0x0: ok",
            "4 4.BAR2+0x1000 2 pages written since 2",
            "5 4.BAR2 is Trapped by 3",
            "6 read 4.BAR2+0x1000, 2 bytes, 0x2211: ok",
        ]
    );
}

#[test]
fn a_memslot_moves_with_its_bar_and_keeps_what_was_written_at_each_place() {
    let mut machine = flipped(Backing::Trapped);
    machine.calls();
    machine.platform.guest_writes(BAR2, 0x3fff, 7);
    machine.configure(4, 0x18, 0x4000);
    machine.platform.guest_writes(BAR2 + 0x4000, 0, 8);
    machine.dispatcher.collect_dirty_pages(&mut machine.lane).unwrap();
    machine.dispatcher.collect_dirty_pages(&mut machine.lane).unwrap();

    assert_eq!(
        machine.calls(),
        [Call::UnmapMemslot { base: BAR2 }, Call::MapMemslot { base: BAR2 + 0x4000, size: 0x4000 }]
    );
    assert_eq!(
        machine.records()[2..],
        [
            "3 write 4.CONFIG+0x18, 4 bytes, 0x4000: ok",
            "4 4.BAR2+0x3000 1 pages written since 2",
            "5 4.BAR2 Removed at 0x800000000 by 3",
            "6 4.BAR2 Added at 0x800004000 by 3",
            "7 4.BAR2 is Direct by 3",
            "8 4.BAR2+0x0 1 pages written since 7",
        ]
    );
}

#[test]
fn a_bar_that_is_refused_has_no_memslot() {
    let mut machine = flipped(Backing::Trapped);
    machine.calls();

    // Over guest memory, then over its own configuration space.
    machine.configure(4, 0x1c, 0);
    machine.configure(4, 0x18, 0xe002_0000);

    assert_eq!(machine.calls(), [Call::UnmapMemslot { base: BAR2 }]);
}

#[test]
fn where_the_platform_supports_nothing_regions_stay_trapped() {
    for bells in [Backing::Doorbell, Backing::Coalesced] {
        let mut machine = Machine::with(Clock::Virtual, &[(4, bells)]);
        machine.enable(4);
        machine.platform.support_nothing();
        machine.start();

        machine.write(BAR0 + FLIP, 4, 1);
        machine.write(BAR2, 4, 5);

        assert_eq!(machine.calls(), []);
        assert!(machine.dispatcher.lock_gathered().is_none());
        assert_eq!(
            machine.records(),
            ["1 write 4.BAR0+0x20, 4 bytes, 0x1: ok", "2 write 4.BAR2+0x0, 4 bytes, 0x5: ok"]
        );
    }
}

#[test]
fn doorbells_that_rang_are_told_to_their_function_once() {
    let mut machine = flipped(Backing::Doorbell);
    for address in [BAR4, BAR4 + 0x20, BAR4 + 0x20] {
        machine.platform.guest_rings(address);
    }
    machine.dispatcher.collect_doorbells(&mut machine.lane).unwrap();
    machine.dispatcher.collect_doorbells(&mut machine.lane).unwrap();

    assert_eq!(
        machine.calls()[1..],
        [
            Call::RegisterIoeventfd { address: BusAddress::Memory(BAR4) },
            Call::RegisterIoeventfd { address: BusAddress::Memory(BAR4 + 0x20) }
        ]
    );
    assert_eq!(
        machine.records()[3..],
        [
            "4 4.BAR4+0x0 rang 1 times",
            "5 4.BAR0+0x0 0x0 -> 0x1 by 4",
            "6 4.BAR4+0x20 rang 2 times",
            "7 4.BAR0+0x0 0x1 -> 0x2002 by 6",
        ]
    );
}

#[test]
fn doorbells_that_rang_before_they_moved_are_not_forgotten() {
    let mut machine = flipped(Backing::Doorbell);
    machine.calls();
    machine.platform.guest_rings(BAR4);
    machine.configure(4, 0x20, BAR4 + 0x1000);
    machine.platform.guest_rings(BAR4 + 0x1020);
    machine.dispatcher.collect_doorbells(&mut machine.lane).unwrap();

    assert_eq!(
        machine.calls(),
        [
            Call::UnregisterIoeventfd { address: BusAddress::Memory(BAR4) },
            Call::UnregisterIoeventfd { address: BusAddress::Memory(BAR4 + 0x20) },
            Call::RegisterIoeventfd { address: BusAddress::Memory(BAR4 + 0x1000) },
            Call::RegisterIoeventfd { address: BusAddress::Memory(BAR4 + 0x1020) },
        ]
    );
    assert_eq!(
        machine.records()[3..],
        [
            "4 write 4.CONFIG+0x20, 4 bytes, 0xf0002000: ok",
            "5 4.BAR4 Removed at 0xf0001000 by 4",
            "6 4.BAR4 Added at 0xf0002000 by 4",
            "7 4.BAR4 is Doorbell by 4",
            "8 4.BAR4+0x0 rang 1 times",
            "9 4.BAR0+0x0 0x0 -> 0x1 by 8",
            "10 4.BAR4+0x20 rang 1 times",
            "11 4.BAR0+0x0 0x1 -> 0x2001 by 10",
        ]
    );
}

#[test]
fn gathered_writes_arrive_where_they_led_when_they_were_made() {
    let mut machine = flipped(Backing::Coalesced);
    machine.calls();
    arrives(&mut machine, BAR4, 0x31);
    // The zone ends while the platform holds a write to it.
    machine.configure(4, 0x20, BAR4 + 0x1000);
    arrives(&mut machine, BAR4 + 0x20, 0x32);
    machine.dispatcher.all_gathered();
    arrives(&mut machine, BAR4 + 0x20, 0x33);

    assert_eq!(
        machine.calls(),
        [
            Call::UnregisterCoalescedZone { base: BAR4, size: 0x1000 },
            Call::RegisterCoalescedZone { base: BAR4 + 0x1000, size: 0x1000 },
        ]
    );
    assert_eq!(
        machine.records()[3..],
        [
            "4 write 4.BAR4+0x0, 4 bytes, 0x31: ok",
            "5 4.BAR0+0x0 0x0 -> 0x31 by 4",
            "6 write 4.CONFIG+0x20, 4 bytes, 0xf0002000: ok",
            "7 4.BAR4 Removed at 0xf0001000 by 6",
            "8 4.BAR4 Added at 0xf0002000 by 6",
            "9 4.BAR4 is Coalesced by 6",
            "10 write 4.BAR4+0x20, 4 bytes, 0x32: ok",
            "11 4.BAR0+0x0 0x31 -> 0x32 by 10",
            "12 write nothing+0xf0001020, 4 bytes, 0x33: unclaimed",
        ]
    );
}

#[test]
fn nothing_is_collected_from_where_everything_is_trapped() {
    let mut machine = flipped(Backing::Doorbell);
    machine.write(BAR0 + FLIP, 4, 0);
    assert!(machine.dispatcher.lock_gathered().is_none());
    let before = machine.writer.last_reserved();

    machine.dispatcher.collect_doorbells(&mut machine.lane).unwrap();
    machine.dispatcher.collect_dirty_pages(&mut machine.lane).unwrap();

    assert_eq!(machine.writer.last_reserved(), before);
}
