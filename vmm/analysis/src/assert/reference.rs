//! A slow, obvious engine, which tries everything on the whole truth; and traces that show less than the truth.
//!
//! A *world* is what happened. A trace may lack some of it: records that were lost, the end, accesses that KVM served
//! by itself, what an instruction would have done, how a page came to be mapped. Of a whole world the engine has to
//! say what the reference says; of less, nothing that the reference contradicts.

mod clauses;
mod world;

use barscope_trace::Definitions;
use barscope_trace::event::{Counted, EventKind};
use fastrand::Rng;

use self::clauses::random_clause;
use self::world::{Observed, World, clock};
use super::chain::Bound;
use super::clause::{Clause, Limits, Step};
use super::suite::{Devices, Placed, Suite, Test};
use super::timestamp::Timestamp;
use super::window::Window;
use super::{Engine, Verdict};
use crate::filter::{Compiled, Filter, Wanted};
use crate::view::View;

/// How many random cases are tried: as many as the environment asks for, or `few`.
pub(super) fn cases(few: u64) -> u64 {
    std::env::var("BARSCOPE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(few)
}

/// What happened, and the clocks then.
struct Truth<'a> {
    definitions: &'a Definitions,
    views: &'a [View],
    times: Vec<Timestamp>,
}

impl Truth<'_> {
    /// Whether a clause holds; `None` if it names what doesn't exist, or contradicts itself.
    fn holds(&self, window: &Window, clause: &Clause) -> Option<bool> {
        let filters: Vec<&Filter> = match clause {
            Clause::Sequence(steps) => steps.iter().map(|step| &step.filter).collect(),
            Clause::Each { trigger, then, .. } => {
                std::iter::once(trigger).chain(then).map(|step| &step.filter).collect()
            }
            Clause::Never(filter) | Clause::Count(filter, _) => vec![filter],
            Clause::KernelEntries { between, .. } => between.iter().collect(),
            _ => Vec::new(),
        };
        if filters.iter().any(|filter| self.compile(filter).is_none()) {
            return None;
        }
        let occurrences = self.occurrences(window)?;
        let mut all = true;
        let mut any = false;
        for (from, to, closed) in occurrences {
            any = true;
            all &= closed && self.holds_within(window, clause, from, to)?;
        }
        Some(if any { all } else { self.may_be_nothing(window, clause) })
    }

    /// Whether a clause holds without an occurrence: its window names what isn't there and is declared.
    fn may_be_nothing(&self, window: &Window, clause: &Clause) -> bool {
        let of_nothing = match clause {
            Clause::Never(_) => true,
            Clause::Count(_, limits) => limits.low == 0,
            Clause::Each { if_any, .. } => *if_any,
            _ => false,
        };
        let named = match window {
            Window::Whole => return false,
            Window::Scenario(name) => [Wanted::Name(name.clone())].to_vec(),
            Window::Between { from, to, .. } => {
                let mentions = from.mentions().and(to.mentions());
                [mentions.marks, mentions.scenarios].concat()
            }
            Window::From { from, .. } => [from.mentions().marks, from.mentions().scenarios].concat(),
        };
        let occurs = |wanted: &Wanted| {
            self.views.iter().any(|view| match view.kind {
                EventKind::Mark { .. } | EventKind::ScenarioBegin { .. } => {
                    view.text().is_some_and(|text| wanted.fits(text))
                }
                _ => false,
            })
        };
        of_nothing && named.iter().any(|wanted| !occurs(wanted))
    }

    /// First and last event of each occurrence, and whether it has an end.
    fn occurrences(&self, window: &Window) -> Option<Vec<(usize, usize, bool)>> {
        let end = self.views.len();
        let opened = |at: usize, wanted: &str| {
            let view = &self.views[at];
            matches!(view.kind, EventKind::ScenarioBegin { .. }) && view.text() == Some(wanted)
        };
        let closed = |at: usize| matches!(self.views[at].kind, EventKind::ScenarioEnd { .. });
        let like = |filter: &Filter| {
            let filter = self.compile(filter)?;
            Some((0..end).filter(|at| filter.matches(&self.views[*at])).collect::<Vec<_>>())
        };
        let (opens, closes): (Vec<usize>, Vec<usize>) = match window {
            Window::Whole => return Some(vec![(0, end, true)]),
            Window::From { from, .. } => {
                return Some(like(from)?.first().map(|first| (*first, end, true)).into_iter().collect());
            }
            Window::Scenario(name) => (
                (0..end).filter(|at| opened(*at, name)).collect(),
                (0..end).filter(|at| closed(*at)).collect(),
            ),
            Window::Between { from, to, .. } => (like(from)?, like(to)?),
        };
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(from) = opens.iter().find(|open| **open >= at) {
            let close = closes.iter().find(|close| *close > from);
            found.push((*from, close.map_or(end, |close| close + 1), close.is_some()));
            let Some(close) = close else { break };
            at = close + 1;
        }
        Some(found)
    }

    fn compile(&self, filter: &Filter) -> Option<Compiled> {
        filter.compile(self.definitions).ok()
    }

    /// How many entries into the kernel an event counts.
    fn entries(&self, at: usize) -> Option<u64> {
        match self.views[at].kind {
            EventKind::Count { what: Counted::KernelEntries, value, .. } => Some(value),
            _ => None,
        }
    }

    fn holds_within(&self, window: &Window, clause: &Clause, from: usize, to: usize) -> Option<bool> {
        let like = |filter: &Filter| {
            let filter = self.compile(filter)?;
            Some((from..to).filter(|at| filter.matches(&self.views[*at])).collect::<Vec<_>>())
        };
        Some(match clause {
            Clause::Never(filter) => like(filter)?.is_empty(),
            Clause::Count(filter, limits) => {
                let instance = |at: &usize| {
                    let view = &self.views[*at];
                    let instance = view.access().map_or(0, |access| access.instance);
                    if instance == 0 { (None, 0, *at) } else { (view.vcpu, instance, 0) }
                };
                let mut counted: Vec<_> = like(filter)?.iter().map(instance).collect();
                counted.sort_unstable();
                counted.dedup();
                within(limits, counted.len() as u64)
            }
            Clause::KernelEntries { limits, between: Some(filter) } => {
                let pid = |at: &usize| self.views[*at].process().map(|process| process.pid);
                let all = like(filter)?;
                let mut pids = all.iter().map(pid).collect::<Option<Vec<_>>>()?;
                pids.sort_unstable();
                pids.dedup();
                let (mut sum, mut any) = (0, false);
                for process in pids {
                    let own: Vec<_> = all.iter().filter(|at| pid(at) == Some(process)).collect();
                    any |= own.len() > 1;
                    let (first, last) = (*own[0], *own[own.len() - 1]);
                    let between = (first + 1..=last).filter(|at| pid(at) == Some(process));
                    sum += between.filter_map(|at| self.entries(at)).sum::<u64>();
                }
                any && within(limits, sum)
            }
            Clause::KernelEntries { limits, between: None } => {
                let is_whole = matches!(window, Window::Whole);
                let opener = self.views.get(from).filter(|_| !is_whole);
                let program = opener.filter(|view| {
                    matches!(
                        view.kind,
                        EventKind::Access(_) | EventKind::NotEmulated { .. } | EventKind::Mark { .. }
                    )
                });
                let counts = (from..to).filter_map(|at| Some((at, self.entries(at)?)));
                let counts: Vec<_> = counts.collect();
                let of = |at: &usize| self.views[*at].process().map(|process| process.pid);
                let is_recorded = |view: &View| matches!(view.kind, EventKind::Count { process: 1.., .. });
                let each = self.views[..to].iter().any(is_recorded);
                let own = match program.map(View::process) {
                    // Nobody knows whose they are to be.
                    Some(None) if counts.iter().any(|(at, _)| of(at).is_some()) => return None,
                    Some(Some(program)) => Some(program.pid),
                    _ => None,
                };
                let is_own = |(at, _): &&(usize, u64)| own.is_none() || of(at).is_none() || of(at) == own;
                let counted: Vec<_> = counts.iter().filter(is_own).map(|(_, value)| *value).collect();
                (each || !counted.is_empty()) && within(limits, counted.iter().sum())
            }
            Clause::Sequence(steps) => {
                let likes = steps.iter().map(|step| like(&step.filter)).collect::<Option<Vec<_>>>()?;
                self.can_go_on(steps, &likes, &mut Vec::new())
            }
            Clause::Each { trigger, then, if_any } => {
                let steps: Vec<_> = std::iter::once(trigger).chain(then).cloned().collect();
                let likes = steps.iter().map(|step| like(&step.filter)).collect::<Option<Vec<_>>>()?;
                let followed = |trigger: &usize| self.can_go_on(&steps, &likes, &mut vec![*trigger]);
                (*if_any || !likes[0].is_empty()) && likes[0].iter().all(followed)
            }
            Clause::Coverage(_) | Clause::Device { .. } => return None,
        })
    }

    /// Whether the steps after those that were found can be found.
    fn can_go_on(&self, steps: &[Step], likes: &[Vec<usize>], found: &mut Vec<usize>) -> bool {
        let Some(step) = steps.get(found.len()) else { return true };
        let named = |name: &String| steps.iter().position(|step| step.name.as_ref() == Some(name)).unwrap();
        let last = found.last().copied();
        likes[found.len()].iter().filter(|at| last.is_none_or(|last| **at > last)).any(|at| {
            let in_time = step.within.iter().all(|within| {
                let since = within.of.as_ref().map_or(found.len() - 1, named);
                let bound = Bound { limit_ns: within.limit_ns, time: within.time, since };
                bound.holds(self.times[found[since]], self.times[*at])
            });
            let cause = step.caused_by.as_ref().map(|name| self.views[found[named(name)]].seq);
            if !in_time || cause.is_some_and(|cause| self.views[*at].cause() != Some(cause)) {
                return false;
            }
            found.push(*at);
            let can = self.can_go_on(steps, likes, found);
            found.pop();
            can
        })
    }
}

