//! The memory type that an access has: what the page-table entry asks for through PAT, what the MTRRs say of
//! the address, and what both make of it together.
//!
//! KVM's shared registers hold neither PAT nor MTRRs, so writes to them are trapped and kept here. Fixed ranges
//! are not: no BAR lies below 1 MiB. CR0.CD isn't looked at: KVM runs a guest with its caches on.
//! Intel SDM volume 3, sections "Memory Type Range Registers" and "Page Attribute Table".

use std::ops::RangeInclusive;

use barscope_trace::definition::MemoryType;

use crate::walk::PageWalk;

/// IA32_PAT.
pub const MSR_PAT: u32 = 0x277;
/// IA32_MTRR_DEF_TYPE.
pub const MSR_MTRR_DEF_TYPE: u32 = 0x2ff;
/// IA32_MTRR_PHYSBASE0; base and mask alternate from here.
pub const MSR_MTRR_PHYSBASE0: u32 = 0x200;
/// Pairs of variable range registers that KVM offers.
pub const VARIABLE_RANGES: u32 = 8;

/// MTRRs enabled, fixed ranges off, write-back by default: what firmware leaves behind. With 0, Linux
/// takes PAT for unusable and write-combining silently becomes UC-.
const MTRR_DEF_TYPE_AT_BOOT: u64 = 0x806;

/// IA32_PAT after reset.
const PAT_AT_RESET: u64 = 0x0007_0406_0007_0406;

const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
/// PAT bit of a 4 KiB entry.
const PAT_4K: u64 = 1 << 7;
/// PAT bit of a larger page's entry.
const PAT_LARGE: u64 = 1 << 12;
/// Enable bit of IA32_MTRR_DEF_TYPE, and valid bit of a range's mask.
const ENABLED: u64 = 1 << 11;

/// A vCPU's copy of PAT and the MTRRs.
#[derive(Clone, Debug)]
pub struct MemoryTypes {
    pat: u64,
    default_type: u64,
    ranges: [(u64, u64); VARIABLE_RANGES as usize],
}

/// Memory types of an address in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypesOfPage {
    /// What the page-table entry asks for through PAT; `None` with paging off.
    pub pat: Option<MemoryType>,
    /// What the MTRRs say of the address; never UC-.
    pub mtrr: MemoryType,
    /// What both make of it; never UC-.
    pub effective: MemoryType,
}

impl MemoryTypes {
    /// What firmware leaves behind on a processor whose physical addresses have `address_bits` bits: write-back but
    /// for these ranges, at most [`VARIABLE_RANGES`]. An MTRR holds a power of two in bytes, and begins at a multiple of
    /// it.
    pub fn at_boot(address_bits: u32, uncacheable: &[RangeInclusive<u64>]) -> Self {
        let mut ranges = [(0, 0); VARIABLE_RANGES as usize];
        let addresses = u64::MAX >> (64 - address_bits.clamp(36, 52));
        for (pair, range) in ranges.iter_mut().zip(uncacheable) {
            let within = range.end() - range.start();
            *pair = (*range.start(), addresses & !within | ENABLED);
        }
        Self { pat: PAT_AT_RESET, default_type: MTRR_DEF_TYPE_AT_BOOT, ranges }
    }

    /// The MTRRs: each register's number and what it holds.
    pub fn range_registers(&self) -> impl Iterator<Item = (u32, u64)> {
        let pairs = (MSR_MTRR_PHYSBASE0..).step_by(2).zip(self.ranges);
        let ranges = pairs.flat_map(|(msr, (base, mask))| [(msr, base), (msr + 1, mask)]);
        ranges.chain([(MSR_MTRR_DEF_TYPE, self.default_type)])
    }

    /// Whether a processor takes this value of the register, as far as PAT goes: one with a reserved type gives
    /// `#GP`. Not every KVM looks at that.
    pub fn allows(msr: u32, value: u64) -> bool {
        msr != MSR_PAT || value.to_le_bytes().iter().all(|encoding| matches!(encoding, 0 | 1 | 4..=7))
    }

    /// Takes over what the guest wrote to a model-specific register, if it is one of these.
    pub fn write(&mut self, msr: u32, value: u64) {
        let range = msr.checked_sub(MSR_MTRR_PHYSBASE0).filter(|index| index / 2 < VARIABLE_RANGES);
        match (msr, range) {
            (MSR_PAT, _) => self.pat = value,
            (MSR_MTRR_DEF_TYPE, _) => self.default_type = value,
            (_, Some(index)) if index % 2 == 0 => self.ranges[index as usize / 2].0 = value,
            (_, Some(index)) => self.ranges[index as usize / 2].1 = value,
            _ => (),
        }
    }

