//! Code as accesses refer to it: instructions, and the images that hold them.

use std::sync::Arc;

use barscope_trace::definition::{Definition, Entered};
use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer, definition};
use barscope_unwind::Symbols;
use barscope_x86::{Located, MAX_LENGTH, Registers, read_virtual};
use rustc_hash::FxHashMap;

use super::{Epoch, KERNEL_HALF};
use crate::budget::{Account, Kind};
use crate::images::{Code, Images, Mapped};
use crate::kernel_symbols::KernelSymbols;
use crate::memory::GuestMemory;
use crate::modules::{Modules, Placed, Read, Unchanged};

/// An instruction as the trace sees it: address, address space, encoding, ambiguity, width of the code.
type InstructionKey = (u64, u64, [u8; MAX_LENGTH], bool, u8);

/// What would have to change for code to be another module's: ids that were looked up for it are good until then.
#[derive(Debug)]
pub enum Unless {
    /// It is no module's, whatever happens in this epoch.
    Nothing,
    /// The guest's list of modules, there.
    Module(Box<Unchanged>),
    /// Nobody can tell: it has to be looked at every time.
    Anything,
}

/// The instructions that are defined, and the images that are in the guest now.
pub struct GuestCode {
    writer: Writer,
    epoch: Epoch,
    /// Instructions that occurred since an image last came or went.
    current: FxHashMap<InstructionKey, Id>,
    /// All of them, each with the image that held it.
    instructions: FxHashMap<(InstructionKey, Option<Id>), Id>,
    images: Images,
    /// The modules of a Linux guest.
    modules: Modules,
    instruction_account: Account,
    image_account: Account,
    mapped_account: Account,
}

/// A file that a process maps.
pub struct MappedImage {
    /// A name for people.
    pub name: String,
    /// Which, and where.
    pub mapped: Mapped,
    /// Its code, at the addresses that the file says.
    pub code: Arc<Code>,
}

impl GuestCode {
    /// None yet.
    pub fn new(writer: Writer, epoch: Epoch) -> Self {
        Self {
            writer,
            epoch,
            current: FxHashMap::default(),
            instructions: FxHashMap::default(),
            images: Images::default(),
            modules: Modules::default(),
            instruction_account: Account::new(Kind::Instruction),
            image_account: Account::new(Kind::Image),
            mapped_account: Account::new(Kind::Mapped),
        }
    }

    /// What is spent of the budgets.
    pub(super) fn accounts(&mut self) -> [&mut Account; 3] {
        [&mut self.instruction_account, &mut self.image_account, &mut self.mapped_account]
    }

