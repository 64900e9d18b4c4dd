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

/// A function with one entry of an MSI-X table, which begins here in its BAR.
struct Table {
    sample: Sample,
    config: Id,
    bar: Id,
    start: u64,
}

impl Table {
    fn new(start: u64) -> Self {
        let sample = machine();
        let word = |name, within| config(name, start + within, 4, Access::ReadWrite);
        let table = vec![
            word("MSIX0_ADDRESS_LOW", 0),
            word("MSIX0_ADDRESS_HIGH", 4),
            word("MSIX0_DATA", 8),
            word("MSIX0_CONTROL", 12),
        ];
        let header = vec![config("MSIX_CONTROL", 0x62, 2, Access::ReadWrite)];
        let map = |region, registers: Vec<Register>| RegisterMap { region, registers: registers.into() };
        let define = |definition: Definition| sample.writer.define(&definition).unwrap();
        let function = Some(define(Definition::Function(Function {
            bdf: Bdf::new(0, 6, 0).unwrap(),
            name: "msix".into(),
            vendor: 1,
            device: 2,
            bars: vec![],
            msi_vectors: 0,
            msix_vectors: 1,
            register_maps: vec![map(Region::BAR0, table), map(Region::Config, header)],
            untrapped: vec![],
        })));
        let route = |region, base| {
            define(Definition::Route(Route { function, region, space: Space::Memory, base, size: 4096 }))
        };
        let (config, bar) = (route(Region::Config, ECAM + 0x3_0000), route(Region::BAR0, 0xfe20_0000));
        Self { sample, config, bar, start }
    }

    /// MSI-X is switched on, for an entry that nothing masks.
    fn unmasked(start: u64) -> Self {
        let mut table = Self::new(start);
        table.control(0x8000);
        table.write(12, 4, 0);
        table
    }

    fn control(&mut self, value: u64) {
        let (route, target) = (self.config, Target::Memory(ECAM + 0x3_0062));
        let write = self.sample.kernel_write(0, value);
        self.sample.access(AccessEvent { route, target, size: 2, ..write });
    }

    fn write(&mut self, within: u64, size: u8, value: u64) {
        let (route, target) = (self.bar, Target::Memory(0xfe20_0000 + self.start + within));
        let write = self.sample.kernel_write(0, value);
        self.sample.access(AccessEvent { route, target, size, ..write });
    }
}

/// An entry of an MSI-X table is masked or not, MSI-X on or off, then its data changes.
fn msix(control: u64, vector: u64, lose: bool) -> Vec<String> {
    let mut table = Table::new(0);
    table.write(8, 4, 0x31);
    table.write(12, 4, vector);
    table.control(control);
    if lose {
        table.sample.lose();
    }
    table.write(8, 4, 0x31);
    table.write(8, 4, 0x32);
    sentences(table.sample)
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

#[test]
fn msix_live_edit_is_silent_about_words_that_were_written_in_part() {
    // The vector may be masked.
    let mut table = Table::unmasked(0);
    table.write(8, 4, 0x31);
    table.write(12, 1, 1);
    table.write(8, 4, 0x32);
    assert_eq!(found(table.sample), [""; 0]);

    // It may be that already.
    let mut table = Table::unmasked(0);
    table.write(8, 4, 0x31);
    table.write(8, 2, 0x32);
    table.write(8, 4, 0x32);
    assert_eq!(found(table.sample), [""; 0]);
}

#[test]
fn msix_live_edit_is_a_write_of_64_bits_as_well() {
    let mut table = Table::unmasked(0);
    table.write(0, 8, 0xfee0_0000);
    table.write(0, 8, 0x1_fee0_0000);
    assert_eq!(
        sentences(table.sample),
        ["BAR0.MSIX0_ADDRESS_HIGH changes from 0x0 to 0x1 while the vector is unmasked."]
    );
}

#[test]
fn msix_live_edit_finds_the_control_of_an_entry_wherever_the_table_begins() {
    let mut table = Table::unmasked(8);
    table.write(8, 4, 0x31);
    table.write(8, 4, 0x32);
    assert_eq!(found(table.sample), ["msix-live-edit BAR0.MSIX0_DATA lab::start lab.rs:17 1"]);
    let mut table = Table::new(8);
    table.control(0x8000);
    table.write(12, 4, 1);
    table.write(8, 4, 0x31);
    table.write(8, 4, 0x32);
    assert_eq!(found(table.sample), [""; 0]);
}
