//! What covers a register, a field and a value, and what doesn't.

use barscope_trace::event::{AccessEvent, EventKind};

use super::*;
use crate::Trace;
use crate::sample::Sample;

fn coverage(trace: &Trace) -> Coverage {
    let mut coverage = Coverage::new(trace.definitions());
    for view in trace.views().all() {
        coverage.add(view);
    }
    coverage
}

fn missing(coverage: &Coverage) -> Vec<String> {
    coverage.missing().iter().map(ToString::to_string).collect()
}

fn share(covered: u64, of: u64) -> Share {
    Share { covered, of }
}

#[test]
fn nothing_happened_and_everything_is_missing() {
    let coverage = coverage(&Sample::new().finished());
    // ID, SCRATCH, STATUS with 3 fields, INT_STATUS with 2, OPCODE with 1 that has a value, RESULT.
    let Counts { registers, fields, values } = coverage.counts();
    assert_eq!((registers, fields, values), (share(0, 6), share(0, 6), share(0, 1)));
    assert_eq!(registers.percent(), Some(0.0));
    let expected = ["ID", "SCRATCH", "STATUS", "INT_STATUS", "OPCODE", "RESULT"];
    assert_eq!(missing(&coverage), expected.map(|name| format!("00:04.0 lab BAR0.{name}")));
}

#[test]
fn device_memory_and_configuration_space_are_in_no_count() {
    let mut sample = Sample::new();
    sample.configuration(4, 6);
    let memory = AccessEvent { route: sample.bar2, ..sample.kernel_write(0, 7) };
    sample.access(memory);
    let coverage = coverage(&sample.finished());
    assert_eq!(coverage.counts().registers, share(0, 6));
    assert_eq!(coverage.functions()[0].regions.len(), 1);
}

#[test]
fn a_field_needs_a_one_and_a_value_itself() {
    let mut sample = Sample::new();
    for access in [
        sample.kernel_read(0x10, 0),
        sample.kernel_read(0x14, 2),
        sample.kernel_write(0x24, 2),
        sample.user_write(8, 0),
    ] {
        sample.access(access);
    }
    let coverage = coverage(&sample.finished());
    let Counts { registers, fields, values } = coverage.counts();
    assert_eq!((registers, fields, values), (share(4, 6), share(2, 6), share(0, 1)));
    let expected = [
        "00:04.0 lab BAR0.ID",
        "00:04.0 lab BAR0.STATUS BUSY",
        "00:04.0 lab BAR0.STATUS DONE",
        "00:04.0 lab BAR0.STATUS ERROR",
        "00:04.0 lab BAR0.INT_STATUS DONE",
        "00:04.0 lab BAR0.OPCODE=FACTORIAL",
        "00:04.0 lab BAR0.RESULT",
    ];
    assert_eq!(missing(&coverage), expected);
}

#[test]
fn an_access_that_was_refused_covers_nothing() {
    let mut sample = Sample::new();
    for outcome in [Outcome::Width, Outcome::Busy, Outcome::ReadOnly, Outcome::Straddles] {
        let refused = AccessEvent { outcome, ..sample.kernel_write(0x24, 1) };
        sample.access(refused);
    }
    assert_eq!(coverage(&sample.finished()).counts().registers, share(0, 6));
}

#[test]
fn a_doorbell_that_kvm_took_covers_its_register_only() {
    let mut sample = Sample::new();
    let route = sample.bar0;
    sample.event(EventKind::Doorbell { route, offset: 0x24, count: 3 });
    let counts = coverage(&sample.finished()).counts();
    assert_eq!((counts.registers, counts.fields), (share(1, 6), share(0, 6)));
}

#[test]
fn half_an_access_carries_half_the_fields() {
    let fields = vec![Field::bit("LOW", 3, ""), Field::bit("HIGH", 40, ""), Field::new("ACROSS", 30, 4, "")];
    let values = vec![(0, "NONE".into()), (8, "EIGHT".into())];
    let wide = Field { values: values.into(), ..Field::new("WIDE", 48, 4, "") };
    let fields = [fields, vec![wide]].concat();
    let register = Register {
        fields: fields.into(),
        ..Register::new64("R", 0x10, barscope_device::Access::ReadWrite, "")
    };
    let mut covered = RegisterCoverage::new(&register);
    covered.carry(0x10, 4, 8);
    let names = |register: &RegisterCoverage| -> Vec<String> {
        register.fields.iter().filter(|field| field.covered).map(|field| field.name.clone()).collect()
    };
    assert_eq!(names(&covered), ["LOW"]);
    // The lower half holds nothing of WIDE: not even that it is zero.
    assert_eq!(covered.counts().values, share(0, 2));
    covered.carry(0x14, 4, 1 << 8 | 8 << 16);
    assert_eq!(names(&covered), ["LOW", "HIGH", "WIDE"]);
    assert_eq!(covered.counts().values, share(1, 2));
    covered.carry(0x10, 8, 1 << 33);
    assert_eq!(names(&covered), ["LOW", "HIGH", "ACROSS", "WIDE"]);
    assert_eq!(covered.counts().values, share(2, 2));
}

#[test]
fn two_traces_cover_what_either_does() {
    let mut first = Sample::new();
    let read = first.kernel_read(0x10, 1);
    first.access(read);
    let mut second = Sample::new();
    for access in [second.kernel_read(0x10, 2), second.kernel_write(0x24, 1)] {
        second.access(access);
    }
    let mut both = coverage(&first.finished());
    both.merge(&coverage(&second.finished()));
    assert_eq!(both.functions().len(), 1);
    let Counts { registers, fields, values } = both.counts();
    assert_eq!((registers, fields, values), (share(2, 6), share(3, 6), share(1, 1)));
}

#[test]
fn functions_with_other_registers_stay_apart() {
    let mut both = coverage(&Sample::new().finished());
    let mut other = (*both.functions[0].definition).clone();
    other.register_maps.pop();
    other.name = "other".into();
    both.merge(&Coverage { functions: vec![FunctionCoverage::new(&Arc::new(other))] });
    assert_eq!(both.functions().len(), 2);
    assert_eq!(both.counts().registers, share(0, 12));
}

#[test]
fn there_is_no_percentage_of_nothing() {
    assert_eq!(Coverage::default().counts().registers.percent(), None);
}