    /// Executables that the guest or the loader named.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Says of a frame of a call stack which image holds it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn set_image(
        &mut self,
        memory: &GuestMemory,
        registers: &Registers,
        frame: &mut definition::Frame,
    ) -> Result<(), WriteError> {
        // What a call returns to may be the next function's.
        let code = frame.address.wrapping_sub(u64::from(frame.how == Entered::Call));
        if code >= KERNEL_HALF {
            self.notice_module_at(memory, registers, code)?;
        }
        frame.image = self.images.at(frame.cr3, code);
        Ok(())
    }

    /// Takes in the modules of a first file system.
    pub fn take_files(&mut self, initramfs: &[u8]) {
        self.modules.take_files(initramfs);
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
                let defined = self.instruction_account.define(&self.writer, &instruction, &[])?;
                let Some(id) = defined else { return Ok(0) };
                self.instructions.insert((key, image), id);
                id
            }
        };
        self.current.insert(key, id);
        Ok(id)
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
        let id = self.image_account.define(&self.writer, &Definition::Image(image), file)?;
        match (id, address_space) {
            (Some(id), _) => self.images.add(id, address_space, code),
            // What was there before names this code no longer.
            (None, Some(address_space)) => self.images.clear(address_space),
            (None, None) => {}
        }
        self.forget_current();
        Ok(id.unwrap_or(0))
    }

    /// The kernel's functions by name, and where its list of modules may begin.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn kernel_symbols(&mut self, symbols: &KernelSymbols) -> Result<(), WriteError> {
        self.modules.set_heads(symbols.addresses("modules"));
        let image = definition::Image::new("kernel", None);
        self.add_image(image, &symbols.lines(), Code::functions(symbols.functions())).map(drop)
    }

    /// The files that a process maps, each with its name and its code: those that it mapped before and doesn't now went.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn map(&mut self, address_space: u64, files: &[MappedImage]) -> Result<(), WriteError> {
        let mapped: Vec<_> = files.iter().map(|file| file.mapped).collect();
        for new in self.images.keep(address_space, &mapped) {
            let Some(MappedImage { name, code, .. }) = files.iter().find(|file| file.mapped == new) else {
                continue;
            };
            let image = definition::Image {
                file: Some(new.file),
                bias: new.bias,
                ..definition::Image::new(name.clone(), Some(address_space))
            };
            let id = self.mapped_account.define(&self.writer, &Definition::Image(image), &[])?;
            if let Some(id) = id {
                self.images.map(id, address_space, Arc::clone(code), new);
            }
        }
        self.forget_current();
        Ok(())
    }

    /// A file that processes map; `None` if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn file(&mut self, file: definition::File, elf: &[u8]) -> Result<Option<Id>, WriteError> {
        self.image_account.define(&self.writer, &Definition::File(file), elf)
    }

    /// An address space is another process's from here on: its page tables lie where another's were.
    pub(super) fn clear(&mut self, address_space: u64) {
        self.images.clear(address_space);
        self.forget_current();
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
        let image = definition::Image::new(name.to_owned(), None);
        let id = self.add_image(image, elf, code)?;
        if id != 0
            && let Some(before) = self.modules.announced(name, id)
        {
            self.images.remove(before);
        }
        Ok(true)
    }

    /// Looks whether the code that runs is that of a module which came, or took the place of one that went. What would
    /// have to change for a later access of this code, at this privilege level, to find one.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn notice_modules(
        &mut self,
        memory: &GuestMemory,
        registers: &Registers,
    ) -> Result<Unless, WriteError> {
        if registers.cpl() == 3 {
            return Ok(Unless::Nothing);
        }
        self.notice_module_at(memory, registers, registers.linear_rip())
    }

    /// The same for code at `rip` in the kernel's half.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn notice_module_at(
        &mut self,
        memory: &GuestMemory,
        registers: &Registers,
        rip: u64,
    ) -> Result<Unless, WriteError> {
        if !self.modules.may_hold(rip) {
            return Ok(Unless::Nothing);
        }
        let read = |address, data: &mut [u8]| read_virtual(memory, registers, address, data) == data.len();
        let known = self.modules.unchanged(rip, self.images.at(0, rip));
        if let Some(unchanged) = known.filter(|unchanged| unchanged.holds(&read)) {
            return Ok(Unless::Module(Box::new(unchanged)));
        }
        self.follow_modules(&read)?;
        let image = self.images.at(0, rip);
        if image.is_none() && self.modules.set_unknown(rip) {
            self.epoch.advance();
        }
        let known = self.modules.unchanged(rip, image);
        Ok(known.map_or(Unless::Anything, |unchanged| Unless::Module(Box::new(unchanged))))
    }

    /// Looks for modules that came or went, without code of theirs that accesses a device: a kernel may be about to name
    /// some.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn look_for_modules(
        &mut self,
        memory: &GuestMemory,
        registers: &Registers,
    ) -> Result<(), WriteError> {
        self.follow_modules(&|address, data| read_virtual(memory, registers, address, data) == data.len())
    }

    fn follow_modules(&mut self, read: Read<'_>) -> Result<(), WriteError> {
        let Some(changes) = self.modules.follow(read) else { return Ok(()) };
        self.epoch.advance();
        for gone in changes.gone {
            self.images.remove(gone);
            self.forget_current();
        }
        for (index, name, Placed(elf)) in changes.new {
            let image = definition::Image::new(name, None);
            if let Some(id) = self.image(image, &elf)?.filter(|id| *id != 0) {
                self.modules.set_image(index, id);
            }
        }
        Ok(())
    }

    /// What code is part of has changed.
    fn forget_current(&mut self) {
        self.current.clear();
        self.epoch.advance();
    }
}
