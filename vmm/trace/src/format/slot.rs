//! An event as eight words.
//!
//! | word | bits | content |
//! |---|---|---|
//! | 0 | 7:0 | kind, never 0 |
//! | | 15:8 | flags |
//! | | 23:16 | `a`: a size, a vector or a region |
//! | | 31:24 | `b`: an outcome, or what was counted |
//! | | 63:32 | the id of a definition |
//! | 1 | 47:0 | sequence number |
//! | | 63:48 | vCPU plus one, 0 for none |
//! | 2 | | host time in ns |
//! | 3 | | device time in ns |
//! | 4-7 | | per kind; word 7 is the cause of what a device did |

use device_model::Region;

use super::{SLOT_WORDS, vcpu_code, vcpu_from_code};
use crate::event::{
    AccessEvent, Backing, Counted, DmaOutcome, Event, EventKind, Outcome, RouteChange, Target,
};

/// The words of a slot.
pub(crate) type Words = [u64; SLOT_WORDS];

const SEQ_BITS: u32 = 48;

mod kind {
    pub(super) const ACCESS: u8 = 1;
    pub(super) const CHANGE: u8 = 2;
    pub(super) const BUSY: u8 = 3;
    pub(super) const MSI: u8 = 4;
    pub(super) const INTERRUPT_LOST: u8 = 5;
    pub(super) const DMA: u8 = 6;
    pub(super) const ROUTE: u8 = 7;
    pub(super) const MAP: u8 = 8;
    pub(super) const UNMAP: u8 = 9;
    pub(super) const MARK: u8 = 10;
    pub(super) const SCENARIO_BEGIN: u8 = 11;
    pub(super) const SCENARIO_END: u8 = 12;
    pub(super) const COUNT: u8 = 13;
    pub(super) const ISR_ENTER: u8 = 14;
    pub(super) const ISR_EXIT: u8 = 15;
    pub(super) const CLOCK_JUMP: u8 = 16;
    pub(super) const NOT_EMULATED: u8 = 17;
    pub(super) const WARNING: u8 = 18;
    pub(super) const INTERRUPT_MASKED: u8 = 19;
    pub(super) const INTX: u8 = 20;
    pub(super) const BACKING: u8 = 21;
    pub(super) const PAGES_WRITTEN: u8 = 22;
    pub(super) const DOORBELL: u8 = 23;
}

/// Flags of an access; other kinds have at most one, bit 0, where not said otherwise.
mod flag {
    pub(super) const WRITE: u8 = 1 << 0;
    pub(super) const READ_MODIFY_WRITE: u8 = 1 << 1;
    pub(super) const PORT: u8 = 1 << 2;
    /// Bits 4:3 hold the privilege level.
    pub(super) const CPL_SHIFT: u32 = 3;
    pub(super) const COALESCED: u8 = 1 << 5;
}

/// Flags of an instruction that wasn't emulated; its privilege level is where an access has it.
mod not_emulated {
    use crate::event::MemoryOperand;

    const WRITES: u8 = 1 << 0;
    const READS: u8 = 1 << 1;
    /// Its operand's address is known.
    pub(super) const GPA: u8 = 1 << 2;

    pub(super) fn flags(cpl: u8, gpa: Option<u64>, operand: MemoryOperand) -> u8 {
        let when = |condition, flag| if condition { flag } else { 0 };
        (cpl & 3) << super::flag::CPL_SHIFT
            | when(operand.writes, WRITES)
            | when(operand.reads, READS)
            | when(gpa.is_some(), GPA)
    }

    pub(super) fn operand(flags: u8, size: u8) -> MemoryOperand {
        MemoryOperand { reads: flags & READS != 0, writes: flags & WRITES != 0, size }
    }
}

/// Word 0 and words 4 to 7.
#[derive(Default)]
struct Body {
    kind: u8,
    flags: u8,
    a: u8,
    b: u8,
    id: u32,
    payload: [u64; 4],
}

