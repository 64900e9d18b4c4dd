//! Who made an access: instruction, page walk, memory type, and which executed instruction it belongs to.

use barscope_trace::WriteError;
use barscope_x86::{Instances, Located, Locator, MemoryExit, MemoryTypes, PageWalk, Registers};

use crate::dispatch::Origin;
use crate::shared::Shared;

/// What a vCPU remembers from access to access to tell whose each one is.
pub struct Tracker {
    pub(super) locator: Locator,
    pub(super) memory_types: MemoryTypes,
    instances: Instances<Origin>,
}

impl Tracker {
    /// For a vCPU that has accessed nothing yet.
    pub fn new(memory_types: MemoryTypes) -> Self {
        Self { locator: Locator::default(), memory_types, instances: Instances::default() }
    }

    /// Who made the memory access of an exit.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn memory(
        &mut self,
        shared: &Shared,
        registers: &Registers,
        exit: &MemoryExit,
    ) -> Result<Origin, WriteError> {
        if let Some(origin) = self.instances.second_half(registers, exit) {
            return Ok(origin);
        }
        let mut interned = shared.interned();
        interned.code.notice_modules(&shared.memory, registers)?;
        let found = self.locator.locate(&shared.memory, registers, interned.code.images(), exit);
        let Some((located, operand)) = found else {
            return Ok(self.unresolved(registers));
        };
        let walk = &operand.walk;
        let types = self.memory_types.of(walk, exit.address);
        let walk_id = interned.address_spaces.walk(walk, types)?;
        let instruction = interned.code.instruction(registers.address_space(), &located)?;
        drop(interned);
        let origin = Origin {
            cpl: registers.cpl(),
            walk: walk_id,
            pat: types.pat,
            effective: Some(types.effective),
            instruction,
            instance: self.instances.resolved(registers, exit, &located, &operand),
            fragment: u8::try_from(operand.offset).unwrap_or(u8::MAX),
            read_modify_write: operand.read_modify_write,
            coalesced: false,
        };
        self.instances.keep(exit, &located, &operand, origin);
        Ok(origin)
    }

    /// Who made a port access, which carries no address that a page walk could explain. KVM leaves RIP on
    /// the instruction or past it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn port(
        &mut self,
        shared: &Shared,
        registers: &Registers,
        write: bool,
    ) -> Result<Origin, WriteError> {
        let mut origin = self.unresolved(registers);
        let Some(located) = self.locator.port(&shared.memory, registers, write) else { return Ok(origin) };
        let mut interned = shared.interned();
        interned.code.notice_modules(&shared.memory, registers)?;
        origin.instruction = interned.code.instruction(registers.address_space(), &located)?;
        Ok(origin)
    }

    /// Who could not make an access: the instruction at RIP, whose operand the walk leads to, if it is known.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn not_emulated(
        &mut self,
        shared: &Shared,
        registers: &Registers,
        located: &Located,
        found: Option<&(PageWalk, u64)>,
    ) -> Result<Origin, WriteError> {
        let mut origin = self.unresolved(registers);
        let mut interned = shared.interned();
        interned.code.notice_modules(&shared.memory, registers)?;
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
