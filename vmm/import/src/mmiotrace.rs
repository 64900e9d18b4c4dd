//! The text of Linux's mmiotrace (`Documentation/trace/mmiotrace.rst`, `kernel/trace/trace_mmiotrace.c`).
//!
//! It has the kernel's accesses through `ioremap`; those of programs, configuration space, ports and what the device does
//! by itself it can't see. An instruction that it couldn't decode is a lost record. What `barscope export` has in marks
//! comes back as far as marks of a guest's go; the rest of them is left out.

use std::collections::HashMap;

use barscope_device::{BarIndex, Bdf};
use barscope_trace::definition::{Definition, Mapping, MemoryType, Path, Walk};
use barscope_trace::{Capability, EventKind, Id, WriteError};

use crate::output::{Access, Output};
use crate::text::{access, decimal, hex, time};
use crate::{Line, Reader};

/// What every version of the kernel calls the format.
const VERSION: &str = "20070824";
/// What marks of our exporter begin with.
const OURS: &str = "barscope ";
/// Resources of a function: six BARs and the ROM.
const RESOURCES: usize = 7;
/// Bits of a BAR that are no address: of memory, and of ports.
const MEMORY_FLAGS: u64 = 0xf;
const PORT_FLAGS: u64 = 0x3;
const PAGE: u64 = 4096;
/// So many mappings are known at once.
const MAPS_MAX: usize = 1 << 16;

/// The format.
#[derive(Debug, Default)]
pub(crate) struct Mmiotrace {
    begun: bool,
    /// It is of our exporter, which writes everybody's accesses as `R` and `W` and every mapping as `MAP`.
    ours: bool,
    /// Function whose PCIDEV line was taken.
    taken: Option<u16>,
    maps: HashMap<u64, Map>,
}

/// A mapping, by its id in the file.
#[derive(Clone, Copy, Debug)]
struct Map {
    definition: Id,
    physical: u64,
    virtual_: u64,
    length: u64,
}

impl Reader for Mmiotrace {
    fn line(&mut self, text: &str, output: &mut Output) -> Result<Line, WriteError> {
        if !self.begun {
            self.begun = true;
            output.untold(&[
                Capability::Effects,
                Capability::Configuration,
                Capability::ProgramAccesses,
                Capability::MemoryTypes,
            ]);
            output.told(Capability::Paths);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Some((kind, words)) = words.split_first() else { return Ok(Line::Other) };
        let read = match *kind {
            "VERSION" => match words.first() {
                Some(&VERSION) => Ok(()),
                _ => Err(format!("the version is not {VERSION}")),
            },
            "PCIDEV" => self.function(words, output)?,
            "R" | "W" => self.access(*kind == "W", words, output)?,
            "MAP" => self.map(words, output)?,
            "UNMAP" => self.unmap(words, output)?,
            "UNKNOWN" => unknown(words, output)?,
            "MARK" => return self.mark(text, output),
            _ if kind.starts_with('#') => return Ok(Line::Other),
            _ => Err(format!(
                "no line of mmiotrace begins with {:?}",
                kind.chars().take(32).collect::<String>()
            )),
        };
        Ok(read.map_or_else(Line::Bad, |()| Line::Taken))
    }
}

/// What is wrong with a line.
type Read = Result<(), String>;

impl Mmiotrace {
    fn function(&mut self, words: &[&str], output: &mut Output) -> Result<Read, WriteError> {
        let parse = || {
            let (at, identity) = (hex(words.first()?)?, hex(words.get(1)?)?);
            let at = u16::try_from(at).ok()?;
            let identity = u32::try_from(identity).ok()?;
            let numbers = words.get(3..3 + 2 * RESOURCES)?;
            let numbers: Vec<u64> = numbers.iter().map(|word| hex(word)).collect::<Option<_>>()?;
            Some((at, identity, numbers))
        };
        let Some((at, identity, numbers)) = parse() else {
            return Ok(Err(
                "PCIDEV has the bus and function, vendor and device, an IRQ, 7 BARs and 7 lengths".into(),
            ));
        };
        if !output.is_device((identity >> 16) as u16, identity as u16) {
            return Ok(Ok(()));
        }
        let taken = *self.taken.get_or_insert(at);
        if taken != at {
            let (other, taken) = (Bdf::from_routing_id(at), Bdf::from_routing_id(taken));
            output.note(format!("there is another such device at {other}; this is the one at {taken}"));
            return Ok(Ok(()));
        }
        output.at(Bdf::from_routing_id(at));
        for (index, (bar, length)) in numbers.iter().zip(&numbers[RESOURCES..]).enumerate() {
            let flags = if bar & 1 != 0 { PORT_FLAGS } else { MEMORY_FLAGS };
            let Some(index) = BarIndex::new(index as u8) else { continue };
            if bar & !flags != 0 && *length > 0 {
                output.bar(index, bar & !flags, *length)?;
            }
        }
        Ok(Ok(()))
    }

