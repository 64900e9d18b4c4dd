//! The kinds of records that can have a property.

use barscope_trace::event::Role;

use super::expr::Term;
use super::kind::Kinds;

/// Accesses.
const ACCESS: &[&str] = &["access"];
/// Records of an instruction.
const INSTRUCTION: &[&str] = &["access", "not-emulated"];
/// Records of an address that is mapped.
const WALKED: &[&str] = &["access", "not-emulated", "page-walk"];
/// Records about a mapping.
const MAPPED: &[&str] = &["access", "not-emulated", "page-walk", "map", "unmap"];
/// Records of a place in a device.
const PLACED: &[&str] = &["access", "not-emulated", "page-walk", "change", "doorbell"];
/// Those of them that have a value.
const VALUED: &[&str] = &["access", "change", "doorbell"];
/// What a guest counts.
const COUNTED: &[&str] = &["kernel-entries", "page-fault"];
/// Each property that isn't just a field of a record with the kinds that can have it, none for all of them; the cause
/// aside. A kind too many hides a contradiction;
/// one too few refuses a filter that has a meaning.
const HOLDERS: &[(&str, &[&[&str]])] = &[
    ("seq", &[]),
    ("time", &[]),
    ("host", &[]),
    ("vcpu", &[]),
    ("scenario", &[]),
    ("cpl", &[WALKED]),
    ("path", &[MAPPED]),
    ("announced", &[WALKED]),
    ("function", &[INSTRUCTION]),
    ("file", &[INSTRUCTION]),
    ("line", &[INSTRUCTION]),
    ("stack", &[INSTRUCTION]),
    ("syscall", &[INSTRUCTION, &["kernel-entries"]]),
    ("process", &[WALKED, COUNTED, &["mark"]]),
    ("pid", &[WALKED, COUNTED, &["mark"]]),
    ("instruction", &[INSTRUCTION]),
    ("rip", &[INSTRUCTION, COUNTED]),
    ("gva", &[WALKED]),
    ("gpa", &[WALKED]),
    ("cr3", &[WALKED]),
    ("port", &[ACCESS]),
    ("pat", &[WALKED]),
    ("memtype", &[WALKED]),
    ("uncached", &[WALKED]),
    ("user-page", &[WALKED]),
    ("offset", &[PLACED]),
    ("width", &[ACCESS]),
    ("value", &[VALUED, COUNTED]),
    ("outcome", &[ACCESS, &["dma"]]),
    ("rmw", &[ACCESS]),
    ("coalesced", &[ACCESS]),
    ("instance", &[ACCESS]),
    ("fragment", &[ACCESS]),
    ("service", &[ACCESS]),
    ("handler", &[ACCESS]),
    ("context", &[ACCESS]),
    ("vector", &[&["msi", "isr", "isr-exit"]]),
    ("address", &[COUNTED, &["address-cut", "dma", "msi", "map", "unmap", "route"]]),
    ("length", &[&["dma", "map", "unmap"]]),
    ("mapped-by", &[MAPPED]),
    ("call", &[MAPPED]),
    ("on-fault", &[MAPPED]),
    ("text", &[&["mark", "page-walk", "console", "warning", "scenario-end"]]),
];

/// The kinds of records that can fulfil a condition.
pub(super) fn holders(term: &Term) -> Kinds {
    match term {
        Term::Kind(kinds) => *kinds,
        Term::At(_) => union(&[PLACED]),
        Term::Register { .. } => union(&[VALUED]),
        Term::Device(_) => Kinds::in_table(|kind| kind.of_device || kind.has(Role::Route)),
        Term::Field { field, .. } => holders_of(field.name),
    }
}

/// The kinds of records that can have the property of this name.
pub(super) fn holders_of(property: &str) -> Kinds {
    if property == "cause" {
        let handlers = Kinds::named("isr").unwrap_or(Kinds::NONE);
        return Kinds::in_table(|kind| kind.has(Role::Cause)).or(union(&[ACCESS])).or(handlers);
    }
    match HOLDERS.iter().find(|(name, _)| *name == property) {
        Some((_, [])) => Kinds::ALL,
        Some((_, lists)) => union(lists),
        None => Kinds::in_table(|kind| kind.fields.iter().any(|field| field.property == Some(property))),
    }
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
    fn every_property_has_holders_that_exist() {
        let stated = |name: &str| HOLDERS.iter().any(|(known, _)| *known == name);
        for field in FIELDS.iter() {
            assert_ne!(holders_of(field.name), Kinds::NONE, "{}", field.name);
            let alone = !field.is_recorded() && field.name != "cause";
            assert_eq!(stated(field.name), alone, "{}", field.name);
        }
        for name in HOLDERS.iter().flat_map(|(_, lists)| lists.iter().copied().flatten()) {
            assert!(KINDS.iter().any(|(known, ..)| known == name), "{name}");
        }
    }
}
