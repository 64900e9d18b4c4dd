//! Who made an access: instruction, page walk, memory type, and which executed instruction it belongs to.
//!
//! What the guest's memory and registers say is read at each access. The ids that it has are looked up under a lock
//! when it is new, or when something that decides about ids has changed since; else the vCPU has them at hand.

use barscope_trace::WriteError;
use barscope_trace::event::Id;
use barscope_x86::{
    Instances, Located, Locator, MemoryExit, MemoryTypes, Operand, PageWalk, Registers, TypesOfPage,
    read_virtual,
};

use super::recent_walks::RecentWalks;
use super::stacks::Stacks;
use crate::dispatch::Origin;
use crate::interned::{SharedInterned, Unless};
use crate::memory::GuestMemory;
use crate::shared::StackCount;

/// What a vCPU remembers from access to access to tell whose each one is.
pub struct Tracker {
    pub(super) locator: Locator<Note>,
    pub(super) memory_types: MemoryTypes,
    walks: RecentWalks,
    stacks: Stacks,
    instances: Instances<Origin>,
}

/// An instruction's id, noted beside it.
#[derive(Default)]
pub struct Note(Option<Noted>);

struct Noted {
    epoch: u64,
    cpl: u8,
    unless: Unless,
    id: Id,
}

impl Note {
    /// Notes what was looked up in this epoch. An id that there was no room for is no id to keep.
    fn keep(&mut self, epoch: u64, registers: &Registers, unless: Unless, id: Id) {
        self.0 = (id != 0).then(|| Noted { epoch, cpl: registers.cpl(), unless, id });
    }

    /// The id, if it would be the same when it was looked up now.
    fn id(&self, epoch: u64, memory: &GuestMemory, registers: &Registers) -> Option<Id> {
        let noted = self.0.as_ref().filter(|noted| noted.epoch == epoch && noted.cpl == registers.cpl())?;
        let read = |address, data: &mut [u8]| read_virtual(memory, registers, address, data) == data.len();
        let holds = match &noted.unless {
            Unless::Nothing => true,
            Unless::Module(unchanged) => unchanged.holds(&read),
            Unless::Anything => false,
        };
        holds.then_some(noted.id)
    }
}

/// The ids of a memory access.
struct Ids {
    types: TypesOfPage,
    walk: Id,
    instruction: Id,
    stack: Id,
}

impl Tracker {
    /// For the vCPU with this number, which has accessed nothing yet.
    pub fn new(vcpu: u8, memory_types: MemoryTypes) -> Self {
        Self {
            locator: Locator::default(),
            memory_types,
            walks: RecentWalks::default(),
            stacks: Stacks::new(vcpu),
            instances: Instances::default(),
        }
    }

    /// What memory types come from now.
    pub fn into_memory_types(self) -> MemoryTypes {
        self.memory_types
    }

    /// How many call stacks were taken so far.
    pub fn stacks(&self) -> StackCount {
        self.stacks.count()
    }

    /// The guest wrote a model-specific register, which may be one that memory types come from.
    pub fn write_msr(&mut self, index: u32, data: u64) {
        self.memory_types.write(index, data);
        self.walks.clear();
    }

