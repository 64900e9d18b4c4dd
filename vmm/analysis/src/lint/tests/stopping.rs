//! Stopping and starting again: resets, power, mappings that go.

use super::*;

/// The kernel's mapping of BAR0, made or undone.
fn map(sample: &mut Sample, made: bool) -> u64 {
    let mapping = sample.kernel_mapping;
    sample.event(if made { EventKind::Map { mapping } } else { EventKind::Unmap { mapping } })
}

/// A machine whose driver has mapped BAR0.
fn mapped() -> Sample {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    map(&mut sample, true);
    sample
}

/// A write to SCRATCH that leaves `new` of `old` there.
fn write(sample: &mut Sample, old: u64, new: u64) {
    let write = sample.kernel_write(8, new);
    let cause = sample.access(write);
    let (function, region) = (sample.lab, Region::BAR0);
    sample.event(EventKind::Change { function, region, offset: 8, old, new, cause });
}

#[test]
fn unflushed_is_a_write_that_clears_right_before_the_mapping_goes() {
    let mut sample = mapped();
    write(&mut sample, 3, 1);
    map(&mut sample, false);
    assert_eq!(
        sentences(sample),
        ["A write clears bits of BAR0.SCRATCH, nothing waits for it, and record 7 undoes the mapping."]
    );
}

#[test]
fn unflushed_is_silent_about_writes_that_are_waited_for_and_those_that_clear_nothing() {
    type Then = fn(&mut Sample);
    let then: [(&str, Then); 4] = [
        ("a read of the device", |sample| {
            let read = sample.kernel_read(0, 1);
            sample.access(read);
        }),
        ("configuration space", |sample| {
            read_config(sample, 4, 2, 6);
        }),
        ("another mapping", |sample| {
            map(sample, true);
        }),
        ("missing records", |sample| {
            sample.lose();
        }),
    ];
    for (what, then) in then {
        let mut sample = mapped();
        write(&mut sample, 3, 1);
        then(&mut sample);
        map(&mut sample, false);
        assert_eq!(found(sample), [""; 0], "{what}");
    }
    // It sets bits, changes none, or it was before records went missing that the mapping was made.
    let mut sample = mapped();
    write(&mut sample, 1, 2);
    map(&mut sample, false);
    assert_eq!(found(sample), [""; 0]);
    let mut sample = mapped();
    let same = sample.kernel_write(8, 0);
    sample.access(same);
    map(&mut sample, false);
    assert_eq!(found(sample), [""; 0]);
    let mut sample = mapped();
    sample.lose();
    write(&mut sample, 3, 1);
    map(&mut sample, false);
    assert_eq!(found(sample), [""; 0]);
}

/// A reset by Device Control, then what is told. Each record is 10 ms after the one before.
fn reset(then: impl FnOnce(&mut Sample)) -> Vec<String> {
    reset_by((0x74, 2, 0x8000), then)
}

/// A reset by this write to configuration space: offset, size and value.
fn reset_by((offset, size, value): (u64, u8, u64), then: impl FnOnce(&mut Sample)) -> Vec<String> {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let reset = write_config(&mut sample, offset, size, value);
    remove_routes(&mut sample, reset);
    then(&mut sample);
    sentences(sample)
}

#[test]
fn too_soon_is_an_access_before_a_reset_has_had_its_time() {
    assert_eq!(
        reset(|sample| {
            write_config(sample, 4, 2, 6);
        }),
        ["CONFIG.COMMAND is written 30.0 ms after its reset (record 4), which takes 100 ms."]
    );
    assert_eq!(
        reset(|sample| {
            sample.unclaimed_read();
        }),
        ["BAR0.SCRATCH is read 30.0 ms after its reset (record 4), which takes 100 ms."]
    );
}

#[test]
fn too_soon_is_said_once_of_each_reset_whatever_starts_it() {
    let restore = |sample: &mut Sample| {
        write_config(sample, 4, 2, 6);
        write_config(sample, 0x10, 4, 0xfe00_0000);
    };
    let expected = ["CONFIG.COMMAND is written 30.0 ms after its reset (record 4), which takes 100 ms."];
    // Device Control with Device Status, its upper byte, and AF Control.
    for reset in [(0x74, 4, 0x8000), (0x75, 1, 0x80), (0x84, 1, 1), (0x84, 4, 1)] {
        assert_eq!(reset_by(reset, restore), expected, "{reset:?}");
    }
    // Other bits of both.
    for reset in [(0x74, 2, 0x7fff), (0x74, 1, 0x80), (0x84, 1, 0xfe)] {
        assert_eq!(reset_by(reset, restore), [""; 0], "{reset:?}");
    }
}