/// The words that stand for `event`.
pub(crate) fn encode(event: &Event) -> Words {
    let body = body(&event.kind);
    let [p0, p1, p2, p3] = body.payload;
    [
        u64::from(u32::from_le_bytes([body.kind, body.flags, body.a, body.b])) | u64::from(body.id) << 32,
        event.seq & ((1 << SEQ_BITS) - 1) | vcpu_code(event.vcpu) << SEQ_BITS,
        event.host_ns,
        event.device_ns,
        p0,
        p1,
        p2,
        p3,
    ]
}

/// The event that `words` stand for; `None` if no writer of this version wrote them.
pub(crate) fn decode(words: &Words) -> Option<Event> {
    let [head, order, host_ns, device_ns, payload @ ..] = *words;
    let [kind, flags, a, b, ..] = head.to_le_bytes();
    let body = Body { kind, flags, a, b, id: high(head), payload };
    Some(Event {
        seq: order & ((1 << SEQ_BITS) - 1),
        host_ns,
        device_ns,
        vcpu: vcpu_from_code(order >> SEQ_BITS),
        kind: event_kind(&body)?,
    })
}

fn body(event: &EventKind) -> Body {
    let empty = Body::default();
    match *event {
        EventKind::Access(ref access) => access_body(access),
        EventKind::Change { function, region, offset, old, new, cause } => Body {
            kind: kind::CHANGE,
            a: region_code(region),
            id: function,
            payload: [offset, old, new, cause],
            ..empty
        },
        EventKind::Busy { function, until, cause } => {
            Body { kind: kind::BUSY, id: function, payload: [until, 0, 0, cause], ..empty }
        }
        EventKind::Msi { function, index, address, data, delivered, cause } => Body {
            kind: kind::MSI,
            flags: u8::from(delivered),
            id: function,
            payload: [address, u64::from(data), u64::from(index), cause],
            ..empty
        },
        EventKind::InterruptLost { function, index, cause } => Body {
            kind: kind::INTERRUPT_LOST,
            id: function,
            payload: [0, 0, u64::from(index), cause],
            ..empty
        },
        EventKind::Dma { function, to_memory, address, length, outcome, cause } => Body {
            kind: kind::DMA,
            flags: u8::from(to_memory),
            b: dma_code(outcome),
            id: function,
            payload: [address, length, 0, cause],
            ..empty
        },
        EventKind::Route { route, change, cause } => {
            Body { kind: kind::ROUTE, b: route_code(change), id: route, payload: [0, 0, 0, cause], ..empty }
        }
        EventKind::InterruptMasked { function, index, cause } => Body {
            kind: kind::INTERRUPT_MASKED,
            id: function,
            payload: [0, 0, u64::from(index), cause],
            ..empty
        },
        EventKind::Intx { function, asserted, gsi, cause } => Body {
            kind: kind::INTX,
            flags: u8::from(asserted),
            a: gsi,
            id: function,
            payload: [0, 0, 0, cause],
            ..empty
        },
        EventKind::Backing { route, backing, cause } => Body {
            kind: kind::BACKING,
            b: backing_code(backing),
            id: route,
            payload: [0, 0, 0, cause],
            ..empty
        },
        EventKind::PagesWritten { route, offset, pages, since } => {
            Body { kind: kind::PAGES_WRITTEN, id: route, payload: [offset, pages, since, 0], ..empty }
        }
        EventKind::Doorbell { route, offset, count } => {
            Body { kind: kind::DOORBELL, id: route, payload: [offset, count, 0, 0], ..empty }
        }
        EventKind::Map { mapping } => Body { kind: kind::MAP, id: mapping, ..empty },
        EventKind::Unmap { mapping } => Body { kind: kind::UNMAP, id: mapping, ..empty },
        EventKind::Mark { text } => Body { kind: kind::MARK, id: text, ..empty },
        EventKind::ScenarioBegin { name } => Body { kind: kind::SCENARIO_BEGIN, id: name, ..empty },
        EventKind::ScenarioEnd { passed, summary } => {
            Body { kind: kind::SCENARIO_END, flags: u8::from(passed), id: summary, ..empty }
        }
        EventKind::Count { what, value, address, error_code, rip } => Body {
            kind: kind::COUNT,
            b: counted_code(what),
            payload: [value, address, u64::from(error_code), rip],
            ..empty
        },
        EventKind::IsrEnter { vector } => Body { kind: kind::ISR_ENTER, a: vector, ..empty },
        EventKind::IsrExit { vector } => Body { kind: kind::ISR_EXIT, a: vector, ..empty },
        EventKind::ClockJump { to } => Body { kind: kind::CLOCK_JUMP, payload: [to, 0, 0, 0], ..empty },
        EventKind::NotEmulated { cpl, instruction, walk, route, gpa, operand } => Body {
            kind: kind::NOT_EMULATED,
            flags: not_emulated::flags(cpl, gpa, operand),
            a: operand.size,
            id: instruction,
            payload: [gpa.unwrap_or(0), u64::from(route), u64::from(walk), 0],
            ..empty
        },
        EventKind::Warning { text } => Body { kind: kind::WARNING, id: text, ..empty },
    }
}

