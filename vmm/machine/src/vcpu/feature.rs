//! Features of a processor that a guest can be kept from, by name: it then does without, as on an older processor.
//!
//! Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. A feature takes along what builds on it.

use std::str::FromStr;

use kvm_bindings::kvm_cpuid_entry2;

/// A register that CPUID answers in.
#[derive(Clone, Copy, Debug)]
enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// Bits of a leaf: its function and index, the register, the bits.
type Bits = (u32, u32, Register, u32);

/// AVX-512 and what came with it.
const AVX512: &[Bits] = &[
    // F, DQ, IFMA, PF, ER, CD, BW, VL.
    (7, 0, Register::Ebx, 1 << 16 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31),
    // VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ.
    (7, 0, Register::Ecx, 1 << 1 | 1 << 6 | 1 << 11 | 1 << 12 | 1 << 14),
    // 4VNNIW, 4FMAPS, VP2INTERSECT, FP16.
    (7, 0, Register::Edx, 1 << 2 | 1 << 3 | 1 << 8 | 1 << 23),
    // BF16.
    (7, 1, Register::Eax, 1 << 5),
    // Opmask, ZMM_Hi256, Hi16_ZMM.
    (0xd, 0, Register::Eax, 1 << 5 | 1 << 6 | 1 << 7),
];
/// AVX2, and integers on its registers.
const AVX2: &[Bits] = &[
    (7, 0, Register::Ebx, 1 << 5),
    // VAES, VPCLMULQDQ.
    (7, 0, Register::Ecx, 1 << 9 | 1 << 10),
    // AVX-VNNI, AVX-IFMA; AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16.
    (7, 1, Register::Eax, 1 << 4 | 1 << 23),
    (7, 1, Register::Edx, 1 << 4 | 1 << 5 | 1 << 10),
];
/// AVX itself.
const AVX: &[Bits] = &[
    // FMA, AVX, F16C.
    (1, 0, Register::Ecx, 1 << 12 | 1 << 28 | 1 << 29),
    // XOP, FMA4.
    (0x8000_0001, 0, Register::Ecx, 1 << 11 | 1 << 16),
    // YMM.
    (0xd, 0, Register::Eax, 1 << 2),
];
/// `rep movsb` and `rep stosb` that are fast, and so what C libraries copy with.
const ERMS: &[Bits] = &[(7, 0, Register::Ebx, 1 << 9), (7, 0, Register::Edx, 1 << 4)];

/// A feature that can be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// 256-bit vectors, and all wider ones.
    Avx,
    /// Integers on them, and all wider ones.
    Avx2,
    /// 512-bit vectors.
    Avx512,
    /// Fast string moves.
    Erms,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Avx, Self::Avx2, Self::Avx512, Self::Erms];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx => "avx",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Erms => "erms",
        }
    }

    fn bits(self) -> impl Iterator<Item = Bits> {
        let tables: &[&[Bits]] = match self {
            Self::Avx => &[AVX, AVX2, AVX512],
            Self::Avx2 => &[AVX2, AVX512],
            Self::Avx512 => &[AVX512],
            Self::Erms => &[ERMS],
        };
        tables.iter().flat_map(|table| table.iter().copied())
    }

    /// Takes it out of a leaf.
    pub fn hide(self, entry: &mut kvm_cpuid_entry2) {
        for (function, index, register, bits) in self.bits() {
            if (function, index) != (entry.function, entry.index) {
                continue;
            }
            let word = match register {
                Register::Eax => &mut entry.eax,
                Register::Ebx => &mut entry.ebx,
                Register::Ecx => &mut entry.ecx,
                Register::Edx => &mut entry.edx,
            };
            *word &= !bits;
        }
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        let feature = Self::ALL.into_iter().find(|feature| feature.name() == name);
        feature.ok_or_else(|| format!("{name:?} is no feature that can be hidden: {known}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(features: &[Feature], function: u32, index: u32) -> kvm_cpuid_entry2 {
        let all = kvm_cpuid_entry2 {
            function,
            index,
            eax: u32::MAX,
            ebx: u32::MAX,
            ecx: u32::MAX,
            edx: u32::MAX,
            ..Default::default()
        };
        features.iter().fold(all, |mut entry, feature| {
            feature.hide(&mut entry);
            entry
        })
    }

    #[test]
    fn without_avx_nothing_is_left_that_builds_on_it() {
        let features = hidden(&[Feature::Avx], 1, 0);
        assert_eq!((features.ecx, features.edx), (!(1 << 12 | 1 << 28 | 1 << 29), u32::MAX));
        let more = hidden(&[Feature::Avx], 7, 0);
        assert_eq!(more.ebx & (1 << 5 | 1 << 16), 0);
        // SSE and x87 state stay.
        assert_eq!(hidden(&[Feature::Avx], 0xd, 0).eax & 0xe7, 0x3);
    }

    #[test]
    fn without_wide_vectors_the_narrower_ones_stay() {
        assert_eq!(hidden(&[Feature::Avx512], 7, 0).ebx & (1 << 5 | 1 << 16), 1 << 5);
        assert_eq!(hidden(&[Feature::Avx2], 1, 0).ecx, u32::MAX);
        assert_eq!(hidden(&[Feature::Erms], 7, 0).ebx, !(1 << 9));
        assert_eq!(hidden(&[Feature::Erms], 7, 1), hidden(&[], 7, 1));
    }

    #[test]
    fn names_lead_back_and_an_unknown_one_is_told_those_that_are() {
        for feature in Feature::ALL {
            assert_eq!(feature.name().parse(), Ok(feature));
        }
        let error = "sse".parse::<Feature>().unwrap_err();
        assert_eq!(error, "\"sse\" is no feature that can be hidden: avx, avx2, avx512, erms");
    }
}
