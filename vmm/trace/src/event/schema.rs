//! The form of the table of events: what it states of each kind, and what is made of that.
//!
//! [`events!`] turns the table into [`EventKind`](super::EventKind), its way into a record and back, and [`Kind`]s
//! with their [`Field`]s as constant data. Whoever treats all events alike walks those.

use barscope_device::Region;

use super::{MemoryOperand, Target};

/// A kind of event.
#[derive(Debug)]
pub struct Kind {
    /// Code in byte 0 of a record, never 0.
    pub code: u8,
    /// Name in the file's header and in JSON.
    pub name: &'static str,
    /// Documentation: a sentence.
    pub doc: &'static str,
    /// Whether it is the consequence of an access, by a device; else it is something that a guest did.
    pub of_device: bool,
    /// Fields, in the order of the table.
    pub fields: &'static [Field],
}

/// A field of a kind of event.
#[derive(Debug)]
pub struct Field {
    /// Name in code and in JSON; it ends in `_ns` for a time in nanoseconds.
    pub name: &'static str,
    /// Documentation: a sentence.
    pub doc: &'static str,
    /// What it means.
    pub role: Role,
    /// What it can hold.
    pub of: Type,
    /// Where it lies in a record: one range of bits, or several for what has several parts.
    pub at: &'static [Bits],
    /// The first number that is too large, where the type holds larger ones.
    pub below: Option<u64>,
    /// Name as a property that filters ask for, if the property is just this field.
    pub property: Option<&'static str>,
}

/// What a field means, and so how it is resolved and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Id of a function's definition: the subject.
    Function,
    /// Id of a route's definition: the subject, or what leads to it.
    Route,
    /// Id of a mapping's definition.
    Mapping,
    /// Id of a page walk's definition.
    Walk,
    /// Id of an instruction's definition.
    Instruction,
    /// Id of a call stack's definition.
    Stack,
    /// Id of a process's definition.
    Process,
    /// Id of a text's definition.
    Text,
    /// Id of the definition of a scenario's name.
    Scenario,
    /// Region of the function that the event is about.
    Region,
    /// Offset of the register that the event is about, in the region, in bytes.
    Offset,
    /// Sequence number of the access that led to the event, 0 for none.
    Cause,
    /// Sequence number of another record.
    Record,
    /// Address, or offset, in bytes.
    Address,
    /// Bits that a register, a message or an error code holds.
    Value,
    /// Number of things.
    Count,
    /// Number of bytes.
    Size,
    /// Ordinal: of a vector, a pin, a level.
    Index,
    /// Time, or a span of it, in nanoseconds.
    Time,
    /// One of a few words, or yes or no.
    Choice,
    /// Memory type that a page asks for; where it isn't recorded, the page walk may tell.
    Pat,
    /// Effective memory type; where it isn't recorded, the page walk may tell.
    MemoryType,
}

impl Role {
    /// Whether the number is written in hexadecimal.
    pub const fn is_hex(self) -> bool {
        matches!(self, Role::Offset | Role::Address | Role::Value)
    }

    /// Whether it refers to a definition.
    pub const fn is_id(self) -> bool {
        matches!(
            self,
            Role::Function
                | Role::Route
                | Role::Mapping
                | Role::Walk
                | Role::Instruction
                | Role::Stack
                | Role::Process
                | Role::Text
                | Role::Scenario
        )
    }
}

/// What a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An unsigned number of so many bits.
    Number(u8),
    /// Such a number, or nothing.
    OptionalNumber(u8),
    /// Yes or no.
    Flag,
    /// One of these names.
    Name(&'static [&'static str]),
    /// One of these names, or nothing.
    OptionalName(&'static [&'static str]),
    /// A region.
    Region,
    /// The address that an access carries.
    Target,
    /// What an instruction does with its operand in memory.
    Operand,
}

/// A range of bits in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Word, 64 bits each, from the record's beginning.
    pub word: u8,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
}

/// What a field of an event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: it isn't known.
    None,
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// One of a few names.
    Name(&'static str),
    /// A region.
    Region(Region),
    /// The address that an access carries.
    Target(Target),
    /// What an instruction does with its operand in memory.
    Operand(MemoryOperand),
}

