//! Registers: how they are read and written.

use super::*;

#[test]
fn wrong_width_is_what_the_device_refuses() {
    let mut sample = Sample::new();
    let access = sample.kernel_write(8, 0);
    for (size, outcome) in [(2, Outcome::Width), (4, Outcome::Alignment), (4, Outcome::Ok), (1, Outcome::Ok)]
    {
        sample.access(AccessEvent { size, outcome, ..access });
    }
    assert_eq!(found(sample), ["wrong-width BAR0.SCRATCH lab::start lab.rs:17 2"]);
}

#[test]
fn write_only_read_is_by_the_register_map() {
    let mut sample = Sample::new();
    let registers = vec![config("DOORBELL", 0, 4, Access::WriteOnly), config("SET", 4, 4, Access::ReadWrite)];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let read =
        AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_read(0, 0xffff_ffff) };
    sample.access(AccessEvent { outcome: Outcome::WriteOnly, ..read });
    sample.access(AccessEvent { write: true, ..read });
    sample.access(AccessEvent { target: Target::Memory(0xfe10_0004), ..read });
    assert_eq!(found(sample), ["write-only-read BAR0.DOORBELL lab::probe lab.rs:13 1"]);
}

#[test]
fn reserved_write_is_a_one_that_the_driver_made_up() {
    let mut sample = Sample::new();
    let registers = vec![config("CONTROL", 0, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS)];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let write = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_write(0, 0x101) };
    sample.access(write);
    assert_eq!(sentences(sample), ["BAR0.CONTROL is written with ones in reserved bits: 0x100."]);
}

#[test]
fn reserved_write_is_a_one_for_which_no_missing_read_can_be_the_reason() {
    let mut sample = Sample::new();
    let registers = vec![config("DOORBELL", 0, 4, Access::WriteOnly).with_fields(CONTROL_FIELDS)];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    sample.lose();
    let write = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_write(0, 0x101) };
    sample.access(write);
    assert_eq!(sentences(sample), ["BAR0.DOORBELL is written with ones in reserved bits: 0x100."]);
}

#[test]
fn reserved_write_is_silent_about_what_was_read_and_about_the_ways_of_everybody() {
    let mut sample = Sample::new();
    let registers = vec![
        config("CONTROL", 0, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS),
        config("CAUSES", 4, 4, Access::WriteOneToClear).with_fields(CONTROL_FIELDS),
        config("KEPT", 8, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS).reset_to(0x10),
        config("DATA", 12, 4, Access::ReadWrite),
    ];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let at = |offset: u64| Target::Memory(0xfe10_0000 + offset);
    let (read, write) = (sample.kernel_read(0, 0), sample.kernel_write(0, 0));
    sample.access(AccessEvent { route, target: at(0), value: 0x100, ..read });
    sample.access(AccessEvent { route, target: at(0), value: 0x101, ..write });
    sample.access(AccessEvent { route, target: at(4), value: 0xffff_ffff, ..write });
    sample.access(AccessEvent { route, target: at(8), value: 0x11, ..write });
    sample.access(AccessEvent { route, target: at(12), value: 0xffff_ffff, ..write });
    // What the register gave before may be in what is missing.
    sample.lose();
    sample.access(AccessEvent { route, target: at(0), value: 0x201, ..write });
    assert_eq!(found(sample), [""; 0]);
}

/// An interrupt, a read of a clear-on-read register outside of handlers, and one in the handler.
fn steal(interrupt_first: bool, taken: u64, left: u64, lose: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let (function, route) =
        neighbour(&sample, vec![config("CAUSES", 0, 4, Access::ReadSideEffect)], (0xfe10_0000, 4096));
    let read = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_read(0, taken) };
    let message =
        EventKind::Msi { function, index: 0, address: 0xfee0_0000, data: 0x31, delivered: true, cause: 0 };
    if interrupt_first {
        sample.event(message);
    }
    sample.access(read);
    if !interrupt_first {
        sample.event(message);
    }
    if lose {
        sample.lose();
    }
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    let instruction = sample.code("lab::isr", 21, false);
    sample.access(AccessEvent { instruction, value: left, ..read });
    sample.event(EventKind::IsrExit { vector: 0x31 });
    sentences(sample)
}

