//! Where a device's BARs are, and which of them an access went to.

use barscope_device::{BarIndex, Description, Region, Space};

use crate::{BarAt, BarPlace, ImportError};

/// A BAR where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) bar: BarIndex,
    pub(crate) space: Space,
    pub(crate) base: u64,
    pub(crate) size: u64,
    /// Somebody said so, who knows better than the file.
    given: bool,
}

/// Where the BARs of a device are.
#[derive(Debug)]
pub(crate) struct Places {
    /// Each BAR that the device has, with its space and size.
    bars: Vec<(BarIndex, Space, u64)>,
    placed: Vec<Placed>,
    /// BARs by the names of regions.
    named: Vec<(String, BarIndex)>,
}

impl Places {
    pub(crate) fn new(device: &Description, given: &[BarAt]) -> Result<Self, ImportError> {
        let bars = device.header().bars.iter();
        let bars = bars.filter_map(|bar| match bar.region() {
            Region::Bar(index) => Some((index, bar.space, bar.size)),
            _ => None,
        });
        let mut places = Self { bars: bars.collect(), placed: Vec::new(), named: Vec::new() };
        for BarAt { bar, place } in given {
            let known = places.bars.iter().any(|(index, ..)| index == bar);
            if !known {
                return Err(ImportError::NoBar { bar: *bar });
            }
            match place {
                BarPlace::Address(base, size) => {
                    places.put(*bar, *base, *size, true);
                }
                BarPlace::Region(name) => places.named.push((name.clone(), *bar)),
            }
        }
        Ok(places)
    }

    /// Whether anything was said of where a BAR is.
    pub(crate) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.named.is_empty()
    }

    pub(crate) fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// Notes where the file says that a BAR is; where it was before, and where it is now, if that is news.
    pub(crate) fn put(
        &mut self,
        bar: BarIndex,
        base: u64,
        size: Option<u64>,
        given: bool,
    ) -> Option<(Option<Placed>, Placed)> {
        let (_, space, own) = *self.bars.iter().find(|(index, ..)| *index == bar)?;
        let size = size.filter(|size| *size > 0).unwrap_or(own);
        let new = Placed { bar, space, base, size, given };
        let Some(old) = self.placed.iter_mut().find(|placed| placed.bar == bar) else {
            self.placed.push(new.clone());
            return Some((None, new));
        };
        if (old.given && !given) || *old == new {
            return None;
        }
        let old = std::mem::replace(old, new.clone());
        Some((Some(old), new))
    }

    /// The BAR that an access of `size` bytes went to, where it is, as far as addresses say.
    pub(crate) fn at(&self, address: u64) -> Option<&Placed> {
        self.placed.iter().find(|placed| address.wrapping_sub(placed.base) < placed.size)
    }

    /// The BAR behind a region's name: a BAR lies at a multiple of its size.
    pub(crate) fn named(&self, name: &str, address: u64) -> Option<(BarIndex, u64)> {
        let (_, bar) = self.named.iter().find(|(known, _)| known == name)?;
        let (.., size) = self.bars.iter().find(|(index, ..)| index == bar)?;
        Some((*bar, address & !(size - 1)))
    }
}
