//! Capabilities of a trace: what it can tell, and what nobody told it.
//!
//! A BAR access shows itself. Who handles an interrupt, which call made a mapping, how often a kernel was entered
//! is known only if the guest announces it, or if it can be inferred. A statement about something that a trace
//! can't tell is neither true nor false of it.

use serde::ser::{Serialize, Serializer};

/// A property of a guest that a trace may or may not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Beginnings and ends of interrupt handlers, as records. That an access is in one, call stacks tell as well.
    Handlers,
    /// The path of an access: `ioremap`, `mmap`, ..
    Paths,
    /// Mappings that the kernel makes for itself, with their owners and calls.
    KernelMappings,
    /// Mappings of programs, with their owners and calls.
    UserMappings,
    /// Entries into the kernel: each recorded, or counted by the guest.
    KernelEntries,
    /// Page faults.
    PageFaults,
    /// Names of functions, and source lines.
    Functions,
    /// Processes by number and name.
    Processes,
    /// Call stacks.
    Stacks,
    /// What devices do besides answering: register changes, interrupts, DMA.
    Effects,
    /// Accesses to configuration space and to ports.
    Configuration,
    /// Accesses of programs.
    ProgramAccesses,
    /// Privilege levels of accesses.
    Privilege,
    /// Memory types of accesses.
    MemoryTypes,
}

/// How a trace comes to tell a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Knowledge {
    /// It doesn't.
    #[default]
    Unknown,
    /// barscope inferred it.
    Inferred,
    /// The guest said so.
    Announced,
    /// The guest said more than the trace has room for: what isn't there may be so even so.
    Incomplete,
}

impl Capability {
    /// All of them.
    pub const ALL: [Capability; 14] = [
        Capability::Handlers,
        Capability::Paths,
        Capability::KernelMappings,
        Capability::UserMappings,
        Capability::KernelEntries,
        Capability::PageFaults,
        Capability::Functions,
        Capability::Processes,
        Capability::Stacks,
        Capability::Effects,
        Capability::Configuration,
        Capability::ProgramAccesses,
        Capability::Privilege,
        Capability::MemoryTypes,
    ];

    /// Its name in the file and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Handlers => "handlers",
            Capability::Paths => "paths",
            Capability::KernelMappings => "kernel-mappings",
            Capability::UserMappings => "user-mappings",
            Capability::KernelEntries => "kernel-entries",
            Capability::PageFaults => "page-faults",
            Capability::Functions => "functions",
            Capability::Processes => "processes",
            Capability::Stacks => "stacks",
            Capability::Effects => "effects",
            Capability::Configuration => "configuration",
            Capability::ProgramAccesses => "program-accesses",
            Capability::Privilege => "privilege",
            Capability::MemoryTypes => "memory-types",
        }
    }

    /// What it is about, for people.
    pub const fn about(self) -> &'static str {
        match self {
            Capability::Handlers => "when its interrupt handlers run",
            Capability::Paths => "how an address came to lead to a device",
            Capability::KernelMappings => "its kernel's mappings",
            Capability::UserMappings => "its programs' mappings",
            Capability::KernelEntries => "how often its kernel is entered",
            Capability::PageFaults => "its page faults",
            Capability::Functions => "the names of its functions",
            Capability::Processes => "its processes",
            Capability::Stacks => "its call stacks",
            Capability::Effects => "what its devices do besides answering",
            Capability::Configuration => "accesses to configuration space and ports",
            Capability::ProgramAccesses => "its programs' accesses",
            Capability::Privilege => "whether kernel or program made an access",
            Capability::MemoryTypes => "the memory types of accesses",
        }
    }

    /// What to do for a trace that tells it, in a clause that may follow a colon.
    pub const fn how_to_get(self) -> &'static str {
        match self {
            Capability::Handlers => {
                "announce handlers by ISR_ENTER and ISR_EXIT (guest-driver/abi), have call stacks recorded, or ask \
                 for the handler's function instead"
            }
            Capability::Paths => "announce mappings by MAP and UNMAP (guest-driver/abi)",
            Capability::KernelMappings => {
                "announce the kernel's mappings by MAP and UNMAP (guest-driver/abi)"
            }
            Capability::UserMappings => "announce programs' mappings by MAP and UNMAP (guest-driver/abi)",
            Capability::KernelEntries => {
                "run programs of Linux with --count-entries, or count them in the guest and report them by COUNT of \
                 KERNEL_ENTRIES (guest-driver/abi)"
            }
            Capability::PageFaults => {
                "run programs of Linux with --count-entries, or report them by COUNT of FAULT_RESOLVED and FAULT_FATAL \
                 (guest-driver/abi)"
            }
            Capability::Functions => "hand over symbols by IMAGE, SYMBOLS and MODULE (guest-driver/abi)",
            Capability::Processes => "announce them by PROCESS (guest-driver/abi)",
            Capability::Stacks => {
                "record them by --stacks full, of a Linux kernel with BTF and ORC whose symbols the guest tells"
            }
            Capability::ProgramAccesses => {
                "this tracer sees the kernel's only: say `by kernel`, or record it by `barscope run`"
            }
            Capability::Effects
            | Capability::Configuration
            | Capability::Privilege
            | Capability::MemoryTypes => {
                "a trace of another tracer holds what that saw: record it by `barscope run`"
            }
        }
    }

    /// How a trace of ours comes to tell it before anything is said of it: what the machine sees by itself, no guest has
    /// to announce.
    pub const fn at_first(self) -> Knowledge {
        match self {
            Capability::Effects
            | Capability::Configuration
            | Capability::ProgramAccesses
            | Capability::Privilege
            | Capability::MemoryTypes => Knowledge::Announced,
            _ => Knowledge::Unknown,
        }
    }

    /// The capability of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

