//! What is known of functions: Command, power state, where their regions are decoded. Only what the trace itself shows counts; what isn't known isn't told.

use std::collections::BTreeMap;

use barscope_device::{Bdf, Region, Space};
use barscope_trace::definition::Function;
use barscope_trace::event::{EventKind, Outcome, RouteChange};

use super::touch::Touch;
use crate::view::{Place, View};

/// So many functions are followed, and so many regions.
const MOST: usize = 256;
/// Registers of configuration space (PCI Local Bus 3.0, section 6.1).
pub(super) const COMMAND: u64 = 0x04;
pub(super) const MEMORY_SPACE: u8 = 1 << 1;
const BUS_MASTER: u8 = 1 << 2;
const FIRST_BAR: u64 = 0x10;
const LAST_BAR: u64 = 0x24;
const D3_HOT: u8 = 3;

/// Functions and regions, followed record by record.
#[derive(Default)]
pub(super) struct Functions {
    known: BTreeMap<Bdf, Known>,
    regions: BTreeMap<(Bdf, Region), Decoded>,
    /// The last record that is missing, or 0.
    lost: u64,
}

/// A function.
#[derive(Default)]
struct Known {
    /// The low byte of Command, and the record that told it.
    command: Option<(u8, u64)>,
    /// The power state, and the record that told it.
    power: Option<(u8, u64)>,
    /// The last record that may have changed Bus Master.
    master_since: u64,
    /// The last write to each BAR register, whole or in part.
    bars: [Option<(Option<u32>, u64)>; 6],
    /// Offset of the power management capability's control register.
    power_offset: Option<u64>,
    reset_offset: Option<u64>,
    af_offset: Option<u64>,
    offsets_known: bool,
}

/// Where a region is.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    pub(super) base: u64,
    pub(super) size: u64,
    pub(super) space: Space,
    /// The function's name.
    pub(super) name: String,
}

impl Functions {
    /// Records are missing before `seq`.
    pub(super) fn lose(&mut self, seq: u64) {
        *self = Self { lost: seq - 1, ..Self::default() };
    }

    /// Takes an access to configuration space.
    pub(super) fn access(&mut self, seq: u64, touch: &Touch<'_>) {
        let Some(place) = touch.configuration() else { return };
        let (Some(bdf), Some(function)) = (place.bdf, place.function.as_deref()) else { return };
        if touch.access.outcome != Outcome::Ok || !self.known.contains_key(&bdf) && self.known.len() >= MOST {
            return;
        }
        let lost = self.lost;
        let known = self.known.entry(bdf).or_insert_with(|| Known { master_since: lost, ..Known::default() });
        known.find_offsets(function);
        let bytes = touch.access.value.to_le_bytes();
        let bytes = &bytes[..usize::from(touch.access.size.min(8))];
        known.take(seq, touch.access.write, place.offset, bytes);
    }

    /// Takes any other record.
    pub(super) fn event(&mut self, view: &View) {
        let EventKind::Route { change, cause, .. } = view.kind else { return };
        let (Some(function), Some(route)) = (view.function(), view.route()) else { return };
        let key = (function.bdf, route.region);
        match change {
            RouteChange::Added if self.regions.len() < MOST => {
                let (base, size, space) = (route.base, route.size, route.space);
                self.regions.insert(key, Decoded { base, size, space, name: function.name.clone() });
            }
            RouteChange::Added => (),
            RouteChange::Removed => {
                self.regions.remove(&key);
                // The machine's own doing, as a reset is.
                if cause == 0 {
                    self.known.insert(function.bdf, Known { master_since: view.seq, ..Known::default() });
                }
            }
            RouteChange::Refused => (),
        }
    }

    /// Whether a function certainly is in D3hot; the record that tells.
    pub(super) fn asleep(&self, bdf: Bdf) -> Option<u64> {
        let (state, seq) = self.known.get(&bdf)?.power?;
        (state == D3_HOT).then_some(seq)
    }

