//! What an access and an instruction that KVM could not emulate have in common: the code, its ring, the address
//! and how that is mapped.

use barscope_trace::definition::{Mapping, MemoryType, Path, Process, Walk};
use barscope_trace::event::Outcome;

use super::{AccessView, Code, Place, View, What};

impl View {
    /// Privilege level of the instruction that it is about, 0 to 3.
    pub fn cpl(&self) -> Option<u8> {
        match &self.what {
            What::Access(AccessView { cpl, .. }) | What::NotEmulated { cpl, .. } => Some(*cpl),
            _ => None,
        }
    }

    /// The instruction that it is about.
    pub fn code(&self) -> Option<&Code> {
        match &self.what {
            What::Access(AccessView { code, .. }) | What::NotEmulated { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// The page walk of that instruction's operand.
    pub fn walk(&self) -> Option<&Walk> {
        match &self.what {
            What::Access(AccessView { walk, .. }) | What::NotEmulated { walk, .. } => walk.as_deref(),
            _ => None,
        }
    }

    /// Where in a device it is: what was accessed, or would have been, or changed, or rang.
    pub fn place(&self) -> Option<&Place> {
        match &self.what {
            What::Access(AccessView { place, .. }) | What::NotEmulated { place, .. } => place.as_ref(),
            What::Change { place, .. } | What::Doorbell { place, .. } => Some(place),
            _ => None,
        }
    }

    /// Whether it is about a place in a device, or a device, and the trace doesn't tell which: an instruction that
    /// wasn't emulated may lead anywhere, and the definition of a route may be missing.
    pub(crate) fn place_is_open(&self) -> bool {
        match &self.what {
            What::Access(access) => access.place.is_none() && access.outcome != Outcome::Unclaimed,
            What::NotEmulated { place, .. } => place.is_none(),
            What::Route { route, .. } | What::Backing { route, .. } | What::PagesWritten { route, .. } => {
                route.is_none()
            }
            _ => false,
        }
    }

    /// Guest physical address of the operand's first byte that a device decodes.
    pub fn gpa(&self) -> Option<u64> {
        match &self.what {
            What::Access(access) => access.gpa(),
            What::NotEmulated { gpa, .. } => *gpa,
            _ => None,
        }
    }

    /// The same byte's guest virtual address.
    pub fn gva(&self) -> Option<u64> {
        Some(self.walk()?.virtual_address(self.gpa()?))
    }

    /// How that address came to lead to a device; for a mapping that comes or goes, what made it.
    pub fn path(&self) -> Option<Path> {
        match &self.what {
            What::Access(access) => Some(access.path()),
            What::NotEmulated { walk, .. } => Some(walk.as_ref().map_or(Path::Unknown, |walk| walk.path)),
            What::Map { mapping, .. } | What::Unmap { mapping, .. } => Some(mapping.as_ref()?.path),
            _ => None,
        }
    }

    /// The memory type that the operand's page asks for through PAT.
    pub fn pat(&self) -> Option<MemoryType> {
        match &self.what {
            What::Access(access) => access.pat,
            _ => self.walk()?.pat,
        }
    }

    /// The memory type that it has in effect.
    pub fn memory_type(&self) -> Option<MemoryType> {
        match &self.what {
            What::Access(access) => access.memory_type,
            _ => Some(self.walk()?.memory_type),
        }
    }

    /// The announced mapping that the operand is in, or that comes or goes.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.what {
            What::Access(AccessView { mapping, .. })
            | What::NotEmulated { mapping, .. }
            | What::Map { mapping, .. }
            | What::Unmap { mapping, .. } => mapping.as_deref(),
            _ => None,
        }
    }

    /// The process whose code it is, if the guest told whose address space it was in.
    pub fn process(&self) -> Option<&Process> {
        match &self.what {
            What::Access(AccessView { process, .. }) | What::NotEmulated { process, .. } => {
                process.as_deref()
            }
            _ => None,
        }
    }
}
