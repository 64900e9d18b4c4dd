//! What the signs mean that text is printed with, for who meets them first.

use barscope_trace::definition::{MemoryType, Path};

use crate::style::{HEADING, Paint};
use crate::table;

/// Columns of the signs, two blanks behind them included.
const SIGNS: usize = 22;

/// A part of the page: its heading, and signs with their meanings.
type Part = (&'static str, Vec<(&'static str, &'static str)>);

/// The page, in lines of at most `width` columns.
pub fn legend(width: usize, color: bool) -> String {
    let paint = Paint { color };
    let mut text = String::new();
    for (heading, signs) in parts() {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &paint.paint(HEADING, heading);
        text.push('\n');
        for (sign, meaning) in signs {
            text += &table::left(&format!("  {sign}"), SIGNS);
            table::flow(&mut text, SIGNS, SIGNS, meaning, width);
        }
    }
    text
}

fn parts() -> Vec<Part> {
    vec![
        ("a record", record()),
        ("how an address leads to a device", paths()),
        ("memory types (Intel SDM volume 3, \"Memory Cache Control\")", memory_types()),
        ("entries of page tables (the same, \"4-Level Paging and 5-Level Paging\")", page_tables()),
        ("what devices do", devices()),
    ]
}

fn record() -> Vec<(&'static str, &'static str)> {
    vec![
        ("228", "number of the record, for `barscope explain TRACE 228`"),
        ("217 us", "when, by the clock that the devices see"),
        ("ring 0, ring 3", "privilege level of the instruction: the kernel's, a program's"),
        ("f < readl", "function f, which had readl do the access; also a function that was inlined into f"),
        ("f+0x12 [lab]", "0x12 bytes into f, which is of the module lab"),
        ("lab.c:163 < 69", "line 163 of lab.c, and 69 of the function that was inlined there"),
        ("[test 86]", "the process at work, and its number"),
        ("A -> B", "virtual address A leads to bus address B"),
        ("BAR0+0x008", "the byte at offset 8 of what base address register 0 decodes; its register follows"),
        ("R4, W8, RW4", "a read of 4 bytes, a write of 8, a read and a write by one instruction"),
        ("(caused by 57)", "the record that made it happen"),
        ("`-", "what the device did because of the access above"),
        ("x 998 more like it", "as many records that say the same, folded away"),
        (
            "CF8/CFC, ECAM",
            "configuration space, reached by two I/O ports or as memory (PCI 3.0 3.2.2.3, PCIe 7.2.2)",
        ),
        ("?", "behind a path: inferred from page tables, the guest announced no such mapping"),
    ]
}

fn paths() -> Vec<(&'static str, &'static str)> {
    let about = |path| match path {
        Path::Ioremap => "the kernel's address space, by ioremap() and what is made of it",
        Path::IoremapWc => "the same by ioremap_wc(): stores may be gathered",
        Path::Mmap => "a process's, by mmap() of a driver's file: its mmap file operation made it",
        Path::Sysfs => "a process's, by mmap() of a device's resourceN in sysfs",
        Path::SysfsWc => "the same of resourceN_wc: stores may be gathered",
        Path::Uio => "a process's, by mmap() of /dev/uioN",
        Path::DevMem => "a process's, by mmap() of /dev/mem",
        Path::DirectMap => "the kernel's linear mapping of physical memory: not for devices",
        Path::Unknown => "some other way",
    };
    Path::ALL.map(|path| (path.name(), about(path))).to_vec()
}

fn memory_types() -> Vec<(&'static str, &'static str)> {
    let about = |of| match of {
        MemoryType::Uncacheable => {
            "uncacheable: each access goes out by itself, in order. What registers need"
        }
        MemoryType::UncacheableMinus => {
            "the same, unless an MTRR asks for WC. What ioremap() and pgprot_noncached() ask for"
        }
        MemoryType::WriteCombining => {
            "write-combining: stores are gathered, nothing is cached. For frame buffers"
        }
        MemoryType::WriteThrough => "write-through: reads are cached",
        MemoryType::WriteProtected => "write-protected: reads are cached, writes are not",
        MemoryType::WriteBack => "write-back: cached. What RAM has; on registers a mistake",
    };
    let mut all = MemoryType::ALL.map(|of| (of.name(), about(of))).to_vec();
    all.push(("UC- -> UC", "the page asks for UC-, and what holds is UC, by an MTRR"));
    all.push(("PAT", "eight types that pages choose from, by their bits PAT, PCD and PWT"));
    all.push(("MTRR", "types of ranges of physical addresses, set by firmware"));
    all
}

fn page_tables() -> Vec<(&'static str, &'static str)> {
    vec![
        ("CR3", "the register with the address of the top-level table: one for each process"),
        ("PML5 .. PT", "tables from the top down (PML5, PML4, PDPT, PD, PT) of 512 entries"),
        ("[419]", "which of them the address chooses"),
        ("S, U", "supervisor's: ring 0 only; user's: ring 3 too"),
        ("R, W", "may be read; may be written, too"),
        ("PWT, PCD, PAT", "write-through, cache disable: with PAT the number of a type, see there"),
        ("A, D", "was accessed, was written (dirty)"),
        ("PS", "ends here: a page of 2 MiB or 1 GiB"),
        ("G", "global: stays in the TLB when CR3 changes"),
        ("NX", "no code may run there"),
    ]
}

fn devices() -> Vec<(&'static str, &'static str)> {
    vec![
        ("BAR0 decodes A", "from here on BAR0 answers at bus address A: BAR written, Memory Space on"),
        ("MSI vector 0x31", "an interrupt as a message: a write that the local APIC of a processor takes"),
        ("INTx, GSI", "an interrupt as a level of a line (INTA to INTD), and the I/O APIC's number of that"),
        ("DMA N from, to A", "the device read, wrote N bytes of memory at A by itself"),
        ("busy 20 us", "it works for so long before the next thing happens"),
        ("mapped directly", "accesses reach memory without any exit: the trace sees written pages only"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::columns;

    #[test]
    fn every_sign_has_its_line_in_80_columns() {
        let page = legend(80, false);
        assert!(page.lines().all(|line| columns(line) <= 80), "{page}");
        for (_, signs) in parts() {
            for (sign, meaning) in signs {
                let line = page.lines().find(|line| line.trim_start().starts_with(sign));
                let first = meaning.split(' ').next().unwrap();
                assert!(line.is_some_and(|line| line.contains(first)), "{sign}");
            }
        }
        assert!(page.contains("\n  UC-                 the same, unless an MTRR asks for WC."));
    }

    #[test]
    fn it_is_one_page_and_a_heading_is_bold_where_there_are_colours() {
        assert!(legend(80, false).lines().count() <= 80);
        assert!(legend(80, true).starts_with("\u{1b}[1ma record\u{1b}[0m\n"));
    }
}
