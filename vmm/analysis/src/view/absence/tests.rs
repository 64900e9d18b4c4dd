//! What is told of addresses that lead nowhere.

use barscope_device::{Access, Region, Register, Space};
use barscope_trace::definition::{Definition, Route};
use barscope_trace::event::{AccessEvent, EventKind, Id, Outcome, RouteChange, Target};

use crate::sample::{BAR0, BAR2, Sample};
use crate::words;

/// The words on the last access.
fn last(sample: Sample) -> String {
    let trace = sample.finished();
    let access = trace.views().all().iter().rev().find_map(crate::view::View::access).unwrap();
    words::refusal(access).unwrap()
}

fn removed(sample: &mut Sample, route: Id, cause: u64) {
    sample.event(EventKind::Route { route, change: RouteChange::Removed, cause });
}

/// A machine whose BARs are decoded.
fn decoded() -> Sample {
    let mut sample = Sample::new();
    sample.configuration(0x10, BAR0);
    let command = sample.configuration(0x04, 2);
    sample.add_routes(command);
    sample
}

#[test]
fn a_bar_that_went_is_named_with_the_record_that_ended_it_and_why() {
    let mut sample = decoded();
    let command = sample.configuration(0x04, 0);
    let bar0 = sample.bar0;
    removed(&mut sample, bar0, command);
    sample.unclaimed_read();
    assert_eq!(
        last(sample),
        format!(
            "nothing decodes this address: reads all-ones; \
             BAR0 of 00:04.0 lab was there until record {command}: Memory Space went off"
        )
    );
}

#[test]
fn a_bar_that_moved_is_named_with_where_it_is_now() {
    let mut sample = decoded();
    let moved = sample.configuration(0x10, 0xfd00_0000);
    let bar0 = sample.bar0;
    removed(&mut sample, bar0, moved);
    let function = Some(sample.lab);
    let route = Route { function, region: Region::BAR0, space: Space::Memory, base: 0xfd00_0000, size: 4096 };
    let route = sample.writer.define(&Definition::Route(route)).unwrap();
    sample.event(EventKind::Route { route, change: RouteChange::Added, cause: moved });
    sample.unclaimed_read();
    let expected = format!("was there until record {moved}: it moved to 0xfd000000");
    let told = last(sample);
    assert!(told.ends_with(&expected), "{told}");
}

#[test]
fn a_bar_with_an_address_that_was_never_decoded_says_what_it_lacks() {
    let mut sample = Sample::new();
    sample.configuration(0x10, BAR0);
    sample.unclaimed_read();
    let told = last(sample);
    assert!(told.ends_with("; BAR0 of 00:04.0 lab has this address, but Memory Space is off"), "{told}");
}

#[test]
fn before_any_bar_has_an_address_the_first_one_says_so() {
    let mut sample = Sample::new();
    sample.unclaimed_read();
    let told = last(sample);
    assert!(told.ends_with("; BAR0 of 00:04.0 lab has no address yet"), "{told}");
}

#[test]
fn an_address_that_no_bar_ever_had_is_nothings() {
    let mut sample = decoded();
    let read = sample.kernel_read(8, 0xffff_ffff);
    let outcome = Outcome::Unclaimed;
    sample.access(AccessEvent { route: 0, target: Target::Memory(BAR2 - 8), outcome, ..read });
    assert_eq!(last(sample), "nothing decodes this address: reads all-ones");
}

#[test]
fn sleep_and_resets_are_told_by_the_registers_that_the_function_has() {
    for (offset, value, expected) in [
        (0x44, 3, "it went to D3hot"),
        (0x48, 0x8000, "the function was reset"),
        (0x44, 0, "the trace doesn't tell why"),
    ] {
        let mut sample = decoded_with_capabilities();
        let write = sample.configuration(offset, value);
        let bar0 = sample.bar0;
        removed(&mut sample, bar0, write);
        sample.unclaimed_read();
        let told = last(sample);
        assert!(told.ends_with(&format!("was there until record {write}: {expected}")), "{told}");
    }
}

/// The same machine, whose function is defined with registers for power management and PCI Express.
fn decoded_with_capabilities() -> Sample {
    let mut sample = Sample::with_configuration_registers(vec![
        Register::new32("PM_CONTROL", 0x44, Access::ReadWrite, ""),
        Register::new32("PCIE_DEVICE_CONTROL", 0x48, Access::ReadWrite, ""),
    ]);
    sample.configuration(0x10, BAR0);
    let command = sample.configuration(0x04, 2);
    sample.add_routes(command);
    sample
}

#[test]
fn what_may_have_happened_unseen_is_not_told() {
    let mut sample = decoded();
    let command = sample.configuration(0x04, 0);
    let bar0 = sample.bar0;
    removed(&mut sample, bar0, command);
    sample.lose();
    sample.unclaimed_read();
    assert_eq!(last(sample), "nothing decodes this address: reads all-ones");
}
