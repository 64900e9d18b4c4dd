//! The table of events: each kind once, with its code, name, fields and documentation.
//!
//! Everything that treats events alike follows from it: [`EventKind`], records in the file, the kinds that its header
//! lists, filters and their properties, JSON and its schema. Codes and bits are for ever: a kind that is no longer
//! wanted keeps its code, and a new field goes where no other ever was.

use barscope_device::{InterruptLoss, Region};

use super::schema::{Bits, Field, Kind, Role, events};
use super::stored::{RECORD_WORDS, Stored, Words};
use super::{
    Backing, Counted, DmaOutcome, Id, MemoryOperand, Outcome, References, RouteChange, Target, Visitor,
};
use crate::definition::MemoryType;

const fn bits(word: u8, shift: u8, width: u8) -> Bits {
    Bits { word, shift, width }
}

/// Bit of byte 1 of a record.
const fn flag(bit: u8) -> Bits {
    bits(0, 8 + bit, 1)
}

/// The low half of a word.
const fn low(word: u8) -> Bits {
    bits(word, 0, 32)
}

/// The high half of a word.
const fn high(word: u8) -> Bits {
    bits(word, 32, 32)
}

/// A whole word.
const fn word(word: u8) -> Bits {
    bits(word, 0, 64)
}

/// Privilege level, of both kinds that have one.
const CPL: Bits = bits(0, 11, 2);
/// Byte 2 of a record.
const A: Bits = bits(0, 16, 8);
/// Byte 3 of a record.
const B: Bits = bits(0, 24, 8);
/// Id of the definition that a record is about.
const ID: Bits = high(0);
/// Consequences of an access have its sequence number here.
const CAUSE: Bits = word(7);

