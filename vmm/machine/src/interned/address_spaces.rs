//! Address spaces as accesses refer to them: page walks, the mappings that they belong to, and whose each one is.

use barscope_trace::definition::{Definition, MemoryType, Path};
use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer, definition};
use barscope_x86::{ACCESSED_DIRTY, PageWalk, TypesOfPage};
use rustc_hash::FxHashMap;

use super::{Epoch, KERNEL_HALF};
use crate::budget::{Account, Kind};
use crate::kernel_symbols::Spaces;

/// A walk as the trace sees it: the processor's own bits aside.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct WalkKey {
    cr3: u64,
    page: u64,
    entries: [u64; 5],
    types: TypesOfPage,
    /// It leads to a device.
    device: bool,
}

/// The walks, mappings and processes that are defined.
pub struct AddressSpaces {
    writer: Writer,
    epoch: Epoch,
    /// Walks that occurred since a mapping last came or went.
    recent: FxHashMap<WalkKey, Id>,
    walks: FxHashMap<definition::Walk, Id>,
    /// The mappings that exist, by the guest's number for each, with the ids of their definitions.
    mappings: FxHashMap<u64, (Id, definition::Mapping)>,
    /// The definition and the number of the process that each address space is known to belong to.
    processes: FxHashMap<u64, (Id, u64)>,
    /// Where the kernel's parts of all address spaces are.
    spaces: Spaces,
    walk_account: Account,
    mapping_account: Account,
    process_account: Account,
}

impl AddressSpaces {
    /// None yet.
    pub fn new(writer: Writer, epoch: Epoch) -> Self {
        Self {
            writer,
            epoch,
            recent: FxHashMap::default(),
            walks: FxHashMap::default(),
            mappings: FxHashMap::default(),
            processes: FxHashMap::default(),
            spaces: Spaces::default(),
            walk_account: Account::new(Kind::Walk),
            mapping_account: Account::new(Kind::Mapping),
            process_account: Account::new(Kind::Process),
        }
    }

    /// What is spent of the budgets.
    pub(super) fn accounts(&mut self) -> [&mut Account; 3] {
        [&mut self.walk_account, &mut self.mapping_account, &mut self.process_account]
    }

    /// The id of a walk to a device's page, which has these memory types; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn walk(&mut self, walk: &PageWalk, types: TypesOfPage) -> Result<Id, WriteError> {
        self.walk_to(walk, types, true)
    }

    /// The same for a page that no device decodes: no path leads to a device there.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn walk_to_memory(&mut self, walk: &PageWalk, types: TypesOfPage) -> Result<Id, WriteError> {
        self.walk_to(walk, types, false)
    }

    fn walk_to(&mut self, walk: &PageWalk, types: TypesOfPage, device: bool) -> Result<Id, WriteError> {
        let mut entries = [0; 5];
        for (kept, entry) in entries.iter_mut().zip(walk.entries()) {
            *kept = entry & !ACCESSED_DIRTY;
        }
        let key = WalkKey { cr3: walk.cr3, page: walk.page, entries, types, device };
        if let Some(id) = self.recent.get(&key) {
            return Ok(*id);
        }
        let (path, mapping) = if device { self.path(walk, types.pat) } else { (Path::Unknown, None) };
        let definition = definition::Walk {
            cr3: walk.cr3,
            page: walk.page,
            page_size: walk.page_size,
            entries: entries[..walk.entries().len()].to_vec(),
            levels: walk.levels,
            user: walk.user(),
            writable: walk.writable(),
            pat: types.pat,
            mtrr: Some(types.mtrr),
            memory_type: types.effective,
            path,
            announced: mapping.is_some(),
            mapping,
            process: self.processes.get(&walk.cr3).map(|(id, _)| *id).filter(|_| walk.user()),
        };
        let id = match self.walks.get(&definition) {
            Some(id) => *id,
            None => {
                let walk = Definition::Walk(definition.clone());
                let Some(id) = self.walk_account.define(&self.writer, &walk, &[])? else { return Ok(0) };
                self.walks.insert(definition, id);
                id
            }
        };
        self.recent.insert(key, id);
        Ok(id)
    }

    /// The guest made a mapping, that it calls `number`; its id, 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn map(&mut self, number: u64, mapping: definition::Mapping) -> Result<Id, WriteError> {
        let definition = Definition::Mapping(mapping.clone());
        let id = self.mapping_account.define(&self.writer, &definition, &[])?;
        match id {
            Some(id) => self.mappings.insert(number, (id, mapping)),
            None => self.mappings.remove(&number),
        };
        self.forget_recent();
        Ok(id.unwrap_or(0))
    }

    /// A process has a mapping that nobody announced: readers find it for accesses before and after.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn found(&mut self, mapping: definition::Mapping) -> Result<(), WriteError> {
        self.mapping_account.define(&self.writer, &Definition::Mapping(mapping), &[]).map(drop)
    }

    /// The guest undid the mapping that it calls `number`; its id, if there is one, 0 if there was no room for it.
    pub fn unmap(&mut self, number: u64) -> Option<Id> {
        self.forget_recent();
        match self.mappings.remove(&number) {
            Some((id, _)) => Some(id),
            None => self.mapping_account.is_reached().then_some(0),
        }
    }

    /// The kernel's parts of all address spaces are there.
    pub(super) fn set_spaces(&mut self, spaces: Spaces) {
        self.spaces = spaces;
        self.forget_recent();
    }

    /// An address space belongs to a process from here on; whether it was another's before.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn set_process(&mut self, process: definition::Process) -> Result<bool, WriteError> {
        let (address_space, pid) = (process.address_space, process.pid);
        let id = self.process_account.define(&self.writer, &Definition::Process(process), &[])?;
        let before = match id {
            Some(id) => self.processes.insert(address_space, (id, pid)),
            None => self.processes.remove(&address_space),
        };
        self.forget_recent();
        Ok(before.is_some_and(|(_, other)| other != pid))
    }

    /// What walks lead to has changed.
    fn forget_recent(&mut self) {
        self.recent.clear();
        self.epoch.advance();
    }

    /// How the page came to lead to a device: the announced mapping that holds it, or a guess by the
    /// walk and where in the address space it lies.
    fn path(&self, walk: &PageWalk, pat: Option<MemoryType>) -> (Path, Option<Id>) {
        let holds = |mapping: &definition::Mapping| {
            mapping.address_space.is_none_or(|space| space == walk.cr3)
                && walk.page < mapping.virtual_address.saturating_add(mapping.length)
                && mapping.virtual_address < walk.page.saturating_add(walk.page_size)
        };
        let ioremap = || {
            if pat == Some(MemoryType::WriteCombining) { Path::IoremapWc } else { Path::Ioremap }
        };
        // The last one that was made.
        let holding = self.mappings.values().filter(|(_, mapping)| holds(mapping)).max_by_key(|(id, _)| *id);
        if let Some((id, mapping)) = holding {
            return (mapping.path, Some(*id));
        }
        // What is in the upper half is the kernel's, whatever its entries allow.
        let guess = if walk.user() && walk.page < KERNEL_HALF {
            Path::Mmap
        } else if self.spaces.ioremap.contains(&walk.page) {
            ioremap()
        } else if walk.page >= KERNEL_HALF && pat.is_some_and(|asked| asked != MemoryType::WriteBack) {
            // A kernel that chose its spaces anew and didn't say where: its memory is all cached.
            ioremap()
        } else if self.spaces.direct_map.contains(&walk.page) {
            Path::DirectMap
        } else {
            Path::Unknown
        };
        (guess, None)
    }
}
