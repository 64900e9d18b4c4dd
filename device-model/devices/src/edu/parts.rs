//! Accesses cut into aligned ones: what a device does that takes no others.

use barscope_device::AccessSize;

/// A part of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Offset in the region.
    pub(super) offset: u64,
    pub(super) size: AccessSize,
    /// Number of bits of the access that come before it.
    shift: u32,
}

impl Part {
    /// What it contributes to what the access reads.
    pub(super) fn place(self, value: u64) -> u64 {
        (value & self.size.mask()) << self.shift
    }

    /// Its own of what the access writes.
    pub(super) fn cut(self, value: u64) -> u64 {
        value >> self.shift & self.size.mask()
    }
}

/// The largest aligned accesses that make up one of any alignment.
pub(super) fn aligned_parts(offset: u64, size: AccessSize) -> impl Iterator<Item = Part> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let offset = offset.wrapping_add(done);
        let aligned = 1 << offset.trailing_zeros().min(3);
        let part = AccessSize::at_most((size.bytes() - done).min(aligned))?;
        let shift = 8 * done as u32;
        done += part.bytes();
        Some(Part { offset, size: part, shift })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use barscope_device::AccessSize::{Byte, Dword, Qword, Word};

    fn parts(offset: u64, size: AccessSize) -> Vec<(u64, AccessSize)> {
        aligned_parts(offset, size).map(|part| (part.offset, part.size)).collect()
    }

    #[test]
    fn an_aligned_access_is_one_part() {
        for size in AccessSize::ALL {
            assert_eq!(parts(0x18, size), [(0x18, size)]);
        }
    }

    #[test]
    fn an_unaligned_access_falls_into_aligned_parts() {
        assert_eq!(parts(0x04, Qword), [(0x04, Dword), (0x08, Dword)]);
        assert_eq!(parts(0x82, Qword), [(0x82, Word), (0x84, Dword), (0x88, Word)]);
        assert_eq!(parts(0x07, Qword), [(0x07, Byte), (0x08, Dword), (0x0c, Word), (0x0e, Byte)]);
        assert_eq!(parts(0x01, Dword), [(0x01, Byte), (0x02, Word), (0x04, Byte)]);
    }

    #[test]
    fn parts_are_cut_from_a_value_and_placed_where_they_came_from() {
        let value = 0x8877_6655_4433_2211;
        let cut: Vec<u64> = aligned_parts(0x82, Qword).map(|part| part.cut(value)).collect();
        let placed = aligned_parts(0x82, Qword).fold(0, |all, part| all | part.place(part.cut(value)));

        assert_eq!(cut, [0x2211, 0x6655_4433, 0x8877]);
        assert_eq!(placed, value);
    }
}
