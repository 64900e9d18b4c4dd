//! Accesses to what is kept as bytes.

use std::ops::Range;

use crate::access_size::AccessSize;
use crate::refused::Refused;

/// The bytes that an access of `size` at `offset` covers, all below `length`.
///
/// # Errors
/// [`Refused::Reserved`] past the end.
pub(crate) fn range(offset: u64, size: AccessSize, length: usize) -> Result<Range<usize>, Refused> {
    let start = usize::try_from(offset).map_err(|_| Refused::Reserved)?;
    let end = start.checked_add(size.bytes() as usize).filter(|&end| end <= length);
    Ok(start..end.ok_or(Refused::Reserved)?)
}

/// The little-endian number of `size` bytes at `offset` of constant content, such as a ROM's.
///
/// # Errors
/// [`Refused::Reserved`] if any of them lies past the end.
pub fn read_bytes(content: &[u8], offset: u64, size: AccessSize) -> Result<u64, Refused> {
    let bytes = &content[range(offset, size, content.len())?];
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_a_little_endian_number() {
        let content = [0x11, 0x22, 0x33, 0x44];

        assert_eq!(read_bytes(&content, 0, AccessSize::Dword), Ok(0x4433_2211));
        assert_eq!(read_bytes(&content, 1, AccessSize::Word), Ok(0x3322));
        assert_eq!(read_bytes(&content, 3, AccessSize::Byte), Ok(0x44));
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        for (offset, size) in [(1, AccessSize::Dword), (4, AccessSize::Byte), (u64::MAX, AccessSize::Byte)] {
            assert_eq!(read_bytes(&[0; 4], offset, size), Err(Refused::Reserved), "{offset} {size}");
        }
    }
}
