//! What all accesses share that one piece of code makes in one way: who looks at many of them has it once.

use barscope_trace::definition::Route;
use serde::Serialize;

use super::layers::{self, Row};
use super::way::way;
use super::{Explanation, Layers, PageTable, RouteUse};
use crate::Completeness;
use crate::view::View;

/// Rows that are about one access, not about all like it.
const OWN: [&str; 13] = [
    "virtual",
    "made",
    "filled",
    "parts",
    "physical",
    "port",
    "register",
    "read",
    "write",
    "value",
    "fields",
    "served in",
    "kernel entry",
];

/// An access without its time, its value and its addresses.
#[derive(Clone, Debug, Serialize)]
pub struct Lasting {
    /// The way to it, from the outermost function inwards.
    pub way: Vec<Fact>,
    /// Code, mapping, page walk and bus, in that order; each without what is about one access only.
    pub layers: Vec<Vec<Fact>>,
    /// The page walk, decoded.
    pub page_table: Option<PageTable>,
}

/// A row of an explanation.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    /// What it is about.
    pub label: String,
    /// In words: an item each.
    pub items: Vec<String>,
}

impl Lasting {
    /// That of an access by way of `route`; `None` for what is no access.
    pub fn of(view: &View, route: Option<&Route>) -> Option<Self> {
        let route = route.map(|route| RouteUse {
            first: route.base,
            last: route.base.saturating_add(route.size.saturating_sub(1)),
            region: route.region,
            since: None,
            cause: None,
        });
        let layers = Layers { route, ..Layers::new(view.access()?) };
        let page_table = layers.page_table.clone();
        let explanation = Explanation {
            record: view.clone(),
            cause: None,
            access: Some(layers),
            walked: None,
            mappings: Vec::new(),
            faulted: None,
            followed: Vec::new(),
            not_shown: 0,
            trace: Completeness {
                end: None,
                lost: 0,
                damage: Vec::new(),
                unknown_kinds: 0,
                incomplete: Vec::new(),
            },
        };
        let layers = layers::layers(&explanation).into_iter().map(|layer| {
            let rows = layer.rows.into_iter().filter(|row| !OWN.contains(&row.label.as_str()));
            rows.filter_map(fact).collect()
        });
        Some(Self {
            way: way(view).into_iter().filter_map(fact).collect(),
            layers: layers.collect(),
            page_table,
        })
    }
}

/// A row, without what led to one access.
fn fact(row: Row) -> Option<Fact> {
    let items =
        row.items.into_iter().filter(|item| !item.contains("caused by record ") || row.label == "code");
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then_some(Fact { label: row.label, items })
}
