//! How a clause fares in one occurrence of its window.

use std::sync::Arc;

use barscope_device::Bdf;
use barscope_trace::Definitions;
use rustc_hash::FxHashSet;

use super::chain::{Chain, Matcher, Unfollowed};
use super::clause::{Clause, Goal, Limits, Step};
use super::covered::covered;
use super::decision::Finish;
use super::entries::Entries;
use super::evidence::Evidence;
use super::timestamp::Timestamp;
use super::turn::{Turn, unclear};
use crate::coverage::Coverage;
use crate::filter::{Compiled, Interest, Interests, Kinds, Truth, is_called};
use crate::view::View;

/// Why a chain that was given up is open.
const CROWDED: &str =
    "too many candidates: say more precisely which records the steps are about, or bound them in time";

/// A clause, held against a trace.
#[derive(Debug)]
pub(super) enum Prepared {
    Sequence(Chain),
    Each { chain: Chain, if_any: bool, text: String },
    Never(Arc<Compiled>),
    Count(Arc<Compiled>, Limits),
    KernelEntries(Limits, Option<Arc<Compiled>>),
    Coverage(Goal, Option<Vec<Bdf>>),
    Device { exists: bool },
}

impl Prepared {
    /// Resolves what a clause names, for events about `scope`, if it is told. The error says what doesn't
    /// exist, or that nothing is asked for.
    pub(super) fn new(
        clause: &Clause,
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, String> {
        let compile = |filter: &crate::filter::Filter| {
            filter.compile_for(definitions, scope).map(Arc::new).map_err(|diagnostic| diagnostic.message)
        };
        Ok(match clause {
            Clause::Sequence(steps) if steps.is_empty() => return Err(NOTHING.to_owned()),
            Clause::Each { then, .. } if then.is_empty() => return Err(NOTHING.to_owned()),
            Clause::Count(_, limits) | Clause::KernelEntries { limits, .. } if limits.asks_nothing() => {
                return Err(NOTHING.to_owned());
            }
            Clause::Sequence(steps) => {
                let steps: Vec<_> = steps.iter().collect();
                Prepared::Sequence(Chain::new(&steps, false, definitions, scope)?)
            }
            Clause::Each { trigger, then, if_any } => {
                let steps: Vec<&Step> = std::iter::once(trigger).chain(then).collect();
                let chain = Chain::new(&steps, true, definitions, scope)?;
                Prepared::Each { chain, if_any: *if_any, text: trigger.filter.to_string() }
            }
            Clause::Never(filter) => Prepared::Never(compile(filter)?),
            Clause::Count(filter, limits) => Prepared::Count(compile(filter)?, *limits),
            Clause::KernelEntries { limits, between } => {
                Prepared::KernelEntries(*limits, between.as_ref().map(compile).transpose()?)
            }
            Clause::Coverage(goal) => Prepared::Coverage(goal.clone(), scope.map(<[Bdf]>::to_vec)),
            Clause::Device { name, bdf } => {
                let mut functions = definitions.functions().map(|(_, function)| function);
                let exists = functions.any(|function| function.bdf == *bdf && is_called(function, name));
                Prepared::Device { exists }
            }
        })
    }

    /// What it asks for, to be held against what isn't seen.
    pub(super) fn filters(&self) -> Vec<&Compiled> {
        match self {
            Prepared::Sequence(chain) | Prepared::Each { chain, .. } => chain.filters().collect(),
            Prepared::Never(filter) | Prepared::Count(filter, _) => vec![filter],
            Prepared::KernelEntries(_, Some(filter)) => vec![filter],
            Prepared::KernelEntries(_, None) | Prepared::Coverage(..) | Prepared::Device { .. } => Vec::new(),
        }
    }

    /// The events that matter to it, in this state.
    pub(super) fn interests(&self, state: &State, all: &mut Interests) {
        match (self, state) {
            (Prepared::Each { chain, .. }, State::Chain(matcher)) => {
                all.extend(chain.filters().map(Compiled::interest));
                if let Some((device_ns, host_ns)) = matcher.next_deadline(chain.plan()) {
                    all.push(Interest::after(device_ns, host_ns));
                }
            }
            (Prepared::Sequence(chain) | Prepared::Each { chain, .. }, _) => {
                all.extend(chain.filters().map(Compiled::interest));
            }
            (Prepared::Never(filter) | Prepared::Count(filter, _), _) => all.push(filter.interest()),
            (Prepared::KernelEntries(_, between), _) => {
                all.push(Interest::of(Kinds::KERNEL_ENTRIES));
                all.extend(between.iter().map(|filter| filter.interest()));
            }
            (Prepared::Coverage(..), _) => all.push(Interest::of(Kinds::ACCESS.or(Kinds::DOORBELL))),
            (Prepared::Device { .. }, _) => {}
        }
    }

    /// Whether triggers have to be followed within a time of them.
    pub(super) fn has_deadlines(&self) -> bool {
        matches!(self, Prepared::Each { chain, .. } if chain.plan().has_deadlines())
    }

    /// Nothing was seen in a window that this record opens, if one does.
    pub(super) fn begin(&self, definitions: &Definitions, opened_by: Option<&View>) -> State {
        match self {
            Prepared::Sequence(chain) | Prepared::Each { chain, .. } => {
                State::Chain(Box::new(Matcher::new(chain.plan())))
            }
            Prepared::Never(_) | Prepared::Device { .. } => State::Nothing,
            Prepared::Count(..) => State::Count { count: 0, instances: FxHashSet::default() },
            Prepared::KernelEntries(_, between) => State::Entries(Entries::new(opened_by, between.is_some())),
            Prepared::Coverage(..) => State::Coverage(Box::new(Coverage::new(definitions))),
        }
    }
}

const NOTHING: &str = "nothing is asked for";

/// What was seen so far.
#[derive(Debug)]
pub(super) enum State {
    Chain(Box<Matcher>),
    Nothing,
    Count { count: u64, instances: FxHashSet<(Option<u8>, u32)> },
    Entries(Entries),
    Coverage(Box<Coverage>),
}

impl State {
    /// Takes an event.
    pub(super) fn take(&mut self, prepared: &Prepared, view: &View, now: Timestamp) -> Option<Turn> {
        match (self, prepared) {
            (State::Chain(matcher), Prepared::Sequence(chain)) => {
                let hits = chain.hits(view);
                if !hits.steps.is_empty() && matcher.take(chain.plan(), &hits.steps, now, view.cause()) {
                    return Some(Turn::Held);
                }
                if matcher.is_crowded() {
                    return Some(Turn::Doubt(CROWDED.to_owned()));
                }
                hits.maybe.then(|| Turn::Doubt(unclear(view)))
            }
            (State::Chain(matcher), Prepared::Each { chain, text, .. }) => {
                let hits = chain.hits(view);
                if hits.maybe {
                    self::forget(matcher);
                }
                if !hits.steps.is_empty() {
                    matcher.take(chain.plan(), &hits.steps, now, view.cause());
                }
                if let Some(unfollowed) = matcher.overdue(chain.plan(), now) {
                    let evidence =
                        not_followed(chain, text, matcher, unfollowed, "was not followed in time by");
                    return Some(Turn::Broken(evidence));
                }
                if matcher.is_crowded() {
                    return Some(Turn::Doubt(CROWDED.to_owned()));
                }
                hits.maybe.then(|| Turn::Doubt(unclear(view)))
            }
            (State::Nothing, Prepared::Never(filter)) => match filter.test(view) {
                Truth::No => None,
                Truth::Maybe => Some(Turn::Doubt(unclear(view))),
                Truth::Yes => {
                    let reason = format!("record {} is like that", view.seq);
                    Some(Turn::Broken(Evidence::about(view.seq, reason)))
                }
            },
            (State::Count { count, instances }, Prepared::Count(filter, limits)) => {
                match filter.test(view) {
                    Truth::No => return None,
                    Truth::Maybe => return Some(Turn::Doubt(unclear(view))),
                    Truth::Yes => {}
                }
                // 0 stands for an instruction that wasn't counted.
                let instance = view.access().map_or(0, |access| access.instance);
                if instance != 0 && !instances.insert((view.vcpu, instance)) {
                    return None;
                }
                *count += 1;
                match limits.high {
                    Some(high) if *count > high => {
                        let reason = format!("record {} is number {count}", view.seq);
                        Some(Turn::Broken(Evidence::about(view.seq, reason)))
                    }
                    None if *count >= limits.low => Some(Turn::Held),
                    _ => None,
                }
            }
            (State::Entries(entries), Prepared::KernelEntries(limits, between)) => {
                entries.take(limits, between.as_ref(), view)
            }
            (State::Coverage(coverage), _) => {
                coverage.add(view);
                None
            }
            _ => None,
        }
    }