/// Takes the fields of an event, one by one.
pub trait Visitor {
    /// Takes the next field, in the order of the table.
    fn field(&mut self, field: &'static Field, value: Value);
}

impl Kind {
    /// Whether it has a field with this role.
    pub const fn has(&self, role: Role) -> bool {
        let mut at = 0;
        while at < self.fields.len() {
            if self.fields[at].role as u8 == role as u8 {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Size of a record in slots of 8 words: as many as its last field needs.
    pub const fn slots(&self) -> u8 {
        let (mut last, mut at) = (0, 0);
        while at < self.fields.len() {
            let mut part = 0;
            while part < self.fields[at].at.len() {
                if self.fields[at].at[part].word > last {
                    last = self.fields[at].at[part].word;
                }
                part += 1;
            }
            at += 1;
        }
        last / 8 + 1
    }
}

/// Makes `EventKind`, `AccessEvent`, [`Kind`]s and the way into a record and back of the table. A kind is
///
/// ```text
/// /// Sentence.
/// CODE "name" device|guest Variant {
///     /// Sentence.
///     field: Type, Role, [BITS, ..], below LIMIT, as "property";
/// }
/// ```
///
/// where the last two are said if they apply.
macro_rules! events {
    (
        $(#[doc = $access_doc:literal])+
        $access_code:literal $access_name:literal $access_by:ident Access($Access:ident) {
            $(
                $(#[doc = $part_doc:literal])+
                $part:ident: $part_type:ty, $part_role:ident, $part_at:expr $(, below $part_limit:literal)? $(, as $part_property:literal)?;
            )+
        }
        $(
            $(#[doc = $doc:literal])+
            $code:literal $name:literal $by:ident $Variant:ident {
                $(
                    $(#[doc = $field_doc:literal])+
                    $field:ident: $type:ty, $role:ident, $at:expr $(, below $limit:literal)? $(, as $property:literal)?;
                )+
            }
        )+
    ) => {
        $(#[doc = $access_doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $Access {
            $($(#[doc = $part_doc])+ pub $part: $part_type,)+
        }

        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind {
            $(#[doc = $access_doc])+
            Access($Access),
            $(
                $(#[doc = $doc])+
                $Variant { $($(#[doc = $field_doc])+ $field: $type,)+ },
            )+
        }

        /// All kinds of events, in the order of the table.
        pub const KINDS: &[Kind] = &[
            Kind {
                code: $access_code,
                name: $access_name,
                doc: concat!($($access_doc),+),
                of_device: events!(@of_device $access_by),
                fields: &[$(Field {
                    name: stringify!($part),
                    doc: concat!($($part_doc),+),
                    role: Role::$part_role,
                    of: <$part_type as Stored>::TYPE,
                    at: &$part_at,
                    below: events!(@option $($part_limit)?),
                    property: events!(@option $($part_property)?),
                }),+],
            },
            $(Kind {
                code: $code,
                name: $name,
                doc: concat!($($doc),+),
                of_device: events!(@of_device $by),
                fields: &[$(Field {
                    name: stringify!($field),
                    doc: concat!($($field_doc),+),
                    role: Role::$role,
                    of: <$type as Stored>::TYPE,
                    at: &$at,
                    below: events!(@option $($limit)?),
                    property: events!(@option $($property)?),
                }),+],
            }),+
        ];

        impl EventKind {
            /// Code of the kind.
            pub const fn code(&self) -> u8 {
                match self {
                    EventKind::Access(_) => $access_code,
                    $(EventKind::$Variant { .. } => $code,)+
                }
            }

            /// Writes the fields into a record's words.
            #[inline]
            pub(crate) fn store(&self, words: &mut [u64; RECORD_WORDS]) {
                match *self {
                    EventKind::Access($Access { $($part),+ }) => { $($part.store(&$part_at, words);)+ }
                    $(EventKind::$Variant { $($field),+ } => { $($field.store(&$at, words);)+ })+
                }
            }

            /// Reads the fields of a kind from a record; `None` if no writer of this program wrote it.
            #[inline]
            pub(crate) fn load(code: u8, words: &Words<'_>) -> Option<Self> {
                Some(match code {
                    $access_code => EventKind::Access($Access {
                        $($part: events!(@sound Stored::load(&$part_at, words)? $(, $part_limit)?)),+
                    }),
                    $($code => EventKind::$Variant { $($field: events!(@sound Stored::load(&$at, words)? $(, $limit)?)),+ },)+
                    _ => return None,
                })
            }

            /// Shows all fields to a visitor.
            #[inline]
            pub fn visit(&self, visitor: &mut impl Visitor) {
                let fields = self.kind().fields;
                let mut at = 0;
                let mut show = |value| {
                    visitor.field(&fields[at], value);
                    at += 1;
                };
                match *self {
                    EventKind::Access($Access { $($part),+ }) => { $(show($part.value());)+ }
                    $(EventKind::$Variant { $($field),+ } => { $(show($field.value());)+ })+
                }
            }

            /// What it refers to.
            #[inline]
            pub fn references(&self) -> References {
                let mut found = References::default();
                match *self {
                    EventKind::Access($Access { $($part),+ }) => {
                        $(events!(@refer found $part_role $part);)+
                    }
                    $(EventKind::$Variant { $($field),+ } => { $(events!(@refer found $role $field);)+ })+
                }
                found
            }
        }
    };

    (@of_device device) => { true };
    (@of_device guest) => { false };
    (@option) => { None };
    (@option $stated:literal) => { Some($stated) };
    (@sound $value:expr) => { $value };
    (@sound $value:expr, $limit:literal) => { Some($value).filter(|value| *value < $limit)? };

    (@refer $found:ident Function $id:ident) => { $found.function = Some($id) };
    (@refer $found:ident Route $id:ident) => { $found.route = Some($id) };
    (@refer $found:ident Mapping $id:ident) => { $found.mapping = Some($id) };
    (@refer $found:ident Walk $id:ident) => { $found.walk = Some($id) };
    (@refer $found:ident Instruction $id:ident) => { $found.instruction = Some($id) };
    (@refer $found:ident Process $id:ident) => { $found.process = Some($id) };
    (@refer $found:ident Text $id:ident) => { $found.text = Some($id) };
    (@refer $found:ident Scenario $id:ident) => { $found.text = Some($id) };
    (@refer $found:ident Region $region:ident) => { $found.region = Some($region) };
    (@refer $found:ident Offset $offset:ident) => { $found.offset = Some($offset) };
    (@refer $found:ident Cause $seq:ident) => { $found.cause = $seq };
    (@refer $found:ident $role:ident $field:ident) => { let _ = $field; };
}

pub(super) use events;
