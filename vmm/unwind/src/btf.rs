//! The type information that a Linux kernel carries: BTF, the BPF Type Format
//! (<https://docs.kernel.org/bpf/btf.html>), as far as members of structures need it.
//!
//! A table of where each type is, and the names that are asked for: a kernel has a hundred thousand types, of which ten
//! matter here, and what it says of them is the guest's word, read within bounds.

use std::collections::HashMap;

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// The header of a type: name, info, and size or another type.
const TYPE: usize = 12;
const MEMBER: usize = 12;

/// Kinds of types that matter.
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const TYPE_TAG: u32 = 18;

/// The deepest nesting of anonymous members, and the longest chain of other names, that is followed.
const DEEPEST: u32 = 16;

/// Type information that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// It doesn't begin as BTF does.
    #[error("it has no header of BTF")]
    Header,
    /// A part of it lies outside.
    #[error("it ends in its middle")]
    Short,
    /// A type of a kind that has no known size, so that none behind it can be found.
    #[error("type {id} is of unknown kind {kind}")]
    Kind {
        /// Which.
        id: usize,
        /// Its kind.
        kind: u32,
    },
}

/// A kernel's types.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type is in `types`; number 0, which is `void`, isn't there.
    places: Vec<u32>,
    /// The structures with names.
    structures: HashMap<&'a [u8], u32>,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Offset from the start of the structure, in bits.
    pub first_bit: u64,
    /// Number of bits, if it is a bit field.
    pub bits: Option<u32>,
    /// The number of its type.
    pub of: u32,
}

impl Member {
    /// Offset from the start of the structure, in bytes.
    pub fn offset(&self) -> u64 {
        self.first_bit / 8
    }
}

/// A type's header.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    kind: u32,
    /// Number of members or the like.
    count: usize,
    /// Members say how many bits they have.
    has_bits: bool,
    /// Size in bytes, or the number of another type.
    size_or_type: u32,
    /// Where what follows it is.
    rest: usize,
}

impl<'a> Btf<'a> {
    /// Reads where the types are in what lies from `__start_BTF` to `__stop_BTF`, little-endian.
    ///
    /// # Errors
    /// [`BtfError`] if it isn't BTF of known kinds.
    pub fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        if data.len() < HEADER || u16::from_le_bytes([data[0], data[1]]) != MAGIC {
            return Err(BtfError::Header);
        }
        let field = |at: usize| number(data, at).map(|field| field as usize);
        let part = |start: usize, length: usize| {
            let start = field(4)?.checked_add(field(start)?)?;
            data.get(start..start.checked_add(field(length)?)?)
        };
        let (types, strings) = part(8, 12).zip(part(16, 20)).ok_or(BtfError::Short)?;
        let mut btf = Self { types, strings, places: vec![0], structures: HashMap::new() };
        let mut place = 0;
        while place < types.len() {
            let head = btf.head(place).ok_or(BtfError::Short)?;
            let kind = head.kind;
            let rest = size_of_rest(&head).ok_or(BtfError::Kind { id: btf.places.len(), kind })?;
            let id = btf.places.len() as u32;
            btf.places.push(u32::try_from(place).map_err(|_| BtfError::Short)?);
            if head.kind == STRUCT && head.name != 0 {
                btf.structures.entry(text(strings, head.name)).or_insert(id);
            }
            place = head.rest + rest;
        }
        Ok(btf)
    }

    /// The member `path` of the structure of this name: a name after the other, through structures without names.
    pub fn member(&self, structure: &str, path: &[&str]) -> Option<Member> {
        let of = *self.structures.get(structure.as_bytes())?;
        path.iter().try_fold(Member { first_bit: 0, bits: None, of }, |outer, name| {
            let inner = self.direct_member(self.plain(outer.of)?, name, 0)?;
            Some(Member { first_bit: outer.first_bit + inner.first_bit, ..inner })
        })
    }

    /// Size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Option<u32> {
        Some(self.type_head(*self.structures.get(structure.as_bytes())?)?.size_or_type)
    }

    /// The number of elements of an array.
    pub fn elements(&self, of: u32) -> Option<u32> {
        let head = self.type_head(self.plain(of)?)?;
        (head.kind == ARRAY).then(|| number(self.types, head.rest + 8))?
    }

    fn direct_member(&self, of: u32, name: &str, depth: u32) -> Option<Member> {
        let head = self.type_head(of).filter(|head| matches!(head.kind, STRUCT | UNION))?;
        for index in 0..head.count {
            let at = head.rest + index * MEMBER;
            let [own, of, place] = [0, 4, 8].map(|field| number(self.types, at + field));
            let (own, of, place) = (own?, of?, place?);
            let (first_bit, bits) = if head.has_bits {
                (place & 0xff_ffff, (place >> 24 != 0).then_some(place >> 24))
            } else {
                (place, None)
            };
            let member = Member { first_bit: first_bit.into(), bits, of };
            if own != 0 && text(self.strings, own) == name.as_bytes() {
                return Some(member);
            }
            if own == 0
                && depth < DEEPEST
                && let Some(inner) = self.plain(of).and_then(|of| self.direct_member(of, name, depth + 1))
            {
                return Some(Member { first_bit: member.first_bit + inner.first_bit, ..inner });
            }
        }
        None
    }

    /// The number of the type that another name, `const` or the like is for.
    fn plain(&self, mut of: u32) -> Option<u32> {
        for _ in 0..DEEPEST {
            let head = self.type_head(of)?;
            if !matches!(head.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some(of);
            }
            of = head.size_or_type;
        }
        None
    }

    fn type_head(&self, id: u32) -> Option<Head> {
        if id == 0 {
            return None;
        }
        self.head(*self.places.get(id as usize)? as usize)
    }

    fn head(&self, place: usize) -> Option<Head> {
        let [name, info, size_or_type] = [0, 4, 8].map(|field| number(self.types, place + field));
        let info = info?;
        Some(Head {
            name: name?,
            kind: info >> 24 & 0x1f,
            count: (info & 0xffff) as usize,
            has_bits: info >> 31 != 0,
            size_or_type: size_or_type?,
            rest: place + TYPE,
        })
    }
}

/// The size of what follows a type's header; `None` for a kind that nobody knows.
fn size_of_rest(head: &Head) -> Option<usize> {
    Some(match head.kind {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        PTR | 7..=12 | 16 | TYPE_TAG => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        ARRAY => 12,
        // Structures and unions, sections, enumerations of 64 bits.
        STRUCT | UNION | 15 | 19 => head.count * MEMBER,
        // Enumerations, prototypes.
        6 | 13 => head.count * 8,
        _ => return None,
    })
}

/// The number of 4 bytes at `at`.
fn number(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The text at `at`, without its NUL; empty if there is none.
fn text(strings: &[u8], at: u32) -> &[u8] {
    let from = strings.get(at as usize..).unwrap_or_default();
    &from[..from.iter().position(|byte| *byte == 0).unwrap_or(0)]
}

#[cfg(test)]
mod tests;
