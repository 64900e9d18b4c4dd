//! Stacks that a vCPU had lately, with their ids: at the same instruction and stack pointer it has the same one as long as
//! the words hold what they held that led from one frame to the next, and those that say which task is at work.

use std::ops::Range;

use barscope_trace::event::Id;
use barscope_x86::{PhysicalMemory, Registers};

use crate::space::Space;
use crate::stack::{Depends, Followed};

/// How many sets there are, and how many stacks each keeps. A kernel that shifts its stack at random at each system call, as
/// Debian's do, makes 64 out of one.
const SETS: usize = 256;
const WAYS: usize = 4;

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

    /// Where its set is.
    fn set(self) -> Range<usize> {
        let mixed = (self.rip ^ self.rsp.rotate_left(20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let set = (mixed >> 48) as usize % SETS;
        set * WAYS..(set + 1) * WAYS
    }
}

impl Default for Recent {
    /// None yet.
    fn default() -> Self {
        Self(std::iter::repeat_with(|| None).take(SETS * WAYS).collect())
    }
}

impl Recent {
    /// The id of the stack of a vCPU, if it had it before in this epoch and nothing says otherwise.
    #[inline]
    pub fn get<M: PhysicalMemory>(&self, epoch: u64, space: &Space<'_, M>) -> Option<Id> {
        let registers = space.registers();
        let key = Key::of(registers);
        let is_it = |kept: &&Kept| kept.key == key && kept.epoch == epoch;
        let kept = self.0[key.set()].iter().flatten().find(is_it)?;
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
        let set = &mut self.0[key.set()];
        // In its own place, if it has one; else the one that was kept first goes.
        let last = set.iter().position(|kept| kept.as_ref().is_some_and(|kept| kept.key == key));
        set[..=last.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = Some(Kept { epoch, key, rbp, loads: followed.loads.into(), id });
    }
}

#[cfg(test)]
mod tests;
