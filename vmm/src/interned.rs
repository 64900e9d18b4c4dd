//! What accesses refer to by id: each walk, instruction, mapping and text is defined in the trace once,
//! when it first occurs.

use rustc_hash::FxHashMap;
use trace::definition::{self, Definition, MemoryType, Path};
use trace::event::Id;
use trace::{WriteError, Writer};

use crate::images::{Code, Images};
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::memory::GuestMemory;
use crate::modules::{Modules, Placed, Read};
use crate::vcpu::{ACCESSED_DIRTY, Located, MAX_LENGTH, PageWalk, Registers, TypesOfPage, read_virtual};

/// Start of the kernel's half of an address space.
const KERNEL_HALF: u64 = 1 << 63;

/// A walk as the trace sees it: the processor's own bits aside.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct WalkKey {
    cr3: u64,
    page: u64,
    entries: [u64; 5],
    types: TypesOfPage,
}

/// An instruction as the trace sees it: address, address space, encoding, ambiguity, width of the code.
type InstructionKey = (u64, u64, [u8; MAX_LENGTH], bool, u8);

/// The definitions made so far.
pub struct Interned {
    writer: Writer,
    /// Walks that occurred since a mapping last came or went.
    recent: FxHashMap<WalkKey, Id>,
    walks: FxHashMap<definition::Walk, Id>,
    /// Instructions that occurred since an image last came or went.
    current: FxHashMap<InstructionKey, Id>,
    /// All of them, each with the image that held it.
    instructions: FxHashMap<(InstructionKey, Option<Id>), Id>,
    texts: FxHashMap<String, Id>,
    /// The guest's number for each mapping that exists, its definition's id and itself.
    mappings: Vec<(u64, Id, definition::Mapping)>,
    /// The definition and the number of the process that each address space is known to belong to.
    processes: FxHashMap<u64, (Id, u64)>,
    /// Where the kernel's parts of all address spaces are.
    spaces: Spaces,
    /// Executables that the guest or the loader named.
    pub images: Images,
    /// The modules of a Linux guest.
    pub modules: Modules,
}

impl Interned {
    /// Nothing yet.
    pub fn new(writer: Writer) -> Self {
        Self {
            writer,
            recent: FxHashMap::default(),
            walks: FxHashMap::default(),
            current: FxHashMap::default(),
            instructions: FxHashMap::default(),
            texts: FxHashMap::default(),
            mappings: Vec::new(),
            processes: FxHashMap::default(),
            spaces: Spaces::default(),
            images: Images::default(),
            modules: Modules::default(),
        }
    }

