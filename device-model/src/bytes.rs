//! Accesses to what is kept as bytes.

use std::fmt;
use std::ops::Range;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::device::Refused;

/// The bytes that an access of `size` at `offset` covers, all below `length`.
///
/// # Errors
/// [`Refused::Width`] unless the size is 1, 2, 4 or 8; [`Refused::Reserved`] past the end.
pub(crate) fn range(offset: u64, size: u8, length: usize) -> Result<Range<usize>, Refused> {
    if !matches!(size, 1 | 2 | 4 | 8) {
        return Err(Refused::Width);
    }
    let start = usize::try_from(offset).map_err(|_| Refused::Reserved)?;
    let end = start.checked_add(size.into()).filter(|&end| end <= length).ok_or(Refused::Reserved)?;
    Ok(start..end)
}

/// A part of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it is in the region.
    pub(crate) offset: u64,
    /// Its size in bytes.
    pub(crate) size: u8,
    /// How many bytes of the access come before it.
    before: u8,
}

impl Part {
    /// What it contributes to what the access reads.
    pub(crate) fn place(self, value: u64) -> u64 {
        (value & self.mask()) << (8 * u32::from(self.before))
    }

    /// Its own of what the access writes.
    pub(crate) fn cut(self, value: u64) -> u64 {
        value >> (8 * u32::from(self.before)) & self.mask()
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * u32::from(self.size))
    }
}

/// An access of up to 8 bytes as the largest aligned ones of 1, 2, 4 or 8 bytes that make it up: what a
/// device does that takes no unaligned ones.
pub(crate) fn aligned_parts(offset: u64, size: u8) -> impl Iterator<Item = Part> {
    let mut before = 0;
    std::iter::from_fn(move || {
        let offset = offset.wrapping_add(before.into());
        let largest = u32::from(size - before).checked_ilog2()?;
        let part = Part { offset, size: 1 << largest.min(offset.trailing_zeros()), before };
        before += part.size;
        Some(part)
    })
}

/// Up to eight bytes as a little-endian number.
pub(crate) fn little_endian(bytes: impl DoubleEndedIterator<Item = u8>) -> u64 {
    bytes.rev().fold(0, |value, byte| value << 8 | u64::from(byte))
}

/// Bytes that are saved as a text of hexadecimal digits.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes
            .filter(|_| rest.is_empty())
            .map(Self)
            .ok_or_else(|| D::Error::custom("pairs of hexadecimal digits expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_reads_back_as_it_was_written() {
        let hex = Hex(vec![0x00, 0x7f, 0xa5]);

        let text = serde_json::to_string(&hex).unwrap();

        assert_eq!(text, "\"007fa5\"");
        assert_eq!(serde_json::from_str::<Hex>(&text).unwrap(), hex);
    }

    #[test]
    fn what_is_no_hex_is_refused() {
        for text in ["\"0\"", "\"0g\"", "\"+1\"", "\"äö\"", "1"] {
            assert!(serde_json::from_str::<Hex>(text).is_err(), "{text}");
        }
    }

    fn parts(offset: u64, size: u8) -> Vec<(u64, u8)> {
        aligned_parts(offset, size).map(|part| (part.offset, part.size)).collect()
    }

    #[test]
    fn an_aligned_access_is_one_part() {
        for size in [1, 2, 4, 8] {
            assert_eq!(parts(0x18, size), [(0x18, size)]);
        }
    }

    #[test]
    fn an_unaligned_access_falls_into_aligned_parts() {
        assert_eq!(parts(0x04, 8), [(0x04, 4), (0x08, 4)]);
        assert_eq!(parts(0x82, 8), [(0x82, 2), (0x84, 4), (0x88, 2)]);
        assert_eq!(parts(0x07, 8), [(0x07, 1), (0x08, 4), (0x0c, 2), (0x0e, 1)]);
        assert_eq!(parts(0x01, 4), [(0x01, 1), (0x02, 2), (0x04, 1)]);
    }

    #[test]
    fn parts_are_cut_from_a_value_and_placed_where_they_came_from() {
        let value = 0x8877_6655_4433_2211;
        let cut: Vec<u64> = aligned_parts(0x82, 8).map(|part| part.cut(value)).collect();
        let placed = aligned_parts(0x82, 8).fold(0, |all, part| all | part.place(part.cut(value)));

        assert_eq!(cut, [0x2211, 0x6655_4433, 0x8877]);
        assert_eq!(placed, value);
    }
}
