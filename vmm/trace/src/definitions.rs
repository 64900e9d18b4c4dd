//! The definitions of a trace by id.

use std::collections::BTreeMap;

use barscope_device::{Bdf, Region, Space};

use crate::definition::{
    Definition, Function, Image, Instruction, Machine, Mapping, Process, Route, Stack, Walk,
};
use crate::event::Id;

/// All definitions that a trace holds, or held so far.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    list: Vec<Definition>,
    blobs: BTreeMap<Id, Vec<u8>>,
    images: Vec<Id>,
    functions: Vec<Id>,
    by_address: BTreeMap<Bdf, Id>,
    ecam_base: Option<u64>,
    unknown: u64,
}

/// A getter for each kind: `None` for an id of another kind as well as for an unknown one.
macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $variant:ident => $type:ty;)+) => {
        $(
            $(#[$doc])*
            pub fn $name(&self, id: Id) -> Option<&$type> {
                match self.get(id)? {
                    Definition::$variant(found) => Some(found),
                    _ => None,
                }
            }
        )+
    };
}

impl Definitions {
    /// The definition with this id; 0 never has one.
    pub fn get(&self, id: Id) -> Option<&Definition> {
        self.list.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    getters! {
        /// The PCI function with this id.
        function: Function => Function;
        /// The route with this id.
        route: Route => Route;
        /// The page walk with this id.
        walk: Walk => Walk;
        /// The instruction with this id.
        instruction: Instruction => Instruction;
        /// The mapping with this id.
        mapping: Mapping => Mapping;
        /// The process with this id.
        process: Process => Process;
        /// The call stack with this id.
        stack: Stack => Stack;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.list.len() as u64
    }

    /// How many of them are of kinds that this program doesn't know.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The text with this id; empty if there is none.
    pub fn text(&self, id: Id) -> &str {
        match self.get(id) {
            Some(Definition::Text { text }) => text,
            _ => "",
        }
    }

    /// The machine.
    pub fn machine(&self) -> Option<&Machine> {
        self.list.iter().find_map(|definition| match definition {
            Definition::Machine(machine) => Some(machine),
            _ => None,
        })
    }

    /// All of them in order, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Definition)> {
        (1..).zip(&self.list)
    }

    /// The PCI functions, with their ids.
    pub fn functions(&self) -> impl Iterator<Item = (Id, &Function)> {
        self.functions.iter().filter_map(|id| Some((*id, self.function(*id)?)))
    }

    /// How many PCI functions there are.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// The id of the PCI function at this address.
    pub fn function_at(&self, bdf: Bdf) -> Option<Id> {
        self.by_address.get(&bdf).copied()
    }

    /// The images, with their ids.
    pub fn images(&self) -> impl DoubleEndedIterator<Item = (Id, &Image)> {
        self.images.iter().filter_map(|id| match self.get(*id)? {
            Definition::Image(image) => Some((*id, image)),
            _ => None,
        })
    }

    /// The bytes that were recorded with a definition; empty if none were.
    pub fn blob(&self, id: Id) -> &[u8] {
        self.blobs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The function that a route leads to, if it leads to one.
    pub fn function_of(&self, route: &Route) -> Option<&Function> {
        self.function(route.function?)
    }

    /// Where the ECAM window begins: every function's configuration space lies in it by its routing
    /// identifier, 4 KiB each (PCIe Base, section 7.2.2). `None` while no route leads into it.
    pub fn ecam_base(&self) -> Option<u64> {
        self.ecam_base
    }

    /// Adds a definition, with the bytes that belong to it, under the next id. Readers do that in the order of the file.
    pub fn push(&mut self, definition: Definition, blob: Vec<u8>) {
        let id = self.list.len() as Id + 1;
        match &definition {
            Definition::Image(_) => self.images.push(id),
            Definition::Function(function) => {
                self.functions.push(id);
                self.by_address.insert(function.bdf, id);
            }
            Definition::Unknown => self.unknown += 1,
            Definition::Route(route) => self.ecam_base = self.ecam_base.or_else(|| self.ecam_behind(route)),
            _ => (),
        }
        self.list.push(definition);
        if !blob.is_empty() {
            self.blobs.insert(id, blob);
        }
    }

    fn ecam_behind(&self, route: &Route) -> Option<u64> {
        let function = self.function_of(route)?;
        let within = u64::from(function.bdf.routing_id()) << 12;
        let ecam = route.region == Region::Config && route.space == Space::Memory;
        route.base.checked_sub(within).filter(|_| ecam)
    }
}
