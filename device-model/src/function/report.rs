//! Effects of a call: what the device did, and what follows from the states before and after it.

use std::mem;

use super::PciFunction;
use crate::address::Region;
use crate::backing::{Backing, Doorbell};
use crate::config::{STATUS, STATUS_RECEIVED_MASTER_ABORT};
use crate::context::BusContext;
use crate::device::PciDevice;
use crate::dma::DmaError;
use crate::effect::{Decode, Effect, TimestampedEffect};
use crate::interrupt;
use crate::interrupt_set::InterruptSet;

/// A register whose changes are reported.
pub(super) struct Watched {
    pub(super) region: Region,
    pub(super) offset: u64,
    pub(super) last: Option<u64>,
}

/// A region with what served it last.
#[derive(Clone)]
pub(super) struct Backed {
    pub(super) region: Region,
    pub(super) backing: Backing,
    /// Doorbells that the device chose, while they are served.
    doorbells: Vec<Doorbell>,
}

impl Backed {
    pub(super) fn trapped(region: Region) -> Self {
        Self { region, backing: Backing::Trapped, doorbells: Vec::new() }
    }

    /// Takes what the device wants now; whether that is something else.
    fn update(&mut self, device: &dyn PciDevice) -> bool {
        let backing = device.backing(self.region);
        let doorbells = match backing {
            Backing::Doorbell => device.doorbells(self.region).unwrap_or_default(),
            _ => &[],
        };
        let is_other = self.doorbells != doorbells;
        if is_other {
            self.doorbells = doorbells.to_vec();
        }
        mem::replace(&mut self.backing, backing) != backing || is_other
    }
}

impl PciFunction {
    /// Adds what happened, and what follows from it, to the context's effects.
    pub(super) fn report(&mut self, bus: &mut BusContext<'_>, now: u64, cause: u64) {
        self.compare();
        self.effects.sort_by_key(rank);
        interrupt::write_messages(&mut self.effects, bus.memory);
        if self.effects.iter().any(is_master_abort) {
            let bit = STATUS_RECEIVED_MASTER_ABORT.to_le_bytes();
            self.config.assign(STATUS, bit, bit);
        }
        let effects = self.effects.drain(..);
        bus.effects.extend(effects.map(|effect| TimestampedEffect { at: now, cause, effect }));
    }

    /// Whether an access at `offset` changes no register, by what the map says of its kinds of access: a read of a
    /// register without side effects, any access to plain bytes.
    pub(super) fn is_plain(&self, region: Region, offset: u64, write: bool) -> bool {
        let map = self.register_maps.iter().find(|map| map.region == region);
        let register = map.and_then(|map| map.at(offset));
        register.is_some_and(
            |register| {
                if write { register.memory } else { !register.access.read_has_side_effect() }
            },
        )
    }

    /// What changed without being reported, in words: the map says that no access since the last report changes
    /// anything.
    pub(crate) fn unreported(&self) -> Option<String> {
        let register = |watched: &Watched| {
            let now = self.device.peek(watched.region, watched.offset)?;
            let before = watched.last.filter(|before| *before != now)?;
            Some(format!("{}+{:#x} from {before:#x} to {now:#x}", watched.region, watched.offset))
        };
        let backing = |backed: &Backed| {
            backed.clone().update(&*self.device).then(|| format!("the backing of {}", backed.region))
        };
        let causes = || {
            let mut pending = InterruptSet::EMPTY;
            self.device.interrupts(&mut pending);
            (pending != self.interrupts.causes).then(|| "its interrupt causes".to_owned())
        };
        let registers = || self.watched.iter().find_map(register);
        registers().or_else(|| self.backings.iter().find_map(backing)).or_else(causes)
    }

    /// Adds the regions that are decoded otherwise than `before` to the effects.
    pub(super) fn report_moves(&mut self, before: &[(Region, Decode)]) {
        for (region, to) in self.decodes().collect::<Vec<_>>() {
            let from = before.iter().find(|(decoded, _)| *decoded == region).map(|(_, decode)| *decode);
            if from != to {
                self.effects.push(Effect::Decode { region, from, to });
            }
        }
    }

    /// Adds what differs from the last call to the effects.
    pub(super) fn compare(&mut self) {
        let device = &*self.device;
        for watched in &mut self.watched {
            let Watched { region, offset, .. } = *watched;
            let now = device.peek(region, offset);
            let before = mem::replace(&mut watched.last, now);
            if let Some((old, new)) = before.zip(now).filter(|(old, new)| old != new) {
                self.effects.push(Effect::Change { region, offset, old, new });
            }
        }
        for backed in &mut self.backings {
            if backed.update(device) {
                self.effects.push(Effect::Backing { region: backed.region, backing: backed.backing });
            }
        }
        // What else interrupts depend on changes by writes only, which update them.
        self.causes.clear();
        device.interrupts(&mut self.causes);
        if self.causes != self.interrupts.causes {
            self.take_causes();
        }
    }

    /// Adds what interrupt causes lead to now to the effects.
    pub(super) fn update_interrupts(&mut self) {
        self.causes.clear();
        self.device.interrupts(&mut self.causes);
        self.take_causes();
    }

    fn take_causes(&mut self) {
        self.interrupts.update(
            &self.causes,
            self.header.interrupt_pin,
            &mut self.capabilities,
            &mut self.config,
            &mut self.effects,
        );
    }
}

/// The order of what one call did; see [`PciFunction`].
fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::AddressCut { .. } | Effect::Dma { .. } => 0,
        Effect::Change { .. } => 1,
        _ => 2,
    }
}

fn is_master_abort(effect: &Effect) -> bool {
    matches!(effect, Effect::Dma { outcome: Err(DmaError::OutOfBounds), .. })
}
