//! An event as a record of one or two slots.
//!
//! | word | bits | content |
//! |---|---|---|
//! | 0 | 7:0 | kind, never 0 |
//! | | 15:8 | flags |
//! | | 23:16 | `a`: a size, a vector, a region or a number of bits |
//! | | 31:24 | `b`: an outcome, a reason, or what was counted |
//! | | 63:32 | the id of a definition |
//! | 1 | 47:0 | sequence number |
//! | | 63:48 | vCPU plus one, 0 for none |
//! | 2 | | host time in ns |
//! | 3 | | device time in ns |
//! | 4-7 | | per kind; word 7 is the cause of what a device did |
//!
//! Words 0 and 1 are the same for every kind to come. An access goes on in a second slot:
//!
//! | word | bits | content |
//! |---|---|---|
//! | 8 | 31:0 | the id of a call stack, 0 for none |
//! | | 39:32 | memory type by the page table and PAT, 0 not known |
//! | | 47:40 | effective memory type, 0 not known |
//! | | 63:48 | 0 |
//! | 9-15 | | 0 |

use barscope_device::{BarIndex, InterruptLoss, Region};

use super::{SLOT_WORDS, vcpu_code, vcpu_from_code};
use crate::definition::MemoryType;
use crate::event::{
    AccessEvent, Backing, Counted, DmaOutcome, Event, EventKind, Outcome, RouteChange, Target,
};

/// The words of a record's first slot.
pub(crate) type Words = [u64; SLOT_WORDS];

/// The most slots that a record has which this program writes.
pub(crate) const SLOTS_MAX: usize = 2;

/// An event in the form that it has in the file.
pub(crate) struct Record {
    /// The first slot.
    pub(crate) words: Words,
    /// The word after it; those that follow are 0.
    pub(crate) more: u64,
    /// How many slots it takes.
    pub(crate) slots: usize,
}

const SEQ_BITS: u32 = 48;
/// Sequence number in word 1.
pub(crate) const SEQ: u64 = (1 << SEQ_BITS) - 1;

/// A kind of record, as the header page lists it.
pub(crate) struct Kind {
    pub(crate) code: u8,
    pub(crate) slots: u8,
    pub(crate) name: &'static str,
}

/// Codes, sizes in slots and names of all kinds.
macro_rules! kinds {
    ($($constant:ident = $code:literal, $slots:literal $name:literal;)+) => {
        mod kind {
            $(pub(super) const $constant: u8 = $code;)+
        }

        pub(crate) const KINDS: &[Kind] = &[$(Kind { code: $code, slots: $slots, name: $name }),+];
    };
}

