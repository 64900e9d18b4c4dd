//! A vCPU's call stacks: at hand while the words in memory that they were followed by hold what they held, else followed anew.

use std::sync::Arc;

use barscope_trace::WriteError;
use barscope_trace::definition::Stack;
use barscope_trace::event::Id;
use barscope_unwind::{Kernel, Program, Recent, Space, Unwinder};
use barscope_x86::Registers;

use crate::interned::{Interned, SharedInterned};
use crate::memory::GuestMemory;

/// What a vCPU remembers of stacks.
pub struct Stacks {
    /// Its number.
    vcpu: u8,
    /// The epoch that what follows is of.
    epoch: Option<u64>,
    kernel: Option<Arc<Kernel>>,
    recent: Recent,
    unwinder: Unwinder,
    program: Program,
    /// The address space of that program.
    address_space: Option<u64>,
}

impl Stacks {
    /// Of the vCPU with this number, which has had none yet.
    pub fn new(vcpu: u8) -> Self {
        Self {
            vcpu,
            epoch: None,
            kernel: None,
            recent: Recent::default(),
            unwinder: Unwinder::default(),
            program: Program::default(),
            address_space: None,
        }
    }

    /// The id of the stack that the vCPU has; 0 if none is taken.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn id(
        &mut self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        registers: &Registers,
    ) -> Result<Id, WriteError> {
        let epoch = interned.epoch().now();
        let is_current = self.epoch == Some(epoch);
        if is_current && self.kernel.is_none() {
            return Ok(0);
        }
        let space = Space::new(memory, registers);
        if is_current && let Some(id) = self.recent.get(epoch, &space) {
            return Ok(id);
        }
        self.followed(memory, &mut interned.lock(), &space)
    }

    /// Follows the stack that the vCPU has.
    fn followed(
        &mut self,
        memory: &GuestMemory,
        interned: &mut Interned,
        space: &Space<'_, GuestMemory>,
    ) -> Result<Id, WriteError> {
        self.catch_up(interned, space.registers().address_space());
        let Some(kernel) = self.kernel.clone() else { return Ok(0) };
        let depth = interned.stacks.depth().frames();
        let mut followed = self.unwinder.follow(Some(&kernel), &mut self.program, space, depth);
        let mut process = None;
        if let Some((task, loads)) = kernel.tasks.running(space, self.vcpu) {
            process = interned.stacks.process(&task)?;
            followed.loads.extend(loads);
        }
        let mut frames = followed.frames.clone();
        for frame in &mut frames {
            interned.code.set_image(memory, space.registers(), frame)?;
        }
        let id = interned.stacks.stack(Stack { process, frames, cut: followed.cut })?;
        // A module that was noticed just now changes what others are called, not what this was looked up for.
        let epoch = interned.epoch().now();
        self.epoch = Some(epoch);
        self.recent.keep(epoch, space.registers(), followed, id);
        Ok(id)
    }

    /// Takes in what has changed since.
    fn catch_up(&mut self, interned: &Interned, address_space: u64) {
        let epoch = interned.epoch().now();
        let is_current = self.epoch == Some(epoch);
        if is_current && self.address_space == Some(address_space) {
            return;
        }
        let kernel = interned.stacks.kernel();
        if kernel.map(Arc::as_ptr) != self.kernel.as_ref().map(Arc::as_ptr) {
            self.kernel = kernel.cloned();
            self.unwinder.forget();
        }
        self.program = interned.code.images().program(address_space);
        self.address_space = Some(address_space);
        self.epoch = Some(epoch);
    }
}
