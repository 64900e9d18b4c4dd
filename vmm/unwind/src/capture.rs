//! A stack of a guest that ran, to be followed again without it: registers, and the pages of memory that were read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use barscope_x86::{PhysicalMemory, Registers};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::kernel::{Kernel, KernelTables};
use crate::program::{Program, Tables};
use crate::task::Tasks;

const PAGE: u64 = 4096;

/// A stack of a guest that ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capture {
    /// The vCPU's number.
    pub vcpu: u8,
    /// Its registers.
    pub registers: Registers,
    tasks: Tasks,
    tables: KernelTables,
    /// What the address space's programs say, each with its bias.
    programs: Vec<(Tables, u64)>,
    pages: Pages,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pages(BTreeMap<u64, Page>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page(#[serde(with = "hex")] Vec<u8>);

impl Capture {
    /// What `recording` holds, of a vCPU with this number and these registers; `None` if the kernel's stacks can't be
    /// followed.
    pub fn new<M>(
        recording: Recording<'_, M>,
        (vcpu, registers): (u8, &Registers),
        kernel: &Kernel,
        programs: Vec<(Tables, u64)>,
    ) -> Option<Self> {
        let tables = kernel.tables.as_ref().ok()?.clone();
        let pages = recording.pages.into_inner();
        Some(Self { vcpu, registers: *registers, tasks: kernel.tasks.clone(), tables, programs, pages })
    }

    /// The one that comes with this crate: Debian 12's kernel 6.1, inside a system call, 33 frames deep.
    ///
    /// # Errors
    /// As [`Capture::unpack`].
    pub fn linux_6_1() -> io::Result<Self> {
        Self::unpack(include_bytes!("../data/linux-6.1.stack"))
    }

    /// The guest's kernel.
    pub fn kernel(&self) -> Kernel {
        Kernel { tasks: self.tasks.clone(), tables: Ok(self.tables.clone()) }
    }

    /// The programs' unwind tables.
    pub fn program(&self) -> Program {
        let mut program = Program::default();
        self.programs.iter().for_each(|(tables, bias)| program.add(tables, *bias));
        program
    }

    /// The guest's memory, as far as it was captured. It takes as much room as the highest page says, but for pages that
    /// nobody touches.
    pub fn memory(&self) -> Captured {
        const MOST: u64 = 4 << 30;
        let end = self.pages.0.last_key_value().map_or(0, |(start, _)| start.saturating_add(PAGE).min(MOST));
        let mut memory = vec![0; end as usize];
        for (start, page) in &self.pages.0 {
            let place = memory.get_mut(*start as usize..).and_then(|rest| rest.get_mut(..page.0.len()));
            if let Some(place) = place {
                place.copy_from_slice(&page.0);
            }
        }
        Captured(memory)
    }

    /// It as a file.
    ///
    /// # Errors
    /// None but of memory that there isn't.
    pub fn pack(&self) -> io::Result<Vec<u8>> {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&serde_json::to_vec(self)?)?;
        packed.finish()
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// If it is none.
    pub fn unpack(packed: &[u8]) -> io::Result<Self> {
        const MOST: u64 = 64 << 20;
        let mut unpacked = Vec::new();
        DeflateDecoder::new(packed).take(MOST).read_to_end(&mut unpacked)?;
        Ok(serde_json::from_slice(&unpacked)?)
    }
}

/// Memory as large as a guest's, in which the pages of a capture are.
pub struct Captured(Vec<u8>);

impl PhysicalMemory for Captured {
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool {
        let found = usize::try_from(address).ok().and_then(|at| self.0.get(at..)?.get(..data.len()));
        found.map(|found| data.copy_from_slice(found)).is_some()
    }
}

/// Memory that keeps a copy of each page which is read.
pub struct Recording<'a, M> {
    memory: &'a M,
    pages: RefCell<Pages>,
}

impl<'a, M> Recording<'a, M> {
    /// Nothing is read yet.
    pub fn new(memory: &'a M) -> Self {
        Self { memory, pages: RefCell::default() }
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Recording<'_, M> {
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool {
        let start = address - address % PAGE;
        let mut page = vec![0; PAGE as usize];
        if self.memory.read_physical(start, &mut page) {
            self.pages.borrow_mut().0.entry(start).or_insert(Page(page));
        }
        self.memory.read_physical(address, data)
    }
}

#[cfg(test)]
mod tests;
