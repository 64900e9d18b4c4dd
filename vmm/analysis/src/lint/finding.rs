//! Findings, and sites, which are the same but prove nothing: those of one lint by one place in the code at one register, in
//! one scenario, are one, with a count.

use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::Definitions;
use barscope_trace::event::{AccessEvent, Event, EventKind, Id, Target};
use barscope_trace::harmless::harmless;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::about::{About, Class};
use super::causes::Causes;
use super::functions::Functions;
use crate::assert::Location;
use crate::code::{Codes, Made};
use crate::view::{AccessView, Place};

/// The most findings that are kept, and as many sites, equal ones merged. More are counted.
const MOST: usize = 1000;
/// So many of a finding's records are named.
const NAMED: usize = 8;
/// So many accesses are remembered: what a device does because of one comes soon after it.
const RECENT: usize = 256;
/// The most keys by which equal findings are found without naming them.
const KEYS: usize = 1 << 14;

/// What a lint found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The lint.
    pub lint: &'static About,
    /// The function's address and name, as `00:04.0 lab`.
    pub device: String,
    /// The register, as `BAR0.STATUS`, or the place.
    pub register: String,
    /// The driver's function and its line, if they are known.
    pub code: Option<String>,
    /// The function alone.
    pub function: Option<String>,
    /// The line's file, without folders.
    pub file: Option<String>,
    /// The same as debug information names it, with folders.
    pub path: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The scenario that was played.
    pub scenario: Option<Arc<str>>,
    /// How often it was found.
    pub count: u64,
    /// Sequence numbers of the first records that show it.
    pub records: Vec<u64>,
    /// What is wrong, by the first of them, in one sentence.
    pub sentence: String,
    /// Why it is meant, if an expectation file allows it.
    pub allowed: Option<Allowed>,
    pub(super) spot: Spot,
}

/// Why a finding is meant, by a line of an expectation file.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The reason.
    pub reason: String,
    /// Where it is written.
    pub location: Location,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Finding", 16)?;
        let event = if self.lint.class == Class::Provable { "site" } else { "finding" };
        object.serialize_field("event", event)?;
        object.serialize_field("lint", self.lint.name)?;
        object.serialize_field("class", &self.lint.class)?;
        object.serialize_field("device", &self.device)?;
        object.serialize_field("register", &self.register)?;
        object.serialize_field("code", &self.code)?;
        object.serialize_field("function", &self.function)?;
        object.serialize_field("file", &self.file)?;
        object.serialize_field("path", &self.path)?;
        object.serialize_field("line", &self.line)?;
        object.serialize_field("scenario", &self.scenario.as_deref())?;
        object.serialize_field("count", &self.count)?;
        object.serialize_field("records", &self.records)?;
        object.serialize_field("sentence", &self.sentence)?;
        object.serialize_field("advice", self.lint.advice)?;
        object.serialize_field("allowed", &self.allowed.as_ref().map(|allowed| &allowed.reason))?;
        object.end()
    }
}

/// The code of an access: definitions of its instruction and its call stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Site {
    instruction: Id,
    stack: Id,
}

impl Site {
    pub(super) fn of(access: &AccessEvent) -> Self {
        Self { instruction: access.instruction, stack: access.stack }
    }
}

/// Where a finding is: a region of a function, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    bdf: Option<Bdf>,
    pub(super) region: Region,
    /// Where its register begins, or of the place itself.
    pub(super) offset: u64,
}

impl From<&Place> for Spot {
    fn from(place: &Place) -> Self {
        let offset = place.register().map_or(place.offset, |register| register.offset);
        Self { bdf: place.bdf, region: place.region, offset }
    }
}

