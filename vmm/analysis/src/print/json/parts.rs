//! What events refer to, as objects of their own. Each borrows what it says.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::definition::{Entered, Mapping, MemoryType, Process, Walk};
use barscope_trace::event::MemoryOperand;
use rustc_hash::FxHashMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::serial::{Address, Hex, ProcessObject, Text, region_name};
use crate::symbols::Inlined;
use crate::view::{Absence, Call, Callers, Code, Made, Place, Why};

/// A page walk.
#[derive(Serialize)]
pub(super) struct WalkObject<'a> {
    cr3: Hex,
    page_size: u64,
    entries: Numbers<'a>,
    user: bool,
    writable: bool,
    pat: Option<MemoryType>,
    mtrr: Option<MemoryType>,
    memory_type: MemoryType,
}

impl<'a> From<&'a Walk> for WalkObject<'a> {
    fn from(walk: &'a Walk) -> Self {
        Self {
            cr3: Hex(walk.cr3),
            page_size: walk.page_size,
            entries: Numbers(&walk.entries),
            user: walk.user,
            writable: walk.writable,
            pat: walk.pat,
            mtrr: walk.mtrr,
            memory_type: walk.memory_type,
        }
    }
}

struct Numbers<'a>(&'a [u64]);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().copied().map(Hex))
    }
}

/// A mapping.
#[derive(Serialize)]
pub(super) struct MappingObject<'a> {
    path: &'static str,
    virtual_address: Hex,
    physical_address: Hex,
    length: u64,
    cr3: Option<Hex>,
    on_fault: bool,
    who: &'a str,
    call: &'a str,
    of: Option<FilePartObject<'a>>,
}

/// A part of a file.
#[derive(Serialize)]
struct FilePartObject<'a> {
    file: &'a str,
    offset: u64,
}

impl<'a> From<&'a Mapping> for MappingObject<'a> {
    fn from(mapping: &'a Mapping) -> Self {
        Self {
            path: mapping.path.name(),
            virtual_address: Hex(mapping.virtual_address),
            physical_address: Hex(mapping.physical_address),
            length: mapping.length,
            cr3: mapping.address_space.map(Hex),
            on_fault: mapping.on_fault,
            who: &mapping.who,
            call: &mapping.call,
            of: mapping.of.as_ref().map(|of| FilePartObject { file: &of.file, offset: of.offset }),
        }
    }
}

/// An instruction.
#[derive(Serialize)]
pub(super) struct CodeObject<'a> {
    rip: Hex,
    bytes: String,
    bits: u8,
    instruction: &'a str,
    ambiguous: bool,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    module: Option<&'a str>,
    offset: Option<Hex>,
    inlined: Vec<InlinedObject<'a>>,
}

/// A function that was inlined where the instruction is.
#[derive(Serialize)]
struct InlinedObject<'a> {
    function: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

impl<'a> From<&'a Inlined> for InlinedObject<'a> {
    fn from(inlined: &'a Inlined) -> Self {
        Self { function: &inlined.function, file: inlined.file.as_deref(), line: inlined.line }
    }
}

impl<'a> From<&'a Code> for CodeObject<'a> {
    fn from(code: &'a Code) -> Self {
        let symbol = code.symbol.as_ref();
        Self {
            rip: Hex(code.rip),
            bytes: code.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            bits: code.bits,
            instruction: &code.text,
            ambiguous: code.ambiguous,
            function: symbol.map(|symbol| &*symbol.function),
            file: symbol.and_then(|symbol| symbol.file.as_deref()),
            line: symbol.and_then(|symbol| symbol.line),
            module: symbol.and_then(|symbol| symbol.module.as_deref()),
            offset: symbol.and_then(|symbol| symbol.offset).map(Hex),
            inlined: symbol.into_iter().flat_map(|symbol| &symbol.inlined).map(InlinedObject::from).collect(),
        }
    }
}

/// Who made an access.
pub(super) struct MadeObject<'a>(pub(super) Made<'a>);

impl Serialize for MadeObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Made { by, inlined_into, accessor, asked_by, .. } = self.0;
        let mut object = serializer.serialize_map(Some(7))?;
        object.serialize_entry("function", &by.function)?;
        object.serialize_entry("file", &by.file)?;
        object.serialize_entry("line", &by.line)?;
        object.serialize_entry("module", &by.module())?;
        object.serialize_entry("inlined_into", &inlined_into.map(CallObject))?;
        object.serialize_entry("accessor", &accessor)?;
        object.serialize_entry("asked_by", &asked_by.map(CallObject))?;
        object.end()
    }
}

/// A function on the way to an access.
struct CallObject<'a>(Call<'a>);

impl Serialize for CallObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = &self.0;
        let (entered, number) = match call.entered {
            None => (None, None),
            Some(Entered::Call) => (Some("call"), None),
            Some(Entered::SystemCall { number }) => (Some("system-call"), Some(number)),
            Some(Entered::Interrupt) => (Some("interrupt"), None),
            Some(Entered::Exception) => (Some("exception"), None),
        };
        let offset = call.symbol.filter(|_| !call.inlined).and_then(|symbol| symbol.offset);
        let mut object = serializer.serialize_map(Some(9))?;
        object.serialize_entry("entered", &entered)?;
        object.serialize_entry("number", &number)?;
        object.serialize_entry("address", &Hex(call.address))?;
        object.serialize_entry("function", &call.function)?;
        object.serialize_entry("file", &call.file)?;
        object.serialize_entry("line", &call.line)?;
        object.serialize_entry("module", &call.module())?;
        object.serialize_entry("offset", &offset.map(Hex))?;
        object.serialize_entry("inlined", &call.inlined)?;
        object.end()
    }
}

