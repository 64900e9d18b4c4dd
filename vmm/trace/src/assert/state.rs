//! How a clause fares in one occurrence of its window.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use device_model::Bdf;

use super::chain::{Chain, Moment, Progress};
use super::clause::{Clause, Goal, Limits, Step};
use super::picture::Late;
use crate::coverage::{Counts, Coverage, FunctionCoverage, Share};
use crate::definitions::Definitions;
use crate::event::Counted;
use crate::filter::{Compiled, Kinds, is_called};
use crate::view::{View, What};

/// How many things that aren't covered are named.
const LISTED: usize = 12;
/// How many events may wait for what has to follow them.
const WAITING: usize = 1 << 16;

/// A clause, held against a trace.
#[derive(Debug)]
pub(super) enum Prepared {
    Sequence(Chain),
    Each { chain: Chain, if_any: bool, text: String },
    Never(Arc<Compiled>),
    Count(Arc<Compiled>, Limits),
    KernelEntries(Limits),
    Coverage(Goal, Option<Vec<Bdf>>),
    Device { exists: bool },
}

/// What a clause comes to in one occurrence, where it doesn't pass.
#[derive(Debug)]
pub(super) enum Amiss {
    /// It is broken whatever else may have happened.
    Broken(Details),
    /// It is broken unless something happened that the trace doesn't show.
    Missing(Details),
    /// It holds unless something happened that the trace doesn't show.
    Unsure,
    /// Nobody can tell, for this reason.
    Open(String),
}

/// The details of a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    pub(super) reason: String,
    /// What came nearest, if it is known already.
    pub(super) nearest: Option<String>,
    /// The event that it is about.
    pub(super) at: Option<u64>,
    /// What to look for the nearest to, after which record.
    pub(super) look: Option<(Arc<Compiled>, u64)>,
    /// What was awaited within a time, and may have come later.
    pub(super) late: Option<Late>,
}

impl Details {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }
}

