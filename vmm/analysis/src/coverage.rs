//! What of the devices' registers a guest made use of.
//!
//! A [`Coverage`] looks at the BARs of every PCI function of a trace, as their register maps describe
//! them. Three things are counted, each as a [`Share`] of all that there are:
//!
//! * **Registers**: all in the register maps of BARs, ranges of device memory aside. Bytes that no map
//!   describes, the ROM and configuration space are in no count. A register is covered once the device
//!   answered an access whose first byte belongs to it, read or write, of whatever width and by whomever; or
//!   once the guest rang it as a doorbell that KVM took.
//! * **Fields**: all of those registers. A field is covered once an answered access carried a bit of it
//!   that is one, read or written. So a field that was only ever zero isn't.
//! * **Values**: all enumerated values of those fields. One is covered once an answered access carried the
//!   whole field, with this value in it; a value may be zero.
//!
//! An access that was refused (wrong width, read-only, ignored while busy) covers nothing. Nor does one that
//! nobody saw: where a BAR was mapped directly, true coverage may be higher. Of a doorbell that KVM took only
//! the register is covered, for its value isn't known.

mod share;

use std::fmt;
use std::sync::Arc;

use barscope_device::{Bdf, Field, Region, Register, low_bytes};
use barscope_trace::Definitions;
use barscope_trace::definition::Function;
use barscope_trace::event::{EventKind, Outcome};
use serde::Serialize;

pub use share::{Counts, Share};

use crate::serial::{as_hex, as_text};
use crate::view::{Place, View};

/// What was covered, of every function that is known.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Coverage {
    functions: Vec<FunctionCoverage>,
}

/// What was covered of a function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionCoverage {
    /// Its address.
    #[serde(serialize_with = "as_text")]
    pub bdf: Bdf,
    /// The model's name.
    #[serde(rename = "device")]
    pub name: String,
    /// Its BARs that have registers, in the order of its register maps.
    pub regions: Vec<RegionCoverage>,
    #[serde(skip)]
    definition: Arc<Function>,
}

/// What was covered of a BAR.
#[derive(Clone, Debug, Serialize)]
pub struct RegionCoverage {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub region: Region,
    /// Its registers by offset.
    pub registers: Vec<RegisterCoverage>,
}

/// What was covered of a register.
#[derive(Clone, Debug, Serialize)]
pub struct RegisterCoverage {
    /// Its name.
    pub name: String,
    /// Its offset in the region.
    #[serde(serialize_with = "as_hex")]
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is covered.
    pub covered: bool,
    /// Its fields, lowest first.
    pub fields: Vec<FieldCoverage>,
    /// Bits that were ones in some access.
    #[serde(skip)]
    ones: u64,
    /// A field has enumerated values that weren't seen.
    #[serde(skip)]
    values_missing: bool,
}

/// What was covered of a field.
#[derive(Clone, Debug, Serialize)]
pub struct FieldCoverage {
    /// Its name.
    pub name: String,
    /// Whether it is covered.
    pub covered: bool,
    /// Its enumerated values.
    pub values: Vec<ValueCoverage>,
    #[serde(skip)]
    field: Field,
}

/// Whether an enumerated value is covered.
#[derive(Clone, Debug, Serialize)]
pub struct ValueCoverage {
    /// The value.
    #[serde(serialize_with = "as_hex")]
    pub value: u64,
    /// Its name.
    pub name: String,
    /// Whether it is covered.
    pub covered: bool,
}

/// Where a register stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    function: u32,
    region: u32,
    register: u32,
}

impl Coverage {
    /// Nothing is covered so far of any function in `definitions`.
    pub fn new(definitions: &Definitions) -> Self {
        let mut coverage = Self::default();
        for (_, function) in definitions.functions() {
            coverage.function(&Arc::new(function.clone()));
        }
        coverage
    }

    /// Counts what a view covers. A function that wasn't known is from then on.
    pub fn add(&mut self, view: &View) {
        let Some(place) = view.place() else { return };
        match view.kind {
            EventKind::Access(access) if access.outcome == Outcome::Ok => {
                if let Some(slot) = self.slot_of(place) {
                    self.carry(slot, place.offset, access.size, access.value);
                }
            }
            EventKind::Doorbell { .. } => {
                if let Some(slot) = self.slot_of(place) {
                    self.ring(slot);
                }
            }
            _ => (),
        }
    }

