//! Register maps as data: the device checks accesses against them, the trace names registers with
//! them, and the documentation is printed from them.

mod check;

use std::borrow::Cow;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::access_size::AccessSize;
use crate::address::Region;
use crate::refused::Refused;
pub use check::{BadField, BadMap};
pub(crate) use check::{Place, check};

/// Access rights to a register, and side effects.
///
/// The function around a device goes by them: after a read of a register whose kind has no side effect, and after any
/// access to a range of plain bytes, it doesn't ask the device what has changed. A device that changes a register, an
/// interrupt cause or a backing then has that reported with its next call, by that call's cause; [`crate::Fixture`]
/// panics instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read-only; writes are dropped.
    #[serde(rename = "RO")]
    ReadOnly,
    /// Read and write.
    #[serde(rename = "RW")]
    ReadWrite,
    /// Writing a one clears the bit.
    #[serde(rename = "W1C")]
    WriteOneToClear,
    /// Write-only; reads return all-ones.
    #[serde(rename = "WO")]
    WriteOnly,
    /// Reading has a side effect (clears, pops).
    #[serde(rename = "RC")]
    ReadSideEffect,
    /// Reading has a side effect and doesn't return what was written (a queue, a window).
    #[serde(rename = "RCW")]
    ReadWriteSideEffect,
}

impl Access {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::ReadOnly,
        Self::ReadWrite,
        Self::WriteOneToClear,
        Self::WriteOnly,
        Self::ReadSideEffect,
        Self::ReadWriteSideEffect,
    ];

    /// The usual abbreviation in register tables.
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Access::ReadOnly => "RO",
            Access::ReadWrite => "RW",
            Access::WriteOneToClear => "W1C",
            Access::WriteOnly => "WO",
            Access::ReadSideEffect => "RC",
            Access::ReadWriteSideEffect => "RCW",
        }
    }

    /// Whether a read returns the register's content.
    pub const fn readable(self) -> bool {
        !matches!(self, Access::WriteOnly)
    }

    /// Whether a write does anything.
    pub const fn writable(self) -> bool {
        !matches!(self, Access::ReadOnly | Access::ReadSideEffect)
    }

    /// Whether a read changes something.
    pub const fn read_has_side_effect(self) -> bool {
        matches!(self, Access::ReadSideEffect | Access::ReadWriteSideEffect)
    }
}

/// Bits of a register that mean one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name, in capitals.
    pub name: Cow<'static, str>,
    /// Lowest bit.
    pub lsb: u8,
    /// Width in bits.
    pub width: u8,
    /// Enumerated values, each with its name.
    #[serde(default)]
    pub values: Cow<'static, [(u64, Cow<'static, str>)]>,
    /// One line on what it means.
    #[serde(default)]
    pub doc: Cow<'static, str>,
}

impl Field {
    /// A field `width` bits wide from bit `lsb` up.
    pub const fn new(name: &'static str, lsb: u8, width: u8, doc: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), lsb, width, values: Cow::Borrowed(&[]), doc: Cow::Borrowed(doc) }
    }

    /// A field of one bit.
    pub const fn bit(name: &'static str, lsb: u8, doc: &'static str) -> Self {
        Self::new(name, lsb, 1, doc)
    }

    /// The same field with names for its values.
    pub const fn with_values(mut self, values: &'static [(u64, Cow<'static, str>)]) -> Self {
        // Dropping the old value is no constant operation; it is borrowed, so nothing leaks.
        mem::forget(mem::replace(&mut self.values, Cow::Borrowed(values)));
        self
    }

    /// The field's mask within its register.
    pub const fn mask(&self) -> u64 {
        let ones = if self.width >= 64 { u64::MAX } else { (1 << self.width) - 1 };
        ones << self.lsb
    }

    /// The field's value within the register's `value`.
    pub const fn extract(&self, value: u64) -> u64 {
        (value & self.mask()) >> self.lsb
    }

    /// The name of the field's `value`, if that is enumerated.
    pub fn value_name(&self, value: u64) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == value).map(|(_, name)| name.as_ref())
    }
}

/// A register, or a range of device memory or reserved bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Name, in capitals.
    pub name: Cow<'static, str>,
    /// Offset in bytes from the start of its region.
    pub offset: u64,
    /// Size in bytes: 1, 2, 4 or 8 for a register, anything for a memory range.
    pub size: u64,
    /// Access rights.
    pub access: Access,
    /// Its value after reset.
    #[serde(default)]
    pub reset: u64,
    /// Whether it changes by itself (a counter): changes of it are no news.
    #[serde(default)]
    pub volatile: bool,
    /// Whether it is a range of plain bytes, which takes any width at any alignment.
    #[serde(default)]
    pub memory: bool,
    /// Its fields, lowest first; bits outside them are reserved.
    #[serde(default)]
    pub fields: Cow<'static, [Field]>,
    /// One line on what it is for.
    #[serde(default)]
    pub doc: Cow<'static, str>,
}

