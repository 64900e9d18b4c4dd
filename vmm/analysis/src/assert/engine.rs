//! Decides clauses while events come, holding none of them.

use std::sync::Arc;

use barscope_device::Bdf;
use barscope_trace::{Capabilities, Definitions, End, EventKind, TraceInfo};

use super::context::Findings;
use super::needs::FreeNames;
use super::run::ClauseRun;
use super::suite::{Devices, Scope, Suite, Test};
use super::timestamp::Timestamp;
use super::unseen::Unseen;
use super::watchlist::Watchlist;
use crate::filter::{Names, Seen, Truth, is_called};
use crate::view::View;

/// Holds tests against a trace, event by event: while it grows, or afterwards. Memory doesn't grow with the
/// trace, but for records that wait for what has to follow them.
///
/// A verdict is certain or it is INCONCLUSIVE: PASS and FAIL hold whatever records are missing, whatever the trace
/// can't tell, and however it would have gone on.
#[derive(Debug)]
pub struct Engine {
    suite: Suite,
    /// Empty until the first event: devices aren't known before.
    runs: Vec<ClauseRun>,
    watchlist: Watchlist,
    unseen: Unseen,
    prepared: bool,
    /// The last record that was taken, at the latest time so far.
    last: Timestamp,
    lost: u64,
    /// Whether each entry into the kernel has a record of its own: one says so, or may have been lost.
    each_entry: Truth,
    names: FreeNames,
    /// Clauses that are broken, each with the record that broke it.
    broken: Vec<(u64, usize)>,
}

impl Engine {
    /// Nothing happened so far.
    pub fn new(suite: Suite) -> Self {
        let names = FreeNames {
            declared_marks: suite.declared_marks.iter().cloned().collect(),
            declared_scenarios: suite.declared_scenarios.iter().cloned().collect(),
            ..FreeNames::default()
        };
        Self {
            suite,
            runs: Vec::new(),
            watchlist: Watchlist::default(),
            unseen: Unseen::default(),
            prepared: false,
            last: Timestamp { seq: 0, device_ns: 0, host_ns: 0 },
            lost: 0,
            each_entry: Truth::No,
            names,
            broken: Vec::new(),
        }
    }

    /// The same over a trace that tells this, of what there is to know before its first record. By default all is seen that
    /// the machine sees.
    #[must_use]
    pub fn knowing(self, capabilities: &Capabilities) -> Self {
        Self { unseen: Unseen::of(capabilities), ..self }
    }

    /// Takes the next event.
    pub fn take(&mut self, definitions: &Definitions, view: &View) {
        self.prepare(definitions);
        let missing = view.seq.saturating_sub(self.last.seq + 1);
        if missing > 0 {
            self.lose(missing, view.seq);
            self.unseen.lose(definitions);
            self.look();
        }
        self.last = Timestamp {
            seq: view.seq,
            device_ns: view.device_ns.max(self.last.device_ns),
            host_ns: view.host_ns.max(self.last.host_ns),
        };
        match (view.kind, &view.text) {
            (EventKind::Mark { .. }, Some(text)) if !self.names.marks.contains(text) => {
                self.names.marks.insert(Arc::clone(text));
            }
            (EventKind::ScenarioBegin { .. }, Some(name)) if !self.names.scenarios.contains(name) => {
                self.names.scenarios.insert(Arc::clone(name));
            }
            _ => {}
        }
        if let EventKind::Count { process: 1.., .. } = view.kind {
            self.note_entries(Truth::Yes);
        }
        if self.unseen.notice(view) {
            self.look();
        }
        let seen = Seen::of(view, self.last.device_ns, self.last.host_ns);
        let mut from = 0;
        while let Some((at, next)) = self.watchlist.next(from, seen) {
            from = next;
            let run = &mut self.runs[at];
            let before = run.phase();
            run.take(definitions, view, self.last);
            if run.is_broken() {
                self.broken.push((view.seq, at));
            }
            if run.phase() != before || run.has_deadlines() {
                self.watchlist.set(at, run.interests());
            }
        }
    }

