//! What led where over time: BAR registers, the bus addresses that they stood for, and each mapping of
//! those with who made it, when, and what it was used for.
//!
//! [`Maps`] is the one model of it: the picture at the end of a run and the command `maps` print it.

mod entries;
mod gather;
mod picture;
mod table;

use std::collections::HashMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use barscope_device::{Bdf, Region, Space};
use barscope_trace::definition::{Function, Mapping, MemoryType, Path, Process, Route};
use barscope_trace::event::{Backing, Id};
use barscope_trace::{ReadError, Stream};
use serde::{Serialize, Serializer};

use self::gather::Index;
use crate::serial::{ProcessObject, as_hex, as_hex_or_null, as_text, or_null};
use crate::view::Viewer;
use crate::{Completeness, words};

pub use self::entries::Entered;
pub(crate) use self::entries::{Processes, Sections};
pub use self::table::print;

/// Resources and their mappings, gathered record by record with [`Maps::add`].
#[derive(Default, Serialize)]
pub struct Maps {
    /// BARs at the addresses that they had, in the order in which they got them.
    pub resources: Vec<Resource>,
    /// Mappings that lead to nothing that was ever decoded.
    pub elsewhere: Vec<MappingUse>,
    /// What the guest counted, by scenario, marks and process.
    pub kernel_entries: Vec<KernelEntries>,
    #[serde(skip)]
    index: Index,
}

/// A BAR at an address, where it may have been several times.
#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    /// The function's address.
    #[serde(serialize_with = "as_text")]
    pub bdf: Bdf,
    /// The model's name.
    pub device: String,
    /// Which BAR.
    #[serde(serialize_with = "as_text")]
    pub region: Region,
    /// What the BAR register holds: address and type bits (PCI Local Bus 3.0, section 6.2.5.1); both
    /// halves of a 64-bit one.
    #[serde(serialize_with = "as_hex")]
    pub register: u64,
    /// Memory or I/O.
    pub space: Space,
    /// First bus address.
    #[serde(serialize_with = "as_hex")]
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// When it was there.
    pub decoded: Vec<Span>,
    /// Records that say that it could not be there, since something else was.
    pub refused: Vec<u64>,
    /// How accesses were served, and since when; trapped until the first of them.
    pub served: Vec<Served>,
    /// Accesses by port, which need no mapping.
    pub ports: Use,
    /// What leads to it.
    pub mappings: Vec<MappingUse>,
}

/// How accesses are served since a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// The record.
    pub since: u64,
    /// How.
    pub backing: Backing,
}

/// A span of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The record that began it.
    pub from: u64,
    /// The access that led to that, or 0.
    #[serde(serialize_with = "or_null")]
    pub cause: u64,
    /// The record that ended it; `None` if none did.
    pub until: Option<u64>,
}

/// Accesses, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Use {
    /// How many.
    pub accesses: u64,
    /// Those that nothing decoded.
    pub unclaimed: u64,
    /// The first one's record.
    pub first: Option<u64>,
    /// The last one's record.
    pub last: Option<u64>,
}

/// Entries into the kernel that the guest counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelEntries {
    /// The scenario, if there was one and that is certain.
    pub scenario: Option<String>,
    /// What stands before `begin` and `end` in the marks around it.
    pub window: Option<String>,
    /// The address space of the program that was counted; `None` if the trace doesn't tell.
    #[serde(rename = "cr3", serialize_with = "as_hex_or_null")]
    pub address_space: Option<u64>,
    /// The process, if the guest announced it.
    #[serde(serialize_with = "who")]
    pub process: Option<Process>,
    /// How many.
    pub entries: u64,
    /// How often it was counted.
    pub counts: u64,
    /// The first count's record.
    pub first: u64,
    /// The last count's record.
    pub last: u64,
    /// They are told at a mapping.
    #[serde(skip)]
    pub(crate) at_mapping: bool,
}

/// A mapping and what it was used for.
#[derive(Clone, Debug, Serialize)]
pub struct MappingUse {
    /// How it came to be.
    #[serde(serialize_with = "as_text")]
    pub path: Path,
    /// Whether the guest said so, or it was inferred from page walks.
    pub announced: bool,
    /// In a process's address space, or in the kernel's part, that all share.
    pub user: bool,
    /// The CR3 of a process.
    #[serde(rename = "cr3", serialize_with = "as_hex_or_null")]
    pub address_space: Option<u64>,
    /// First virtual address.
    #[serde(serialize_with = "as_hex")]
    pub virtual_address: u64,
    /// First bus address.
    #[serde(serialize_with = "as_hex")]
    pub physical_address: u64,
    /// Length in bytes; of the page, if it was inferred.
    pub length: u64,
    /// Filled on first touch.
    pub on_fault: bool,
    /// Who asked for it; empty if it was inferred.
    pub who: String,
    /// The call that made it; empty if it was inferred.
    pub call: String,
    /// The record that announces it.
    pub made: Option<u64>,
    /// The record of its end.
    pub undone: Option<u64>,
    /// The memory types that its pages asked for, and had, when they were used.
    pub memory_types: Vec<Types>,
    /// Accesses through it.
    #[serde(flatten)]
    pub used: Use,
    /// Page faults that filled a page of it.
    pub faults_resolved: u64,
    /// Page faults that stopped a program.
    pub faults_fatal: u64,
    /// What the guest counted while one program used it, and nothing else, through this mapping alone.
    pub kernel_entries: Option<u64>,
    /// Its definition.
    #[serde(skip)]
    pub(crate) id: Option<Id>,
}