fn access_body(access: &AccessEvent) -> Body {
    let mut flags = (access.cpl & 3) << flag::CPL_SHIFT;
    if access.write {
        flags |= flag::WRITE;
    }
    if access.read_modify_write {
        flags |= flag::READ_MODIFY_WRITE;
    }
    if access.coalesced {
        flags |= flag::COALESCED;
    }
    let target = match access.target {
        Target::Memory(address) => address,
        Target::Port { port, routing_id, offset } => {
            flags |= flag::PORT;
            u64::from(port) | u64::from(routing_id) << 16 | u64::from(offset) << 32
        }
    };
    Body {
        kind: kind::ACCESS,
        flags,
        a: access.size,
        b: outcome_code(access.outcome),
        id: access.route,
        payload: [
            target,
            access.value,
            u64::from(access.walk) | u64::from(access.instruction) << 32,
            u64::from(access.instance)
                | u64::from(access.fragment) << 32
                | u64::from(access.service_ns.min(MAX_SERVICE_NS)) << 40,
        ],
    }
}

/// Service time has 24 bits.
const MAX_SERVICE_NS: u32 = (1 << 24) - 1;

fn event_kind(body: &Body) -> Option<EventKind> {
    let [p0, p1, p2, cause] = body.payload;
    let (id, flagged) = (body.id, body.flags & 1 != 0);
    Some(match body.kind {
        kind::ACCESS => EventKind::Access(access(body)?),
        kind::CHANGE => EventKind::Change {
            function: id,
            region: region_from_code(body.a)?,
            offset: p0,
            old: p1,
            new: p2,
            cause,
        },
        kind::BUSY => EventKind::Busy { function: id, until: p0, cause },
        kind::MSI => EventKind::Msi {
            function: id,
            index: p2 as u16,
            address: p0,
            data: p1 as u32,
            delivered: flagged,
            cause,
        },
        kind::INTERRUPT_LOST => EventKind::InterruptLost { function: id, index: p2 as u16, cause },
        kind::DMA => EventKind::Dma {
            function: id,
            to_memory: flagged,
            address: p0,
            length: p1,
            outcome: dma_from_code(body.b)?,
            cause,
        },
        kind::ROUTE => EventKind::Route { route: id, change: route_from_code(body.b)?, cause },
        kind::MAP => EventKind::Map { mapping: id },
        kind::UNMAP => EventKind::Unmap { mapping: id },
        kind::MARK => EventKind::Mark { text: id },
        kind::SCENARIO_BEGIN => EventKind::ScenarioBegin { name: id },
        kind::SCENARIO_END => EventKind::ScenarioEnd { passed: flagged, summary: id },
        kind::COUNT => EventKind::Count {
            what: counted_from_code(body.b)?,
            value: p0,
            address: p1,
            error_code: p2 as u32,
            rip: cause,
        },
        kind::ISR_ENTER => EventKind::IsrEnter { vector: body.a },
        kind::ISR_EXIT => EventKind::IsrExit { vector: body.a },
        kind::CLOCK_JUMP => EventKind::ClockJump { to: p0 },
        kind::NOT_EMULATED => EventKind::NotEmulated {
            cpl: body.flags >> flag::CPL_SHIFT & 3,
            instruction: id,
            walk: p2 as u32,
            route: p1 as u32,
            gpa: (body.flags & not_emulated::GPA != 0).then_some(p0),
            operand: not_emulated::operand(body.flags, body.a),
        },
        kind::WARNING => EventKind::Warning { text: id },
        kind::INTERRUPT_MASKED => EventKind::InterruptMasked { function: id, index: p2 as u16, cause },
        kind::INTX => EventKind::Intx { function: id, asserted: flagged, gsi: body.a, cause },
        kind::BACKING => EventKind::Backing { route: id, backing: backing_from_code(body.b)?, cause },
        kind::PAGES_WRITTEN => EventKind::PagesWritten { route: id, offset: p0, pages: p1, since: p2 },
        kind::DOORBELL => EventKind::Doorbell { route: id, offset: p0, count: p1 },
        _ => return None,
    })
}

