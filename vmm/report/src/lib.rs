#![doc = include_str!("../README.md")]

mod columns;
mod page;
mod shapes;
mod strings;

use std::collections::BTreeMap;
use std::io::{self, Write};

use barscope_analysis::check::Outcome;
use barscope_analysis::filter::{Compiled, FIELDS, KINDS, Type, Value, members};
use barscope_analysis::lint::{Allows, Linter};
use barscope_analysis::maps::Maps;
use barscope_analysis::results::Played;
use barscope_analysis::view::View;
use barscope_analysis::{Completeness, filter, system_call};
use barscope_device::header_registers;
use barscope_trace::definition::Function;
use barscope_trace::event::EventKind;
use barscope_trace::{Definitions, Stream};
use serde_json::json;

use self::columns::{Column, Told};
use self::shapes::{OWN, Shapes};
use self::strings::Strings;

pub use self::page::MAGIC;

/// So many records are shown one by one.
pub const RECORDS_MAX: u64 = 1_000_000;

/// Columns of a report, and how the numbers in each are told.
const COLUMNS: [(&str, Told); 18] = [
    ("shape", Told::Plain),
    ("seq", Told::AfterLast),
    ("time", Told::AfterLast),
    ("host", Told::AfterLast),
    ("cause", Told::AfterLast),
    ("gva", Told::AfterLike),
    ("gpa", Told::AfterLike),
    ("offset", Told::AfterLike),
    ("value", Told::Plain),
    ("old", Told::Plain),
    ("instance", Told::AfterLast),
    ("service", Told::Plain),
    ("address", Told::AfterLike),
    ("length", Told::Plain),
    ("text", Told::AfterLast),
    ("busy", Told::Plain),
    ("summary", Told::AfterLast),
    ("mapping", Told::Plain),
];

/// A page in the making: takes records one by one, keeps what they have in common once and the rest compressed.
pub struct Report {
    limit: u64,
    selection: Option<(Compiled, String)>,
    maps: Maps,
    played: Played,
    /// Clauses of expectations, and what they came to.
    clauses: Vec<serde_json::Value>,
    linter: Linter,
    /// What lints find and is meant.
    allows: Allows,
    /// The record at which each of them began.
    began: Vec<u64>,
    /// Scenarios beyond those that are kept.
    not_kept: u64,
    strings: Strings,
    shapes: Shapes,
    columns: Vec<Column>,
    records: u64,
    left_out: u64,
    not_selected: u64,
    uncompressed: io::Result<()>,
}

impl Report {
    /// A report that shows the first `limit` records of those that `selection` takes, a filter and its text, if it is
    /// told. Maps and scenarios are always those of all records.
    pub fn new(limit: u64, selection: Option<(Compiled, String)>) -> Self {
        Self {
            limit,
            selection,
            maps: Maps::default(),
            played: Played::default(),
            clauses: Vec::new(),
            linter: Linter::default(),
            allows: Allows::default(),
            began: Vec::new(),
            not_kept: 0,
            strings: Strings::default(),
            shapes: Shapes::default(),
            columns: COLUMNS.iter().map(|(_, told)| Column::new(*told)).collect(),
            records: 0,
            left_out: 0,
            not_selected: 0,
            uncompressed: Ok(()),
        }
    }

    /// Shows what expectations came to, that were held against the same trace.
    pub fn judged(&mut self, outcome: &Outcome) {
        self.clauses.extend(outcome.clauses());
    }

    /// Leaves out of what lints find what is meant.
    pub fn allow(&mut self, allows: Allows) {
        self.allows = allows;
    }

    /// Takes the next record.
    pub fn add(&mut self, definitions: &Definitions, view: &View) {
        self.maps.add(view);
        self.linter.take(definitions, view);
        self.add_scenario(view);
        if self.selection.as_ref().is_some_and(|(like, _)| !like.matches(view)) {
            self.not_selected += 1;
            return;
        }
        if self.records == self.limit {
            self.left_out += 1;
            return;
        }
        let values = OWN.map(|name| filter::Field::named(name).and_then(|field| field.get(view)));
        let own =
            values.iter().enumerate().fold(0, |own, (at, value)| own | u16::from(value.is_some()) << at);
        let Some(shape) = self.shapes.id(&mut self.strings, definitions, view, own) else {
            self.left_out += 1;
            return;
        };
        self.records += 1;
        let pushed = self.push(shape, view, &values);
        if self.uncompressed.is_ok() {
            self.uncompressed = pushed;
        }
    }

