//! Patterns: filters over events, built up condition by condition.

use std::fmt;
use std::sync::Arc;

use super::target::Target;
use crate::definition::{Function, MemoryType, Path};
use crate::definitions::Definitions;
use crate::event::{Counted, DmaOutcome, Outcome};
use crate::view::{AccessView, View, What};

/// What an event has to be like. All conditions have to hold.
#[derive(Clone)]
pub struct Pattern {
    conditions: Vec<Condition>,
    /// Places, fields and a device that have to exist in the trace.
    targets: Vec<Target>,
    fields: Vec<String>,
    device: Option<String>,
}

#[derive(Clone)]
struct Condition {
    /// What it asks for.
    text: String,
    /// `Err` says what there is instead.
    test: Arc<Test>,
}

type Test = dyn Fn(&View) -> Result<(), String> + Send + Sync;

/// A read of a place: `BAR0.REGISTER`, `BAR0+0x8` or `BAR0`.
pub fn read(target: &str) -> Pattern {
    Pattern::access("read", |access| !access.write).at(target)
}

/// A write to a place.
pub fn write(target: &str) -> Pattern {
    Pattern::access("write", |access| access.write).at(target)
}

/// A read of a place, or a write to it.
pub fn access(target: &str) -> Pattern {
    any_access().at(target)
}

/// Any access at all, configuration space included.
pub fn any_access() -> Pattern {
    Pattern::access("access", |_| true)
}

/// A register at a place changes its value.
pub fn change(target: &str) -> Pattern {
    Pattern::kind("change", |what| matches!(what, What::Change { .. })).at(target)
}

/// A device sends the message of its vector `index`.
pub fn msi(index: u16) -> Pattern {
    let kind = move |what: &What| matches!(what, What::Msi { index: sent, .. } if *sent == index);
    Pattern::kind(&format!("msi {index}"), kind)
}

/// An interrupt cause that nothing could carry, for vector `index`.
pub fn interrupt_lost(index: u16) -> Pattern {
    let kind = move |what: &What| matches!(what, What::InterruptLost { index: lost, .. } if *lost == index);
    Pattern::kind(&format!("interrupt {index} lost"), kind)
}

/// A DMA transfer, done or refused.
pub fn dma() -> Pattern {
    Pattern::kind("dma", |what| matches!(what, What::Dma { .. }))
}

/// A device begins to work on something.
pub fn busy() -> Pattern {
    Pattern::kind("busy", |what| matches!(what, What::Busy { .. }))
}

/// A mark with this text.
pub fn mark(text: &str) -> Pattern {
    let wanted = text.to_owned();
    let kind = move |what: &What| matches!(what, What::Mark { text } if **text == *wanted);
    Pattern::kind(&format!("mark {text:?}"), kind)
}

/// A page fault that the guest reports: [`Counted::FaultResolved`] or [`Counted::FaultFatal`].
pub fn page_fault(how: Counted) -> Pattern {
    let text = if how == Counted::FaultFatal { "fatal page fault" } else { "resolved page fault" };
    Pattern::kind(text, move |what| matches!(what, What::Count { what, .. } if *what == how))
}

/// The guest makes a mapping this way.
pub fn map(path: Path) -> Pattern {
    let kind = move |what: &What| matches!(what, What::Map { mapping: Some(made), .. } if made.path == path);
    Pattern::kind(&format!("map by {path}"), kind)
}

/// The guest undoes a mapping that was made this way.
pub fn unmap(path: Path) -> Pattern {
    let kind =
        move |what: &What| matches!(what, What::Unmap { mapping: Some(undone), .. } if undone.path == path);
    Pattern::kind(&format!("unmap of {path}"), kind)
}

/// An instruction on device memory that KVM could not emulate.
pub fn not_emulated() -> Pattern {
    Pattern::kind("instruction that KVM can't emulate", |what| matches!(what, What::NotEmulated { .. }))
}

impl Pattern {
    fn kind(text: &str, test: impl Fn(&What) -> bool + Send + Sync + 'static) -> Self {
        let empty = Self { conditions: Vec::new(), targets: Vec::new(), fields: Vec::new(), device: None };
        empty.when(text, move |view| {
            test(&view.what).then_some(()).ok_or_else(|| "is something else".to_owned())
        })
    }

