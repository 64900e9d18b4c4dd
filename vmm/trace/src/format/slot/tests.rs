//! Every kind of event survives the way into a slot and back.

use barscope_device::{InterruptLoss, Region};

use super::*;
use crate::definition::MemoryType;
use crate::event::{
    AccessEvent, Backing, Counted, DmaOutcome, MemoryOperand, Outcome, RouteChange, Target, Type,
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
        memory_type: Some(MemoryType::Uncacheable),
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
            region: Region::BAR5,
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
        EventKind::Mark { text: 6, process: 12 },
        EventKind::ScenarioBegin { name: 7 },
        EventKind::ScenarioEnd { passed: true, summary: 8 },
        EventKind::Count {
            what: Counted::FaultFatal,
            value: 1,
            address: 0xffff_c900_0000_1008,
            error_code: 5,
            rip: 0x40_1000,
            process: 0,
            call: None,
        },
        EventKind::Count {
            what: Counted::KernelEntries,
            value: 1,
            address: 0,
            error_code: 0,
            rip: 0,
            process: u32::MAX,
            call: Some(0),
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
            stack: 12,
        },
        EventKind::NotEmulated {
            cpl: 0,
            instruction: u32::MAX,
            walk: 0,
            route: 0,
            gpa: None,
            operand: MemoryOperand { reads: false, writes: true, size: 0 },
            stack: 0,
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
            event(EventKind::Access(AccessEvent { pat: known, memory_type: None, stack: 0, ..access() }));
        assert_eq!(there_and_back(&event), Some(event));
        let event = self::event(EventKind::Access(AccessEvent {
            pat: None,
            memory_type: known,
            stack: 0,
            ..access()
        }));
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
}

#[test]
fn a_record_of_every_kind_comes_back_bit_by_bit() {
    for kind in KINDS {
        let head = u64::from(kind.code);
        for field in kind.fields {
            for bits in field.at {
                let mut words = [head, 1, 0, 0, 0, 0, 0, 0, 0];
                assert_eq!(
                    words[usize::from(bits.word)] >> bits.shift & 1,
                    0,
                    "{} {}",
                    kind.name,
                    field.name
                );
                words[usize::from(bits.word)] |= 1 << bits.shift;
                let [w0, w1, w2, w3, w4, w5, w6, w7, more] = words;
                let event = decode(&[w0, w1, w2, w3, w4, w5, w6, w7], more);
                let record = encode(&event.expect(kind.name));
                // What is there only if a flag says so isn't there.
                let optional = field.at.len() > 1 && field.of == Type::OptionalNumber(64) && bits.word != 0;
                let expected = if optional { 0 } else { more };
                assert!(
                    optional || record.words == [w0, w1, w2, w3, w4, w5, w6, w7],
                    "{} {}",
                    kind.name,
                    field.name
                );
                assert_eq!(record.more, expected, "{} {}", kind.name, field.name);
            }
        }
    }
}

#[test]
fn no_two_fields_of_a_kind_share_a_bit_and_none_lies_where_all_kinds_have_something() {
    for kind in KINDS {
        let mut taken = [0_u64; 9];
        (taken[0], taken[1], taken[2], taken[3]) = (0xff, u64::MAX, u64::MAX, u64::MAX);
        for bits in kind.fields.iter().flat_map(|field| field.at) {
            let mask = (u64::MAX >> (64 - bits.width)) << bits.shift;
            assert_eq!(taken[usize::from(bits.word)] & mask, 0, "{} {bits:?}", kind.name);
            taken[usize::from(bits.word)] |= mask;
        }
    }
}

/// Words 0, 4 to 7 and 8 of the events of [`one_of_each`] as they are in files since version 2.
const WORDS: [[u64; 6]; 31] = [
    [
        0xffff_ffff_0208_3b01,
        0xfe00_0008,
        0xffff_ffff_ffff_ffff,
        0xffff_fffa_aabb_ccdd,
        0xffff_ffff_dead_beef,
        0x102_8765_4321,
    ],
    [0x1, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x1401, 0xffc_fff8_0cfc, 0x0, 0x0, 0x0, 0x0],
    [0x3_0005_0002, 0x10, 0x1, 0xffff_ffff_ffff_ffff, 0x39, 0x0],
    [0x3_0006_0002, 0x0, 0x0, 0x1, 0x0, 0x0],
    [0x3_0007_0002, 0x4, 0x0, 0x1, 0x0, 0x0],
    [0x3_0000_0003, 0x4e20, 0x0, 0x0, 0x39, 0x0],
    [0x3_0000_0104, 0xfee0_0000, 0x31, 0x1f, 0x39, 0x0],
    [0x3_0400_0005, 0x0, 0x0, 0xffff, 0x39, 0x0],
    [0x3_0000_0005, 0x0, 0x0, 0x0, 0x39, 0x0],
    [0x3_003f_0018, 0xffff_ffff_ffff_ffff, 0x0, 0x0, 0x39, 0x0],
    [0x3_0000_0013, 0x0, 0x0, 0x1f, 0x39, 0x0],
    [0x3_0017_0114, 0x0, 0x0, 0x0, 0x39, 0x0],
    [0x4_0100_0015, 0x0, 0x0, 0x0, 0x39, 0x0],
    [0x4_0000_0016, 0x3000, 0x2, 0x29, 0x0, 0x0],
    [0x4_0000_0017, 0x10, 0x9, 0x0, 0x0, 0x0],
    [0x3_0200_0106, 0x1000, 0x200, 0x0, 0x9, 0x0],
    [0x4_0200_0007, 0x0, 0x0, 0x0, 0xc, 0x0],
    [0x5_0000_0008, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x5_0000_0009, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x6_0000_000a, 0xc, 0x0, 0x0, 0x0, 0x0],
    [0x7_0000_000b, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x8_0000_010c, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x200_000d, 0x1, 0xffff_c900_0000_1008, 0x5, 0x40_1000, 0x0],
    [0xffff_ffff_0000_010d, 0x1, 0x0, 0x0, 0x0, 0x0],
    [0x31_000e, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0xff_000f, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0x10, 0x9c40, 0x0, 0x0, 0x0, 0x0],
    [0x9_0020_1e11, 0x0, 0xc_0000_000b, 0xa, 0x0, 0x0],
    [0xffff_ffff_0000_0111, 0x0, 0x0, 0x0, 0x0, 0x0],
    [0xb_0000_0012, 0x0, 0x0, 0x0, 0x0, 0x0],
];

#[test]
fn every_kind_has_its_words_in_the_file() {
    let written = one_of_each().into_iter().map(|kind| {
        let Record { words: [head, seq, host_ns, device_ns, p0, p1, p2, p3], more, .. } =
            encode(&event(kind));
        assert_eq!((seq, host_ns, device_ns), (0x100_1234_5678_9abc, u64::MAX - 1, 77));
        [head, p0, p1, p2, p3, more]
    });
    assert_eq!(written.collect::<Vec<_>>(), WORDS);
}
