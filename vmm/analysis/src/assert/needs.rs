//! What a clause needs of a trace besides its records: properties that it tells, and names that it has.

use std::collections::HashSet;
use std::sync::Arc;

use barscope_device::diagnostic::did_you_mean;
use barscope_trace::{Capabilities, Capability, Knowledge};

use super::clause::{Clause, Step};
use super::window::Window;
use crate::filter::{Filter, Kinds, Mentions, Need, Wanted};

/// Names that occurred, or may be absent.
#[derive(Debug, Default)]
pub(super) struct FreeNames {
    pub(super) marks: HashSet<Arc<str>>,
    pub(super) scenarios: HashSet<Arc<str>>,
    /// Those that the author of the expectations declared: they may be absent.
    pub(super) declared_marks: HashSet<String>,
    pub(super) declared_scenarios: HashSet<String>,
}

/// What a clause needs.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) mentions: Mentions,
    /// What its window names, of that.
    window: Mentions,
    /// It holds if there is nothing that it is about.
    pub(super) holds_of_nothing: bool,
}

/// A name that nothing in the trace goes by.
#[derive(Debug)]
pub(super) struct Absent {
    /// Says so, with the nearest one.
    pub(super) told: String,
    /// How the author says that it may be absent.
    pub(super) declaration: String,
    pub(super) declared: bool,
}

impl Needs {
    pub(super) fn new(clause: &Clause, window: &Window) -> Self {
        let of_window = match window {
            Window::Whole => Mentions::default(),
            Window::Scenario(name) => {
                Mentions { scenarios: vec![Wanted::Name(name.clone())], ..Mentions::default() }
            }
            Window::Between { from, to, .. } => from.mentions().and(to.mentions()),
            Window::From { from, .. } => from.mentions(),
        };
        let mut mentions = of_window.clone();
        let mut add = |filter: &Filter| mentions = std::mem::take(&mut mentions).and(filter.mentions());
        match clause {
            Clause::Never(filter) | Clause::Count(filter, _) => add(filter),
            Clause::Sequence(steps) => steps.iter().for_each(|step| add(&step.filter)),
            Clause::Each { trigger, then, .. } => {
                std::iter::once(trigger).chain(then).for_each(|step| add(&step.filter));
            }
            Clause::KernelEntries { between, .. } => between.iter().for_each(&mut add),
            Clause::Coverage(_) | Clause::Device { .. } => {}
        }
        if let Clause::KernelEntries { between, .. } = clause {
            mentions.needs.insert(0, Capability::KernelEntries.into());
            mentions.needs.extend(between.as_ref().map(|_| Need::from(Capability::Processes)));
        }
        // What a device does has its cause recorded; what a handler does has one if handlers are known.
        let by_handler = |step: &Step| {
            let may_handle = step.filter.kinds().meets(Kinds::ACCESS.or(Kinds::HANDLER));
            step.caused_by.is_some() && may_handle
        };
        let handled = match clause {
            Clause::Sequence(steps) => steps.iter().any(by_handler),
            Clause::Each { then, .. } => then.iter().any(by_handler),
            _ => false,
        };
        if handled {
            mentions.needs.push(Need::HANDLERS);
        }
        let holds_of_nothing = match clause {
            Clause::Never(_) => true,
            Clause::Count(_, limits) => limits.low == 0,
            Clause::Each { if_any, .. } => *if_any,
            _ => false,
        };
        Self { mentions, window: of_window, holds_of_nothing }
    }

    /// Why the trace can't tell, if it can't, and what would make it.
    pub(super) fn untold(&self, capabilities: &Capabilities) -> Option<String> {
        let need = self.mentions.needs.iter().find(|need| !need.is_told(capabilities))?;
        let incomplete = need.any().find(|missing| capabilities.of(*missing) == Knowledge::Incomplete);
        Some(match incomplete {
            Some(missing) => {
                format!(
                    "this guest told more than the trace keeps of {}: see the trace's warnings",
                    missing.about()
                )
            }
            None => {
                let missing = need.capability;
                format!("this guest doesn't tell {}; {}", missing.about(), missing.how_to_get())
            }
        })
    }

    /// The first mark or scenario that it names and that didn't occur.
    pub(super) fn absent(&self, names: &FreeNames) -> Option<Absent> {
        absent(&self.mentions, names)
    }

    /// The same of its window.
    pub(super) fn absent_of_window(&self, names: &FreeNames) -> Option<Absent> {
        absent(&self.window, names)
    }

    /// Whether it names code, whose names may come later than its accesses.
    pub(super) fn names_code(&self) -> bool {
        let Mentions { functions, files, needs, .. } = &self.mentions;
        let by_names =
            |need: &Need| need.any().any(|of| matches!(of, Capability::Functions | Capability::Stacks));
        !functions.is_empty() || !files.is_empty() || needs.iter().any(by_names)
    }
}

fn absent(mentions: &Mentions, names: &FreeNames) -> Option<Absent> {
    let find = |wanted: &[Wanted], known: &HashSet<Arc<str>>, declared: &HashSet<String>, what: &str| {
        let missing = wanted.iter().filter(|wanted| !known.iter().any(|known| wanted.fits(known)));
        let absent = missing.map(|wanted| {
            let mut near: Vec<_> = known.iter().map(|known| &**known).collect();
            near.sort_unstable();
            let hint = did_you_mean(wanted.text(), near);
            let told = format!("the trace has no {what} {:?}{hint}", wanted.text());
            let declaration = format!("{what} {:?}", wanted.text());
            Absent { told, declaration, declared: declared.contains(wanted.text()) }
        });
        absent.min_by_key(|absent| absent.declared)
    };
    let marks = find(&mentions.marks, &names.marks, &names.declared_marks, "mark");
    let scenarios = find(&mentions.scenarios, &names.scenarios, &names.declared_scenarios, "scenario");
    marks.into_iter().chain(scenarios).min_by_key(|absent| absent.declared)
}