impl Register {
    /// A 32-bit register at `offset` that resets to 0.
    pub const fn new32(name: &'static str, offset: u64, access: Access, doc: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            offset,
            size: 4,
            access,
            reset: 0,
            volatile: false,
            memory: false,
            fields: Cow::Borrowed(&[]),
            doc: Cow::Borrowed(doc),
        }
    }

    /// A 64-bit register at `offset` that resets to 0. Its halves can be accessed one by one.
    pub const fn new64(name: &'static str, offset: u64, access: Access, doc: &'static str) -> Self {
        let mut register = Self::new32(name, offset, access, doc);
        register.size = 8;
        register
    }

    /// A range of `size` bytes of device memory.
    pub const fn memory(name: &'static str, offset: u64, size: u64, doc: &'static str) -> Self {
        let mut range = Self::new32(name, offset, Access::ReadWrite, doc);
        range.size = size;
        range.memory = true;
        range
    }

    /// The same register with a value after reset.
    pub const fn reset_to(mut self, value: u64) -> Self {
        self.reset = value;
        self
    }

    /// The same register, that changes by itself.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The same register or range with another kind of access.
    pub const fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same register with fields.
    pub const fn with_fields(mut self, fields: &'static [Field]) -> Self {
        // As in `Field::with_values`.
        mem::forget(mem::replace(&mut self.fields, Cow::Borrowed(fields)));
        self
    }

    /// The part of its value `whole` that an access of `size` bytes at `offset` of its region reads.
    pub const fn part(&self, whole: u64, offset: u64, size: AccessSize) -> u64 {
        (whole >> (8 * (offset - self.offset))) & size.mask()
    }

    /// Its value after `size` bytes at `offset` of its region were written; `whole` before.
    pub const fn with_part(&self, whole: u64, offset: u64, size: AccessSize, value: u64) -> u64 {
        let shift = 8 * (offset - self.offset);
        whole & !(size.mask() << shift) | (value & size.mask()) << shift
    }

    /// Whether the byte at `offset` belongs to it.
    pub const fn contains(&self, offset: u64) -> bool {
        offset >= self.offset && offset - self.offset < self.size
    }
}

/// The registers of one region, in ascending order of offset, without overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterMap {
    /// The region that they lie in.
    pub region: Region,
    /// The registers.
    pub registers: Cow<'static, [Register]>,
}

impl RegisterMap {
    /// The register that holds the byte at `offset`.
    pub fn at(&self, offset: u64) -> Option<&Register> {
        let after = self.registers.partition_point(|register| register.offset <= offset);
        self.registers[..after].last().filter(|register| register.contains(offset))
    }

    /// The register that a read of `size` bytes at `offset` reads: it must cover the register exactly,
    /// or half of one that is 64 bits wide, or lie in a memory range.
    ///
    /// # Errors
    /// The device's refusal of such a read.
    pub fn check_read(&self, offset: u64, size: AccessSize) -> Result<&Register, Refused> {
        let register = self.covered(offset, size)?;
        if register.access.readable() { Ok(register) } else { Err(Refused::WriteOnly) }
    }

    /// The register that a write of `size` bytes at `offset` writes, which it must cover in the same way.
    ///
    /// # Errors
    /// The device's refusal of such a write.
    pub fn check_write(&self, offset: u64, size: AccessSize) -> Result<&Register, Refused> {
        let register = self.covered(offset, size)?;
        if register.access.writable() { Ok(register) } else { Err(Refused::ReadOnly) }
    }

    fn covered(&self, offset: u64, size: AccessSize) -> Result<&Register, Refused> {
        let register = self.at(offset).ok_or(Refused::Reserved)?;
        if register.memory {
            let last = offset.checked_add(size.bytes() - 1);
            return last.filter(|&last| register.contains(last)).map(|_| register).ok_or(Refused::Reserved);
        }
        if register.size != size.bytes() && (register.size, size) != (8, AccessSize::Dword) {
            return Err(Refused::Width);
        }
        let aligned = (offset - register.offset).is_multiple_of(size.bytes());
        if aligned { Ok(register) } else { Err(Refused::Alignment) }
    }

    /// The register called `name`.
    pub fn named(&self, name: &str) -> Option<&Register> {
        self.registers.iter().find(|register| register.name == name)
    }
}

#[cfg(test)]
mod tests;