/// What tells a finding from others: lint, device, register, code and scenario.
type Named = (&'static str, String, String, Option<String>, Option<Arc<str>>);
/// The same without the scenario: a place in the code at a register.
type Guarded = (&'static str, String, String, Option<String>);

/// Findings so far.
#[derive(Default)]
pub(super) struct Findings {
    rows: Vec<Finding>,
    quick: FxHashMap<(&'static str, Site, Spot), usize>,
    named: FxHashMap<Named, usize>,
    /// How many rows are sites.
    sites: usize,
    /// Code that was seen to heed what it would be a site of.
    guarded: FxHashSet<Guarded>,
    guarded_quick: FxHashSet<(&'static str, Site, Spot)>,
    /// The scenario that quick keys are of.
    scenario: Option<Arc<str>>,
    /// Records that showed something for which there was no room, by the lint's name.
    more: FxHashMap<&'static str, u64>,
    codes: Codes,
    recent: Recent,
}

/// The last accesses, by their sequence numbers.
#[derive(Default)]
struct Recent(Vec<(u64, AccessEvent)>);

impl Recent {
    fn add(&mut self, seq: u64, access: &AccessEvent) {
        let at = seq as usize % RECENT;
        if self.0.len() <= at {
            self.0.resize(RECENT, (0, AccessEvent::default()));
        }
        self.0[at] = (seq, *access);
    }

    fn get(&self, seq: u64) -> Option<&AccessEvent> {
        self.0.get(seq as usize % RECENT).filter(|(known, _)| *known == seq && seq != 0).map(|(_, it)| it)
    }
}

impl Findings {
    /// Remembers an access, by which later findings may be told.
    pub(super) fn remember(&mut self, event: &Event) {
        if let EventKind::Access(access) = &event.kind {
            self.recent.add(event.seq, access);
        }
    }

    /// The findings in order.
    pub(super) fn finish(self) -> (Vec<Finding>, FxHashMap<&'static str, u64>) {
        let mut rows = self.rows;
        let guarded = self.guarded;
        let key = |row: &Finding| (row.lint.name, row.device.clone(), row.register.clone(), row.code.clone());
        if !guarded.is_empty() {
            rows.retain(|row| !guarded.contains(&key(row)));
        }
        rows.sort_by_key(|row| (row.lint.class, row.records.first().copied(), row.lint.name));
        (rows, self.more)
    }
}

/// Where a lint says what it found.
pub(super) struct Found<'a> {
    pub(super) all: &'a mut Findings,
    pub(super) functions: &'a Functions,
    pub(super) causes: &'a Causes,
    pub(super) definitions: &'a Definitions,
    pub(super) scenario: Option<&'a Arc<str>>,
}

impl Found<'_> {
    /// An access shows it, at the register that it reaches.
    pub(super) fn at(
        &mut self,
        about: &'static About,
        access: AccessView<'_>,
        sentence: impl FnOnce() -> String,
    ) {
        let Some(place) = access.place() else { return };
        self.by(about, Site::of(&access), (place, access.view.seq), sentence);
    }

    /// A record shows it, of this place, by this code.
    pub(super) fn by(
        &mut self,
        about: &'static About,
        site: Site,
        (place, seq): (&Place, u64),
        sentence: impl FnOnce() -> String,
    ) {
        if self.all.scenario.as_ref() != self.scenario {
            self.all.scenario = self.scenario.cloned();
            self.all.quick.clear();
        }
        let quick = (about.name, site, Spot::from(place));
        if let Some(row) = self.all.quick.get(&quick) {
            self.all.rows[*row].add(seq);
            return;
        }
        let Some(row) = self.row(about, site, place, sentence) else {
            *self.all.more.entry(about.name).or_default() += 1;
            return;
        };
        if self.all.quick.len() >= KEYS {
            self.all.quick.clear();
        }
        self.all.quick.insert(quick, row);
        self.all.rows[row].add(seq);
    }

    /// This code heeds what it would be a site of, at this place: it is none, whatever was said or will be.
    pub(super) fn guarded(&mut self, about: &'static About, site: Site, place: &Place) {
        let quick = (about.name, site, Spot::from(place));
        if self.all.guarded_quick.contains(&quick) || self.all.guarded.len() >= KEYS {
            return;
        }
        let code = self.made(site, |made| made.describe());
        let (device, register) = (printable(&device(place)), printable(&register(place)));
        self.all.guarded.insert((about.name, device, register, code));
        if self.all.guarded_quick.len() >= KEYS {
            self.all.guarded_quick.clear();
        }
        self.all.guarded_quick.insert(quick);
    }

    /// Something of whoever made an access by this code.
    fn made<T>(&mut self, site: Site, of: impl FnOnce(Made<'_>) -> T) -> Option<T> {
        let code = self.all.codes.code(self.definitions, site.instruction);
        let callers = self.all.codes.callers(self.definitions, site.stack);
        code.as_deref().map(|code| of(Made::new(code, callers.as_deref())))
    }

    /// The access with this sequence number led to what shows it, at this record of this function.
    pub(super) fn because_of(
        &mut self,
        about: &'static About,
        (cause, seq): (u64, u64),
        function: Option<&barscope_trace::definition::Function>,
        sentence: impl FnOnce() -> String,
    ) {
        let access = self.all.recent.get(cause).copied();
        let reached = access.and_then(|access| self.place(&access));
        let place = reached.unwrap_or_else(|| Place {
            bdf: function.map(|function| function.bdf),
            function: function.map(|function| Arc::new(function.clone())),
            region: Region::Config,
            offset: 0x04,
        });
        self.by(about, access.as_ref().map(Site::of).unwrap_or_default(), (&place, seq), sentence);
    }

    /// What a remembered access led to.
    fn place(&self, access: &AccessEvent) -> Option<Place> {
        let route = self.definitions.route(access.route)?;
        let function = self.definitions.function_of(route)?;
        let offset = match access.target {
            Target::Memory(address) => address.wrapping_sub(route.base),
            Target::Port { offset, .. } => offset.into(),
        };
        Some(Place {
            bdf: Some(function.bdf),
            function: Some(Arc::new(function.clone())),
            region: route.region,
            offset,
        })
    }

    /// The row of a finding that has no quick key; `None` if there is no room for another one.
    fn row(
        &mut self,
        about: &'static About,
        site: Site,
        place: &Place,
        sentence: impl FnOnce() -> String,
    ) -> Option<usize> {
        let by = self.made(site, Source::of).unwrap_or_default();
        // Names are the guest's and the device's.
        let (device, register) = (printable(&device(place)), printable(&register(place)));
        let key = (about.name, device.clone(), register.clone(), by.code.clone(), self.scenario.cloned());
        if let Some(known) = self.all.named.get(&key) {
            return Some(*known);
        }
        let is_site = about.class == Class::Provable;
        let kept = if is_site { self.all.sites } else { self.all.rows.len() - self.all.sites };
        if kept >= MOST {
            return None;
        }
        self.all.sites += usize::from(is_site);
        self.all.rows.push(Finding {
            lint: about,
            device,
            register,
            code: by.code,
            function: by.function,
            file: by.file,
            path: by.path,
            line: by.line,
            scenario: self.scenario.map(|name| harmless(name).as_ref().into()),
            count: 0,
            records: Vec::new(),
            sentence: printable(&sentence()),
            allowed: None,
            spot: Spot::from(place),
        });
        let row = self.all.rows.len() - 1;
        self.all.named.insert(key, row);
        Some(row)
    }
}

/// The code of a finding, as far as it is known.
#[derive(Default)]
struct Source {
    code: Option<String>,
    function: Option<String>,
    file: Option<String>,
    path: Option<String>,
    line: Option<u32>,
}

impl Source {
    fn of(made: Made<'_>) -> Self {
        Self {
            code: Some(made.describe()),
            function: made.function(),
            file: made.by.file.map(str::to_owned),
            path: made.by.path.map(str::to_owned),
            line: made.by.line,
        }
    }
}

impl Finding {
    fn add(&mut self, seq: u64) {
        self.count += 1;
        if self.records.len() < NAMED {
            self.records.push(seq);
        }
    }
}

fn printable(text: &str) -> String {
    harmless(text).into_owned()
}

/// `00:04.0 lab`.
pub(super) fn device(place: &Place) -> String {
    let bdf = place.bdf.map(|bdf| bdf.to_string()).unwrap_or_default();
    format!("{bdf} {}", place.device()).trim().to_owned()
}

/// `BAR0.STATUS`; `BAR0+0x040` where no register is.
pub(super) fn register(place: &Place) -> String {
    let region = match place.region {
        Region::Bar(index) => format!("BAR{}", index.get()),
        Region::Rom => "ROM".to_owned(),
        Region::Config => "CONFIG".to_owned(),
    };
    match place.register() {
        Some(register) => format!("{region}.{}", register.name),
        None => place.to_string(),
    }
}