/// The memory types of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Types {
    /// What the page asks for through PAT, if it is known.
    pub pat: Option<MemoryType>,
    /// What the access had.
    pub memory_type: MemoryType,
}

/// A process as accesses have it.
fn who<S: Serializer>(process: &Option<Process>, serializer: S) -> Result<S::Ok, S::Error> {
    process.as_ref().map(ProcessObject::from).serialize(serializer)
}

impl Maps {
    /// Those of a whole trace.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version.
    pub fn read(path: &FilePath) -> Result<(Self, Completeness), ReadError> {
        let mut stream = Stream::open(path)?;
        let mut viewer = Viewer::default();
        let mut maps = Self::default();
        while let Some(event) = stream.next()? {
            maps.add(&viewer.view(stream.definitions(), &event));
        }
        maps.finish();
        Ok((maps, Completeness::of(&stream)))
    }

    /// The announced mapping with this definition, once for each resource that it leads to.
    pub(crate) fn of_mapping(&self, id: Id) -> impl Iterator<Item = (Option<&Resource>, &MappingUse)> {
        let of = |resource| move |mapping| (resource, mapping);
        let resources = self.resources.iter();
        let mappings = resources.flat_map(move |resource| resource.mappings.iter().map(of(Some(resource))));
        mappings.chain(self.elsewhere.iter().map(of(None))).filter(move |(_, mapping)| mapping.id == Some(id))
    }
}

impl Resource {
    fn new(function: &Function, route: &Route) -> Self {
        let bar = |bar: &&barscope_trace::definition::Bar| Region::Bar(bar.index) == route.region;
        // The low bits of a BAR say what it is, that of a ROM that it is enabled.
        let kind = match (function.bars.iter().find(bar), route.space) {
            (None, _) | (_, Space::Io) => 1,
            (Some(bar), Space::Memory) => u64::from(bar.wide) << 2 | u64::from(bar.prefetchable) << 3,
        };
        Self {
            bdf: function.bdf,
            device: function.name.clone(),
            region: route.region,
            register: route.base | kind,
            space: route.space,
            address: route.base,
            size: route.size,
            decoded: Vec::new(),
            refused: Vec::new(),
            served: Vec::new(),
            ports: Use::default(),
            mappings: Vec::new(),
        }
    }

    /// Whether `address` is one of its bus addresses.
    pub fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|within| within < self.size)
    }

    fn overlaps(&self, first: u64, length: u64) -> bool {
        self.contains(first) || self.address.checked_sub(first).is_some_and(|within| within < length)
    }
}

impl MappingUse {
    fn announced(id: Id, mapping: &Mapping, made: Option<u64>) -> Self {
        Self {
            path: mapping.path,
            announced: mapping.announced,
            user: mapping.address_space.is_some(),
            address_space: mapping.address_space,
            virtual_address: mapping.virtual_address,
            physical_address: mapping.physical_address,
            length: mapping.length,
            on_fault: mapping.on_fault,
            who: mapping.who.clone(),
            call: mapping.call.clone(),
            made,
            id: Some(id),
            ..Self::unknown()
        }
    }

    const fn unknown() -> Self {
        Self {
            path: Path::Unknown,
            announced: false,
            user: false,
            address_space: None,
            virtual_address: 0,
            physical_address: 0,
            length: 0,
            on_fault: false,
            who: String::new(),
            call: String::new(),
            made: None,
            undone: None,
            memory_types: Vec::new(),
            used: Use { accesses: 0, unclaimed: 0, first: None, last: None },
            faults_resolved: 0,
            faults_fatal: 0,
            kernel_entries: None,
            id: None,
        }
    }

    /// `UC- -> UC`, for each of its memory types.
    pub(crate) fn types(&self) -> Vec<String> {
        self.memory_types.iter().map(|types| words::memory_type(types.pat, types.memory_type)).collect()
    }

    /// `kernel` or `user`.
    pub(crate) fn owner(&self) -> &'static str {
        if self.user { "user" } else { "kernel" }
    }

    /// The path, `?` after one that was inferred.
    pub(crate) fn path_name(&self) -> String {
        format!("{}{}", self.path, if self.announced { "" } else { "?" })
    }
}

impl Use {
    fn count(&mut self, seq: u64, claimed: bool) {
        self.accesses += 1;
        self.unclaimed += u64::from(!claimed);
        self.first.get_or_insert(seq);
        self.last = Some(seq);
    }
}

#[cfg(test)]
mod tests;
