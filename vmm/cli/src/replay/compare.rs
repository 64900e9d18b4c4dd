//! What was recorded held against what a model did: differences, and which of them the device documents.

use std::collections::{BTreeMap, VecDeque};

use barscope_device::{Bdf, Deviation, Differs, Region, low_bytes};

use super::operation::{Answer, Deed, Operation, Told, Where};

/// How many operations before a divergence are shown.
const BEFORE: usize = 4;
/// The most places whose differences are counted.
const PLACES_MAX: usize = 4096;

/// An operation that was done, what it should have given, and what it gave.
#[derive(Clone, Debug)]
pub struct Done {
    /// Line or record.
    pub number: u64,
    /// What was done.
    pub operation: Operation,
    /// Whether the region was decoded then.
    pub decoded: bool,
    /// What was recorded.
    pub recorded: (Answer, Vec<Deed>),
    /// What the model gave.
    pub observed: (Answer, Vec<Deed>),
}

/// Something that isn't as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Line or record.
    pub number: u64,
    /// What it is about.
    pub place: Where,
    /// What was recorded.
    pub recorded: Side,
    /// What the model gave.
    pub observed: Side,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// An answer.
    Answer(Answer),
    /// A deed; `None` if it wasn't done.
    Deed(Option<Deed>),
}

/// The first divergence, and what was done before it.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The difference.
    pub difference: Difference,
    /// The operation.
    pub operation: Operation,
    /// Operations before it, each with its line or record.
    pub before: Vec<(u64, Operation)>,
}

/// How often something differs, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// The first line or record.
    pub first: u64,
}

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How many operations were done.
    pub operations: u64,
    /// The first difference that isn't documented.
    pub first: Option<Divergence>,
    /// All of those by their places, as far as there is room.
    pub by_place: BTreeMap<Where, Count>,
    /// Differences that the device documents, by the deviation's place in its list.
    pub explained: BTreeMap<usize, Count>,
    /// Differences after something that the recording doesn't tell.
    pub undecided: Option<Count>,
    /// Since when, and why, the model may be in another state.
    pub doubt: Option<(u64, String)>,
    /// Levels of pins, recorded and of the model.
    pins: BTreeMap<Bdf, (bool, bool)>,
    before: VecDeque<(u64, Operation)>,
}

impl Comparison {
    /// From here on the model may be in another state than the device was.
    pub fn doubt(&mut self, number: u64, why: String) {
        self.doubt.get_or_insert((number, why));
    }

    /// Takes an operation.
    pub fn take(&mut self, done: &Done, told: Told, deviations: &[Deviation]) {
        let asked = !matches!(done.operation, Operation::Wait(_));
        self.operations += u64::from(asked);
        let place = place(&done.operation);
        if let (Some(place), true) = (place, done.recorded.0 != done.observed.0) {
            let difference = Difference {
                number: done.number,
                place,
                recorded: Side::Answer(done.recorded.0.clone()),
                observed: Side::Answer(done.observed.0.clone()),
            };
            let explained = by_answer(done, deviations);
            self.add(done, difference, explained);
        }
        let levels_differed = self.pins.values().any(|(recorded, observed)| recorded != observed);
        for (recorded, observed) in unequal(done, told) {
            let Some(deed) = recorded.or(observed) else { continue };
            let pin = matches!(deed, Deed::Pin(..));
            let explained = deviations.iter().position(|deviation| match &deviation.differs {
                Differs::Pin { bytes } => pin && (levels_differed || writes(&done.operation, bytes)),
                _ => false,
            });
            let difference = Difference {
                number: done.number,
                place: deed.place(),
                recorded: Side::Deed(recorded),
                observed: Side::Deed(observed),
            };
            self.add(done, difference, explained);
        }
        for deed in &done.recorded.1 {
            if let Deed::Pin(bdf, level) = deed {
                self.pins.entry(*bdf).or_default().0 = *level;
            }
        }
        for deed in &done.observed.1 {
            if let Deed::Pin(bdf, level) = deed {
                self.pins.entry(*bdf).or_default().1 = *level;
            }
        }
        if self.first.is_none() && asked {
            self.before.push_back((done.number, done.operation.clone()));
            if self.before.len() > BEFORE {
                self.before.pop_front();
            }
        }
    }

