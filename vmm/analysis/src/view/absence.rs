//! Why an address leads nowhere: which BAR was there, or would be, and which configuration write it lacks or had.
//!
//! Followed are the routes of BARs, and what the guest writes to Command, BARs and the registers that put a function
//! to sleep or reset it. Where records are missing everything is forgotten: what isn't known isn't told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use barscope_device::{Bdf, Region, Space};
use barscope_trace::definition::{Bar, Function, Route};
use barscope_trace::event::{AccessEvent, Outcome, RouteChange};

use super::Place;

/// So many functions are followed, and so many places where BARs were.
pub(super) const MOST: usize = 256;
/// So many configuration writes are remembered: what one leads to comes right after it.
const WRITES: usize = 16;

/// Registers of configuration space (PCI Local Bus 3.0, section 6.1).
const COMMAND: u64 = 0x04;
const COMMAND_MEMORY_SPACE: u8 = 1 << 1;
const FIRST_BAR: u64 = 0x10;
const BARS: usize = 6;
const ROM: u64 = 0x30;

/// What was at an address that nothing decodes, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The function.
    pub function: Arc<Function>,
    /// Its region.
    pub region: Region,
    /// Where that begins; `None` if it has no address.
    pub base: Option<u64>,
    /// Whether it was there before. Otherwise it only has the address.
    pub was_there: bool,
    /// The record that ended that, or since which it can't answer; `None` if it never could.
    pub since: Option<u64>,
    /// Why it isn't there.
    pub why: Why,
}

impl Absence {
    /// A region of a machine whose BARs have no addresses yet.
    pub(super) fn without_address(function: Arc<Function>, region: Region) -> Self {
        Self { function, region, base: None, was_there: false, since: None, why: Why::NoAddress }
    }
}

/// Why a region isn't decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its BAR was never written.
    NoAddress,
    /// Memory Space Enable is clear.
    MemorySpaceOff,
    /// The function is in D3hot.
    Asleep,
    /// The function was reset, which takes its addresses.
    Reset,
    /// Its BAR was written: it is elsewhere, or nowhere.
    Moved {
        /// Where it is decoded now.
        to: Option<u64>,
    },
    /// The expansion ROM is switched off.
    RomOff,
    /// Something else is there.
    Overlaps,
    /// The trace doesn't tell.
    Unknown,
}

impl Why {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Why::NoAddress => "no-address",
            Why::MemorySpaceOff => "memory-space-off",
            Why::Asleep => "asleep",
            Why::Reset => "reset",
            Why::Moved { .. } => "moved",
            Why::RomOff => "rom-off",
            Why::Overlaps => "overlaps",
            Why::Unknown => "unknown",
        }
    }
}

/// Follows where BARs are.
#[derive(Default)]
pub(super) struct Absences {
    /// Records are missing, or were.
    incomplete: bool,
    functions: BTreeMap<Bdf, Written>,
    writes: VecDeque<(u64, Why)>,
    /// Where regions are decoded.
    decoded: HashMap<(Bdf, Region), u64>,
    /// Where regions no longer are, or could not be, the latest last.
    gone: VecDeque<Gone>,
}

/// What the guest wrote to a function's configuration space.
#[derive(Default)]
struct Written {
    function: Option<Arc<Function>>,
    command: u8,
    /// The record that cleared Memory Space.
    off_since: Option<u64>,
    asleep_since: Option<u64>,
    bars: [u8; 4 * BARS],
}

struct Gone {
    function: Arc<Function>,
    route: Arc<Route>,
    since: u64,
    why: Why,
}

impl Absences {
    /// Records are missing before the one that comes next.
    pub(super) fn forget(&mut self) {
        *self = Self { incomplete: true, ..Self::default() };
    }

    /// Takes an access to configuration space.
    pub(super) fn configuration(&mut self, seq: u64, access: &AccessEvent, place: &Place) {
        let Some(bdf) = place.bdf.filter(|_| access.write && access.outcome == Outcome::Ok) else { return };
        if self.functions.len() >= MOST && !self.functions.contains_key(&bdf) {
            return;
        }
        let written = self.functions.entry(bdf).or_default();
        if let Some(function) = &place.function {
            written.function.get_or_insert_with(|| Arc::clone(function));
        }
        let why = written.take(seq, place.offset, &access.value.to_le_bytes()[..access.size.min(8).into()]);
        if self.writes.len() >= WRITES {
            self.writes.pop_front();
        }
        self.writes.push_back((seq, why));
    }

    /// Takes what became of a route.
    pub(super) fn route(
        &mut self,
        seq: u64,
        (function, route): (&Arc<Function>, &Arc<Route>),
        change: RouteChange,
        cause: u64,
    ) {
        let key = (function.bdf, route.region);
        self.gone.retain(|gone| {
            (gone.function.bdf, gone.route.region, gone.route.base) != (key.0, key.1, route.base)
        });
        if change == RouteChange::Added {
            if self.decoded.len() < MOST {
                self.decoded.insert(key, route.base);
            }
            return;
        }
        if self.decoded.get(&key) == Some(&route.base) {
            self.decoded.remove(&key);
        }
        let why = match (change, self.writes.iter().find(|(write, _)| *write == cause)) {
            (RouteChange::Refused, _) => Why::Overlaps,
            (_, Some((_, why))) => *why,
            (_, None) => Why::Unknown,
        };
        if self.gone.len() >= MOST {
            self.gone.pop_front();
        }
        let since = if cause == 0 { seq } else { cause };
        self.gone.push_back(Gone { function: Arc::clone(function), route: Arc::clone(route), since, why });
    }

