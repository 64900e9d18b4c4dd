//! Tasks of the guest's kernel: which one a CPU has at work, and which address space is whose.

use barscope_trace::definition::Process;
use barscope_x86::PhysicalMemory;
use serde::{Deserialize, Serialize};

use crate::btf::Btf;
use crate::space::Space;
use crate::{Symbols, Untold};

/// Start of the kernel's half of an address space.
const KERNEL_HALF: u64 = 1 << 63;
/// Length of the name of a task in bytes: `TASK_COMM_LEN`.
const NAME_LENGTH: usize = 16;
/// The most tasks that are looked at: a guest may have made their list a ring.
const MOST: usize = 1 << 16;

/// A task: a thread, of a process or of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The number of the thread.
    pub thread: u32,
    /// The number of the process: that of its first thread.
    pub process: u32,
    /// The top-level page table of its address space, without the processor's bits: what a CR3 holds in the kernel, if
    /// that keeps itself out of programs' page tables. 0 for a thread of the kernel.
    pub address_space: u64,
    name: [u8; NAME_LENGTH],
}

impl Task {
    /// The name of its command, or what it calls itself.
    pub fn name(&self) -> String {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LENGTH);
        String::from_utf8_lossy(&self.name[..end]).into_owned()
    }
}

impl From<&Task> for Process {
    fn from(task: &Task) -> Self {
        Self {
            address_space: task.address_space,
            pid: task.process.into(),
            thread: (task.thread != task.process).then_some(task.thread.into()),
            name: task.name(),
        }
    }
}

/// Where a kernel keeps its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Address of the pointer to the current task, less a CPU's per-CPU base.
    current: u64,
    /// The array of the CPUs' per-CPU bases.
    bases: u64,
    /// The first task.
    init: u64,
    /// Offsets in `struct task_struct`.
    thread: u64,
    process: u64,
    name: u64,
    mm: u64,
    list: u64,
    /// Offset in `struct mm_struct`.
    pgd: u64,
}

impl Tasks {
    /// As a kernel's symbols and types say.
    ///
    /// # Errors
    /// [`Untold`] if they say less.
    pub fn new(symbols: &impl Symbols, btf: &Btf<'_>) -> Result<Self, Untold> {
        let symbol = |name| symbols.address(name).ok_or(Untold::Symbol(name));
        let offset = |structure, name, whole| {
            btf.member(structure, &[name]).map(|member| member.offset()).ok_or(Untold::Member(whole))
        };
        // From 6.2 to 6.14 it is one of the hot variables of a CPU.
        let current = match symbol("current_task") {
            Ok(address) => address,
            Err(_) => {
                let hot = symbol("pcpu_hot").map_err(|_| Untold::Symbol("current_task"))?;
                hot.wrapping_add(offset("pcpu_hot", "current_task", "pcpu_hot.current_task")?)
            }
        };
        Ok(Self {
            current,
            bases: symbol("__per_cpu_offset")?,
            init: symbol("init_task")?,
            thread: offset("task_struct", "pid", "task_struct.pid")?,
            process: offset("task_struct", "tgid", "task_struct.tgid")?,
            name: offset("task_struct", "comm", "task_struct.comm")?,
            mm: offset("task_struct", "mm", "task_struct.mm")?,
            list: offset("task_struct", "tasks", "task_struct.tasks")?,
            pgd: offset("mm_struct", "pgd", "mm_struct.pgd")?,
        })
    }

    /// Where the address of the `task_struct` of the task is that the vCPU with this number has at work: in ring 0 its
    /// own GS leads there, else the kernel's table of CPUs, which counts them as vCPUs are counted.
    #[inline]
    pub fn current<M: PhysicalMemory>(&self, space: &Space<'_, M>, vcpu: u8) -> Option<u64> {
        let registers = space.registers();
        let base = match registers.gs.base {
            base if registers.cpl() == 0 && base >= KERNEL_HALF => base,
            _ => space.word(self.bases.wrapping_add(u64::from(vcpu) * 8))?,
        };
        Some(base.wrapping_add(self.current))
    }

    /// The task whose `task_struct` is at `address`.
    pub fn at<M: PhysicalMemory>(&self, space: &Space<'_, M>, address: u64) -> Option<Task> {
        if address < KERNEL_HALF {
            return None;
        }
        let number = |offset| space.number(address.wrapping_add(offset), 4).map(|number| number as u32);
        let mut name = [0; NAME_LENGTH];
        let mm = space.word(address.wrapping_add(self.mm))?;
        if !space.read(address.wrapping_add(self.name), &mut name) {
            return None;
        }
        Some(Task {
            thread: number(self.thread)?,
            process: number(self.process)?,
            address_space: if mm == 0 { 0 } else { self.page_table(space, mm)? },
            name,
        })
    }

    /// The first thread of the process with this number.
    pub fn find<M: PhysicalMemory>(&self, space: &Space<'_, M>, process: u32) -> Option<Task> {
        let first = self.init.wrapping_add(self.list);
        let mut next = first;
        for _ in 0..MOST {
            let address = next.wrapping_sub(self.list);
            if space.number(address.wrapping_add(self.process), 4)? as u32 == process {
                return self.at(space, address);
            }
            next = space.word(next)?;
            if next == first {
                break;
            }
        }
        None
    }

    /// The task that the vCPU with this number has at work, with the words that say so: addresses and what they hold.
    pub fn running<M: PhysicalMemory>(
        &self,
        space: &Space<'_, M>,
        vcpu: u8,
    ) -> Option<(Task, Vec<(u64, u64)>)> {
        let current = self.current(space, vcpu)?;
        let task = space.word(current)?;
        let words = [self.process, self.thread, self.mm, self.name, self.name + 8];
        let words = words.map(|offset| task.wrapping_add(offset));
        let held = [current].into_iter().chain(words).map(|at| Some((at, space.word(at)?)));
        Some((self.at(space, task)?, held.collect::<Option<_>>()?))
    }

    /// Physical address of the top-level page table of an `mm_struct`.
    fn page_table<M: PhysicalMemory>(&self, space: &Space<'_, M>, mm: u64) -> Option<u64> {
        space.physical(space.word(mm.wrapping_add(self.pgd))?)
    }
}

#[cfg(test)]
mod tests;
