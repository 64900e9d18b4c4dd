//! Interest: which events may matter to a filter, told by a few comparisons.

use barscope_device::Region;
use smallvec::SmallVec;

use super::kind::Kinds;
use crate::view::View;

/// Kinds of events, and a range of places that holds all those of interest. An event at no place is of interest by
/// its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    kinds: Kinds,
    /// A bit for each region.
    regions: u8,
    /// It is in what comes after a time: device time `first`, host time `last`.
    late: bool,
    first: u64,
    last: u64,
}

/// Several of them; mostly a few.
pub(crate) type Interests = SmallVec<[Interest; 4]>;

/// What of an event is held against interests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    kinds: Kinds,
    /// Its region's bit and its offset; every region's if it is at no place, or at an unknown one.
    regions: u8,
    offset: Option<u64>,
    device_ns: u64,
    host_ns: u64,
}

impl Interest {
    /// In everything.
    pub(crate) const ALL: Interest =
        Interest { kinds: Kinds::ALL, regions: u8::MAX, late: false, first: 0, last: u64::MAX };
    /// In nothing.
    pub(crate) const NONE: Interest =
        Interest { kinds: Kinds::NONE, regions: 0, late: false, first: u64::MAX, last: 0 };

    /// In events of these kinds, anywhere.
    pub(crate) const fn of(kinds: Kinds) -> Self {
        Interest { kinds, ..Interest::ALL }
    }

    /// In what is at these offsets of a region.
    pub(super) fn at(region: Region, first: u64, last: u64) -> Self {
        Interest { regions: bit(region), first, last, ..Interest::ALL }
    }

    /// In whatever comes after these times.
    pub(crate) fn after(device_ns: u64, host_ns: u64) -> Self {
        Interest { late: true, first: device_ns, last: host_ns, ..Interest::ALL }
    }

    pub(crate) fn kinds(self) -> Kinds {
        self.kinds
    }

    /// In what is of interest to either.
    pub(super) fn or(self, other: Interest) -> Self {
        Interest {
            kinds: self.kinds.or(other.kinds),
            regions: self.regions | other.regions,
            late: false,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// In what is of interest to both.
    pub(super) fn and(self, other: Interest) -> Self {
        Interest {
            kinds: self.kinds.and(other.kinds),
            regions: self.regions & other.regions,
            late: false,
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// Whether an event may matter.
    pub(crate) fn meets(self, seen: Seen) -> bool {
        if self.late {
            return seen.device_ns > self.first || seen.host_ns > self.last;
        }
        self.kinds.meets(seen.kinds)
            && seen.offset.is_none_or(|offset| {
                self.regions & seen.regions != 0 && self.first <= offset && offset <= self.last
            })
    }
}

impl Seen {
    /// Of an event at these times.
    pub(crate) fn of(view: &View, device_ns: u64, host_ns: u64) -> Self {
        let kinds = Kinds::possible(view);
        let (regions, offset) = match view.place() {
            Some(place) => (bit(place.region), Some(place.offset)),
            None => (u8::MAX, None),
        };
        Seen { kinds, regions, offset, device_ns, host_ns }
    }
}

fn bit(region: Region) -> u8 {
    match region {
        Region::Bar(index) => 1 << index.get(),
        Region::Rom => 1 << 6,
        Region::Config => 1 << 7,
    }
}
