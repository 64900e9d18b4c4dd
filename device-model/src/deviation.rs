//! Deviations: what a model answers otherwise than the device that it is a model of, on purpose.
//!
//! A device's documentation says them for people; as data they tell whoever holds a recording of the other one
//! against the model which differences are meant.

use std::ops::Range;

/// A deviation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What it is about.
    pub differs: Differs,
    /// One line on what the model does and what the other one does.
    pub why: &'static str,
}

/// What a deviation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// Reads of a BAR that isn't decoded give this value there, of any size, and all-ones here.
    UndecodedRead {
        /// The value there.
        gives: u64,
    },
    /// Bits of configuration space.
    Configuration {
        /// Offsets of its bytes, from a multiple of 4 to another.
        bytes: Range<u64>,
        /// The bits, of each 4 bytes there.
        bits: u32,
    },
    /// A write to configuration space may change the interrupt pin's level here only; it is another one then until
    /// something changes both.
    Pin {
        /// Offsets of the bytes that are written.
        bytes: Range<u64>,
    },
}

impl Differs {
    /// The bits of `size` bytes from `offset` on of configuration space that this lets differ.
    pub fn bits(&self, offset: u64, size: u8) -> u64 {
        let Self::Configuration { bytes, bits } = self else { return 0 };
        let byte = |at: u64| {
            let within = at.checked_sub(bytes.start).filter(|_| at < bytes.end);
            within.map_or(0, |within| u64::from(bits.to_le_bytes()[(within % 4) as usize]))
        };
        (0..u64::from(size.min(8))).fold(0, |all, at| all | byte(offset.saturating_add(at)) << (8 * at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_bytes_that_an_access_covers() {
        let differs = Differs::Configuration { bytes: 0x40..0x44, bits: 0x0070_0000 };

        assert_eq!(differs.bits(0x40, 4), 0x0070_0000);
        assert_eq!(differs.bits(0x42, 2), 0x70);
        assert_eq!(differs.bits(0x43, 1), 0);
        assert_eq!(differs.bits(0x3e, 8), 0x70_0000_0000);
        assert_eq!(differs.bits(0x44, 4), 0);
        assert_eq!(Differs::UndecodedRead { gives: 0 }.bits(0x40, 4), 0);
    }
}
