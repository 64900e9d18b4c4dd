//! Where a BAR is, where the file doesn't tell.

use std::str::FromStr;

use barscope_device::{BarIndex, Region};

/// Where a BAR is, as somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarAt {
    /// The BAR.
    pub bar: BarIndex,
    /// Its place.
    pub place: BarPlace,
}

/// How accesses of a BAR are told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BarPlace {
    /// By their addresses: the first one, and how many bytes; as many as the BAR has if not said.
    Address(u64, Option<u64>),
    /// By the name of QEMU's memory region.
    Region(String),
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBar {
    /// It isn't written as one is.
    #[error("write it as 0=0xfebf0000, 0=0xfebf0000,0x1000 or 0=REGION")]
    Form,
    /// There is no such BAR.
    #[error("BARs have the numbers 0 to 5")]
    Number,
    /// Its place makes no sense.
    #[error(
        "{0}: no address and no region's name: write it as 0=0xfebf0000, 0=0xfebf0000,0x1000 or 0=REGION"
    )]
    Place(Region),
    /// Its length makes no sense.
    #[error("the length is no number, or past all addresses")]
    Length,
}

/// `N=ADDRESS[,LENGTH]` or `N=REGION`.
impl FromStr for BarAt {
    type Err = BadBar;

    fn from_str(text: &str) -> Result<Self, BadBar> {
        let (index, place) = text.split_once('=').ok_or(BadBar::Form)?;
        let bar = index.parse().ok().and_then(BarIndex::new).ok_or(BadBar::Number)?;
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let (first, length) =
            place.split_once(',').map_or((place, None), |(first, length)| (first, Some(length)));
        let place = match (number(first), length) {
            (Some(base), None) => BarPlace::Address(base, None),
            (Some(base), Some(length)) => {
                let length = number(length).filter(|length| base.checked_add(*length).is_some());
                BarPlace::Address(base, Some(length.ok_or(BadBar::Length)?))
            }
            (None, None) if !first.is_empty() && !first.starts_with("0x") => {
                BarPlace::Region(first.to_owned())
            }
            _ => return Err(BadBar::Place(Region::Bar(bar))),
        };
        Ok(Self { bar, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BarPlace, BadBar> {
        text.parse().map(|at: BarAt| at.place)
    }

    #[test]
    fn a_place_is_an_address_with_or_without_a_length_or_a_name() {
        assert_eq!(read("0=0xfebf0000"), Ok(BarPlace::Address(0xfebf_0000, None)));
        assert_eq!(read("5=4096,0x10"), Ok(BarPlace::Address(4096, Some(16))));
        assert_eq!(read("0=edu-mmio"), Ok(BarPlace::Region("edu-mmio".to_owned())));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert_eq!(read("0"), Err(BadBar::Form));
        assert_eq!(read("6=0x1000"), Err(BadBar::Number));
        assert_eq!(read("0=0xffffffffffffffff,2"), Err(BadBar::Length));
        for place in ["0=", "0=0xq", "0=name,4"] {
            assert_eq!(read(place), Err(BadBar::Place(Region::BAR0)), "{place}");
        }
    }
}
