//! The memory type that an access has: what the page-table entry, PAT and MTRRs make of it together.
//!
//! KVM's shared registers hold neither PAT nor MTRRs, so writes to them are trapped and kept here.
//! Intel SDM volume 3, sections "Memory Type Range Registers" and "Page Attribute Table".

use trace::definition::MemoryType;

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
pub const MTRR_DEF_TYPE_AT_BOOT: u64 = 0x806;

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

impl Default for MemoryTypes {
    fn default() -> Self {
        Self { pat: PAT_AT_RESET, default_type: MTRR_DEF_TYPE_AT_BOOT, ranges: Default::default() }
    }
}

impl MemoryTypes {
    /// Takes over what the guest wrote to a model-specific register; `false` if that is none of these.
    pub fn write(&mut self, msr: u32, value: u64) -> bool {
        match msr {
            MSR_PAT => self.pat = value,
            MSR_MTRR_DEF_TYPE => self.default_type = value,
            _ => {
                let Some(index) =
                    msr.checked_sub(MSR_MTRR_PHYSBASE0).filter(|index| index / 2 < VARIABLE_RANGES)
                else {
                    return false;
                };
                let range = &mut self.ranges[index as usize / 2];
                if index % 2 == 0 {
                    range.0 = value;
                } else {
                    range.1 = value;
                }
            }
        }
        true
    }

    /// The effective memory type of a page at `physical`, whose leaf `entry` maps `page_size` bytes.
    pub fn effective(&self, entry: u64, page_size: u64, physical: u64) -> MemoryType {
        combine(self.page_type(entry, page_size), self.range_type(physical))
    }

    /// The memory type that a leaf `entry`, which maps `page_size` bytes, asks for through PAT.
    pub fn page_type(&self, entry: u64, page_size: u64) -> MemoryType {
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

/// SDM volume 3, table "Effective Page-Level Memory Types".
fn combine(page: MemoryType, range: MemoryType) -> MemoryType {
    use MemoryType::{
        Uncacheable, UncacheableMinus, WriteBack, WriteCombining, WriteProtected, WriteThrough,
    };
    match (page, range) {
        (Uncacheable, _) => Uncacheable,
        (UncacheableMinus, WriteCombining) => WriteCombining,
        (UncacheableMinus, _) => UncacheableMinus,
        (WriteCombining, _) => WriteCombining,
        (WriteBack, range) => range,
        (WriteThrough, WriteBack | WriteThrough) => WriteThrough,
        (WriteProtected, WriteBack | WriteProtected) => WriteProtected,
        (WriteThrough | WriteProtected, _) => Uncacheable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux's PAT: WB, WC, UC-, UC, WB, WP, UC-, WT.
    const LINUX_PAT: u64 = 0x0407_0506_0007_0106;

    fn with_linux_pat() -> MemoryTypes {
        let mut types = MemoryTypes::default();
        assert!(types.write(MSR_PAT, LINUX_PAT));
        types
    }

    #[test]
    fn ioremap_under_linux_is_uncacheable_minus() {
        assert_eq!(with_linux_pat().effective(PCD, 4096, 0xfe00_0000), MemoryType::UncacheableMinus);
        assert_eq!(with_linux_pat().effective(PCD | PWT, 4096, 0xfe00_0000), MemoryType::Uncacheable);
    }

    #[test]
    fn pwt_alone_is_write_combining_under_linux_and_write_through_after_reset() {
        assert_eq!(with_linux_pat().effective(PWT, 4096, 0xfe00_0000), MemoryType::WriteCombining);
        assert_eq!(MemoryTypes::default().effective(PWT, 4096, 0xfe00_0000), MemoryType::WriteThrough);
    }

    #[test]
    fn the_pat_bit_of_a_large_page_is_bit_12() {
        let types = with_linux_pat();
        assert_eq!(types.effective(PAT_LARGE | PWT, 1 << 21, 0), MemoryType::WriteProtected);
        assert_eq!(types.effective(PAT_4K | PWT, 1 << 21, 0), MemoryType::WriteCombining);
    }

    #[test]
    fn an_mtrr_makes_a_write_back_page_uncacheable_but_not_one_outside_its_range() {
        let mut types = with_linux_pat();
        types.write(0x200, 0xfe00_0000);
        types.write(0x201, 0x000f_ffff_fe00_0800);
        assert_eq!(types.effective(0, 4096, 0xfe00_1000), MemoryType::Uncacheable);
        assert_eq!(types.effective(0, 4096, 0x10_0000), MemoryType::WriteBack);
        assert_eq!(types.page_type(0, 4096), MemoryType::WriteBack);
    }

    #[test]
    fn mtrrs_switched_off_leave_everything_uncacheable() {
        let mut types = with_linux_pat();
        types.write(MSR_MTRR_DEF_TYPE, 0);
        assert_eq!(types.effective(0, 4096, 0x10_0000), MemoryType::Uncacheable);
    }
}