    /// The id of a walk to the page of a device access, which has these memory types.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn walk(&mut self, walk: &PageWalk, types: TypesOfPage) -> Result<Id, WriteError> {
        let mut entries = [0; 5];
        for (kept, entry) in entries.iter_mut().zip(walk.entries()) {
            *kept = entry & !ACCESSED_DIRTY;
        }
        let key = WalkKey { cr3: walk.cr3, page: walk.page, entries, types };
        if let Some(id) = self.recent.get(&key) {
            return Ok(*id);
        }
        let (path, mapping) = self.path(walk, types.pat);
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
                let id = self.writer.define(&Definition::Walk(definition.clone()))?;
                self.walks.insert(definition, id);
                id
            }
        };
        self.recent.insert(key, id);
        Ok(id)
    }

    /// The id of an instruction fetched from address space `cr3`.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn instruction(&mut self, cr3: u64, located: &Located) -> Result<Id, WriteError> {
        let rip = located.decoded.ip();
        // The kernel's half is the same everywhere.
        let cr3 = if rip >= KERNEL_HALF { 0 } else { cr3 };
        let mut encoding = [0; MAX_LENGTH];
        encoding[..located.bytes().len()].copy_from_slice(located.bytes());
        let key = (rip, cr3, encoding, located.ambiguous, located.code_size());
        if let Some(id) = self.current.get(&key) {
            return Ok(*id);
        }
        let image = self.images.at(cr3, rip);
        let id = match self.instructions.get(&(key, image)) {
            Some(id) => *id,
            None => {
                let id = self.writer.define(&Definition::Instruction(definition::Instruction {
                    rip,
                    bytes: located.bytes().to_vec(),
                    cr3,
                    ambiguous: located.ambiguous,
                    code_size: located.code_size(),
                    image,
                }))?;
                self.instructions.insert((key, image), id);
                id
            }
        };
        self.current.insert(key, id);
        Ok(id)
    }

    /// The id of a text.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn text(&mut self, text: &str) -> Result<Id, WriteError> {
        if let Some(id) = self.texts.get(text) {
            return Ok(*id);
        }
        let id = self.writer.define(&Definition::Text { text: text.to_owned() })?;
        self.texts.insert(text.to_owned(), id);
        Ok(id)
    }

    /// The guest made a mapping, that it calls `number`.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn map(&mut self, number: u64, mapping: definition::Mapping) -> Result<Id, WriteError> {
        let id = self.writer.define(&Definition::Mapping(mapping.clone()))?;
        self.mappings.retain(|(known, ..)| *known != number);
        self.mappings.push((number, id, mapping));
        self.recent.clear();
        Ok(id)
    }

    /// The guest undid the mapping that it calls `number`; its id, if there is one.
    pub fn unmap(&mut self, number: u64) -> Option<Id> {
        let index = self.mappings.iter().position(|(known, ..)| *known == number)?;
        self.recent.clear();
        Some(self.mappings.remove(index).1)
    }

    /// An executable with symbols: a text for people, and a file for resolvers. Its id; `None` if it is no
    /// ELF file.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn image(&mut self, image: definition::Image, elf: &[u8]) -> Result<Option<Id>, WriteError> {
        let Some(code) = Code::of(elf) else { return Ok(None) };
        let address_space = image.address_space;
        let id = self.writer.define_with_blob(&Definition::Image(image), elf)?;
        self.images.add(id, address_space, code);
        self.current.clear();
        Ok(Some(id))
    }

    /// A module that the guest tells of, its sections in their places; `false` if it is no ELF file.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn module(&mut self, read: Read<'_>, name: &str, elf: &[u8]) -> Result<bool, WriteError> {
        self.follow_modules(read)?;
        let Some(code) = Code::of(elf) else { return Ok(false) };
        let known = self.modules.image(name).and_then(|id| self.images.code(id));
        if known.is_some_and(|known| known.covers(&code)) {
            return Ok(true);
        }
        let image = definition::Image { name: name.to_owned(), address_space: None };
        if let Some(id) = self.image(image, elf)?
            && let Some(before) = self.modules.announced(name, id)
        {
            self.images.remove(before);
        }
        Ok(true)
    }

    /// Looks whether the code that runs is that of a module which came, or took the place of one that went.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn notice_modules(&mut self, memory: &GuestMemory, registers: &Registers) -> Result<(), WriteError> {
        let rip = registers.linear_rip();
        if registers.cpl() == 3 || !self.modules.may_hold(rip) {
            return Ok(());
        }
        let read = |address, data: &mut [u8]| read_virtual(memory, registers, address, data) == data.len();
        if self.modules.may_have_changed(&read, rip, self.images.at(0, rip)) {
            self.follow_modules(&read)?;
            if self.images.at(0, rip).is_none() {
                self.modules.set_unknown(rip);
            }
        }
        Ok(())
    }

    fn follow_modules(&mut self, read: Read<'_>) -> Result<(), WriteError> {
        let changes = self.modules.follow(read);
        for gone in changes.gone {
            self.images.remove(gone);
            self.current.clear();
        }
        for (index, name, Placed(elf)) in changes.new {
            let image = definition::Image { name, address_space: None };
            if let Some(id) = self.image(image, &elf)? {
                self.modules.set_image(index, id);
            }
        }
        Ok(())
    }

    /// The kernel's functions by name, and where its parts of the address space are.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn kernel_symbols(&mut self, symbols: &KernelSymbols, spaces: Spaces) -> Result<(), WriteError> {
        self.spaces = spaces;
        self.recent.clear();
        self.modules.set_heads(symbols.addresses("modules"));
        let image = definition::Image { name: "kernel".to_owned(), address_space: None };
        let id = self.writer.define_with_blob(&Definition::Image(image), &symbols.lines())?;
        self.images.add(id, None, Code::functions(symbols.functions()));
        self.current.clear();
        Ok(())
    }

    /// An address space belongs to a process from here on.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn process(&mut self, process: definition::Process) -> Result<(), WriteError> {
        let (address_space, pid) = (process.address_space, process.pid);
        let id = self.writer.define(&Definition::Process(process))?;
        let before = self.processes.insert(address_space, (id, pid));
        // Its page tables lie where another's were.
        if before.is_some_and(|(_, other)| other != pid) {
            self.images.clear(address_space);
            self.current.clear();
        }
        self.recent.clear();
        Ok(())
    }

    /// How the page came to lead to a device: the announced mapping that holds it, or a guess by the
    /// walk and where in the address space it lies.
    fn path(&self, walk: &PageWalk, pat: Option<MemoryType>) -> (Path, Option<Id>) {
        let holds = |mapping: &definition::Mapping| {
            mapping.address_space.is_none_or(|space| space == walk.cr3)
                && walk.page < mapping.virtual_address.saturating_add(mapping.length)
                && mapping.virtual_address < walk.page.saturating_add(walk.page_size)
        };
        if let Some((_, id, mapping)) = self.mappings.iter().rev().find(|(.., mapping)| holds(mapping)) {
            return (mapping.path, Some(*id));
        }
        let guess = if walk.user() {
            Path::Mmap
        } else if self.spaces.ioremap.contains(&walk.page) {
            Path::Ioremap
        } else if walk.page >= KERNEL_HALF && pat.is_some_and(|asked| asked != MemoryType::WriteBack) {
            // A kernel that chose its spaces anew and didn't say where: its memory is all cached.
            Path::Ioremap
        } else if self.spaces.direct_map.contains(&walk.page) {
            Path::DirectMap
        } else {
            Path::Unknown
        };
        (guess, None)
    }
}
