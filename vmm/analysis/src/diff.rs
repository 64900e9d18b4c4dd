//! Two traces compared by what their records mean: [`compare`]. What that is says the key of a record (`key.rs`).
//!
//! Equal means that both say the same in all that is compared. Where one of them may lack something, nobody knows
//! whether they would: that is neither equal nor different.

pub(crate) mod align;
mod excerpt;
pub(crate) mod items;
pub(crate) mod lines;
pub(crate) mod names;
mod polls;
mod report;
mod schema;
mod survey;
mod terms;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use barscope_trace::{Capability, ReadError};

pub use self::schema::schema;
pub use self::terms::{Ignore, Terms, TermsError};

use self::align::{Aligner, Hunk, WINDOW};
pub(crate) use self::items::{Item, TraceItems};
use self::lines::LineItems;
pub(crate) use self::names::Names;
pub(crate) use self::survey::Survey;
use crate::words;

/// What two traces come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They say the same.
    Equal,
    /// They don't.
    Different,
    /// Nobody can tell: something of what would decide it may be missing.
    Inconclusive,
}

impl Verdict {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Equal => "equal",
            Verdict::Different => "different",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// Why traces can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is to be left out, or looked at alone, isn't in one of them.
    #[error("{}: {error}", path.display())]
    Terms {
        /// The trace.
        path: PathBuf,
        /// What is wrong.
        error: TermsError,
    },
}

/// Two sides, compared.
pub struct Difference {
    pub(crate) paths: [PathBuf; 2],
    pub(crate) names: Names,
    pub(crate) aligner: Aligner,
    /// By these it was compared.
    pub(crate) terms: Terms,
    /// What wasn't compared though nobody said so, and why.
    pub(crate) notes: Vec<String>,
    /// Why a side may lack something.
    pub(crate) doubts: Vec<String>,
    /// Of each side everything before this sequence number is there.
    pub(crate) sure_until: [u64; 2],
    pub(crate) items: [u64; 2],
    pub(crate) records: u64,
}

/// Compares two traces.
///
/// # Errors
/// One can't be read, or the terms name what it doesn't have.
pub fn compare(left: &Path, right: &Path, terms: &Terms) -> Result<Difference, DiffError> {
    let surveys = [Survey::of(left)?, Survey::of(right)?];
    let agreed = Agreed::new(terms, &surveys);
    let mut sides = Vec::new();
    for (path, survey) in [left, right].into_iter().zip(&surveys) {
        sides.push(Source::Trace(Box::new(open(path, survey, &agreed.terms)?)));
    }
    let Ok([left_side, right_side]) = <[Source; 2]>::try_from(sides) else { unreachable!("two were opened") };
    let records = surveys[0].records;
    let mut difference = Difference {
        paths: [left.to_owned(), right.to_owned()],
        names: Names::default(),
        aligner: Aligner::new(WINDOW),
        terms: agreed.terms,
        notes: agreed.notes,
        doubts: agreed.doubts,
        sure_until: surveys.map(|survey| survey.sure_until),
        items: [0, 0],
        records,
    };
    difference.run([left_side, right_side])?;
    Ok(difference)
}

/// Opens a trace by these terms.
pub(crate) fn open(path: &Path, survey: &Survey, terms: &Terms) -> Result<TraceItems, DiffError> {
    TraceItems::open(path, survey, terms)?.map_err(|error| DiffError::Terms { path: path.to_owned(), error })
}

/// Where items come from.
pub(crate) enum Source {
    Trace(Box<TraceItems>),
    Golden(LineItems),
}

impl Source {
    fn next(&mut self, names: &mut Names) -> Result<Option<Item>, ReadError> {
        match self {
            Source::Trace(trace) => trace.next(names),
            Source::Golden(golden) => Ok(golden.next(names)),
        }
    }
}

