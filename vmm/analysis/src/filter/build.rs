//! Filters made in Rust: what kind of event it is, then condition by condition.

use barscope_device::diagnostic::{Diagnostic, Span, did_you_mean};
use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{Counted, DmaOutcome, Outcome};

use super::Filter;
use super::expr::{Expr, Target, Term};
use super::field::Field;
use super::kind::Kinds;
use super::operand::{Op, Operand};
use crate::system_call;
use crate::view::Context;

/// A read of a place: `BAR0.REGISTER`, `BAR0+0x8` or `BAR0`.
pub fn read(target: &str) -> Filter {
    kind("read").at(target)
}

/// A write to a place.
pub fn write(target: &str) -> Filter {
    kind("write").at(target)
}

/// A read of a place, or a write to it.
pub fn access(target: &str) -> Filter {
    any_access().at(target)
}

/// Any access at all, configuration space included.
pub fn any_access() -> Filter {
    kind("access")
}

/// A register at a place changes its value.
pub fn change(target: &str) -> Filter {
    kind("change").at(target)
}

/// A device sends the message of its vector `index`.
pub fn msi(index: u16) -> Filter {
    kind("msi").number("index", index.into())
}

/// An interrupt cause that reached no processor, for vector `index`.
pub fn interrupt_lost(index: u16) -> Filter {
    kind("interrupt-lost").number("index", index.into())
}

/// An interrupt cause that its vector's mask holds back, for vector `index`.
pub fn interrupt_masked(index: u16) -> Filter {
    kind("interrupt-masked").number("index", index.into())
}

/// A device's interrupt pin is asserted, or deasserted.
pub fn intx(asserted: bool) -> Filter {
    kind("intx").flag("asserted", asserted)
}

/// A DMA transfer, done or refused.
pub fn dma() -> Filter {
    kind("dma")
}

/// A device begins to work on something.
pub fn busy() -> Filter {
    kind("busy")
}

/// A mark with this text.
pub fn mark(text: &str) -> Filter {
    kind("mark").text("text", text)
}

/// A console line that holds this text, in which `*` and `?` stand for others.
pub fn console(text: &str) -> Filter {
    kind("console").like("text", &format!("*{text}*"))
}

/// A console line with which a kernel begins to report an oops, BUG, WARN, panic, hung task, lockdep or KASAN.
pub fn oops() -> Filter {
    kind("oops")
}

/// A page fault that the guest reports: [`Counted::FaultResolved`] or [`Counted::FaultFatal`].
pub fn page_fault(how: Counted) -> Filter {
    kind(if how == Counted::FaultFatal { "fault-fatal" } else { "fault-resolved" })
}

/// The guest makes a mapping this way.
pub fn map(path: Path) -> Filter {
    kind("map").via(path)
}

/// The guest undoes a mapping that was made this way.
pub fn unmap(path: Path) -> Filter {
    kind("unmap").via(path)
}

/// An instruction on device memory that KVM could not emulate.
pub fn not_emulated() -> Filter {
    kind("not-emulated")
}

fn kind(name: &str) -> Filter {
    let kinds = Kinds::named(name).unwrap_or(Kinds::NONE);
    Filter { parts: vec![Expr::Is(Term::Kind(kinds), Span::default())], diagnostic: None }
}

impl Filter {
    fn is(mut self, term: Term) -> Self {
        self.parts.push(Expr::Is(term, Span::default()));
        self
    }

    fn at(mut self, target: &str) -> Self {
        match Target::parse(target) {
            Some((target, None)) => self.is(Term::At(target)),
            _ => {
                let message = format!("{target:?} names no place: BAR0, BAR0.REGISTER or BAR0+0x8 would");
                self.diagnostic = Some(Diagnostic::new(Span::default(), message));
                self
            }
        }
    }

    fn compared(self, name: &str, mask: Option<u64>, operand: Operand) -> Self {
        match Field::named(name) {
            Some(field) => self.is(Term::Field { field, mask, op: Op::Equal, operand }),
            None => self,
        }
    }

    fn number(self, name: &str, value: u64) -> Self {
        self.compared(name, None, Operand::Number(value))
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.compared(name, None, Operand::Text(value.to_owned()))
    }

    fn like(self, name: &str, pattern: &str) -> Self {
        match Field::named(name) {
            Some(field) => {
                let operand = Operand::Text(pattern.to_owned());
                self.is(Term::Field { field, mask: None, op: Op::Like, operand })
            }
            None => self,
        }
    }

    fn flag(self, name: &str, value: bool) -> Self {
        self.compared(name, None, Operand::Flag(value))
    }

    /// Made through a mapping of this kind.
    #[must_use]
    pub fn via(self, path: Path) -> Self {
        self.text("path", path.name())
    }

    /// Through a mapping that the guest announced, so that its path isn't inferred.
    #[must_use]
    pub fn announced(self) -> Self {
        self.flag("announced", true)
    }

    /// At this privilege level.
    #[must_use]
    pub fn cpl(self, level: u8) -> Self {
        self.number("cpl", level.into())
    }

    /// On this vCPU.
    #[must_use]
    pub fn vcpu(self, index: u8) -> Self {
        self.number("vcpu", index.into())
    }

    /// With this value: read, written, or held after a change; how many, of a count.
    #[must_use]
    pub fn value(self, value: u64) -> Self {
        self.number("value", value)
    }

