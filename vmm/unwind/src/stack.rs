//! A call stack, followed from an access outwards: through a kernel by its ORC tables as its own unwinder does it
//! (`arch/x86/kernel/unwind_orc.c`), over what an interrupt, an exception or a system call saved, and on through the program.

use barscope_trace::definition::{Cut, Entered, Frame};
use barscope_x86::{PhysicalMemory, Registers};
use rustc_hash::FxHashMap;

use crate::kernel::{Kernel, KernelTables};
use crate::modules::Module;
use crate::orc::{Base, Entry, Kind};
use crate::program::Program;
use crate::space::Space;

/// The most frames that are followed.
const MOST: usize = 64;
/// The most entries of tables that are kept at hand.
const KEPT: usize = 1 << 12;
/// Start of the kernel's half of an address space.
const KERNEL_HALF: u64 = 1 << 63;

/// Offsets in `struct pt_regs`, which are part of what programs may rely on.
mod pt_regs {
    pub const R13: u64 = 16;
    pub const BP: u64 = 32;
    pub const R10: u64 = 56;
    pub const DX: u64 = 96;
    pub const DI: u64 = 112;
    pub const NUMBER: u64 = 120;
    pub const IP: u64 = 128;
    pub const CS: u64 = 136;
    pub const SP: u64 = 152;
}

/// A stack that was followed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Frames from the innermost outwards, without images.
    pub frames: Vec<Frame>,
    /// Why the outermost ones are missing.
    pub cut: Option<Cut>,
    /// Addresses of 8 bytes, and what they held: while they hold that, code with the same instruction and stack pointer has
    /// this stack.
    pub loads: Vec<(u64, u64)>,
    /// Which registers it depends on besides those two.
    pub depends: Depends,
}

/// Which registers a stack depends on besides instruction and stack pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depends {
    /// None.
    #[default]
    Nothing,
    /// The frame pointer.
    Rbp,
    /// Others.
    More,
}

/// Follows stacks, and keeps at hand what tables say of code.
#[derive(Default)]
pub struct Unwinder {
    entries: FxHashMap<u64, Option<Entry>>,
    modules: Vec<Module>,
    /// The ends of the list of modules when it was last followed: addresses and what they held.
    ends: Vec<(u64, u64)>,
}

/// What is followed, and what it came to so far.
struct Walk<'a, M> {
    space: &'a Space<'a, M>,
    most: usize,
    followed: Followed,
}

/// Where the registers of an interrupted place are.
#[derive(Clone, Copy)]
enum Saved {
    /// In the vCPU.
    Vcpu,
    /// In a `struct pt_regs` at this address.
    At(u64),
}

/// The frame pointer, and where it was saved; `None` in the vCPU.
#[derive(Clone, Copy)]
struct FramePointer {
    value: u64,
    from: Option<u64>,
}

/// A place in a kernel that is being left.
struct Place {
    ip: u64,
    sp: u64,
    bp: Option<FramePointer>,
    /// The registers that were interrupted here, all of them.
    saved: Option<Saved>,
    /// It hasn't executed the instruction yet.
    is_interrupted: bool,
}

/// How a step outwards ends.
enum Step {
    /// In the kernel.
    Kernel(Place),
    /// In the program: instruction, stack and frame pointer.
    Program((u64, u64, u64)),
    /// Nowhere: it was the outermost.
    End,
}

impl Unwinder {
    /// The kernel is another one.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Follows the stack of a vCPU, `most` frames of it.
    pub fn follow<M: PhysicalMemory>(
        &mut self,
        kernel: Option<&Kernel>,
        program: &mut Program,
        space: &Space<'_, M>,
        most: usize,
    ) -> Followed {
        let registers = space.registers();
        let mut walk = Walk { space, most: most.min(MOST), followed: Followed::default() };
        let cut = if registers.cpl() == 3 {
            walk.followed.depends = Depends::Rbp;
            walk.program(program, (registers.rip, registers.rsp, registers.rbp))
        } else {
            match kernel.and_then(|kernel| kernel.tables.as_ref().ok()) {
                Some(tables) => self.kernel(&mut walk, tables, program).err(),
                None => Some(Cut::NoTable),
            }
        };
        walk.followed.cut = cut.map(|cut| if cut == Cut::Deep && most < MOST { Cut::Asked } else { cut });
        walk.followed
    }

