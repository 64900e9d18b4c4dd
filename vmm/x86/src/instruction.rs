//! Which instruction made an exit, and which byte of its memory operand.
//!
//! An exit for a read leaves RIP on its instruction. One for a write leaves RIP past it, so that the
//! store is found by decoding backwards: a candidate counts only if its effective address walks to the
//! exit's physical address, and its width and value fit. A repeated string store leaves RIP on itself.

mod known;

use barscope_trace::event::MemoryOperand;
use iced_x86::{
    Code, CodeSize, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, MemorySize, Mnemonic,
    OpAccess, OpKind, UsedMemory,
};

use self::known::Known;
use crate::memory::PhysicalMemory;
use crate::registers::Registers;
use crate::walk::{PageWalk, read_virtual, walk};

/// The longest x86 instruction in bytes.
pub const MAX_LENGTH: usize = 15;

/// What reads a port, and what writes one.
const PORT_READS: [Mnemonic; 4] = [Mnemonic::In, Mnemonic::Insb, Mnemonic::Insw, Mnemonic::Insd];
const PORT_WRITES: [Mnemonic; 4] = [Mnemonic::Out, Mnemonic::Outsb, Mnemonic::Outsw, Mnemonic::Outsd];

/// What an exit says about the access.
#[derive(Clone, Copy, Debug)]
pub struct MemoryExit {
    /// Guest physical address.
    pub address: u64,
    /// Size in bytes.
    pub size: u8,
    /// The value, for a write.
    pub written: Option<u64>,
}

/// An instruction in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    /// Its bytes; the first `decoded.len()` are used.
    bytes: [u8; MAX_LENGTH],
    /// It, decoded; its IP is its address.
    pub decoded: Instruction,
    /// More than one candidate fitted and nothing could tell them apart.
    pub ambiguous: bool,
}

impl Located {
    /// Its encoding.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.decoded.len()]
    }

    /// Width of the code that it is part of: 16, 32 or 64 bits.
    #[inline]
    pub fn code_size(&self) -> u8 {
        match self.decoded.code_size() {
            CodeSize::Code16 => 16,
            CodeSize::Code32 => 32,
            CodeSize::Code64 | CodeSize::Unknown => 64,
        }
    }
}

/// The part of an instruction's memory operand that an exit carries.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The walk of the page that the part lies in.
    pub walk: PageWalk,
    /// Offset of the part within the operand, in bytes.
    pub offset: u64,
    /// The instruction reads the operand and then writes it.
    pub read_modify_write: bool,
}

/// A memory operand of an instruction, and where it leads.
pub struct Reached {
    /// What the instruction does with it.
    pub operand: MemoryOperand,
    /// The walk to each page that it lies in, with the physical address of its first byte there, as far as
    /// they succeed.
    pub pages: Vec<(PageWalk, u64)>,
}

/// Where functions start: what tells two candidates apart.
pub trait FunctionStarts {
    /// Start of the function that holds `rip` in address space `cr3`.
    fn function_start(&self, cr3: u64, rip: u64) -> Option<u64>;
}

/// Finds instructions, and remembers the ones that it found, each with a note of its user's.
pub struct Locator<N> {
    info: InstructionInfoFactory,
    known: Known<N>,
}

impl<N> Default for Locator<N> {
    /// One that has seen nothing yet.
    fn default() -> Self {
        Self { info: InstructionInfoFactory::new(), known: Known::default() }
    }
}

impl<N: Default> Locator<N> {
    /// What [`Locator::locate`] gives, if the instruction is remembered, and what is noted beside it.
    #[inline]
    pub fn known(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        exit: &MemoryExit,
    ) -> Option<(&Located, Operand, &mut N)> {
        self.known.memory(memory, registers, exit)
    }

    /// The instruction that made `exit`, and the part of its operand. `None` if nothing fits.
    pub fn locate(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        functions: &dyn FunctionStarts,
        exit: &MemoryExit,
    ) -> Option<(Located, Operand)> {
        if let Some((located, operand, _)) = self.known.memory(memory, registers, exit) {
            return Some((*located, operand));
        }
        let (located, operand) = self.search(memory, registers, functions, exit)?;
        // Symbols that come later may tell candidates apart.
        if !located.ambiguous {
            let operands = self.info.info(&located.decoded).used_memory();
            self.known.remember(registers, exit.written.is_some(), located, operands);
        }
        Some((located, operand))
    }

    /// Where to note something beside the instruction that [`Locator::locate`] gave for an exit here; `None` if it isn't
    /// remembered.
    pub fn note(&mut self, registers: &Registers, write: bool, located: &Located) -> Option<&mut N> {
        self.known.note(registers, write).filter(|_| !located.ambiguous)
    }

    /// The instruction at RIP.
    pub fn at_rip(&self, memory: &impl PhysicalMemory, registers: &Registers) -> Option<Located> {
        decode_at(memory, registers, registers.linear_rip())
    }

