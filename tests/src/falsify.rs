//! Whether the clauses of an expectation file can fail: for each, a mutation of a trace that passes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use barscope_analysis::assert::{Clause, Engine, Findings, Suite, Test, Verdict, Window};
use barscope_analysis::view::{View, Viewer};
use barscope_analysis::{Trace, expectation};
use barscope_device::Bdf;
use barscope_trace::definition::{Definition, Function};
use barscope_trace::{Event, EventKind, Stream, rewrite};
use tempfile::TempDir;

use crate::expectations::root;
use crate::mutation::{Mutation, Mutator, unchanged};

/// A clause by itself.
struct Asked {
    /// The only one with this clause, called by the number of its line.
    test: Test,
    line: usize,
    text: String,
    window: Window,
}

/// A part of a trace.
struct Part {
    /// Whose clauses are to be broken there.
    window: Window,
    /// Indices of its events.
    events: Range<usize>,
}

/// The judge of a trace's mutations by the clauses of a file.
struct Judge<'a> {
    trace: &'a Trace,
    /// What the file declares.
    declared: Suite,
    /// The same, and all names of the trace: most aren't in a part of it.
    of_part: Suite,
    clauses: Vec<Asked>,
}

/// How many mutations of a part are tried.
const MOST: usize = 4_000;

/// Lines of clauses, by their place among the clauses of the file.
type Open = Vec<usize>;

/// Holds the clauses of an expectation file, `file` from [`root`] on, against a trace, which has to pass them, and
/// against mutations of it: for each clause there is one by which it is certainly broken.
///
/// A clause counts as broken if its window is there and what happens in it breaks it: by a record that is taken
/// out, changed, repeated, late, or there besides. That the window or a name isn't there any more is no proof that
/// the clause looks at anything, and neither is INCONCLUSIVE.
///
/// Returns the mutations that were found, a line each.
///
/// # Errors
/// The file can't be read, the trace doesn't pass it, or no mutation breaks a clause.
pub fn each_clause_can_fail(trace: &Trace, file: &str) -> Result<String> {
    ensure!(trace.info().lost == 0, "{} events are lost", trace.info().lost);
    let began = Instant::now();
    let judge = Judge::new(trace, file)?;
    let mut broken = BTreeMap::new();
    let mut open: Open = (0..judge.clauses.len()).collect();
    let mut wrong = String::new();
    let whole = 0..trace.events().len();
    for (at, verdict) in judge.verdicts(&unchanged(trace.events(), whole.clone()), &whole, &open) {
        if !verdict.passed() {
            writeln!(wrong, "{file}:{}: {verdict}", judge.clauses[at].line)?;
        }
    }
    ensure!(wrong.is_empty(), "not all passes as it is:\n{wrong}");
    judge.break_devices(&mut open, &mut broken)?;
    judge.break_coverage(&mut open, &mut broken);
    let mutator = Mutator::new(trace);
    let mut tried = 0;
    for part in judge.parts() {
        tried += judge.search(&mutator, &part, &mut open, &mut broken);
        if open.is_empty() {
            break;
        }
    }
    let mut report = String::new();
    for (at, Asked { line, text, .. }) in judge.clauses.iter().enumerate() {
        let by = broken.get(&at).map_or("nothing breaks it", String::as_str);
        writeln!(report, "{file}:{line}: {text}: {by}")?;
    }
    writeln!(report, "{file}: {tried} mutations in {:.1} s", began.elapsed().as_secs_f64())?;
    ensure!(open.is_empty(), "{} clauses can't fail:\n{report}", open.len());
    Ok(report)
}

impl<'a> Judge<'a> {
    fn new(trace: &'a Trace, file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
        let mut suite = expectation::parse(file, &text)
            .map_err(|diagnostic| anyhow::anyhow!(diagnostic.show(file, &text)))?;
        let mut clauses = Vec::new();
        for test in std::mem::take(&mut suite.tests) {
            for placed in test.clauses {
                let location = placed.location.as_ref().context("a clause that stands nowhere")?;
                let (line, text, window) = (location.line, location.text.clone(), placed.window.clone());
                let test =
                    Test { name: line.to_string(), devices: test.devices.clone(), clauses: vec![placed] };
                clauses.push(Asked { test, line, text, window });
            }
        }
        let mut of_part = suite.clone();
        for view in trace.views().all() {
            let names = match view.kind {
                EventKind::Mark { .. } => &mut of_part.declared_marks,
                EventKind::ScenarioBegin { .. } => &mut of_part.declared_scenarios,
                _ => continue,
            };
            names.extend(view.text().map(str::to_owned));
        }
        Ok(Self { trace, declared: suite, of_part, clauses })
    }

    /// What the `open` clauses come to with these events instead of those of the part.
    fn verdicts(&self, events: &[Event], part: &Range<usize>, open: &[usize]) -> Vec<(usize, Verdict)> {
        let whole = part.len() == self.trace.events().len();
        let declared = if whole { &self.declared } else { &self.of_part };
        self.verdicts_of(self.trace, declared, events, open)
    }