    /// With these bits among those of `mask`.
    #[must_use]
    pub fn value_masked(self, mask: u64, value: u64) -> Self {
        self.compared("value", Some(mask), Operand::Number(value))
    }

    /// With `value` in the register's field `name`.
    #[must_use]
    pub fn field(self, name: &str, value: u64) -> Self {
        self.is(Term::Register { name: name.to_owned(), op: Op::Equal, operand: Operand::Number(value) })
    }

    /// Of this many bytes.
    #[must_use]
    pub fn width(self, bytes: u8) -> Self {
        self.number("width", bytes.into())
    }

    /// By code of this function, like `lab::probe`.
    #[must_use]
    pub fn function(self, name: &str) -> Self {
        self.text("function", name)
    }

    /// By code at this line of its function's source file.
    #[must_use]
    pub fn line(self, line: u32) -> Self {
        self.number("line", line.into())
    }

    /// By code of this source file, like `lab.rs`.
    #[must_use]
    pub fn file(self, name: &str) -> Self {
        self.text("file", name)
    }

    /// By this instruction, as in `mov [rdi+8],esi`.
    #[must_use]
    pub fn instruction(self, text: &str) -> Self {
        self.text("instruction", text)
    }

    /// Through a page that asks for this memory type.
    #[must_use]
    pub fn pat(self, memory_type: MemoryType) -> Self {
        self.text("pat", memory_type.name())
    }

    /// With this memory type in effect; never UC-.
    #[must_use]
    pub fn memory_type(self, memory_type: MemoryType) -> Self {
        self.text("memtype", memory_type.name())
    }

    /// Uncached: with UC in effect.
    #[must_use]
    pub fn uncached(self) -> Self {
        self.flag("uncached", true)
    }

    /// At this guest physical address.
    #[must_use]
    pub fn gpa(self, address: u64) -> Self {
        self.number("gpa", address)
    }

    /// At this guest virtual address.
    #[must_use]
    pub fn gva(self, address: u64) -> Self {
        self.number("gva", address)
    }

    /// In the address space of this CR3.
    #[must_use]
    pub fn cr3(self, cr3: u64) -> Self {
        self.number("cr3", cr3)
    }

    /// A mapping that this one asked for, like `user 1`, or an access through it.
    #[must_use]
    pub fn mapped_by(self, who: &str) -> Self {
        self.text("mapped-by", who)
    }

    /// Answered, or refused, this way.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.text("outcome", outcome.name())
    }

    /// Half of a read-modify-write instruction.
    #[must_use]
    pub fn read_modify_write(self) -> Self {
        self.flag("rmw", true)
    }

    /// By an interrupt handler, hard or threaded.
    #[must_use]
    pub fn in_handler(self) -> Self {
        self.flag("handler", true)
    }

    /// By code that runs as this: `in hard handler`, `in threaded handler`, `in softirq`.
    #[must_use]
    pub fn in_context(self, context: Context) -> Self {
        self.text("context", context.name())
    }

    /// On the way through this function, inlined or not: itself, or called by it, directly or not.
    #[must_use]
    pub fn in_stack(self, function: &str) -> Self {
        self.text("stack", function)
    }

    /// In a system call of this name, like `ioctl`.
    #[must_use]
    pub fn in_syscall(mut self, name: &str) -> Self {
        if !system_call::names().any(|known| known == name) {
            let hint = did_you_mean(name, system_call::names());
            let message = format!("Linux has no system call {name}{hint}");
            self.diagnostic = Some(Diagnostic::new(Span::default(), message));
        }
        self.text("syscall", name)
    }

    /// For a process of this command, in whichever ring.
    #[must_use]
    pub fn process(self, command: &str) -> Self {
        self.text("process", command)
    }

    /// For the process of this number, in whichever ring.
    #[must_use]
    pub fn pid(self, pid: u64) -> Self {
        self.number("pid", pid)
    }

    /// Led to by the access with this sequence number, directly or by way of an interrupt.
    #[must_use]
    pub fn caused_by(self, seq: u64) -> Self {
        self.number("cause", seq)
    }

    /// By this device, or of it: its name, or its address like `00:04.0`.
    #[must_use]
    pub fn device(self, name: &str) -> Self {
        self.is(Term::Device(name.to_owned()))
    }

    /// A message that KVM took, or didn't.
    #[must_use]
    pub fn delivered(self, delivered: bool) -> Self {
        self.flag("delivered", delivered)
    }

    /// A message for this vector.
    #[must_use]
    pub fn vector(self, vector: u8) -> Self {
        self.number("vector", vector.into())
    }

    /// A register that held this before it changed.
    #[must_use]
    pub fn was(self, old: u64) -> Self {
        self.number("old", old)
    }

    /// A DMA transfer that came out this way.
    #[must_use]
    pub fn dma_outcome(self, outcome: DmaOutcome) -> Self {
        self.text("outcome", outcome.name())
    }

    /// A DMA transfer, a page fault, or a mapping's beginning, at this address.
    #[must_use]
    pub fn address(self, address: u64) -> Self {
        self.number("address", address)
    }

    /// A page fault with this error code.
    #[must_use]
    pub fn error_code(self, code: u32) -> Self {
        self.number("error-code", code.into())
    }
}
