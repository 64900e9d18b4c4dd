//! What kinds of events there are, by name: those of the table, three of them taken apart.

use std::fmt;
use std::sync::LazyLock;

use barscope_trace::event::{self, Counted, EventKind};

use crate::view::View;

/// A set of kinds of events: a bit for each, at its code, but for accesses, counts, and what a kernel reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u64);

const OOPS: Kinds = Kinds(1 << 58);
const READ: Kinds = Kinds(1 << 59);
const WRITE: Kinds = Kinds(1 << 60);
const KERNEL_ENTRIES: Kinds = Kinds(1 << 61);
const FAULT_RESOLVED: Kinds = Kinds(1 << 62);
const FAULT_FATAL: Kinds = Kinds(1 << 63);
/// Codes from here on have no bit.
const CODES: u8 = 58;

/// The kind of this name in the table.
const fn kind(name: &str) -> Kinds {
    let mut at = 0;
    while at < event::KINDS.len() {
        if is_same(event::KINDS[at].name, name) {
            return of_code(event::KINDS[at].code);
        }
        at += 1;
    }
    panic!("no such kind")
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn of_code(code: u8) -> Kinds {
    assert!(code < CODES, "sets of kinds have a bit for each code");
    Kinds(1 << code)
}

/// The names that a filter may use, what each means, and a sentence on it; in the order of the table.
pub static KINDS: LazyLock<Vec<(&'static str, Kinds, &'static str)>> = LazyLock::new(|| {
    let names = event::KINDS.iter().flat_map(|kind| match kind.name {
        "access" => vec![
            ("read", READ, "A read of a device."),
            ("write", WRITE, "A write to a device."),
            ("access", Kinds::ACCESS, "A read or a write."),
        ],
        "count" => vec![
            ("kernel-entries", KERNEL_ENTRIES, "An entry into the guest's kernel, with --count-entries; else how many the guest reports."),
            ("page-fault", Kinds::PAGE_FAULT, "A page fault that the guest reports."),
            ("fault-resolved", FAULT_RESOLVED, "A page fault that was resolved by mapping a page."),
            ("fault-fatal", FAULT_FATAL, "A page fault that stopped a program."),
        ],
        "console" => vec![
            ("console", Kinds::CONSOLE, kind.doc),
            (
                "oops",
                OOPS,
                "A console line that begins a kernel's report: oops, BUG, WARN, panic, hung task, lockdep, KASAN.",
            ),
        ],
        "isr-enter" => vec![("isr", of_code(kind.code), kind.doc)],
        name => vec![(name, of_code(kind.code), kind.doc)],
    });
    names.collect()
});

/// The kinds that a name of [`KINDS`] stands for, by those of their names that stand for one.
pub fn members(kinds: Kinds) -> impl Iterator<Item = &'static str> {
    let single = |name: &str| !matches!(name, "access" | "page-fault");
    KINDS.iter().filter(move |(name, one, _)| single(name) && one.within(kinds)).map(|(name, ..)| *name)
}

/// The name of the kind that an event is of.
pub fn name_of(view: &View) -> &'static str {
    let kind = Kinds::of(view);
    kind.name().unwrap_or_else(|| view.kind.kind().name)
}

impl Kinds {
    /// All there are.
    pub(crate) const ALL: Kinds = Kinds(u64::MAX);
    /// None.
    pub(crate) const NONE: Kinds = Kinds(0);
    /// Reads and writes of devices.
    pub(crate) const ACCESS: Kinds = READ.or(WRITE);
    /// Writes to devices.
    pub(crate) const WRITE: Kinds = WRITE;

    /// Doorbells that KVM took.
    pub(crate) const DOORBELL: Kinds = kind("doorbell");
    /// Reports of how often the guest's kernel was entered.
    pub(crate) const KERNEL_ENTRIES: Kinds = KERNEL_ENTRIES;
    /// Beginnings and ends of scenarios.
    pub(crate) const SCENARIO: Kinds = kind("scenario-begin").or(kind("scenario-end"));

    /// Every kind that an event can be of.
    pub(crate) const EVERY: Kinds = {
        let mut every = Kinds::ACCESS.or(KERNEL_ENTRIES).or(Kinds::PAGE_FAULT).or(OOPS);
        let mut at = 0;
        while at < event::KINDS.len() {
            let kind = &event::KINDS[at];
            if !is_same(kind.name, "access") && !is_same(kind.name, "count") {
                every = every.or(of_code(kind.code));
            }
            at += 1;
        }
        every
    };
    /// What devices do besides answering.
    pub(crate) const EFFECT: Kinds = {
        let mut effects = Kinds::NONE;
        let mut at = 0;
        while at < event::KINDS.len() {
            if event::KINDS[at].of_device {
                effects = effects.or(of_code(event::KINDS[at].code));
            }
            at += 1;
        }
        effects
    };
    /// DMA transfers.
    pub(crate) const DMA: Kinds = kind("dma");
    /// Message-signalled interrupts.
    pub(crate) const MSI: Kinds = kind("msi");
    /// Beginnings and ends of interrupt handlers.
    pub(crate) const HANDLER: Kinds = kind("isr-enter").or(kind("isr-exit"));
    /// Page faults.
    pub(crate) const PAGE_FAULT: Kinds = FAULT_RESOLVED.or(FAULT_FATAL);
    /// Mappings made and undone.
    pub(crate) const MAPPING: Kinds = kind("map").or(kind("unmap"));
    /// Lines of the console.
    pub(crate) const CONSOLE: Kinds = kind("console").or(OOPS);
    /// Named points.
    pub(crate) const MARK: Kinds = kind("mark");

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
        match view.kind {
            EventKind::Access(access) if access.write => WRITE,
            EventKind::Access(_) => READ,
            EventKind::Count { what: Counted::KernelEntries, .. } => KERNEL_ENTRIES,
            EventKind::Count { what: Counted::FaultResolved, .. } => FAULT_RESOLVED,
            EventKind::Count { what: Counted::FaultFatal, .. } => FAULT_FATAL,
            EventKind::Console { .. } if view.trouble().is_some() => OOPS,
            other => of_code(other.code()),
        }
    }

    /// The kinds that an event may be of: an instruction that wasn't emulated would have been an access, and a line
    /// without its text may have said anything.
    pub(crate) fn possible(view: &View) -> Kinds {
        match view.kind {
            EventKind::NotEmulated { .. } => Kinds::of(view).or(Kinds::ACCESS),
            EventKind::Console { .. } if view.uncertain.text => Kinds::CONSOLE,
            _ => Kinds::of(view),
        }
    }

    /// The kinds of the table that are like this; accesses and counts as a whole.
    pub(super) fn in_table(is_like: impl Fn(&event::Kind) -> bool) -> Kinds {
        let like = event::KINDS.iter().filter(|kind| is_like(kind));
        let kinds = like.map(|kind| match kind.name {
            "access" => Kinds::ACCESS,
            "count" => KERNEL_ENTRIES.or(Kinds::PAGE_FAULT),
            "console" => Kinds::CONSOLE,
            _ => of_code(kind.code),
        });
        kinds.fold(Kinds::NONE, Kinds::or)
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
