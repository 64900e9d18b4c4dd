//! What came of a replay, for people and for programs.

use std::io::Write;
use std::sync::Arc;

use barscope_analysis::view::Place;
use barscope_device::{Bdf, Region};
use serde_json::{Value, json};

use super::Outcome;
use super::compare::{Count, Side};
use super::operation::{Answer, Deed, Operation, Where};
use crate::ending::Failure;
use crate::output::{self, Format};

impl Outcome {
    /// Prints it.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        let mut out = output::buffered();
        match format {
            Format::Text => self.print_text(&mut out)?,
            Format::Json => output::json(&mut out, &self.json())?,
        }
        Ok(out.flush()?)
    }

    fn print_text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (comparison, unit) = (&self.comparison, self.unit);
        if let Some(first) = &comparison.first {
            let difference = &first.difference;
            writeln!(out, "DIVERGES at {unit} {}: {}", difference.number, self.told(&first.operation))?;
            writeln!(out, "  {}", self.about(difference.place))?;
            writeln!(out, "  recorded  {}", self.side(&difference.recorded, difference.place))?;
            writeln!(out, "  observed  {}", self.side(&difference.observed, difference.place))?;
            if !first.before.is_empty() {
                writeln!(out, "before it")?;
            }
            for (number, operation) in &first.before {
                writeln!(out, "  {number:>6}  {}", self.told(operation))?;
            }
            writeln!(out, "differences")?;
            for (place, Count { count, first }) in &comparison.by_place {
                writeln!(out, "  {count:>6}  {}, first at {unit} {first}", self.about(*place))?;
            }
        }
        if !comparison.explained.is_empty() {
            writeln!(out, "explained: the device documents that")?;
        }
        for (deviation, Count { count, first }) in &comparison.explained {
            let why = self.deviations.get(*deviation).map_or("", |deviation| deviation.why);
            writeln!(out, "  {count:>6}  {why}; first at {unit} {first}")?;
        }
        if let Some((number, why)) = &comparison.doubt {
            writeln!(out, "from {unit} {number} on the model may be in another state: {why}")?;
        }
        if let Some(Count { count, first }) = comparison.undecided {
            writeln!(out, "  {count:>6}  later differences can't be judged, the first at {unit} {first}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        let sum = |counts: &mut dyn Iterator<Item = &Count>| counts.map(|count| count.count).sum::<u64>();
        let undecided = match comparison.undecided {
            Some(Count { count, .. }) => format!(", {count} undecided"),
            None => String::new(),
        };
        writeln!(
            out,
            "{}: {} operations, {} differences, {} explained{undecided}",
            self.device,
            comparison.operations,
            sum(&mut comparison.by_place.values()),
            sum(&mut comparison.explained.values()),
        )
    }

    fn json(&self) -> Value {
        let comparison = &self.comparison;
        let count = |count: &Count| json!({ "count": count.count, "first": count.first });
        let explained = comparison.explained.iter().map(|(deviation, counted)| {
            let mut object = count(counted);
            object["why"] = json!(self.deviations.get(*deviation).map(|deviation| deviation.why));
            object
        });
        let places = comparison.by_place.iter().map(|(place, counted)| {
            let mut object = count(counted);
            object["about"] = json!(self.about(*place));
            object
        });
        json!({
            "event": "replay",
            "device": self.device,
            "unit": self.unit,
            "operations": comparison.operations,
            "first": comparison.first.as_ref().map(|first| json!({
                "at": first.difference.number,
                "operation": self.told(&first.operation),
                "about": self.about(first.difference.place),
                "recorded": self.side(&first.difference.recorded, first.difference.place),
                "observed": self.side(&first.difference.observed, first.difference.place),
            })),
            "differences": places.collect::<Vec<_>>(),
            "explained": explained.collect::<Vec<_>>(),
            "doubt": comparison.doubt.as_ref().map(|(at, why)| json!({ "at": at, "why": why })),
            "undecided": comparison.undecided.as_ref().map(count),
            "notes": self.notes,
        })
    }

    fn place(&self, bdf: Bdf, region: Region, offset: u64) -> Place {
        let function = self.functions.iter().find(|function| function.bdf == bdf).cloned().map(Arc::new);
        Place { bdf: Some(bdf), function, region, offset }
    }

    fn at(&self, bdf: Bdf, region: Region, offset: u64) -> String {
        let name = self.place(bdf, region, offset).register_name();
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        format!("{region}+{offset:#05x}{name}")
    }

    fn about(&self, place: Where) -> String {
        match place {
            Where::At(bdf, region, offset) => format!("{bdf} {}", self.at(bdf, region, offset)),
            Where::Pin(bdf) => format!("{bdf} interrupt pin"),
            Where::Messages(bdf) => format!("{bdf} messages"),
            Where::Dma(bdf) => format!("{bdf} DMA"),
            Where::Memory(address) => format!("memory at {address:#x}"),
        }
    }

    fn told(&self, operation: &Operation) -> String {
        match *operation {
            Operation::Access { bdf, region, offset, request } => {
                let at = self.at(bdf, region, offset);
                match request.written {
                    Some(value) => {
                        let text = self.value(bdf, region, offset, value, request.size);
                        format!("write of {} bytes, {at} {text}", request.size)
                    }
                    None => format!("read of {} bytes, {at}", request.size),
                }
            }
            Operation::Poll { bdf, offset, .. } => {
                format!("polling of {} until it is ready", self.at(bdf, Region::BAR0, offset))
            }
            Operation::ReadMemory(address, length) => format!("{length} bytes of memory at {address:#x}"),
            Operation::WriteMemory(address, ref bytes) => {
                format!("{} bytes written to memory at {address:#x}", bytes.len())
            }
            Operation::Wait(nanoseconds) => format!("{nanoseconds} ns pass"),
        }
    }

    fn value(&self, bdf: Bdf, region: Region, offset: u64, value: u64, size: u8) -> String {
        let meaning = self.place(bdf, region, offset).describe(value, size);
        if meaning.is_empty() { format!("{value:#x}") } else { format!("{value:#x} {meaning}") }
    }

    fn side(&self, side: &Side, place: Where) -> String {
        match (side, place) {
            (Side::Answer(Answer::Value(value)), Where::At(bdf, region, offset)) => {
                self.value(bdf, region, offset, *value, 8)
            }
            (Side::Answer(Answer::Value(value)), _) => format!("{value:#x}"),
            (Side::Answer(Answer::Bytes(bytes)), _) => {
                let digits: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
                if bytes.len() > 32 { format!("{digits}..") } else { digits }
            }
            (Side::Answer(Answer::Nothing), _) => "nothing".to_owned(),
            (Side::Deed(Some(deed)), _) => self.deed(deed),
            (Side::Deed(None), _) => "nothing".to_owned(),
        }
    }

    fn deed(&self, deed: &Deed) -> String {
        match *deed {
            Deed::Change { bdf, region, offset, old, new } => {
                let value = |value| self.value(bdf, region, offset, value, 8);
                format!("{} -> {}", value(old), value(new))
            }
            deed => deed.to_string(),
        }
    }
}
