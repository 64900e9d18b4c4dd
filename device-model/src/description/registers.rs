//! The registers of one region, as a file has them: in any order, a row of equal ones written once.

use std::rc::Rc;

use toml::Spanned;
use toml::de::DeValue;

use super::number;
use super::table::{Shape, Table, kind};
use crate::address::Region;
use crate::diagnostic::{Diagnostic, Span, quoted};
use crate::register::{Access, BadField, BadMap, Field, Place, Register, RegisterMap};

/// The most registers, fields and named values of a description, together.
pub(super) const PARTS_MAX: usize = 1 << 16;

/// What takes a register's index in the name of a row of them.
const INDEX: &str = "#";

const REGISTER: Shape = Shape {
    what: "a register",
    example: "[[bar.register]]",
    keys: &[
        ("name", "\"STATUS\""),
        ("offset", "0x10"),
        ("size", "4"),
        ("access", "\"RW\""),
        ("reset", "0x0"),
        ("volatile", "true"),
        ("doc", "\"what it is for\""),
        ("fields", "[{ name = \"BUSY\", bits = 0 }]"),
        ("repeat", "{ count = 8, stride = 0x20 }"),
    ],
};

const MEMORY: Shape = Shape {
    what: "a range of memory",
    example: "[[bar.memory]]",
    keys: &[
        ("name", "\"BUFFER\""),
        ("offset", "0x1000"),
        ("size", "\"4 KiB\""),
        ("access", "\"RW\""),
        ("volatile", "true"),
        ("doc", "\"what it holds\""),
        ("repeat", "{ count = 8, stride = 0x20 }"),
    ],
};

const FIELD: Shape = Shape {
    what: "a field",
    example: "{ name = \"BUSY\", bits = 0 }",
    keys: &[
        ("name", "\"MODE\""),
        ("bits", "\"5:4\""),
        ("doc", "\"what it means\""),
        ("values", "{ 0 = \"OFF\", 1 = \"ON\" }"),
    ],
};

const REPEAT: Shape = Shape {
    what: "repeat",
    example: "{ count = 8, stride = 0x20 }",
    keys: &[("count", "8"), ("stride", "0x20")],
};

/// How many registers, fields and named values a file may still have.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(PARTS_MAX)
    }

    /// # Errors
    /// `count` are more than are left; what stands at `span` is to blame.
    fn take(&mut self, count: usize, span: Span) -> Result<(), Diagnostic> {
        let left = self.0.checked_sub(count);
        self.0 = left.ok_or_else(|| {
            let message =
                format!("that makes more than {PARTS_MAX} registers, fields and named values together");
            Diagnostic::new(span, message)
        })?;
        Ok(())
    }
}

/// A register, and where its parts stand.
struct Written {
    register: Register,
    places: Rc<Places>,
}

/// Where the parts of a register stand, or of each of a row.
struct Places {
    name: Span,
    offset: Span,
    size: Span,
    reset: Span,
    fields: Vec<FieldPlaces>,
}

#[derive(Clone)]
struct FieldPlaces {
    name: Span,
    bits: Span,
    values: Vec<Span>,
}

/// The registers and ranges of memory that stand in the table of a region of `size` bytes; `None` if there are none.
///
/// # Errors
/// Something that can't be read, or can't be.
pub(super) fn read(
    table: &Table<'_>,
    region: Region,
    size: u64,
    budget: &mut Budget,
) -> Result<Option<RegisterMap>, Diagnostic> {
    let mut all = Vec::new();
    for value in table.list("register")? {
        all.extend(register(&Table::of(&REGISTER, value)?, false, budget)?);
    }
    for value in table.list("memory")? {
        all.extend(register(&Table::of(&MEMORY, value)?, true, budget)?);
    }
    all.sort_by_key(|written| written.register.offset);
    let (registers, places): (Vec<_>, Vec<_>) =
        all.into_iter().map(|Written { register, places }| (register, places)).unzip();
    let map = RegisterMap { region, registers: registers.into() };
    match map.fault(size) {
        Some((place, bad)) => Err(Diagnostic::new(places[place.register].of(place, &bad), bad.to_string())),
        None => Ok(Some(map).filter(|map| !map.registers.is_empty())),
    }
}

impl Places {
    /// What is to blame for a fault.
    fn of(&self, place: Place, bad: &BadMap) -> Span {
        let field = place.field.and_then(|field| self.fields.get(field));
        match (bad, field) {
            (BadMap::Field { source, .. }, Some(field)) => match source {
                BadField::Name | BadField::TwoFields => field.name,
                _ => place.value.and_then(|value| field.values.get(value)).copied().unwrap_or(field.bits),
            },
            (BadMap::Name { .. } | BadMap::TwoRegisters { .. }, _) => self.name,
            (BadMap::Size { .. }, _) => self.size,
            (BadMap::Reset { .. } | BadMap::MemoryReset { .. }, _) => self.reset,
            _ => self.offset,
        }
    }
}