events! {
    /// A read of a device, or a write to it: one access, or one part of an access that KVM hands over in parts.
    1 "access" guest Access(AccessEvent) {
        /// The route's definition; 0 if none claims the address.
        route: Id, Route, [ID];
        /// Where it went.
        target: Target, Address, [flag(2), word(4)];
        /// A write, or a read.
        write: bool, Choice, [flag(0)];
        /// Size in bytes: 1, 2, 4 or 8.
        size: u8, Size, [A];
        /// The value written or read, zero-extended.
        value: u64, Value, [word(5)];
        /// Current privilege level of the vCPU, 0 to 3; 0 if there is none.
        cpl: u8, Index, [CPL];
        /// Half of a read-modify-write instruction.
        read_modify_write: bool, Choice, [flag(1)];
        /// KVM gathered it: it reached the device later than it was made, and nobody knows by whom.
        coalesced: bool, Choice, [flag(5)];
        /// What the device answered.
        outcome: Outcome, Choice, [B];
        /// The page walk's definition; 0 if unresolved, or for a port.
        walk: Id, Walk, [low(6)];
        /// The instruction's definition; 0 if unresolved.
        instruction: Id, Instruction, [high(6)];
        /// Counts executed instructions that accessed devices: parts of one instruction share it.
        instance: u32, Count, [low(7)];
        /// Byte offset of this part within the instruction's memory operand (saturates at 255).
        fragment: u8, Size, [bits(7, 32, 8)];
        /// Time that the dispatcher and the device took, in host nanoseconds (saturates at 2^24 - 1).
        service_ns: u32, Time, [bits(7, 40, 24)];
        /// The call stack's definition; 0 if none was taken.
        stack: Id, Stack, [low(8)];
        /// The memory type that the page table asks for through PAT; `None` if that isn't known.
        pat: Option<MemoryType>, Pat, [bits(8, 32, 8)];
        /// The memory type that the access had, which MTRRs and the hypervisor decide as well; `None` if that isn't
        /// known. Never UC-.
        memory_type: Option<MemoryType>, MemoryType, [bits(8, 40, 8)];
    }

    /// A register changed its value.
    2 "change" device Change {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Region in which the register lies.
        region: Region, Region, [A];
        /// Its offset in the region.
        offset: u64, Offset, [word(4)];
        /// Value before a change.
        old: u64, Value, [word(5)], as "old";
        /// Value after it.
        new: u64, Value, [word(6)];
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// A device began to work on something.
    3 "busy" device Busy {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Device time at which it will be done.
        until_ns: u64, Time, [word(4)];
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// A message-signalled interrupt; `msi 2` is that of vector 2.
    4 "msi" device Msi {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Which of the function's interrupt vectors.
        index: u16, Index, [bits(6, 0, 16)], as "index";
        /// Message address.
        address: u64, Address, [word(4)];
        /// Message data; its low byte is the vector.
        data: u32, Value, [low(5)];
        /// KVM took the message.
        delivered: bool, Choice, [flag(0)], as "delivered";
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// An interrupt pin changed its level: `asserted`, or not.
    20 "intx" device Intx {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Level of the interrupt pin.
        asserted: bool, Choice, [flag(0)], as "asserted";
        /// IOAPIC input of the interrupt pin.
        gsi: u8, Index, [A], as "gsi";
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// An interrupt cause that reached no processor; `why` says why.
    5 "interrupt-lost" device InterruptLost {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Which of the function's interrupt vectors.
        index: u16, Index, [bits(6, 0, 16)], as "index";
        /// Why an interrupt is lost.
        why: Option<InterruptLoss>, Choice, [B], as "why";
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// An interrupt cause that its mask holds back.
    19 "interrupt-masked" device InterruptMasked {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Which of the function's interrupt vectors.
        index: u16, Index, [bits(6, 0, 16)], as "index";
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// A device cut the next transfer's address, here as asked for, to its address bits.
    24 "address-cut" device AddressCut {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Address that software asked for.
        asked: u64, Address, [word(4)];
        /// How many bits of an address count.
        bits: u8, Count, [A], below 64;
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// A DMA transfer, done or refused.
    6 "dma" device Dma {
        /// The function's definition.
        function: Id, Function, [ID];
        /// A transfer goes from device to memory.
        to_memory: bool, Choice, [flag(0)], as "to-memory";
        /// Guest physical address.
        address: u64, Address, [word(4)];
        /// Length in bytes.
        length: u64, Size, [word(5)];
        /// Whether it happened.
        outcome: DmaOutcome, Choice, [B];
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// A BAR began or ceased to decode an address.
    7 "route" device Route {
        /// The route's definition.
        route: Id, Route, [ID];
        /// Whether the route appeared, went away, or could not be made.
        change: RouteChange, Choice, [B];
        /// Sequence number of the access that led to it, 0 for the machine's own.
        cause: u64, Cause, [CAUSE];
    }

    /// Accesses to a BAR are served another way from here on.
    21 "backing" device Backing {
        /// The route's definition.
        route: Id, Route, [ID];
        /// How they are served: what is not trapped is not seen one by one.
        backing: Backing, Choice, [B];
        /// Sequence number of the access that led to it.
        cause: u64, Cause, [CAUSE];
    }

    /// Pages of a directly mapped BAR were written.
    22 "pages-written" device PagesWritten {
        /// The route's definition.
        route: Id, Route, [ID];
        /// Offset of the first page in the region, in bytes.
        offset: u64, Address, [word(4)];
        /// Number of consecutive pages of 4 KiB.
        pages: u64, Count, [word(5)];
        /// Sequence number of the last record before which they were certainly not written.
        since: u64, Record, [word(6)];
    }

    /// Doorbells that KVM took by itself.
    23 "doorbell" device Doorbell {
        /// The route's definition.
        route: Id, Route, [ID];
        /// Offset of the register in the region.
        offset: u64, Offset, [word(4)];
        /// How often it was rung, some time since the record before.
        count: u64, Count, [word(5)];
    }

    /// The guest made a mapping.
    8 "map" guest Map {
        /// The mapping's definition.
        mapping: Id, Mapping, [ID];
    }

    /// The guest undid a mapping.
    9 "unmap" guest Unmap {
        /// The mapping's definition.
        mapping: Id, Mapping, [ID];
    }

    /// A named point; `mark "begin"` is that one.
    10 "mark" guest Mark {
        /// The text's definition.
        text: Id, Text, [ID];
        /// The definition of the process that named it, or 0.
        process: Id, Process, [low(4)];
    }

    /// A scenario began.
    11 "scenario-begin" guest ScenarioBegin {
        /// The definition of its name.
        name: Id, Scenario, [ID];
    }

    /// A scenario ended.
    12 "scenario-end" guest ScenarioEnd {
        /// A scenario passed.
        passed: bool, Choice, [flag(0)], as "passed";
        /// The definition of its one-line summary.
        summary: Id, Text, [ID];
    }

    /// Something that a trace of device accesses can't see: what the guest counted, or one entry into Linux's kernel.
    13 "count" guest Count {
        /// What it counted.
        what: Counted, Choice, [B];
        /// How many.
        value: u64, Count, [word(4)];
        /// Faulting virtual address, or 0.
        address: u64, Address, [word(5)];
        /// Of a page fault.
        error_code: u32, Value, [low(6)], as "error-code";
        /// RIP of the faulting instruction, or 0.
        rip: u64, Address, [word(7)];
        /// The definition of the process whose entry or fault it is; 0 for what the guest counted.
        process: Id, Process, [ID];
        /// Number of the system call that was the entry; `None` for a page fault, and what the guest counted.
        call: Option<u64>, Index, [flag(0), high(6)];
    }

    /// An interrupt handler begins.
    14 "isr-enter" guest IsrEnter {
        /// The interrupt's vector.
        vector: u8, Index, [A];
    }

    /// An interrupt handler is done.
    15 "isr-exit" guest IsrExit {
        /// The interrupt's vector.
        vector: u8, Index, [A];
    }

    /// The virtual device clock jumped: the guest was idle.
    16 "clock-jump" guest ClockJump {
        /// Device time that it jumped to.
        to_ns: u64, Time, [word(4)];
    }

    /// An instruction on device memory that KVM can't emulate.
    17 "not-emulated" guest NotEmulated {
        /// Current privilege level of the vCPU, 0 to 3; 0 if there is none.
        cpl: u8, Index, [CPL];
        /// The instruction's definition, or 0.
        instruction: Id, Instruction, [ID];
        /// The definition of the walk of its memory operand, or 0.
        walk: Id, Walk, [low(6)];
        /// The definition of the route that its memory operand leads to, or 0.
        route: Id, Route, [low(5)];
        /// Guest physical address of the first byte of its memory operand that a device decodes; `None` if the
        /// operand's address could not be told.
        gpa: Option<u64>, Address, [flag(2), word(4)];
        /// What the instruction does with that operand.
        operand: MemoryOperand, Choice, [flag(1), flag(0), A];
        /// The call stack's definition; 0 if none was taken.
        stack: Id, Stack, [high(5)];
    }

    /// How an address is mapped that the guest asked about: its page walk, without an access.
    26 "page-walk" guest PageWalk {
        /// Current privilege level of the vCPU, 0 to 3.
        cpl: u8, Index, [CPL];
        /// The definition of the text that says what is there.
        text: Id, Text, [ID];
        /// Virtual address.
        address: u64, Address, [word(5)];
        /// The walk's definition, or 0 if there is no page.
        walk: Id, Walk, [low(6)];
        /// Guest physical address; `None` if there is no page.
        gpa: Option<u64>, Address, [flag(2), word(4)];
        /// The definition of the route that it leads to; 0 if it is memory, or nothing.
        route: Id, Route, [high(6)];
    }

    /// A loop that reads one register and gets the same again and again.
    27 "spin" guest Spin {
        /// The function's definition.
        function: Id, Function, [ID];
        /// Region in which the register lies.
        region: Region, Region, [A];
        /// Its offset in the region.
        offset: u64, Offset, [word(4)];
        /// What each read gave.
        value: u64, Value, [word(5)];
        /// How many reads there were (saturates at 2^32 - 1).
        times: u32, Count, [high(6)], as "times";
        /// In how many nanoseconds of device time the device does something next (saturates at 2^32 - 1); `None` if it
        /// waits for others.
        due_ns: Option<u64>, Time, [flag(2), low(6)];
        /// Sequence number of the last one.
        cause: u64, Cause, [CAUSE];
    }

    /// A line that the guest printed on its console; `console "text"` is one that holds the text.
    25 "console" guest Console {
        /// The text's definition: the line, or as much of it as came.
        text: Id, Text, [ID];
    }

    /// Something worth knowing.
    18 "warning" guest Warning {
        /// The text's definition.
        text: Id, Text, [ID];
    }
}

/// The place of each kind in [`KINDS`] by its code.
const BY_CODE: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut at = 0;
    while at < KINDS.len() {
        places[KINDS[at].code as usize] = at as u8;
        at += 1;
    }
    places
};

impl Kind {
    /// The kind that has this code.
    pub fn of_code(code: u8) -> Option<&'static Kind> {
        KINDS.get(usize::from(BY_CODE[usize::from(code)]))
    }
}
