//! Survey of a trace before it is compared: what can only be known when all of it was read.

use std::path::Path;

use barscope_trace::event::{EventKind, Id};
use barscope_trace::{Capabilities, Capability, Clock, Damage, ReadError, Stream};
use rustc_hash::FxHashSet;

use crate::completeness::Completeness;

/// So many addresses of transfers are remembered.
const TRANSFERS: usize = 1 << 16;

/// What all of a trace comes to.
pub(crate) struct Survey {
    /// By function, addresses that it transferred data to or from.
    pub(crate) transfers: FxHashSet<(Id, u64)>,
    pub(crate) has_scenarios: bool,
    pub(crate) has_effects: bool,
    /// Regions some of whose accesses nobody sees one by one.
    pub(crate) has_unseen: bool,
    pub(crate) capabilities: Capabilities,
    pub(crate) clock: Clock,
    pub(crate) vcpus: u8,
    /// Everything before this sequence number is there. `u64::MAX` if nothing is missing.
    pub(crate) sure_until: u64,
    pub(crate) completeness: Completeness,
    /// How many records there are.
    pub(crate) records: u64,
}

impl Survey {
    pub(crate) fn of(path: &Path) -> Result<Self, ReadError> {
        let mut stream = Stream::open(path)?;
        let mut transfers = FxHashSet::default();
        let (mut has_scenarios, mut has_effects, mut has_unseen) = (false, false, false);
        let mut last = 0;
        let (mut gap, mut records) = (None, 0);
        while let Some(event) = stream.next()? {
            if event.seq != last + 1 {
                gap.get_or_insert(last + 1);
            }
            last = event.seq;
            records += 1;
            match event.kind {
                EventKind::ScenarioBegin { .. } => has_scenarios = true,
                EventKind::Backing { .. } => has_unseen = true,
                EventKind::Dma { function, address, .. }
                | EventKind::AddressCut { function, asked: address, .. }
                    if transfers.len() < TRANSFERS =>
                {
                    transfers.extend([(function, address), (function, address & 0xffff_ffff)]);
                }
                _ => {}
            }
            has_effects |=
                event.kind.kind().of_device && !matches!(event.kind, EventKind::Route { cause: 0, .. });
        }
        let completeness = Completeness::of(&stream);
        let info = stream.info();
        let ended = completeness.end.as_ref().is_some_and(|end| *end == barscope_trace::End::Finished);
        // What was damaged shows as a gap, but where even that is lost.
        let unplaced = gap.is_none() && has_lost(&completeness.damage, info.lost);
        let sure_until = match gap {
            _ if unplaced => 0,
            Some(gap) => gap,
            None if ended => u64::MAX,
            None => last + 1,
        };
        Ok(Self {
            transfers,
            has_scenarios,
            has_effects,
            has_unseen,
            capabilities: info.capabilities,
            clock: info.clock,
            vcpus: info.definitions.machine().map_or(1, |machine| machine.vcpus),
            sure_until,
            completeness,
            records,
        })
    }

    pub(crate) fn tells(&self, capability: Capability) -> bool {
        self.capabilities.tells(capability)
    }

    /// Equal runs give equal traces, order and times included.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.clock == Clock::Virtual && self.vcpus == 1
    }

    /// Why it may lack records, if it may.
    pub(crate) fn doubt(&self) -> Option<String> {
        let notes = self.completeness.notes();
        (self.sure_until != u64::MAX || !notes.is_empty()).then(|| match notes.is_empty() {
            true => "records are missing".to_owned(),
            false => notes.join("; "),
        })
    }
}

fn has_lost(damage: &[Damage], lost: u64) -> bool {
    !damage.is_empty() || lost > 0
}