    /// What [`Locator::port`] gives, if the instruction is remembered, and what is noted beside it.
    pub fn known_port(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        write: bool,
    ) -> Option<(&Located, &mut N)> {
        self.known.port(memory, registers, write)
    }

    /// Where to note something beside the instruction that [`Locator::port`] gave for an access here; `None` if it isn't
    /// remembered.
    pub fn port_note(&mut self, registers: &Registers, write: bool) -> Option<&mut N> {
        self.known.port_note(registers, write)
    }

    /// The instruction that wrote or read a port: at RIP or, where KVM has moved RIP past it, right before
    /// it.
    pub fn port(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        write: bool,
    ) -> Option<Located> {
        if let Some((located, _)) = self.known.port(memory, registers, write) {
            return Some(*located);
        }
        let rip = registers.linear_rip();
        let wanted = if write { PORT_WRITES } else { PORT_READS };
        let is_port = |located: &Located| wanted.contains(&located.decoded.mnemonic());
        let at = decode_at(memory, registers, rip).filter(is_port);
        // `in` and `out` by DX are one byte long, two with an operand-size prefix or an immediate port.
        let before = (1..=known::BEFORE).rev().find_map(|length| {
            decode_at(memory, registers, rip.wrapping_sub(length as u64))
                .filter(|located| located.decoded.len() == length && is_port(located))
        });
        let ambiguous = at.is_some() && before.is_some();
        let located = Located { ambiguous, ..at.or(before)? };
        self.known.remember_port(memory, registers, write, located);
        Some(located)
    }

    /// The memory operands of the instruction, whatever it does with them.
    pub fn operands(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        instruction: &Instruction,
    ) -> Vec<Reached> {
        let used = self.info.info(instruction).used_memory();
        let directed = used.iter().filter_map(|used| Some((used, directions(used.access())?)));
        let reached = directed.map(|(used, (reads, writes))| {
            let size = match used.memory_size() {
                MemorySize::Unknown => instruction.memory_size().size(),
                known => known.size(),
            };
            let address = used.virtual_address(0, |register, _, _| registers.value(register));
            let size = u8::try_from(size).unwrap_or(0);
            let last = address.map(|first| first.wrapping_add(u64::from(size.max(1)) - 1));
            let second_page = last.map(|last| last & !0xfff).filter(|page| Some(*page) > address);
            let walks = [address, second_page].into_iter().flatten().filter_map(|address| {
                walk(memory, registers, address).map(|walk| (walk, walk.translate(address)))
            });
            Reached { operand: MemoryOperand { reads, writes, size }, pages: walks.collect() }
        });
        reached.collect()
    }

    fn search(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        functions: &dyn FunctionStarts,
        exit: &MemoryExit,
    ) -> Option<(Located, Operand)> {
        let at_rip = decode_at(memory, registers, registers.linear_rip());
        if let Some(located) = at_rip
            && (exit.written.is_none() || is_repeated(&located.decoded))
            && let Some(operand) = self.operand(memory, registers, exit, &located.decoded)
        {
            return Some((located, operand));
        }
        exit.written?;
        let mut candidates = self.backwards(memory, registers, exit);
        if candidates.len() > 1
            && let Some(start) = before(memory, registers, functions)
        {
            candidates.retain(|(located, _)| located.decoded.ip() == start);
        }
        let ambiguous = candidates.len() > 1;
        // The longest one: what looks like a shorter one is mostly its tail.
        let (mut located, operand) = candidates.pop()?;
        located.ambiguous = ambiguous;
        Some((located, operand))
    }

    /// Every instruction that ends at RIP and could have made the write, shortest first.
    fn backwards(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        exit: &MemoryExit,
    ) -> Vec<(Located, Operand)> {
        let end = registers.linear_rip();
        let mut candidates = Vec::new();
        for length in 1..=MAX_LENGTH {
            let Some(located) = decode_at(memory, registers, end.wrapping_sub(length as u64)) else {
                continue;
            };
            if located.decoded.len() == length
                && let Some(operand) = self.operand(memory, registers, exit, &located.decoded)
            {
                candidates.push((located, operand));
            }
        }
        candidates
    }

    /// The part of one of `instruction`'s memory operands that `exit` carries.
    fn operand(
        &mut self,
        memory: &impl PhysicalMemory,
        registers: &Registers,
        exit: &MemoryExit,
        instruction: &Instruction,
    ) -> Option<Operand> {
        let operands = self.info.info(instruction).used_memory();
        matching(memory, registers, exit, instruction, operands)
    }
}

/// The part of one of `operands`, which are those of `instruction`, that `exit` carries.
#[inline]
fn matching(
    memory: &impl PhysicalMemory,
    registers: &Registers,
    exit: &MemoryExit,
    instruction: &Instruction,
    operands: &[UsedMemory],
) -> Option<Operand> {
    for used in operands {
        let Some((reads, writes)) = directions(used.access()) else { continue };
        if (exit.written.is_some() && !writes) || (exit.written.is_none() && !reads) {
            continue;
        }
        let size = match used.memory_size() {
            // That of all elements together, where the instruction repeats; this is the size of one.
            MemorySize::Unknown => instruction.memory_size(),
            known => known,
        };
        let length = size.size() as u64;
        let address = used.virtual_address(0, |register, _, _| registers.value(register));
        let Some(address) = address else { continue };
        for start in moved(instruction, exit, address, length) {
            let Some((walk, offset)) = part(memory, registers, start, length, exit) else { continue };
            if value_fits(registers, instruction, exit, offset) {
                return Some(Operand { walk, offset, read_modify_write: reads && writes });
            }
        }
    }
    None
}

