//! Loops: equal accesses in a row are counted, not printed.

use std::collections::VecDeque;
use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::event::Outcome;

use crate::symbols::Symbol;
use crate::view::{BusAddress, Code, View};

/// The longest loop body, in accesses.
const LONGEST: usize = 4;

/// What of an access makes it like another one: everything but its value and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Likeness {
    code: Option<Line>,
    spot: Spot,
    write: bool,
    size: u8,
    cpl: u8,
    caused: bool,
    outcome: Outcome,
}

/// Whose code it is. An unrolled loop has several instructions for one line, and is one all the same.
#[derive(Clone, Debug)]
struct Line(Arc<Code>);

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Symbol, other: &Symbol| {
            one.line == other.line
                && one.function == other.function
                && one.file == other.file
                && one.module == other.module
        };
        Arc::ptr_eq(&self.0, &other.0)
            || match (&self.0.symbol, &other.0.symbol) {
                (Some(one), Some(other)) => same(one, other),
                (None, None) => self.0.rip == other.0.rip,
                _ => false,
            }
    }
}

impl Eq for Line {}

/// Where an access went. All of a range of device memory is one spot.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spot {
    /// A register, by its offset.
    Register(Option<Bdf>, Region, u64),
    /// An address that leads nowhere.
    Address(BusAddress),
}

fn likeness(view: &View) -> Option<Likeness> {
    let access = view.access()?;
    let spot = match (access.place(), access.address()) {
        (Some(place), _) => {
            let offset = place.register().map_or(place.offset, |register| register.offset);
            Spot::Register(place.bdf, place.region, offset)
        }
        (None, address) => Spot::Address(address),
    };
    Some(Likeness {
        code: view.code.clone().map(Line),
        spot,
        write: access.write,
        size: access.size,
        cpl: access.cpl,
        caused: view.cause().is_some(),
        outcome: access.outcome,
    })
}

/// What is to be printed.
#[expect(clippy::large_enum_variant, reason = "few are made at a time, and printed at once")]
pub(super) enum Folded {
    /// An access.
    Access(View),
    /// The accesses printed last come again.
    Repeat {
        /// How many times.
        times: u64,
        /// How many accesses each time.
        period: usize,
        /// Sequence number of the last one.
        last: u64,
    },
}

/// Finds loops of up to [`LONGEST`] accesses.
#[derive(Default)]
pub(super) struct Fold {
    /// The accesses printed last, newest at the back.
    printed: VecDeque<Likeness>,
    /// Length of the loop that runs, 0 if none does.
    period: usize,
    /// Accesses that came since the loop was noticed.
    seen: usize,
    /// The last of those; all of them while they are too few to fold.
    held: VecDeque<View>,
}

impl Fold {
    /// Takes an access; what is to be printed now, and whether the access itself comes after that.
    pub(super) fn push(&mut self, view: &View) -> (Vec<Folded>, bool) {
        let Some(like) = likeness(view) else { return (Vec::new(), false) };
        if self.period > 0 {
            let expected = self.printed.len() - self.period + self.seen % self.period;
            if self.printed.get(expected) == Some(&like) {
                self.hold(view);
                return (Vec::new(), false);
            }
        }
        let folded = self.end();
        let longest = LONGEST.min(self.printed.len());
        match (1..=longest).find(|period| self.printed[self.printed.len() - period] == like) {
            Some(period) => {
                self.period = period;
                self.hold(view);
                (folded, false)
            }
            None => {
                self.shown(like);
                (folded, true)
            }
        }
    }

    /// The loop ends here; what is to be printed of it.
    pub(super) fn end(&mut self) -> Vec<Folded> {
        if self.period == 0 {
            return Vec::new();
        }
        let (period, seen) = (std::mem::take(&mut self.period), std::mem::take(&mut self.seen));
        let mut held = std::mem::take(&mut self.held);
        let mut folded = Vec::new();
        if seen >= 2 * period {
            let rest = held.split_off(held.len() - seen % period);
            let last = held.back().map_or(0, |view| view.seq);
            folded.push(Folded::Repeat { times: (seen / period) as u64, period, last });
            held = rest;
        }
        for view in held {
            if let Some(like) = likeness(&view) {
                self.shown(like);
                folded.push(Folded::Access(view));
            }
        }
        folded
    }

    /// Something else was printed in between: nothing that comes is like the line before.
    pub(super) fn forget(&mut self) {
        self.printed.clear();
    }

    fn hold(&mut self, view: &View) {
        self.seen += 1;
        self.held.push_back(view.clone());
        if self.held.len() > 2 * self.period {
            self.held.pop_front();
        }
    }

    fn shown(&mut self, like: Likeness) {
        self.printed.push_back(like);
        if self.printed.len() > LONGEST {
            self.printed.pop_front();
        }
    }
}
