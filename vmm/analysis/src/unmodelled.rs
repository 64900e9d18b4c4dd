//! What a guest touched and no device has: the registers that a driver wants of a device that is being modelled.
//!
//! Counted are accesses to bytes of a region that belong to no register of its map, and those that nothing decodes. What
//! a device has but doesn't decode, with Memory Space off say, isn't among them, nor is a scan for functions that aren't
//! there.

mod text;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::event::{EventKind, Target};
use barscope_trace::{ReadError, Stream};
use serde::Serialize;

use crate::completeness::Completeness;
use crate::serial::as_hex;
use crate::view::{AccessView, View, Viewer};

/// So many places are kept apart. Accesses to others are counted.
const MOST: usize = 1 << 14;

/// What was touched and isn't there, most often first.
#[derive(Clone, Debug, Serialize)]
pub struct Unmodelled {
    /// Places, each a range of bytes.
    pub rows: Vec<Row>,
    /// Accesses to places for which there was no room.
    pub left_out: u64,
    /// Whether all that happened is in the trace.
    #[serde(flatten)]
    pub completeness: Completeness,
}

/// A range of bytes that was touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The function, as `00:04.0 lab`; `None` where nothing decodes the address.
    pub device: Option<String>,
    /// `BAR0`, `CONFIG`; `memory` and `ports` where nothing decodes the address.
    pub region: String,
    /// Offset in the region of the first byte, or address.
    #[serde(serialize_with = "as_hex")]
    pub first: u64,
    /// The same of the last byte.
    #[serde(serialize_with = "as_hex")]
    pub last: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// What was written last, if anything.
    pub written: Option<Written>,
    /// Sequence number of the first access.
    pub seq: u64,
    /// The function and line that made that, if they are known.
    pub code: Option<String>,
    /// The scenario that was played.
    pub scenario: Option<String>,
}

/// A write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Written {
    /// Its sequence number.
    pub seq: u64,
    /// The value.
    #[serde(serialize_with = "as_hex")]
    pub value: u64,
}

/// Who has the bytes, or would.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Function { bdf: Bdf, name: Arc<str>, region: Region },
    Memory,
    Ports,
}

/// A place that was touched: an offset or an address, by as many bytes as the widest access has.
struct Touched {
    size: u64,
    reads: u64,
    writes: u64,
    written: Option<Written>,
    seq: u64,
    code: Option<String>,
    scenario: Option<String>,
}

/// Finds what isn't there in views, taken in their order.
#[derive(Default)]
pub struct Finder {
    touched: BTreeMap<(Owner, u64), Touched>,
    left_out: u64,
}

impl Unmodelled {
    /// That of the trace at `path`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of(path: &Path) -> Result<Self, ReadError> {
        let mut stream = Stream::open(path)?;
        let mut viewer = Viewer::knowing(&stream.info().capabilities);
        let mut finder = Finder::default();
        while let Some(event) = stream.next()? {
            finder.take(&viewer.view(stream.definitions(), &event));
        }
        Ok(finder.finish(Completeness::of(&stream)))
    }

    /// It in `width` columns, the first `top` rows.
    pub fn text(&self, width: usize, top: usize, color: bool) -> String {
        text::render(self, width, top, color)
    }
}

impl Finder {
    /// Takes the next view.
    pub fn take(&mut self, view: &View) {
        let EventKind::Access(_) = view.kind else { return };
        let Some(access) = view.access() else { return };
        let Some(key) = absent(access) else { return };
        let room = self.touched.len() < MOST;
        let Some(touched) = (match self.touched.get_mut(&key) {
            None if room => Some(self.touched.entry(key).or_insert_with(|| Touched::first(access))),
            known => known,
        }) else {
            self.left_out += 1;
            return;
        };
        touched.size = touched.size.max(access.size.into());
        touched.reads += u64::from(!access.write);
        touched.writes += u64::from(access.write);
        if access.write {
            touched.written = Some(Written { seq: view.seq, value: access.value });
        }
    }

    /// What it comes to: places that touch each other are one.
    pub fn finish(self, completeness: Completeness) -> Unmodelled {
        let mut rows: Vec<Row> = Vec::new();
        let mut before: Option<Owner> = None;
        for ((owner, start), touched) in self.touched {
            let last = start.saturating_add(touched.size.saturating_sub(1));
            let row = rows.last_mut().filter(|row| {
                before.as_ref() == Some(&owner) && row.last.checked_add(1).is_some_and(|end| start <= end)
            });
            match row {
                Some(row) => row.add(last, touched),
                None => rows.push(Row::new(&owner, (start, last), touched)),
            }
            before = Some(owner);
        }
        rows.sort_by_key(|row| (Reverse(row.reads + row.writes), row.seq));
        Unmodelled { rows, left_out: self.left_out, completeness }
    }
}

/// Where an access went that nothing has; `None` for one that something has, or has without decoding it.
fn absent(access: AccessView<'_>) -> Option<(Owner, u64)> {
    let Some(place) = access.place() else {
        let is_known = access.absent().is_some_and(|absent| absent.base.is_some());
        if access.view.place_is_open() || is_known {
            return None;
        }
        return Some(match access.target {
            Target::Memory(address) => (Owner::Memory, address),
            Target::Port { port, .. } => (Owner::Ports, port.into()),
        });
    };
    let function = place.function.as_deref()?;
    // Without a map nobody knows what the region has.
    function.register_maps.iter().find(|map| map.region == place.region)?;
    if place.register().is_some() {
        return None;
    }
    let name = function.name.as_str().into();
    Some((Owner::Function { bdf: function.bdf, name, region: place.region }, place.offset))
}

impl Touched {
    fn first(access: AccessView<'_>) -> Self {
        let view = access.view;
        Self {
            size: 1,
            reads: 0,
            writes: 0,
            written: None,
            seq: view.seq,
            code: view.made().map(|made| made.describe()),
            scenario: view.scenario.as_deref().filter(|_| !view.uncertain.scenario).map(str::to_owned),
        }
    }
}

impl Row {
    fn new(owner: &Owner, (first, last): (u64, u64), touched: Touched) -> Self {
        let (device, region) = match owner {
            Owner::Function { bdf, name, region } => (Some(format!("{bdf} {name}")), region.to_string()),
            Owner::Memory => (None, "memory".to_owned()),
            Owner::Ports => (None, "ports".to_owned()),
        };
        let Touched { reads, writes, written, seq, code, scenario, .. } = touched;
        Self { device, region, first, last, reads, writes, written, seq, code, scenario }
    }

    fn add(&mut self, last: u64, touched: Touched) {
        self.last = self.last.max(last);
        self.reads += touched.reads;
        self.writes += touched.writes;
        self.written = self.written.max(touched.written);
        if touched.seq < self.seq {
            (self.seq, self.code, self.scenario) = (touched.seq, touched.code, touched.scenario);
        }
    }

    /// `00:04.0 lab BAR0+0x0f8-0x0ff`; `memory 0xfed00000-0xfed00003`.
    pub fn name(&self) -> String {
        let Self { region, first, last, .. } = self;
        match &self.device {
            Some(device) if first == last => format!("{device} {region}+{first:#05x}"),
            Some(device) => format!("{device} {region}+{first:#05x}-{last:#05x}"),
            None if first == last => format!("{region} {first:#x}"),
            None => format!("{region} {first:#x}-{last:#x}"),
        }
    }
}

#[cfg(test)]
mod tests;
