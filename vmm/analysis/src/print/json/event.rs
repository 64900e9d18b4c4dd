//! An event as an object: what all have, what it is about, the fields of its kind, and what follows from those.

use std::sync::Arc;

use barscope_trace::event::{EventKind, Field, Kind, Role, Value, Visitor};
use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::parts::{
    AbsenceObject, CodeObject, Known, MadeObject, MappingObject, OperandObject, PlaceObject, RegisterFields,
    StackObject, WalkObject, Written, place,
};
use crate::serial::{Address, Hex, ProcessObject, region_name};
use crate::system_call;
use crate::view::{BusAddress, Context, View};
use crate::words;

/// One object, the same wherever a record is printed as JSON.
impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line { view: self, known: None }.serialize(serializer)
    }
}

/// An event, and the objects that were written before.
pub(super) struct Line<'a> {
    pub(super) view: &'a View,
    pub(super) known: Option<&'a Known>,
}

/// What says which device, and where in it, an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A place in a device.
    Place,
    /// A region.
    Region,
    /// A device.
    Device,
    /// Nothing.
    None,
}

impl Subject {
    /// The subject of a kind of event.
    pub(super) const fn of(kind: &Kind) -> Self {
        if kind.has(Role::Offset) || kind.has(Role::Walk) {
            Subject::Place
        } else if kind.has(Role::Route) {
            Subject::Region
        } else if kind.has(Role::Function) {
            Subject::Device
        } else {
            Subject::None
        }
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = self.view;
        let kind = view.kind.kind();
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("seq", &view.seq)?;
        object.serialize_entry("event", kind.name)?;
        object.serialize_entry("device_ns", &view.device_ns)?;
        object.serialize_entry("host_ns", &view.host_ns)?;
        object.serialize_entry("vcpu", &view.vcpu)?;
        object.serialize_entry("scenario", &view.scenario.as_deref())?;
        object.serialize_entry("cause", &view.cause())?;
        subject(&mut object, view, Subject::of(kind))?;
        let mut fields = Fields { object, line: self, result: Ok(()) };
        view.kind.visit(&mut fields);
        fields.result?;
        let mut object = fields.object;
        derived(&mut object, view)?;
        object.end()
    }
}

fn subject<M: SerializeMap>(object: &mut M, view: &View, subject: Subject) -> Result<(), M::Error> {
    match subject {
        Subject::None => return Ok(()),
        Subject::Place => return place(object, view.place()),
        Subject::Region | Subject::Device => {}
    }
    let function = view.function();
    object.serialize_entry("bdf", &function.map(|function| Address(function.bdf)))?;
    object.serialize_entry("device", &function.map(|function| &function.name))?;
    if subject == Subject::Region {
        object.serialize_entry("region", &view.route().map(|route| region_name(route.region)))?;
    }
    Ok(())
}

/// Writes the fields of a kind, each by its role.
struct Fields<'a, M: SerializeMap> {
    object: M,
    line: &'a Line<'a>,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Visitor for Fields<'_, M> {
    #[inline]
    fn field(&mut self, field: &'static Field, value: Value) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }
}

