//! Timers: due on a virtual clock, late on a host clock, and what the platform is told of them.

use super::puppet::{TIMER, VALUE};
use super::*;

/// A machine with a host clock that stands at 1000, a puppet at 00:04.0 enabled.
fn on_a_host_clock() -> Machine {
    let mut machine = Machine::with(Clock::Host, &[(4, Backing::Trapped)]);
    machine.enable(4);
    machine.platform.set_now(1000);
    machine.start();
    machine
}

#[test]
fn a_virtual_clock_moves_with_accesses_and_fires_timers_when_they_are_due() {
    let mut machine = Machine::enabled();

    // Six accesses came before.
    machine.write(BAR0 + TIMER, 4, 1500);
    assert_eq!(machine.dispatcher.now(), 7000);
    machine.read(BAR0, 4);
    machine.read(BAR0, 4);

    // Nobody outside has to wake anybody.
    assert_eq!(machine.calls(), [Call::SetIrqLine { gsi: 16, asserted: true }]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x18, 4 bytes, 0x5dc: ok",
            "2 busy until 8500 by 1",
            "3 read 4.BAR0+0x0, 4 bytes, 0x0: ok",
            "4 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "5 4 asserts 16 by 1",
            "6 read 4.BAR0+0x0, 4 bytes, 0x0: ok",
        ]
    );
}

#[test]
fn an_idle_guest_lets_a_virtual_clock_jump_to_the_next_timer() {
    let mut machine = Machine::enabled();
    machine.write(BAR0 + TIMER, 4, 1_000_000);
    machine.start();

    machine.dispatcher.idle(&mut machine.lane, 0).unwrap();
    machine.dispatcher.idle(&mut machine.lane, 0).unwrap();

    assert_eq!(machine.dispatcher.now(), 1_007_000);
    assert_eq!(machine.records(), ["1 clock jumps to 1007000", "2 4.BAR0+0x8 0x0 -> 0x1", "3 4 asserts 16"]);
}

#[test]
fn a_host_clock_has_the_platform_wake_somebody_and_tells_how_late_that_was() {
    let mut machine = on_a_host_clock();

    machine.write(BAR0 + TIMER, 4, 500);
    assert_eq!(machine.calls(), [Call::SetDeadline(Some(1500))]);
    machine.platform.set_now(1499);
    machine.dispatcher.run_timers(&mut machine.lane, 1499).unwrap();
    assert_eq!(machine.calls(), []);
    machine.platform.set_now(1777);
    machine.dispatcher.run_timers(&mut machine.lane, 1777).unwrap();

    assert_eq!(machine.calls(), [Call::SetIrqLine { gsi: 16, asserted: true }, Call::SetDeadline(None)]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x18, 4 bytes, 0x1f4: ok",
            "2 busy until 1500 by 1",
            "3 4.BAR0+0x0 0x0 -> 0x115 by 1",
            "4 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "5 4 asserts 16 by 1",
        ]
    );
}

#[test]
fn an_access_comes_after_the_timers_that_were_due_before_it() {
    let mut machine = on_a_host_clock();
    machine.write(BAR0 + TIMER, 4, 500);
    machine.platform.set_now(1600);

    assert_eq!(machine.read(BAR0 + VALUE, 4), 100);

    assert_eq!(
        machine.records()[2..],
        [
            "3 4.BAR0+0x0 0x0 -> 0x64 by 1",
            "4 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "5 4 asserts 16 by 1",
            "6 read 4.BAR0+0x0, 4 bytes, 0x64: ok",
        ]
    );
}

#[test]
fn the_platform_hears_of_the_earliest_deadline_only() {
    let mut machine = Machine::with(Clock::Host, &[(4, Backing::Trapped), (8, Backing::Trapped)]);
    machine.enable(4);
    machine.enable(8);
    machine.start();

    machine.write(BAR0 + TIMER, 4, 700);
    machine.write(BAR0 + 0x10_0000 + TIMER, 4, 900);
    machine.write(BAR0 + 0x10_0000 + TIMER, 4, 300);

    assert_eq!(machine.calls(), [Call::SetDeadline(Some(700)), Call::SetDeadline(Some(300))]);
}