impl Difference {
    /// Reads both sides to their ends.
    pub(crate) fn run(&mut self, mut sides: [Source; 2]) -> Result<(), ReadError> {
        let mut is_open = [true, true];
        while is_open != [false, false] {
            for side in 0..2 {
                if !is_open[side] {
                    continue;
                }
                match sides[side].next(&mut self.names)? {
                    Some(item) => {
                        self.items[side] += 1;
                        self.aligner.push(side, item);
                    }
                    None => is_open[side] = false,
                }
            }
        }
        self.aligner.finish();
        self.aligner.hunks.sort_by_key(Hunk::place);
        Ok(())
    }

    /// How many records the left trace has, compared or not.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let mut hunks = self.aligner.hunks.iter().chain(&self.aligner.first);
        if hunks.any(|hunk| self.is_certain(hunk)) {
            Verdict::Different
        } else if self.aligner.count > 0 || !self.doubts.is_empty() {
            Verdict::Inconclusive
        } else {
            Verdict::Equal
        }
    }

    /// Whether nothing that may be missing could make it none.
    fn is_certain(&self, hunk: &Hunk) -> bool {
        (0..2).all(|side| {
            let sure = self.sure_until[side];
            sure == u64::MAX || hunk.after.first().is_some_and(|pair| pair.seqs[side] < sure)
        })
    }
}

/// Terms that suit both sides.
pub(crate) struct Agreed {
    pub(crate) terms: Terms,
    pub(crate) notes: Vec<String>,
    pub(crate) doubts: Vec<String>,
}

impl Agreed {
    fn new(terms: &Terms, surveys: &[Survey; 2]) -> Self {
        let mut agreed = Self { terms: terms.clone(), notes: Vec::new(), doubts: Vec::new() };
        for (ignore, capability) in [
            (Ignore::Code, Capability::Functions),
            (Ignore::Process, Capability::Processes),
            (Ignore::Ring, Capability::Privilege),
            (Ignore::Path, Capability::Paths),
        ] {
            agreed.told(
                ignore,
                capability.about(),
                surveys.each_ref().map(|survey| survey.tells(capability)),
            );
        }
        agreed.told(Ignore::Scenario, "its scenarios", surveys.each_ref().map(|survey| survey.has_scenarios));
        if !surveys.iter().all(Survey::is_repeatable) && !agreed.terms.ignores(&Ignore::Time) {
            agreed.terms = agreed.terms.without(Ignore::Time);
            agreed.notes.push(
                "not compared, since it differs from run to run with the host's clock or several vCPUs: times, \
                 lengths of polls, and what of several actors came first"
                    .to_owned(),
            );
        }
        for (survey, name) in surveys.iter().zip(["A", "B"]) {
            if let Some(doubt) = survey.doubt() {
                agreed.doubts.push(format!("{name}: {doubt}"));
            }
        }
        if surveys.iter().any(|survey| survey.has_unseen) {
            agreed.notes.push(
                "accesses to BARs that are memory, or whose writes KVM gathers, aren't seen one by one"
                    .into(),
            );
        }
        let effects = surveys.each_ref().map(|survey| survey.has_effects);
        if effects[0] != effects[1] && !agreed.terms.ignores(&Ignore::Effects) {
            let without = if effects[0] { "B" } else { "A" };
            agreed.notes.push(format!(
                "{without} tells nothing of what devices did: --ignore effects compares the rest"
            ));
        }
        agreed
    }

    /// What only one side tells isn't compared, and leaves it open whether they are equal.
    fn told(&mut self, ignore: Ignore, about: &str, told: [bool; 2]) {
        if told[0] == told[1] || self.terms.ignores(&ignore) {
            return;
        }
        let without = if told[0] { "B" } else { "A" };
        self.doubts.push(format!("{without} doesn't tell {about}: --ignore {ignore} compares the rest"));
        self.terms = std::mem::take(&mut self.terms).without(ignore);
    }
}

/// A scenario's name for people.
pub(crate) fn section_name(section: Option<&Arc<str>>) -> String {
    section.map_or_else(|| "outside scenarios".to_owned(), |name| format!("scenario {name}"))
}

/// How many records, in words.
pub(crate) fn records(count: u64) -> String {
    words::counted(count, "record", "records")
}

#[cfg(test)]
mod tests;