fn within(limits: &Limits, count: u64) -> bool {
    count >= limits.low && limits.high.is_none_or(|high| count <= high)
}

/// The engine's verdict of what was observed.
fn verdict(observed: &Observed, window: &Window, clause: &Clause) -> Verdict {
    let clauses = vec![Placed { clause: clause.clone(), window: window.clone(), location: None }];
    let test = Test { name: "t".to_owned(), devices: Devices::All, clauses };
    let declared = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let suite = Suite {
        tests: vec![test],
        declared_marks: declared(world::MARKS),
        declared_scenarios: declared(world::SCENARIOS),
    };
    let mut engine = Engine::new(suite);
    for view in observed.views() {
        engine.take(observed.definitions(), &view);
    }
    let findings = engine.finish(&observed.info()).into_list();
    findings.into_iter().next().map_or(Verdict::Pass, |finding| finding.verdict)
}

/// One world, several clauses, the whole of it and less of it.
fn compare(seed: u64) {
    let random = &mut Rng::with_seed(seed);
    let world = World::random(random);
    let views = world.views();
    let truth = Truth { definitions: world.definitions(), views: &views, times: clock(&views) };
    let (window, clause) = random_clause(random);
    let said = |verdict: &Verdict| match verdict {
        Verdict::Pass => Some(true),
        Verdict::Fail(_) => Some(false),
        Verdict::Inconclusive(_) => None,
    };
    let told = || format!("seed {seed}: {window}: {clause}\n{world:?}");
    let Some(holds) = truth.holds(&window, &clause) else { return };
    let whole = verdict(&world.whole(), &window, &clause);
    // Nobody announces handlers there, and which message one answers may be open.
    let words = format!("{window}: {clause}");
    let says = |all: &[&str]| all.iter().any(|word| words.contains(word));
    let open = (world.by_stacks && says(&["isr", "caused by", "cause"]))
        // What a guest counts itself, and marks there, are nobody's.
        || (!world.each_entry && says(&["process", "pid", "syscall", "between"]));
    assert!(open || said(&whole) == Some(holds), "{}\n{whole}", told());
    for _ in 0..2 {
        let observed = world.observe(random);
        let verdict = verdict(&observed, &window, &clause);
        let answer = said(&verdict);
        assert!(answer.is_none_or(|answer| answer == holds), "{}\nobserved {observed:?}\n{verdict}", told());
    }
}

#[test]
fn verdicts_are_those_of_trying_everything_and_stand_whatever_is_missing() {
    for seed in 0..cases(20_000) {
        compare(seed);
    }
}
