//! Call stacks as accesses refer to them.

use std::sync::Arc;

use barscope_unwind::{Kernel, Space};

use crate::memory::GuestMemory;

/// What is known of the guest's kernel.
#[derive(Default)]
pub struct Stacks {
    kernel: Option<Arc<Kernel>>,
}

impl Stacks {
    /// The guest's kernel is this.
    pub fn set_kernel(&mut self, kernel: Kernel) {
        self.kernel = Some(Arc::new(kernel));
    }

    /// The address space of the process with this number, as its kernel's list of tasks has it: a CR3 without flag bits; 0
    /// for a thread of the kernel. `None` if there is none, or the kernel doesn't say.
    pub fn address_space_of(&self, space: &Space<'_, GuestMemory>, process: u32) -> Option<u64> {
        Some(self.kernel.as_ref()?.tasks.find(space, process)?.address_space)
    }
}
