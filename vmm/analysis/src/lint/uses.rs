//! Mappings of one page that are there at once: by which of them it is used, and what lints compare of them.
//!
//! A mapping that a guest announces is there until it undoes it. One that nobody announces is there if it is used both before
//! and after another one: of the other one that is known, then.

use std::hash::Hash;

use barscope_trace::event::Id;
use rustc_hash::FxHashMap;

use super::touch::Touch;

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;
/// So many pages are followed.
const PAGES: usize = 4096;
/// So many mappings of one page.
const MAPPINGS: usize = 16;

/// The address space of a mapping, which is 0 for all that have the kernel's part in common, and its virtual page.
type At = (u64, u64);

/// Pages, and the mappings that they are used by.
pub(super) struct Uses<P, T>(FxHashMap<P, Vec<Use<T>>>);

/// A mapping of a page that was used.
#[derive(Clone, Copy)]
pub(super) struct Use<T> {
    at: At,
    /// What of it is compared.
    pub(super) what: T,
    /// Its definition, if the guest announced it.
    announced: Option<Id>,
    first: u64,
    /// The last record that used it.
    pub(super) last: u64,
}

impl<P, T> Default for Uses<P, T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<P: Eq + Hash, T: Copy + PartialEq> Uses<P, T> {
    /// Takes an access to a page; the mapping that makes it and another one that is there at once, if they differ.
    pub(super) fn take(
        &mut self,
        page: P,
        touch: &Touch<'_>,
        what: T,
        differ: impl Fn(T, T) -> bool,
    ) -> Option<(Use<T>, Use<T>)> {
        let walk = touch.access.walk()?;
        let at = (if walk.in_program() { walk.cr3 } else { 0 }, touch.access.gva()? / PAGE);
        if self.0.len() >= PAGES && !self.0.contains_key(&page) {
            return None;
        }
        let (announced, last) = (walk.mapping.filter(|_| walk.announced), touch.access.view.seq);
        let all = self.0.entry(page).or_default();
        // Another one that was at the same address before is gone.
        let before = all.iter().position(|it| it.at == at).map(|position| all.remove(position));
        let first = before.filter(|it| it.what == what).map_or(last, |it| it.first);
        let own = Use { at, what, announced, first, last };
        let is_there = |other: &Use<T>| other.announced.is_some() || own.first < other.last;
        let other = all.iter().rev().find(|other| is_there(other) && differ(other.what, what)).copied();
        if all.len() >= MAPPINGS {
            all.remove(0);
        }
        all.push(own);
        Some((own, other?))
    }

    /// A mapping is undone.
    pub(super) fn undo(&mut self, mapping: Id) {
        self.0.values_mut().for_each(|all| all.retain(|it| it.announced != Some(mapping)));
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