    /// The memory types of `physical`, in the page that `walk` leads to.
    pub fn of(&self, walk: &PageWalk, physical: u64) -> TypesOfPage {
        let mtrr = self.range_type(physical);
        // Without paging nothing asks for anything.
        let pat = (walk.levels != 0).then(|| self.page_type(walk.leaf(), walk.page_size));
        TypesOfPage { pat, mtrr, effective: pat.map_or(mtrr, |pat| combine(pat, mtrr)) }
    }

    /// The memory type that a leaf `entry`, which maps `page_size` bytes, asks for through PAT.
    fn page_type(&self, entry: u64, page_size: u64) -> MemoryType {
        let pat_bit = if page_size == 4096 { PAT_4K } else { PAT_LARGE };
        let index = u64::from(entry & PWT != 0)
            | u64::from(entry & PCD != 0) << 1
            | u64::from(entry & pat_bit != 0) << 2;
        pat_type((self.pat >> (index * 8)) & 7)
    }

    /// What the MTRRs say of `physical`. Where ranges overlap, UC wins, then WT.
    fn range_type(&self, physical: u64) -> MemoryType {
        if self.default_type & ENABLED == 0 {
            return MemoryType::Uncacheable;
        }
        let mut found: Option<MemoryType> = None;
        for (base, mask) in self.ranges {
            if mask & ENABLED == 0 || (physical ^ base) & mask & !0xfff != 0 {
                continue;
            }
            let this = mtrr_type(base & 0xff);
            found = Some(match (found, this) {
                (None, this) => this,
                (Some(MemoryType::Uncacheable), _) | (_, MemoryType::Uncacheable) => MemoryType::Uncacheable,
                (Some(MemoryType::WriteThrough), _) | (_, MemoryType::WriteThrough) => {
                    MemoryType::WriteThrough
                }
                (Some(other), _) => other,
            });
        }
        found.unwrap_or_else(|| mtrr_type(self.default_type & 0xff))
    }
}

/// An entry of IA32_PAT; the reserved encodings 2 and 3 can't be written.
fn pat_type(encoding: u64) -> MemoryType {
    match encoding {
        1 => MemoryType::WriteCombining,
        4 => MemoryType::WriteThrough,
        5 => MemoryType::WriteProtected,
        6 => MemoryType::WriteBack,
        7 => MemoryType::UncacheableMinus,
        _ => MemoryType::Uncacheable,
    }
}

/// A type field of an MTRR, which knows no UC-.
fn mtrr_type(encoding: u64) -> MemoryType {
    match encoding {
        7 => MemoryType::Uncacheable,
        other => pat_type(other),
    }
}

