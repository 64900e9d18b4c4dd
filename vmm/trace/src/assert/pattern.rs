//! Patterns: filters over events, built up condition by condition.

mod conditions;
mod kinds;

use std::fmt;
use std::sync::Arc;

pub use kinds::{
    access, any_access, busy, change, dma, interrupt_lost, interrupt_masked, intx, map, mark, msi,
    not_emulated, page_fault, read, unmap, write,
};

use device_model::Region;

use super::target::Target;
use crate::definition::Function;
use crate::definitions::Definitions;
use crate::view::{AccessView, Place, View, What};

/// What an event has to be like. All conditions have to hold.
#[derive(Clone)]
pub struct Pattern {
    conditions: Vec<Condition>,
    /// Places, fields and a device that have to exist in the trace.
    targets: Vec<Target>,
    fields: Vec<String>,
    device: Option<String>,
    /// It is about accesses, and not about something else that happens.
    of_access: bool,
}

#[derive(Clone)]
struct Condition {
    /// What it asks for.
    text: String,
    /// `Err` says what there is instead.
    test: Arc<Test>,
}

type Test = dyn Fn(&View) -> Result<(), String> + Send + Sync;

impl Pattern {
    fn kind(text: &str, test: impl Fn(&What) -> bool + Send + Sync + 'static) -> Self {
        let empty = Self {
            conditions: Vec::new(),
            targets: Vec::new(),
            fields: Vec::new(),
            device: None,
            of_access: false,
        };
        empty.when(text, move |view| {
            test(&view.what).then_some(()).ok_or_else(|| "is something else".to_owned())
        })
    }

    fn access(text: &str, test: impl Fn(&AccessView) -> bool + Send + Sync + 'static) -> Self {
        let kind = Self::kind(text, move |what| matches!(what, What::Access(access) if test(access)));
        Self { of_access: true, ..kind }
    }

    /// Any other condition. `text` says what it asks for; `test` gives `Err` with what there is instead.
    #[must_use]
    pub fn when(
        mut self,
        text: &str,
        test: impl Fn(&View) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Condition { text: text.to_owned(), test: Arc::new(test) });
        self
    }

    /// `name` has to be `expected`; `actual` tells what it is, if the event has such a thing.
    fn equal<T: PartialEq + fmt::Display + Send + Sync + 'static>(
        self,
        name: &'static str,
        expected: T,
        actual: impl Fn(&View) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        self.when(&format!("{name} {expected}"), move |view| match actual(view) {
            Some(actual) if actual == expected => Ok(()),
            Some(actual) => Err(format!("{name} is {actual}, not {expected}")),
            None => Err(format!("{name} is unknown")),
        })
    }

    fn at(mut self, target: &str) -> Self {
        let text = target;
        let target = Target::new(text);
        self.targets.push(target.clone());
        self.when(text, move |view| match place(view) {
            Some(place) if target.matches(place) => Ok(()),
            Some(place) => Err(format!(
                "is at {}",
                place.register_name().map_or(place.to_string(), |name| format!("{}.{name}", place.region))
            )),
            None => Err("is at no place in a device".to_owned()),
        })
    }

    /// Whether accesses to a region may be like this.
    pub(super) fn asks_about(&self, region: Region) -> bool {
        self.of_access && self.targets.iter().all(|target| target.is_in(region))
    }

    /// Whether all conditions hold.
    pub fn matches(&self, view: &View) -> bool {
        self.conditions.iter().all(|condition| (condition.test)(view).is_ok())
    }

    /// How many conditions hold, and what is amiss with the others.
    pub(super) fn compare(&self, view: &View) -> (usize, Vec<String>) {
        let misses: Vec<_> =
            self.conditions.iter().filter_map(|condition| (condition.test)(view).err()).collect();
        (self.conditions.len() - misses.len(), misses)
    }

    /// Whether what it names exists. The error says what doesn't.
    pub(super) fn check(&self, definitions: &Definitions) -> Result<(), String> {
        let accepted =
            |function: &Function| self.device.as_ref().is_none_or(|name| is_called(function, name));
        if !definitions.functions().any(|(_, function)| accepted(function))
            && let Some(name) = &self.device
        {
            return Err(format!("the trace has no device {name}"));
        }
        match self.targets.first() {
            Some(target) => target.check(definitions, accepted, &self.fields),
            None if self.fields.is_empty() => Ok(()),
            None => Err(format!("no register is named that could have a field {}", self.fields[0])),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions.iter().enumerate() {
            let separator = match at {
                0 => "",
                1 if !self.targets.is_empty() => " ",
                _ => ", ",
            };
            write!(f, "{separator}{}", condition.text)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

fn is_called(function: &Function, name: &str) -> bool {
    function.name == name || function.bdf.to_string() == name
}

fn place(view: &View) -> Option<&Place> {
    match &view.what {
        What::Access(access) => access.place.as_ref(),
        What::Change { place, .. } => Some(place),
        _ => None,
    }
}
