//! Events of every kind. Who adds a kind to the table adds one here.

use barscope_device::{InterruptLoss, Region};
use barscope_trace::EventKind;
use barscope_trace::event::{
    AccessEvent, Backing, Counted, DmaOutcome, Id, MemoryOperand, RouteChange, Target,
};

use super::{MMAP, Sample};

impl Sample {
    /// Records events of every kind, that refer to `function`, `route`, `mapping`, `text` and `walk`.
    pub(crate) fn record_each(&mut self, [function, route, mapping, text, walk]: [Id; 5], cause: u64) {
        let region = Region::BAR0;
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
            EventKind::Count {
                what: Counted::FaultFatal,
                value: 1,
                address: MMAP,
                error_code: 7,
                rip: 1,
                process: 0,
                call: None,
            },
            EventKind::Count {
                what: Counted::KernelEntries,
                value: 0,
                address: 0,
                error_code: 0,
                rip: 0,
                process: 0,
                call: None,
            },
            EventKind::Unmap { mapping },
            EventKind::Route { route, change: RouteChange::Removed, cause },
            EventKind::Mark { text, process: 0 },
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
                stack: 0,
            },
            EventKind::NotEmulated {
                cpl: 0,
                instruction: 0,
                walk,
                route,
                gpa: None,
                operand: MemoryOperand::default(),
                stack: 0,
            },
            EventKind::PageWalk { cpl: 3, text, address: 0x7f00_0000_1010, walk, gpa: Some(u64::MAX), route },
            EventKind::PageWalk { cpl: 0, text, address: 0, walk: 0, gpa: None, route: 0 },
            EventKind::Spin {
                function,
                region,
                offset: u64::MAX,
                value: u64::MAX,
                times: 4096,
                due_ns: Some(u32::MAX.into()),
                cause,
            },
            EventKind::Console { text },
            EventKind::Warning { text },
        ] {
            self.event(kind);
        }
    }
}
