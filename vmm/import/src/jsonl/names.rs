//! Names of code, as records have them: at the end they are the trace's own, an image for each address space.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use barscope_trace::WriteError;
use barscope_trace::definition::{Entered, Image};
use serde_json::json;

use super::object::Object;
use crate::output::Output;

/// So many places are named; of more, the names are missing.
const PLACES_MAX: usize = 1 << 17;

/// Named places, by address space and address.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: BTreeMap<(u64, u64), String>,
}

impl Names {
    /// The function of the code at `address`, and what is inlined there, if they have names.
    pub(super) fn add<'a>(
        &mut self,
        space: u64,
        address: u64,
        own: &Object<'_>,
        inlined: impl Iterator<Item = Object<'a>>,
    ) {
        self.add_with_offset(space, address, own, inlined, own.hex("offset"));
    }

    /// The same of a caller, which is named by the instruction before the one that it goes on with, if that is a call.
    pub(super) fn add_caller<'a>(
        &mut self,
        space: u64,
        address: u64,
        how: Entered,
        own: &Object<'_>,
        inlined: impl Iterator<Item = Object<'a>>,
    ) {
        let behind = match how {
            Entered::Call | Entered::SystemCall { .. } => 1,
            Entered::Interrupt | Entered::Exception => 0,
        };
        let offset = own.hex("offset").map(|offset| offset.saturating_sub(behind));
        self.add_with_offset(space, address.wrapping_sub(behind), own, inlined, offset);
    }

    fn add_with_offset<'a>(
        &mut self,
        space: u64,
        address: u64,
        own: &Object<'_>,
        inlined: impl Iterator<Item = Object<'a>>,
        offset: Option<u64>,
    ) {
        let Some(function) = own.text("function") else { return };
        let full = self.places.len() >= PLACES_MAX;
        let Entry::Vacant(place) = self.places.entry((space, address)) else { return };
        if full {
            return;
        }
        let source = |of: &Object<'_>| (of.get("file").clone(), of.get("line").clone());
        let inlined = inlined.filter_map(|of| {
            let (file, line) = source(&of);
            Some(json!({ "function": of.text("function")?, "file": file, "line": line }))
        });
        let inlined: Vec<_> = inlined.collect();
        let (file, line) = source(own);
        let symbol = json!({
            "address": address,
            "function": function,
            "file": file,
            "line": line,
            "module": own.text("module"),
            "offset": offset,
            "inlined": inlined,
        });
        place.insert(symbol.to_string());
    }

    /// Writes them.
    pub(super) fn define(&mut self, output: &mut Output) -> Result<(), WriteError> {
        let places = std::mem::take(&mut self.places);
        let mut lines = String::new();
        let mut ahead = places.into_iter().peekable();
        while let Some(((space, _), line)) = ahead.next() {
            lines.push_str(&line);
            lines.push('\n');
            if ahead.peek().is_none_or(|((next, _), _)| *next != space) {
                let image = Image::new("names in JSON Lines", (space != 0).then_some(space));
                output.image(image, std::mem::take(&mut lines).as_bytes())?;
            }
        }
        Ok(())
    }
}