/// A call stack.
pub(super) struct StackObject<'a>(pub(super) &'a Callers);

impl Serialize for StackObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let callers = self.0;
        let mut object = serializer.serialize_map(Some(4))?;
        object.serialize_entry("process", &callers.process.as_deref().map(ProcessObject::from))?;
        object.serialize_entry("interrupts", &callers.interrupts())?;
        object.serialize_entry("cut", &callers.cut)?;
        object.serialize_entry("frames", &Frames(callers))?;
        object.end()
    }
}

struct Frames<'a>(&'a Callers);

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.calls().map(CallObject))
    }
}

/// What an instruction does with its operand in memory.
#[derive(Serialize)]
pub(super) struct OperandObject {
    reads: bool,
    writes: bool,
    size: u8,
}

impl From<MemoryOperand> for OperandObject {
    fn from(operand: MemoryOperand) -> Self {
        Self { reads: operand.reads, writes: operand.writes, size: operand.size }
    }
}

/// What is not where an access went.
#[derive(Serialize)]
pub(super) struct AbsenceObject<'a> {
    bdf: Text<Bdf>,
    device: &'a str,
    region: Text<Region>,
    address: Option<Hex>,
    was_there: bool,
    since: Option<u64>,
    why: Reason,
    moved_to: Option<Hex>,
}

impl<'a> From<&'a Absence> for AbsenceObject<'a> {
    fn from(absent: &'a Absence) -> Self {
        Self {
            bdf: Text(absent.function.bdf),
            device: &absent.function.name,
            region: Text(absent.region),
            address: absent.base.map(Hex),
            was_there: absent.was_there,
            since: absent.since,
            why: Reason(absent.why),
            moved_to: match absent.why {
                Why::Moved { to } => to.map(Hex),
                _ => None,
            },
        }
    }
}

/// Why a region isn't decoded, in one word.
struct Reason(Why);

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// A place in a device.
pub(super) struct PlaceObject<'a>(pub(super) &'a Place);

impl Serialize for PlaceObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        place(&mut object, Some(self.0))?;
        object.end()
    }
}

/// The properties of a place, or of none.
pub(super) fn place<M: SerializeMap>(object: &mut M, place: Option<&Place>) -> Result<(), M::Error> {
    let device = place.map(Place::device).filter(|name| !name.is_empty());
    object.serialize_entry("bdf", &place.and_then(|place| place.bdf).map(Address))?;
    object.serialize_entry("device", &device)?;
    object.serialize_entry("region", &place.map(|place| region_name(place.region)))?;
    object.serialize_entry("offset", &place.map(|place| Hex(place.offset)))?;
    match place.and_then(Place::register_and_rest) {
        Some((name, None)) => object.serialize_entry("register", name),
        Some((name, Some(within))) => {
            object.serialize_entry("register", &Text(format_args!("{name}+{within:#x}")))
        }
        None => object.serialize_entry("register", &()),
    }
}

/// The fields of a register that a value covers, by their names.
pub(super) struct RegisterFields<'a> {
    pub(super) place: &'a Place,
    pub(super) value: u64,
    pub(super) size: u8,
}

impl Serialize for RegisterFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.place.fields(self.value, self.size);
        if fields.is_empty() {
            return serializer.serialize_none();
        }
        let mut object = serializer.serialize_map(Some(fields.len()))?;
        for (field, held) in fields {
            object.serialize_key(&field.name)?;
            match field.value_name(held) {
                Some(name) => object.serialize_value(name)?,
                None => object.serialize_value(&Hex(held))?,
            }
        }
        object.end()
    }
}

/// Objects that were written before: what many events refer to is the same.
#[derive(Default)]
pub(super) struct Known {
    pub(super) walks: Written<Walk>,
    pub(super) mappings: Written<Mapping>,
    pub(super) processes: Written<Process>,
    pub(super) codes: Written<Code>,
    /// Who made accesses of which no callers are known, by their code.
    pub(super) makers: Written<Code>,
    pub(super) stacks: Written<Callers>,
}

/// The same of one kind of object, by where it lies in memory.
pub(super) struct Written<T>(RefCell<FxHashMap<usize, WrittenOne<T>>>);

/// An object, which is kept so that no other one lies there, and its JSON.
type WrittenOne<T> = (Arc<T>, Arc<RawValue>);

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self(RefCell::new(HashMap::default()))
    }
}

impl<T> Written<T> {
    /// The object as it is written; `make` says how.
    pub(super) fn get(
        &self,
        object: &Arc<T>,
        make: impl FnOnce(&T) -> serde_json::Result<Box<RawValue>>,
    ) -> serde_json::Result<Arc<RawValue>> {
        let key = Arc::as_ptr(object).addr();
        if let Some((_, written)) = self.0.borrow().get(&key) {
            return Ok(Arc::clone(written));
        }
        let written = Arc::<RawValue>::from(make(object)?);
        self.0.borrow_mut().insert(key, (Arc::clone(object), Arc::clone(&written)));
        Ok(written)
    }
}