    /// Adds what another trace covered: a thing is covered if it is in either. Functions are the same if
    /// address, model and registers are.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.functions {
            let at = self.function(&theirs.definition);
            self.functions[at].merge(theirs);
        }
    }

    /// Every function that is known, covered or not.
    pub fn functions(&self) -> &[FunctionCoverage] {
        &self.functions
    }

    /// How much is covered of all functions.
    pub fn counts(&self) -> Counts {
        self.functions.iter().map(FunctionCoverage::counts).sum()
    }

    /// What isn't covered, in order. Of a register that isn't covered, fields and values aren't named one by
    /// one, and values aren't of a field that has none covered.
    pub fn missing(&self) -> Vec<Missing<'_>> {
        self.functions.iter().flat_map(FunctionCoverage::missing).collect()
    }

    /// The function's index; it is added if it isn't known.
    pub(crate) fn function(&mut self, function: &Arc<Function>) -> usize {
        let same = |known: &FunctionCoverage| Arc::ptr_eq(&known.definition, function);
        if let Some(at) = self.functions.iter().position(same) {
            return at;
        }
        // Another trace's, or another reader's.
        let alike = |known: &FunctionCoverage| {
            let known = &known.definition;
            (known.bdf, &known.name, &known.register_maps)
                == (function.bdf, &function.name, &function.register_maps)
        };
        if let Some(at) = self.functions.iter().position(alike) {
            self.functions[at].definition = Arc::clone(function);
            return at;
        }
        self.functions.push(FunctionCoverage::new(function));
        self.functions.len() - 1
    }

    fn slot_of(&mut self, place: &Place) -> Option<Slot> {
        let function = self.function(place.function.as_ref()?);
        self.slot(function, place.region, place.offset)
    }

    /// The register that the byte at `offset` belongs to.
    pub(crate) fn slot(&self, function: usize, region: Region, offset: u64) -> Option<Slot> {
        let regions = &self.functions.get(function)?.regions;
        let region = regions.iter().position(|known| known.region == region)?;
        let registers = &regions[region].registers;
        let register = registers.partition_point(|register| register.offset <= offset).checked_sub(1)?;
        (offset - registers[register].offset < registers[register].size).then_some(Slot {
            function: function as u32,
            region: region as u32,
            register: register as u32,
        })
    }

    fn register(&mut self, slot: Slot) -> Option<&mut RegisterCoverage> {
        let function = self.functions.get_mut(slot.function as usize)?;
        let region = function.regions.get_mut(slot.region as usize)?;
        region.registers.get_mut(slot.register as usize)
    }

    /// The device answered an access of `size` bytes at `offset` of the region, that the register holds.
    pub(crate) fn carry(&mut self, slot: Slot, offset: u64, size: u8, value: u64) {
        if let Some(register) = self.register(slot) {
            register.carry(offset, size, value);
        }
    }

    /// The register was accessed, nobody knows with what value.
    pub(crate) fn ring(&mut self, slot: Slot) {
        if let Some(register) = self.register(slot) {
            register.covered = true;
        }
    }
}

impl FunctionCoverage {
    fn new(definition: &Arc<Function>) -> Self {
        let maps = definition.register_maps.iter().filter(|map| matches!(map.region, Region::Bar(_)));
        let regions = maps.map(|map| RegionCoverage {
            region: map.region,
            registers: map
                .registers
                .iter()
                .filter(|register| !register.memory)
                .map(RegisterCoverage::new)
                .collect(),
        });
        Self {
            bdf: definition.bdf,
            name: definition.name.clone(),
            regions: regions.filter(|region| !region.registers.is_empty()).collect(),
            definition: Arc::clone(definition),
        }
    }

    /// How much of it is covered.
    pub fn counts(&self) -> Counts {
        self.regions.iter().map(RegionCoverage::counts).sum()
    }

    /// What isn't covered of it; see [`Coverage::missing`].
    pub fn missing(&self) -> Vec<Missing<'_>> {
        let all = self.regions.iter().flat_map(move |region| {
            region.registers.iter().flat_map(move |register| {
                let missing = |field, value| Missing { function: self, region, register, field, value };
                let mut list = Vec::new();
                if !register.covered {
                    list.push(missing(None, None));
                    return list;
                }
                for field in &register.fields {
                    if !field.covered {
                        list.push(missing(Some(field), None));
                        if field.values.iter().all(|value| !value.covered) {
                            continue;
                        }
                    }
                    let values = field.values.iter().filter(|value| !value.covered);
                    list.extend(values.map(|value| missing(Some(field), Some(value))));
                }
                list
            })
        });
        all.collect()
    }

    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.regions.iter_mut().zip(&other.regions) {
            for (ours, theirs) in ours.registers.iter_mut().zip(&theirs.registers) {
                ours.merge(theirs);
            }
        }
    }
}

