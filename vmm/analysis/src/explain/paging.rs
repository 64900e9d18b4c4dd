//! A page walk, decoded: Intel SDM volume 3, "4-Level Paging and 5-Level Paging".

use barscope_trace::definition::Walk;
use serde::Serialize;

use super::TypeReason;
use crate::serial::as_hex;
use crate::view::View;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// Page size; in an entry of the lowest level the same bit is PAT.
const PS: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
/// PAT, in the entry of a page that is larger than 4 KiB.
const PAT_LARGE: u64 = 1 << 12;
const NX: u64 = 1 << 63;
/// Physical address in an entry and in CR3.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A page walk.
#[derive(Clone, Debug, Serialize)]
pub struct PageTable {
    /// Physical address of the top-level table.
    #[serde(serialize_with = "as_hex")]
    pub cr3: u64,
    /// 4 or 5; 0 with paging off.
    pub levels: u8,
    /// Size of the page in bytes.
    pub page_size: u64,
    /// Entries from the top level down. Accessed and Dirty, which the processor sets by itself, are not
    /// recorded.
    pub entries: Vec<Entry>,
    /// Whether ring 3 may use the page: every entry says so.
    pub user: bool,
    /// Whether it may be written: every entry says so.
    pub writable: bool,
}

/// An entry of a page table.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The table's name: `PML5`, `PML4`, `PDPT`, `PD` or `PT`.
    pub table: &'static str,
    /// Which of its 512 entries.
    pub index: u16,
    /// The entry.
    #[serde(serialize_with = "as_hex")]
    pub value: u64,
    /// Physical address of the next table, or of the page.
    #[serde(serialize_with = "as_hex")]
    pub address: u64,
    /// The names of the bits that are set.
    pub bits: Vec<&'static str>,
}

impl PageTable {
    pub(super) fn new(walk: &Walk) -> Self {
        let last = walk.entries.len().saturating_sub(1);
        let entries = walk.entries.iter().enumerate().map(|(depth, value)| {
            // 1 for the lowest level, PT.
            let level = usize::from(walk.levels).saturating_sub(depth);
            Entry::new(level, *value, walk.page, depth == last)
        });
        Self {
            cr3: walk.cr3 & ADDRESS,
            levels: walk.levels,
            page_size: walk.page_size,
            entries: entries.collect(),
            user: walk.user,
            writable: walk.writable,
        }
    }
}

impl Entry {
    fn new(level: usize, value: u64, page: u64, leaf: bool) -> Self {
        let table = match level {
            1 => "PT",
            2 => "PD",
            3 => "PDPT",
            4 => "PML4",
            5 => "PML5",
            _ => "table",
        };
        let shift = 12 + 9 * level.saturating_sub(1).min(4);
        let large = leaf && level > 1;
        let meaning = [
            (PRESENT, "P", true),
            (WRITABLE, "W", true),
            (USER, "U", true),
            (PWT, "PWT", true),
            (PCD, "PCD", true),
            (PS, "PAT", leaf && level <= 1),
            (PAT_LARGE, "PAT", large),
            (ACCESSED, "A", true),
            (DIRTY, "D", leaf),
            (PS, "PS", large),
            (GLOBAL, "G", leaf),
            (NX, "NX", true),
        ];
        let set = meaning.iter().filter(|(mask, _, applies)| *applies && value & mask != 0);
        let address = if large { value & ADDRESS & !PAT_LARGE } else { value & ADDRESS };
        Self {
            table,
            index: (page >> shift & 0x1ff) as u16,
            value,
            address,
            bits: set.map(|(_, name, _)| *name).collect(),
        }
    }

    /// Its bits for people: `S W PCD`. U or S, W or R, then what is set; that it is present goes without
    /// saying.
    pub(super) fn flags(&self) -> String {
        let has = |name: &str| self.bits.contains(&name);
        let mut flags = vec![if has("U") { "U" } else { "S" }, if has("W") { "W" } else { "R" }];
        if !has("P") {
            flags.push("not present");
        }
        flags.extend(self.bits.iter().filter(|name| !matches!(**name, "P" | "U" | "W")));
        flags.join(" ")
    }
}

impl TypeReason {
    pub(super) fn new(view: &View) -> Option<Self> {
        let walk = view.walk()?;
        Some(Self {
            memory_type: view.memory_type()?,
            pat: view.pat(),
            pat_entry: pat_entry(walk),
            mtrr: walk.mtrr,
        })
    }

