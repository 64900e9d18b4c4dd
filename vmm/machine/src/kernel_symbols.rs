//! What Linux says of itself: its functions, and where its parts of the address space are, which it
//! chooses anew at each boot.

use std::ops::Range;

use barscope_unwind::Symbols;

/// Where 4-level Linux puts them unless it chooses (x86_64 `mm.rst`).
const DIRECT_MAP: u64 = 0xffff_8880_0000_0000;
const VMALLOC: u64 = 0xffff_c900_0000_0000;
/// Size of the space for `vmalloc` and `ioremap` with 4 levels: 32 TiB.
const VMALLOC_SIZE: u64 = 32 << 40;

/// More symbols than any kernel has.
const MOST: usize = 1 << 20;

/// No function is longer: what comes after the last one before a gap belongs to nobody.
const LONGEST: u64 = 1 << 20;

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

    /// Whether they are Linux's.
    pub fn are_linux(&self) -> bool {
        self.address("init_task").is_some()
    }

    /// The addresses of all symbols of this name.
    pub fn addresses(&self, name: &str) -> Vec<u64> {
        self.symbols.iter().filter(|(.., known)| known == name).map(|(address, ..)| *address).collect()
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
    fn address(&self, name: &str) -> Option<u64> {
        self.symbols.iter().find(|(.., known)| known == name).map(|(address, ..)| *address)
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
    use super::*;

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

    #[test]
    fn the_spaces_are_where_the_kernel_put_them() {
        let spaces = Spaces::of_linux(Some(0xffff_9000_0000_0000), Some(0xffff_b000_0000_0000));

        assert!(spaces.direct_map.contains(&0xffff_9000_1234_5000));
        assert!(spaces.ioremap.contains(&0xffff_b000_0000_0000));
        assert!(Spaces::default().ioremap.contains(&0xffff_c900_0000_1000));
    }
}
