//! The places of capabilities and private bytes in configuration space.
//!
//! Those that a device places come first; the others take the lowest gap where they fit, in the order of their
//! list.

use std::ops::Range;

use super::ConfigHeader;
use crate::bad_header::BadHeader;
use crate::capability::{Capability, Layout, Placed};
use crate::config::ConfigSpace;
use crate::config::registers::header_registers;
use crate::extended::ExtendedCapability;
use crate::register::Register;

/// Offsets that capabilities may have: behind the header, where CONFIG_ADDRESS still reaches.
const CAPABILITIES: Range<usize> = 0x40..0x100;
/// Offsets that extended capabilities may have: where ECAM reaches alone.
const EXTENDED: Range<usize> = 0x100..0x1000;
const PRIVATE: Range<usize> = 0x40..0x1000;
const PRIVATE_NAME: &str = "private bytes";

/// A header whose capabilities have their offsets, in the order of their lists.
pub(crate) struct Laid<'a> {
    header: &'a ConfigHeader,
    capabilities: Vec<usize>,
    extended: Vec<usize>,
}

impl<'a> Laid<'a> {
    /// Checks each part, and gives it its place.
    pub(super) fn new(header: &'a ConfigHeader) -> Result<Self, BadHeader> {
        let mut taken = Taken(Vec::new());
        for private in &header.private {
            private.content.check(PRIVATE_NAME)?;
            taken.take(PRIVATE_NAME, private.offset.into(), private.content.len(), PRIVATE)?;
        }
        let standard: Vec<_> = listed(&header.capabilities, Capability::layout).collect();
        let extended: Vec<_> = listed(&header.extended_capabilities, ExtendedCapability::layout).collect();
        for list in [&standard, &extended] {
            for (index, (_, layout)) in list.iter().enumerate() {
                layout.check(&header.bars)?;
                if layout.is_unique() && list[..index].iter().any(|(_, other)| other.id() == layout.id()) {
                    return Err(BadHeader::Twice(layout.name()));
                }
            }
        }
        let mut first = extended.first().copied();
        if let Some((offset, layout)) = &mut first {
            let offset = *offset.get_or_insert(EXTENDED.start);
            if offset != EXTENDED.start {
                return Err(BadHeader::FirstExtended { what: layout.name(), offset });
            }
        }
        let extended: Vec<_> = first.into_iter().chain(extended.into_iter().skip(1)).collect();
        let capabilities = taken.place(&standard, CAPABILITIES)?;
        let extended = taken.place(&extended, EXTENDED)?;
        Ok(Self { header, capabilities, extended })
    }

    /// Capabilities with their offsets.
    pub(crate) fn capabilities(&self) -> impl Iterator<Item = (usize, &'a Capability)> {
        let capabilities = self.header.capabilities.iter().map(|placed| &placed.capability);
        self.capabilities.iter().copied().zip(capabilities)
    }

    fn extended(&self) -> impl Iterator<Item = (usize, &'a ExtendedCapability)> {
        let capabilities = self.header.extended_capabilities.iter().map(|placed| &placed.capability);
        self.extended.iter().copied().zip(capabilities)
    }

    /// Offsets of the bytes of each capability, and then of each extended one.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let standard = self.capabilities().map(|(at, capability)| at..at + capability.layout().length());
        standard.chain(self.extended().map(|(at, capability)| at..at + capability.layout().length()))
    }

    /// Registers of the header and of all capabilities by name, in ascending order of offset. Of several
    /// capabilities with one identifier, the second one's names end in `_2`.
    pub(crate) fn registers(&self) -> Vec<Register> {
        let mut found = header_registers().to_vec();
        let standard = self.capabilities().map(|(at, capability)| (at, capability.layout()));
        let extended = self.extended().map(|(at, capability)| (at, capability.layout()));
        for list in [standard.collect::<Vec<_>>(), extended.collect()] {
            for (index, (at, layout)) in list.iter().enumerate() {
                let before = list[..index].iter().filter(|(_, other)| other.id() == layout.id()).count();
                found.extend(layout.registers().into_iter().map(|mut register| {
                    register.offset += *at as u64;
                    if before > 0 {
                        register.name = format!("{}_{}", register.name, before + 1).into();
                    }
                    register
                }));
            }
        }
        found.sort_by_key(|register| register.offset);
        found
    }

    /// Lays out capabilities, their lists, and private bytes.
    pub(crate) fn define(&self, config: &mut ConfigSpace) {
        for private in &self.header.private {
            private.content.define(config, private.offset.into());
        }
        config.list_capabilities(self.capabilities().map(|(at, capability)| (at, capability.layout().id())));
        let heads =
            self.extended().map(|(at, capability)| (at, capability.layout().id(), capability.version()));
        config.list_extended_capabilities(heads);
        for (offset, capability) in self.capabilities() {
            capability.layout().define(config, offset);
        }
        for (offset, capability) in self.extended() {
            capability.layout().define(config, offset);
        }
    }
}

/// Capabilities as parts of configuration space, with the offsets that they ask for.
fn listed<T>(
    list: &[Placed<T>],
    layout: fn(&T) -> &dyn Layout,
) -> impl Iterator<Item = (Option<usize>, &dyn Layout)> {
    list.iter().map(move |placed| (placed.offset.map(usize::from), layout(&placed.capability)))
}

/// Parts that have their place: name, offset and length of each.
struct Taken(Vec<(&'static str, usize, usize)>);

impl Taken {
    /// Offsets for all of `list`, all of them in `range`.
    fn place(
        &mut self,
        list: &[(Option<usize>, &dyn Layout)],
        range: Range<usize>,
    ) -> Result<Vec<usize>, BadHeader> {
        for (offset, layout) in list {
            if let Some(offset) = *offset {
                let (what, length) = (layout.name(), layout.length());
                if !offset.is_multiple_of(4) {
                    return Err(outside(what, offset, length, range));
                }
                self.take(what, offset, length, range.clone())?;
            }
        }
        let mut offsets = Vec::new();
        for (offset, layout) in list {
            let (what, length) = (layout.name(), layout.length());
            let offset = match *offset {
                Some(offset) => offset,
                None => {
                    let mut gaps = range.clone().step_by(4);
                    let gap = gaps.find(|at| at + length <= range.end && self.at(*at, length).is_none());
                    let Range { start, end } = range;
                    let offset = gap.ok_or(BadHeader::Full { what, length, start, end })?;
                    self.0.push((what, offset, length));
                    offset
                }
            };
            offsets.push(offset);
        }
        Ok(offsets)
    }

    /// Takes a place.
    fn take(
        &mut self,
        what: &'static str,
        offset: usize,
        length: usize,
        range: Range<usize>,
    ) -> Result<(), BadHeader> {
        if offset < range.start || offset + length > range.end {
            return Err(outside(what, offset, length, range));
        }
        if let Some((other, other_offset, other_length)) = self.at(offset, length) {
            return Err(BadHeader::Overlap { what, offset, length, other, other_offset, other_length });
        }
        self.0.push((what, offset, length));
        Ok(())
    }

    /// A part that lies there.
    fn at(&self, offset: usize, length: usize) -> Option<(&'static str, usize, usize)> {
        let overlaps = |(_, at, size): &&(_, usize, usize)| *at < offset + length && offset < at + size;
        self.0.iter().find(overlaps).copied()
    }
}

fn outside(what: &'static str, offset: usize, length: usize, range: Range<usize>) -> BadHeader {
    BadHeader::Outside { what, offset, length, start: range.start, end: range.end }
}

#[cfg(test)]
mod tests;
