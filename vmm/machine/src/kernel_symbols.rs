//! What Linux says of itself: its functions, and where its parts of the address space are, which it
//! chooses anew at each boot.

use std::ops::Range;

use barscope_unwind::{Space, Symbols};
use barscope_x86::{PhysicalMemory, Registers};

/// Where 4-level Linux puts them unless it chooses (x86_64 `mm.rst`).
const DIRECT_MAP: u64 = 0xffff_8880_0000_0000;
const VMALLOC: u64 = 0xffff_c900_0000_0000;
/// Size of the space for `vmalloc` and `ioremap` with 4 levels: 32 TiB.
const VMALLOC_SIZE: u64 = 32 << 40;

/// More symbols than any kernel has.
const MOST: usize = 1 << 20;

/// No function is longer: what comes after the last one before a gap belongs to nobody.
const LONGEST: u64 = 1 << 20;

/// The kernel itself is from here on, wherever it was moved to (the same); what is below belongs to each CPU.
const KERNEL_TEXT: u64 = 0xffff_ffff_8000_0000;
/// Where a kernel is moved to is a multiple of this (`CONFIG_PHYSICAL_ALIGN`).
const ALIGNMENT: u64 = 2 << 20;
/// Vectors, and what handles them since Linux 5.8.
const HANDLERS: [(u64, &str); 3] =
    [(6, "asm_exc_invalid_op"), (13, "asm_exc_general_protection"), (14, "asm_exc_page_fault")];

/// Symbols of a kernel that isn't the one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("System.map is of another kernel than the one that runs: its symbols are left out")]
pub struct Stranger;

/// Parts of the kernel's half of every address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spaces {
    /// The linear mapping of physical memory.
    pub direct_map: Range<u64>,
    /// For `vmalloc` and `ioremap`.
    pub ioremap: Range<u64>,
}

impl Default for Spaces {
    fn default() -> Self {
        Self::of_linux(None, None)
    }
}

impl Spaces {
    /// As Linux's variables `page_offset_base` and `vmalloc_base` say it.
    pub fn of_linux(page_offset_base: Option<u64>, vmalloc_base: Option<u64>) -> Self {
        let vmalloc = vmalloc_base.unwrap_or(VMALLOC);
        Self {
            direct_map: page_offset_base.unwrap_or(DIRECT_MAP)..vmalloc,
            ioremap: vmalloc..vmalloc.saturating_add(VMALLOC_SIZE),
        }
    }
}

/// The symbols that matter here, ascending.
pub struct KernelSymbols {
    symbols: Vec<(u64, Kind, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Function,
    Other,
}

impl KernelSymbols {
    /// Takes in lines of `/proc/kallsyms`; what isn't like that is left out.
    pub fn parse(lines: &[u8]) -> Self {
        let text = String::from_utf8_lossy(lines);
        let mut symbols: Vec<_> = text.lines().filter_map(symbol).take(MOST).collect();
        symbols.sort();
        Self { symbols }
    }

    /// Takes in the symbols that a kernel was linked with, where it is now: that follows from what handles its exceptions, by a
    /// vCPU's interrupt descriptor table (Intel SDM volume 3, figure 7-8).
    ///
    /// # Errors
    /// [`Stranger`] if another kernel runs; nothing is taken in then.
    pub fn add_linked<M: PhysicalMemory>(
        &mut self,
        linked: Self,
        memory: &M,
        registers: &Registers,
    ) -> Result<(), Stranger> {
        if linked.symbols.is_empty() {
            return Ok(());
        }
        let space = Space::new(memory, registers);
        let [first, rest @ ..] = HANDLERS.map(|(vector, name)| {
            let gate = registers.idt.wrapping_add(vector * 16);
            let (low, high) = (space.word(gate)?, space.word(gate.wrapping_add(8))?);
            let handler = low & 0xffff | (low >> 48) << 16 | high << 32;
            Some(handler.wrapping_sub(linked.address(name)?)).filter(|moved| moved % ALIGNMENT == 0)
        });
        let moved = first.filter(|_| rest.iter().all(|other| *other == first)).ok_or(Stranger)?;
        let place = |address: u64| if address < KERNEL_TEXT { address } else { address.wrapping_add(moved) };
        self.symbols
            .extend(linked.symbols.into_iter().map(|(address, kind, name)| (place(address), kind, name)));
        self.symbols.sort();
        self.symbols.dedup();
        Ok(())
    }

    /// Start and end of each function.
    pub fn functions(&self) -> Vec<(u64, u64)> {
        self.ranges().map(|(start, end, _)| (start, end)).collect()
    }

    /// The functions as lines for a trace: address and size in hexadecimal, and the name.
    pub fn lines(&self) -> Vec<u8> {
        let line = |(start, end, name): (u64, u64, &str)| format!("{start:016x} {:x} {name}\n", end - start);
        self.ranges().flat_map(|range| line(range).into_bytes()).collect()
    }

    /// Start, end and name of each function: it ends where the next symbol starts, for want of a size,
    /// unless that is far away.
    fn ranges(&self) -> impl Iterator<Item = (u64, u64, &str)> {
        let starts = self.symbols.iter().map(|(address, ..)| *address);
        let all = self.symbols.iter().zip(starts.skip(1).chain([u64::MAX]));
        all.filter(|((start, kind, _), end)| *kind == Kind::Function && start < end)
            .map(|((start, _, name), end)| (*start, end.min(start.saturating_add(LONGEST)), name.as_str()))
    }
}

impl Symbols for KernelSymbols {
    fn addresses(&self, name: &str) -> Vec<u64> {
        self.symbols.iter().filter(|(.., known)| known == name).map(|(address, ..)| *address).collect()
    }

