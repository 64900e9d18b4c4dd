//! Instructions that made an exit before, with what is noted beside each. One counts only as long as guest memory holds
//! it: code may be patched, and its page mapped elsewhere.

use iced_x86::UsedMemory;
use rustc_hash::FxHashMap;

use super::{Located, MAX_LENGTH, MemoryExit, Operand, matching};
use crate::memory::PhysicalMemory;
use crate::registers::Registers;
use crate::walk::read_virtual;

/// How many instructions are remembered: the guest decides how many there are.
const REMEMBERED: usize = 1 << 14;

/// The most bytes of a port instruction that may lie before RIP.
pub(super) const BEFORE: usize = 2;

/// Address space, RIP at the exit, and whether it was for a write.
type Key = (u64, u64, bool);

/// The bytes that a port instruction is found in: from [`BEFORE`] bytes before RIP on.
type Window = [u8; BEFORE + MAX_LENGTH];

/// What was found at exits, by where they were.
pub(super) struct Known<N> {
    memory: FxHashMap<Key, Accessor<N>>,
    ports: FxHashMap<Key, PortAccessor<N>>,
}

/// An instruction that accessed memory, and its operands there.
struct Accessor<N> {
    located: Located,
    operands: Vec<UsedMemory>,
    note: N,
}

/// An instruction that accessed a port, in code of this width in bits.
struct PortAccessor<N> {
    window: Window,
    bitness: u32,
    located: Located,
    note: N,
}

impl<N> Default for Known<N> {
    fn default() -> Self {
        Self { memory: FxHashMap::default(), ports: FxHashMap::default() }
    }
}

impl<N: Default> Known<N> {
    /// What made `exit`, and the part of its operand.
    #[inline]
    pub(super) fn memory(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        exit: &MemoryExit,
    ) -> Option<(&Located, Operand, &mut N)> {
        let key = key(registers, exit.written.is_some());
        let Accessor { located, operands, note } = self.memory.get_mut(&key)?;
        if !unchanged(memory, registers, located) {
            return None;
        }
        let operand = matching(memory, registers, exit, &located.decoded, operands)?;
        Some((located, operand, note))
    }

    /// Remembers an instruction, with nothing noted.
    pub(super) fn remember(
        &mut self,
        registers: &Registers,
        write: bool,
        located: Located,
        operands: &[UsedMemory],
    ) {
        let accessor = Accessor { located, operands: operands.to_vec(), note: N::default() };
        insert(&mut self.memory, key(registers, write), accessor);
    }

    /// What is noted beside the instruction that made an exit for memory here, if that is remembered.
    pub(super) fn note(&mut self, registers: &Registers, write: bool) -> Option<&mut N> {
        self.memory.get_mut(&key(registers, write)).map(|accessor| &mut accessor.note)
    }

    /// What accessed a port.
    pub(super) fn port(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        write: bool,
    ) -> Option<(&Located, &mut N)> {
        let known = self.ports.get_mut(&key(registers, write))?;
        let holds = known.bitness == registers.bitness() && window(memory, registers)? == known.window;
        holds.then_some((&known.located, &mut known.note))
    }

    /// Remembers what accessed a port, with nothing noted, unless a part of its surroundings can't be read.
    pub(super) fn remember_port(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        write: bool,
        located: Located,
    ) {
        let Some(window) = window(memory, registers) else {
            self.ports.remove(&key(registers, write));
            return;
        };
        let bitness = registers.bitness();
        let accessor = PortAccessor { window, bitness, located, note: N::default() };
        insert(&mut self.ports, key(registers, write), accessor);
    }

    /// What is noted beside the instruction that accessed a port here, if that is remembered.
    pub(super) fn port_note(&mut self, registers: &Registers, write: bool) -> Option<&mut N> {
        self.ports.get_mut(&key(registers, write)).map(|accessor| &mut accessor.note)
    }
}

fn insert<T>(known: &mut FxHashMap<Key, T>, key: Key, found: T) {
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(key, found);
}

#[inline]
fn key(registers: &Registers, write: bool) -> Key {
    (registers.address_space(), registers.linear_rip(), write)
}

/// Whether guest memory still holds the instruction, for code of the same width.
#[inline]
fn unchanged(memory: &impl PhysicalMemory, registers: &Registers, known: &Located) -> bool {
    let mut bytes = [0; MAX_LENGTH];
    let length = known.decoded.len();
    u32::from(known.code_size()) == registers.bitness()
        && read_virtual(memory, registers, known.decoded.ip(), &mut bytes[..length]) == length
        && bytes[..length] == *known.bytes()
}

fn window(memory: &impl PhysicalMemory, registers: &Registers) -> Option<Window> {
    let mut window = [0; BEFORE + MAX_LENGTH];
    let start = registers.linear_rip().wrapping_sub(BEFORE as u64);
    (read_virtual(memory, registers, start, &mut window) == window.len()).then_some(window)
}
