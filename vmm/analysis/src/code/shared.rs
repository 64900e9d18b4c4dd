//! What was resolved of definitions, by their ids.

use std::sync::Arc;

use barscope_trace::event::Id;

/// Definitions in use by their ids, shared by all views. Ids are dense, and only those that are defined are
/// ever held.
pub(crate) struct Shared<T: ?Sized>(Vec<Option<Arc<T>>>);

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized> Shared<T> {
    pub(crate) fn get(&mut self, id: Id, make: impl FnOnce() -> Option<Arc<T>>) -> Option<Arc<T>> {
        self.borrow(id, make).cloned()
    }

    pub(crate) fn borrow(&mut self, id: Id, make: impl FnOnce() -> Option<Arc<T>>) -> Option<&Arc<T>> {
        let at = id as usize;
        if self.0.get(at).is_none_or(Option::is_none) {
            self.insert(at, make()?);
        }
        self.0.get(at)?.as_ref()
    }

    #[cold]
    fn insert(&mut self, at: usize, made: Arc<T>) {
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(made);
    }
}
