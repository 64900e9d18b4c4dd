//! Loops: equal accesses in a row are counted, not printed.

use std::collections::VecDeque;

use barscope_device::{Bdf, Region};
use barscope_trace::event::Outcome;

use crate::symbols::Symbol;
use crate::view::{BusAddress, View};

/// The longest loop body, in accesses.
const LONGEST: usize = 4;

/// What of an access makes it like another one: everything but its value and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Likeness {
    /// An unrolled loop has several instructions for one line.
    code: Option<(Option<Symbol>, u64)>,
    spot: Spot,
    write: bool,
    size: u8,
    cpl: u8,
    caused: bool,
    outcome: Outcome,
}

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
        code: access.code().map(|code| match &code.symbol {
            // A loop that the compiler unrolled is one all the same.
            Some(symbol) => (Some(Symbol { offset: None, ..symbol.clone() }), 0),
            None => (None, code.rip),
        }),
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
    /// Takes an access; what is to be printed now.
    pub(super) fn push(&mut self, view: View) -> Vec<Folded> {
        let Some(like) = likeness(&view) else { return Vec::new() };
        if self.period > 0 {
            let expected = self.printed.len() - self.period + self.seen % self.period;
            if self.printed.get(expected) == Some(&like) {
                self.hold(view);
                return Vec::new();
            }
        }
        let mut folded = self.end();
        let longest = LONGEST.min(self.printed.len());
        match (1..=longest).find(|period| self.printed[self.printed.len() - period] == like) {
            Some(period) => {
                self.period = period;
                self.hold(view);
            }
            None => folded.push(self.show(view, like)),
        }
        folded
    }

    /// The loop ends here; what is to be printed of it.
    pub(super) fn end(&mut self) -> Vec<Folded> {
        let (period, seen) = (std::mem::take(&mut self.period), std::mem::take(&mut self.seen));
        let mut held = std::mem::take(&mut self.held);
        let mut folded = Vec::new();
        if period > 0 && seen >= 2 * period {
            let rest = held.split_off(held.len() - seen % period);
            let last = held.back().map_or(0, |view| view.seq);
            folded.push(Folded::Repeat { times: (seen / period) as u64, period, last });
            held = rest;
        }
        for view in held {
            if let Some(like) = likeness(&view) {
                folded.push(self.show(view, like));
            }
        }
        folded
    }

    /// Something else was printed in between: nothing that comes is like the line before.
    pub(super) fn forget(&mut self) {
        self.printed.clear();
    }

    fn hold(&mut self, view: View) {
        self.seen += 1;
        self.held.push_back(view);
        if self.held.len() > 2 * self.period {
            self.held.pop_front();
        }
    }

    fn show(&mut self, view: View, like: Likeness) -> Folded {
        self.printed.push_back(like);
        if self.printed.len() > LONGEST {
            self.printed.pop_front();
        }
        Folded::Access(view)
    }
}
