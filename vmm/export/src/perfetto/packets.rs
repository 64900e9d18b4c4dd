//! Packets of one sequence, with what they refer to interned.

use std::io::{self, Write};

use barscope_trace::Id;
use prost::Message;
use rustc_hash::FxHashMap;

use super::proto::{
    DebugAnnotation, EventName, INCREMENTAL_STATE_CLEARED, InternedData, InternedString,
    NEEDS_INCREMENTAL_STATE, SourceLocation, TracePacket, TrackDescriptor, TrackEvent, TrackEventType,
};

/// The one sequence that packets are of.
const SEQUENCE: u32 = 1;
/// Tag of `Trace.packet`: field 1, with a length.
const PACKET: u8 = 1 << 3 | 2;
/// How many texts are interned before all are forgotten, by reader and writer: names of places in device memory have no
/// end.
const INTERNED_MAX: usize = 1 << 14;

/// What an annotation holds.
#[derive(Clone, Copy)]
pub(super) enum Note<'a> {
    /// A number, shown in decimal digits.
    Number(u64),
    /// A number, shown in hexadecimal digits.
    Hex(u64),
    /// A text.
    Text(&'a str),
}

/// What an event is called.
pub(super) enum Name<'a> {
    /// Nothing: it is the end of a slice.
    None,
    /// This.
    Text(&'a str),
    /// What `make` gives, which is always the same for a key: most events are accesses, and these call for few names.
    Of(PlaceKey, &'a dyn Fn() -> String),
}

/// A route's definition, an offset, and whether it is a write.
pub(super) type PlaceKey = (Id, u64, bool);
/// Definitions of an instruction and of a call stack.
pub(super) type CodeKey = (Id, Id);

/// A place in the source: function, file, line.
pub(super) struct Source {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: Option<u32>,
}

/// An event on a track.
pub(super) struct OnTrack<'a> {
    pub(super) track: u64,
    pub(super) of: TrackEventType,
    pub(super) name: Name<'a>,
    pub(super) notes: &'a [(&'static str, Note<'a>)],
    /// The code that it is of, and what gives its place; `None` where nothing names it.
    pub(super) code: Option<(CodeKey, &'a dyn Fn() -> Option<Source>)>,
    /// The chains of causes that it is part of.
    pub(super) flows: &'a [u64],
}

/// Writes packets.
pub(super) struct Packets<W> {
    out: W,
    names: FxHashMap<Box<str>, u64>,
    annotations: FxHashMap<&'static str, u64>,
    texts: FxHashMap<Box<str>, u64>,
    /// Ids of names by what they are names of.
    places: FxHashMap<PlaceKey, u64>,
    /// `None` for code that nothing names.
    locations: FxHashMap<CodeKey, Option<u64>>,
    /// The event and the packet that are being put together.
    event: TrackEvent,
    packet: TracePacket,
    bytes: Vec<u8>,
    started: bool,
}

impl<W: Write> Packets<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            names: FxHashMap::default(),
            annotations: FxHashMap::default(),
            texts: FxHashMap::default(),
            places: FxHashMap::default(),
            locations: FxHashMap::default(),
            event: TrackEvent::default(),
            packet: TracePacket::default(),
            bytes: Vec::new(),
            started: false,
        }
    }

    /// The first packet, by which such a file is known.
    fn start(&mut self) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let packet = TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: Some(INCREMENTAL_STATE_CLEARED),
            ..TracePacket::default()
        };
        write(&mut self.out, &mut self.bytes, &packet)
    }

    /// Describes a track.
    pub(super) fn track(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.start()?;
        let packet = TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_descriptor: Some(track),
            ..TracePacket::default()
        };
        write(&mut self.out, &mut self.bytes, &packet)
    }

    /// Writes an event at this time, in nanoseconds.
    pub(super) fn event(&mut self, ns: u64, on: &OnTrack<'_>) -> io::Result<()> {
        let interned = self.names.len() + self.places.len() + self.texts.len() + self.locations.len();
        self.start()?;
        let clear = interned >= INTERNED_MAX;
        if clear {
            self.names.clear();
            self.annotations.clear();
            self.texts.clear();
            self.places.clear();
            self.locations.clear();
        }
        let mut new = InternedData::default();
        let mut event = std::mem::take(&mut self.event);
        event.debug_annotations.clear();
        event.flow_ids.clear();
        event.r#type = Some(on.of as i32);
        event.track_uuid = Some(on.track);
        event.name_iid = self.name(&on.name, &mut new);
        event.source_location_iid = on.code.and_then(|code| self.location(code, &mut new));
        for (name, note) in on.notes {
            let annotation = self.annotation(name, *note, &mut new);
            event.debug_annotations.push(annotation);
        }
        event.flow_ids.extend_from_slice(on.flows);
        let mut encoded = self.packet.track_event.take().unwrap_or_default();
        encoded.clear();
        event.encode(&mut encoded).map_err(io::Error::other)?;
        self.event = event;
        let cleared = if clear { INCREMENTAL_STATE_CLEARED } else { 0 };
        self.packet = TracePacket {
            timestamp: Some(ns),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(encoded),
            interned_data: (new != InternedData::default()).then_some(new),
            sequence_flags: Some(cleared | NEEDS_INCREMENTAL_STATE),
            track_descriptor: None,
        };
        write(&mut self.out, &mut self.bytes, &self.packet)
    }

    fn name(&mut self, name: &Name<'_>, new: &mut InternedData) -> Option<u64> {
        let names = &mut self.names;
        let mut text = |text: &str| {
            intern(names, text, |iid| {
                new.event_names.push(EventName { iid: Some(iid), name: Some(text.to_owned()) });
            })
        };
        match name {
            Name::None => None,
            Name::Text(name) => Some(text(name)),
            Name::Of(key, make) => Some(*self.places.entry(*key).or_insert_with(|| text(&make()))),
        }
    }

    fn location(
        &mut self,
        (key, make): (CodeKey, &dyn Fn() -> Option<Source>),
        new: &mut InternedData,
    ) -> Option<u64> {
        let next = self.locations.len() as u64 + 1;
        *self.locations.entry(key).or_insert_with(|| {
            let Source { function, file, line } = make()?;
            new.source_locations.push(SourceLocation {
                iid: Some(next),
                file_name: Some(file),
                function_name: Some(function),
                line_number: line,
            });
            Some(next)
        })
    }

    fn annotation(&mut self, name: &'static str, note: Note<'_>, new: &mut InternedData) -> DebugAnnotation {
        let next = self.annotations.len() as u64 + 1;
        let iid = *self.annotations.entry(name).or_insert_with(|| {
            new.debug_annotation_names.push(EventName { iid: Some(next), name: Some(name.to_owned()) });
            next
        });
        let mut annotation = DebugAnnotation { name_iid: Some(iid), ..DebugAnnotation::default() };
        match note {
            Note::Number(number) => annotation.uint_value = Some(number),
            Note::Hex(number) => annotation.pointer_value = Some(number),
            Note::Text(text) => {
                let iid = intern(&mut self.texts, text, |iid| {
                    let str = Some(text.as_bytes().to_vec());
                    new.debug_annotation_string_values.push(InternedString { iid: Some(iid), str });
                });
                annotation.string_value_iid = Some(iid);
            }
        }
        annotation
    }

    /// Has what was written so far seen.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.start()?;
        self.out.flush()
    }
}

/// The id of a text; `define` gets it if it is new.
fn intern(known: &mut FxHashMap<Box<str>, u64>, text: &str, define: impl FnOnce(u64)) -> u64 {
    if let Some(iid) = known.get(text) {
        return *iid;
    }
    let iid = known.len() as u64 + 1;
    known.insert(Box::from(text), iid);
    define(iid);
    iid
}

fn write(out: &mut impl Write, bytes: &mut Vec<u8>, packet: &TracePacket) -> io::Result<()> {
    bytes.clear();
    bytes.push(PACKET);
    packet.encode_length_delimited(bytes).map_err(io::Error::other)?;
    out.write_all(bytes)
}