#[test]
fn too_soon_is_not_said_of_those_who_wait_by_either_clock_or_only_ask() {
    // By the host's clock.
    assert_eq!(
        reset(|sample| {
            for _ in 0..7 {
                sample.mark("wait");
            }
            write_config(sample, 4, 2, 6);
        }),
        [""; 0]
    );
    // By the device's.
    assert_eq!(
        reset(|sample| {
            sample.wait(100_000_000);
            write_config(sample, 4, 2, 6);
        }),
        [""; 0]
    );
    // They ask whether it is there.
    assert_eq!(
        reset(|sample| {
            read_config(sample, 0, 4, 0xffff_ffff);
            read_config(sample, 4, 4, 0xffff_ffff);
            read_config(sample, 0x44, 2, 0);
        }),
        [""; 0]
    );
    // The reset may have been long ago.
    assert_eq!(
        reset(|sample| {
            sample.lose();
            write_config(sample, 4, 2, 6);
        }),
        [""; 0]
    );
}

/// From one power state to another, and right after that a write to Command. A host whose clock stands still isn't one.
fn power(from: Option<u64>, to: u64) -> Vec<String> {
    let mut sample = machine().fast();
    if let Some(from) = from {
        read_config(&mut sample, 0x44, 2, from);
    }
    write_config(&mut sample, 0x44, 2, to);
    write_config(&mut sample, 4, 2, 6);
    sentences(sample)
}

#[test]
fn too_soon_is_an_access_before_a_change_of_power_has_had_its_time() {
    let left = "CONFIG.COMMAND is written 0.1 ms after it left D3hot (record 2), which takes 10 ms.";
    let went = "CONFIG.COMMAND is written 0.1 ms after it went to D3hot (record 2), which takes 10 ms.";
    assert_eq!(power(Some(3), 0), [left]);
    assert_eq!(power(Some(0), 3), [went]);
    // Nothing changes, or nobody knows whether it does.
    for (from, to) in [(Some(0), 0), (Some(3), 3), (None, 0), (None, 3)] {
        assert_eq!(power(from, to), [""; 0], "{from:?} to {to}");
    }
}

fn dma(sample: &mut Sample, cause: u64) {
    let (function, outcome) = (sample.lab, DmaOutcome::Done);
    sample.event(EventKind::Dma { function, to_memory: true, address: 0x1000, length: 4, outcome, cause });
}

/// The driver starts a transfer.
fn start(sample: &mut Sample) -> u64 {
    let start = sample.kernel_write(0x24, 1);
    sample.access(start)
}

#[test]
fn dma_after_stop_is_a_transfer_that_outlives_its_drivers_mapping() {
    let mut sample = mapped();
    let cause = start(&mut sample);
    let read = sample.kernel_read(0, 1);
    sample.access(read);
    map(&mut sample, false);
    dma(&mut sample, cause);
    let report = lint_of(sample);
    let finding = &report.findings[0];
    assert_eq!(
        (finding.register.as_str(), finding.code.as_deref()),
        ("BAR0.OPCODE", Some("lab::start lab.rs:17"))
    );
    assert_eq!(
        finding.sentence,
        "Record 5 starts a transfer, record 7 undoes the last mapping of the function, and record 8 is the transfer."
    );
    assert_eq!(report.total(), "1 finding: 1 likely");
}

#[test]
fn dma_after_stop_is_silent_while_anybody_may_have_a_mapping() {
    // The transfer ends first.
    let mut sample = mapped();
    let cause = start(&mut sample);
    dma(&mut sample, cause);
    map(&mut sample, false);
    assert_eq!(found(sample), [""; 0]);

    // There is another mapping, or one is made.
    let mut sample = mapped();
    map(&mut sample, true);
    let cause = start(&mut sample);
    map(&mut sample, false);
    dma(&mut sample, cause);
    assert_eq!(found(sample), [""; 0]);
    let mut sample = mapped();
    let cause = start(&mut sample);
    map(&mut sample, false);
    map(&mut sample, true);
    dma(&mut sample, cause);
    assert_eq!(found(sample), [""; 0]);

    // Somebody starts it later, by a way that the guest doesn't tell of.
    let mut sample = mapped();
    map(&mut sample, false);
    let cause = start(&mut sample);
    dma(&mut sample, cause);
    assert_eq!(found(sample), [""; 0]);

    // A mapping may have been made in what is missing.
    let mut sample = mapped();
    sample.lose();
    let cause = start(&mut sample);
    map(&mut sample, false);
    dma(&mut sample, cause);
    assert_eq!(found(sample), [""; 0]);
    let mut sample = mapped();
    let cause = start(&mut sample);
    map(&mut sample, false);
    sample.lose();
    dma(&mut sample, cause);
    assert_eq!(found(sample), [""; 0]);
}