    fn kernel<M: PhysicalMemory>(
        &mut self,
        walk: &mut Walk<'_, M>,
        tables: &KernelTables,
        program: &mut Program,
    ) -> Result<(), Cut> {
        self.notice_modules(walk.space, tables);
        walk.followed.loads.extend(&self.ends);
        let registers = walk.space.registers();
        let bp = Some(FramePointer { value: registers.rbp, from: None });
        let (ip, sp) = (registers.rip, registers.rsp);
        let mut place = Place { ip, sp, bp, saved: Some(Saved::Vcpu), is_interrupted: true };
        loop {
            // A call returns to what comes after it, which may be another function's.
            let code = if place.is_interrupted { place.ip } else { place.ip.wrapping_sub(1) };
            let entry = self.entry(walk, tables, code).ok_or(Cut::NoTable)?;
            match walk.step(&place, entry, tables)? {
                Step::Kernel(next) if (next.ip, next.sp) == (place.ip, place.sp) => return Err(Cut::NoTable),
                Step::Kernel(next) => place = next,
                Step::Program(registers) => return walk.program(program, registers).map_or(Ok(()), Err),
                Step::End => return Ok(()),
            }
        }
    }

    /// What tables say of the code at `ip`.
    fn entry<M: PhysicalMemory>(
        &mut self,
        walk: &mut Walk<'_, M>,
        tables: &KernelTables,
        ip: u64,
    ) -> Option<Entry> {
        let table = if tables.code.contains(&ip) {
            &tables.own
        } else {
            let holds = |module: &&Module| module.parts.iter().any(|part| part.contains(&ip));
            let module = self.modules.iter().find(holds)?;
            // Another module at its place may look the same but for its name.
            for at in [module.name, module.name.wrapping_add(8)] {
                walk.load(at).ok()?;
            }
            &module.table
        };
        if let Some(known) = self.entries.get(&ip) {
            return *known;
        }
        let entry = table.find(walk.space, &tables.layout, ip);
        if self.entries.len() >= KEPT {
            self.entries.clear();
        }
        self.entries.insert(ip, entry);
        entry
    }

    /// Follows the list of modules if that has changed.
    fn notice_modules<M: PhysicalMemory>(&mut self, space: &Space<'_, M>, tables: &KernelTables) {
        let is_same = |(address, held): &(u64, u64)| space.word(*address) == Some(*held);
        if !self.ends.is_empty() && self.ends.iter().all(is_same) {
            return;
        }
        self.entries.clear();
        self.modules = tables.modules.loaded(space);
        let ends = tables.modules.ends(space).into_iter().flatten();
        self.ends = ends.filter_map(|end| Some((end, space.word(end)?))).collect();
    }
}

