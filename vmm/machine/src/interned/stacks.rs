//! Call stacks as accesses refer to them, and whose they are.

use std::path::PathBuf;
use std::sync::Arc;

use barscope_trace::definition::{Definition, Process, Stack};
use barscope_trace::event::Id;
use barscope_trace::{Capability, Knowledge, WriteError, Writer};
use barscope_unwind::{Kernel, Space, Task, Untold};
use rustc_hash::FxHashMap;

use super::Epoch;
use crate::budget::{Account, Kind};
use crate::memory::GuestMemory;

/// How much of call stacks is recorded, of a kernel that says how to follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackDepth {
    /// All of it, into the program.
    Full,
    /// The innermost 8 frames: enough to leave functions that only access registers on behalf of others.
    Caller,
    /// Nothing.
    Off,
}

impl StackDepth {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::Caller, Self::Off];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Caller => "caller",
            Self::Off => "off",
        }
    }

    /// For people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Full => "From the access to the program's first function",
            Self::Caller => "The innermost 8 frames",
            Self::Off => "None",
        }
    }

    /// How many frames are followed.
    pub fn frames(self) -> usize {
        match self {
            Self::Full => usize::MAX,
            Self::Caller => 8,
            Self::Off => 0,
        }
    }
}

/// The stacks and their processes that are defined, and the guest's kernel that they are read by.
pub struct Stacks {
    writer: Writer,
    epoch: Epoch,
    depth: StackDepth,
    capture_to: Option<PathBuf>,
    kernel: Option<Arc<Kernel>>,
    stacks: FxHashMap<Stack, Id>,
    processes: FxHashMap<Process, Id>,
    stack_account: Account,
    process_account: Account,
}

impl Stacks {
    /// None yet, of a kernel that is unknown.
    pub(super) fn new(writer: Writer, epoch: Epoch, depth: StackDepth) -> Self {
        Self {
            writer,
            epoch,
            depth,
            capture_to: None,
            kernel: None,
            stacks: FxHashMap::default(),
            processes: FxHashMap::default(),
            stack_account: Account::new(Kind::Stack),
            process_account: Account::new(Kind::Process),
        }
    }

    /// What is spent of the budgets.
    pub(super) fn accounts(&mut self) -> [&mut Account; 2] {
        [&mut self.stack_account, &mut self.process_account]
    }

    /// The guest's kernel is this: from here on stacks are taken. Why only those of programs are, if it is so.
    pub fn set_kernel(&mut self, kernel: Kernel) -> Result<(), Untold> {
        let mut tables = Ok(());
        if self.depth != StackDepth::Off {
            self.writer.know(Capability::Processes, Knowledge::Inferred);
            tables = kernel.tables.as_ref().map(drop).map_err(Clone::clone);
            if tables.is_ok() {
                self.writer.know(Capability::Stacks, Knowledge::Inferred);
            }
        }
        self.kernel = Some(Arc::new(kernel));
        self.epoch.advance();
        tables
    }

    /// The file that a deep stack's memory is to be written to, once.
    pub fn capture_to(&mut self) -> &mut Option<PathBuf> {
        &mut self.capture_to
    }

    /// The guest's kernel, if it is known and stacks are asked for.
    pub fn kernel(&self) -> Option<&Arc<Kernel>> {
        self.kernel.as_ref().filter(|_| self.depth != StackDepth::Off)
    }

    /// How much of a stack is asked for.
    pub fn depth(&self) -> StackDepth {
        self.depth
    }

    /// Whether the guest's kernel says which tasks there are.
    pub fn knows_tasks(&self) -> bool {
        self.kernel.is_some()
    }

    /// The first thread of the process with this number, as its kernel's list of tasks has it. `None` if there is none, or
    /// the kernel doesn't say.
    pub fn task(&self, space: &Space<'_, GuestMemory>, process: u32) -> Option<Task> {
        self.kernel.as_ref()?.tasks.find(space, process)
    }

    /// The process that the vCPU with this number has at work, as its kernel's memory says.
    pub fn running(&self, space: &Space<'_, GuestMemory>, vcpu: u8) -> Option<Process> {
        let (task, _) = self.kernel.as_ref()?.tasks.running(space, vcpu)?;
        Some(Process::from(&task))
    }

    /// The id of a process; `None` if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn process(&mut self, process: Process) -> Result<Option<Id>, WriteError> {
        if let Some(id) = self.processes.get(&process) {
            return Ok(Some(*id));
        }
        let definition = Definition::Process(process.clone());
        let id = self.process_account.define(&self.writer, &definition, &[])?;
        if let Some(id) = id {
            self.processes.insert(process, id);
        }
        Ok(id)
    }

    /// The id of a stack; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn stack(&mut self, stack: Stack) -> Result<Id, WriteError> {
        if let Some(id) = self.stacks.get(&stack) {
            return Ok(*id);
        }
        let definition = Definition::Stack(stack.clone());
        let Some(id) = self.stack_account.define(&self.writer, &definition, &[])? else { return Ok(0) };
        self.stacks.insert(stack, id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use barscope_trace::Clock;
    use barscope_trace::definition::{Entered, Frame};

    use super::*;

    fn stack(address: u64) -> Stack {
        let frame = Frame { how: Entered::Call, address, cr3: 0, image: None };
        Stack { process: None, frames: vec![frame], cut: None }
    }

    #[test]
    fn equal_stacks_have_one_id_and_those_that_a_trace_has_no_room_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("t"), Clock::Host).unwrap();
        let mut stacks = Stacks::new(writer, Epoch::default(), StackDepth::Full);

        assert_eq!([stack(1), stack(2), stack(1)].map(|stack| stacks.stack(stack).unwrap()), [1, 2, 1]);
        for address in 3..=32_768 {
            assert_eq!(stacks.stack(stack(address)).unwrap(), address as Id);
        }
        assert_eq!(stacks.stack(stack(32_769)).unwrap(), 0);
        assert_eq!(stacks.stack(stack(32_768)).unwrap(), 32_768);
        let [account, _] = stacks.accounts();
        assert_eq!(account.take_warning(), Some(32_769));
    }
}