impl Knowledge {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Knowledge::Unknown => "unknown",
            Knowledge::Inferred => "inferred",
            Knowledge::Announced => "announced",
            Knowledge::Incomplete => "incomplete",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Knowledge::Unknown, Knowledge::Inferred, Knowledge::Announced, Knowledge::Incomplete];
        all.into_iter().find(|knowledge| knowledge.name() == name)
    }

    /// Its code in the file, never 0.
    pub(crate) const fn code(self) -> u64 {
        match self {
            Knowledge::Unknown => 1,
            Knowledge::Inferred => 2,
            Knowledge::Announced => 3,
            Knowledge::Incomplete => 4,
        }
    }

    pub(crate) const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Knowledge::Unknown),
            2 => Some(Knowledge::Inferred),
            3 => Some(Knowledge::Announced),
            4 => Some(Knowledge::Incomplete),
            _ => None,
        }
    }
}

/// What a trace can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities([Knowledge; Capability::ALL.len()]);

impl Default for Capabilities {
    fn default() -> Self {
        Self(Capability::ALL.map(Capability::at_first))
    }
}

impl Capabilities {
    /// Everything is announced.
    pub const COMPLETE: Capabilities = Capabilities([Knowledge::Announced; Capability::ALL.len()]);

    /// How the trace comes to tell this.
    pub fn of(&self, capability: Capability) -> Knowledge {
        self.0[capability as usize]
    }

    /// Sets how the trace comes to tell this.
    pub fn set(&mut self, capability: Capability, knowledge: Knowledge) {
        self.0[capability as usize] = knowledge;
    }

    /// Whether the trace tells this, and all of it.
    pub fn tells(&self, capability: Capability) -> bool {
        matches!(self.of(capability), Knowledge::Inferred | Knowledge::Announced)
    }

    /// What is told in part.
    pub fn incomplete(&self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(|capability| self.of(*capability) == Knowledge::Incomplete)
    }
}

/// Names of how it comes to tell each property, by that one's name.
impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Capability::ALL.map(|it| (it.name(), self.of(it).name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back() {
        for capability in Capability::ALL {
            let clause = capability.how_to_get();
            assert!(!clause.ends_with('.') && !clause.contains("  "), "{clause}");
            assert_eq!(Capability::named(capability.name()), Some(capability));
        }
        let all = [Knowledge::Unknown, Knowledge::Inferred, Knowledge::Announced, Knowledge::Incomplete];
        for knowledge in all {
            assert_eq!(Knowledge::from_code(knowledge.code()), Some(knowledge));
            assert_eq!(Knowledge::named(knowledge.name()), Some(knowledge));
        }
    }

    #[test]
    fn what_nobody_set_is_unknown() {
        let mut known = Capabilities::default();
        assert!(!known.tells(Capability::Handlers));
        known.set(Capability::Handlers, Knowledge::Inferred);
        assert!(known.tells(Capability::Handlers) && !known.tells(Capability::Stacks));
        known.set(Capability::Handlers, Knowledge::Incomplete);
        assert!(!known.tells(Capability::Handlers));
        assert!(known.incomplete().eq([Capability::Handlers]));
        assert!(Capability::ALL.iter().all(|capability| Capabilities::COMPLETE.tells(*capability)));
    }
}
