//! Interrupts: messages that are delivered, not delivered, or go to memory, and IRQ lines that functions share.

use super::puppet::CAUSES;
use super::*;
use barscope_device::InterruptPin::{A, B, C, D};

/// Where a message interrupts the first processor.
const LOCAL_APIC: u64 = 0xfee0_0000;

#[test]
fn a_message_is_sent_and_recorded_as_delivered() {
    let mut machine = Machine::enabled();
    machine.enable_msi(4, LOCAL_APIC);
    machine.start();

    machine.write(BAR0 + CAUSES, 4, 1);

    assert_eq!(machine.calls(), [Call::SignalMsi { address: LOCAL_APIC, data: 0x31 }]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x8, 4 bytes, 0x1: ok",
            "2 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "3 4 sends 0x31, delivered by 1",
        ]
    );
}

#[test]
fn a_message_that_no_local_apic_takes_is_recorded_as_not_delivered() {
    let mut machine = Machine::enabled();
    machine.enable_msi(4, LOCAL_APIC);
    machine.platform.deliver_nothing();
    machine.start();

    machine.write(BAR0 + CAUSES, 4, 1);

    assert_eq!(machine.calls(), [Call::SignalMsi { address: LOCAL_APIC, data: 0x31 }]);
    assert_eq!(machine.records()[2], "3 4 sends 0x31, not delivered by 1");
}

#[test]
fn a_message_to_memory_is_a_write_there_and_interrupts_nobody() {
    let mut machine = Machine::enabled();
    machine.enable_msi(4, 0x2000);
    machine.start();

    machine.write(BAR0 + CAUSES, 4, 1);
    machine.write(BAR0 + CAUSES, 4, 0);

    assert_eq!(machine.calls(), [Call::Write { address: 0x2000, data: vec![0x31, 0, 0, 0] }]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x8, 4 bytes, 0x1: ok",
            "2 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "3 interrupt lost: memory-write by 1",
            "4 4 bytes to 0x2000: done by 1",
            "5 write 4.BAR0+0x8, 4 bytes, 0x0: ok",
            "6 4.BAR0+0x8 0x1 -> 0x0 by 5",
        ]
    );
}

#[test]
fn a_message_past_memory_is_written_nowhere() {
    let mut machine = Machine::enabled();
    machine.enable_msi(4, 0x1_0000);
    machine.start();

    machine.write(BAR0 + CAUSES, 4, 1);

    assert_eq!(machine.calls(), []);
    assert_eq!(machine.records()[3], "4 4 bytes to 0x10000: out-of-bounds by 1");
}

#[test]
fn an_irq_line_is_asserted_as_long_as_any_pin_on_it_is() {
    let puppets = [(4, Backing::Trapped), (5, Backing::Trapped), (8, Backing::Trapped)];
    let mut machine = Machine::with(Clock::Virtual, &puppets);
    let causes = BAR0 + CAUSES;
    machine.enable(4);
    machine.enable(8);
    machine.start();

    machine.write(causes, 4, 1);
    machine.write(causes + 0x10_0000, 4, 1);
    machine.write(causes, 4, 0);
    machine.write(causes + 0x10_0000, 4, 0);

    let line = |asserted| Call::SetIrqLine { gsi: 16, asserted };
    assert_eq!(machine.calls(), [line(true), line(true), line(true), line(false)]);
    assert_eq!(
        machine.records(),
        [
            "1 write 4.BAR0+0x8, 4 bytes, 0x1: ok",
            "2 4.BAR0+0x8 0x0 -> 0x1 by 1",
            "3 4 asserts 16 by 1",
            "4 write 8.BAR0+0x8, 4 bytes, 0x1: ok",
            "5 8.BAR0+0x8 0x0 -> 0x1 by 4",
            "6 8 asserts 16 by 4",
            "7 write 4.BAR0+0x8, 4 bytes, 0x0: ok",
            "8 4.BAR0+0x8 0x1 -> 0x0 by 7",
            "9 4 deasserts 16 by 7",
            "10 write 8.BAR0+0x8, 4 bytes, 0x0: ok",
            "11 8.BAR0+0x8 0x1 -> 0x0 by 10",
            "12 8 deasserts 16 by 10",
        ]
    );
}

#[test]
fn each_pin_of_a_device_is_wired_to_an_irq_line_of_its_own() {
    let function = |(number, pin)| (Bdf::new(0, 5, number).unwrap(), Puppet::with_pin(pin));
    let functions = (0..).zip([A, B, C, D, D]).map(function).collect();
    let mut machine = Machine::of(Clock::Virtual, functions);
    for function in 0..5 {
        let registers = function << 12;
        machine.configure(5, registers + 0x10, BAR0 + (function << 20));
        machine.configure(5, registers + COMMAND, 6);
    }
    machine.start();

    for function in 0..5 {
        machine.write(BAR0 + (function << 20) + CAUSES, 4, 1);
    }

    let line = |gsi| Call::SetIrqLine { gsi, asserted: true };
    assert_eq!(machine.calls(), [line(17), line(18), line(19), line(16), line(16)]);
}
