//! Causes of handlers, and that those that are called certain don't depend on what is missing.

mod inferred;
mod lost;

use barscope_trace::Definitions;
use barscope_trace::event::{AccessEvent, Event, EventKind, Id};

use crate::view::{View, Viewer};

const LAB: Id = 1;
const TICKER: Id = 2;

/// Events one after the other, with their views.
#[derive(Default)]
struct Events {
    seq: u64,
    viewer: Viewer,
}

impl Events {
    fn add(&mut self, vcpu: Option<u8>, kind: EventKind) -> View {
        self.seq += 1;
        let event = Event { seq: self.seq, host_ns: 0, device_ns: 0, vcpu, kind };
        self.viewer.view(&Definitions::default(), &event)
    }

    fn message(&mut self, address: u64, data: u32, delivered: bool, cause: u64) {
        self.add(None, EventKind::Msi { function: LAB, index: 0, address, data, delivered, cause });
    }

    /// A message to a vCPU.
    fn to(&mut self, vcpu: u8, vector: u8, cause: u64) {
        self.message(0xfee0_0000 | u64::from(vcpu) << 12, vector.into(), true, cause);
    }

    fn pin(&mut self, function: Id, gsi: u8, asserted: bool, cause: u64) {
        self.add(None, EventKind::Intx { function, asserted, gsi, cause });
    }

    fn enter(&mut self, vcpu: u8, vector: u8) -> Option<u64> {
        self.entered(vcpu, vector).cause()
    }

    fn entered(&mut self, vcpu: u8, vector: u8) -> View {
        self.add(Some(vcpu), EventKind::IsrEnter { vector })
    }

    fn exit(&mut self, vcpu: u8, vector: u8) {
        self.add(Some(vcpu), EventKind::IsrExit { vector });
    }

    fn accessed(&mut self, vcpu: u8, cpl: u8) -> View {
        self.add(Some(vcpu), EventKind::Access(AccessEvent { cpl, ..AccessEvent::default() }))
    }

    fn access(&mut self, vcpu: u8, cpl: u8) -> Option<u64> {
        self.accessed(vcpu, cpl).cause()
    }

    fn lose(&mut self, records: u64) {
        self.seq += records;
    }
}

#[test]
fn a_handler_answers_the_message_to_its_own_vcpu() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.to(1, 0x31, 200);
    assert_eq!(events.enter(1, 0x31), Some(200));
    assert_eq!(events.access(1, 0), Some(200));
    assert_eq!(events.access(0, 0), None);
    assert_eq!(events.enter(0, 0x31), Some(100));
}

#[test]
fn a_message_that_was_not_delivered_has_no_handler() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.message(0xfee0_0000, 0x31, false, 200);
    assert_eq!(events.enter(0, 0x31), Some(100));
    events.exit(0, 0x31);
    assert_eq!(events.enter(0, 0x31), None);
}

#[test]
fn a_message_of_another_delivery_mode_has_no_vector() {
    let mut events = Events::default();
    for mode in [2, 4, 5, 7] {
        events.message(0xfee0_0000, mode << 8 | 0x31, true, 100);
    }
    assert_eq!(events.enter(0, 0x31), None);
}

#[test]
fn messages_coalesce_while_one_is_pending() {
    let mut events = Events::default();
    for cause in [100, 200, 300] {
        events.to(0, 0x31, cause);
    }
    assert_eq!(events.enter(0, 0x31), Some(100));
    events.exit(0, 0x31);
    events.to(0, 0x31, 400);
    assert_eq!(events.enter(0, 0x31), Some(400));
    events.exit(0, 0x31);
    assert_eq!(events.enter(0, 0x31), None);
}

#[test]
fn a_message_that_came_when_the_handler_had_begun_has_a_handler_of_its_own() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.to(0, 0x31, 200);
    assert_eq!(events.enter(0, 0x31), Some(100));
    events.exit(0, 0x31);
    assert_eq!(events.enter(0, 0x31), Some(200));
}

#[test]
fn a_broadcast_has_a_handler_on_each_vcpu() {
    let mut events = Events::default();
    events.message(0xfeef_f000, 0x31, true, 100);
    for vcpu in [3, 0, 254] {
        assert_eq!(events.enter(vcpu, 0x31), Some(100));
        events.exit(vcpu, 0x31);
        assert_eq!(events.enter(vcpu, 0x31), None);
    }
}

#[test]
fn a_message_to_one_of_several_is_that_of_the_first_handler() {
    for (address, data) in [(0xfee0_3004, 0x31), (0xfeef_f000, 0x131)] {
        let mut events = Events::default();
        events.message(address, data, true, 100);
        assert_eq!(events.enter(1, 0x31), Some(100));
        assert_eq!(events.enter(0, 0x31), None);
    }
}

#[test]
fn a_vector_without_a_message_is_that_of_the_only_pin() {
    let mut events = Events::default();
    assert_eq!(events.enter(0, 0x40), None);
    events.exit(0, 0x40);
    events.pin(LAB, 20, true, 100);
    assert_eq!(events.enter(0, 0x40), Some(100));
    events.pin(LAB, 20, false, 101);
    events.exit(0, 0x40);
    assert_eq!(events.enter(0, 0x40), None);
}

#[test]
fn of_two_pins_the_one_whose_vector_was_seen_is_meant() {
    let mut events = Events::default();
    events.pin(LAB, 20, true, 100);
    assert_eq!(events.enter(0, 0x40), Some(100));
    events.exit(0, 0x40);
    events.pin(TICKER, 21, true, 200);
    assert_eq!(events.enter(0, 0x40), Some(100));
    events.exit(0, 0x40);
    // Either may lead there, as far as is known.
    assert_eq!(events.enter(0, 0x41), None);
    events.exit(0, 0x41);
    events.pin(LAB, 20, false, 101);
    assert_eq!(events.enter(0, 0x41), Some(200));
}

#[test]
fn functions_that_share_a_line_are_answered_one_after_the_other() {
    let mut events = Events::default();
    events.pin(LAB, 20, true, 100);
    events.pin(TICKER, 20, true, 200);
    assert_eq!(events.enter(0, 0x40), Some(100));
    events.exit(0, 0x40);
    assert_eq!(events.enter(0, 0x40), Some(200));
    events.pin(TICKER, 20, false, 201);
    events.exit(0, 0x40);
    assert_eq!(events.enter(0, 0x40), Some(100));
}

#[test]
fn handlers_nest_and_end_with_those_within() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.to(0, 0x32, 200);
    events.enter(0, 0x31);
    events.enter(0, 0x32);
    assert_eq!(events.access(0, 0), Some(200));
    events.exit(0, 0x32);
    assert_eq!(events.access(0, 0), Some(100));
    events.enter(0, 0x33);
    events.exit(0, 0x31);
    assert_eq!(events.access(0, 0), None);
}

#[test]
fn a_program_is_in_no_handler() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.enter(0, 0x31);
    assert_eq!(events.access(0, 3), None);
    assert_eq!(events.access(0, 0), None);
}