    fn verdicts_of(
        &self,
        trace: &Trace,
        declared: &Suite,
        events: &[Event],
        open: &[usize],
    ) -> Vec<(usize, Verdict)> {
        let tests = open.iter().map(|at| self.clauses[*at].test.clone()).collect();
        let mut engine = Engine::new(Suite { tests, ..declared.clone() });
        let mut viewer = Viewer::knowing(&trace.info().capabilities);
        for event in events {
            let view = viewer.view(trace.definitions(), event);
            engine.take(trace.definitions(), &view);
        }
        let mut verdicts = BTreeMap::new();
        // A test that is run for each of several devices has several findings.
        for finding in Findings::into_list(engine.finish(&trace.info())) {
            let line = finding.location.map_or(0, |location| location.line);
            let verdict = verdicts.remove(&line).unwrap_or(Verdict::Pass).and(finding.verdict);
            verdicts.insert(line, verdict);
        }
        open.iter().filter_map(|at| Some((*at, verdicts.remove(&self.clauses[*at].line)?))).collect()
    }

    /// Those of the clauses that the mutation of this part breaks, in their windows.
    fn broken_by(&self, mutation: &Mutation, part: &Range<usize>, open: &[usize]) -> Open {
        let events = mutation.apply(self.trace.events(), part.clone());
        let verdicts = self.verdicts(&events, part, open).into_iter();
        let broken = verdicts.filter(|(at, verdict)| match (verdict, &self.clauses[*at].window) {
            (Verdict::Fail(_), Window::Whole) => true,
            // A window that never opened or closed has no record that decided it.
            (Verdict::Fail(failure), Window::Scenario(_)) => failure.record.is_some(),
            (Verdict::Fail(failure), window) => {
                let before = unchanged(self.trace.events(), part.clone());
                failure.record.is_some() && self.bounds(window, &events) == self.bounds(window, &before)
            }
            _ => false,
        });
        broken.map(|(at, _)| at).collect()
    }

    /// How many records may open or close a window.
    fn bounds(&self, window: &Window, events: &[Event]) -> usize {
        let definitions = self.trace.definitions();
        let filters = match window {
            Window::Whole | Window::Scenario(_) => Vec::new(),
            Window::Between { from, to, .. } => vec![from, to],
            Window::From { from, .. } => vec![from],
        };
        let compiled: Vec<_> =
            filters.into_iter().filter_map(|filter| filter.compile(definitions).ok()).collect();
        let mut viewer = Viewer::default();
        let views = events.iter().map(|event| viewer.view(definitions, event));
        views.filter(|view| compiled.iter().any(|filter| filter.matches(view))).count()
    }

    /// The parts of the trace that are somebody's windows; then its scenarios, then all of it for what isn't about a
    /// window.
    fn parts(&self) -> Vec<Part> {
        let mut windows = Vec::<&Window>::new();
        for Asked { window, .. } in &self.clauses {
            if *window != Window::Whole && !windows.contains(&window) {
                windows.push(window);
            }
        }
        let mut parts: Vec<_> = windows.into_iter().filter_map(|window| self.part(window)).collect();
        let names = self.trace.views().all().iter().filter_map(|view| match view.kind {
            EventKind::ScenarioBegin { .. } => view.text().map(Window::scenario),
            _ => None,
        });
        let scenarios = names.filter_map(|window| self.part(&window));
        parts.extend(scenarios.map(|part| Part { window: Window::Whole, ..part }));
        parts.push(Part { window: Window::Whole, events: 0..self.trace.events().len() });
        parts
    }

    /// Where a window occurs first.
    fn part(&self, window: &Window) -> Option<Part> {
        let (trace, views) = (self.trace, self.trace.views().all());
        let events = match window {
            Window::Whole => 0..views.len(),
            Window::Scenario(name) => {
                let begins = |view: &View| {
                    matches!(view.kind, EventKind::ScenarioBegin { .. }) && view.text() == Some(name.as_str())
                };
                let ends = |view: &View| matches!(view.kind, EventKind::ScenarioEnd { .. });
                let start = views.iter().position(begins)?;
                start..start + views[start..].iter().position(ends)? + 1
            }
            Window::Between { from, to, .. } => {
                let (from, to) =
                    (from.compile(trace.definitions()).ok()?, to.compile(trace.definitions()).ok()?);
                let start = views.iter().position(|view| from.matches(view))?;
                start..start + views[start..].iter().skip(1).position(|view| to.matches(view))? + 2
            }
            Window::From { from, .. } => {
                let from = from.compile(trace.definitions()).ok()?;
                views.iter().position(|view| from.matches(view))?..views.len()
            }
        };
        Some(Part { window: window.clone(), events })
    }