kinds! {
    ACCESS = 1, 2 "access";
    CHANGE = 2, 1 "change";
    BUSY = 3, 1 "busy";
    MSI = 4, 1 "msi";
    INTERRUPT_LOST = 5, 1 "interrupt-lost";
    DMA = 6, 1 "dma";
    ROUTE = 7, 1 "route";
    MAP = 8, 1 "map";
    UNMAP = 9, 1 "unmap";
    MARK = 10, 1 "mark";
    SCENARIO_BEGIN = 11, 1 "scenario-begin";
    SCENARIO_END = 12, 1 "scenario-end";
    COUNT = 13, 1 "count";
    ISR_ENTER = 14, 1 "isr-enter";
    ISR_EXIT = 15, 1 "isr-exit";
    CLOCK_JUMP = 16, 1 "clock-jump";
    NOT_EMULATED = 17, 1 "not-emulated";
    WARNING = 18, 1 "warning";
    INTERRUPT_MASKED = 19, 1 "interrupt-masked";
    INTX = 20, 1 "intx";
    BACKING = 21, 1 "backing";
    PAGES_WRITTEN = 22, 1 "pages-written";
    DOORBELL = 23, 1 "doorbell";
    ADDRESS_CUT = 24, 1 "address-cut";
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

/// Word 0 and words from 4 on.
#[derive(Default)]
struct Body {
    kind: u8,
    flags: u8,
    a: u8,
    b: u8,
    id: u32,
    payload: [u64; 4],
    /// Word 8.
    more: u64,
}

/// The record that stands for `event`.
pub(crate) fn encode(event: &Event) -> Record {
    let body = body(&event.kind);
    let [p0, p1, p2, p3] = body.payload;
    let head = u64::from(u32::from_le_bytes([body.kind, body.flags, body.a, body.b]));
    let order = event.seq & SEQ | vcpu_code(event.vcpu) << SEQ_BITS;
    Record {
        words: [head | u64::from(body.id) << 32, order, event.host_ns, event.device_ns, p0, p1, p2, p3],
        more: body.more,
        slots: slots_of(head),
    }
}

/// The size in slots of a record of this program, by its word 0; 0 if that stands for nothing.
pub(crate) fn slots_of(head: u64) -> usize {
    match head as u8 {
        0 => 0,
        kind::ACCESS => SLOTS_MAX,
        _ => 1,
    }
}

/// The event that `words` and the word after them stand for, if there is one; `None` if no writer of this version
/// wrote them.
pub(crate) fn decode(words: &Words, more: u64) -> Option<Event> {
    let [head, order, host_ns, device_ns, payload @ ..] = *words;
    let [kind, flags, a, b, ..] = head.to_le_bytes();
    let body = Body { kind, flags, a, b, id: high(head), payload, more };
    Some(Event {
        seq: order & SEQ,
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
        EventKind::InterruptLost { function, index, why, cause } => Body {
            kind: kind::INTERRUPT_LOST,
            b: why.map_or(0, loss_code),
            id: function,
            payload: [0, 0, u64::from(index), cause],
            ..empty
        },
        EventKind::AddressCut { function, asked, bits, cause } => {
            Body { kind: kind::ADDRESS_CUT, a: bits, id: function, payload: [asked, 0, 0, cause], ..empty }
        }
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
        more: u64::from(access.stack)
            | memory_type_bits(access.pat, PAT_SHIFT)
            | memory_type_bits(access.effective, EFFECTIVE_SHIFT),
    }
}

/// Memory types in word 8.
const PAT_SHIFT: u32 = 32;
const EFFECTIVE_SHIFT: u32 = 40;

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
        kind::INTERRUPT_LOST => {
            let why = if body.b == 0 { None } else { Some(loss_from_code(body.b)?) };
            EventKind::InterruptLost { function: id, index: p2 as u16, why, cause }
        }
        kind::ADDRESS_CUT => {
            let bits = Some(body.a).filter(|bits| *bits < 64)?;
            EventKind::AddressCut { function: id, asked: p0, bits, cause }
        }
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
        stack: body.more as u32,
        pat: memory_type_from_bits(body.more, PAT_SHIFT)?,
        effective: memory_type_from_bits(body.more, EFFECTIVE_SHIFT)?,
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
        Region::Bar(index) => index.get(),
        Region::Rom => ROM,
        Region::Config => CONFIG,
    }
}

fn region_from_code(code: u8) -> Option<Region> {
    match code {
        ROM => Some(Region::Rom),
        CONFIG => Some(Region::Config),
        _ => BarIndex::new(code).map(Region::Bar),
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
codes!(InterruptLoss, loss_code, loss_from_code, {
    1 => InterruptLoss::NothingEnabled,
    2 => InterruptLoss::BusMasterOff,
    3 => InterruptLoss::Asleep,
    4 => InterruptLoss::MemoryWrite,
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

codes!(MemoryType, memory_type_code, memory_type_from_code, {
    1 => MemoryType::Uncacheable,
    2 => MemoryType::UncacheableMinus,
    3 => MemoryType::WriteCombining,
    4 => MemoryType::WriteThrough,
    5 => MemoryType::WriteProtected,
    6 => MemoryType::WriteBack,
});

/// A memory type that may not be known, as a byte from bit `shift` on.
fn memory_type_bits(memory_type: Option<MemoryType>, shift: u32) -> u64 {
    memory_type.map_or(0, |known| u64::from(memory_type_code(known)) << shift)
}

/// The outer `None` is for a byte that stands for nothing.
fn memory_type_from_bits(word: u64, shift: u32) -> Option<Option<MemoryType>> {
    match (word >> shift) as u8 {
        0 => Some(None),
        code => memory_type_from_code(code).map(Some),
    }
}

#[cfg(test)]
mod tests;
