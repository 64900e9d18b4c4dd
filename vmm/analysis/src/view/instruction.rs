//! What accesses have in common with instructions that KVM could not emulate, and with page walks that somebody asked
//! for: the code, its ring, the address and how that is mapped.

use barscope_trace::definition::{Mapping, MemoryType, Path, Process, Walk};
use barscope_trace::event::{EventKind, Outcome, Role, Target};

use super::{Place, View};
use crate::code::{Call, Callers, Code, Made, all_calls, own_calls};

impl View {
    /// Privilege level of the instruction that it is about, 0 to 3; an access that no processor made has none.
    pub fn cpl(&self) -> Option<u8> {
        match self.kind {
            EventKind::Access(access) => self.vcpu.map(|_| access.cpl),
            EventKind::NotEmulated { cpl, .. } | EventKind::PageWalk { cpl, .. } => Some(cpl),
            _ => None,
        }
    }

    /// The instruction that it is about.
    pub fn code(&self) -> Option<&Code> {
        self.code.as_deref()
    }

    /// The page walk of that instruction's operand.
    pub fn walk(&self) -> Option<&Walk> {
        self.walk.as_deref()
    }

    /// Where in a device it is: what was accessed, or would have been, or changed, or rang.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether it is about a place in a device, or a device, and the trace doesn't tell which: an instruction that
    /// wasn't emulated may lead anywhere, and the definition of a route may be missing.
    pub fn place_is_open(&self) -> bool {
        match self.kind {
            EventKind::Access(access) => self.place.is_none() && access.outcome != Outcome::Unclaimed,
            // Memory is no device's.
            EventKind::PageWalk { route: 0, .. } => false,
            kind => self.place.is_none() && self.route.is_none() && kind.kind().has(Role::Route),
        }
    }

    /// Guest physical address of the operand's first byte that a device decodes.
    pub fn gpa(&self) -> Option<u64> {
        match self.kind {
            EventKind::Access(access) => match access.target {
                Target::Memory(address) => Some(address),
                Target::Port { .. } => None,
            },
            EventKind::NotEmulated { gpa, .. } | EventKind::PageWalk { gpa, .. } => gpa,
            _ => None,
        }
    }

    /// The same byte's guest virtual address.
    pub fn gva(&self) -> Option<u64> {
        if let EventKind::PageWalk { address, .. } = self.kind {
            return Some(address);
        }
        Some(self.walk()?.virtual_address(self.gpa()?))
    }

    /// How that address came to lead to a device; for a mapping that comes or goes, what made it.
    pub fn path(&self) -> Option<Path> {
        match self.kind {
            EventKind::Access(_) | EventKind::NotEmulated { .. } | EventKind::PageWalk { .. } => {
                Some(self.walk().map_or(Path::Unknown, |walk| walk.path))
            }
            _ => Some(self.mapping()?.path),
        }
    }

    /// The memory type that the operand's page asks for through PAT.
    pub fn pat(&self) -> Option<MemoryType> {
        let recorded = self.access().and_then(|access| access.event.pat);
        recorded.or_else(|| self.walk()?.pat)
    }

    /// The memory type that it has in effect.
    pub fn memory_type(&self) -> Option<MemoryType> {
        let recorded = self.access().and_then(|access| access.event.memory_type);
        // A walk that tells no entries tells no more than where the page is.
        recorded.or_else(|| self.walk().filter(|walk| !walk.entries.is_empty()).map(|walk| walk.memory_type))
    }

    /// The announced mapping that the operand is in, or that comes or goes.
    pub fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_deref()
    }

    /// The callers of its code: the call stack, if one was taken.
    pub fn callers(&self) -> Option<&Callers> {
        self.callers.as_deref()
    }

    /// Who made it: the innermost function that is no accessor like `ioread32`, if there is a call stack; the one that
    /// has the code otherwise. `None` if the instruction isn't known.
    pub fn made(&self) -> Option<Made<'_>> {
        Some(Made::new(self.code()?, self.callers()))
    }

    /// All functions on the way to it, from the instruction outwards, with those that were interrupted.
    pub fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.code().into_iter().flat_map(|code| all_calls(code, self.callers()))
    }

    /// Those of them that are its own: none that was interrupted.
    pub(crate) fn own_calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.code().into_iter().flat_map(|code| own_calls(code, self.callers()))
    }

    /// Those from the instruction to the function that made it, and to the one that that is compiled into.
    pub(crate) fn own_calls_to_maker(&self) -> impl Iterator<Item = Call<'_>> {
        let (mut made, mut over) = (false, false);
        self.own_calls().take_while(move |call| {
            let taken = !over;
            made |= !call.accessor;
            over = made && !call.inlined;
            taken
        })
    }

    /// The number of the system call that it is part of, if it is known to be part of one; of an entry into the kernel,
    /// the one that it is.
    pub fn system_call(&self) -> Option<u64> {
        if let EventKind::Count { call, .. } = self.kind {
            return call;
        }
        self.callers()?.system_call()?.filter(|_| self.cpl() == Some(0))
    }

    /// The process that it was made for, in whichever ring: none for what interrupted it. Where no call stack was
    /// taken, the one whose address space it came through, if the guest told whose that is and it came from ring 3. The
    /// process that entered the kernel, faulted, or named a point.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_deref()
    }
}