/// SDM volume 3, table "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families".
fn combine(page: MemoryType, range: MemoryType) -> MemoryType {
    use MemoryType::{
        Uncacheable, UncacheableMinus, WriteBack, WriteCombining, WriteProtected, WriteThrough,
    };
    match (page, range) {
        (Uncacheable, _) => Uncacheable,
        (WriteCombining, _) => WriteCombining,
        (_, Uncacheable) => Uncacheable,
        (UncacheableMinus, WriteCombining | WriteProtected) => WriteCombining,
        (UncacheableMinus, _) => Uncacheable,
        (WriteBack, range) => range,
        (WriteThrough | WriteProtected, WriteCombining) => Uncacheable,
        (WriteThrough, _) => WriteThrough,
        (WriteProtected, _) => WriteProtected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{CODE, Guest, KERNEL};
    use crate::walk::walk;

    /// Linux's PAT: WB, WC, UC-, UC, WB, WP, UC-, WT.
    const LINUX_PAT: u64 = 0x0407_0506_0007_0106;
    const BAR: u64 = 0xfe00_0000;

    /// Where PCI devices lie: below 4 GiB, and above.
    const WINDOWS: [RangeInclusive<u64>; 2] = [0xe000_0000..=0xffff_ffff, 0x8_0000_0000..=0xf_ffff_ffff];

    fn with_linux_pat() -> MemoryTypes {
        let mut types = MemoryTypes::at_boot(48, &WINDOWS);
        types.write(MSR_PAT, LINUX_PAT);
        types
    }

    /// `PAT/MTRR -> effective` of a page at `physical` whose entry has these bits besides.
    fn types(types: &MemoryTypes, bits: u64, physical: u64) -> String {
        let mut guest = Guest::new(4);
        guest.map(CODE, physical, KERNEL | bits);
        let walk = walk(&guest.memory, &guest.registers, CODE).unwrap();
        let TypesOfPage { pat, mtrr, effective } = types.of(&walk, physical);
        format!("{}/{mtrr} -> {effective}", pat.unwrap())
    }

    #[test]
    fn ioremap_under_linux_asks_for_uncacheable_minus_and_is_uncacheable() {
        assert_eq!(types(&with_linux_pat(), PCD, BAR), "UC-/UC -> UC");
        assert_eq!(types(&with_linux_pat(), PCD | PWT, BAR), "UC/UC -> UC");
    }

    #[test]
    fn a_mapping_that_asks_for_write_back_is_uncacheable_in_both_windows_and_nowhere_else() {
        for address in [0xe000_0000, 0xf000_0000, BAR, 0xfee0_0000, 0x8_0000_0000, 0xf_ffff_f000] {
            assert_eq!(types(&with_linux_pat(), 0, address), "WB/UC -> UC", "{address:x}");
        }
        for address in [0x10_0000, 0xdfff_f000, 0x1_0000_0000, 0x7_ffff_f000, 0x10_0000_0000] {
            assert_eq!(types(&with_linux_pat(), 0, address), "WB/WB -> WB", "{address:x}");
        }
    }

    #[test]
    fn write_combining_by_pat_stays_so_in_an_uncacheable_range() {
        assert_eq!(types(&with_linux_pat(), PWT, BAR), "WC/UC -> WC");
        assert_eq!(types(&MemoryTypes::at_boot(48, &WINDOWS), PWT, BAR), "WT/UC -> UC");
    }

    #[test]
    fn a_range_is_told_with_as_many_bits_as_the_processor_has() {
        let registers = |bits| MemoryTypes::at_boot(bits, &WINDOWS).range_registers().collect::<Vec<_>>();
        let at = |bits: u32, index: usize| registers(bits)[index];
        assert_eq!([at(48, 0), at(48, 1)], [(0x200, 0xe000_0000), (0x201, 0xffff_e000_0800)]);
        assert_eq!([at(48, 2), at(48, 3)], [(0x202, 0x8_0000_0000), (0x203, 0xfff8_0000_0800)]);
        assert_eq!([at(36, 1), at(36, 3)], [(0x201, 0xf_e000_0800), (0x203, 0x8_0000_0800)]);
        assert_eq!((registers(48).len(), at(48, 4), at(48, 16)), (17, (0x204, 0), (0x2ff, 0x806)));
    }

    #[test]
    fn pat_takes_no_reserved_type_in_any_entry() {
        assert!(MemoryTypes::allows(MSR_PAT, LINUX_PAT) && MemoryTypes::allows(MSR_PAT, PAT_AT_RESET));
        for value in [2, 3 << 8, 8 << 16, 0xff << 56] {
            assert!(!MemoryTypes::allows(MSR_PAT, value), "{value:x}");
        }
        assert!(MemoryTypes::allows(MSR_MTRR_PHYSBASE0, 2));
    }

    #[test]
    fn the_pat_bit_of_a_large_page_is_bit_12() {
        let types = with_linux_pat();
        assert_eq!(types.page_type(PAT_LARGE | PWT, 1 << 21), MemoryType::WriteProtected);
        assert_eq!(types.page_type(PAT_4K | PWT, 1 << 21), MemoryType::WriteCombining);
    }

    #[test]
    fn mtrrs_switched_off_leave_everything_uncacheable() {
        let mut all = with_linux_pat();
        all.write(MSR_MTRR_DEF_TYPE, 0);
        assert_eq!(types(&all, 0, 0x10_0000), "WB/UC -> UC");
    }

    #[test]
    fn without_paging_nothing_is_asked_and_the_mtrrs_decide() {
        let mut guest = Guest::new(4);
        guest.registers.cr0 = 1;
        let of = |physical| {
            let walk = walk(&guest.memory, &guest.registers, physical).unwrap();
            with_linux_pat().of(&walk, physical)
        };
        let expected = |effective| TypesOfPage { pat: None, mtrr: effective, effective };
        assert_eq!(of(BAR), expected(MemoryType::Uncacheable));
        assert_eq!(of(0x10_0000), expected(MemoryType::WriteBack));
    }

    /// SDM volume 3, table 12-7 of 2023: a row for each type of the MTRRs, a column for each of PAT.
    #[test]
    fn pat_and_mtrr_combine_as_the_manual_says() {
        let pat = ["UC", "UC-", "WC", "WT", "WB", "WP"];
        let table = [
            ("UC", ["UC", "UC", "WC", "UC", "UC", "UC"]),
            ("WC", ["UC", "WC", "WC", "UC", "WC", "UC"]),
            ("WT", ["UC", "UC", "WC", "WT", "WT", "WP"]),
            ("WB", ["UC", "UC", "WC", "WT", "WB", "WP"]),
            ("WP", ["UC", "WC", "WC", "WT", "WP", "WP"]),
        ];
        let named = |wanted: &str| (0..8).map(pat_type).find(|found| found.name() == wanted).unwrap();
        for (mtrr, row) in table {
            for (pat, expected) in pat.into_iter().zip(row) {
                assert_eq!(combine(named(pat), named(mtrr)).name(), expected, "PAT {pat}, MTRR {mtrr}");
            }
        }
    }
}
