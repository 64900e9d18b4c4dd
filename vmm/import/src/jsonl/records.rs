//! Kinds of records from their objects.

use std::collections::HashMap;

use barscope_device::{InterruptLoss, Region};
use barscope_trace::definition::{Definition, MemoryType};
use barscope_trace::event::{
    AccessEvent, Backing, Counted, DmaOutcome, MemoryOperand, Outcome, RouteChange, Target,
};
use barscope_trace::{EventKind, Id, WriteError};

use super::NOBODY;
use super::names::Names;
use super::object::{Object, Wrong};
use super::parts::{Parts, mapping_of, process_in};
use crate::output::Output;
use crate::text::access;

/// So many places of regions are remembered.
const REGIONS_MAX: usize = 1 << 12;

/// What comes of a record's object: its kind with its fields, or why there is none.
type Read = Result<Result<EventKind, Wrong>, WriteError>;

/// Reads records.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) names: Names,
    /// The last route to each region of a function: records that are about one don't say where it is.
    regions: HashMap<(Id, Region), Id>,
}

/// Takes a value, or ends with what is wrong.
macro_rules! right {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(wrong) => return Ok(Err(wrong)),
        }
    };
}

impl Records {
    /// The record of a kind that is called `event`, about `function`.
    pub(super) fn read(
        &mut self,
        event: &str,
        object: &Object<'_>,
        function: Id,
        output: &mut Output,
    ) -> Read {
        let cause = object.count("cause").unwrap_or(0);
        let text = |output: &mut Output, key: &str| -> Result<Id, WriteError> {
            output.define(&Definition::Text { text: object.text(key).unwrap_or_default().to_owned() })
        };
        Ok(Ok(match event {
            "access" => return self.access(object, function, output),
            "not-emulated" => return self.not_emulated(object, function, output),
            "page-walk" => {
                let gpa = object.hex("gpa");
                EventKind::PageWalk {
                    cpl: object.count("cpl").unwrap_or(0).min(3) as u8,
                    text: text(output, "text")?,
                    address: right!(object.need_hex("address")),
                    walk: Parts::of(object, &mut self.names, output)?.walk,
                    gpa,
                    route: match gpa {
                        Some(address) => route_of(object, function, address, output)?,
                        None => 0,
                    },
                }
            }
            "mark" => EventKind::Mark {
                text: text(output, "text")?,
                process: process_in(object, output)?.unwrap_or(0),
            },
            "count" => {
                let process = process_in(object, output)?.unwrap_or(0);
                right!(count(object, process))
            }
            "console" => EventKind::Console { text: text(output, "text")? },
            "warning" => EventKind::Warning { text: text(output, "text")? },
            "scenario-begin" => EventKind::ScenarioBegin { name: text(output, "scenario")? },
            "scenario-end" => {
                EventKind::ScenarioEnd { passed: object.flag("passed"), summary: text(output, "summary")? }
            }
            "map" | "unmap" => {
                let mapping = right!(object.need(object.object("mapping"), "mapping"));
                let mapping = output.define(&Definition::Mapping(right!(mapping_of(&mapping))))?;
                if event == "map" { EventKind::Map { mapping } } else { EventKind::Unmap { mapping } }
            }
            "route" => {
                let (region, base) = (right!(object.region()), right!(object.need_hex("address")));
                let size = right!(object.need_count("size"));
                let change = right!(object.named::<RouteChange>("change"));
                let route = output.region_route(function, region, base, size)?;
                if self.regions.len() < REGIONS_MAX {
                    self.regions.insert((function, region), route);
                }
                EventKind::Route { route, change, cause }
            }
            "backing" => {
                let name = right!(object.need(object.text("backing"), "backing"));
                let backing = Backing::ALL.into_iter().find(|backing| backing.name() == name);
                let backing = right!(object.need(backing, "backing"));
                EventKind::Backing { route: right!(self.region(object, function, output)?), backing, cause }
            }
            "pages-written" => {
                let (offset, pages) = (right!(object.need_hex("offset")), right!(object.need_count("pages")));
                let since = right!(object.need_count("since"));
                let route = right!(self.region(object, function, output)?);
                EventKind::PagesWritten { route, offset, pages, since }
            }
            "doorbell" => {
                let (offset, count) = (right!(object.need_hex("offset")), right!(object.need_count("count")));
                EventKind::Doorbell { route: right!(self.region(object, function, output)?), offset, count }
            }
            _ => return Ok(plain(event, object, function, cause)),
        }))
    }

    /// The route to the region that a record is about.
    fn region(
        &mut self,
        object: &Object<'_>,
        function: Id,
        output: &mut Output,
    ) -> Result<Result<Id, Wrong>, WriteError> {
        let region = right!(object.region());
        match self.regions.get(&(function, region)) {
            Some(route) => Ok(Ok(*route)),
            None => output.region_route(function, region, 0, 0).map(Ok),
        }
    }

