//! Clauses, and how they are decided.

use std::collections::HashSet;
use std::fmt;
use std::ops::{Bound, RangeBounds};

use super::failure::{Failure, Verdict, context};
use super::pattern::Pattern;
use super::unseen::unseen;
use super::window::{Occurrence, Window};
use crate::event::Counted;
use crate::format::End;
use crate::reader::Trace;
use crate::view::{View, What};

/// Asks things of a trace, within a window.
#[derive(Clone, Debug)]
pub struct Expect<'a> {
    trace: &'a Trace,
    window: Window,
    name: String,
}

/// What a clause comes to in one occurrence, where it doesn't pass.
enum Amiss {
    /// It is broken whatever else may have happened.
    Broken(Details),
    /// It is broken unless something happened that the trace doesn't show.
    Missing(Details),
    /// It holds unless something happened that the trace doesn't show.
    Unsure,
}

/// The details of a failure.
#[derive(Default)]
struct Details {
    reason: String,
    nearest: Option<String>,
    /// The index of the event that it is about.
    at: Option<usize>,
}

impl<'a> Expect<'a> {
    /// About all of `trace`.
    pub fn on(trace: &'a Trace) -> Self {
        Self { trace, window: Window::Whole, name: String::new() }
    }

    /// About a part of it.
    #[must_use]
    pub fn within(&self, window: Window) -> Self {
        Self { window, ..self.clone() }
    }

    /// With a name that failures show.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// Events like these occur in this order; others may be in between.
    pub fn sequence(&self, patterns: impl IntoIterator<Item = Pattern>) -> Verdict {
        let patterns = patterns.into_iter().collect::<Vec<_>>();
        let text = patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join("; then ");
        if patterns.is_empty() {
            return self.fail("an empty sequence", Details::because("nothing is asked for"), &[]);
        }
        self.decide(&text, &patterns, |views| {
            let mut next = 0;
            for (at, pattern) in patterns.iter().enumerate() {
                match views[next..].iter().position(|view| pattern.matches(view)) {
                    Some(found) => next += found + 1,
                    None => {
                        let after = match next.checked_sub(1) {
                            Some(before) if at > 0 => format!(" after record {}", views[before].seq),
                            _ => String::new(),
                        };
                        let reason = format!("step {} not found{after}: {pattern}", at + 1);
                        return Some(Amiss::Missing(nearest(views, next, pattern, reason)));
                    }
                }
            }
            None
        })
    }

    /// As many instructions (or other events) are like this. Parts of one instruction count once.
    pub fn count(&self, pattern: Pattern, range: impl RangeBounds<u64>) -> Verdict {
        let range = Limits::new(&range);
        let text = format!("{range} times: {pattern}");
        let patterns = [pattern];
        self.decide(&text, &patterns, |views| {
            let matching = matching(views, &patterns[0]);
            let count = instructions(views, &matching);
            let reason = format!("found {count} times");
            let surplus =
                range.high.and_then(|high| matching.get(high as usize)).or(matching.last()).copied();
            range.judge(count, || match surplus {
                Some(_) if range.high.is_some_and(|high| count > high) => {
                    Details { reason: reason.clone(), nearest: None, at: surplus }
                }
                _ => nearest(views, 0, &patterns[0], reason.clone()),
            })
        })
    }

    /// Nothing is like this.
    pub fn never(&self, pattern: Pattern) -> Verdict {
        let text = format!("never: {pattern}");
        let patterns = [pattern];
        self.decide(&text, &patterns, |views| {
            let found = views.iter().position(|view| patterns[0].matches(view));
            match found {
                Some(at) => {
                    let reason = format!("record {} is like that", views[at].seq);
                    Some(Amiss::Broken(Details { reason, nearest: None, at: Some(at) }))
                }
                None => Some(Amiss::Unsure),
            }
        })
    }

    /// The guest counted as many entries into its kernel. It must have counted: a trace of device
    /// accesses can't see them.
    pub fn kernel_entries(&self, range: impl RangeBounds<u64>) -> Verdict {
        let range = Limits::new(&range);
        self.decide(&format!("kernel entries: {range}"), &[], |views| {
            let counts = views.iter().enumerate().filter_map(|(at, view)| match view.what {
                What::Count { what: Counted::KernelEntries, value, .. } => Some((at, value)),
                _ => None,
            });
            let counts = counts.collect::<Vec<_>>();
            let Some((at, _)) = counts.last().copied() else {
                return Some(Amiss::Missing(Details::because("the guest reported no count")));
            };
            let sum = counts.iter().fold(0_u64, |sum, (_, value)| sum.saturating_add(*value));
            range.judge(sum, || Details {
                reason: format!("the guest counted {sum}"),
                nearest: None,
                at: Some(at),
            })
        })
    }

