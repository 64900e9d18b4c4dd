//! Lints: what a trace proves to be wrong about a driver, without an expectation file.
//!
//! A [`Linter`] takes views one by one, as `assert::Engine` does, in memory that doesn't grow with their number, and comes
//! to a [`Report`]. Each lint is a file in `rules`: a [`About`] for its texts, and a rule. What a lint says has to be so
//! whatever stood in records that are missing: there it forgets, and says nothing. A lint whose trace doesn't tell what it
//! needs judges nothing, which the report says.

mod about;
mod allow;
mod calls;
mod cases;
mod causes;
mod finding;
mod functions;
mod mappings;
mod report;
mod rule;
mod rules;
mod runs;
mod schema;
mod touch;
mod uses;

use std::path::Path;

use barscope_device::diagnostic::{cut, did_you_mean};
use barscope_trace::event::EventKind;
use barscope_trace::{Capabilities, Capability, Definitions, ReadError, Stream};

pub use about::{About, Class};
pub use allow::{Allow, Allows};
pub use finding::{Allowed, Finding};
pub use report::{Blind, Report};
pub use schema::schema;

use self::calls::Calls;
use self::causes::Causes;
use self::finding::{Findings, Found};
use self::functions::Functions;
use self::rules::Rules;
use self::touch::Touch;
use crate::completeness::Completeness;
use crate::view::{View, Viewer};

/// Every lint, in the order of classes and names.
pub fn all() -> Vec<&'static About> {
    let mut list: Vec<_> = Rules::default().list.iter().map(|rule| rule.about()).collect();
    list.sort_by_key(|about| (about.class, about.name));
    list
}

/// The lint of this name.
pub fn named(name: &str) -> Option<&'static About> {
    all().into_iter().find(|about| about.name == name)
}

/// The lint of this name, or what is wrong with the name.
///
/// # Errors
/// There is none; if one is close, it is named.
pub fn find(name: &str) -> Result<&'static About, String> {
    let unknown = || {
        let hint = match did_you_mean(name, all().iter().map(|about| about.name)) {
            hint if hint.is_empty() => "; `barscope lint --list` names all".to_owned(),
            hint => hint,
        };
        format!("there is no lint {}{hint}", cut(name))
    };
    named(name).ok_or_else(unknown)
}

/// All lints in Markdown: what docs/lints.md holds.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Lints\n\n`barscope lint TRACE` looks for these mistakes of drivers. `barscope lint --explain NAME` prints one of \
         them. *Certain* is what the trace itself proves, *likely* what is worth a look. *Provable* lints find nothing bad by \
         themselves: they list *sites*, places where a fault has to be injected to see whether the driver minds; \
         `--sites` prints them. Where records are missing, or a \
         trace of another tracer doesn't tell what a lint needs, it says nothing.\n\nWhat is meant is allowed by a line of an expectation \
         file, with the reason: `allow torn-64 on BAR0.COUNTER because \"the device keeps the upper half\"`, and `barscope lint \
         TRACE --expect FILE` leaves it out ([expectations.md](expectations.md#allow-what-a-lint-finds)). `--format json` prints lines as \
         [lint.schema.json](lint.schema.json) says. [lints-held.md](lints-held.md) tells what holds each lint. This file is made from the texts of the \
         lints in `vmm/analysis/src/lint/rules`.\n\n| lint | class | |\n|---|---|---|\n",
    );
    for about in all() {
        out += &format!("| [{0}](#{0}) | {1} | {2} |\n", about.name, about.class.name(), about.title);
    }
    for about in all() {
        out.push('\n');
        out += &about.markdown();
    }
    out
}

/// All lints at work on one trace.
#[derive(Default)]
pub struct Linter {
    rules: Rules,
    functions: Functions,
    calls: Calls,
    causes: Causes,
    findings: Findings,
    last: u64,
    records: u64,
}

impl Linter {
    /// Takes the view of the event that comes after those given before.
    pub fn take(&mut self, definitions: &Definitions, view: &View) {
        self.records += 1;
        if view.seq != self.last + 1 {
            self.functions.lose(view.seq);
            self.calls.lose();
            self.causes.lose();
            self.rules.list.iter_mut().for_each(|rule| rule.lose());
        }
        self.last = view.seq;
        self.findings.remember(&view.event);
        let scenario = view.scenario.as_ref().filter(|_| !view.uncertain.scenario);
        let mut found = Found {
            all: &mut self.findings,
            functions: &self.functions,
            causes: &self.causes,
            definitions,
            scenario,
        };
        if let EventKind::Access(_) = view.kind {
            let Some(access) = view.access() else { return };
            let touch = Touch::new(access, self.calls.take(view));
            for rule in &mut self.rules.list {
                rule.access(&touch, &mut found);
            }
            self.functions.access(view.seq, &touch);
            self.causes.access(&touch);
        } else {
            for rule in &mut self.rules.list {
                rule.event(view, &mut found);
            }
            self.functions.event(view);
            self.causes.event(view);
        }
    }

    /// What came of it, in a trace that can tell this.
    pub fn finish(self, capabilities: &Capabilities, completeness: Completeness) -> Report {
        let mut blind = Vec::new();
        for rule in &self.rules.list {
            let missing = rule.needs().iter().copied().find(|need| !is_told(capabilities, *need));
            blind.extend(missing.map(|needs| Blind { lint: rule.about(), needs }));
        }
        let judges = |about: &About| blind.iter().all(|it: &Blind| it.lint.name != about.name);
        let (mut rows, more) = self.findings.finish();
        rows.retain(|row| judges(row.lint));
        let (sites, findings) = rows.into_iter().partition(|row| row.lint.class == Class::Provable);
        let of_lint = |about: &'static About| Some((about, *more.get(about.name)?));
        let more = all().into_iter().filter_map(of_lint).filter(|(about, _)| judges(about)).collect();
        Report { findings, sites, more, blind, records: self.records, completeness }
    }
}

/// Whether a trace tells what a lint needs. Which handler makes an access, call stacks tell as well.
fn is_told(capabilities: &Capabilities, need: Capability) -> bool {
    capabilities.tells(need) || need == Capability::Handlers && capabilities.tells(Capability::Stacks)
}

/// Lints the trace at `path`, from its beginning to its end.
///
/// # Errors
/// It can't be read.
pub fn lint(path: &Path) -> Result<Report, ReadError> {
    let mut stream = Stream::open(path)?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut linter = Linter::default();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        linter.take(stream.definitions(), &view);
    }
    let capabilities = stream.info().capabilities;
    Ok(linter.finish(&capabilities, Completeness::of(&stream)))
}

#[cfg(test)]
mod tests;
