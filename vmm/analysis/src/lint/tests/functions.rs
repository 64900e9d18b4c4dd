//! Functions: configuration space, power and messages.

use super::*;

#[test]
fn decode_off_is_an_access_to_a_bar_that_was_switched_off() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    sample.unclaimed_read();
    assert_eq!(sentences(sample), ["BAR0.SCRATCH is read while Memory Space is off, as record 4 tells."]);
}

#[test]
fn decode_off_is_not_said_of_a_bar_that_moved_or_after_a_gap() {
    // It is on again, elsewhere.
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    write_config(&mut sample, 0x10, 4, 0xfd00_0000);
    sample.unclaimed_read();
    write_config(&mut sample, 4, 2, 6);
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);

    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    sample.lose();
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn asleep_is_an_access_in_d3hot_and_decode_off_is_silent_there() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let sleep = write_config(&mut sample, 0x44, 2, 3);
    remove_routes(&mut sample, sleep);
    sample.unclaimed_read();
    // Configuration space answers.
    read_config(&mut sample, 4, 2, 6);
    assert_eq!(sentences(sample), ["BAR0.SCRATCH is read in D3hot, as record 4 tells."]);
}

#[test]
fn asleep_is_not_said_once_the_function_was_woken() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let sleep = write_config(&mut sample, 0x44, 2, 3);
    remove_routes(&mut sample, sleep);
    write_config(&mut sample, 0x44, 2, 0);
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);
}

fn refused_dma(sample: &mut Sample, cause: u64) {
    let (function, outcome) = (sample.lab, DmaOutcome::BusMasterOff);
    sample.event(EventKind::Dma { function, to_memory: true, address: 0, length: 4, outcome, cause });
}

#[test]
fn no_bus_master_is_said_of_the_access_that_starts() {
    let mut sample = machine();
    write_config(&mut sample, 4, 2, 2);
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    refused_dma(&mut sample, start);
    let (function, why) = (sample.lab, Some(InterruptLoss::BusMasterOff));
    sample.event(EventKind::InterruptLost { function, index: 0, why, cause: start });
    assert_eq!(found(sample), ["no-bus-master BAR0.OPCODE lab::start lab.rs:17 2"]);
}

#[test]
fn no_bus_master_is_not_said_where_it_was_cleared_later_or_nobody_knows() {
    // A shutdown stops what runs.
    let mut sample = machine();
    write_config(&mut sample, 4, 2, 6);
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    write_config(&mut sample, 4, 2, 2);
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);

    // It may have been cleared in what is missing.
    let mut sample = machine();
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    sample.lose();
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);

    // A reset clears it.
    let mut sample = machine();
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    write_config(&mut sample, 0x74, 2, 0x8000);
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn no_bus_master_is_said_of_the_first_access_after_a_gap() {
    let mut sample = machine();
    sample.lose();
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), ["no-bus-master BAR0.OPCODE lab::start lab.rs:17 1"]);
}

#[test]
fn config_w1c_merge_is_a_status_bit_that_is_written_back() {
    let mut sample = machine();
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 4, 0x2010_0006);
    assert_eq!(
        sentences(sample),
        [
            "A write that is for COMMAND writes MASTER_ABORT of STATUS back, which record 1 read, and so clears it."
        ]
    );
}

#[test]
fn config_w1c_merge_is_silent_about_what_clears_nothing_or_is_meant_to() {
    let mut sample = machine();
    // No error is pending; what is read-only may be written back.
    read_config(&mut sample, 4, 4, 0x0010_0002);
    write_config(&mut sample, 4, 4, 0x0010_0006);
    // Zeros to the status.
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 4, 0x0000_0006);
    // The command alone.
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 2, 0x0006);
    // The status is what it is for.
    read_config(&mut sample, 4, 4, 0x2010_0006);
    write_config(&mut sample, 4, 4, 0x2010_0006);
    // What was read last is missing.
    read_config(&mut sample, 4, 4, 0x2010_0006);
    sample.lose();
    write_config(&mut sample, 4, 4, 0x2010_0002);
    assert_eq!(found(sample), [""; 0]);
}

/// An entry of an MSI-X table is masked or not, MSI-X on or off, then its data changes.
fn msix(control: u64, vector: u64, lose: bool) -> Vec<String> {
    let mut sample = machine();
    let word = |name, offset| config(name, offset, 4, Access::ReadWrite);
    let registers = vec![
        word("MSIX0_ADDRESS_LOW", 0),
        word("MSIX0_ADDRESS_HIGH", 4),
        word("MSIX0_DATA", 8),
        word("MSIX0_CONTROL", 12),
    ];
    let lab = sample.lab;
    let maps = vec![
        RegisterMap { region: Region::BAR0, registers: registers.into() },
        RegisterMap {
            region: Region::Config,
            registers: vec![config("MSIX_CONTROL", 0x62, 2, Access::ReadWrite)].into(),
        },
    ];
    let (function, route) = neighbour(&sample, vec![], (0xfe10_0000, 4096));
    let _ = (lab, function, route);
    let function = Function {
        bdf: Bdf::new(0, 6, 0).unwrap(),
        name: "msix".into(),
        vendor: 1,
        device: 2,
        bars: vec![],
        msi_vectors: 0,
        msix_vectors: 1,
        register_maps: maps,
        untrapped: vec![],
    };
    let define = |definition: Definition| sample.writer.define(&definition).unwrap();
    let function = Some(define(Definition::Function(function)));
    let route = |region, base| {
        define(Definition::Route(Route { function, region, space: Space::Memory, base, size: 4096 }))
    };
    let (config, table) = (route(Region::Config, ECAM + 0x3_0000), route(Region::BAR0, 0xfe20_0000));
    let write = sample.kernel_write(0, 0);
    let at = |offset: u64, value| AccessEvent {
        route: table,
        target: Target::Memory(0xfe20_0000 + offset),
        value,
        ..write
    };
    sample.access(at(8, 0x31));
    sample.access(at(12, vector));
    let control = AccessEvent {
        route: config,
        target: Target::Memory(ECAM + 0x3_0062),
        size: 2,
        value: control,
        ..write
    };
    sample.access(control);
    if lose {
        sample.lose();
    }
    sample.access(at(8, 0x31));
    sample.access(at(8, 0x32));
    sentences(sample)
}

#[test]
fn msix_live_edit_is_a_change_while_nothing_is_masked() {
    assert_eq!(
        msix(0x8000, 0, false),
        ["BAR0.MSIX0_DATA changes from 0x31 to 0x32 while the vector is unmasked."]
    );
    // Off, the function masked, the vector masked, and what nobody knows.
    for (control, vector, lose) in [(0, 0, false), (0xc000, 0, false), (0x8000, 1, false), (0x8000, 0, true)]
    {
        assert_eq!(msix(control, vector, lose), [""; 0]);
    }
}