impl Prepared {
    /// Resolves what a clause names, for events about `scope`, if it is told. The error says what doesn't
    /// exist.
    pub(super) fn new(
        clause: &Clause,
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, String> {
        let compile = |filter: &crate::filter::Filter| {
            filter.compile_for(definitions, scope).map(Arc::new).map_err(|mistake| mistake.message)
        };
        Ok(match clause {
            Clause::Sequence(steps) if steps.is_empty() => return Err("nothing is asked for".to_owned()),
            Clause::Sequence(steps) => {
                let steps: Vec<_> = steps.iter().collect();
                Prepared::Sequence(Chain::new(&steps, definitions, scope)?)
            }
            Clause::Each { then, .. } if then.is_empty() => return Err("nothing is asked for".to_owned()),
            Clause::Each { trigger, then, if_any } => {
                let steps: Vec<&Step> = std::iter::once(trigger).chain(then).collect();
                let chain = Chain::new(&steps, definitions, scope)?;
                Prepared::Each { chain, if_any: *if_any, text: trigger.filter.to_string() }
            }
            Clause::Never(filter) => Prepared::Never(compile(filter)?),
            Clause::Count(filter, limits) => Prepared::Count(compile(filter)?, *limits),
            Clause::KernelEntries(limits) => Prepared::KernelEntries(*limits),
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
            Prepared::KernelEntries(_) | Prepared::Coverage(..) | Prepared::Device { .. } => Vec::new(),
        }
    }

    /// The kinds of events that matter to it.
    pub(super) fn kinds(&self) -> Kinds {
        match self {
            Prepared::Sequence(chain) => chain.kinds(),
            // Time passes with every event.
            Prepared::Each { .. } => Kinds::ALL,
            Prepared::Never(filter) | Prepared::Count(filter, _) => filter.kinds(),
            Prepared::KernelEntries(_) => Kinds::KERNEL_ENTRIES,
            Prepared::Coverage(..) => Kinds::ACCESS.or(Kinds::DOORBELL),
            Prepared::Device { .. } => Kinds::NONE,
        }
    }

    pub(super) fn begin(&self, definitions: &Definitions) -> State {
        match self {
            Prepared::Sequence(chain) => State::Sequence { progress: chain.start(), complete: false },
            Prepared::Each { .. } => State::Each { waiting: VecDeque::new(), triggers: 0 },
            Prepared::Never(_) | Prepared::Device { .. } => State::Nothing,
            Prepared::Count(..) => State::Count { count: 0, instances: HashMap::new() },
            Prepared::KernelEntries(_) => State::Entries { sum: 0, last: None },
            Prepared::Coverage(..) => State::Coverage(Box::new(Coverage::new(definitions))),
        }
    }
}

/// What was seen so far.
#[derive(Debug)]
pub(super) enum State {
    Sequence { progress: Progress, complete: bool },
    Each { waiting: VecDeque<Waiting>, triggers: u64 },
    Nothing,
    Count { count: u64, instances: HashMap<Option<u8>, VecDeque<u32>> },
    Entries { sum: u64, last: Option<u64> },
    Coverage(Box<Coverage>),
}

/// An event that has to be followed.
#[derive(Debug)]
pub(super) struct Waiting {
    trigger: Moment,
    progress: Progress,
}

impl State {
    /// Takes an event; what is decided by it, whatever comes.
    pub(super) fn take(&mut self, prepared: &Prepared, view: &View) -> Option<Amiss> {
        match (self, prepared) {
            (State::Sequence { progress, complete }, Prepared::Sequence(chain)) => {
                if !*complete {
                    let hits = chain.hits(view);
                    *complete = !hits.is_empty() && chain.advance(progress, view, &hits);
                }
                None
            }
            (State::Each { waiting, triggers }, Prepared::Each { chain, text, .. }) => {
                take_each(chain, text, waiting, triggers, view)
            }
            (State::Nothing, Prepared::Never(filter)) => filter.matches(view).then(|| {
                let reason = format!("record {} is like that", view.seq);
                Amiss::Broken(Details { at: Some(view.seq), ..Details::because(reason) })
            }),
            (State::Count { count, instances }, Prepared::Count(filter, limits)) => {
                if !filter.matches(view) {
                    return None;
                }
                // 0 stands for an instruction that wasn't counted.
                if let Some(access) = view.access().filter(|access| access.instance != 0)
                    && !is_new(instances.entry(view.vcpu).or_default(), access.instance)
                {
                    return None;
                }
                *count += 1;
                let surplus = limits.high.is_some_and(|high| *count > high);
                surplus.then(|| {
                    let reason = format!("record {} is number {count}", view.seq);
                    Amiss::Broken(Details { at: Some(view.seq), ..Details::because(reason) })
                })
            }
            (State::Entries { sum, last }, _) => {
                if let What::Count { what: Counted::KernelEntries, value, .. } = view.what {
                    *sum = sum.saturating_add(value);
                    *last = Some(view.seq);
                }
                None
            }
            (State::Coverage(coverage), _) => {
                coverage.add(view);
                None
            }
            _ => None,
        }
    }

    /// What it came to by the end of the window, which began with the record `from`.
    pub(super) fn end(self, prepared: &Prepared, from: u64) -> Option<Amiss> {
        match (self, prepared) {
            (State::Sequence { complete: true, .. }, _) => None,
            (State::Sequence { progress, .. }, Prepared::Sequence(chain)) => {
                Some(not_found(chain, &progress, from))
            }
            (State::Each { waiting, triggers }, Prepared::Each { chain, if_any, text }) => {
                if let Some(Waiting { trigger, progress }) = waiting.front() {
                    return Some(not_followed(chain, text, *trigger, progress, "was never followed by"));
                }
                let vacuous = triggers == 0 && !if_any;
                Some(if vacuous {
                    let reason = format!("there was no {text}: say \"if any\" if that is all right");
                    let look = Some((Arc::clone(chain.filter(0)), from));
                    Amiss::Missing(Details { look, ..Details::because(reason) })
                } else {
                    Amiss::Unsure
                })
            }
            (State::Nothing, Prepared::Device { exists }) => (!exists)
                .then(|| Amiss::Broken(Details::because("the trace has no such device at that address"))),
            (State::Nothing, _) => Some(Amiss::Unsure),
            (State::Count { count, .. }, Prepared::Count(filter, limits)) => {
                if count >= limits.low {
                    return limits.high.map(|_| Amiss::Unsure);
                }
                let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
                let look = Some((Arc::clone(filter), from));
                Some(Amiss::Missing(Details { look, ..Details::because(format!("found {times}")) }))
            }
            (State::Entries { sum, last }, Prepared::KernelEntries(limits)) => {
                let Some(last) = last else {
                    return Some(Amiss::Missing(Details::because("the guest reported no count")));
                };
                let details =
                    Details { at: Some(last), ..Details::because(format!("the guest counted {sum}")) };
                match limits.high {
                    Some(high) if sum > high => Some(Amiss::Broken(details)),
                    _ if sum < limits.low => Some(Amiss::Missing(details)),
                    Some(_) => Some(Amiss::Unsure),
                    None => None,
                }
            }
            (State::Coverage(coverage), Prepared::Coverage(goal, scope)) => {
                covered(&coverage, goal, scope.as_deref())
            }
            _ => None,
        }
    }
}

/// Whether an instruction isn't among the last ones of its vCPU: between the parts of one there may be
/// those of an interrupt handler.
fn is_new(last: &mut VecDeque<u32>, instance: u32) -> bool {
    if last.contains(&instance) {
        return false;
    }
    if last.len() == 8 {
        last.pop_front();
    }
    last.push_back(instance);
    true
}

fn take_each(
    chain: &Chain,
    text: &str,
    waiting: &mut VecDeque<Waiting>,
    triggers: &mut u64,
    view: &View,
) -> Option<Amiss> {
    let now = Moment::of(view);
    let hits = chain.hits(view);
    let later: Vec<_> = hits.iter().copied().filter(|step| *step > 0).collect();
    waiting.retain_mut(|one| !chain.advance(&mut one.progress, view, &later));
    if let Some(Waiting { trigger, progress }) = waiting.iter().find(|one| one.progress.is_hopeless()) {
        return Some(not_followed(chain, text, *trigger, progress, "was not followed in time by"));
    }
    if hits.contains(&0) {
        *triggers += 1;
        // With one step to come that says nothing of causes, the first that waits speaks for all.
        let alike = chain.len() == 2 && !chain.names_causes();
        if !alike || waiting.is_empty() {
            waiting.push_back(Waiting { trigger: now, progress: chain.started(now) });
        }
        if waiting.len() > WAITING {
            return Some(Amiss::Open(format!("more than {WAITING} events wait for what has to follow them")));
        }
    }
    None
}

fn not_followed(chain: &Chain, text: &str, trigger: Moment, progress: &Progress, how: &str) -> Amiss {
    if progress.is_crowded() {
        return Amiss::Open("there are too many ways to read the steps".to_owned());
    }
    let (step, _) = progress.stuck();
    let reason = format!("record {} ({text}) {how}: {}", trigger.seq, chain.text(step));
    Amiss::Missing(unmet(chain, progress, trigger.seq, reason))
}

fn not_found(chain: &Chain, progress: &Progress, from: u64) -> Amiss {
    if progress.is_crowded() {
        return Amiss::Open("there are too many ways to read the steps".to_owned());
    }
    let (step, after) = progress.stuck();
    let place = after.map_or_else(String::new, |after| format!(" after record {after}"));
    let reason = format!("step {} not found{place}: {}", step + 1, chain.text(step));
    Amiss::Missing(unmet(chain, progress, after.map_or(from, |after| after + 1), reason))
}

/// The details of a step that wasn't found from the record `from` on.
fn unmet(chain: &Chain, progress: &Progress, from: u64, reason: String) -> Details {
    let (step, after) = progress.stuck();
    match progress.nearly() {
        Some(near) => Details {
            reason,
            nearest: Some(format!("record {}: {}", near.seq, near.why)),
            at: Some(near.seq),
            ..Details::default()
        },
        None => {
            let look = Some((Arc::clone(chain.filter(step)), from));
            Details { reason, at: after, look, ..Details::default() }
        }
    }
}

fn covered(coverage: &Coverage, goal: &Goal, scope: Option<&[Bdf]>) -> Option<Amiss> {
    let is_meant = |bdf: &Bdf| scope.is_none_or(|scope| scope.contains(bdf));
    let functions = coverage.functions().iter().filter(|function| is_meant(&function.bdf));
    let counts: Counts = functions.map(FunctionCoverage::counts).sum();
    let shares = [
        ("registers", counts.registers, goal.registers),
        ("fields", counts.fields, goal.fields),
        ("values", counts.values, goal.values),
    ];
    for (what, Share { covered, of }, wanted) in shares {
        if wanted > 0 && of == 0 {
            return Some(Amiss::Broken(Details::because(format!("there are no {what} to cover"))));
        }
        if u128::from(covered) * 100 < u128::from(of) * u128::from(wanted) {
            let missing: Vec<_> = coverage
                .missing()
                .into_iter()
                .filter(|missing| is_meant(&missing.function.bdf))
                .filter(|missing| match (what, missing.field) {
                    ("registers", field) => field.is_none(),
                    ("fields", None) => !missing.register.fields.is_empty(),
                    ("fields", Some(_)) => missing.value.is_none(),
                    (_, None) => missing.register.fields.iter().any(|field| !field.values.is_empty()),
                    (_, Some(field)) => !field.values.is_empty(),
                })
                .map(|missing| missing.to_string())
                .collect();
            let more = missing.len().saturating_sub(LISTED);
            let more = if more > 0 { format!("\n    and {more} more") } else { String::new() };
            let missing = &missing[..missing.len().min(LISTED)];
            let reason = format!(
                "{covered} of {of} {what} are covered; missing:\n    {}{more}",
                missing.join("\n    ")
            );
            return Some(Amiss::Missing(Details::because(reason)));
        }
    }
    None
}
