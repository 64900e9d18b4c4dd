//! Conditions on every field of an event.

use std::fmt;

use super::{Pattern, is_called, place};
use crate::definition::{Mapping, MemoryType, Path};
use crate::event::{DmaOutcome, Outcome};
use crate::view::{AccessView, View, What};

impl Pattern {
    /// Made through a mapping of this kind.
    #[must_use]
    pub fn via(self, path: Path) -> Self {
        self.equal("path", path, |view| view.access().map(AccessView::path))
    }

    /// Through a mapping that the guest announced, so that its path isn't inferred.
    #[must_use]
    pub fn announced(self) -> Self {
        self.when("announced", |view| match view.access() {
            Some(access) if access.announced() => Ok(()),
            _ => Err("its path is inferred".to_owned()),
        })
    }

    /// At this privilege level.
    #[must_use]
    pub fn cpl(self, level: u8) -> Self {
        self.equal("cpl", level, |view| view.access().map(|access| access.cpl))
    }

    /// On this vCPU.
    #[must_use]
    pub fn vcpu(self, index: u8) -> Self {
        self.equal("vcpu", index, |view| view.vcpu)
    }

    /// With this value: read, written, or held after a change; how many, of a count.
    #[must_use]
    pub fn value(self, value: u64) -> Self {
        self.equal("value", Hex(value), |view| value_of(view).map(Hex))
    }

    /// With these bits among those of `mask`.
    #[must_use]
    pub fn value_masked(self, mask: u64, value: u64) -> Self {
        let text = format!("value & {mask:#x} == {value:#x}");
        self.when(&text, move |view| match value_of(view) {
            Some(actual) if actual & mask == value => Ok(()),
            Some(actual) => Err(format!("value is {actual:#x}")),
            None => Err("value is unknown".to_owned()),
        })
    }

    /// With `value` in the register's field `name`.
    #[must_use]
    pub fn field(mut self, name: &str, value: u64) -> Self {
        self.fields.push(name.to_owned());
        let name = name.to_owned();
        self.when(&format!("{name}={value:#x}"), move |view| {
            let held = place(view).zip(value_of(view)).and_then(|(place, content)| {
                let size = view.access().map_or(8, |access| access.size);
                let fields = place.fields(content, size);
                fields.into_iter().find(|(field, _)| field.name == name).map(|(_, held)| held)
            });
            match held {
                Some(held) if held == value => Ok(()),
                Some(held) => Err(format!("{name} is {held:#x}, not {value:#x}")),
                None => Err(format!("it doesn't cover {name}")),
            }
        })
    }

    /// Of this many bytes.
    #[must_use]
    pub fn width(self, bytes: u8) -> Self {
        self.equal("width", bytes, |view| view.access().map(|access| access.size))
    }

    /// By code of this function, like `lab::probe`.
    #[must_use]
    pub fn function(self, name: &str) -> Self {
        self.equal("function", name.to_owned(), |view| view.access()?.function().map(str::to_owned))
    }

    /// By code at this line of its function's source file.
    #[must_use]
    pub fn line(self, line: u32) -> Self {
        self.equal("line", line, |view| view.access()?.code.as_ref()?.symbol.as_ref()?.line)
    }

    /// By code of this source file, like `lab.rs`.
    #[must_use]
    pub fn file(self, name: &str) -> Self {
        self.equal("file", name.to_owned(), |view| {
            view.access()?.code.as_ref()?.symbol.as_ref()?.file.clone()
        })
    }

    /// By this instruction, as in `mov [rdi+8],esi`.
    #[must_use]
    pub fn instruction(self, text: &str) -> Self {
        self.equal("instruction", text.to_owned(), |view| Some(view.access()?.code.as_ref()?.text.clone()))
    }

    /// Through a page of this memory type.
    #[must_use]
    pub fn memory_type(self, memory_type: MemoryType) -> Self {
        self.equal("memory type", memory_type, |view| view.access()?.memory_type())
    }

    /// Through a page of memory type UC or UC-.
    #[must_use]
    pub fn uncached(self) -> Self {
        self.when("uncached", |view| match view.access().and_then(AccessView::memory_type) {
            Some(memory_type) if memory_type.uncached() => Ok(()),
            Some(memory_type) => Err(format!("memory type is {memory_type}")),
            None => Err("memory type is unknown".to_owned()),
        })
    }

    /// At this guest physical address.
    #[must_use]
    pub fn gpa(self, address: u64) -> Self {
        self.equal("gpa", Hex(address), |view| view.access()?.gpa().map(Hex))
    }

    /// At this guest virtual address.
    #[must_use]
    pub fn gva(self, address: u64) -> Self {
        self.equal("gva", Hex(address), |view| view.access()?.gva().map(Hex))
    }

