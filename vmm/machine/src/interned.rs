//! What accesses refer to by id: each walk, instruction, mapping and text is defined in the trace once,
//! when it first occurs, as long as there is room: see [`crate::budget`].

use barscope_trace::definition;
use barscope_trace::definition::{Definition, MemoryType, Path};
use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer};
use barscope_x86::{ACCESSED_DIRTY, Located, MAX_LENGTH, PageWalk, Registers, TypesOfPage, read_virtual};
use rustc_hash::FxHashMap;

use crate::budget::{Account, Kind};
use crate::images::{Code, Images};
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::memory::GuestMemory;
use crate::modules::{Modules, Placed, Read};

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

/// What is spent of each budget.
struct Accounts {
    walks: Account,
    instructions: Account,
    texts: Account,
    mappings: Account,
    images: Account,
    processes: Account,
}

impl Accounts {
    fn new() -> Self {
        Self {
            walks: Account::new(Kind::Walk),
            instructions: Account::new(Kind::Instruction),
            texts: Account::new(Kind::Text),
            mappings: Account::new(Kind::Mapping),
            images: Account::new(Kind::Image),
            processes: Account::new(Kind::Process),
        }
    }

    fn all(&mut self) -> [&mut Account; 6] {
        let Self { walks, instructions, texts, mappings, images, processes } = self;
        [walks, instructions, texts, mappings, images, processes]
    }
}

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
    /// The mappings that exist, by the guest's number for each, with the ids of their definitions.
    mappings: FxHashMap<u64, (Id, definition::Mapping)>,
    /// The definition and the number of the process that each address space is known to belong to.
    processes: FxHashMap<u64, (Id, u64)>,
    /// Where the kernel's parts of all address spaces are.
    spaces: Spaces,
    accounts: Accounts,
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
            mappings: FxHashMap::default(),
            processes: FxHashMap::default(),
            spaces: Spaces::default(),
            accounts: Accounts::new(),
            images: Images::default(),
            modules: Modules::default(),
        }
    }

    /// The texts of warnings, each once: there is no more room for something.
    pub fn take_warnings(&mut self) -> Vec<Id> {
        self.accounts.all().into_iter().filter_map(Account::take_warning).collect()
    }

    /// The id of a walk to the page of a device access, which has these memory types; 0 if there is no room for it.
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
                let walk = Definition::Walk(definition.clone());
                let Some(id) = self.accounts.walks.define(&self.writer, &walk, &[])? else { return Ok(0) };
                self.walks.insert(definition, id);
                id
            }
        };
        self.recent.insert(key, id);
        Ok(id)
    }

    /// The id of an instruction fetched from address space `cr3`; 0 if there is no room for it.
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
                let instruction = Definition::Instruction(definition::Instruction {
                    rip,
                    bytes: located.bytes().to_vec(),
                    cr3,
                    ambiguous: located.ambiguous,
                    code_size: located.code_size(),
                    image,
                });
                let defined = self.accounts.instructions.define(&self.writer, &instruction, &[])?;
                let Some(id) = defined else { return Ok(0) };
                self.instructions.insert((key, image), id);
                id
            }
        };
        self.current.insert(key, id);
        Ok(id)
    }

    /// The id of a text; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn text(&mut self, text: &str) -> Result<Id, WriteError> {
        if let Some(id) = self.texts.get(text) {
            return Ok(*id);
        }
        let definition = Definition::Text { text: text.to_owned() };
        let Some(id) = self.accounts.texts.define(&self.writer, &definition, &[])? else { return Ok(0) };
        self.texts.insert(text.to_owned(), id);
        Ok(id)
    }

    /// The guest made a mapping, that it calls `number`; its id, 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn map(&mut self, number: u64, mapping: definition::Mapping) -> Result<Id, WriteError> {
        let definition = Definition::Mapping(mapping.clone());
        let id = self.accounts.mappings.define(&self.writer, &definition, &[])?;
        match id {
            Some(id) => self.mappings.insert(number, (id, mapping)),
            None => self.mappings.remove(&number),
        };
        self.recent.clear();
        Ok(id.unwrap_or(0))
    }

    /// The guest undid the mapping that it calls `number`; its id, if there is one, 0 if there was no room for it.
    pub fn unmap(&mut self, number: u64) -> Option<Id> {
        self.recent.clear();
        match self.mappings.remove(&number) {
            Some((id, _)) => Some(id),
            None => self.accounts.mappings.is_reached().then_some(0),
        }
    }

    /// The kernel that is booted, which counts for no budget: it is the user's choice.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn kernel(&mut self, image: definition::Image, file: &[u8]) -> Result<(), WriteError> {
        let Some(code) = Code::of(file) else { return Ok(()) };
        let id = self.writer.define_with_blob(&Definition::Image(image), file)?;
        self.images.add(id, None, code);
        Ok(())
    }

    /// An executable with symbols: a text for people, and a file for resolvers. Its id, 0 if there is no room for
    /// it; `None` if it is no ELF file.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn image(&mut self, image: definition::Image, elf: &[u8]) -> Result<Option<Id>, WriteError> {
        let Some(code) = Code::of(elf) else { return Ok(None) };
        self.add_image(image, elf, code).map(Some)
    }

    fn add_image(&mut self, image: definition::Image, file: &[u8], code: Code) -> Result<Id, WriteError> {
        let address_space = image.address_space;
        let id = self.accounts.images.define(&self.writer, &Definition::Image(image), file)?;
        match (id, address_space) {
            (Some(id), _) => self.images.add(id, address_space, code),
            // What was there before names this code no longer.
            (None, Some(address_space)) => self.images.clear(address_space),
            (None, None) => {}
        }
        self.current.clear();
        Ok(id.unwrap_or(0))
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
        let id = self.add_image(image, elf, code)?;
        if id != 0
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
            if let Some(id) = self.image(image, &elf)?.filter(|id| *id != 0) {
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
        self.add_image(image, &symbols.lines(), Code::functions(symbols.functions()))?;
        Ok(())
    }

    /// An address space belongs to a process from here on.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn process(&mut self, process: definition::Process) -> Result<(), WriteError> {
        let (address_space, pid) = (process.address_space, process.pid);
        let id = self.accounts.processes.define(&self.writer, &Definition::Process(process), &[])?;
        let before = match id {
            Some(id) => self.processes.insert(address_space, (id, pid)),
            None => self.processes.remove(&address_space),
        };
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
        // The last one that was made.
        let holding = self.mappings.values().filter(|(_, mapping)| holds(mapping)).max_by_key(|(id, _)| *id);
        if let Some((id, mapping)) = holding {
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