    /// Something may have happened here that isn't seen: what waits for a record may have had it.
    pub(super) fn doubt(&mut self, prepared: &Prepared) {
        if let (State::Chain(matcher), Prepared::Each { .. }) = (self, prepared) {
            forget(matcher);
        }
    }

    /// What it came to by the end of the window, which began with the record `from`. `each_entry` says whether each
    /// entry into the kernel has a record of its own.
    pub(super) fn end(self, prepared: &Prepared, from: u64, each_entry: Truth) -> Finish {
        match (self, prepared) {
            (State::Chain(mut matcher), Prepared::Each { chain, if_any, text }) => {
                if matcher.is_crowded() {
                    return Finish::Open(CROWDED.to_owned());
                }
                if let Some(unfollowed) = matcher.unfollowed(chain.plan()) {
                    let how = "was never followed by";
                    return Finish::Lacks(not_followed(chain, text, &matcher, unfollowed, how));
                }
                if matcher.triggers() > 0 || *if_any {
                    return Finish::Holds;
                }
                let reason = format!("there was no {text}: say \"if any\" if that is all right");
                let look = Some((Arc::clone(chain.filter(0)), from));
                Finish::Lacks(Evidence { look, ..Evidence::because(reason) })
            }
            (State::Chain(matcher), Prepared::Sequence(chain)) => {
                if matcher.is_crowded() {
                    return Finish::Open(CROWDED.to_owned());
                }
                Finish::Lacks(not_found(chain, &matcher, from))
            }
            (State::Nothing, Prepared::Device { exists: true }) => Finish::Held,
            (State::Nothing, Prepared::Device { exists: false }) => {
                Finish::Broken(Evidence::because("the trace has no such device at that address"))
            }
            (State::Count { count, .. }, Prepared::Count(filter, limits)) => {
                if count >= limits.low {
                    return if limits.high.is_some() { Finish::Holds } else { Finish::Held };
                }
                let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
                let look = Some((Arc::clone(filter), from));
                Finish::Lacks(Evidence { look, ..Evidence::because(format!("found {times}")) })
            }
            (State::Entries(entries), Prepared::KernelEntries(limits, between)) => {
                entries.end(limits, between.as_ref(), (from, each_entry))
            }
            (State::Coverage(coverage), Prepared::Coverage(goal, scope)) => {
                covered(&coverage, goal, scope.as_deref())
            }
            _ => Finish::Holds,
        }
    }
}

fn forget(matcher: &mut Matcher) {
    matcher.clear();
}

fn not_followed(chain: &Chain, text: &str, matcher: &Matcher, unfollowed: Unfollowed, how: &str) -> Evidence {
    let Unfollowed { trigger, step } = unfollowed;
    let reason = format!("record {} ({text}) {how}: {}", trigger.seq, chain.text(step));
    let since = |wanted: usize| match wanted {
        0 => Some(trigger),
        _ => matcher.representative(chain.plan(), step, wanted),
    };
    let evidence = Evidence { late: chain.late(step, since), ..Evidence::because(reason) };
    unmet(chain, matcher, step, trigger.seq + 1, evidence)
}

fn not_found(chain: &Chain, matcher: &Matcher, from: u64) -> Evidence {
    let (step, after) = matcher.stuck();
    let place = after.map_or_else(String::new, |after| format!(" after record {after}"));
    let reason = format!("step {} not found{place}: {}", step + 1, chain.text(step));
    let late = chain.late(step, |wanted| matcher.representative(chain.plan(), step, wanted));
    let evidence = Evidence { late, at: after, ..Evidence::because(reason) };
    unmet(chain, matcher, step, after.map_or(from, |after| after + 1), evidence)
}

/// The evidence of a step that wasn't found from the record `from` on.
fn unmet(chain: &Chain, matcher: &Matcher, step: usize, from: u64, evidence: Evidence) -> Evidence {
    match matcher.nearly(step).filter(|_| evidence.late.is_none()) {
        Some(near) => {
            let nearest = Some(format!("record {}: {}", near.seq, near.why));
            Evidence { nearest, at: Some(near.seq), ..evidence }
        }
        None => Evidence { look: Some((Arc::clone(chain.filter(step)), from)), ..evidence },
    }
}
