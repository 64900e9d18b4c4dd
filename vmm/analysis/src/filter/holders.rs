//! The kinds of records that can have a property.

use super::expr::Term;
use super::kind::Kinds;

/// Accesses.
const ACCESS: &[&str] = &["access"];
/// Records of an instruction.
const INSTRUCTION: &[&str] = &["access", "not-emulated"];
/// Records about a mapping.
const MAPPED: &[&str] = &["access", "not-emulated", "map", "unmap"];
/// Records of a place in a device.
const PLACED: &[&str] = &["access", "not-emulated", "change", "doorbell"];
/// Those of them that have a value.
const VALUED: &[&str] = &["access", "change", "doorbell"];
/// What a guest counts.
const COUNTED: &[&str] = &["kernel-entries", "page-fault"];
/// Records that are about a device.
const OF_DEVICE: &[&str] = &[
    "access",
    "not-emulated",
    "change",
    "doorbell",
    "busy",
    "msi",
    "interrupt-lost",
    "interrupt-masked",
    "intx",
    "address-cut",
    "dma",
    "route",
    "backing",
    "pages-written",
];

/// Each property with the kinds that can have it, none for all of them. A kind too many hides a contradiction;
/// one too few refuses a filter that has a meaning.
const HOLDERS: &[(&str, &[&[&str]])] = &[
    ("seq", &[]),
    ("time", &[]),
    ("host", &[]),
    ("vcpu", &[]),
    ("scenario", &[]),
    (
        "cause",
        &[
            ACCESS,
            &["isr", "change", "busy", "msi", "interrupt-lost", "interrupt-masked", "intx", "dma"],
            &["address-cut", "route", "backing"],
        ],
    ),
    ("cpl", &[INSTRUCTION]),
    ("path", &[MAPPED]),
    ("announced", &[INSTRUCTION]),
    ("function", &[INSTRUCTION]),
    ("file", &[INSTRUCTION]),
    ("line", &[INSTRUCTION]),
    ("instruction", &[INSTRUCTION]),
    ("rip", &[INSTRUCTION, COUNTED]),
    ("gva", &[INSTRUCTION]),
    ("gpa", &[INSTRUCTION]),
    ("cr3", &[INSTRUCTION]),
    ("port", &[ACCESS]),
    ("pat", &[INSTRUCTION]),
    ("memtype", &[INSTRUCTION]),
    ("uncached", &[INSTRUCTION]),
    ("user-page", &[INSTRUCTION]),
    ("offset", &[PLACED]),
    ("width", &[ACCESS]),
    ("value", &[VALUED, COUNTED]),
    ("old", &[&["change"]]),
    ("outcome", &[ACCESS, &["dma"]]),
    ("rmw", &[ACCESS]),
    ("coalesced", &[ACCESS]),
    ("instance", &[ACCESS]),
    ("fragment", &[ACCESS]),
    ("service", &[ACCESS]),
    ("handler", &[ACCESS]),
    ("index", &[&["msi", "interrupt-lost", "interrupt-masked"]]),
    ("why", &[&["interrupt-lost"]]),
    ("vector", &[&["msi", "isr", "isr-exit"]]),
    ("delivered", &[&["msi"]]),
    ("asserted", &[&["intx"]]),
    ("gsi", &[&["intx"]]),
    ("address", &[COUNTED, &["address-cut", "dma", "msi", "map", "unmap", "route"]]),
    ("length", &[&["dma", "map", "unmap"]]),
    ("to-memory", &[&["dma"]]),
    ("error-code", &[COUNTED]),
    ("mapped-by", &[MAPPED]),
    ("call", &[MAPPED]),
    ("on-fault", &[MAPPED]),
    ("text", &[&["mark", "warning", "scenario-end"]]),
    ("passed", &[&["scenario-end"]]),
];

/// The kinds of records that can fulfil a condition.
pub(super) fn holders(term: &Term) -> Kinds {
    match term {
        Term::Kind(kinds) => *kinds,
        Term::At(_) => union(&[PLACED]),
        Term::Register { .. } => union(&[VALUED]),
        Term::Device(_) => union(&[OF_DEVICE]),
        Term::Field { field, .. } => holders_of(field.name).unwrap_or(Kinds::ALL),
    }
}

/// The kinds of records that can have the property of this name, if the table has it.
pub(super) fn holders_of(property: &str) -> Option<Kinds> {
    let (_, lists) = HOLDERS.iter().find(|(name, _)| *name == property)?;
    Some(if lists.is_empty() { Kinds::ALL } else { union(lists) })
}

fn union(lists: &[&[&str]]) -> Kinds {
    let named = lists.iter().copied().flatten().filter_map(|name| Kinds::named(name));
    named.fold(Kinds::NONE, Kinds::or)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{FIELDS, KINDS};

    #[test]
    fn every_property_is_in_the_table_with_kinds_that_exist() {
        for field in FIELDS {
            assert!(holders_of(field.name).is_some(), "{}", field.name);
        }
        assert_eq!(HOLDERS.len(), FIELDS.len());
        for name in HOLDERS.iter().flat_map(|(_, lists)| lists.iter().copied().flatten()).chain(OF_DEVICE) {
            assert!(KINDS.iter().any(|(known, ..)| known == name), "{name}");
        }
    }
}
