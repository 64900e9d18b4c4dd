//! Every kind of event survives the way into a slot and back.

use device_model::{InterruptLoss, Region};

use super::*;
use crate::definition::MemoryType;
use crate::event::{
    AccessEvent, Backing, Counted, DmaOutcome, MemoryOperand, Outcome, RouteChange, Target,
};

fn event(kind: EventKind) -> Event {
    Event { seq: 0x1234_5678_9abc, host_ns: u64::MAX - 1, device_ns: 77, vcpu: Some(255), kind }
}

fn access() -> AccessEvent {
    AccessEvent {
        route: u32::MAX,
        target: Target::Memory(0xfe00_0008),
        write: true,
        size: 8,
        value: u64::MAX,
        cpl: 3,
        read_modify_write: true,
        coalesced: true,
        outcome: Outcome::Straddles,
        walk: 0xaabb_ccdd,
        instruction: u32::MAX - 5,
        instance: 0xdead_beef,
        fragment: 255,
        service_ns: 0xff_ffff,
        stack: 0x8765_4321,
        pat: Some(MemoryType::UncacheableMinus),
        effective: Some(MemoryType::Uncacheable),
    }
}

fn one_of_each() -> Vec<EventKind> {
    vec![
        EventKind::Access(access()),
        EventKind::Access(AccessEvent::default()),
        EventKind::Access(AccessEvent {
            target: Target::Port { port: 0xcfc, routing_id: 0xfff8, offset: 0xffc },
            cpl: 2,
            ..AccessEvent::default()
        }),
        EventKind::Change {
            function: 3,
            region: Region::Bar(5),
            offset: 0x10,
            old: 1,
            new: u64::MAX,
            cause: 57,
        },
        EventKind::Change { function: 3, region: Region::Rom, offset: 0, old: 0, new: 1, cause: 0 },
        EventKind::Change { function: 3, region: Region::Config, offset: 4, old: 0, new: 1, cause: 0 },
        EventKind::Busy { function: 3, until_ns: 20_000, cause: 57 },
        EventKind::Msi {
            function: 3,
            index: 31,
            address: 0xfee0_0000,
            data: 0x31,
            delivered: true,
            cause: 57,
        },
        EventKind::InterruptLost {
            function: 3,
            index: 0xffff,
            why: Some(InterruptLoss::MemoryWrite),
            cause: 57,
        },
        EventKind::InterruptLost { function: 3, index: 0, why: None, cause: 57 },
        EventKind::AddressCut { function: 3, asked: u64::MAX, bits: 63, cause: 57 },
        EventKind::InterruptMasked { function: 3, index: 31, cause: 57 },
        EventKind::Intx { function: 3, asserted: true, gsi: 23, cause: 57 },
        EventKind::Backing { route: 4, backing: Backing::Direct, cause: 57 },
        EventKind::PagesWritten { route: 4, offset: 0x3000, pages: 2, since: 41 },
        EventKind::Doorbell { route: 4, offset: 0x10, count: 9 },
        EventKind::Dma {
            function: 3,
            to_memory: true,
            address: 0x1000,
            length: 512,
            outcome: DmaOutcome::OutOfBounds,
            cause: 9,
        },
        EventKind::Route { route: 4, change: RouteChange::Refused, cause: 12 },
        EventKind::Map { mapping: 5 },
        EventKind::Unmap { mapping: 5 },
        EventKind::Mark { text: 6 },
        EventKind::ScenarioBegin { name: 7 },
        EventKind::ScenarioEnd { passed: true, summary: 8 },
        EventKind::Count {
            what: Counted::FaultFatal,
            value: 1,
            address: 0xffff_c900_0000_1008,
            error_code: 5,
            rip: 0x40_1000,
        },
        EventKind::IsrEnter { vector: 0x31 },
        EventKind::IsrExit { vector: 0xff },
        EventKind::ClockJump { to_ns: 40_000 },
        EventKind::NotEmulated {
            cpl: 3,
            instruction: 9,
            walk: 10,
            route: 11,
            gpa: Some(0),
            operand: MemoryOperand { reads: true, writes: false, size: 32 },
        },
        EventKind::NotEmulated {
            cpl: 0,
            instruction: u32::MAX,
            walk: 0,
            route: 0,
            gpa: None,
            operand: MemoryOperand { reads: false, writes: true, size: 0 },
        },
        EventKind::Warning { text: 11 },
    ]
}