fn access(body: &Body) -> Option<AccessEvent> {
    let [target, value, ids, rest] = body.payload;
    Some(AccessEvent {
        route: body.id,
        target: if body.flags & flag::PORT != 0 {
            Target::Port {
                port: target as u16,
                routing_id: (target >> 16) as u16,
                offset: high(target) as u16,
            }
        } else {
            Target::Memory(target)
        },
        write: body.flags & flag::WRITE != 0,
        size: body.a,
        value,
        cpl: body.flags >> flag::CPL_SHIFT & 3,
        read_modify_write: body.flags & flag::READ_MODIFY_WRITE != 0,
        coalesced: body.flags & flag::COALESCED != 0,
        outcome: outcome_from_code(body.b)?,
        walk: ids as u32,
        instruction: high(ids),
        instance: rest as u32,
        fragment: high(rest) as u8,
        service_ns: high(rest) >> 8,
    })
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// Regions as one byte: 0 to 5 for BARs, and two beyond them.
const ROM: u8 = 6;
const CONFIG: u8 = 7;

fn region_code(region: Region) -> u8 {
    match region {
        Region::Bar(index) => index,
        Region::Rom => ROM,
        Region::Config => CONFIG,
    }
}

fn region_from_code(code: u8) -> Option<Region> {
    match code {
        0..=5 => Some(Region::Bar(code)),
        ROM => Some(Region::Rom),
        CONFIG => Some(Region::Config),
        _ => None,
    }
}

/// Numbers for the variants of an enum, stable in the file whatever becomes of their order in code.
macro_rules! codes {
    ($type:ty, $to:ident, $from:ident, { $($code:literal => $variant:path),+ $(,)? }) => {
        fn $to(value: $type) -> u8 {
            match value {
                $($variant => $code,)+
            }
        }

        fn $from(code: u8) -> Option<$type> {
            match code {
                $($code => Some($variant),)+
                _ => None,
            }
        }
    };
}

codes!(Outcome, outcome_code, outcome_from_code, {
    0 => Outcome::Ok,
    1 => Outcome::Unclaimed,
    2 => Outcome::Straddles,
    3 => Outcome::Reserved,
    4 => Outcome::Width,
    5 => Outcome::Alignment,
    6 => Outcome::WriteOnly,
    7 => Outcome::ReadOnly,
    8 => Outcome::Busy,
    9 => Outcome::Range,
});
codes!(DmaOutcome, dma_code, dma_from_code, {
    0 => DmaOutcome::Done,
    1 => DmaOutcome::BusMasterOff,
    2 => DmaOutcome::OutOfBounds,
});
codes!(RouteChange, route_code, route_from_code, {
    0 => RouteChange::Added,
    1 => RouteChange::Removed,
    2 => RouteChange::Refused,
});
codes!(Backing, backing_code, backing_from_code, {
    0 => Backing::Trapped,
    1 => Backing::Direct,
    2 => Backing::Doorbell,
    3 => Backing::Coalesced,
});
codes!(Counted, counted_code, counted_from_code, {
    0 => Counted::KernelEntries,
    1 => Counted::FaultResolved,
    2 => Counted::FaultFatal,
});

#[cfg(test)]
mod tests;
