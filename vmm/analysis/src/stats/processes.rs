//! For whom accesses are made.

use barscope_trace::Definitions;
use barscope_trace::event::{AccessEvent, Id};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Accesses, Table};
use crate::code::Codes;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProcessName {
    /// Its command; `None` for what no known process made.
    pub command: Option<String>,
    /// Its number.
    pub pid: Option<u64>,
}

/// Counts accesses by process. None is known of a guest that tells nothing of them.
#[derive(Default)]
pub(super) struct Processes {
    /// By call stack, walk and whether it is of ring 3: the row.
    known: FxHashMap<(Id, Id, bool), usize>,
    rows: Vec<(ProcessName, Accesses)>,
}

impl Processes {
    /// Where accesses of the process are counted that made this one.
    pub(super) fn accesses(
        &mut self,
        definitions: &Definitions,
        codes: &mut Codes,
        access: &AccessEvent,
    ) -> &mut Accesses {
        let key = (access.stack, access.walk, access.cpl == 3);
        let row = match self.known.get(&key) {
            Some(row) => *row,
            None => {
                let row = self.find(definitions, codes, access);
                // Whatever ids a damaged record has, so many at most are kept.
                if definitions.stack(access.stack).is_some() || definitions.walk(access.walk).is_some() {
                    self.known.insert(key, row);
                }
                row
            }
        };
        &mut self.rows[row].1
    }

    fn find(&mut self, definitions: &Definitions, codes: &mut Codes, access: &AccessEvent) -> usize {
        let callers = codes.callers(definitions, access.stack);
        let told = definitions.walk(access.walk).and_then(|walk| walk.process);
        let process = codes.process(definitions, callers.as_deref(), access.cpl, told);
        let name = ProcessName {
            command: process.as_ref().map(|process| process.name.clone()),
            pid: process.as_ref().map(|process| process.pid),
        };
        self.rows.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.rows.push((name, Accesses::default()));
            self.rows.len() - 1
        })
    }

    /// Accesses by process; nothing if none is known.
    pub(super) fn finish(self) -> Table<ProcessName, Accesses> {
        let mut table = Table::<ProcessName, Accesses>::default();
        if self.rows.iter().any(|(name, _)| name.pid.is_some()) {
            for (name, accesses) in self.rows {
                table.row(name).merge(&accesses);
            }
        }
        table
    }
}
