//! What kinds of events there are, by name.

use std::fmt;

use barscope_trace::event::Counted;

use crate::view::{View, What};

/// A set of kinds of events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u32);

/// The kinds that an event has exactly one of.
macro_rules! kinds {
    ($($name:ident = $bit:literal;)+) => {
        $(const $name: Kinds = Kinds(1 << $bit);)+
    };
}

kinds! {
    READ = 0;
    WRITE = 1;
    CHANGE = 2;
    BUSY = 3;
    MSI = 4;
    INTERRUPT_LOST = 5;
    INTERRUPT_MASKED = 6;
    INTX = 7;
    DMA = 8;
    ROUTE = 9;
    BACKING = 10;
    PAGES_WRITTEN = 11;
    DOORBELL = 12;
    MAP = 13;
    UNMAP = 14;
    MARK = 15;
    SCENARIO_BEGIN = 16;
    SCENARIO_END = 17;
    KERNEL_ENTRIES = 18;
    FAULT_RESOLVED = 19;
    FAULT_FATAL = 20;
    ISR = 21;
    ISR_EXIT = 22;
    CLOCK_JUMP = 23;
    NOT_EMULATED = 24;
    WARNING = 25;
    ADDRESS_CUT = 26;
}

/// The names that a filter may use, and what each means.
pub const KINDS: &[(&str, Kinds, &str)] = &[
    ("read", READ, "a read of a device"),
    ("write", WRITE, "a write to a device"),
    ("access", READ.or(WRITE), "a read or a write"),
    ("change", CHANGE, "a register changed its value"),
    ("busy", BUSY, "a device began to work on something"),
    ("msi", MSI, "a message-signalled interrupt; `msi 2` is that of vector 2"),
    ("intx", INTX, "an interrupt pin changed its level: `asserted`, or not"),
    ("interrupt-lost", INTERRUPT_LOST, "an interrupt cause that reached no processor; `why` says why"),
    ("interrupt-masked", INTERRUPT_MASKED, "an interrupt cause that its mask holds back"),
    (
        "address-cut",
        ADDRESS_CUT,
        "a device cut the next transfer's address, here as asked for, to its address bits",
    ),
    ("dma", DMA, "a DMA transfer, done or refused"),
    ("route", ROUTE, "a BAR began or ceased to decode an address"),
    ("backing", BACKING, "accesses to a BAR are served another way from here on"),
    ("pages-written", PAGES_WRITTEN, "pages of a directly mapped BAR were written"),
    ("doorbell", DOORBELL, "doorbells that KVM took by itself"),
    ("map", MAP, "the guest made a mapping"),
    ("unmap", UNMAP, "the guest undid a mapping"),
    ("mark", MARK, "a named point; `mark \"begin\"` is that one"),
    ("scenario-begin", SCENARIO_BEGIN, "a scenario began"),
    ("scenario-end", SCENARIO_END, "a scenario ended"),
    ("kernel-entries", KERNEL_ENTRIES, "the guest reports how often its kernel was entered"),
    ("page-fault", FAULT_RESOLVED.or(FAULT_FATAL), "a page fault that the guest reports"),
    ("fault-resolved", FAULT_RESOLVED, "a page fault that was resolved by mapping a page"),
    ("fault-fatal", FAULT_FATAL, "a page fault that stopped a program"),
    ("isr", ISR, "an interrupt handler begins"),
    ("isr-exit", ISR_EXIT, "an interrupt handler is done"),
    ("clock-jump", CLOCK_JUMP, "the virtual device clock jumped: the guest was idle"),
    ("not-emulated", NOT_EMULATED, "an instruction on device memory that KVM can't emulate"),
    ("warning", WARNING, "something worth knowing"),
];

impl Kinds {
    /// All there are.
    pub(crate) const ALL: Kinds = Kinds(u32::MAX);
    /// None.
    pub(crate) const NONE: Kinds = Kinds(0);
    /// Reads and writes of devices.
    pub(crate) const ACCESS: Kinds = READ.or(WRITE);
    /// Writes to devices.
    pub(crate) const WRITE: Kinds = WRITE;