    /// The first record by which a clause was certainly broken, if one was: whatever comes, it fails. That takes
    /// what the trace can tell so far; where `names_come_late`, code may get a name after it made an access.
    pub fn violation(&self, capabilities: &Capabilities, names_come_late: bool) -> Option<u64> {
        let certain = |at: usize| self.runs[at].is_certain(capabilities, names_come_late);
        self.broken.iter().find(|(_, at)| certain(*at)).map(|(seq, _)| *seq)
    }

    /// The last record that was taken.
    pub fn last_seq(&self) -> u64 {
        self.last.seq
    }

    /// Decides what is left when there are no more events.
    pub fn finish(mut self, info: &TraceInfo<'_>) -> Findings {
        self.prepare(info.definitions);
        let finished = info.end == Some(&End::Finished);
        if let Some(damage) = info.damage.first() {
            self.doubt(&format!("the trace is damaged: {damage}"));
        }
        if info.unknown_kinds > 0 {
            let count = info.unknown_kinds;
            self.doubt(&format!(
                "{count} records or definitions are of kinds that this program doesn't know"
            ));
        }
        if info.lost > self.lost {
            let missing = info.lost - self.lost;
            self.lose(missing, self.last.seq + missing + 1);
        }
        if !finished {
            self.doubt(&early(info));
        }
        let names = Names::new(info.definitions);
        let decided = self.runs.into_iter().map(|run| run.decide(&self.names, &names, info));
        Findings::new(decided.collect())
    }

    /// Has all clauses look at how accesses are served from here on.
    fn look(&mut self) {
        for (at, run) in self.runs.iter_mut().enumerate() {
            run.look(&self.unseen);
            self.watchlist.set(at, run.interests());
        }
    }

    fn note_entries(&mut self, each_entry: Truth) {
        if self.each_entry != each_entry {
            self.each_entry = each_entry;
            self.runs.iter_mut().for_each(|run| run.note_entries(each_entry));
        }
    }

    /// Records are missing before the record `next`.
    fn lose(&mut self, missing: u64, next: u64) {
        self.lost += missing;
        if self.each_entry == Truth::No {
            self.note_entries(Truth::Maybe);
        }
        let reason = match missing {
            1 => format!("record {} is lost", next - 1),
            _ => format!("records {} to {} are lost", next - missing, next - 1),
        };
        self.doubt(&reason);
    }

    /// Anything may have happened since the last record.
    fn doubt(&mut self, reason: &str) {
        for (at, run) in self.runs.iter_mut().enumerate() {
            run.lose(reason);
            self.watchlist.set(at, run.interests());
        }
    }

    fn prepare(&mut self, definitions: &Definitions) {
        if self.prepared {
            return;
        }
        self.prepared = true;
        for test in std::mem::take(&mut self.suite.tests) {
            for (name, scope) in scopes(&test, definitions) {
                for placed in &test.clauses {
                    let run = ClauseRun::new(&name, placed, definitions, scope.clone());
                    self.watchlist.add(run.most_interests());
                    self.watchlist.set(self.runs.len(), run.interests());
                    self.runs.push(run);
                }
            }
        }
        if self.unseen.is_blind() {
            self.look();
        }
    }
}

/// The functions that a test is run for, with its name for each run. `Err` for one that isn't there.
fn scopes(test: &Test, definitions: &Definitions) -> Vec<(String, Scope)> {
    let named = |name: &String| {
        let functions = definitions.functions().map(|(_, function)| function);
        let found = functions.filter(|function| is_called(function, name));
        let found: Vec<_> = found.map(|function| function.bdf).collect();
        if found.is_empty() { Err(format!("the trace has no device {name}")) } else { Ok(found) }
    };
    match &test.devices {
        Devices::All => vec![(test.name.clone(), Ok(None))],
        Devices::On(name) => vec![(test.name.clone(), named(name).map(Some))],
        Devices::Each(name) => match named(name) {
            Ok(found) => {
                let one = |bdf: Bdf| (format!("{} [{bdf}]", test.name), Ok(Some(vec![bdf])));
                found.into_iter().map(one).collect()
            }
            Err(why) => vec![(test.name.clone(), Err(why))],
        },
    }
}

/// Why a trace that isn't finished may be missing its end.
fn early(info: &TraceInfo<'_>) -> String {
    match info.end {
        Some(End::Interrupted(reason) | End::Failed(reason)) => format!("the trace ended early: {reason}"),
        _ => "the trace has no end".to_owned(),
    }
}
