//! Stacks that a vCPU had lately, with their ids: at the same instruction and stack pointer it has the same one as long as
//! the words hold what they held that led from one frame to the next, and those that say which task is at work.

use barscope_trace::event::Id;
use barscope_x86::{PhysicalMemory, Registers};

use crate::space::Space;
use crate::stack::{Depends, Followed};

/// How many are kept. Two that share a place take turns there. A kernel that shifts its stack at random at each system call,
/// as Debian's do, makes 16 out of one.
const PLACES: usize = 1024;

/// The stacks.
pub struct Recent(Vec<Option<Kept>>);

struct Kept {
    epoch: u64,
    key: Key,
    /// The frame pointer, if it matters.
    rbp: Option<u64>,
    loads: Box<[(u64, u64)]>,
    id: Id,
}

/// What a stack is looked for by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    rip: u64,
    rsp: u64,
    cr3: u64,
    cpl: u8,
}

impl Key {
    fn of(registers: &Registers) -> Self {
        Self { rip: registers.rip, rsp: registers.rsp, cr3: registers.cr3, cpl: registers.cpl() }
    }

    fn place(self) -> usize {
        let mixed = (self.rip ^ self.rsp.rotate_left(20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 48) as usize % PLACES
    }
}

impl Default for Recent {
    /// None yet.
    fn default() -> Self {
        Self(std::iter::repeat_with(|| None).take(PLACES).collect())
    }
}

impl Recent {
    /// The id of the stack of a vCPU, if it had it before in this epoch and nothing says otherwise.
    #[inline]
    pub fn get<M: PhysicalMemory>(&self, epoch: u64, space: &Space<'_, M>) -> Option<Id> {
        let registers = space.registers();
        let key = Key::of(registers);
        let kept = self.0[key.place()].as_ref().filter(|kept| kept.key == key && kept.epoch == epoch)?;
        let is_same = kept.rbp.is_none_or(|rbp| rbp == registers.rbp)
            && kept.loads.iter().all(|(address, word)| space.word(*address) == Some(*word));
        is_same.then_some(kept.id)
    }

    /// Keeps a stack that was followed in this epoch. An id that there was no room for is no id to keep.
    pub fn keep(&mut self, epoch: u64, registers: &Registers, followed: Followed, id: Id) {
        if id == 0 || followed.depends == Depends::More {
            return;
        }
        let key = Key::of(registers);
        let rbp = (followed.depends == Depends::Rbp).then_some(registers.rbp);
        self.0[key.place()] = Some(Kept { epoch, key, rbp, loads: followed.loads.into(), id });
    }
}

#[cfg(test)]
mod tests;