    /// In the address space of this CR3.
    #[must_use]
    pub fn cr3(self, cr3: u64) -> Self {
        self.equal("cr3", Hex(cr3), |view| Some(Hex(view.access()?.walk.as_ref()?.cr3)))
    }

    /// A mapping that this one asked for, like `user 1`, or an access through it.
    #[must_use]
    pub fn mapped_by(self, who: &str) -> Self {
        self.equal("mapped by", who.to_owned(), |view| Some(mapping(view)?.who.clone()))
    }

    /// Answered, or refused, this way.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.when(&format!("outcome {outcome:?}"), move |view| match view.access() {
            Some(access) if access.outcome == outcome => Ok(()),
            Some(access) => Err(format!("outcome is {:?}, not {outcome:?}", access.outcome)),
            None => Err("outcome is unknown".to_owned()),
        })
    }

    /// Half of a read-modify-write instruction.
    #[must_use]
    pub fn read_modify_write(self) -> Self {
        self.when("read-modify-write", |view| match view.access() {
            Some(access) if access.read_modify_write => Ok(()),
            _ => Err("is no half of a read-modify-write".to_owned()),
        })
    }

    /// By the handler of an interrupt that an access led to.
    #[must_use]
    pub fn in_handler(self) -> Self {
        self.when("in an interrupt handler", |view| match view.access() {
            Some(access) if access.caused_by.is_some() => Ok(()),
            _ => Err("is in no interrupt handler".to_owned()),
        })
    }

    /// Led to by the access with this sequence number, directly or by way of an interrupt.
    #[must_use]
    pub fn caused_by(self, seq: u64) -> Self {
        self.equal("cause", seq, View::cause)
    }

    /// By this device, or of it: its name, or its address like `00:04.0`.
    #[must_use]
    pub fn device(mut self, name: &str) -> Self {
        self.device = Some(name.to_owned());
        let name = name.to_owned();
        self.when(&format!("device {name}"), move |view| match view.function() {
            Some(function) if is_called(function, &name) => Ok(()),
            Some(function) => Err(format!("device is {} {}", function.bdf, function.name)),
            None => Err("device is unknown".to_owned()),
        })
    }

    /// A message that KVM took, or didn't.
    #[must_use]
    pub fn delivered(self, delivered: bool) -> Self {
        self.equal("delivered", delivered, |view| match &view.what {
            What::Msi { delivered, .. } => Some(*delivered),
            _ => None,
        })
    }

    /// A message for this vector.
    #[must_use]
    pub fn vector(self, vector: u8) -> Self {
        self.equal("vector", Hex(vector.into()), |view| match &view.what {
            What::Msi { data, .. } => Some(Hex(u64::from(*data) & 0xff)),
            _ => None,
        })
    }

    /// A register that held this before it changed.
    #[must_use]
    pub fn was(self, old: u64) -> Self {
        self.equal("old value", Hex(old), |view| match &view.what {
            What::Change { old, .. } => Some(Hex(*old)),
            _ => None,
        })
    }

    /// A DMA transfer that came out this way.
    #[must_use]
    pub fn dma_outcome(self, outcome: DmaOutcome) -> Self {
        self.when(&format!("outcome {outcome:?}"), move |view| match &view.what {
            What::Dma { outcome: actual, .. } if *actual == outcome => Ok(()),
            What::Dma { outcome: actual, .. } => Err(format!("outcome is {actual:?}, not {outcome:?}")),
            _ => Err("is no DMA".to_owned()),
        })
    }

    /// A DMA transfer, a page fault, or a mapping's beginning, at this address.
    #[must_use]
    pub fn address(self, address: u64) -> Self {
        self.equal("address", Hex(address), |view| match &view.what {
            What::Dma { address, .. } | What::Count { address, .. } => Some(Hex(*address)),
            What::Map { .. } | What::Unmap { .. } => Some(Hex(mapping(view)?.virtual_address)),
            _ => None,
        })
    }

    /// A page fault with this error code.
    #[must_use]
    pub fn error_code(self, code: u32) -> Self {
        self.equal("error code", Hex(code.into()), |view| match &view.what {
            What::Count { error_code, .. } => Some(Hex((*error_code).into())),
            _ => None,
        })
    }
}

/// A number that prints in hexadecimal.
#[derive(PartialEq)]
struct Hex(u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

fn value_of(view: &View) -> Option<u64> {
    match &view.what {
        What::Access(access) => Some(access.value),
        What::Change { new, .. } => Some(*new),
        What::Count { value, .. } => Some(*value),
        _ => None,
    }
}

/// The mapping that an event is about.
fn mapping(view: &View) -> Option<&Mapping> {
    match &view.what {
        What::Access(access) => access.mapping.as_deref(),
        What::Map { mapping, .. } | What::Unmap { mapping, .. } => mapping.as_deref(),
        _ => None,
    }
}
