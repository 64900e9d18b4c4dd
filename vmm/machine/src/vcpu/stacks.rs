//! A vCPU's call stacks: at hand while the words in memory that they were followed by hold what they held, else followed anew.

use std::fs;
use std::sync::Arc;

use barscope_trace::WriteError;
use barscope_trace::definition::{Entered, Frame, Stack};
use barscope_trace::event::Id;
use barscope_unwind::{Capture, Followed, Kernel, Program, Recent, Recording, Space, Unwinder};
use barscope_x86::Registers;

use crate::interned::{Interned, SharedInterned};
use crate::memory::GuestMemory;
use crate::shared::StackCount;

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
    count: StackCount,
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
            count: StackCount::default(),
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
            self.count.taken += 1;
            self.count.at_hand += 1;
            return Ok(id);
        }
        self.followed(memory, &mut interned.lock(), &space)
    }

    /// How many were taken so far.
    pub fn count(&self) -> StackCount {
        self.count
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
        self.count.taken += 1;
        let depth = interned.stacks.depth().frames();
        let mut followed = self.unwinder.follow(Some(&kernel), &mut self.program, space, depth);
        self.capture(memory, interned, space, &followed);
        let mut process = None;
        if let Some((task, loads)) = kernel.tasks.running(space, self.vcpu) {
            process = interned.stacks.process((&task).into())?;
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

    /// Writes down all that following this stack reads, if one like it is asked for.
    fn capture(
        &self,
        memory: &GuestMemory,
        interned: &mut Interned,
        space: &Space<'_, GuestMemory>,
        followed: &Followed,
    ) {
        const DEPTH: usize = 12;
        let registers = space.registers();
        let is_call = |frame: &Frame| matches!(frame.how, Entered::SystemCall { .. });
        let is_like_it =
            followed.frames.len() >= DEPTH && followed.cut.is_none() && followed.frames.iter().any(is_call);
        let Some(path) = interned.stacks.capture_to().take_if(|_| is_like_it) else { return };
        let Some(kernel) = &self.kernel else { return };
        let recording = Recording::new(memory);
        let (address_space, mut program) = (registers.address_space(), Program::default());
        let tables = interned.code.images().tables(address_space);
        let tables: Vec<_> = tables.map(|(tables, bias)| (tables.clone(), bias)).collect();
        tables.iter().for_each(|(tables, bias)| program.add(tables, *bias));
        let recorded = Space::new(&recording, registers);
        Unwinder::default().follow(Some(kernel), &mut program, &recorded, usize::MAX);
        kernel.tasks.running(&recorded, self.vcpu);
        let capture = Capture::new(recording, (self.vcpu, registers), kernel, tables);
        let packed = capture.map(|capture| capture.pack());
        if let Some(Err(error)) = packed.map(|packed| fs::write(&path, packed?)) {
            log::warn!("{}: {error}", path.display());
        }
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
        self.program = Program::default();
        interned
            .code
            .images()
            .tables(address_space)
            .for_each(|(tables, bias)| self.program.add(tables, bias));
        self.address_space = Some(address_space);
        self.epoch = Some(epoch);
    }
}
