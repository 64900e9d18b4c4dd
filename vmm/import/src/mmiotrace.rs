//! The text of Linux's mmiotrace (`Documentation/trace/mmiotrace.rst`, `kernel/trace/trace_mmiotrace.c`).
//!
//! It has the kernel's accesses through `ioremap`; those of programs, configuration space, ports and what the device does
//! by itself it can't see. An instruction that it couldn't decode is a lost record. What `barscope export` writes besides
//! is read by [`ours`].

mod ours;

use std::collections::HashMap;

use barscope_device::{BarIndex, Bdf, Region};
use barscope_trace::definition::{Definition, Mapping, MemoryType, Path, Walk};
use barscope_trace::{Capability, Clock, EventKind, Id, WriteError};

use self::ours::Ours;
use crate::output::{Access, Output};
use crate::text::{access, decimal, hex, time};
use crate::{Line, Reader, jsonl};

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
    /// It is of our exporter.
    ours: Option<Ours>,
    /// Function whose PCIDEV line was taken.
    taken: Option<Bdf>,
    maps: HashMap<u64, Map>,
}

/// A function.
#[derive(Debug)]
struct Function {
    bdf: Bdf,
    vendor: u16,
    device: u16,
    bars: Vec<Placed>,
}

/// A BAR in memory or the ROM, or a BAR of ports.
#[derive(Clone, Copy, Debug)]
struct Placed {
    region: Region,
    is_port: bool,
    base: u64,
    size: u64,
}

/// An access.
#[derive(Clone, Copy, Debug)]
struct Told {
    write: bool,
    size: u8,
    at: u64,
    map: u64,
    address: u64,
    value: u64,
    rip: u64,
    pid: u64,
}