    /// `PAT asks UC- (entry 2, PCD)`, `MTRR says UC -> UC`: what the type comes from, and the type.
    pub(super) fn words(self) -> Vec<String> {
        let asked = match (self.pat_entry, self.pat) {
            (None, _) => "paging is off".to_owned(),
            (Some(entry), Some(pat)) => format!("PAT asks {pat} (entry {entry}, {})", bits_of(entry)),
            (Some(entry), None) => format!("PAT entry {entry}, {}", bits_of(entry)),
        };
        let effective = self.memory_type;
        vec![
            asked,
            match self.mtrr {
                Some(mtrr) => format!("MTRR says {mtrr} -> {effective}"),
                None => format!("in effect {effective}"),
            },
        ]
    }
}

/// Which entry of PAT the last entry of a walk chooses; `None` with paging off.
fn pat_entry(walk: &Walk) -> Option<u8> {
    let large = walk.entries.len() < walk.levels.into();
    let pat = if large { PAT_LARGE } else { PS };
    let bit = |leaf: u64, mask: u64, place: u8| u8::from(leaf & mask != 0) << place;
    walk.entries.last().map(|leaf| bit(*leaf, PWT, 0) | bit(*leaf, PCD, 1) | bit(*leaf, pat, 2))
}

/// The bits of a page-table entry that choose an entry of PAT.
fn bits_of(pat_entry: u8) -> String {
    let names = [(1, "PWT"), (2, "PCD"), (4, "PAT")];
    let set: Vec<_> = names.iter().filter(|(bit, _)| pat_entry & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "no bits".to_owned() } else { set.join(" ") }
}

#[cfg(test)]
mod tests {
    use barscope_trace::definition::{MemoryType, Path};

    use super::*;

    fn walk(levels: u8, page: u64, page_size: u64, entries: &[u64]) -> Walk {
        Walk {
            cr3: 0x80_0000_0000_1018,
            page,
            page_size,
            entries: entries.to_vec(),
            levels,
            user: true,
            writable: false,
            pat: None,
            mtrr: None,
            memory_type: MemoryType::WriteCombining,
            path: Path::Unknown,
            announced: false,
            process: None,
            mapping: None,
        }
    }

    fn decoded(walk: &Walk) -> Vec<(&'static str, u16, u64, String)> {
        let table = PageTable::new(walk);
        table.entries.iter().map(|entry| (entry.table, entry.index, entry.address, entry.flags())).collect()
    }

    #[test]
    fn five_levels_begin_with_pml5() {
        let page = 0x00ab_c123_4567_8000;
        let walk = walk(5, page, 4096, &[0x1007, 0x2007, 0x3005, 0x4007, 0x8000_0000_fe00_01f5]);
        let expected = [
            ("PML5", 0xab, 0x1000, "U W"),
            ("PML4", 0x182, 0x2000, "U W"),
            ("PDPT", 0x8d, 0x3000, "U R"),
            ("PD", 0x2b, 0x4000, "U W"),
            ("PT", 0x78, 0xfe00_0000, "U R PCD PAT A D G NX"),
        ];
        let expected = expected.map(|(table, index, address, bits)| (table, index, address, bits.to_owned()));
        assert_eq!(decoded(&walk), expected);
        assert_eq!(PageTable::new(&walk).cr3, 0x1000);
        assert_eq!(pat_entry(&walk).map(bits_of).as_deref(), Some("PCD PAT"));
    }

    #[test]
    fn bit_7_of_a_large_page_is_its_size_and_bit_12_is_pat() {
        let walk = walk(4, 0xffff_ffff_8020_0000, 2 << 20, &[0x1003, 0x2003, 0xfe20_108b]);
        assert_eq!(decoded(&walk)[2], ("PD", 1, 0xfe20_0000, "S W PWT PAT PS".to_owned()));
        assert_eq!(pat_entry(&walk), Some(5));
    }

    #[test]
    fn bits_that_mean_something_only_in_the_last_entry_are_not_shown_before() {
        let walk = walk(4, 0, 4096, &[0x11c3, 0, 0x2003, 0x3003]);
        let flags: Vec<_> = decoded(&walk).into_iter().map(|(.., flags)| flags).collect();
        assert_eq!(flags, ["S W", "S R not present", "S W", "S W"]);
    }

    #[test]
    fn without_paging_there_is_no_entry() {
        let walk = walk(0, 0, 4096, &[]);
        assert!(decoded(&walk).is_empty());
        assert_eq!(pat_entry(&walk), None);
    }
}