    /// Decides a clause in each occurrence of the window.
    fn decide(
        &self,
        clause: &str,
        patterns: &[Pattern],
        judge: impl Fn(&[View]) -> Option<Amiss>,
    ) -> Verdict {
        for pattern in patterns {
            if let Err(reason) = pattern.check(self.trace.definitions()) {
                return self.fail(clause, Details { reason, ..Details::default() }, &[]);
            }
        }
        let views = self.trace.views().all();
        let occurrences = self.window.occurrences(views);
        if occurrences.is_empty() {
            let details = Details::because("this never began");
            return match self.doubt(self.trace.end() == Some(&End::Finished)) {
                Some(doubt) => Verdict::Inconclusive(self.undecided(clause, &doubt)),
                None => self.fail(clause, details, &[]),
            };
        }
        occurrences.iter().fold(Verdict::Pass, |verdict, Occurrence { range, closed }| {
            let complete = *closed || self.trace.end() == Some(&End::Finished);
            let doubt = self.doubt(complete).or_else(|| unseen(views, range.start, range.end, patterns));
            let views = &views[range.clone()];
            verdict.and(match (judge(views), doubt) {
                (None, _) | (Some(Amiss::Unsure), None) => Verdict::Pass,
                (Some(Amiss::Broken(details)), _) | (Some(Amiss::Missing(details)), None) => {
                    self.fail(clause, details, views)
                }
                (Some(Amiss::Missing(_) | Amiss::Unsure), Some(doubt)) => {
                    Verdict::Inconclusive(self.undecided(clause, &doubt))
                }
            })
        })
    }

    /// Why the trace may not show everything, if it may not.
    fn doubt(&self, complete: bool) -> Option<String> {
        if self.trace.lost() > 0 {
            return Some(format!("{} events are lost", self.trace.lost()));
        }
        if let Some(damage) = self.trace.damage().first() {
            return Some(format!("the trace is damaged: {damage}"));
        }
        match self.trace.end() {
            _ if complete => None,
            Some(End::Interrupted(reason) | End::Failed(reason)) => {
                Some(format!("the trace ended early: {reason}"))
            }
            _ => Some("the trace has no end".to_owned()),
        }
    }

    fn undecided(&self, clause: &str, doubt: &str) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{:?}, ", self.name) };
        format!("{name}{}\n  {clause}\n  {doubt}", self.window)
    }

    fn fail(&self, clause: &str, details: Details, views: &[View]) -> Verdict {
        Verdict::Fail(Box::new(Failure {
            name: self.name.clone(),
            window: self.window.to_string(),
            clause: clause.to_owned(),
            reason: details.reason,
            nearest: details.nearest,
            context: details.at.map(|at| context(views, at)).unwrap_or_default(),
        }))
    }
}

impl Details {
    fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), ..Self::default() }
    }
}

/// How many there may be.
#[derive(Clone, Copy)]
struct Limits {
    low: u64,
    high: Option<u64>,
}

impl Limits {
    fn new(range: &impl RangeBounds<u64>) -> Self {
        let low = match range.start_bound() {
            Bound::Included(low) => *low,
            Bound::Excluded(below) => below.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let high = match range.end_bound() {
            Bound::Included(high) => Some(*high),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        Self { low, high }
    }

    fn judge(self, count: u64, details: impl Fn() -> Details) -> Option<Amiss> {
        match self.high {
            Some(high) if count > high => Some(Amiss::Broken(details())),
            _ if count < self.low => Some(Amiss::Missing(details())),
            Some(_) => Some(Amiss::Unsure),
            None => None,
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (low, Some(high)) if low == high => write!(f, "{low}"),
            (0, Some(high)) => write!(f, "at most {high}"),
            (low, Some(high)) => write!(f, "{low} to {high}"),
            (low, None) => write!(f, "at least {low}"),
        }
    }
}

/// Indices of the events that are like `pattern`.
fn matching(views: &[View], pattern: &Pattern) -> Vec<usize> {
    let all = views.iter().enumerate();
    all.filter(|(_, view)| pattern.matches(view)).map(|(at, _)| at).collect()
}

/// How many instructions, or other events, the events at `matching` are.
fn instructions(views: &[View], matching: &[usize]) -> u64 {
    let mut known = HashSet::new();
    let new = matching.iter().filter(|at| {
        let view = &views[**at];
        match view.access() {
            // 0 stands for an instruction that wasn't counted.
            Some(access) if access.instance != 0 => known.insert((view.vcpu, access.instance)),
            _ => true,
        }
    });
    new.count() as u64
}

/// The event from `start` on that most conditions of `pattern` hold for.
fn nearest(views: &[View], start: usize, pattern: &Pattern, reason: String) -> Details {
    let mut best: Option<(usize, usize, Vec<String>)> = None;
    for (at, view) in views.iter().enumerate().skip(start) {
        let (held, misses) = pattern.compare(view);
        if held > best.as_ref().map_or(0, |(held, ..)| *held) && !misses.is_empty() {
            best = Some((held, at, misses));
        }
    }
    match best {
        Some((_, at, misses)) => {
            let view = &views[at];
            let nearest = format!("record {}: {}", view.seq, misses.join(", "));
            Details { reason, nearest: Some(nearest), at: Some(at) }
        }
        None => Details { reason, nearest: None, at: start.checked_sub(1) },
    }
}
