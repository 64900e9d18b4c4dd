//! Records of every kind, sound or not, are explained in any width.

use barscope_trace::definition::{Definition, Walk};
use barscope_trace::event::{
    AccessEvent, Backing, Counted, DmaOutcome, Id, MemoryOperand, RouteChange, Target,
};
use device_model::{InterruptLoss, Region};

use super::super::*;
use super::{drawn, finished};
use crate::maps;
use crate::sample::{MMAP, Sample};

/// Records of every kind, that refer to `function`, `route`, `mapping`, `text` and `walk`.
fn record_all(sample: &mut Sample, [function, route, mapping, text, walk]: [Id; 5], cause: u64) {
    let region = Region::Bar(0);
    let access = AccessEvent { route, walk, size: 8, value: u64::MAX, ..AccessEvent::default() };
    let port = Target::Port { port: 0xcfc, routing_id: u16::MAX, offset: u16::MAX };
    for kind in [
        EventKind::Access(access),
        EventKind::Access(AccessEvent { target: Target::Memory(u64::MAX), coalesced: true, ..access }),
        EventKind::Access(AccessEvent { target: port, write: true, cpl: 3, ..access }),
        EventKind::Change { function, region, offset: u64::MAX, old: 0, new: u64::MAX, cause },
        EventKind::Busy { function, until_ns: u64::MAX, cause },
        EventKind::Msi { function, index: 7, address: u64::MAX, data: 0x31, delivered: false, cause },
        EventKind::InterruptLost { function, index: u16::MAX, why: None, cause },
        EventKind::InterruptLost { function, index: 1, why: Some(InterruptLoss::Asleep), cause },
        EventKind::AddressCut { function, asked: u64::MAX, bits: 0, cause },
        EventKind::InterruptMasked { function, index: 0, cause },
        EventKind::Intx { function, asserted: true, gsi: 16, cause },
        EventKind::Dma {
            function,
            to_memory: true,
            address: u64::MAX,
            length: u64::MAX,
            outcome: DmaOutcome::OutOfBounds,
            cause,
        },
        EventKind::Route { route, change: RouteChange::Added, cause },
        EventKind::Route { route, change: RouteChange::Refused, cause },
        EventKind::Backing { route, backing: Backing::Direct, cause },
        EventKind::PagesWritten { route, offset: u64::MAX, pages: u64::MAX, since: cause },
        EventKind::Doorbell { route, offset: u64::MAX, count: u64::MAX },
        EventKind::Map { mapping },
        EventKind::Count { what: Counted::FaultFatal, value: 1, address: MMAP, error_code: 7, rip: 1 },
        EventKind::Count { what: Counted::KernelEntries, value: 0, address: 0, error_code: 0, rip: 0 },
        EventKind::Unmap { mapping },
        EventKind::Route { route, change: RouteChange::Removed, cause },
        EventKind::Mark { text },
        EventKind::ScenarioBegin { name: text },
        EventKind::IsrEnter { vector: 0x31 },
        EventKind::Access(access),
        EventKind::IsrExit { vector: 0x31 },
        EventKind::IsrExit { vector: 0x32 },
        EventKind::ScenarioEnd { passed: false, summary: text },
        EventKind::ClockJump { to_ns: u64::MAX },
        EventKind::NotEmulated {
            cpl: 3,
            instruction: 0,
            walk,
            route,
            gpa: Some(u64::MAX),
            operand: MemoryOperand { reads: true, writes: true, size: u8::MAX },
        },
        EventKind::NotEmulated {
            cpl: 0,
            instruction: 0,
            walk,
            route,
            gpa: None,
            operand: MemoryOperand::default(),
        },
        EventKind::Warning { text },
    ] {
        sample.event(kind);
    }
}

/// A walk that no processor does.
fn impossible_walk(levels: u8, page_size: u64, entries: Vec<u64>, sample: &Sample) -> Id {
    let sound = sample.ioremap_walk();
    let walk = Walk { levels, page_size, entries, page: u64::MAX, mapping: Some(Id::MAX), ..sound };
    sample.writer.define(&Definition::Walk(walk)).unwrap()
}

#[test]
fn every_record_is_explained_whatever_it_refers_to() {
    let mut sample = Sample::new();
    sample.play();
    let text = sample.text("naïve \u{1b}[2J text");
    let sound = [sample.lab, sample.bar0, sample.user_mapping, text, sample.mmap];
    record_all(&mut sample, sound, 16);
    // Ids of other kinds, none, ones that don't exist; a cause that is not there, or comes later.
    let lab = sample.lab;
    record_all(&mut sample, [text, text, text, lab, lab], 0);
    record_all(&mut sample, [0; 5], u64::MAX);
    record_all(&mut sample, [Id::MAX; 5], 100);
    for (levels, page_size, entries) in
        [(200, 0, vec![u64::MAX; 9]), (0, u64::MAX, vec![]), (5, 1, vec![0]), (1, 3, vec![1; 3])]
    {
        let walk = impossible_walk(levels, page_size, entries, &sample);
        let ids = [lab, sample.bar2, sample.kernel_mapping, text, walk];
        record_all(&mut sample, ids, 16);
    }
    let path = finished(&sample);
    let last = Stream::open(&path).unwrap().last_seq().unwrap();
    for seq in 1..=last {
        let explanation = explain(&path, seq).unwrap();
        assert_eq!(explanation.record.seq, seq);
        for width in [0, 40, 80, 200] {
            assert!(!drawn(&explanation, width).contains('\u{1b}'), "{seq}");
        }
        assert!(serde_json::to_string(&explanation).is_ok(), "{seq}");
        if let (Ok(comparison), 0..=60) = (compare(&path, 7, seq), seq) {
            comparison.print(&mut std::io::sink(), 0, true).unwrap();
        }
    }
    let (maps, completeness) = maps::Maps::read(&path).unwrap();
    maps::print(&mut std::io::sink(), &maps, &completeness, 80, true).unwrap();
    assert!(serde_json::to_string(&maps).is_ok());
}