impl RegionCoverage {
    /// How much of it is covered.
    pub fn counts(&self) -> Counts {
        self.registers.iter().map(RegisterCoverage::counts).sum()
    }
}

impl RegisterCoverage {
    fn new(register: &Register) -> Self {
        let fields: Vec<_> = register.fields.iter().map(FieldCoverage::new).collect();
        Self {
            name: register.name.to_string(),
            offset: register.offset,
            size: register.size,
            covered: false,
            ones: 0,
            values_missing: fields.iter().any(|field| !field.values.is_empty()),
            fields,
        }
    }

    /// How much of it is covered.
    pub fn counts(&self) -> Counts {
        Counts {
            registers: [self.covered].into_iter().collect(),
            fields: self.fields.iter().map(|field| field.covered).collect(),
            values: self.fields.iter().flat_map(|field| &field.values).map(|value| value.covered).collect(),
        }
    }

    fn carry(&mut self, offset: u64, size: u8, value: u64) {
        self.covered = true;
        let shift = 8 * offset.saturating_sub(self.offset).min(7) as u32;
        let carried = low_bytes(size.into()) << shift;
        let value = value << shift & carried;
        if value & !self.ones != 0 {
            self.ones |= value;
            for field in &mut self.fields {
                field.covered |= field.field.mask() & value != 0;
            }
        }
        if self.values_missing {
            for field in self.fields.iter_mut().filter(|field| field.field.mask() & !carried == 0) {
                let held = field.field.extract(value);
                for known in field.values.iter_mut().filter(|known| known.value == held) {
                    known.covered = true;
                }
            }
            self.values_missing =
                self.fields.iter().flat_map(|field| &field.values).any(|value| !value.covered);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.covered |= other.covered;
        self.ones |= other.ones;
        for (ours, theirs) in self.fields.iter_mut().zip(&other.fields) {
            ours.covered |= theirs.covered;
            for (ours, theirs) in ours.values.iter_mut().zip(&theirs.values) {
                ours.covered |= theirs.covered;
            }
        }
        self.values_missing = self.fields.iter().flat_map(|field| &field.values).any(|value| !value.covered);
    }
}

impl FieldCoverage {
    fn new(field: &Field) -> Self {
        let value = |(value, name): &(u64, std::borrow::Cow<'static, str>)| ValueCoverage {
            value: *value,
            name: name.to_string(),
            covered: false,
        };
        Self {
            name: field.name.to_string(),
            covered: false,
            values: field.values.iter().map(value).collect(),
            field: field.clone(),
        }
    }
}

/// Something that isn't covered: a register, or a field of one, or a value of a field.
///
/// Printed, it is `00:04.0 lab BAR0.OPCODE` or `00:04.0 lab BAR0.DMA_STATUS REASON=LENGTH`.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'a> {
    /// The function.
    pub function: &'a FunctionCoverage,
    /// The BAR.
    pub region: &'a RegionCoverage,
    /// The register.
    pub register: &'a RegisterCoverage,
    /// The field; `None` if all of the register is missing.
    pub field: Option<&'a FieldCoverage>,
    /// The value; `None` if all of the field is missing.
    pub value: Option<&'a ValueCoverage>,
}

impl Missing<'_> {
    /// The same without the function, for where that is said: `BAR0.OPCODE`.
    pub fn within_function(&self) -> String {
        format!("{}.{}", self.region.region, self.within_region())
    }

    /// The same without the BAR: `OPCODE`, `DMA_STATUS REASON=LENGTH`; `OPCODE=SQUARE` for a register that is
    /// one field of the same name.
    pub fn within_region(&self) -> String {
        let register = &self.register.name;
        match (self.field, self.value) {
            (Some(field), Some(value)) if field.name == *register => format!("{register}={}", value.name),
            (Some(field), Some(value)) => format!("{register} {}={}", field.name, value.name),
            (Some(field), None) => format!("{register} {}", field.name),
            (None, _) => register.clone(),
        }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.function.bdf, self.function.name, self.within_function())
    }
}

#[cfg(test)]
mod tests;
