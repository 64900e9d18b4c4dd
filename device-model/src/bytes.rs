//! Accesses to what is kept as bytes.

use std::ops::Range;

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

/// Up to eight bytes as a little-endian number.
pub(crate) fn little_endian(bytes: impl DoubleEndedIterator<Item = u8>) -> u64 {
    bytes.rev().fold(0, |value, byte| value << 8 | u64::from(byte))
}
