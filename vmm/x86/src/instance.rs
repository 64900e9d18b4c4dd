//! Which executed instruction an access belongs to.

use crate::instruction::{Located, MemoryExit, Operand};
use crate::registers::Registers;

/// Counts the instructions that a vCPU executed and that accessed devices: accesses that one of them made have its
/// number. `T` is what is known of who made an access.
pub struct Instances<T> {
    count: u32,
    last: Option<Last>,
    /// A read-modify-write instruction that has read and not yet written.
    half_done: Option<HalfDone<T>>,
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
struct HalfDone<T> {
    next_rip: u64,
    exit: MemoryExit,
    origin: T,
}

impl<T> Default for Instances<T> {
    fn default() -> Self {
        Self { count: 0, last: None, half_done: None }
    }
}

impl<T> Instances<T> {
    /// The number of an instruction that made one access, as far as is known.
    pub fn unresolved(&mut self) -> u32 {
        self.last = None;
        self.count = self.count.wrapping_add(1);
        self.count
    }

    /// The number of the instruction that made `exit`: that of the access before if it goes on.
    #[inline]
    pub fn resolved(
        &mut self,
        registers: &Registers,
        exit: &MemoryExit,
        located: &Located,
        operand: &Operand,
    ) -> u32 {
        let rip = located.decoded.ip();
        let rcx = registers.rcx;
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
            self.count = self.count.wrapping_add(1);
        }
        self.last = Some(Last { rip, next_offset: operand.offset + u64::from(exit.size), rcx, write });
        self.count
    }

    /// Keeps who made a read, if its instruction writes back what it read.
    #[inline]
    pub fn keep(&mut self, exit: &MemoryExit, located: &Located, operand: &Operand, origin: T) {
        if operand.read_modify_write && exit.written.is_none() {
            self.half_done = Some(HalfDone { next_rip: located.decoded.next_ip(), exit: *exit, origin });
        }
    }

    /// Who made the write of an instruction whose read came before: its registers may be overwritten by now, so
    /// nothing is looked up again.
    #[inline]
    pub fn second_half(&mut self, registers: &Registers, exit: &MemoryExit) -> Option<T> {
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
