//! Texts as records refer to them.

use barscope_trace::definition::Definition;
use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer};
use rustc_hash::FxHashMap;

use crate::budget::{Account, Kind};

/// The texts that are defined.
pub struct Texts {
    writer: Writer,
    ids: FxHashMap<String, Id>,
    account: Account,
}

impl Texts {
    /// None yet, of this kind.
    pub fn new(writer: Writer, kind: Kind) -> Self {
        Self { writer, ids: FxHashMap::default(), account: Account::new(kind) }
    }

    /// What is spent of the budget.
    pub(super) fn account(&mut self) -> &mut Account {
        &mut self.account
    }

    /// The id of a text; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn id(&mut self, text: &str) -> Result<Id, WriteError> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        let definition = Definition::Text { text: text.to_owned() };
        let Some(id) = self.account.define(&self.writer, &definition, &[])? else { return Ok(0) };
        self.ids.insert(text.to_owned(), id);
        Ok(id)
    }
}
