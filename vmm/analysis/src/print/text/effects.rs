//! What devices did: gathered by the access that led to it, and printed below that.

use std::io::{self, Write};

use barscope_trace::Definitions;
use barscope_trace::event::{EventKind, RouteChange};

use super::{TextPrinter, prefix};
use crate::table::wrap;
use crate::view::{Place, View};
use crate::words;

/// Effects of one access that go on one line; why it was refused is one of them.
#[derive(Default)]
pub(super) struct Effects {
    words: Vec<String>,
    /// The first of them, or the access.
    first: Option<View>,
}

impl Effects {
    pub(super) fn new(first: View, words: String) -> Self {
        Self { words: vec![words], first: Some(first) }
    }

    /// The access that led to them.
    fn cause(&self) -> Option<u64> {
        let first = self.first.as_ref()?;
        if first.is_effect() { first.cause() } else { Some(first.seq) }
    }
}

/// A configuration register that firmware wrote: where BARs are stands at the top.
fn is_of_firmware(view: &View) -> bool {
    let in_configuration = view.place().is_some_and(Place::is_configuration);
    matches!(view.kind, EventKind::Change { cause: 0, .. }) && in_configuration
}

impl<W: Write> TextPrinter<W> {
    /// Takes what a device did.
    pub(super) fn effect(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        if let (EventKind::Route { change, .. }, Some(_), Some(route)) =
            (view.kind, view.function(), view.route())
        {
            self.setup.reroute(route, change == RouteChange::Added);
            // Until something was printed, the list of devices says where they are.
            let enumerating = !self.started || !self.scenarios.is_empty();
            let refused = change == RouteChange::Refused;
            if !self.selective && view.scenario.is_none() && enumerating && !refused {
                return Ok(());
            }
        }
        if self.stores_what_was_written(view) || (!self.selective && is_of_firmware(view)) {
            return Ok(());
        }
        let Some(words) = words::effect(view) else { return Ok(()) };
        self.selected += 1;
        let cause = view.cause();
        if cause.is_some() && self.effects.cause() == cause {
            self.effects.words.push(words);
            return Ok(());
        }
        self.settle(definitions)?;
        self.fold.forget();
        if self.last_access.as_ref().is_some_and(|last| Some(last.seq) == cause && last.configured) {
            self.print_setup()?;
        }
        self.effects = Effects::new(view.clone(), words);
        Ok(())
    }

    /// Prints the effects that were gathered: below their access if that was printed last.
    pub(super) fn print_effects(&mut self) -> io::Result<()> {
        if self.effects.first.is_none() {
            return Ok(());
        }
        let effects = std::mem::take(&mut self.effects);
        let cause = effects.cause();
        let (Some(first), mut words) = (effects.first, effects.words) else { return Ok(()) };
        let below = cause.is_some() && cause == self.last_printed;
        let head = if below {
            "      `- ".to_owned()
        } else {
            if let (Some(cause), Some(last)) = (cause, words.last_mut()) {
                *last += &format!(" (caused by {cause})");
            }
            self.last_printed = None;
            let device = first.whose().unwrap_or_else(|| "device".to_owned());
            format!("{}{device}  ", prefix(&first))
        };
        for line in wrap(&head, 9, &words, self.width) {
            self.line(line)?;
        }
        Ok(())
    }

    /// A register that holds what the access before wrote to it is no news.
    fn stores_what_was_written(&self, view: &View) -> bool {
        let (EventKind::Change { new, cause, .. }, Some(last)) = (view.kind, &self.last_access) else {
            return false;
        };
        let written = last.written.as_ref().filter(|_| last.seq == cause);
        written.is_some_and(|(place, value)| *value == new && place.as_ref() == view.place())
    }
}