impl<M: PhysicalMemory> Walk<'_, M> {
    /// A word that the stack depends on.
    fn load(&mut self, address: u64) -> Result<u64, Cut> {
        let word = self.space.word(address).ok_or(Cut::NotMapped)?;
        self.followed.loads.push((address, word));
        Ok(word)
    }

    fn push(&mut self, how: Entered, address: u64) -> Result<(), Cut> {
        if self.followed.frames.len() >= self.most {
            return Err(Cut::Deep);
        }
        let cr3 = if address >= KERNEL_HALF { 0 } else { self.space.registers().address_space() };
        self.followed.frames.push(Frame { how, address, cr3, image: None });
        Ok(())
    }

    /// Leaves a place in a kernel.
    fn step(&mut self, place: &Place, entry: Entry, tables: &KernelTables) -> Result<Step, Cut> {
        if entry.kind == Kind::End {
            return Ok(Step::End);
        }
        let sp = self.stack_of_caller(place, entry)?;
        match entry.kind {
            Kind::Call => {
                let ip = self.load(sp.wrapping_sub(8))?;
                if ip < KERNEL_HALF {
                    return Err(Cut::NoTable);
                }
                self.push(Entered::Call, ip)?;
                let bp = self.frame_pointer(place, entry, sp, None);
                Ok(Step::Kernel(Place { ip, sp, bp, saved: None, is_interrupted: entry.signal }))
            }
            Kind::Registers => self.interrupted(place, entry, (sp, Some(Saved::At(sp))), tables),
            Kind::Partial => {
                // What was saved before at the same place is still to be had.
                let saved = place.saved;
                self.interrupted(place, entry, (sp.wrapping_sub(pt_regs::IP), saved), tables)
            }
            Kind::Undefined | Kind::End => Err(Cut::NoTable),
        }
    }

    /// Leaves code that saved registers at `registers`, for what it interrupted.
    fn interrupted(
        &mut self,
        place: &Place,
        entry: Entry,
        (registers, saved): (u64, Option<Saved>),
        tables: &KernelTables,
    ) -> Result<Step, Cut> {
        let ip = self.load(registers.wrapping_add(pt_regs::IP))?;
        let sp = self.load(registers.wrapping_add(pt_regs::SP))?;
        let is_program = self.load(registers.wrapping_add(pt_regs::CS))? & 3 == 3;
        let number = match entry.kind {
            Kind::Registers => self.load(registers.wrapping_add(pt_regs::NUMBER))?,
            _ => u64::MAX,
        };
        self.push(tables.entries.entered(place.ip.wrapping_sub(1), number, is_program), ip)?;
        if is_program {
            let bp = match entry.kind {
                Kind::Registers => self.load(registers.wrapping_add(pt_regs::BP))?,
                _ => 0,
            };
            return Ok(Step::Program((ip, sp, bp)));
        }
        let bp = self.frame_pointer(place, entry, registers, saved);
        Ok(Step::Kernel(Place { ip, sp, bp, saved, is_interrupted: true }))
    }

    /// The stack pointer of the caller.
    fn stack_of_caller(&mut self, place: &Place, entry: Entry) -> Result<u64, Cut> {
        let (base, offset) = entry.sp;
        let saved = |offset| where_saved(place, offset);
        Ok(match base {
            Base::Sp => place.sp.wrapping_add_signed(offset),
            Base::Bp => self.used_frame_pointer(place)?.wrapping_add_signed(offset),
            Base::SpIndirect => self.load(place.sp)?.wrapping_add_signed(offset),
            Base::BpIndirect => {
                let at = self.used_frame_pointer(place)?.wrapping_add_signed(offset);
                self.load(at)?
            }
            Base::R10 => self.register(saved(pt_regs::R10), |registers| registers.r10)?,
            Base::R13 => self.register(saved(pt_regs::R13), |registers| registers.r13)?,
            Base::Di => self.register(saved(pt_regs::DI), |registers| registers.rdi)?,
            Base::Dx => self.register(saved(pt_regs::DX), |registers| registers.rdx)?,
            Base::Undefined | Base::PreviousSp => return Err(Cut::NoTable),
        })
    }

    /// A register of the interrupted place.
    fn register(&mut self, saved: Option<Option<u64>>, of: impl Fn(&Registers) -> u64) -> Result<u64, Cut> {
        match saved {
            None => Err(Cut::NoTable),
            Some(Some(address)) => self.load(address),
            Some(None) => {
                self.followed.depends = Depends::More;
                Ok(of(self.space.registers()))
            }
        }
    }

    /// The frame pointer, on which the stack depends from here on.
    fn used_frame_pointer(&mut self, place: &Place) -> Result<u64, Cut> {
        let bp = place.bp.ok_or(Cut::NotMapped)?;
        match bp.from {
            Some(from) => self.followed.loads.push((from, bp.value)),
            None if self.followed.depends == Depends::Nothing => self.followed.depends = Depends::Rbp,
            None => {}
        }
        Ok(bp.value)
    }

    /// The frame pointer of the caller, whose stack is at `sp`; `saved` are its registers if it was interrupted.
    fn frame_pointer(
        &mut self,
        place: &Place,
        entry: Entry,
        sp: u64,
        saved: Option<Saved>,
    ) -> Option<FramePointer> {
        let from =
            |address| self.space.word(address).map(|value| FramePointer { value, from: Some(address) });
        match entry.bp {
            (Base::PreviousSp, offset) => from(sp.wrapping_add_signed(offset)),
            (Base::Bp, offset) => from(self.used_frame_pointer(place).ok()?.wrapping_add_signed(offset)),
            _ => match saved {
                Some(Saved::At(registers)) => from(registers.wrapping_add(pt_regs::BP)),
                _ => place.bp,
            },
        }
    }

    /// Follows the program's part. Why it ended early, if it did.
    fn program(&mut self, program: &mut Program, registers: (u64, u64, u64)) -> Option<Cut> {
        let space = self.space;
        let mut loads = Vec::new();
        let mut read = |address| {
            let word = space.word(address)?;
            loads.push((address, word));
            Some(word)
        };
        let mut each = |address| {
            if !space.is_program_code(address) {
                return Err(Cut::NoTable);
            }
            self.push(Entered::Call, address)
        };
        let cut = program.follow(registers, &mut read, &mut each);
        self.followed.loads.extend(loads);
        cut
    }
}

/// Where a register of the interrupted place was saved: in the vCPU, at an address; `None` if it wasn't.
fn where_saved(place: &Place, offset: u64) -> Option<Option<u64>> {
    place.saved.map(|saved| match saved {
        Saved::Vcpu => None,
        Saved::At(registers) => Some(registers.wrapping_add(offset)),
    })
}

#[cfg(test)]
mod tests;