    /// Breaks clauses in a part of the trace; how many mutations that took.
    fn search(
        &self,
        mutator: &Mutator<'_>,
        part: &Part,
        open: &mut Open,
        broken: &mut BTreeMap<usize, String>,
    ) -> usize {
        let trace = self.trace.events();
        let is_own = |at: &usize| self.clauses[*at].window == part.window;
        let may_be = |at: &usize| is_own(at) || self.clauses[*at].window == Window::Whole;
        // What looks at the whole trace may pass on a part of it: looking for what breaks it there is faster.
        let asked: Open = open.iter().copied().filter(may_be).collect();
        let verdicts = self.verdicts(&unchanged(trace, part.events.clone()), &part.events, &asked);
        let passed = verdicts.into_iter().filter(|(_, verdict)| verdict.passed());
        let mut here: Open = passed.map(|(at, _)| at).collect();
        let mut tried = 0;
        for mutation in mutator.all(part.events.clone()).take(MOST) {
            if !here.iter().any(is_own) {
                break;
            }
            tried += 1;
            let mut found = self.broken_by(&mutation, &part.events, &here);
            if !found.is_empty() && part.events.len() < trace.len() {
                found = self.broken_by(&mutation, &(0..trace.len()), &found);
            }
            note(&found, &mutation, &mut here, broken);
            open.retain(|at| !found.contains(at));
        }
        tried
    }

    /// Takes the accesses to more and more registers out until too little is covered.
    fn break_coverage(&self, open: &mut Open, broken: &mut BTreeMap<usize, String>) {
        let events = self.trace.events();
        let is_coverage = |at: &usize| {
            matches!(self.clauses[*at].test.clauses[..], [ref placed]
            if matches!(placed.clause, Clause::Coverage(_)))
        };
        let mut here: Open = open.iter().copied().filter(is_coverage).collect();
        let mut places = BTreeMap::<_, Vec<usize>>::new();
        // Where accesses aren't seen, none can be missed.
        let mut hiding = Vec::new();
        for (index, view) in self.trace.views().all().iter().enumerate() {
            if matches!(view.kind, EventKind::Backing { .. }) {
                hiding.push(index);
            } else if let Some(place) = view.access().and_then(|access| access.place()) {
                places.entry((place.bdf, place.region, place.offset)).or_default().push(index);
            }
        }
        let places: Vec<_> = places.into_values().collect();
        let mut count = 0;
        while !here.is_empty() && count < places.len() {
            count = (2 * count).clamp(1, places.len());
            let about =
                format!("accesses to {count} of {} places taken out, and what hides others", places.len());
            let taken = places[..count].iter().flatten().chain(&hiding).copied();
            let mutation = Mutation::without(about, taken);
            let found = self.broken_by(&mutation, &(0..events.len()), &here);
            note(&found, &mutation, &mut here, broken);
            open.retain(|at| !found.contains(at));
        }
    }

    /// Gives functions other names, then other addresses. That takes another trace: they are defined there.
    fn break_devices(&self, open: &mut Open, broken: &mut BTreeMap<usize, String>) -> Result<()> {
        let is_device = |at: &usize| {
            matches!(self.clauses[*at].test.clauses[..], [ref placed]
            if matches!(placed.clause, Clause::Device { .. }))
        };
        let here: Open = open.iter().copied().filter(is_device).collect();
        if here.is_empty() {
            return Ok(());
        }
        let renamed = |function: &Function| Function { name: "other".to_owned(), ..function.clone() };
        let moved = |function: &Function| {
            let bdf = Bdf::from_routing_id(function.bdf.routing_id() ^ 0x80);
            Function { bdf, ..function.clone() }
        };
        for define in [&renamed as &dyn Fn(&Function) -> Function, &moved] {
            let folder = TempDir::new()?;
            let path = folder.path().join("trace");
            let change = |_, definition: &Definition| match definition {
                Definition::Function(function) => Definition::Function(define(function)),
                other => other.clone(),
            };
            rewrite::copy_with(&mut Stream::open(self.trace.info().path)?, &path, change, |event| {
                Some(*event)
            })?;
            let other = Trace::open(&path)?;
            for (at, verdict) in self.verdicts_of(&other, &self.declared, other.events(), &here) {
                let Asked { line, text, .. } = &self.clauses[at];
                ensure!(matches!(verdict, Verdict::Fail(_)), "line {line}: {text}: {verdict}");
                broken.insert(at, "functions with another name, and at another address".to_owned());
            }
        }
        open.retain(|at| !here.contains(at));
        Ok(())
    }
}

/// Takes note of clauses that are broken.
fn note(found: &[usize], mutation: &Mutation, here: &mut Open, broken: &mut BTreeMap<usize, String>) {
    here.retain(|at| !found.contains(at));
    broken.extend(found.iter().map(|at| (*at, mutation.about.clone())));
}
