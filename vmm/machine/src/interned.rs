//! What accesses refer to by id: each walk, instruction, mapping and text is defined in the trace once,
//! when it first occurs, as long as there is room: see [`crate::budget`].

mod address_spaces;
mod code;
mod console_lines;
mod epoch;
mod stacks;
mod texts;

use std::sync::{Mutex, MutexGuard};

use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer, definition};

pub use self::address_spaces::AddressSpaces;
pub use self::code::{GuestCode, Unless};
pub use self::console_lines::{ConsoleLines, alarms};
pub use self::epoch::Epoch;
pub use self::stacks::Stacks;
pub use self::texts::Texts;
use crate::budget::{Account, Kind};
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::lock::lock;

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
    epoch: Epoch,
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
    /// Nothing yet.
    pub fn new(writer: &Writer) -> Self {
        let epoch = Epoch::default();
        Self {
            texts: Texts::new(writer.clone(), Kind::Text),
            console: ConsoleLines::new(writer),
            address_spaces: AddressSpaces::new(writer.clone(), epoch.clone()),
            code: GuestCode::new(writer.clone(), epoch.clone()),
            stacks: Stacks::default(),
            epoch,
        }
    }

    /// How long ids are good.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The texts of warnings, each once: there is no more room for something.
    pub fn take_warnings(&mut self) -> Vec<Id> {
        let accounts = self.address_spaces.accounts().into_iter().chain(self.code.accounts());
        accounts
            .chain([self.texts.account()])
            .chain(self.console.accounts())
            .filter_map(Account::take_warning)
            .collect()
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
}