    fn access(text: &str, test: impl Fn(&AccessView) -> bool + Send + Sync + 'static) -> Self {
        Self::kind(text, move |what| matches!(what, What::Access(access) if test(access)))
    }

    /// Any other condition. `text` says what it asks for; `test` gives `Err` with what there is instead.
    #[must_use]
    pub fn when(
        mut self,
        text: &str,
        test: impl Fn(&View) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Condition { text: text.to_owned(), test: Arc::new(test) });
        self
    }

    /// `name` has to be `expected`; `actual` tells what it is, if the event has such a thing.
    fn equal<T: PartialEq + fmt::Display + Send + Sync + 'static>(
        self,
        name: &'static str,
        expected: T,
        actual: impl Fn(&View) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        self.when(&format!("{name} {expected}"), move |view| match actual(view) {
            Some(actual) if actual == expected => Ok(()),
            Some(actual) => Err(format!("{name} is {actual}, not {expected}")),
            None => Err(format!("{name} is unknown")),
        })
    }

    fn at(mut self, target: &str) -> Self {
        let target = Target::new(target);
        self.targets.push(target.clone());
        self.when(&target.text().to_owned(), move |view| match place(view) {
            Some(place) if target.matches(place) => Ok(()),
            Some(place) => Err(format!(
                "is at {}",
                place.register_name().map_or(place.to_string(), |name| format!("{}.{name}", place.region))
            )),
            None => Err("is at no place in a device".to_owned()),
        })
    }

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

    /// Through a mapping that this one asked for, like `user 1`.
    #[must_use]
    pub fn mapped_by(self, who: &str) -> Self {
        self.equal("mapped by", who.to_owned(), |view| Some(view.access()?.mapping.as_ref()?.who.clone()))
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
        self.when(&format!("device {name}"), move |view| match function(view) {
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
    pub fn from(self, old: u64) -> Self {
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

    /// A DMA transfer, or a page fault, at this address.
    #[must_use]
    pub fn address(self, address: u64) -> Self {
        self.equal("address", Hex(address), |view| match &view.what {
            What::Dma { address, .. } | What::Count { address, .. } => Some(Hex(*address)),
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

    /// Whether all conditions hold.
    pub fn matches(&self, view: &View) -> bool {
        self.conditions.iter().all(|condition| (condition.test)(view).is_ok())
    }

    /// How many conditions hold, and what is amiss with the others.
    pub(super) fn compare(&self, view: &View) -> (usize, Vec<String>) {
        let misses: Vec<_> =
            self.conditions.iter().filter_map(|condition| (condition.test)(view).err()).collect();
        (self.conditions.len() - misses.len(), misses)
    }

    /// Whether what it names exists. The error says what doesn't.
    pub(super) fn check(&self, definitions: &Definitions) -> Result<(), String> {
        let accepted =
            |function: &Function| self.device.as_ref().is_none_or(|name| is_called(function, name));
        if !definitions.functions().any(|(_, function)| accepted(function))
            && let Some(name) = &self.device
        {
            return Err(format!("the trace has no device {name}"));
        }
        match self.targets.first() {
            Some(target) => target.check(definitions, accepted, &self.fields),
            None if self.fields.is_empty() => Ok(()),
            None => Err(format!("no register is named that could have a field {}", self.fields[0])),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions.iter().enumerate() {
            let separator = match at {
                0 => "",
                1 if !self.targets.is_empty() => " ",
                _ => ", ",
            };
            write!(f, "{separator}{}", condition.text)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
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

fn is_called(function: &Function, name: &str) -> bool {
    function.name == name || function.bdf.to_string() == name
}

fn place(view: &View) -> Option<&crate::view::Place> {
    match &view.what {
        What::Access(access) => access.place.as_ref(),
        What::Change { place, .. } => Some(place),
        _ => None,
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

fn function(view: &View) -> Option<&Function> {
    match &view.what {
        What::Access(access) => access.place.as_ref()?.function.as_deref(),
        What::Change { place, .. } => place.function.as_deref(),
        What::Busy { function, .. }
        | What::Msi { function, .. }
        | What::InterruptLost { function, .. }
        | What::Dma { function, .. }
        | What::Route { function, .. } => function.as_deref(),
        _ => None,
    }
}
