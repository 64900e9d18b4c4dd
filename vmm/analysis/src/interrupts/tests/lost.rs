//! What is certain when records are missing.

use barscope_trace::Definitions;
use barscope_trace::definition::Definition;
use barscope_trace::event::{AccessEvent, Event, EventKind};

use super::{Events, LAB, TICKER};
use crate::view::{View, Viewer};

#[test]
fn nothing_is_uncertain_while_nothing_is_missing() {
    let mut events = Events::default();
    events.pin(LAB, 20, true, 100);
    for view in [events.entered(0, 0x40), events.accessed(0, 0), events.accessed(1, 3)] {
        assert_eq!(view.uncertain, crate::view::Uncertain::default());
    }
}

#[test]
fn a_message_is_certain_again_after_the_next_handler_of_its_vector() {
    let mut events = Events::default();
    events.lose(1);
    events.to(0, 0x31, 100);
    let first = events.entered(0, 0x31);
    assert_eq!((first.cause(), first.uncertain.cause), (Some(100), true));
    assert!(events.accessed(0, 0).uncertain.cause);
    events.exit(0, 0x31);
    events.to(0, 0x31, 200);
    let second = events.entered(0, 0x31);
    assert_eq!((second.cause(), second.uncertain.cause), (Some(200), false));
    assert!(!events.accessed(0, 0).uncertain.cause);
    events.exit(0, 0x31);
    // A handler that nobody caused may be that of a message that is missing, or of a pin.
    assert!(events.entered(0, 0x31).uncertain.cause);
}

#[test]
fn a_program_tells_that_no_handler_runs() {
    let mut events = Events::default();
    events.to(0, 0x31, 100);
    events.enter(0, 0x31);
    events.lose(1);
    assert!(events.accessed(0, 0).uncertain.cause);
    assert!(!events.accessed(0, 3).uncertain.cause);
    assert!(!events.accessed(0, 0).uncertain.cause);
    assert!(events.accessed(1, 0).uncertain.cause);
}

#[test]
fn a_pin_is_not_certain_any_more() {
    let mut events = Events::default();
    events.lose(1);
    for _ in 0..3 {
        events.pin(LAB, 20, true, 100);
        let view = events.entered(0, 0x40);
        assert_eq!((view.cause(), view.uncertain.cause), (Some(100), true));
        events.pin(LAB, 20, false, 0);
        events.exit(0, 0x40);
    }
}

#[test]
fn the_scenario_is_certain_again_when_one_begins_or_ended() {
    let mut events = Events::default();
    let begin = EventKind::ScenarioBegin { name: 1 };
    let end = EventKind::ScenarioEnd { passed: true, summary: 0 };
    let uncertain = |view: View| view.uncertain.scenario;
    assert!(!uncertain(events.accessed(0, 0)));
    events.lose(1);
    assert!(uncertain(events.accessed(0, 0)));
    assert!(uncertain(events.add(Some(0), end)));
    assert!(!uncertain(events.accessed(0, 0)));
    events.lose(1);
    assert!(!uncertain(events.add(Some(0), begin)));
    assert!(!uncertain(events.add(Some(0), end)));
}

/// Numbers from a seed: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn event(&mut self, seq: u64) -> Event {
        let vcpu = self.below(2) as u8;
        let vector = 0x30 + self.below(3) as u8;
        let function = if self.below(2) == 0 { LAB } else { TICKER };
        let cause = seq;
        let on_vcpu = |kind| (Some(vcpu), kind);
        let (vcpu, kind) = match self.below(20) {
            0..5 => {
                let to = [0, 0, 1 << 12, 1 << 12, 0xff << 12, 4][self.below(6) as usize];
                let mode = if self.below(8) == 0 { 0x400 } else { 0 };
                let delivered = self.below(5) > 0;
                let (address, data) = (0xfee0_0000 | to, mode | u32::from(vector));
                (None, EventKind::Msi { function, index: 0, address, data, delivered, cause })
            }
            5..7 => {
                let asserted = self.below(2) == 0;
                (None, EventKind::Intx { function, asserted, gsi: 20 + self.below(2) as u8, cause })
            }
            7..12 => on_vcpu(EventKind::IsrEnter { vector }),
            12..14 => on_vcpu(EventKind::IsrExit { vector }),
            14..18 => {
                let cpl = if self.below(4) == 0 { 3 } else { 0 };
                let coalesced = self.below(8) == 0;
                on_vcpu(EventKind::Access(AccessEvent { cpl, coalesced, ..AccessEvent::default() }))
            }
            18 => on_vcpu(EventKind::ScenarioBegin { name: 1 + self.below(2) as u32 }),
            _ => on_vcpu(EventKind::ScenarioEnd { passed: true, summary: 1 }),
        };
        Event { seq, host_ns: 0, device_ns: 0, vcpu, kind }
    }
}

/// Lists of events that are tried.
const LISTS: u64 = 100_000;

#[test]
fn what_is_certain_is_the_same_whatever_is_missing() {
    let mut definitions = Definitions::default();
    for text in ["one", "two"] {
        definitions.push(Definition::Text { text: text.into() }, Vec::new());
    }
    let (mut certain, mut uncertain) = ([0_u64; 2], [0_u64; 2]);
    for seed in 1..=LISTS {
        let mut random = Random(seed);
        let length = 4 + random.below(40);
        let events: Vec<_> = (1..=length).map(|seq| random.event(seq)).collect();
        // Few gaps, so that there is time to become certain again.
        let one_in = 2 + random.below(12);
        let (mut whole, mut partial) = (Viewer::default(), Viewer::default());
        for event in &events {
            let full = whole.view(&definitions, event);
            // Of several pins, nobody knows which one a handler answers.
            assert!(!full.uncertain.scenario && !full.uncertain.handler, "seed {seed}");
            if random.below(one_in) == 0 {
                continue;
            }
            let view = partial.view(&definitions, event);
            let about = |view: &View| (view.cause(), view.access().map(|access| access.view.cause()));
            if !view.uncertain.cause {
                assert_eq!(about(&view), about(&full), "seed {seed}, {event:?} of {events:#?}");
            }
            if !view.uncertain.handler {
                let inside = |view: &View| view.access().map(|access| access.view.in_handler());
                assert_eq!(inside(&view), inside(&full), "seed {seed}, {event:?} of {events:#?}");
            }
            if !view.uncertain.scenario {
                assert_eq!(view.scenario, full.scenario, "seed {seed}, {event:?} of {events:#?}");
            }
            if matches!(event.kind, EventKind::Access(_) | EventKind::IsrEnter { .. }) {
                let count = if view.uncertain.cause { &mut uncertain } else { &mut certain };
                count[usize::from(view.cause().is_some())] += 1;
            }
        }
    }
    // Neither of them is empty talk.
    assert!(certain.iter().chain(&uncertain).all(|count| *count > LISTS / 4), "{certain:?} {uncertain:?}");
}
