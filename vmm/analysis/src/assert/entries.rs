//! Entries into the guest's kernel that a clause sums up, and whose.

use std::sync::Arc;

use barscope_trace::event::{Counted, EventKind};
use rustc_hash::FxHashMap;

use super::clause::Limits;
use super::decision::Finish;
use super::evidence::Evidence;
use super::turn::{Turn, unclear};
use crate::filter::{Compiled, Truth};
use crate::view::View;

/// Entries that were counted so far in an occurrence of a window.
#[derive(Debug)]
pub(super) struct Entries {
    whose: Whose,
    sum: u64,
    /// The last record of some.
    last: Option<u64>,
}

/// Whose entries count.
#[derive(Debug)]
enum Whose {
    /// Everybody's: no program opened the window.
    All,
    /// Those of the process with this number, which opened it.
    One(u64),
    /// Those of a process that opened it, and isn't known.
    Unknown,
    /// Each process's, from its first record that a filter selects to its last one.
    Between(FxHashMap<u64, Span>),
}

/// A process's records so far.
#[derive(Debug, Default)]
struct Span {
    /// There were two at least.
    several: bool,
    /// Entries since the last one, and the last record of them.
    since: u64,
    last: Option<u64>,
}

impl Entries {
    /// None so far, in a window that this record opened.
    pub(super) fn new(opened_by: Option<&View>, between: bool) -> Self {
        let is_programs = |view: &&View| {
            matches!(view.kind, EventKind::Access(_) | EventKind::NotEmulated { .. } | EventKind::Mark { .. })
        };
        let whose = match opened_by.filter(is_programs) {
            _ if between => Whose::Between(FxHashMap::default()),
            Some(view) => view.process().map_or(Whose::Unknown, |process| Whose::One(process.pid)),
            None => Whose::All,
        };
        Self { whose, sum: 0, last: None }
    }

    /// Takes an event.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
        between: Option<&Arc<Compiled>>,
        view: &View,
    ) -> Option<Turn> {
        let pid = view.process().map(|process| process.pid);
        if let EventKind::Count { what: Counted::KernelEntries, value, .. } = view.kind {
            match (&mut self.whose, pid) {
                (Whose::All, _) | (Whose::One(_) | Whose::Unknown, None) => self.add(value, view.seq),
                (Whose::One(own), Some(pid)) => {
                    if *own == pid {
                        self.add(value, view.seq);
                    }
                }
                (Whose::Unknown, Some(_)) => {
                    return Some(Turn::Doubt("which process opened the window isn't known".to_owned()));
                }
                (Whose::Between(spans), Some(pid)) => {
                    if let Some(span) = spans.get_mut(&pid) {
                        (span.since, span.last) = (span.since.saturating_add(value), Some(view.seq));
                    }
                }
                (Whose::Between(spans), None) if value > 0 && !spans.is_empty() => {
                    return Some(Turn::Doubt(format!(
                        "whose entries record {} counts isn't known",
                        view.seq
                    )));
                }
                (Whose::Between(_), None) => {}
            }
        }
        if let (Some(filter), Whose::Between(spans)) = (between, &mut self.whose) {
            match (filter.test(view), pid) {
                (Truth::No, _) => {}
                (Truth::Maybe, _) => return Some(Turn::Doubt(unclear(view))),
                (Truth::Yes, None) => {
                    return Some(Turn::Doubt(format!("which process record {} is of isn't known", view.seq)));
                }
                (Truth::Yes, Some(pid)) => {
                    let span = spans.entry(pid).and_modify(|span| span.several = true).or_default();
                    let (since, last) = (std::mem::take(&mut span.since), span.last.take());
                    if let Some(last) = last {
                        self.add(since, last);
                    }
                }
            }
        }
        let sum = self.sum;
        let last = self.last.filter(|_| limits.high.is_some_and(|high| sum > high))?;
        Some(Turn::Broken(Evidence::about(last, format!("the guest counted {sum}"))))
    }

    fn add(&mut self, value: u64, seq: u64) {
        self.sum = self.sum.saturating_add(value);
        self.last = Some(seq);
    }

    /// What it came to by the end of the window, which began with the record `from`. `each_recorded` says whether
    /// each entry has a record of its own, so that there is none where none is.
    pub(super) fn end(
        self,
        limits: &Limits,
        between: Option<&Arc<Compiled>>,
        (from, each_recorded): (u64, Truth),
    ) -> Finish {
        match (&self.whose, between) {
            (Whose::Between(spans), Some(_)) if spans.values().any(|span| span.several) => {}
            (Whose::Between(_), Some(filter)) => {
                let reason = "no process has two such records, for entries to be between".to_owned();
                let look = Some((Arc::clone(filter), from));
                return Finish::Lacks(Evidence { look, ..Evidence::because(reason) });
            }
            _ if self.last.is_none() => match each_recorded {
                Truth::Yes => {}
                Truth::No => return Finish::Lacks(Evidence::because("the guest reported no count")),
                Truth::Maybe => {
                    return Finish::Open(
                        "records are lost, and with them whether entries were counted".to_owned(),
                    );
                }
            },
            _ => {}
        }
        if self.sum < limits.low {
            let reason = format!("the guest counted {}", self.sum);
            return Finish::Lacks(match self.last {
                Some(last) => Evidence::about(last, reason),
                None => Evidence::because(reason),
            });
        }
        if limits.high.is_some() { Finish::Holds } else { Finish::Held }
    }
}
