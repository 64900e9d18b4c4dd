//! Which register an access belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::Definitions;
use barscope_trace::definition::Function;
use barscope_trace::event::{AccessEvent, Id, Target};
use serde::{Serialize, Serializer};

use super::Accesses;
use crate::coverage::{Coverage, Slot};
use crate::serial::as_hex_or_null;
use crate::view::unclaimed_configuration;

/// A place to count by. Printed, it is `BAR0.STATUS`, `BAR0 reserved` or `CONFIG`; `nothing` where nothing
/// decodes the address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PlaceKey {
    /// The function's address; `None` if there is none.
    #[serde(serialize_with = "optional_text")]
    pub bdf: Option<Bdf>,
    /// The model's name; empty if there is none.
    #[serde(serialize_with = "text_or_null")]
    pub device: String,
    /// The region; `None` if nothing decodes the address.
    #[serde(serialize_with = "optional_text")]
    pub region: Option<Region>,
    /// The register's offset in its region.
    #[serde(serialize_with = "as_hex_or_null")]
    pub offset: Option<u64>,
    /// The register; `None` for configuration space, and for bytes that belong to no register.
    pub register: Option<String>,
}

impl fmt::Display for PlaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.region, &self.register) {
            (None, _) => f.write_str("nothing"),
            (Some(Region::Config), Some(register)) => f.write_str(register),
            (Some(Region::Config), None) => f.write_str("CONFIG"),
            (Some(region), Some(register)) => write!(f, "{region}.{register}"),
            (Some(region), None) => write!(f, "{region} reserved"),
        }
    }
}

fn optional_text<S: Serializer>(value: &Option<impl fmt::Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// An empty text is none.
fn text_or_null<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
}

/// What was accessed, by register.
#[derive(Default)]
pub(super) struct Places {
    /// By the id of the route's definition.
    routes: Vec<Option<Route>>,
    /// By the id of the function's definition.
    functions: Vec<Option<Arc<Function>>>,
    pub(super) rows: Vec<Row>,
    known: BTreeMap<PlaceKey, usize>,
}

/// A register, or what else accesses are counted by.
pub(super) struct Row {
    pub(super) key: PlaceKey,
    pub(super) accesses: Accesses,
    /// Where it stands in the coverage, if it does.
    pub(super) slot: Option<Slot>,
}

/// A route, made ready for quick answers.
struct Route {
    base: u64,
    /// Registers by offset: first byte, first byte behind, row.
    spans: Vec<(u64, u64, usize)>,
    /// The row of all other bytes.
    rest: usize,
}

impl Route {
    fn row(&self, offset: u64) -> usize {
        let after = self.spans.partition_point(|(start, ..)| *start <= offset);
        match self.spans[..after].last() {
            Some((_, end, row)) if offset < *end => *row,
            _ => self.rest,
        }
    }
}

impl Places {
    /// The row of an access, and the offset in its region of the first byte.
    pub(super) fn of_access(
        &mut self,
        definitions: &Definitions,
        coverage: &mut Coverage,
        access: &AccessEvent,
    ) -> (usize, u64) {
        match self.route(definitions, coverage, access.route) {
            Some(route) => {
                let offset = match access.target {
                    Target::Memory(address) => address.wrapping_sub(route.base),
                    Target::Port { offset, .. } => offset.into(),
                };
                (route.row(offset), offset)
            }
            None => {
                let place = unclaimed_configuration(definitions, access.target);
                let region = place.map(|place| place.region);
                let key = PlaceKey { bdf: None, device: String::new(), region, offset: None, register: None };
                (self.row(key, None), 0)
            }
        }
    }

    /// The row of `offset` in the region that a route leads to; `None` without such a route.
    pub(super) fn of_offset(
        &mut self,
        definitions: &Definitions,
        coverage: &mut Coverage,
        route: Id,
        offset: u64,
    ) -> Option<usize> {
        Some(self.route(definitions, coverage, route)?.row(offset))
    }

    /// A function's definition, shared with the coverage, which knows it again by that.
    pub(super) fn function(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Function>> {
        let at = id as usize;
        if let Some(Some(known)) = self.functions.get(at) {
            return Some(Arc::clone(known));
        }
        let function = Arc::new(definitions.function(id)?.clone());
        if at >= self.functions.len() {
            self.functions.resize(at + 1, None);
        }
        self.functions[at] = Some(Arc::clone(&function));
        Some(function)
    }

    fn route(&mut self, definitions: &Definitions, coverage: &mut Coverage, id: Id) -> Option<&Route> {
        let at = id as usize;
        if self.routes.get(at).is_none_or(Option::is_none) {
            let route = self.prepare(definitions, coverage, id)?;
            if at >= self.routes.len() {
                self.routes.resize_with(at + 1, || None);
            }
            self.routes[at] = Some(route);
        }
        self.routes.get(at)?.as_ref()
    }

    fn prepare(&mut self, definitions: &Definitions, coverage: &mut Coverage, id: Id) -> Option<Route> {
        let route = definitions.route(id)?;
        let function = route.function.and_then(|function| self.function(definitions, function));
        let key = |offset, register: Option<&str>| PlaceKey {
            bdf: function.as_ref().map(|function| function.bdf),
            device: function.as_ref().map(|function| function.name.clone()).unwrap_or_default(),
            region: Some(route.region),
            offset,
            register: register.map(str::to_owned),
        };
        let Some(function) = &function else {
            // The host bridge's own register.
            let rest = self.row(key(None, Some("CONFIG_ADDRESS")), None);
            return Some(Route { base: route.base, spans: Vec::new(), rest });
        };
        let rest = self.row(key(None, None), None);
        let in_coverage = coverage.function(function);
        let map = function.register_maps.iter().find(|map| map.region == route.region);
        // Configuration space is one place: what a driver does with its device isn't there.
        let map = map.filter(|map| map.region != Region::Config);
        let registers = map.map_or(&[][..], |map| &map.registers);
        let spans = registers.iter().map(|register| {
            let slot = coverage.slot(in_coverage, route.region, register.offset);
            let row = self.row(key(Some(register.offset), Some(&register.name)), slot);
            (register.offset, register.offset.saturating_add(register.size), row)
        });
        Some(Route { base: route.base, spans: spans.collect(), rest })
    }

    fn row(&mut self, key: PlaceKey, slot: Option<Slot>) -> usize {
        if let Some(row) = self.known.get(&key) {
            return *row;
        }
        self.known.insert(key.clone(), self.rows.len());
        self.rows.push(Row { key, accesses: Accesses::default(), slot });
        self.rows.len() - 1
    }
}
