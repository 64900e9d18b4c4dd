//! Writing a golden.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ANYONE, OUTSIDE, VERSION};
use crate::diff::items::DEVICES;
use crate::diff::{DiffError, Difference, Ignore, Item, Names, Survey, Terms, Verdict, compare, open};
use crate::words;

/// The most lines of one: nobody reviews more.
const LINES: usize = 100_000;
/// The most records that one is made of.
const RECORDS: usize = 1 << 22;

const REMARK: &str = "\
# What a run does to its devices. `barscope run --golden FILE` and `barscope check --golden FILE TRACE` hold runs
# against it; `barscope bless TRACE -o FILE` writes it anew.
";

/// Why a trace isn't blessed.
#[derive(Debug, thiserror::Error)]
pub enum BlessError {
    /// It can't be read, or lacks what the terms name.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Something of it may be missing.
    #[error("{} isn't all of a run: {doubt}", path.display())]
    Incomplete {
        /// The trace.
        path: PathBuf,
        /// What may be missing.
        doubt: String,
    },
    /// It makes too long a golden.
    #[error("{} makes a golden that nobody reads: more than {most}; choose records by --only", path.display())]
    TooLong {
        /// The trace.
        path: PathBuf,
        /// The most, with its unit.
        most: String,
    },
}

/// What blessing comes to.
pub enum Blessed {
    /// The golden's text.
    Golden(String),
    /// Two of the traces don't agree: no golden would hold for both.
    Flaps(Box<Difference>),
}

/// Makes a golden of traces that have to agree with each other, by these terms.
///
/// Time is left out unless equal runs give equal traces, times and order included.
///
/// # Errors
/// A trace can't be read, may lack something, or is too long.
pub fn bless(traces: &[PathBuf], terms: &Terms) -> Result<Blessed, BlessError> {
    let mut terms = terms.clone();
    for path in traces {
        let survey = Survey::of(path).map_err(DiffError::from)?;
        if let Some(doubt) = survey.doubt() {
            return Err(BlessError::Incomplete { path: path.clone(), doubt });
        }
        if !survey.is_repeatable() {
            terms = terms.without(Ignore::Time);
        }
    }
    let Some((first, others)) = traces.split_first() else { return Ok(Blessed::Golden(String::new())) };
    for other in others {
        let difference = compare(first, other, &terms)?;
        if difference.verdict() != Verdict::Equal {
            return Ok(Blessed::Flaps(Box::new(difference)));
        }
    }
    golden(first, &terms).map(Blessed::Golden)
}

fn golden(path: &Path, terms: &Terms) -> Result<String, BlessError> {
    let survey = Survey::of(path).map_err(DiffError::from)?;
    let mut trace = open(path, &survey, terms)?;
    let mut names = Names::default();
    let mut items = Vec::new();
    while let Some(item) = trace.next(&mut names).map_err(DiffError::from)? {
        items.push(item);
        if items.len() > RECORDS {
            return Err(too_long(path, RECORDS, "records"));
        }
    }
    let mut text = REMARK.to_owned();
    let mut written = Written { names: &names, text: &mut text, lines: 0 };
    written.all(&items, terms);
    if written.lines > LINES {
        return Err(too_long(path, LINES, "lines"));
    }
    Ok(text)
}

fn too_long(path: &Path, most: usize, unit: &str) -> BlessError {
    BlessError::TooLong { path: path.to_owned(), most: format!("{} {unit}", words::number(most as u64)) }
}

struct Written<'a> {
    names: &'a Names,
    text: &'a mut String,
    lines: usize,
}

impl Written<'_> {
    fn line(&mut self, indent: usize, text: impl std::fmt::Display) {
        // A text takes it all.
        writeln!(self.text, "{:indent$}{text}", "").ok();
        self.lines += 1;
    }

    fn all(&mut self, items: &[Item], terms: &Terms) {
        self.line(0, format_args!("golden {VERSION}"));
        let is_device = |item: &Item| self.names.text(item.hash).is_some_and(|text| &*text.actor == DEVICES);
        let (devices, records): (Vec<Item>, Vec<Item>) = items.iter().copied().partition(is_device);
        let mut devices: Vec<_> = devices.iter().filter_map(|item| self.names.text(item.hash)).collect();
        devices.sort_by(|one, other| one.text.cmp(&other.text));
        for device in devices {
            self.line(0, format_args!("device {}", device.text));
        }
        for ignore in &terms.ignore {
            self.line(0, format_args!("ignore {ignore}"));
        }
        if let Some(only) = &terms.only {
            self.line(0, format_args!("only {only}"));
        }
        // What is outside of scenarios comes first, they as they began.
        let mut sections: Vec<(Option<Arc<str>>, Vec<Item>)> = vec![(None, Vec::new())];
        let mut known = BTreeMap::from([(None, 0)]);
        for item in records {
            let section = self.names.lane_of(item.lane).section.clone();
            let at = *known.entry(section.clone()).or_insert_with(|| {
                sections.push((section, Vec::new()));
                sections.len() - 1
            });
            sections[at].1.push(item);
        }
        for (section, items) in sections {
            self.section(section.as_ref(), items, terms.ignores(&Ignore::Time));
        }
    }

    fn section(&mut self, section: Option<&Arc<str>>, mut items: Vec<Item>, by_actor: bool) {
        if items.is_empty() {
            return;
        }
        self.text.push('\n');
        match section {
            Some(name) => self.line(0, format_args!("scenario {name}")),
            None => self.line(0, OUTSIDE),
        }
        if by_actor {
            let names = self.names;
            items.sort_by_cached_key(|item| rank(names.text(item.hash).map_or("", |text| &text.actor)));
        }
        let mut under: Option<Arc<str>> = None;
        for row in items.chunk_by(|one, next| one.hash == next.hash) {
            let Some(text) = self.names.text(row[0].hash) else {
                self.lines = usize::MAX / 2;
                return;
            };
            if under.as_ref() != Some(&text.actor) {
                self.line(2, if text.actor.is_empty() { ANYONE } else { &text.actor });
                under = Some(Arc::clone(&text.actor));
            }
            // What comes of a record stands below it.
            let indent =
                if text.text.starts_with("then ") && !text.actor.contains(" by itself") { 6 } else { 4 };
            match row.len() {
                1 => self.line(indent, &text.text),
                times => self.line(indent, format_args!("{times} x {}", text.text)),
            }
        }
    }
}

/// The order of actors: programs and kernel first, what interrupts them next, devices last.
fn rank(actor: &str) -> (u8, String) {
    let rank = match actor {
        _ if actor.contains(" by itself") => 2,
        _ if actor.contains("handler") || actor.contains("interrupt") || actor == "softirq" => 1,
        _ => 0,
    };
    (rank, actor.to_owned())
}
