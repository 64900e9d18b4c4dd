//! Runs of interrupt handlers: between the records that announce their beginnings and ends, or, where a guest announces none,
//! as call stacks show them.
//!
//! A handler that nobody announces runs from an access that it makes until its vCPU makes another one: of a task, or of a
//! handler that interrupted something else. Two runs that interrupt the same instruction, with nothing between them, are
//! taken for one.

use std::collections::BTreeMap;

use crate::code::{Callers, Context};
use crate::view::{AccessView, View};

/// So many vCPUs are followed, and so many handlers that interrupt each other on each.
const MOST: usize = 256;
const DEEPEST: usize = 16;

/// Handlers that run on each vCPU, the innermost last, each with what a lint remembers of it.
#[derive(Default)]
pub(super) struct Runs<T>(BTreeMap<Option<u8>, Vec<Run<T>>>);

/// A handler that runs.
pub(super) struct Run<T> {
    begun: Begun,
    /// The record that begins it.
    pub(super) since: u64,
    pub(super) seen: T,
}

/// How a run is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// It was announced, by its vector.
    Announced(u8),
    /// By its stack, which goes on at this address after it.
    Inferred(Option<u64>),
}

impl<T> Run<T> {
    /// Whether it may answer a message with this vector; `None` if only what it does tells that.
    pub(super) fn answers(&self, message: u8) -> Option<bool> {
        match self.begun {
            Begun::Announced(vector) => Some(vector == message),
            Begun::Inferred(_) => None,
        }
    }
}

impl<T: Default> Runs<T> {
    /// A handler begins.
    pub(super) fn enter(&mut self, vcpu: Option<u8>, vector: u8, since: u64) {
        self.begin(vcpu, Begun::Announced(vector), since);
    }

    fn begin(&mut self, vcpu: Option<u8>, begun: Begun, since: u64) {
        if self.0.len() >= MOST && !self.0.contains_key(&vcpu) {
            return;
        }
        let stack = self.0.entry(vcpu).or_default();
        if stack.len() >= DEEPEST {
            stack.clear();
        }
        stack.push(Run { begun, since, seen: T::default() });
    }

    /// The handler of `vector` ends, if that is the innermost. If it isn't, the guest announces something else than what
    /// it does, and nothing is known of its handlers.
    pub(super) fn exit(&mut self, vcpu: Option<u8>, vector: u8) -> Option<Run<T>> {
        let stack = self.0.get_mut(&vcpu)?;
        let run = stack.pop().filter(|run| run.begun == Begun::Announced(vector));
        if run.is_none() {
            stack.clear();
        }
        run
    }

    /// Takes an access; the run before it that nobody announced, and that has ended by now. One that others go on with, which
    /// a thread or a softirq may do, says nothing.
    pub(super) fn step(&mut self, access: &AccessView<'_>) -> Option<Run<T>> {
        let view = access.view;
        let last = self.0.get(&view.vcpu).and_then(|stack| stack.last()).map(|run| run.begun);
        let own = inferred(access);
        match (last, own) {
            (Some(Begun::Announced(_)), _) | (None, None) => None,
            (Some(last), Some(own)) if last == own => None,
            (last, own) => {
                let ended = last.and_then(|_| self.0.remove(&view.vcpu)?.pop());
                if let Some(own) = own {
                    self.begin(view.vcpu, own, view.seq);
                }
                let is_over = access.cpl == 3 || own.is_some() || view.context == Some(Context::Task);
                ended.filter(|_| is_over)
            }
        }
    }

    /// The handler that certainly made this access, if one did.
    pub(super) fn of(&mut self, access: &AccessView<'_>) -> Option<&mut Run<T>> {
        if access.coalesced || !is_in_handler(access) {
            return None;
        }
        self.0.get_mut(&access.view.vcpu)?.last_mut()
    }

    /// All that run.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Run<T>> {
        self.0.values_mut().flatten()
    }

    /// Records are missing: which handlers run isn't known.
    pub(super) fn lose(&mut self) {
        self.0.clear();
    }
}

fn is_in_handler(access: &AccessView<'_>) -> bool {
    access.view.in_handler() && !access.view.uncertain.handler && access.cpl == 0
}

/// The run of a hard handler that this access shows, by its stack.
fn inferred(access: &AccessView<'_>) -> Option<Begun> {
    let view: &View = access.view;
    let hard = view.context == Some(Context::HardHandler) && !access.coalesced && is_in_handler(access);
    let callers = view.callers().filter(|callers| hard && callers.context() == Some(Context::HardHandler))?;
    Some(Begun::Inferred(Callers::interrupted(callers)))
}
