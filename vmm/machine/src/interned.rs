//! What accesses refer to by id: each walk, instruction, mapping and text is defined in the trace once,
//! when it first occurs, as long as there is room: see [`crate::budget`].

mod address_spaces;
mod code;
mod console_lines;
mod epoch;
mod proc_maps;
mod programs;
mod stacks;
mod texts;

use std::sync::{Mutex, MutexGuard};

use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer, definition};
use barscope_unwind::Space;
use rustc_hash::FxHashSet;

pub use self::address_spaces::AddressSpaces;
pub use self::code::{GuestCode, Unless};
pub use self::console_lines::{ConsoleLines, alarms};
pub use self::epoch::Epoch;
use self::programs::Programs;
pub use self::stacks::{StackDepth, Stacks};
pub use self::texts::Texts;
use crate::budget::{Account, Kind};
use crate::guest_abi::{FileKey, Maps, State};
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::lock::lock;
use crate::memory::GuestMemory;

/// Start of the kernel's half of an address space.
const KERNEL_HALF: u64 = 1 << 63;

/// The definitions made so far.
pub struct Interned {
    /// Texts of marks, scenarios and warnings.
    pub texts: Texts,
    /// Lines of its console.
    pub console: ConsoleLines,
    /// Page walks, mappings and processes.
    pub address_spaces: AddressSpaces,
    /// Instructions, executables and modules.
    pub code: GuestCode,
    /// Call stacks and whose they are.
    pub stacks: Stacks,
    programs: Programs,
    epoch: Epoch,
    /// Texts of warnings that are to be recorded, and all that ever were.
    waiting: Vec<Id>,
    said: FxHashSet<Id>,
}

/// The definitions made so far, for all threads. Accesses whose ids are known need no lock, but the epoch.
pub struct SharedInterned {
    epoch: Epoch,
    interned: Mutex<Interned>,
}

impl SharedInterned {
    /// Shares them.
    pub fn new(interned: Interned) -> Self {
        Self { epoch: interned.epoch.clone(), interned: Mutex::new(interned) }
    }

    /// How long ids are good.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The definitions, for this thread alone.
    pub fn lock(&self) -> MutexGuard<'_, Interned> {
        lock(&self.interned)
    }
}

impl Interned {
    /// Nothing yet; of call stacks, this much is asked for.
    pub fn new(writer: &Writer, depth: StackDepth) -> Self {
        let epoch = Epoch::default();
        Self {
            texts: Texts::new(writer.clone(), Kind::Text),
            console: ConsoleLines::new(writer),
            address_spaces: AddressSpaces::new(writer.clone(), epoch.clone()),
            code: GuestCode::new(writer.clone(), epoch.clone()),
            stacks: Stacks::new(writer.clone(), epoch.clone(), depth),
            programs: Programs::default(),
            epoch,
            waiting: Vec::new(),
            said: FxHashSet::default(),
        }
    }

    /// How long ids are good.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Has this said once.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn warn(&mut self, text: &str) -> Result<(), WriteError> {
        let text = self.texts.id(text)?;
        if self.said.insert(text) {
            self.waiting.push(text);
        }
        Ok(())
    }

    /// The texts of warnings, each once.
    pub fn take_warnings(&mut self) -> Vec<Id> {
        let accounts = self.address_spaces.accounts().into_iter().chain(self.code.accounts());
        let reached = accounts
            .chain(self.stacks.accounts())
            .chain([self.texts.account()])
            .chain(self.console.accounts())
            .filter_map(Account::take_warning);
        std::mem::take(&mut self.waiting).into_iter().chain(reached).collect()
    }

    /// The kernel's functions by name, and where its parts of the address space are.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn kernel_symbols(&mut self, symbols: &KernelSymbols, spaces: Spaces) -> Result<(), WriteError> {
        self.address_spaces.set_spaces(spaces);
        self.code.kernel_symbols(symbols)
    }

    /// An address space belongs to a process from here on.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn process(&mut self, process: definition::Process) -> Result<(), WriteError> {
        let address_space = process.address_space;
        if self.address_spaces.set_process(process)? {
            self.code.clear(address_space);
        }
        Ok(())
    }

    /// A file that processes map; `false` if it is no ELF file.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn file(&mut self, key: FileKey, path: String, elf: &[u8]) -> Result<bool, WriteError> {
        self.programs.file(&mut self.code, key, path, elf)
    }

    /// What a process maps.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn maps(&mut self, space: &Space<'_, GuestMemory>, maps: &Maps) -> Result<(), WriteError> {
        match self.stacks.task(space, maps.pid) {
            Some(task) if task.address_space != 0 => {
                self.programs.maps(&mut self.code, task.address_space, maps)?;
                let who = format!("{} {}", task.name(), maps.pid);
                for mapping in self.programs.device_mappings(task.address_space, &who, maps) {
                    self.address_spaces.found(mapping)?;
                }
            }
            None if !self.stacks.knows_tasks() => self.warn(
                "the guest's kernel doesn't say which address space is whose: functions of programs have no names",
            )?,
            // Of a process that is gone, or a thread of the kernel.
            _ => {}
        }
        if maps.state == State::Ends {
            self.programs.ended(&mut self.code, maps.pid);
        }
        if maps.state == State::LetGo {
            self.warn(&format!(
                "process {} is traced by another one: what it starts and loads from here on may lack names",
                maps.pid
            ))?;
        }
        Ok(())
    }
}
