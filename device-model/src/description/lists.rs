//! What lies in configuration space behind the header: lists of capabilities, and bytes outside them.

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::table::{Table, kind};
use super::typed;
use crate::bad_header::BadHeader;
use crate::capability::{Capability, Placed};
use crate::diagnostic::{Diagnostic, Span};
use crate::extended::ExtendedCapability;
use crate::header::ConfigHeader;
use crate::masked_bytes::PrivateBytes;

/// Where in configuration space a member of a list lies.
const OFFSET: &str = "offset";
/// The most members of a list: each has 4 bytes of configuration space or more.
const LIST_MAX: usize = 1024;

/// The lists of a file, and where their members stand.
pub(super) struct Lists {
    pub(super) capabilities: Vec<Placed<Capability>>,
    pub(super) extended: Vec<Placed<ExtendedCapability>>,
    pub(super) private: Vec<PrivateBytes>,
    capability_places: Vec<Place>,
    extended_places: Vec<Place>,
    private_places: Vec<Place>,
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Place {
    /// What it is.
    itself: Span,
    /// Its offset, or itself if it has none.
    offset: Span,
}

impl Place {
    fn new(itself: Span, entries: &DeTable<'_>) -> Self {
        Self { itself, offset: entries.get(OFFSET).map_or(itself, |value| value.span().into()) }
    }
}

impl Lists {
    /// # Errors
    /// A member that can't be read.
    pub(super) fn read(file: &Table<'_>) -> Result<Self, Diagnostic> {
        let (capabilities, capability_places) = listed(file, "capability")?;
        let (extended, extended_places) = listed(file, "extended_capability")?;
        let (private, private_places) = private(file)?;
        Ok(Self { capabilities, extended, private, capability_places, extended_places, private_places })
    }

    /// Where MSI-X stands.
    pub(super) fn msix(&self) -> Option<Span> {
        let is_msix = |placed: &Placed<Capability>| matches!(placed.capability, Capability::Msix(_));
        Some(self.capability_places[self.capabilities.iter().position(is_msix)?].itself)
    }

    /// The member that makes a header with these lists impossible: the first with which it is. `None` if the header is
    /// impossible without them, or not at all.
    pub(super) fn fault(&self, header: &ConfigHeader) -> Option<Diagnostic> {
        let mut part = ConfigHeader {
            capabilities: Vec::new(),
            extended_capabilities: Vec::new(),
            private: Vec::new(),
            ..header.clone()
        };
        part.check().ok()?;
        for (one, place) in self.private.iter().zip(&self.private_places) {
            part.private.push(one.clone());
            if let Err(bad) = part.check() {
                return Some(place.blamed(&bad));
            }
        }
        for (one, place) in self.capabilities.iter().zip(&self.capability_places) {
            part.capabilities.push(one.clone());
            if let Err(bad) = part.check() {
                return Some(place.blamed(&bad));
            }
        }
        for (one, place) in self.extended.iter().zip(&self.extended_places) {
            part.extended_capabilities.push(one.clone());
            if let Err(bad) = part.check() {
                return Some(place.blamed(&bad));
            }
        }
        None
    }
}

impl Place {
    fn blamed(&self, bad: &BadHeader) -> Diagnostic {
        let of_offset = matches!(
            bad,
            BadHeader::Outside { .. } | BadHeader::Overlap { .. } | BadHeader::FirstExtended { .. }
        );
        Diagnostic::new(if of_offset { self.offset } else { self.itself }, bad.to_string())
    }
}

/// The members of a list, each a table.
fn members<'a>(file: &Table<'a>, key: &'static str) -> Result<Vec<(Span, &'a DeTable<'a>)>, Diagnostic> {
    let list = file.list(key)?;
    if let Some(more) = list.get(LIST_MAX) {
        let message = format!("configuration space has room for fewer than {LIST_MAX} of these");
        return Err(Diagnostic::new(more.span().into(), message));
    }
    let members = list.iter().map(|value| match value.get_ref() {
        DeValue::Table(entries) => Ok((value.span().into(), entries)),
        other => {
            let message = format!("{key} takes tables, not {}, as in: [[{key}]]", kind(other));
            Err(Diagnostic::new(value.span().into(), message))
        }
    });
    members.collect()
}

/// Capabilities, each a table with its kind as a key, and its offset if the device cares.
fn listed<T: DeserializeOwned>(
    file: &Table<'_>,
    key: &'static str,
) -> Result<(Vec<Placed<T>>, Vec<Place>), Diagnostic> {
    let (mut found, mut places) = (Vec::new(), Vec::new());
    for (span, entries) in members(file, key)? {
        let kinds: Vec<_> = entries.keys().filter(|key| &**key.get_ref() != OFFSET).collect();
        let place = match kinds[..] {
            [kind] => kind.span().into(),
            [] => {
                let message = "a capability needs its kind, as in: msi = { vectors = 1 }";
                return Err(Diagnostic::new(span, message));
            }
            [_, second, ..] => {
                let message = format!("a capability has one kind; begin another one with [[{key}]]");
                return Err(Diagnostic::new(second.span().into(), message));
            }
        };
        let capability = typed::read_some(span, entries, |key| key != OFFSET)?;
        found.push(Placed { offset: offset(entries)?, capability });
        places.push(Place::new(place, entries));
    }
    Ok((found, places))
}

/// Bytes outside the header and all capabilities.
fn private(file: &Table<'_>) -> Result<(Vec<PrivateBytes>, Vec<Place>), Diagnostic> {
    let (mut found, mut places) = (Vec::new(), Vec::new());
    for (span, entries) in members(file, "private")? {
        let lacks = || Diagnostic::new(span, "private bytes need offset, as in: offset = 0x40");
        let offset = offset(entries)?.ok_or_else(lacks)?;
        found.push(PrivateBytes { offset, content: typed::read_some(span, entries, |key| key != OFFSET)? });
        places.push(Place::new(span, entries));
    }
    Ok((found, places))
}

fn offset(entries: &DeTable<'_>) -> Result<Option<u16>, Diagnostic> {
    entries.get(OFFSET).map(typed::read).transpose()
}
