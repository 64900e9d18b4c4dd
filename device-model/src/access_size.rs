//! The width of an access.

use std::fmt;

/// The width of an access that reaches a device: 1, 2, 4 or 8 bytes, under the names that PCI and x86
/// have for them. What a page boundary leaves of a wider access may have any length from 1 to 8 bytes;
/// it reaches a device in parts, largest first, each of such a size ([`AccessSize::at_most`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessSize {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Word,
    /// 4 bytes.
    Dword,
    /// 8 bytes.
    Qword,
}

impl AccessSize {
    /// Every size, in ascending order.
    pub const ALL: [Self; 4] = [Self::Byte, Self::Word, Self::Dword, Self::Qword];

    /// The size of `bytes` bytes; `None` unless that is 1, 2, 4 or 8.
    pub const fn new(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
    }

    /// The largest size of at most `bytes` bytes; `None` of 0.
    pub const fn at_most(bytes: u64) -> Option<Self> {
        match bytes {
            0 => None,
            1 => Some(Self::Byte),
            2..4 => Some(Self::Word),
            4..8 => Some(Self::Dword),
            8.. => Some(Self::Qword),
        }
    }

    /// Number of bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self as u32
    }

    /// Number of bits.
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }

    /// A one for each bit.
    #[inline]
    pub const fn mask(self) -> u64 {
        low_bytes(self.bytes())
    }
}

impl fmt::Display for AccessSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes() {
            1 => f.pad("1 byte"),
            bytes => f.pad(&format!("{bytes} bytes")),
        }
    }
}

/// A one for each bit of the low `bytes` bytes of a number; at least one byte, at most eight.
pub const fn low_bytes(bytes: u64) -> u64 {
    match bytes {
        0 | 1 => 0xff,
        2..8 => u64::MAX >> (64 - 8 * bytes),
        8.. => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};

    #[test]
    fn only_1_2_4_and_8_bytes_are_sizes() {
        let sizes: Vec<_> = (0..=16).filter_map(AccessSize::new).collect();

        assert_eq!(sizes, [Byte, Word, Dword, Qword]);
        assert_eq!(AccessSize::new(u64::MAX), None);
    }

    #[test]
    fn a_length_is_cut_into_the_largest_size_first() {
        let largest: Vec<_> = (0..10).map(AccessSize::at_most).collect();

        assert_eq!(
            largest,
            [
                None,
                Some(Byte),
                Some(Word),
                Some(Word),
                Some(Dword),
                Some(Dword),
                Some(Dword),
                Some(Dword),
                Some(Qword),
                Some(Qword),
            ]
        );
    }

    #[test]
    fn a_size_has_a_mask_of_its_bits() {
        let of = |size: AccessSize| (size.bytes(), size.bits(), size.mask());

        assert_eq!(of(Byte), (1, 8, 0xff));
        assert_eq!(of(Word), (2, 16, 0xffff));
        assert_eq!(of(Dword), (4, 32, 0xffff_ffff));
        assert_eq!(of(Qword), (8, 64, 0xffff_ffff_ffff_ffff));
    }

    #[test]
    fn a_fragment_has_a_mask_too() {
        assert_eq!([low_bytes(3), low_bytes(7)], [0xff_ffff, 0xff_ffff_ffff_ffff]);
        assert_eq!([low_bytes(0), low_bytes(9)], [0xff, u64::MAX]);
    }
}