    fn access(&mut self, object: &Object<'_>, function: Id, output: &mut Output) -> Read {
        let parse = || {
            let (value, size) = (object.need_hex("value")?, object.need_count("size")?);
            // What a page boundary leaves of an access may have any length.
            let size = access(size, value).or(u8::try_from(size).map_err(|_| format!("{size} bytes")))?;
            let target = match (object.hex("gpa"), object.hex("port")) {
                (Some(address), _) => Target::Memory(address),
                (None, Some(port)) => {
                    let port = u16::try_from(port).map_err(|_| format!("{port:#x} is no port"))?;
                    let routing_id = object.bdf().map_or(0, barscope_device::Bdf::routing_id);
                    let offset =
                        object.hex("offset").and_then(|offset| u16::try_from(offset).ok()).unwrap_or(0);
                    Target::Port { port, routing_id, offset }
                }
                (None, None) => return Err("gpa and port are missing".to_owned()),
            };
            Ok((value, size, target, object.named::<Outcome>("outcome")?))
        };
        let (value, size, target, outcome) = right!(parse());
        let route = match target {
            Target::Memory(address) => route_of(object, function, address, output)?,
            Target::Port { port, .. } => match (object.region(), object.hex("offset")) {
                (Ok(region), Some(offset)) if function != NOBODY => {
                    output.port_route(object.bdf().map(|_| function), region, port, offset)?
                }
                _ => 0,
            },
        };
        let Parts { walk, instruction, stack } = Parts::of(object, &mut self.names, output)?;
        let memory_type = |key| object.named::<MemoryType>(key).ok();
        let number = |key: &str| object.count(key).unwrap_or(0);
        Ok(Ok(EventKind::Access(AccessEvent {
            route,
            target,
            write: object.flag("write"),
            size,
            value,
            cpl: number("cpl").min(3) as u8,
            read_modify_write: object.flag("read_modify_write"),
            coalesced: object.flag("coalesced"),
            outcome,
            walk,
            instruction,
            instance: number("instance") as u32,
            fragment: number("fragment").min(255) as u8,
            service_ns: number("service_ns").min((1 << 24) - 1) as u32,
            stack,
            pat: memory_type("pat"),
            memory_type: memory_type("memory_type"),
        })))
    }

    fn not_emulated(&mut self, object: &Object<'_>, function: Id, output: &mut Output) -> Read {
        let operand = right!(object.need(object.object("operand"), "operand"));
        let operand = MemoryOperand {
            reads: operand.flag("reads"),
            writes: operand.flag("writes"),
            size: right!(operand.small("size")),
        };
        let gpa = object.hex("gpa");
        let route = match gpa {
            Some(address) => route_of(object, function, address, output)?,
            None => 0,
        };
        let Parts { walk, instruction, stack } = Parts::of(object, &mut self.names, output)?;
        let cpl = object.count("cpl").unwrap_or(0).min(3) as u8;
        Ok(Ok(EventKind::NotEmulated { cpl, instruction, walk, route, gpa, operand, stack }))
    }
}

/// The route that led `address` to the place that an object has, or 0.
fn route_of(object: &Object<'_>, function: Id, address: u64, output: &mut Output) -> Result<Id, WriteError> {
    match (object.region(), object.hex("offset")) {
        (Ok(region), Some(offset)) if function != NOBODY => {
            output.region_route(function, region, address.wrapping_sub(offset), 0)
        }
        _ => Ok(0),
    }
}

/// A record that refers to nothing but the device.
fn plain(event: &str, object: &Object<'_>, function: Id, cause: u64) -> Result<EventKind, Wrong> {
    Ok(match event {
        "change" => EventKind::Change {
            function,
            region: object.region()?,
            offset: object.need_hex("offset")?,
            old: object.need_hex("old")?,
            new: object.need_hex("new")?,
            cause,
        },
        "busy" => EventKind::Busy { function, until_ns: object.need_count("until_ns")?, cause },
        "msi" => EventKind::Msi {
            function,
            index: object.small("index")?,
            address: object.need_hex("address")?,
            data: u32::try_from(object.need_hex("data")?).map_err(|_| "data has 32 bits".to_owned())?,
            delivered: object.flag("delivered"),
            cause,
        },
        "intx" => {
            EventKind::Intx { function, asserted: object.flag("asserted"), gsi: object.small("gsi")?, cause }
        }
        "interrupt-lost" => {
            let name = object.text("why");
            let why = name.and_then(|name| InterruptLoss::ALL.into_iter().find(|why| why.name() == name));
            EventKind::InterruptLost { function, index: object.small("index")?, why, cause }
        }
        "interrupt-masked" => EventKind::InterruptMasked { function, index: object.small("index")?, cause },
        "address-cut" => {
            let bits = object.small("bits")?;
            EventKind::AddressCut { function, asked: object.need_hex("asked")?, bits, cause }
        }
        "dma" => EventKind::Dma {
            function,
            to_memory: object.flag("to_memory"),
            address: object.need_hex("address")?,
            length: object.need_count("length")?,
            outcome: object.named::<DmaOutcome>("outcome")?,
            cause,
        },
        "isr-enter" => EventKind::IsrEnter { vector: object.small("vector")? },
        "isr-exit" => EventKind::IsrExit { vector: object.small("vector")? },
        "clock-jump" => EventKind::ClockJump { to_ns: object.need_count("to_ns")? },
        other => return Err(format!("no record is called {other:?}")),
    })
}

/// What the guest counted, or an entry into Linux's kernel.
fn count(object: &Object<'_>, process: Id) -> Result<EventKind, Wrong> {
    Ok(EventKind::Count {
        what: object.named::<Counted>("what")?,
        value: object.need_count("value")?,
        address: object.hex("address").unwrap_or(0),
        error_code: object.hex("error_code").unwrap_or(0) as u32,
        rip: object.hex("rip").unwrap_or(0),
        process,
        call: object.count("call"),
    })
}