impl<M: SerializeMap> Fields<'_, M> {
    #[inline]
    fn write(&mut self, field: &'static Field, value: Value) -> Result<(), M::Error> {
        let view = self.line.view;
        match field.role {
            // What all have, and the subject, say it.
            Role::Function | Role::Route | Role::Region | Role::Offset | Role::Cause | Role::Scenario => {
                Ok(())
            }
            Role::Stack => self.stack(),
            Role::Process => self.process(),
            Role::Walk => self.walk(),
            Role::Instruction => {
                let code = view.code.as_ref();
                self.part("code", code, |known| &known.codes, |code| to_raw_value(&CodeObject::from(code)))
            }
            Role::Mapping => self.mapping(),
            Role::Text => self.object.serialize_entry(field.name, &view.text()),
            Role::Pat => self.object.serialize_entry(field.name, &view.pat()),
            Role::MemoryType => self.object.serialize_entry(field.name, &view.memory_type()),
            _ => self.value(field, value),
        }
    }

    #[inline]
    fn value(&mut self, field: &'static Field, value: Value) -> Result<(), M::Error> {
        let object = &mut self.object;
        match value {
            Value::None => object.serialize_entry(field.name, &()),
            Value::Number(number) if field.role.is_hex() => object.serialize_entry(field.name, &Hex(number)),
            Value::Number(number) => object.serialize_entry(field.name, &number),
            Value::Flag(flag) => object.serialize_entry(field.name, &flag),
            Value::Name(name) => object.serialize_entry(field.name, name),
            Value::Region(region) => object.serialize_entry(field.name, region_name(region)),
            Value::Operand(operand) => object.serialize_entry(field.name, &OperandObject::from(operand)),
            Value::Target(_) => {
                let (gpa, port) = match self.line.view.access().map(|access| access.address()) {
                    Some(BusAddress::Memory(address)) => (Some(Hex(address)), None),
                    Some(BusAddress::Port(port)) => (None, Some(Hex(port.into()))),
                    None => (None, None),
                };
                object.serialize_entry("gpa", &gpa)?;
                object.serialize_entry("port", &port)
            }
        }
    }

    /// The page walk, and what it shows.
    fn walk(&mut self) -> Result<(), M::Error> {
        let view = self.line.view;
        let announced = view.walk().is_some_and(|walk| walk.announced);
        self.object.serialize_entry("path", &view.path().map(barscope_trace::definition::Path::name))?;
        self.object.serialize_entry("announced", &announced)?;
        self.object.serialize_entry("gva", &view.gva().map(Hex))?;
        let walk = view.walk.as_ref();
        self.part("walk", walk, |known| &known.walks, |walk| to_raw_value(&WalkObject::from(walk)))?;
        self.mapping()?;
        self.process()
    }

    fn process(&mut self) -> Result<(), M::Error> {
        let process = self.line.view.process.as_ref();
        let make = |process: &_| to_raw_value(&ProcessObject::from(process));
        self.part("process", process, |known| &known.processes, make)
    }

    /// The call stack, and what it shows.
    fn stack(&mut self) -> Result<(), M::Error> {
        let view = self.line.view;
        match &view.code {
            // Without callers the code alone says it.
            Some(code) if view.callers.is_none() => {
                let make = |_: &_| to_raw_value(&view.made().map(MadeObject));
                self.part("made_by", Some(code), |known| &known.makers, make)?;
            }
            _ => self.object.serialize_entry("made_by", &view.made().map(MadeObject))?,
        }
        self.object.serialize_entry("context", &view.context.map(Context::name))?;
        let system_call = view.system_call().map(system_call::described);
        self.object.serialize_entry("system_call", &system_call)?;
        let callers = view.callers.as_ref();
        self.part("stack", callers, |known| &known.stacks, |callers| to_raw_value(&StackObject(callers)))
    }

    fn mapping(&mut self) -> Result<(), M::Error> {
        let mapping = self.line.view.mapping.as_ref();
        let make = |mapping: &_| to_raw_value(&MappingObject::from(mapping));
        self.part("mapping", mapping, |known| &known.mappings, make)
    }

    /// Something that an event refers to.
    fn part<T>(
        &mut self,
        key: &'static str,
        part: Option<&Arc<T>>,
        of: impl FnOnce(&Known) -> &Written<T>,
        make: impl FnOnce(&T) -> serde_json::Result<Box<RawValue>>,
    ) -> Result<(), M::Error> {
        let Some(part) = part else { return self.object.serialize_entry(key, &()) };
        match self.line.known {
            Some(known) => {
                let written = of(known).get(part, make).map_err(M::Error::custom)?;
                self.object.serialize_entry(key, &*written)
            }
            None => {
                let written = make(part).map_err(M::Error::custom)?;
                self.object.serialize_entry(key, &written)
            }
        }
    }
}

/// What follows from the fields, where somebody would have to look it up.
fn derived<M: SerializeMap>(object: &mut M, view: &View) -> Result<(), M::Error> {
    match view.kind {
        EventKind::Access(access) => {
            let fields =
                view.place().map(|place| RegisterFields { place, value: access.value, size: access.size });
            object.serialize_entry("fields", &fields)?;
            let access = view.access();
            object.serialize_entry("absent", &access.and_then(|it| it.absent()).map(AbsenceObject::from))?;
            object.serialize_entry("selects", &access.and_then(|it| it.selects()).map(PlaceObject))
        }
        EventKind::Count { .. } => {
            object.serialize_entry("system_call", &view.system_call().map(system_call::described))
        }
        EventKind::Busy { .. } => object.serialize_entry("duration_ns", &view.busy_ns()),
        EventKind::AddressCut { asked, bits, .. } => {
            object.serialize_entry("used", &Hex(words::cut(asked, bits)))
        }
        EventKind::Route { .. } => {
            object.serialize_entry("address", &view.route().map(|route| Hex(route.base)))?;
            object.serialize_entry("size", &view.route().map(|route| route.size))
        }
        _ => Ok(()),
    }
}