    fn access(&mut self, write: bool, words: &[&str], output: &mut Output) -> Result<Read, WriteError> {
        let parse = || {
            let [size, at, map, address, value, pc, pid] = words else { return None };
            let numbers = (decimal(size)?, time(at)?, decimal(map)?, hex(address)?, hex(value)?, hex(pc)?);
            Some((numbers, decimal(pid)?))
        };
        let Some(((size, at, map, address, value, rip), pid)) = parse() else {
            return Ok(Err("R and W have width, time, map, address, value, pc and pid".to_owned()));
        };
        let size = match access(size, value) {
            Ok(size) => size,
            Err(why) => return Ok(Err(why)),
        };
        output.time(at);
        let walk = match self.maps.get(&map) {
            Some(map) if !self.ours => walk(map, address, output)?,
            _ => 0,
        };
        // A record with a processor says at which privilege level it was.
        let vcpu = (!self.ours).then_some(0);
        // The kernel prints 0 for whom it didn't look at.
        let process = (pid != 0).then_some((pid, ""));
        output.access(&Access {
            write,
            size,
            value,
            address,
            rip,
            process,
            walk,
            vcpu,
            ..Access::default()
        })?;
        Ok(Ok(()))
    }

    fn map(&mut self, words: &[&str], output: &mut Output) -> Result<Read, WriteError> {
        let parse = || {
            let [at, id, physical, virtual_, length, ..] = words else { return None };
            Some((time(at)?, decimal(id)?, hex(physical)?, hex(virtual_)?, hex(length)?))
        };
        let Some((at, id, physical_address, virtual_address, length)) = parse() else {
            return Ok(Err("MAP has time, id, address, virtual address, length, pc and pid".to_owned()));
        };
        output.time(at);
        let mapping = output.define(&Definition::Mapping(Mapping {
            path: Path::Ioremap,
            virtual_address,
            physical_address,
            length,
            address_space: None,
            announced: true,
            on_fault: false,
            who: "the kernel".to_owned(),
            call: "not told".to_owned(),
        }))?;
        if self.maps.len() < MAPS_MAX || self.maps.contains_key(&id) {
            let map =
                Map { definition: mapping, physical: physical_address, virtual_: virtual_address, length };
            self.maps.insert(id, map);
        }
        output.record(EventKind::Map { mapping })?;
        Ok(Ok(()))
    }

    fn unmap(&mut self, words: &[&str], output: &mut Output) -> Result<Read, WriteError> {
        let parse = || {
            let [at, id, ..] = words else { return None };
            Some((time(at)?, decimal(id)?))
        };
        let Some((at, id)) = parse() else {
            return Ok(Err("UNMAP has time, id, pc and pid".to_owned()));
        };
        output.time(at);
        if let Some(map) = self.maps.remove(&id) {
            output.record(EventKind::Unmap { mapping: map.definition })?;
        }
        Ok(Ok(()))
    }

    /// A mark: lost events, something that our exporter had no line for, or what somebody wrote.
    fn mark(&mut self, line: &str, output: &mut Output) -> Result<Line, WriteError> {
        let rest = line.trim_start().strip_prefix("MARK").map(str::trim_start).unwrap_or_default();
        let (at, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(at) = time(at) else { return Ok(Line::Bad("MARK has a time and a text".to_owned())) };
        let lost = text.strip_prefix("Lost ").and_then(|text| text.strip_suffix(" events."));
        if let Some(lost) = lost {
            return Ok(match decimal(lost) {
                Some(count) => {
                    output.lose(count)?;
                    Line::Taken
                }
                None => Line::Bad("how many events were lost is no number".to_owned()),
            });
        }
        output.time(at);
        if text.starts_with(OURS) {
            if !std::mem::replace(&mut self.ours, true) {
                output.untold(&[Capability::Paths, Capability::Privilege]);
            }
            return Ok(Line::Other);
        }
        output.mark(text)?;
        Ok(Line::Taken)
    }
}

/// The definition of the page of an access through a mapping: where it is, which is all that the file tells.
fn walk(map: &Map, address: u64, output: &mut Output) -> Result<Id, WriteError> {
    let within = address.wrapping_sub(map.physical);
    if within >= map.length {
        return Ok(0);
    }
    output.define(&Definition::Walk(Walk {
        cr3: 0,
        page: map.virtual_.wrapping_add(within) & !(PAGE - 1),
        page_size: PAGE,
        entries: Vec::new(),
        levels: 0,
        user: false,
        writable: true,
        pat: None,
        mtrr: None,
        memory_type: MemoryType::Uncacheable,
        path: Path::Ioremap,
        announced: true,
        mapping: Some(map.definition),
        process: None,
    }))
}

/// An instruction that mmiotrace couldn't decode: an access of which nothing is known.
fn unknown(words: &[&str], output: &mut Output) -> Result<Read, WriteError> {
    let parse = || {
        let [at, id, address, ..] = words else { return None };
        decimal(id)?;
        Some((time(at)?, hex(address)?))
    };
    let Some((at, address)) = parse() else {
        return Ok(Err("UNKNOWN has time, map, address, bytes, pc and pid".to_owned()));
    };
    output.time(at);
    output.note(format!(
        "mmiotrace couldn't decode accesses, the first at {address:#x}: each is a lost record"
    ));
    output.lose(1)?;
    Ok(Ok(()))
}
