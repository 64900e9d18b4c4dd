//! Values as JSON has them: numbers in decimal, or strings in hexadecimal, by what they mean.
//!
//! Sizes, counts, ordinals, sequence numbers and times in nanoseconds are numbers. Addresses, offsets and what
//! registers hold are strings in hexadecimal, since JSON readers lose bits of 64-bit numbers.

use std::fmt::Display;

use barscope_device::{Bdf, Region};
use barscope_trace::definition::Process;
use serde::{Serialize, Serializer};

/// An address, an offset, or what a register holds: `"0xfe000008"`.
#[derive(Clone, Copy)]
pub(crate) struct Hex(pub(crate) u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 18];
        let mut at = text.len();
        let mut left = self.0;
        loop {
            at -= 1;
            text[at] = DIGITS[(left & 0xf) as usize];
            left >>= 4;
            if left == 0 {
                break;
            }
        }
        at -= 2;
        text[at..at + 2].copy_from_slice(b"0x");
        serializer.serialize_str(std::str::from_utf8(&text[at..]).unwrap_or_default())
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A function's address: `"00:04.0"`.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(crate) Bdf);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |value: u8| DIGITS[usize::from(value & 0xf)];
        let (bus, device, function) = (self.0.bus(), self.0.device(), self.0.function());
        let text =
            [digit(bus >> 4), digit(bus), b':', digit(device >> 4), digit(device), b'.', digit(function)];
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A region, as it is printed everywhere.
pub(crate) const fn region_name(region: Region) -> &'static str {
    match region {
        Region::Bar(index) => ["BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"][index.get() as usize],
        Region::Rom => "ROM",
        Region::Config => "CONFIG",
    }
}

/// What has a text, as that.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A process.
#[derive(Serialize)]
pub(crate) struct ProcessObject<'a> {
    pid: u64,
    name: &'a str,
}

impl<'a> From<&'a Process> for ProcessObject<'a> {
    fn from(process: &'a Process) -> Self {
        Self { pid: process.pid, name: &process.name }
    }
}

/// For fields of structures: [`Hex`].
pub(crate) fn as_hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Hex(*value).serialize(serializer)
}

/// For fields of structures that may be unknown: [`Hex`].
pub(crate) fn as_hex_or_null<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(Hex).serialize(serializer)
}

/// For fields of structures: [`Text`].
pub(crate) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// For fields of structures where 0 means that there is none, like a cause.
pub(crate) fn or_null<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*value).filter(|value| *value != 0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_regions_are_written_as_they_are_printed() {
        for bdf in ["00:04.0", "ff:1f.7", "0a:10.3"] {
            let address = Address(bdf.parse().unwrap());
            assert_eq!(serde_json::to_string(&address).unwrap(), format!("{bdf:?}"));
        }
        for region in [Region::BAR0, Region::BAR5, Region::Rom, Region::Config] {
            assert_eq!(region_name(region), region.to_string());
        }
    }

    #[test]
    fn hexadecimal_numbers_have_no_leading_zeros() {
        for (value, expected) in
            [(0, "\"0x0\""), (0xf, "\"0xf\""), (0x10, "\"0x10\""), (u64::MAX, "\"0xffffffffffffffff\"")]
        {
            assert_eq!(serde_json::to_string(&Hex(value)).unwrap(), expected);
        }
    }
}