/// The clock of a file that begins so: that of our exporter has it in its second line.
pub(crate) fn clock(beginning: &[u8]) -> Clock {
    let line = beginning.split(|byte| *byte == b'\n').nth(1).and_then(|line| std::str::from_utf8(line).ok());
    let told = line.and_then(|line| mark(line)?.1.strip_prefix(OURS));
    told.map_or(Clock::Host, |json| jsonl::clock(json.as_bytes()))
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
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Some((kind, words)) = words.split_first() else { return Ok(Line::Other) };
        if *kind != "VERSION" {
            self.first_line(mark(text), output);
        }
        let read = match *kind {
            "VERSION" => match words.first() {
                Some(&VERSION) => Ok(()),
                _ => Err(format!("the version is not {VERSION}")),
            },
            "PCIDEV" => match function(words) {
                Ok(function) => {
                    self.function(&function, output)?;
                    Ok(())
                }
                Err(why) => Err(why),
            },
            "R" | "W" if self.ours.as_mut().is_some_and(Ours::is_told) => Ok(()),
            "R" | "W" => match told(*kind == "W", words) {
                Ok(told) => match &mut self.ours {
                    Some(ours) => ours.access(&told, output)?,
                    None => {
                        self.access(&told, output)?;
                        Ok(())
                    }
                },
                Err(why) => Err(why),
            },
            // Its marks say more of a mapping.
            "MAP" | "UNMAP" if self.ours.is_some() => Ok(()),
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

    fn end(&mut self, output: &mut Output) -> Result<(), WriteError> {
        match &mut self.ours {
            Some(ours) => ours.end(output),
            None => Ok(()),
        }
    }
}

/// What is wrong with a line.
type Read = Result<(), String>;

impl Mmiotrace {
    /// The first line after the version, which is a mark if it is our exporter's.
    fn first_line(&mut self, mark: Option<(&str, &str)>, output: &mut Output) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if mark.is_some_and(|(_, text)| text.starts_with(OURS)) {
            output.all_are_told();
            self.ours = Some(Ours::default());
            return;
        }
        output.untold(&[
            Capability::Effects,
            Capability::Configuration,
            Capability::ProgramAccesses,
            Capability::MemoryTypes,
        ]);
        output.told(Capability::Paths);
    }

    fn function(&mut self, function: &Function, output: &mut Output) -> Result<(), WriteError> {
        if let Some(ours) = &mut self.ours {
            return ours.function(function, output);
        }
        if !output.is_device(function.vendor, function.device) {
            return Ok(());
        }
        let taken = *self.taken.get_or_insert(function.bdf);
        if taken != function.bdf {
            let other = function.bdf;
            output.note(format!("there is another such device at {other}; this is the one at {taken}"));
            return Ok(());
        }
        output.at(function.bdf);
        for placed in &function.bars {
            if let Region::Bar(index) = placed.region {
                output.bar(index, placed.base, placed.size)?;
            }
        }
        Ok(())
    }

    fn access(&mut self, told: &Told, output: &mut Output) -> Result<(), WriteError> {
        let Told { write, size, at, map, address, value, rip, pid } = *told;
        output.time(at);
        let walk = match self.maps.get(&map) {
            Some(map) => walk(map, address, output)?,
            None => 0,
        };
        output.access(&Access {
            write,
            size,
            value,
            address,
            rip,
            // The kernel prints 0 for whom it didn't look at.
            process: (pid != 0).then_some((pid, "")),
            walk,
            // A record with a processor says at which privilege level it was.
            vcpu: Some(0),
            ..Access::default()
        })?;
        Ok(())
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
            of: None,
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

    /// A mark: lost events, what our exporter has no line for, or what somebody wrote.
    fn mark(&mut self, line: &str, output: &mut Output) -> Result<Line, WriteError> {
        let Some((at, text)) = mark(line) else {
            return Ok(Line::Bad("MARK has a time and a text".to_owned()));
        };
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
        if let Some(ours) = &mut self.ours {
            return match text.strip_prefix(OURS) {
                Some(json) => ours.record(json, output),
                None => ours.mark(at, text, output),
            };
        }
        output.time(at);
        output.mark(text)?;
        Ok(Line::Taken)
    }
}

/// Time and text of a mark.
fn mark(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim_start().strip_prefix("MARK")?.trim_start();
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

fn function(words: &[&str]) -> Result<Function, String> {
    let parse = || {
        let (at, identity) = (hex(words.first()?)?, hex(words.get(1)?)?);
        let bdf = Bdf::from_routing_id(u16::try_from(at).ok()?);
        let identity = u32::try_from(identity).ok()?;
        let numbers = words.get(3..3 + 2 * RESOURCES)?;
        let numbers: Vec<u64> = numbers.iter().map(|word| hex(word)).collect::<Option<_>>()?;
        let (bars, sizes) = numbers.split_at(RESOURCES);
        let bars = (0..).zip(bars.iter().zip(sizes)).filter_map(|(index, (bar, size))| {
            let is_port = bar & 1 != 0;
            let base = bar & !if is_port { PORT_FLAGS } else { MEMORY_FLAGS };
            let region = BarIndex::new(index).map_or(Region::Rom, Region::Bar);
            (base != 0 && *size > 0).then_some(Placed { region, is_port, base, size: *size })
        });
        let (vendor, device) = ((identity >> 16) as u16, identity as u16);
        Some(Function { bdf, vendor, device, bars: bars.collect() })
    };
    parse().ok_or_else(|| {
        "PCIDEV has the bus and function, vendor and device, an IRQ, 7 BARs and 7 lengths".to_owned()
    })
}

fn told(write: bool, words: &[&str]) -> Result<Told, String> {
    let parse = || {
        let [size, at, map, address, value, pc, pid] = words else { return None };
        let numbers = (decimal(size)?, time(at)?, decimal(map)?, hex(address)?, hex(value)?);
        Some((numbers, hex(pc)?, decimal(pid)?))
    };
    let ((size, at, map, address, value), rip, pid) =
        parse().ok_or_else(|| "R and W have width, time, map, address, value, pc and pid".to_owned())?;
    Ok(Told { write, size: access(size, value)?, at, map, address, value, rip, pid })
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