    fn add(&mut self, done: &Done, difference: Difference, explained: Option<usize>) {
        let number = difference.number;
        let one = Count { count: 0, first: number };
        let count = if let Some(deviation) = explained {
            self.explained.entry(deviation).or_insert(one)
        } else if self.doubt.is_some() {
            self.undecided.get_or_insert(one)
        } else {
            let place = difference.place;
            self.first.get_or_insert_with(|| Divergence {
                difference,
                operation: done.operation.clone(),
                before: self.before.iter().cloned().collect(),
            });
            if self.by_place.len() >= PLACES_MAX && !self.by_place.contains_key(&place) {
                return;
            }
            self.by_place.entry(place).or_insert(one)
        };
        count.count += 1;
    }
}

/// What the answer of an operation is about.
fn place(operation: &Operation) -> Option<Where> {
    match *operation {
        Operation::Access { bdf, region, offset, .. } => Some(Where::At(bdf, region, offset)),
        Operation::Poll { bdf, offset, .. } => Some(Where::At(bdf, Region::BAR0, offset)),
        Operation::ReadMemory(address, _) | Operation::WriteMemory(address, _) => {
            Some(Where::Memory(address))
        }
        Operation::Wait(_) => None,
    }
}

/// The deviation that explains another answer, if one does.
fn by_answer(done: &Done, deviations: &[Deviation]) -> Option<usize> {
    let Operation::Access { region, offset, request, .. } = done.operation else { return None };
    let (Answer::Value(recorded), Answer::Value(observed)) = (&done.recorded.0, &done.observed.0) else {
        return None;
    };
    let differing = recorded ^ observed;
    if region != Region::Config {
        return deviations.iter().position(|deviation| match deviation.differs {
            Differs::UndecodedRead { gives } => {
                !done.decoded && *recorded == gives & low_bytes(request.size.into())
            }
            _ => false,
        });
    }
    let bits = |deviation: &Deviation| deviation.differs.bits(offset, request.size);
    let all = deviations.iter().fold(0, |all, deviation| all | bits(deviation));
    if differing & !all != 0 {
        return None;
    }
    deviations.iter().position(|deviation| bits(deviation) & differing != 0)
}

/// Whether an operation writes one of these bytes of configuration space.
fn writes(operation: &Operation, bytes: &std::ops::Range<u64>) -> bool {
    match *operation {
        Operation::Access { region: Region::Config, offset, request, .. } if request.written.is_some() => {
            offset < bytes.end && offset.saturating_add(request.size.into()) > bytes.start
        }
        _ => false,
    }
}

/// For each kind of deeds of which the recording tells, the first that is another one, or missing on one side.
fn unequal(done: &Done, told: Told) -> impl Iterator<Item = (Option<Deed>, Option<Deed>)> {
    let kinds: [fn(&Deed) -> bool; 4] = [
        |deed| matches!(deed, Deed::Change { .. }),
        |deed| matches!(deed, Deed::Dma { .. }),
        |deed| matches!(deed, Deed::Message { .. }),
        |deed| matches!(deed, Deed::Pin(..)),
    ];
    kinds.into_iter().filter_map(move |kind| {
        let of = |deeds: &'_ [Deed]| {
            deeds.iter().filter(|deed| kind(deed) && deed.is_told(told)).copied().collect::<Vec<_>>()
        };
        let (recorded, observed) = (of(&done.recorded.1), of(&done.observed.1));
        let at = (0..recorded.len().max(observed.len())).find(|at| recorded.get(*at) != observed.get(*at))?;
        Some((recorded.get(at).copied(), observed.get(at).copied()))
    })
}

#[cfg(test)]
mod tests;