#[test]
fn stolen_clear_on_read_is_what_the_handler_no_longer_finds() {
    assert_eq!(
        steal(true, 1, 0, false),
        ["A read of BAR0.CAUSES takes 0x1 after interrupt 1, and the handler finds nothing at record 4."]
    );
    // Stale causes are cleared, nothing was taken, enough is left, and what nobody knows.
    for (first, taken, left, lose) in
        [(false, 1, 0, false), (true, 0, 0, false), (true, 1, 2, false), (true, 1, 0, true)]
    {
        assert_eq!(steal(first, taken, left, lose), [""; 0]);
    }
}

/// Reads of these halves of a 64-bit counter by one function, then one of SCRATCH.
fn halves(offsets: &[u64], volatile: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let counter = Register { volatile, ..config("COUNTER", 0, 8, Access::ReadOnly) };
    let (_, route) = neighbour(&sample, vec![counter], (0xfe10_0000, 4096));
    let read = sample.kernel_read(8, 1);
    for offset in offsets {
        sample.access(AccessEvent { route, target: Target::Memory(0xfe10_0000 + offset), ..read });
    }
    sample.access(read);
    sentences(sample)
}

#[test]
fn torn_64_is_two_halves_without_a_check() {
    let found = "BAR0.COUNTER is read in halves, the lower one first, by record 1, and not checked after.";
    assert_eq!(halves(&[0, 4], true), [found]);
    assert_eq!(halves(&[4, 0], true), [found.replace("lower", "upper")]);
    // Checked, one half alone, and one that stands still.
    for (offsets, volatile) in [(&[4, 0, 4][..], true), (&[0], true), (&[0, 0], true), (&[0, 4], false)] {
        assert_eq!(halves(offsets, volatile), [""; 0], "{offsets:?}");
    }
}

#[test]
fn torn_64_is_not_said_of_a_function_that_a_handler_interrupts() {
    let mut sample = Sample::new();
    let counter = config("COUNTER", 0, 8, Access::ReadOnly).volatile();
    let (_, route) = neighbour(&sample, vec![counter], (0xfe10_0000, 4096));
    let read = sample.kernel_read(8, 1);
    for offset in [4, 0] {
        sample.access(AccessEvent { route, target: Target::Memory(0xfe10_0000 + offset), ..read });
    }
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    sample.access(read);
    assert_eq!(found(sample), [""; 0]);
}

/// Reads and writes of a register whose ones clear, by one place in code each.
fn acknowledged(pairs: &[(u64, u64)], read_modify_write: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let (read, write) = (sample.kernel_read(0x14, 0), sample.kernel_write(0x14, 0));
    for (value, written) in pairs {
        sample.access(AccessEvent { value: *value, read_modify_write, ..read });
        sample.access(AccessEvent { value: *written, read_modify_write, ..write });
    }
    sentences(sample)
}

#[test]
fn w1c_write_back_is_a_bit_that_is_set_in_what_was_read() {
    assert_eq!(
        acknowledged(&[(4, 5), (2, 3)], false),
        ["BAR0.INT_STATUS gives 0x2 and is written 0x3: 0x2 is cleared along with 0x1."]
    );
    assert_eq!(
        acknowledged(&[(2, 3)], true),
        ["BAR0.INT_STATUS gives 0x2 and is written 0x3: 0x2 is cleared along with 0x1."]
    );
    // Just what was read, a part of it, and the same mask each time.
    for pairs in [&[(2, 2), (3, 3)], &[(3, 1), (7, 1)], &[(1, 3), (2, 3)]] {
        assert_eq!(acknowledged(pairs, false), [""; 0], "{pairs:?}");
    }
}