    fn each_function(&self, each: &mut dyn FnMut(Range<u64>, &str)) {
        self.ranges().for_each(|(start, end, name)| each(start..end, name));
    }
}

/// `ffffffff81000000 T _text`; a module's name may follow.
fn symbol(line: &str) -> Option<(u64, Kind, String)> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
    let kind = match words.next()? {
        "t" | "T" | "w" | "W" => Kind::Function,
        _ => Kind::Other,
    };
    let name = words.next()?;
    let name = words.next().map_or_else(|| name.to_owned(), |module| format!("{name} {module}"));
    Some((address, kind, name))
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::memory::GuestMemory;

    const LINES: &str = "\
ffffffff81000100 t second
ffffffff81000000 T first
ffffffff82000000 D page_offset_base
0000000000000000 A nowhere
ffffffffc0000000 t lab_irq\t[lab]
nonsense
";

    #[test]
    fn a_function_ends_where_the_next_symbol_starts_if_that_is_near() {
        let symbols = KernelSymbols::parse(LINES.as_bytes());

        assert_eq!(
            symbols.functions(),
            [
                (0xffff_ffff_8100_0000, 0xffff_ffff_8100_0100),
                (0xffff_ffff_8100_0100, 0xffff_ffff_8110_0100),
                (0xffff_ffff_c000_0000, 0xffff_ffff_c010_0000)
            ]
        );
        assert_eq!(symbols.address("page_offset_base"), Some(0xffff_ffff_8200_0000));
        assert_eq!(symbols.address("nowhere"), None);
        let lines = String::from_utf8(symbols.lines()).unwrap();
        assert_eq!(lines.lines().last(), Some("ffffffffc0000000 100000 lab_irq [lab]"));
        assert_eq!(lines.lines().count(), 3);
    }

    /// A guest whose memory is its address space, and in it a table that leads to these handlers.
    fn guest(handlers: &[(u64, u64)]) -> (GuestMemory, Registers) {
        let memory = GuestMemory::new(1 << 20).unwrap();
        for (vector, handler) in handlers {
            let gate = [
                handler & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48,
                handler >> 32,
            ];
            let bytes = gate.map(u64::to_le_bytes).concat();
            memory.regions().write_slice(&bytes, GuestAddress(0x1000 + vector * 16)).unwrap();
        }
        (memory, Registers { idt: 0x1000, ..Registers::default() })
    }

    const LINKED: &str = "\
000000000001fb80 D current_task
ffffffff81000010 T asm_exc_invalid_op
ffffffff81000020 T asm_exc_general_protection
ffffffff81000030 T asm_exc_page_fault
ffffffff82000000 D __start_BTF
";

    #[test]
    fn symbols_as_linked_are_where_the_handlers_of_exceptions_say() {
        let moved = 0x1a20_0000;
        let handlers = [(6, 0x10), (13, 0x20), (14, 0x30)]
            .map(|(vector, offset)| (vector, 0xffff_ffff_8100_0000 + moved + offset));
        let (memory, registers) = guest(&handlers);
        let mut symbols =
            KernelSymbols::parse(b"ffffffff9b200030 T asm_exc_page_fault\nffffffffc0000000 t f\t[m]\n");

        symbols.add_linked(KernelSymbols::parse(LINKED.as_bytes()), &memory, &registers).unwrap();

        assert_eq!(symbols.address("__start_BTF"), Some(0xffff_ffff_9c20_0000));
        assert_eq!(symbols.address("current_task"), Some(0x1fb80), "it is each CPU's");
        assert_eq!(symbols.addresses("asm_exc_page_fault"), [0xffff_ffff_9b20_0030], "known by both");
        assert_eq!(symbols.address("f [m]"), Some(0xffff_ffff_c000_0000));
    }

    #[test]
    fn symbols_of_another_kernel_are_left_out() {
        let linked = || KernelSymbols::parse(LINKED.as_bytes());
        let base = 0xffff_ffff_9b20_0000_u64;
        for handlers in [
            [(6, base + 0x10), (13, base + 0x20), (14, base + 0x40)],
            [(6, base + 0x11), (13, base + 0x21), (14, base + 0x31)],
        ] {
            let (memory, registers) = guest(&handlers);
            let mut symbols = KernelSymbols::parse(LINES.as_bytes());
            let before = symbols.lines();
            assert_eq!(symbols.add_linked(linked(), &memory, &registers), Err(Stranger));
            assert_eq!(symbols.lines(), before);
        }
        let (memory, registers) = guest(&[]);
        let nowhere = Registers { idt: 1 << 40, ..registers };
        assert_eq!(KernelSymbols::parse(b"").add_linked(linked(), &memory, &nowhere), Err(Stranger));
        assert_eq!(
            KernelSymbols::parse(b"").add_linked(KernelSymbols::parse(b""), &memory, &nowhere),
            Ok(())
        );
    }

    #[test]
    fn the_spaces_are_where_the_kernel_put_them() {
        let spaces = Spaces::of_linux(Some(0xffff_9000_0000_0000), Some(0xffff_b000_0000_0000));

        assert!(spaces.direct_map.contains(&0xffff_9000_1234_5000));
        assert!(spaces.ioremap.contains(&0xffff_b000_0000_0000));
        assert!(Spaces::default().ioremap.contains(&0xffff_c900_0000_1000));
    }
}
