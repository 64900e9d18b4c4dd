//! Runs of interrupt handlers, between the records that announce their beginnings and ends.

use std::collections::BTreeMap;

use crate::view::AccessView;

/// So many vCPUs are followed, and so many handlers that interrupt each other on each.
const MOST: usize = 256;
const DEEPEST: usize = 16;

/// Handlers that run on each vCPU, the innermost last, each with what a lint remembers of it.
#[derive(Default)]
pub(super) struct Runs<T>(BTreeMap<Option<u8>, Vec<Run<T>>>);

/// A handler that runs.
pub(super) struct Run<T> {
    pub(super) vector: u8,
    /// The record that begins it.
    pub(super) since: u64,
    pub(super) seen: T,
}

impl<T: Default> Runs<T> {
    /// A handler begins.
    pub(super) fn enter(&mut self, vcpu: Option<u8>, vector: u8, since: u64) {
        if self.0.len() >= MOST && !self.0.contains_key(&vcpu) {
            return;
        }
        let stack = self.0.entry(vcpu).or_default();
        if stack.len() >= DEEPEST {
            stack.clear();
        }
        stack.push(Run { vector, since, seen: T::default() });
    }

    /// The handler of `vector` ends, if that is the innermost. If it isn't, the guest announces something else than what
    /// it does, and nothing is known of its handlers.
    pub(super) fn exit(&mut self, vcpu: Option<u8>, vector: u8) -> Option<Run<T>> {
        let stack = self.0.get_mut(&vcpu)?;
        let run = stack.pop().filter(|run| run.vector == vector);
        if run.is_none() {
            stack.clear();
        }
        run
    }

    /// The handler that certainly made this access, if one did.
    pub(super) fn of(&mut self, access: &AccessView<'_>) -> Option<&mut Run<T>> {
        let announced = access.view.in_handler() && !access.view.uncertain.handler && access.cpl == 0;
        if access.coalesced || !announced {
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