    /// Doorbells that KVM took.
    pub(crate) const DOORBELL: Kinds = DOORBELL;
    /// Reports of how often the guest's kernel was entered.
    pub(crate) const KERNEL_ENTRIES: Kinds = KERNEL_ENTRIES;
    /// Beginnings and ends of scenarios.
    pub(crate) const SCENARIO: Kinds = SCENARIO_BEGIN.or(SCENARIO_END);

    /// Every kind that an event can be of.
    pub(crate) const EVERY: Kinds = Kinds((1 << 27) - 1);
    /// DMA transfers.
    pub(crate) const DMA: Kinds = DMA;
    /// Message-signalled interrupts.
    pub(crate) const MSI: Kinds = MSI;
    /// Beginnings and ends of interrupt handlers.
    pub(crate) const HANDLER: Kinds = ISR.or(ISR_EXIT);
    /// Page faults.
    pub(crate) const PAGE_FAULT: Kinds = FAULT_RESOLVED.or(FAULT_FATAL);
    /// Mappings made and undone.
    pub(crate) const MAPPING: Kinds = MAP.or(UNMAP);
    /// Named points.
    pub(crate) const MARK: Kinds = MARK;

    /// What is in either.
    pub(crate) const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// What is in both.
    pub(crate) const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    /// What is in this one only.
    pub(crate) const fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    /// Whether they have some in common.
    pub(crate) const fn meets(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of these are among `other`.
    pub(crate) const fn within(self, other: Kinds) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those that `name` stands for.
    pub(crate) fn named(name: &str) -> Option<Kinds> {
        KINDS.iter().find(|(known, ..)| *known == name).map(|(_, kinds, _)| *kinds)
    }

    /// The only kind that an event is of.
    pub(crate) fn of(view: &View) -> Kinds {
        match &view.what {
            What::Access(access) if access.write => WRITE,
            What::Access(_) => READ,
            What::Change { .. } => CHANGE,
            What::Busy { .. } => BUSY,
            What::Msi { .. } => MSI,
            What::InterruptLost { .. } => INTERRUPT_LOST,
            What::InterruptMasked { .. } => INTERRUPT_MASKED,
            What::Intx { .. } => INTX,
            What::AddressCut { .. } => ADDRESS_CUT,
            What::Dma { .. } => DMA,
            What::Route { .. } => ROUTE,
            What::Backing { .. } => BACKING,
            What::PagesWritten { .. } => PAGES_WRITTEN,
            What::Doorbell { .. } => DOORBELL,
            What::Map { .. } => MAP,
            What::Unmap { .. } => UNMAP,
            What::Mark { .. } => MARK,
            What::ScenarioBegin { .. } => SCENARIO_BEGIN,
            What::ScenarioEnd { .. } => SCENARIO_END,
            What::Count { what: Counted::KernelEntries, .. } => KERNEL_ENTRIES,
            What::Count { what: Counted::FaultResolved, .. } => FAULT_RESOLVED,
            What::Count { what: Counted::FaultFatal, .. } => FAULT_FATAL,
            What::IsrEnter { .. } => ISR,
            What::IsrExit { .. } => ISR_EXIT,
            What::ClockJump { .. } => CLOCK_JUMP,
            What::NotEmulated { .. } => NOT_EMULATED,
            What::Warning { .. } => WARNING,
        }
    }

    /// The kinds that an event may be of: an instruction that wasn't emulated would have been an access.
    pub(crate) fn possible(view: &View) -> Kinds {
        match view.what {
            What::NotEmulated { .. } => NOT_EMULATED.or(Kinds::ACCESS),
            _ => Kinds::of(view),
        }
    }

    /// The name that stands for just these.
    pub(crate) fn name(self) -> Option<&'static str> {
        KINDS.iter().find(|(_, kinds, _)| *kinds == self).map(|(name, ..)| *name)
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Kinds({:#x})", self.0),
        }
    }
}
