//! Who made an access: instruction, page walk, memory type, and which executed instruction it belongs to.

use barscope_trace::WriteError;
use barscope_trace::event::Id;

use super::instruction::{Located, Locator, MemoryExit, Operand};
use super::memory_type::MemoryTypes;
use super::registers::Registers;
use super::walk::PageWalk;
use crate::dispatch::Origin;
use crate::shared::Shared;

/// What a vCPU remembers from access to access to tell whose each one is.
pub struct Tracker {
    pub(super) locator: Locator,
    pub(super) memory_types: MemoryTypes,
    /// Executed instructions that accessed devices.
    instances: u32,
    last: Option<Last>,
    /// A read-modify-write instruction that has read and not yet written.
    half_done: Option<HalfDone>,
}

/// The access before.
#[derive(Clone, Copy)]
struct Last {
    rip: u64,
    /// Offset in the operand where the next part would start.
    next_offset: u64,
    rcx: u64,
    write: bool,
}

#[derive(Clone, Copy)]
struct HalfDone {
    next_rip: u64,
    exit: MemoryExit,
    origin: Origin,
}

impl Tracker {
    /// For a vCPU that has accessed nothing yet.
    pub fn new(memory_types: MemoryTypes) -> Self {
        Self { locator: Locator::new(), memory_types, instances: 0, last: None, half_done: None }
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
        if let Some(origin) = self.second_half(registers, exit) {
            return Ok(origin);
        }
        let mut interned = shared.interned();
        interned.notice_modules(&shared.memory, registers)?;
        let found = self.locator.locate(&shared.memory, registers, &interned.images, exit);
        let Some((located, operand)) = found else {
            return Ok(self.unresolved(registers));
        };
        let walk = &operand.walk;
        let types = self.memory_types.of(walk, exit.address);
        let walk_id = interned.walk(walk, types)?;
        let instruction = interned.instruction(registers.address_space(), &located)?;
        drop(interned);
        let origin = self.resolved(registers, exit, &located, &operand, walk_id, instruction);
        let origin = Origin { pat: types.pat, effective: Some(types.effective), ..origin };
        if operand.read_modify_write && exit.written.is_none() {
            self.half_done = Some(HalfDone { next_rip: located.decoded.next_ip(), exit: *exit, origin });
        }
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
        interned.notice_modules(&shared.memory, registers)?;
        origin.instruction = interned.instruction(registers.address_space(), &located)?;
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
        interned.notice_modules(&shared.memory, registers)?;
        if let Some((walk, address)) = found {
            origin.walk = interned.walk(walk, self.memory_types.of(walk, *address))?;
        }
        origin.instruction = interned.instruction(registers.address_space(), located)?;
        Ok(origin)
    }

    fn unresolved(&mut self, registers: &Registers) -> Origin {
        self.last = None;
        self.instances = self.instances.wrapping_add(1);
        Origin { cpl: registers.cpl(), instance: self.instances, ..Default::default() }
    }

    fn resolved(
        &mut self,
        registers: &Registers,
        exit: &MemoryExit,
        located: &Located,
        operand: &Operand,
        walk: Id,
        instruction: Id,
    ) -> Origin {
        let rip = located.decoded.ip();
        let rcx = registers.general.rcx;
        let write = exit.written.is_some();
        let continues = self.last.is_some_and(|last| {
            let next_part = operand.offset > 0 && last.next_offset == operand.offset;
            let turns = last.write != write;
            // A copy counts RCX down after its write, so that its next read finds RCX as the write did.
            let next_element =
                located.decoded.has_rep_prefix() && (rcx < last.rcx || (rcx == last.rcx && turns && !write));
            let copies = located.decoded.is_string_instruction();
            let writes_back = (operand.read_modify_write || copies) && turns && write;
            last.rip == rip && (next_part || next_element || writes_back)
        });
        if !continues {
            self.instances = self.instances.wrapping_add(1);
        }
        self.last = Some(Last { rip, next_offset: operand.offset + u64::from(exit.size), rcx, write });
        Origin {
            cpl: registers.cpl(),
            walk,
            pat: None,
            effective: None,
            instruction,
            instance: self.instances,
            fragment: u8::try_from(operand.offset).unwrap_or(u8::MAX),
            read_modify_write: operand.read_modify_write,
            coalesced: false,
        }
    }

    /// The write of an instruction whose read came before: its registers may be overwritten by now, so
    /// nothing is looked up again.
    fn second_half(&mut self, registers: &Registers, exit: &MemoryExit) -> Option<Origin> {
        let half = self.half_done.take()?;
        let fits = exit.written.is_some()
            && exit.address == half.exit.address
            && exit.size == half.exit.size
            && registers.linear_rip() == half.next_rip;
        fits.then_some(half.origin)
    }
}

#[cfg(test)]
mod tests;