/// A register or a range of memory, or a row of them.
fn register(table: &Table<'_>, memory: bool, budget: &mut Budget) -> Result<Vec<Written>, Diagnostic> {
    let name = table.name("name")?;
    let offset = table.needed_number("offset", u64::MAX)?;
    let size = match (table.size("size")?, memory) {
        (Some(size), _) => size,
        (None, false) => 4,
        (None, true) => return Err(table.lacks("size")),
    };
    let mut fields = Vec::new();
    for value in table.list("fields")? {
        fields.push(field(&Table::of(&FIELD, value)?)?);
    }
    // Data sheets begin with the highest one.
    fields.sort_by_key(|(field, _)| field.lsb);
    let (fields, field_places): (Vec<_>, _) = fields.into_iter().unzip();
    let register = Register {
        name: name.to_owned().into(),
        offset,
        size,
        access: table
            .choice("access", &Access::ALL.map(|access| (access.abbreviation(), access)))?
            .unwrap_or(Access::ReadWrite),
        reset: table.number("reset", u64::MAX)?.unwrap_or(0),
        volatile: table.is_true("volatile")?,
        memory,
        fields: fields.into(),
        doc: table.text("doc")?.to_owned().into(),
    };
    let places = Rc::new(Places {
        name: table.place("name"),
        offset: table.place("offset"),
        size: table.place("size"),
        reset: table.place("reset"),
        fields: field_places,
    });
    let parts = 1 + register.fields.iter().map(|field| 1 + field.values.len()).sum::<usize>();
    let Some(repeat) = table.table("repeat", &REPEAT)? else {
        budget.take(parts, table.span)?;
        return Ok(vec![Written { register, places }]);
    };
    let count = repeat.needed_number("count", PARTS_MAX as u64)? as usize;
    let stride = repeat.needed_number("stride", u64::MAX)?;
    budget.take(parts.saturating_mul(count), repeat.place("count"))?;
    if count == 0 {
        return Err(Diagnostic::new(repeat.place("count"), "a row has at least one register"));
    }
    if name.matches(INDEX).count() != 1 {
        let message = format!(
            "the name of a row of registers has one {INDEX}, for their number, as in: name = \"DATA#\""
        );
        return Err(Diagnostic::new(table.place("name"), message));
    }
    let row = (0..count).map(|index| {
        let far = (index as u64).checked_mul(stride).and_then(|distance| offset.checked_add(distance));
        let offset = far.ok_or_else(|| {
            Diagnostic::new(
                repeat.place("stride"),
                format!("register {index} of the row would begin past 64 bits"),
            )
        })?;
        let name = name.replace(INDEX, &index.to_string()).into();
        Ok(Written { register: Register { name, offset, ..register.clone() }, places: places.clone() })
    });
    row.collect()
}

fn field(table: &Table<'_>) -> Result<(Field, FieldPlaces), Diagnostic> {
    let name = table.name("name")?;
    let (lsb, width) = table.bits("bits")?;
    let (mut values, mut value_places) = (Vec::new(), Vec::new());
    if let Some(written) = table.get("values") {
        for (value, name, place) in named_values(written)? {
            values.push((value, name.to_owned().into()));
            value_places.push(place);
        }
    }
    let doc = table.text("doc")?.to_owned().into();
    let places = FieldPlaces { name: table.place("name"), bits: table.place("bits"), values: value_places };
    Ok((Field { name: name.to_owned().into(), lsb, width, values: values.into(), doc }, places))
}

/// Values with their names, in the order of the file, and where each stands.
fn named_values<'a>(written: &'a Spanned<DeValue<'a>>) -> Result<Vec<(u64, &'a str, Span)>, Diagnostic> {
    let example = "as in: values = { 0 = \"OFF\", 1 = \"ON\" }";
    let DeValue::Table(entries) = written.get_ref() else {
        let message = format!("values is {}; it takes a table, {example}", kind(written.get_ref()));
        return Err(Diagnostic::new(written.span().into(), message));
    };
    let named = entries.iter().map(|(key, name)| {
        let value = number::parse(key.get_ref()).ok_or_else(|| {
            let message =
                format!("{} is no number; a value comes before its name, {example}", quoted(key.get_ref()));
            Diagnostic::new(key.span().into(), message)
        })?;
        let DeValue::String(text) = name.get_ref() else {
            let message =
                format!("the name of a value is a text in quotes, not {}, {example}", kind(name.get_ref()));
            return Err(Diagnostic::new(name.span().into(), message));
        };
        Ok((value, &**text, key.span().into()))
    });
    named.collect()
}