    /// Who made the memory access of an exit.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn memory(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
        exit: &MemoryExit,
    ) -> Result<Origin, WriteError> {
        if let Some(origin) = self.instances.second_half(registers, exit) {
            return Ok(origin);
        }
        let stack = self.stacks.id(memory, interned, registers)?;
        match self.known(memory, interned, registers, exit, stack) {
            Some(origin) => Ok(origin),
            None => self.looked_up(memory, interned, registers, exit, stack),
        }
    }

    /// The same for an access whose ids are at hand.
    fn known(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
        exit: &MemoryExit,
        stack: Id,
    ) -> Option<Origin> {
        let epoch = interned.epoch().now();
        let (located, operand, note) = self.locator.known(memory, registers, exit)?;
        let instruction = note.id(epoch, memory, registers)?;
        let (types, walk) = self.walks.get(epoch, &operand.walk, exit.address)?;
        let ids = Ids { types, walk, instruction, stack };
        Some(resolved(&mut self.instances, registers, exit, located, &operand, &ids))
    }

    /// The same for an access whose ids have to be looked up, but for its stack's.
    fn looked_up(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
        exit: &MemoryExit,
        stack: Id,
    ) -> Result<Origin, WriteError> {
        let mut interned = interned.lock();
        let unless = interned.code.notice_modules(memory, registers)?;
        let Some((located, operand)) = self.locator.locate(memory, registers, interned.code.images(), exit)
        else {
            return Ok(Origin { stack, ..self.unresolved(registers) });
        };
        let walk = &operand.walk;
        let types = self.memory_types.of(walk, exit.address);
        let ids = Ids {
            types,
            walk: interned.address_spaces.walk(walk, types)?,
            instruction: interned.code.instruction(registers.address_space(), &located)?,
            stack,
        };
        let epoch = interned.epoch().now();
        drop(interned);
        self.walks.keep(epoch, walk, exit.address, types, ids.walk);
        if let Some(note) = self.locator.note(registers, exit.written.is_some(), &located) {
            note.keep(epoch, registers, unless, ids.instruction);
        }
        Ok(resolved(&mut self.instances, registers, exit, &located, &operand, &ids))
    }

    /// Who made a port access, which carries no address that a page walk could explain. KVM leaves RIP on
    /// the instruction or past it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn port(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
        write: bool,
    ) -> Result<Origin, WriteError> {
        let stack = self.stacks.id(memory, interned, registers)?;
        let origin = Origin { stack, ..self.unresolved(registers) };
        let epoch = interned.epoch().now();
        let known = self.locator.known_port(memory, registers, write);
        if let Some(instruction) = known.and_then(|(_, note)| note.id(epoch, memory, registers)) {
            return Ok(Origin { instruction, ..origin });
        }
        let Some(located) = self.locator.port(memory, registers, write) else { return Ok(origin) };
        let mut interned = interned.lock();
        let unless = interned.code.notice_modules(memory, registers)?;
        let instruction = interned.code.instruction(registers.address_space(), &located)?;
        if let Some(note) = self.locator.port_note(registers, write) {
            note.keep(interned.epoch().now(), registers, unless, instruction);
        }
        Ok(Origin { instruction, ..origin })
    }

    /// Who could not make an access: the instruction at RIP, whose operand the walk leads to, if it is known.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn not_emulated(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
        located: &Located,
        found: Option<&(PageWalk, u64)>,
    ) -> Result<Origin, WriteError> {
        let stack = self.stacks.id(memory, interned, registers)?;
        let mut origin = Origin { stack, ..self.unresolved(registers) };
        let mut interned = interned.lock();
        interned.code.notice_modules(memory, registers)?;
        if let Some((walk, address)) = found {
            origin.walk = interned.address_spaces.walk(walk, self.memory_types.of(walk, *address))?;
        }
        origin.instruction = interned.code.instruction(registers.address_space(), located)?;
        Ok(origin)
    }

    fn unresolved(&mut self, registers: &Registers) -> Origin {
        let instance = self.instances.unresolved();
        Origin { cpl: registers.cpl(), instance, ..Default::default() }
    }
}

/// Who made an access of which everything is known.
fn resolved(
    instances: &mut Instances<Origin>,
    registers: &Registers,
    exit: &MemoryExit,
    located: &Located,
    operand: &Operand,
    ids: &Ids,
) -> Origin {
    let origin = Origin {
        cpl: registers.cpl(),
        walk: ids.walk,
        pat: ids.types.pat,
        effective: Some(ids.types.effective),
        instruction: ids.instruction,
        instance: instances.resolved(registers, exit, located, operand),
        fragment: u8::try_from(operand.offset).unwrap_or(u8::MAX),
        read_modify_write: operand.read_modify_write,
        coalesced: false,
        stack: ids.stack,
    };
    instances.keep(exit, located, operand, origin);
    origin
}

#[cfg(test)]
mod tests;