/// Whether an operand is read and whether it is written; `None` if neither (`lea`, prefetch).
#[inline]
fn directions(access: OpAccess) -> Option<(bool, bool)> {
    match access {
        OpAccess::Read | OpAccess::CondRead => Some((true, false)),
        OpAccess::Write | OpAccess::CondWrite => Some((false, true)),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Some((true, true)),
        _ => None,
    }
}

/// Where the operand may have started: a string or stack instruction that is over has moved its address
/// register by one element already.
#[inline]
fn moved(
    instruction: &Instruction,
    exit: &MemoryExit,
    address: u64,
    length: u64,
) -> impl Iterator<Item = u64> + use<> {
    let may_move =
        exit.written.is_some() && (instruction.is_string_instruction() || instruction.is_stack_instruction());
    let others = [address.wrapping_sub(length), address.wrapping_add(length)];
    std::iter::once(address).chain(others.into_iter().filter(move |_| may_move))
}

/// The walk and the offset of the exit's part in an operand of `length` bytes at virtual `start`.
#[inline]
fn part(
    memory: &impl PhysicalMemory,
    registers: &Registers,
    start: u64,
    length: u64,
    exit: &MemoryExit,
) -> Option<(PageWalk, u64)> {
    // KVM cuts an operand where a page of 4 KiB ends, also inside a larger one, and hands each piece
    // over from its start on, 8 bytes at a time.
    let cut = length.min(0x1000 - (start & 0xfff));
    [(0, cut), (cut, length)].into_iter().find_map(|(piece, end)| {
        let at = start.wrapping_add(piece);
        let walk = walk(memory, registers, at)?;
        let done = exit.address.checked_sub(walk.translate(at))?;
        let rest = (end - piece).checked_sub(done)?;
        let fits = done.is_multiple_of(8) && u64::from(exit.size) == rest.min(8);
        fits.then_some((walk, piece + done))
    })
}

/// Whether a plain store's source still holds the value that was written; true for all others.
#[inline]
fn value_fits(registers: &Registers, instruction: &Instruction, exit: &MemoryExit, offset: u64) -> bool {
    let Some(written) = exit.written else { return true };
    if instruction.op_count() != 2 || instruction.mnemonic() != Mnemonic::Mov {
        return true;
    }
    let source = match instruction.op1_kind() {
        // A segment register's value here is its base; stored is its selector.
        OpKind::Register if instruction.op1_register().is_segment_register() => None,
        OpKind::Register => registers.value(instruction.op1_register()),
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate32to64 => Some(instruction.immediate(1)),
        _ => None,
    };
    let mask = u64::MAX >> (64 - 8 * u32::from(exit.size.clamp(1, 8)));
    source.is_none_or(|source| source.checked_shr(8 * offset as u32).unwrap_or(0) & mask == written & mask)
}

fn is_repeated(instruction: &Instruction) -> bool {
    instruction.has_rep_prefix() || instruction.has_repne_prefix()
}

/// Start of the instruction before RIP, decoding forwards from where the function starts.
fn before(
    memory: &impl PhysicalMemory,
    registers: &Registers,
    functions: &dyn FunctionStarts,
) -> Option<u64> {
    /// No function of that many bytes is decoded for one access.
    const LIMIT: u64 = 1 << 16;
    let end = registers.linear_rip();
    let start = functions.function_start(registers.address_space(), end.wrapping_sub(1))?;
    let length = end.checked_sub(start).filter(|length| *length <= LIMIT)?;
    let mut code = vec![0; usize::try_from(length).ok()?];
    if read_virtual(memory, registers, start, &mut code) < code.len() {
        return None;
    }
    let decoder = Decoder::with_ip(registers.bitness(), &code, start, DecoderOptions::NONE);
    decoder.into_iter().find(|instruction| instruction.next_ip() == end).map(|instruction| instruction.ip())
}

/// The instruction at `address`. `None` if it isn't mapped or isn't one.
fn decode_at(memory: &impl PhysicalMemory, registers: &Registers, address: u64) -> Option<Located> {
    let mut bytes = [0; MAX_LENGTH];
    let got = read_virtual(memory, registers, address, &mut bytes);
    let mut decoder = Decoder::with_ip(registers.bitness(), &bytes[..got], address, DecoderOptions::NONE);
    let decoded = decoder.decode();
    (decoded.code() != Code::INVALID).then_some(Located { bytes, decoded, ambiguous: false })
}

#[cfg(test)]
mod tests;
