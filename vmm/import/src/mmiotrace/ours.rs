//! What `barscope export` writes: everybody's accesses to BARs as `R` and `W`, and each other record as a mark.
//!
//! Each line or mark is the record that comes next, so causes lead back. A mark before a line says more of the same access.
//! What `R` and `W` have no room for isn't told: by whom, on which processor, in which ring, through which pages.

use barscope_device::Region;
use barscope_trace::definition::Definition;
use barscope_trace::event::{AccessEvent, Outcome, Target};
use barscope_trace::{Capability, EventKind, Id, Knowledge, WriteError};

use super::{Function, Read, Told};
use crate::jsonl::Jsonl;
use crate::output::Output;
use crate::{Line, Reader};

/// Begins the mark of records that weren't asked for.
const LEFT_OUT: &str = "{\"event\":\"left-out\",\"count\":";
/// What no line of an access tells.
const UNTOLD: [Capability; 7] = [
    Capability::Handlers,
    Capability::Paths,
    Capability::Functions,
    Capability::Processes,
    Capability::Stacks,
    Capability::Privilege,
    Capability::MemoryTypes,
];

/// Reads it.
#[derive(Debug, Default)]
pub(super) struct Ours {
    json: Jsonl,
    /// Where regions are, the latest last.
    regions: Vec<At>,
}

/// A region where it is.
#[derive(Clone, Copy, Debug)]
struct At {
    function: Id,
    region: Region,
    base: u64,
    size: u64,
}

impl Ours {
    pub(super) fn function(&mut self, function: &Function, output: &mut Output) -> Result<(), WriteError> {
        let Some(id) = self.json.function_at(function.bdf, output)? else { return Ok(()) };
        for bar in function.bars.iter().filter(|bar| !bar.is_port) {
            let at = At { function: id, region: bar.region, base: bar.base, size: bar.size };
            let is_same = |known: &At| (known.function, known.region) == (at.function, at.region);
            if self.regions.iter().any(|known| is_same(known) && known.base == at.base) {
                continue;
            }
            self.regions.retain(|known| !is_same(known));
            self.regions.push(at);
        }
        Ok(())
    }

    pub(super) fn record(&mut self, json: &str, output: &mut Output) -> Result<Line, WriteError> {
        if let Some(count) = json.strip_prefix(LEFT_OUT).and_then(|rest| rest.strip_suffix('}')) {
            let Some(count) = crate::text::decimal(count) else {
                return Ok(Line::Bad("how many records were left out is no number".to_owned()));
            };
            output.note("records that the export left out count as lost".to_owned());
            output.lose(count)?;
            return Ok(Line::Taken);
        }
        self.json.line(json, output)
    }

    pub(super) fn mark(&mut self, at: u64, text: &str, output: &mut Output) -> Result<Line, WriteError> {
        output.device_time(at);
        let text = output.define(&Definition::Text { text: text.to_owned() })?;
        output.numbered(output.next_seq(), EventKind::Mark { text, process: 0 }, None)?;
        Ok(Line::Taken)
    }

    /// Whether the mark before has said all of the access whose line comes now.
    pub(super) fn is_told(&mut self) -> bool {
        self.json.took_memory_access()
    }

    pub(super) fn access(&mut self, told: &Told, output: &mut Output) -> Result<Read, WriteError> {
        let inside = |at: &&At| told.address.wrapping_sub(at.base) < at.size;
        let Some(at) = self.regions.iter().rev().find(inside).copied() else {
            return Ok(Err(format!("no function is at {:#x}", told.address)));
        };
        output.device_time(told.at);
        let route = output.region_route(at.function, at.region, at.base, at.size)?;
        let instruction = output.instruction(told.rip)?;
        let kind = EventKind::Access(AccessEvent {
            route,
            target: Target::Memory(told.address),
            write: told.write,
            size: told.size,
            value: told.value,
            cpl: 0,
            read_modify_write: false,
            coalesced: false,
            outcome: Outcome::Ok,
            walk: 0,
            instruction,
            instance: 0,
            fragment: 0,
            service_ns: 0,
            stack: 0,
            pat: None,
            memory_type: None,
        });
        output.numbered(output.next_seq(), kind, None)?;
        Ok(Ok(()))
    }

    pub(super) fn end(&mut self, output: &mut Output) -> Result<(), WriteError> {
        self.json.end(output)?;
        for capability in UNTOLD {
            output.knows(capability, Knowledge::Unknown);
        }
        Ok(())
    }
}
