//! What records have in common: all but times, values and addresses, once for each combination that occurs.

use std::collections::BTreeMap;

use barscope_analysis::explain::Lasting;
use barscope_analysis::filter::{FIELDS, Field, Type, Value, name_of};
use barscope_analysis::view::View;
use barscope_trace::Definitions;
use barscope_trace::event::EventKind;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::json;

use crate::strings::Strings;

/// Properties that each record has a value of its own of: a column each.
pub(crate) const OWN: [&str; 14] = [
    "seq", "time", "host", "cause", "gva", "gpa", "offset", "value", "old", "instance", "service", "address",
    "length", "text",
];

/// So many shapes are kept; records of any other are left out.
const SHAPES_MAX: usize = 1 << 16;

/// What a property holds, with texts by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Held {
    Nothing,
    Number(u64),
    Text(u32),
    Flag(bool),
}

/// Properties of a record that aren't its own, in the order of [`Shapes::fields`], what it is, and where.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kind: &'static str,
    held: Vec<Held>,
    names: Vec<Option<Vec<u32>>>,
    function: Option<String>,
    /// Which of its own properties it has: a bit each, in the order of [`OWN`].
    own: u16,
    place: Option<(Option<String>, String)>,
    /// Whether it is about a place that the trace doesn't tell.
    open: bool,
    alike: bool,
    /// Walk, instruction, stack and route.
    made_of: [u32; 4],
}

/// The same for the page.
#[derive(Serialize)]
struct Shape {
    kind: &'static str,
    /// Values by property.
    values: BTreeMap<&'static str, serde_json::Value>,
    /// Texts by property that a record can have several of.
    names: BTreeMap<&'static str, Vec<u32>>,
    function: Option<String>,
    bdf: Option<String>,
    region: Option<String>,
    own: u16,
    open: bool,
    alike: bool,
    lasting: Option<u32>,
}

/// All of them.
pub(crate) struct Shapes {
    fields: Vec<&'static Field>,
    several: Vec<&'static Field>,
    ids: FxHashMap<Key, u32>,
    list: Vec<Shape>,
    lasting: FxHashMap<String, u32>,
    drawn: Vec<Lasting>,
}

impl Default for Shapes {
    fn default() -> Self {
        let common = || FIELDS.iter().filter(|field| !OWN.contains(&field.name));
        Self {
            fields: common().collect(),
            several: common().filter(|field| field.has_several()).collect(),
            ids: FxHashMap::default(),
            list: Vec::new(),
            lasting: FxHashMap::default(),
            drawn: Vec::new(),
        }
    }
}

impl Shapes {
    /// The number of a record's shape; `None` if there are too many.
    pub(crate) fn id(
        &mut self,
        strings: &mut Strings,
        definitions: &Definitions,
        view: &View,
        own: u16,
    ) -> Option<u32> {
        let held = |field: &&&Field| field.get(view);
        let mut hold = |value| match value {
            None => Held::Nothing,
            Some(Value::Number(number)) => Held::Number(number),
            Some(Value::Text(text)) => Held::Text(strings.id(text)),
            Some(Value::Flag(flag)) => Held::Flag(flag),
        };
        let held: Vec<_> = self.fields.iter().map(|field| hold(held(&field))).collect();
        let names = self.several.iter().map(|field| {
            let names = field.names(view)?;
            Some(names.iter().map(|name| strings.id(name)).collect::<Vec<_>>())
        });
        let made_of = match &view.kind {
            EventKind::Access(access) => [access.walk, access.instruction, access.stack, access.route],
            _ => [0; 4],
        };
        let place = view.place();
        let key = Key {
            kind: name_of(view),
            held,
            names: names.collect(),
            function: view.function().map(|function| function.bdf.to_string()),
            own,
            place: place.map(|place| (place.bdf.map(|bdf| bdf.to_string()), place.region.to_string())),
            open: view.place_is_open(),
            alike: view.alike,
            made_of,
        };
        if let Some(id) = self.ids.get(&key) {
            return Some(*id);
        }
        if self.list.len() == SHAPES_MAX {
            return None;
        }
        let id = u32::try_from(self.list.len()).ok()?;
        let lasting = Lasting::of(view, definitions.route(made_of[3]));
        let lasting = lasting.map(|lasting| self.drawn(lasting));
        self.list.push(self.shape(&key, lasting));
        self.ids.insert(key, id);
        Some(id)
    }

    fn drawn(&mut self, lasting: Lasting) -> u32 {
        let known = serde_json::to_string(&lasting).unwrap_or_default();
        let next = self.drawn.len() as u32;
        *self.lasting.entry(known).or_insert_with(|| {
            self.drawn.push(lasting);
            next
        })
    }

    fn shape(&self, key: &Key, lasting: Option<u32>) -> Shape {
        let values = self.fields.iter().zip(&key.held).filter_map(|(field, held)| {
            let value = match (held, field.of) {
                (Held::Nothing, _) => return None,
                (Held::Number(number), Type::Hex) => json!(format!("{number:#x}")),
                (Held::Number(number), _) => json!(number),
                (Held::Text(id), _) => json!(id),
                (Held::Flag(flag), _) => json!(flag),
            };
            Some((field.name, value))
        });
        let names = self.several.iter().zip(&key.names);
        let (bdf, region) = match &key.place {
            Some((bdf, region)) => (bdf.clone(), Some(region.clone())),
            None => (None, None),
        };
        Shape {
            kind: key.kind,
            values: values.collect(),
            names: names.filter_map(|(field, names)| Some((field.name, names.clone()?))).collect(),
            function: key.function.clone(),
            bdf,
            region,
            own: key.own,
            open: key.open,
            alike: key.alike,
            lasting,
        }
    }

    /// For the page.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({ "shapes": self.list, "drawn": self.drawn })
    }
}
