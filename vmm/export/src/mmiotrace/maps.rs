//! Mappings with the ids that lines refer to them by.

use std::io::{self, Write};

use barscope_analysis::view::AccessView;
use barscope_trace::Id;
use barscope_trace::definition::Mapping;
use rustc_hash::FxHashMap;

use super::Time;

/// What an access went through.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Through {
    /// A mapping, by its definition.
    Mapping(Id),
    /// A page of which the trace tells no mapping: virtual and physical address.
    Page(u64, u64),
    /// Nothing that the trace tells: the physical page.
    Nothing(u64),
}

/// The mappings that there are, by their ids.
#[derive(Default)]
pub(super) struct Maps {
    ids: FxHashMap<Through, u32>,
    last: u32,
}

/// A mapping's line.
pub(super) struct MapLine {
    id: u32,
    physical: u64,
    virtual_: u64,
    length: u64,
}

impl MapLine {
    pub(super) fn write(&self, out: &mut impl Write, time: Time) -> io::Result<()> {
        let Self { id, physical, virtual_, length } = self;
        writeln!(out, "MAP {time} {id} {physical:#x} {virtual_:#x} {length:#x} 0x0 0")
    }
}

const PAGE: u64 = 4096;

impl Maps {
    /// The guest made this mapping.
    pub(super) fn map(&mut self, definition: Id, mapping: &Mapping) -> MapLine {
        let id = self.add(Through::Mapping(definition));
        line(id, mapping, mapping.physical_address)
    }

    /// The guest undid this mapping: its id; `None` if it was never there.
    pub(super) fn unmap(&mut self, definition: Id) -> Option<u32> {
        self.ids.remove(&Through::Mapping(definition))
    }

    /// The id of what an access to physical `address` went through, and that mapping's line unless it was written.
    pub(super) fn of_access(&mut self, access: AccessView<'_>, address: u64) -> (u32, Option<MapLine>) {
        let walk = access.walk();
        let through = match walk {
            Some(walk) if let Some(mapping) = walk.mapping => Through::Mapping(mapping),
            Some(walk) => Through::Page(walk.page, address & !walk.page_size.wrapping_sub(1)),
            None => Through::Nothing(address & !(PAGE - 1)),
        };
        if let Some(id) = self.ids.get(&through) {
            return (*id, None);
        }
        let id = self.add(through);
        let page = |virtual_, physical, length| MapLine { id, physical, virtual_, length };
        let new = match (through, walk, access.mapping()) {
            (Through::Mapping(_), Some(walk), Some(mapping)) => {
                // Of one that was not announced the trace may not tell where it leads; its accesses do.
                let before = walk.virtual_address(address).wrapping_sub(mapping.virtual_address);
                line(id, mapping, address.wrapping_sub(before))
            }
            (Through::Page(virtual_, physical), Some(walk), _) => page(virtual_, physical, walk.page_size),
            (Through::Mapping(_), Some(walk), None) => {
                page(walk.page, address & !walk.page_size.wrapping_sub(1), walk.page_size)
            }
            _ => page(0, address & !(PAGE - 1), PAGE),
        };
        (id, Some(new))
    }

    fn add(&mut self, through: Through) -> u32 {
        self.last += 1;
        self.ids.insert(through, self.last);
        self.last
    }
}

fn line(id: u32, mapping: &Mapping, physical: u64) -> MapLine {
    MapLine { id, physical, virtual_: mapping.virtual_address, length: mapping.length }
}
