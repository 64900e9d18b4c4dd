//! Whether all that happened is in a trace, for results that are drawn from it.

use barscope_trace::{Capability, Damage, End, Stream};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::words;

/// How a trace ended, and what is missing from it.
#[derive(Clone, Debug, Default)]
pub struct Completeness {
    /// How it ended; `None` if it is still being written, or its writer was killed.
    pub end: Option<End>,
    /// How many events are missing.
    pub lost: u64,
    /// Parts of the file that can't be trusted.
    pub damage: Vec<Damage>,
    /// How many records and definitions were skipped because this program doesn't know their kinds.
    pub unknown_kinds: u64,
    /// What the guest told more of than the trace keeps.
    pub incomplete: Vec<Capability>,
}

impl Completeness {
    /// Of a trace that was read to its end.
    pub fn of(stream: &Stream) -> Self {
        Self {
            end: stream.info().end.cloned(),
            lost: stream.info().lost,
            damage: stream.info().damage.to_vec(),
            unknown_kinds: stream.info().unknown_kinds,
            incomplete: stream.info().capabilities.incomplete().collect(),
        }
    }

    /// Whether all is there.
    pub fn is_whole(&self) -> bool {
        self.notes().is_empty()
    }

    /// What a reader should know of it, a line each; nothing if all is there.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.damage.iter().map(|damage| format!("damaged trace: {damage}")).collect();
        if self.lost > 0 {
            let lost = words::counted(self.lost, "record is", "records are");
            notes.push(format!("{lost} lost: what is shown may lack a part"));
        }
        notes.extend(words::skipped(self.unknown_kinds));
        let about =
            |capability: &Capability| format!("not all is kept of {}: see the warnings", capability.about());
        notes.extend(self.incomplete.iter().map(about));
        notes.extend(words::early_end(self.end.as_ref()));
        notes
    }
}

impl Serialize for Completeness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Completeness", 6)?;
        object.serialize_field("status", self.end.as_ref().map_or("unfinished", End::name))?;
        object.serialize_field("reason", self.end.as_ref().map_or("", End::reason))?;
        object.serialize_field("lost", &self.lost)?;
        object.serialize_field("unknown_kinds", &self.unknown_kinds)?;
        let incomplete: Vec<_> = self.incomplete.iter().map(|capability| capability.name()).collect();
        object.serialize_field("incomplete", &incomplete)?;
        let damage: Vec<_> = self.damage.iter().map(ToString::to_string).collect();
        object.serialize_field("damage", &damage)?;
        object.end()
    }
}