fn there_and_back(event: &Event) -> Option<Event> {
    let record = encode(event);
    decode(&record.words, record.more)
}

#[test]
fn every_kind_comes_back_as_it_went_in() {
    for kind in one_of_each() {
        let event = event(kind);
        assert_eq!(there_and_back(&event), Some(event));
    }
}

#[test]
fn every_outcome_and_every_absent_vcpu_comes_back() {
    let outcomes = [
        Outcome::Ok,
        Outcome::Unclaimed,
        Outcome::Straddles,
        Outcome::Reserved,
        Outcome::Width,
        Outcome::Alignment,
        Outcome::WriteOnly,
        Outcome::ReadOnly,
        Outcome::Busy,
        Outcome::Range,
    ];
    for outcome in outcomes {
        let mut event = event(EventKind::Access(AccessEvent { outcome, ..access() }));
        event.vcpu = None;
        assert_eq!(there_and_back(&event), Some(event));
    }
}

#[test]
fn every_reason_for_a_lost_interrupt_comes_back() {
    let reasons = [
        InterruptLoss::NothingEnabled,
        InterruptLoss::BusMasterOff,
        InterruptLoss::Asleep,
        InterruptLoss::MemoryWrite,
    ];
    for why in reasons {
        let event = event(EventKind::InterruptLost { function: 3, index: 1, why: Some(why), cause: 57 });
        assert_eq!(there_and_back(&event), Some(event));
    }
}

#[test]
fn the_head_of_a_slot_is_never_zero() {
    for kind in one_of_each() {
        assert_ne!(encode(&event(kind)).words[0], 0);
    }
}

#[test]
fn a_long_service_time_saturates() {
    let long = event(EventKind::Access(AccessEvent { service_ns: u32::MAX, ..access() }));
    let Some(Event { kind: EventKind::Access(read), .. }) = there_and_back(&long) else { unreachable!() };
    assert_eq!((read.service_ns, read.fragment, read.instance), (0xff_ffff, 255, 0xdead_beef));
}

#[test]
fn unknown_codes_are_refused() {
    for head in [
        0,
        200,
        1 | 10 << 24,
        2 | 8 << 16,
        6 | 3 << 24,
        7 | 3 << 24,
        13 | 3 << 24,
        5 | 5 << 24,
        24 | 64 << 16,
    ] {
        assert_eq!(decode(&[head, 1, 0, 0, 0, 0, 0, 0], 0), None, "{head:#x}");
    }
}

#[test]
fn every_memory_type_comes_back_and_an_unknown_one_is_refused() {
    let types = [
        MemoryType::Uncacheable,
        MemoryType::UncacheableMinus,
        MemoryType::WriteCombining,
        MemoryType::WriteThrough,
        MemoryType::WriteProtected,
        MemoryType::WriteBack,
    ];
    for known in types.into_iter().map(Some).chain([None]) {
        let event =
            event(EventKind::Access(AccessEvent { pat: known, effective: None, stack: 0, ..access() }));
        assert_eq!(there_and_back(&event), Some(event));
        let event =
            self::event(EventKind::Access(AccessEvent { pat: None, effective: known, stack: 0, ..access() }));
        assert_eq!(there_and_back(&event), Some(event));
    }
    let record = encode(&event(EventKind::Access(access())));
    for byte in [32, 40] {
        assert_eq!(decode(&record.words, 7 << byte), None);
    }
}

#[test]
fn every_kind_has_a_code_and_a_name_of_its_own_and_the_size_that_is_listed() {
    for (at, kind) in KINDS.iter().enumerate() {
        assert!(KINDS[..at].iter().all(|other| other.code != kind.code && other.name != kind.name));
        assert_eq!(slots_of(kind.code.into()), if kind.name == "access" { 2 } else { 1 });
    }
    let codes = one_of_each().into_iter().map(|kind| encode(&event(kind)).words[0] as u8);
    let codes = codes.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
    assert_eq!(KINDS.len(), 24);
}