    fn add_scenario(&mut self, view: &View) {
        self.played.take(view);
        if let EventKind::ScenarioBegin { .. } = view.kind {
            if self.began.len() < self.played.list().len() {
                self.began.push(view.seq);
            } else {
                self.not_kept += 1;
            }
        }
    }

    fn push(&mut self, shape: u32, view: &View, values: &[Option<Value<'_>>]) -> io::Result<()> {
        self.columns[0].push(shape, shape.into())?;
        for (at, value) in values.iter().enumerate() {
            let number = match value {
                Some(Value::Number(number)) if OWN[at] == "cause" => view.seq.wrapping_sub(*number),
                Some(Value::Number(number)) => *number,
                Some(Value::Text(text)) => self.strings.id(text).into(),
                Some(Value::Flag(flag)) => u64::from(*flag),
                None => continue,
            };
            self.columns[1 + at].push(shape, number)?;
        }
        if let Some(busy) = view.busy_ns() {
            self.columns[15].push(shape, busy)?;
        }
        // An access is told from its columns: its value would make each a text of its own.
        if view.access().is_none() {
            let summary = self.strings.id(&view.summary());
            self.columns[16].push(shape, summary.into())?;
        }
        if let EventKind::Map { mapping } | EventKind::Unmap { mapping } = view.kind {
            self.columns[17].push(shape, mapping.into())?;
        }
        Ok(())
    }

    /// Writes the page of a trace that was read to its end.
    ///
    /// # Errors
    /// `out` can't be written.
    pub fn finish(mut self, out: &mut dyn Write, stream: &Stream) -> io::Result<()> {
        self.uncompressed?;
        self.maps.finish();
        let info = stream.info();
        let definitions = info.definitions;
        let name = info.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let functions: Vec<_> = definitions.functions().map(|(_, function)| told(function)).collect();
        let completeness = Completeness::of(stream);
        let mut found = self.linter.finish(&info.capabilities, completeness.clone());
        self.allows.mark(&mut found);
        let findings: Vec<_> = found.open().collect();
        let scenarios = self.played.list().iter().zip(&self.began).map(|(scenario, began)| {
            json!({
                "name": &*scenario.name,
                "began": began,
                "ns": scenario.ended_ns.saturating_sub(scenario.began_ns),
                "passed": scenario.passed,
                "summary": &*scenario.summary,
            })
        });
        let meta = json!({
            "trace": name,
            "machine": definitions.machine(),
            "clock": format!("{:?}", info.clock),
            "records": self.records,
            "leftOut": self.left_out,
            "notSelected": self.not_selected,
            "filter": self.selection.map(|(_, text)| text),
            "textsLeftOut": self.strings.left_out,
            "warnings": completeness.notes(),
            "functions": functions,
            "header": header_registers(),
            "maps": self.maps,
            "clauses": self.clauses,
            "findings": findings,
            "findingsAllowed": found.findings.len() - findings.len(),
            "scenarios": scenarios.collect::<Vec<_>>(),
            "scenariosLeftOut": self.not_kept,
            "columns": COLUMNS.map(|(name, told)| json!([name, told.name()])),
            "own": OWN,
            "language": language(),
            "strings": self.strings.all(),
        });
        let mut parts = vec![("meta", page::packed(&meta)?), ("shapes", page::packed(&self.shapes.json())?)];
        for (column, (name, _)) in self.columns.into_iter().zip(COLUMNS) {
            parts.push((name, column.finish()?));
        }
        page::write(out, &parts)
    }
}

/// A function as the page has it: addresses and regions as people write them.
fn told(function: &Function) -> serde_json::Value {
    let maps = function.register_maps.iter().map(|map| {
        let registers: Vec<_> = map.registers.iter().collect();
        json!({ "region": map.region.to_string(), "registers": registers })
    });
    json!({
        "bdf": function.bdf.to_string(),
        "name": function.name,
        "register_maps": maps.collect::<Vec<_>>(),
    })
}

/// Names of the filter language.
fn language() -> serde_json::Value {
    let kinds: BTreeMap<_, Vec<_>> =
        KINDS.iter().map(|(name, kinds, _)| (*name, members(*kinds).collect())).collect();
    let fields = FIELDS.iter().map(|field| {
        let of = match field.of {
            Type::Number => json!("number"),
            Type::Hex => json!("hex"),
            Type::Time => json!("time"),
            Type::Text => json!("text"),
            Type::Flag => json!("flag"),
            Type::Name(names) => json!(names),
        };
        (field.name, json!({ "of": of, "several": field.has_several() }))
    });
    json!({ "kinds": kinds, "fields": fields.collect::<BTreeMap<_, _>>(), "calls": system_call::names().collect::<Vec<_>>() })
}