    /// What was at a memory `address` that nothing decodes, or would be.
    pub(super) fn explain(&self, address: u64) -> Option<Absence> {
        let was_there = self.gone.iter().rev().find(|gone| gone.holds(address));
        if let Some(gone) = was_there {
            return Some(self.was_there(gone));
        }
        self.functions.values().find_map(|written| written.would_hold(address))
    }

    /// Whether any BAR may ever have had an address.
    pub(super) fn may_have_addresses(&self) -> bool {
        let given = || self.functions.values().any(|written| written.bars != [0; 4 * BARS]);
        self.incomplete || !self.decoded.is_empty() || !self.gone.is_empty() || given()
    }

    fn was_there(&self, gone: &Gone) -> Absence {
        let why = match gone.why {
            Why::Moved { .. } => {
                Why::Moved { to: self.decoded.get(&(gone.function.bdf, gone.route.region)).copied() }
            }
            why => why,
        };
        Absence {
            function: Arc::clone(&gone.function),
            region: gone.route.region,
            base: Some(gone.route.base),
            was_there: why != Why::Overlaps,
            since: Some(gone.since),
            why,
        }
    }
}

impl Gone {
    fn holds(&self, address: u64) -> bool {
        let within = address.checked_sub(self.route.base).is_some_and(|within| within < self.route.size);
        within && self.route.space == Space::Memory
    }
}

impl Written {
    /// Takes `bytes` written from `offset` on. What they do to regions that are decoded.
    fn take(&mut self, seq: u64, offset: u64, bytes: &[u8]) -> Why {
        let named = |name: &str, byte: u64| {
            let map =
                self.function.as_ref()?.register_maps.iter().find(|map| map.region == Region::Config)?;
            let register = map.registers.iter().find(|register| register.name == name)?;
            let at = (register.offset + byte).checked_sub(offset)?;
            bytes.get(usize::try_from(at).ok()?).copied()
        };
        let power = named("PM_CONTROL", 0).map(|state| state & 3);
        let reset = named("PCIE_DEVICE_CONTROL", 1).is_some_and(|control| control & 1 << 7 != 0);
        let mut why = Why::Unknown;
        for (at, byte) in (offset..).zip(bytes) {
            match at {
                COMMAND => {
                    if (self.command ^ byte) & COMMAND_MEMORY_SPACE != 0 {
                        self.off_since = (byte & COMMAND_MEMORY_SPACE == 0).then_some(seq);
                    }
                    self.command = *byte;
                    if byte & COMMAND_MEMORY_SPACE == 0 {
                        why = Why::MemorySpaceOff;
                    }
                }
                ROM if byte & 1 == 0 => why = Why::RomOff,
                _ => {
                    let bar = at.checked_sub(FIRST_BAR).and_then(|at| usize::try_from(at).ok());
                    if let Some(held) = bar.and_then(|at| self.bars.get_mut(at)) {
                        *held = *byte;
                        why = Why::Moved { to: None };
                    }
                }
            }
        }
        let woken = power == Some(0) && self.asleep_since.is_some();
        if power == Some(3) {
            self.asleep_since.get_or_insert(seq);
            why = Why::Asleep;
        }
        if reset || woken {
            // On its way back to D0 a function is reset, unless it says otherwise; none here does.
            *self = Self { function: self.function.take(), off_since: Some(seq), ..Self::default() };
            why = Why::Reset;
        }
        why
    }

    /// The BAR that was given an address which holds this one, and why it isn't decoded.
    fn would_hold(&self, address: u64) -> Option<Absence> {
        let function = self.function.as_ref()?;
        let bar = function
            .bars
            .iter()
            .find(|bar| self.base(bar).is_some_and(|base| address.wrapping_sub(base) < bar.size))?;
        let (why, since) = match self.asleep_since {
            Some(seq) => (Why::Asleep, Some(seq)),
            None if self.command & COMMAND_MEMORY_SPACE == 0 => (Why::MemorySpaceOff, self.off_since),
            None => return None,
        };
        Some(Absence {
            function: Arc::clone(function),
            region: Region::Bar(bar.index),
            base: self.base(bar),
            was_there: false,
            since,
            why,
        })
    }

    /// The memory address that a BAR was given.
    fn base(&self, bar: &Bar) -> Option<u64> {
        let at = 4 * usize::from(bar.index.get());
        let word = |at: usize| Some(u32::from_le_bytes(self.bars.get(at..at + 4)?.try_into().ok()?));
        let high = if bar.wide { u64::from(word(at + 4)?) << 32 } else { 0 };
        let base = (high | u64::from(word(at)?)) & !bar.size.wrapping_sub(1) & !0xf;
        (bar.space == Space::Memory && base != 0).then_some(base)
    }
}

#[cfg(test)]
mod tests;
