//! Where an access goes: a function, and one of its regions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A PCI function's address: bus (8 bits), device (5 bits), function (3 bits).
///
/// PCI Local Bus 3.0, section 3.2.2.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bdf(u16);

impl Bdf {
    /// `None` if the device is above 31 or the function above 7.
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device > 31 || function > 7 {
            return None;
        }
        Some(Self(((bus as u16) << 8) | ((device as u16) << 3) | function as u16))
    }

    /// The 16-bit routing identifier: bus in bits 15:8, device in 7:3, function in 2:0.
    pub const fn from_routing_id(id: u16) -> Self {
        Self(id)
    }

    /// The 16-bit routing identifier.
    pub const fn routing_id(self) -> u16 {
        self.0
    }

    /// Bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Device number, 0 to 31.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 0x1f
    }

    /// Function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.bus(), self.device(), self.function())
    }
}

impl fmt::Debug for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no `BB:DD.F`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no PCI address; write it as BB:DD.F in hexadecimal, like 00:04.0")]
pub struct BadBdf(pub String);

impl FromStr for Bdf {
    type Err = BadBdf;

    fn from_str(text: &str) -> Result<Self, BadBdf> {
        let parse = || {
            let (bus, rest) = text.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            // `from_str_radix` alone takes a sign.
            let hex = |part: &str| {
                let digits = part.bytes().all(|byte| byte.is_ascii_hexdigit());
                u8::from_str_radix(part, 16).ok().filter(|_| digits)
            };
            Bdf::new(hex(bus)?, hex(device)?, hex(function)?)
        };
        parse().ok_or_else(|| BadBdf(text.to_owned()))
    }
}

/// The number of a base address register, 0 to 5; a 64-bit BAR goes by that of its lower half.
///
/// PCI Local Bus 3.0, section 6.2.5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct BarIndex(u8);

impl BarIndex {
    /// BAR0.
    pub const BAR0: Self = Self(0);
    /// BAR1.
    pub const BAR1: Self = Self(1);
    /// BAR2.
    pub const BAR2: Self = Self(2);
    /// BAR3.
    pub const BAR3: Self = Self(3);
    /// BAR4.
    pub const BAR4: Self = Self(4);
    /// BAR5.
    pub const BAR5: Self = Self(5);

    /// `None` above 5.
    pub const fn new(index: u8) -> Option<Self> {
        if index > 5 { None } else { Some(Self(index)) }
    }

    /// All six, in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=5).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The BAR behind it, which holds the upper half of a 64-bit one; `None` for BAR5.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for BarIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BAR{}", self.0)
    }
}

impl From<BarIndex> for u8 {
    fn from(index: BarIndex) -> Self {
        index.0
    }
}

/// A number that no BAR has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no BAR has the number {0}; a function has BAR0 to BAR5")]
pub struct BadBarIndex(pub u8);

impl TryFrom<u8> for BarIndex {
    type Error = BadBarIndex;

    fn try_from(index: u8) -> Result<Self, BadBarIndex> {
        Self::new(index).ok_or(BadBarIndex(index))
    }
}

/// A part of a function that an access can reach. Offsets are relative to its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// The range that a base address register decodes.
    Bar(BarIndex),
    /// The expansion ROM.
    Rom,
    /// Configuration space, 256 or 4096 bytes.
    Config,
}

impl Region {
    /// The range that BAR0 decodes.
    pub const BAR0: Self = Self::Bar(BarIndex::BAR0);
    /// The range that BAR1 decodes.
    pub const BAR1: Self = Self::Bar(BarIndex::BAR1);
    /// The range that BAR2 decodes.
    pub const BAR2: Self = Self::Bar(BarIndex::BAR2);
    /// The range that BAR3 decodes.
    pub const BAR3: Self = Self::Bar(BarIndex::BAR3);
    /// The range that BAR4 decodes.
    pub const BAR4: Self = Self::Bar(BarIndex::BAR4);
    /// The range that BAR5 decodes.
    pub const BAR5: Self = Self::Bar(BarIndex::BAR5);
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Bar(index) => index.fmt(f),
            Region::Rom => f.write_str("ROM"),
            Region::Config => f.write_str("CONFIG"),
        }
    }
}

/// The address space that a BAR or a route decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Memory (MMIO).
    Memory,
    /// I/O ports.
    Io,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_packed_as_a_routing_id() {
        let bdf = Bdf::new(0xab, 0x19, 5).unwrap();

        assert_eq!(bdf.routing_id(), 0xabcd);
        assert_eq!(Bdf::from_routing_id(0xabcd), bdf);
        assert_eq!((bdf.bus(), bdf.device(), bdf.function()), (0xab, 0x19, 5));
    }

    #[test]
    fn devices_above_31_and_functions_above_7_do_not_exist() {
        assert_eq!(Bdf::new(0, 32, 0), None);
        assert_eq!(Bdf::new(0, 0, 8), None);
        assert!(Bdf::new(255, 31, 7).is_some());
    }

    #[test]
    fn a_function_has_six_bars() {
        assert_eq!(BarIndex::all().collect::<Vec<_>>().len(), 6);
        assert_eq!(BarIndex::new(5), Some(BarIndex::BAR5));
        assert_eq!([BarIndex::new(6), BarIndex::BAR5.next()], [None, None]);
        assert_eq!(BarIndex::BAR0.next(), Some(BarIndex::BAR1));
    }

    #[test]
    fn a_region_is_stored_with_its_number_which_is_checked() {
        assert_eq!(serde_json::to_string(&Region::BAR2).unwrap(), r#"{"bar":2}"#);
        assert_eq!(serde_json::from_str::<Region>(r#"{"bar":2}"#).unwrap(), Region::BAR2);
        let error = serde_json::from_str::<Region>(r#"{"bar":6}"#).unwrap_err().to_string();
        assert!(error.starts_with("no BAR has the number 6; a function has BAR0 to BAR5"), "{error}");
    }

    #[test]
    fn an_address_reads_back_as_it_is_printed() {
        let bdf = Bdf::new(0, 4, 1).unwrap();

        assert_eq!(bdf.to_string(), "00:04.1");
        assert_eq!("00:04.1".parse(), Ok(bdf));
    }

    #[test]
    fn what_is_no_address_is_quoted_in_the_error() {
        for text in ["", "04.0", "00:04", "00:20.0", "00:04.8", "100:04.0", "00:+4.0"] {
            assert_eq!(text.parse::<Bdf>(), Err(BadBdf(text.to_owned())), "{text}");
        }
    }
}