    /// Whether Memory Space certainly is clear; the record that tells.
    pub(super) fn memory_space_off(&self, bdf: Bdf) -> Option<u64> {
        let (command, seq) = self.known.get(&bdf)?.command?;
        (command & MEMORY_SPACE == 0).then_some(seq)
    }

    /// The last record that may have changed a function's Bus Master.
    pub(super) fn master_since(&self, bdf: Bdf) -> u64 {
        self.known.get(&bdf).map_or(self.lost, |known| known.master_since)
    }

    /// Where a region is decoded.
    pub(super) fn decoded(&self, bdf: Bdf, region: Region) -> Option<&Decoded> {
        self.regions.get(&(bdf, region))
    }

    /// All regions in memory that are decoded.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = (Bdf, Region, &Decoded)> {
        let all = self.regions.iter().map(|((bdf, region), decoded)| (*bdf, *region, decoded));
        all.filter(|(_, _, decoded)| decoded.space == Space::Memory)
    }

    /// Whether the BAR's register may hold another address than `base`, by what was written to it.
    pub(super) fn may_have_moved(&self, place: &Place, base: u64, wide: bool) -> bool {
        let (Some(bdf), Region::Bar(index)) = (place.bdf, place.region) else { return true };
        let Some(known) = self.known.get(&bdf) else { return false };
        let at = usize::from(index.get());
        let halves = [(at, base as u32 & !0xf, !0xf), (at + 1, (base >> 32) as u32, u32::MAX)];
        halves.iter().take(if wide { 2 } else { 1 }).any(|(at, half, mask)| match known.bars.get(*at) {
            Some(Some((written, _))) => written.is_none_or(|written| written & mask != *half),
            _ => false,
        })
    }
}

impl Known {
    fn find_offsets(&mut self, function: &Function) {
        if self.offsets_known {
            return;
        }
        self.offsets_known = true;
        let map = function.register_maps.iter().find(|map| map.region == Region::Config);
        let offset = |name: &str| Some(map?.named(name)?.offset);
        self.power_offset = offset("PM_CONTROL");
        self.reset_offset = offset("PCIE_DEVICE_CONTROL");
        self.af_offset = offset("AF_CONTROL");
    }

    fn take(&mut self, seq: u64, write: bool, offset: u64, bytes: &[u8]) {
        let byte = |at: Option<u64>| {
            let within = usize::try_from(at?.checked_sub(offset)?).ok()?;
            bytes.get(within).copied()
        };
        if let Some(command) = byte(Some(COMMAND)) {
            let same = self.command.is_some_and(|(known, _)| (known ^ command) & BUS_MASTER == 0);
            if write && !same {
                self.master_since = seq;
            }
            self.command = match self.command {
                Some((known, since)) if (known ^ command) & MEMORY_SPACE == 0 => Some((command, since)),
                _ => Some((command, seq)),
            };
        }
        if let Some(state) = byte(self.power_offset) {
            let state = state & 3;
            let same = self.power.is_some_and(|(known, _)| known == state);
            if !same {
                self.power = Some((state, seq));
            }
            // On its way to D0 it may forget what it knew.
            if write && state != D3_HOT && !same {
                self.forget(seq);
                self.power = Some((state, seq));
            }
        }
        if !write {
            return;
        }
        let resets = byte(self.reset_offset.map(|at| at + 1)).is_some_and(|control| control & 1 << 7 != 0)
            || byte(self.af_offset).is_some_and(|control| control & 1 != 0);
        if resets {
            self.forget(seq);
            return;
        }
        let (first, last) = (offset & !3, (offset + bytes.len() as u64 - 1) & !3);
        for at in (first..=last).step_by(4).filter(|at| (FIRST_BAR..=LAST_BAR).contains(at)) {
            let whole = (offset == at && bytes.len() == 4)
                .then(|| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            self.bars[((at - FIRST_BAR) / 4) as usize] = Some((whole, seq));
        }
    }

    /// A reset: nothing is known until it is told again.
    fn forget(&mut self, seq: u64) {
        (self.command, self.power, self.bars) = (None, None, [None; 6]);
        self.master_since = seq;
    }
}
