//! The register that an access reached, and its fields before and after.

use barscope_device::Access;
use barscope_trace::event::Outcome;
use serde::Serialize;

use crate::serial::{as_hex, as_hex_or_null};
use crate::view::{AccessView, Place};

/// A register, or a range of device memory.
#[derive(Clone, Debug, Serialize)]
pub struct RegisterUse {
    /// Its name.
    pub name: String,
    /// Its offset in the region.
    #[serde(serialize_with = "as_hex")]
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What software may do with it.
    pub access: Access,
    /// Plain bytes.
    pub memory: bool,
    /// What it is for.
    pub doc: String,
    /// Its value before, if the access changed it.
    #[serde(serialize_with = "as_hex_or_null")]
    pub old: Option<u64>,
    /// Its value after, if the access changed it.
    #[serde(serialize_with = "as_hex_or_null")]
    pub new: Option<u64>,
    /// Its fields; empty unless the access covers it whole.
    pub fields: Vec<FieldUse>,
}

/// A field of a register.
#[derive(Clone, Debug, Serialize)]
pub struct FieldUse {
    /// Its name.
    pub name: String,
    /// Lowest bit.
    pub lsb: u8,
    /// Width in bits.
    pub width: u8,
    /// What was read or written.
    #[serde(serialize_with = "as_hex")]
    pub value: u64,
    /// The name of that value.
    pub value_name: Option<String>,
    /// The field before, if the access changed the register.
    #[serde(serialize_with = "as_hex_or_null")]
    pub old: Option<u64>,
    /// The field after, if the access changed the register.
    #[serde(serialize_with = "as_hex_or_null")]
    pub new: Option<u64>,
    /// What it means.
    pub doc: String,
}

impl RegisterUse {
    pub(super) fn new(access: AccessView<'_>) -> Option<Self> {
        let place = access.place()?;
        let register = place.register()?;
        let fields =
            if access.outcome == Outcome::Ok { place.fields(access.value, access.size) } else { Vec::new() };
        let fields = fields.iter().map(|(field, value)| FieldUse {
            name: field.name.to_string(),
            lsb: field.lsb,
            width: field.width,
            value: *value,
            value_name: field.value_name(*value).map(str::to_owned),
            old: None,
            new: None,
            doc: field.doc.to_string(),
        });
        Some(Self {
            name: register.name.to_string(),
            offset: register.offset,
            size: register.size,
            access: register.access,
            memory: register.memory,
            doc: register.doc.to_string(),
            old: None,
            new: None,
            fields: fields.collect(),
        })
    }

    /// The access changed something; the first time that it is this register counts.
    pub(super) fn changed(&mut self, accessed: &Place, place: &Place, old: u64, new: u64) {
        let here = place.bdf == accessed.bdf
            && place.region == accessed.region
            && place.register().is_some_and(|register| register.offset == self.offset);
        if !here || self.old.is_some() {
            return;
        }
        (self.old, self.new) = (Some(old), Some(new));
        let Some(register) = accessed.register() else { return };
        for field in &mut self.fields {
            if let Some(known) = register.fields.iter().find(|known| known.name == field.name) {
                (field.old, field.new) = (Some(known.extract(old)), Some(known.extract(new)));
            }
        }
    }
}

impl FieldUse {
    /// `OPCODE[31:0] 0 -> 1 FACTORIAL`.
    pub(super) fn describe(&self) -> String {
        let Self { name, lsb, width, value, .. } = self;
        let high = u16::from(*lsb) + u16::from(*width).saturating_sub(1);
        let bits = if *width == 1 { format!("[{lsb}]") } else { format!("[{high}:{lsb}]") };
        let number = |value: u64| if value < 10 { value.to_string() } else { format!("{value:#x}") };
        let meaning = self.value_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        match (self.old, self.new) {
            (Some(old), Some(new)) if old != new => {
                let meaning = if new == *value { meaning } else { String::new() };
                format!("{name}{bits} {} -> {}{meaning}", number(old), number(new))
            }
            (Some(old), Some(_)) if old != *value => format!("{name}{bits} {}", number(old)),
            _ => format!("{name}{bits} {}{meaning}", number(*value)),
        }
    }
}
