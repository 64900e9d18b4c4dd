//! Conditions with their names resolved, and how they are held against events.

use barscope_device::{Bdf, Region};
use barscope_trace::event::EventKind;

use super::field::{Field, value};
use super::interest::Interest;
use super::kind::Kinds;
use super::operand::{By, Op, Operand, Value};
use super::truth::Truth;
use crate::view::{Place, View};

/// Accesses that the trace doesn't show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hidden {
    pub(crate) bdf: Option<Bdf>,
    pub(crate) region: Region,
    /// Reads are among them.
    pub(crate) reads: bool,
    /// They are all of this privilege level.
    pub(crate) cpl: Option<u8>,
}

/// A condition, with names resolved.
#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Kind(Kinds),
    /// In one of these areas.
    At(Vec<Area>),
    Field {
        field: &'static Field,
        mask: u64,
        op: Op,
        operand: Operand,
    },
    Register {
        name: String,
        op: Op,
        operand: Operand,
    },
    /// About one of these functions.
    Device(Vec<Bdf>),
    /// About one of these functions, or about none.
    Scope(Vec<Bdf>),
}

/// Offsets of a region.
#[derive(Clone, Debug)]
pub(super) struct Area {
    /// `None` for any function.
    pub(super) bdf: Option<Bdf>,
    pub(super) region: Region,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Area {
    pub(super) fn contains(&self, place: &Place) -> bool {
        self.region == place.region
            && self.first <= place.offset
            && place.offset <= self.last
            && self.bdf.is_none_or(|bdf| place.bdf == Some(bdf))
    }

    /// What is in both.
    pub(super) fn common(&self, other: &Area) -> Option<Area> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        let apart = matches!((self.bdf, other.bdf), (Some(one), Some(another)) if one != another);
        let exists = self.region == other.region && !apart && first <= last;
        exists.then_some(Area { bdf: self.bdf.or(other.bdf), region: self.region, first, last })
    }

    /// Whether all of it is in `other`.
    pub(super) fn within(&self, other: &Area) -> bool {
        self.region == other.region
            && (other.bdf.is_none() || other.bdf == self.bdf)
            && other.first <= self.first
            && self.last <= other.last
    }
}

impl Node {
    /// Whether it asks for this place.
    pub(super) fn is_about(&self, place: &Place) -> bool {
        match self {
            Node::All(parts) | Node::Any(parts) => parts.iter().any(|part| part.is_about(place)),
            Node::At(areas) => areas.iter().any(|area| area.contains(place)),
            _ => false,
        }
    }

    /// Which events it may hold for.
    pub(super) fn interest(&self) -> Interest {
        let any = |parts: &mut dyn Iterator<Item = Interest>| parts.fold(Interest::NONE, Interest::or);
        match self {
            Node::All(parts) => parts.iter().map(Node::interest).fold(Interest::ALL, Interest::and),
            Node::Any(parts) => any(&mut parts.iter().map(Node::interest)),
            Node::Kind(kinds) => Interest::of(*kinds),
            Node::At(areas) => {
                any(&mut areas.iter().map(|area| Interest::at(area.region, area.first, area.last)))
            }
            _ => Interest::ALL,
        }
    }

    /// Whether it holds for an event, by what is certain of it or by what is recorded.
    pub(super) fn test(&self, view: &View, by: By) -> Truth {
        let not_emulated = matches!(view.kind, EventKind::NotEmulated { .. });
        match self {
            Node::All(parts) => Truth::all(parts.iter().map(|part| part.test(view, by))),
            Node::Any(parts) => Truth::any(parts.iter().map(|part| part.test(view, by))),
            Node::Not(part) => !part.test(view, by),
            Node::Kind(kinds) if kinds.meets(Kinds::of(view)) => Truth::Yes,
            Node::Kind(kinds) if by == By::Certainty && kinds.meets(Kinds::possible(view)) => Truth::Maybe,
            Node::Kind(_) => Truth::No,
            Node::At(areas) => match view.place() {
                Some(place) => areas
                    .iter()
                    .any(|area| {
                        area.region == place.region
                            && area.first <= place.offset
                            && place.offset <= area.last
                            && area.bdf.is_none_or(|bdf| place.bdf == Some(bdf))
                    })
                    .into(),
                None => maybe(view.place_is_open()),
            },
            Node::Field { field, mask, op, operand } => field.test(view, by, *mask, *op, operand),
            Node::Register { .. } if not_emulated || view.place_is_open() => Truth::Maybe,
            Node::Register { name, op, operand } => register_field(view, name)
                .is_some_and(|(held, named)| match operand {
                    Operand::Text(_) => op.holds(Value::Text(named.unwrap_or_default()), operand),
                    _ => op.holds(Value::Number(held), operand),
                })
                .into(),
            Node::Device(bdfs) | Node::Scope(bdfs) => match view.function() {
                Some(function) => bdfs.contains(&function.bdf).into(),
                None if view.place_is_open() => Truth::Maybe,
                None => matches!(self, Node::Scope(_)).into(),
            },
        }
    }

    /// The same of accesses of which only this is known.
    pub(super) fn test_hidden(&self, hidden: &Hidden) -> Truth {
        match self {
            Node::All(parts) => Truth::all(parts.iter().map(|part| part.test_hidden(hidden))),
            Node::Any(parts) => Truth::any(parts.iter().map(|part| part.test_hidden(hidden))),
            Node::Not(part) => !part.test_hidden(hidden),
            Node::Kind(kinds) => {
                let possible = if hidden.reads { Kinds::ACCESS } else { Kinds::WRITE };
                if possible.within(*kinds) {
                    Truth::Yes
                } else if possible.meets(*kinds) {
                    Truth::Maybe
                } else {
                    Truth::No
                }
            }
            Node::At(areas) => {
                let there = |area: &&Area| {
                    area.region == hidden.region
                        && (area.bdf.is_none() || hidden.bdf.is_none() || area.bdf == hidden.bdf)
                };
                match areas.iter().find(there) {
                    Some(Area { bdf, first: 0, last: u64::MAX, .. })
                        if bdf.is_none() || *bdf == hidden.bdf =>
                    {
                        Truth::Yes
                    }
                    Some(_) => Truth::Maybe,
                    None => Truth::No,
                }
            }
            Node::Field { field, mask: u64::MAX, op, operand } if field.name == "cpl" => match hidden.cpl {
                Some(cpl) => op.holds(Value::Number(cpl.into()), operand).into(),
                None => Truth::Maybe,
            },
            Node::Field { .. } | Node::Register { .. } => Truth::Maybe,
            Node::Device(bdfs) | Node::Scope(bdfs) => hidden.bdf.is_none_or(|bdf| bdfs.contains(&bdf)).into(),
        }
    }
}

/// Nobody knows, or no.
fn maybe(is_open: bool) -> Truth {
    if is_open { Truth::Maybe } else { Truth::No }
}

/// What the event's value holds in a field of the register, and what that is called.
pub(super) fn register_field<'a>(view: &'a View, name: &str) -> Option<(u64, Option<&'a str>)> {
    let place = view.place()?;
    let content = value(view)?;
    let size = view.access().map_or(8, |access| access.size);
    let register = place.register().filter(|register| register.offset == place.offset)?;
    let field = register.fields.iter().find(|field| field.name == name)?;
    if u16::from(field.lsb) + u16::from(field.width) > 8 * u16::from(size) {
        return None;
    }
    let held = field.extract(content);
    Some((held, field.value_name(held)))
}
