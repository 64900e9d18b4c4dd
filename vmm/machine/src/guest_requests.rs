//! Requests at the guest ABI's port, served: what the guest tells the bench is recorded, or names what comes later.

mod bulk;
mod fetch;

use barscope_trace::event::{Counted, Id};
use barscope_trace::{Capability, EventKind, Knowledge, Lane};
use barscope_unwind::Space;
use barscope_x86::{MemoryTypes, PageWalk, Registers, walk};

pub use self::bulk::read;
use crate::entries::{Ring, Told, Tracepoints};
use crate::guest_abi::{BadRequest, Now, Request, RingAt};
use crate::host::HostError;
use crate::shared::Shared;
use crate::stop::Stop;
use crate::threads::Asked;

/// What became of a request.
enum Served {
    /// It is recorded so.
    Recorded(EventKind),
    /// There is nothing to record.
    Silent,
    /// The guest is done.
    Done(Stop),
}

/// Serves the request that the guest's registers hold. `Some` if the guest is done.
///
/// # Errors
/// [`HostError`] if KVM or the trace fails.
pub fn serve(
    shared: &Shared,
    lane: &mut Lane,
    (vcpu, registers): (u8, &Registers),
    memory_types: &MemoryTypes,
    number: u32,
) -> Result<Option<Stop>, HostError> {
    let served = match Request::parse(number, &shared.memory, registers) {
        Ok(Request::Now(now)) => serve_now(shared, lane, (vcpu, registers), memory_types, now)?,
        Ok(Request::Bulk(bulk)) => match shared.requests.ask(bulk, registers, || shared.stopping()) {
            Asked::Done(result) => result?.map(|()| Served::Silent),
            Asked::Stopped => return Ok(None),
            Asked::Late => {
                return warn(shared, lane, vcpu, "guest ABI: reading names takes long; they come later");
            }
            Asked::Refused => {
                return warn(shared, lane, vcpu, "guest ABI: names are dropped: too many wait to be read");
            }
        },
        Err(bad) => Err(bad),
    };
    shared.record_warnings(lane, vcpu)?;
    match served {
        Ok(Served::Recorded(kind)) => shared.record(lane, vcpu, kind)?,
        Ok(Served::Silent) => {}
        Ok(Served::Done(stop)) => return Ok(Some(stop)),
        Err(bad) => return warn(shared, lane, vcpu, &bad.to_string()),
    }
    Ok(None)
}

fn warn(shared: &Shared, lane: &mut Lane, vcpu: u8, text: &str) -> Result<Option<Stop>, HostError> {
    let text = shared.interned.lock().texts.id(text)?;
    shared.record(lane, vcpu, EventKind::Warning { text })?;
    Ok(None)
}

fn serve_now(
    shared: &Shared,
    lane: &mut Lane,
    (vcpu, registers): (u8, &Registers),
    memory_types: &MemoryTypes,
    now: Now,
) -> Result<Result<Served, BadRequest>, HostError> {
    // What was written unseen belongs before the point that the guest names now.
    shared.dispatcher.collect_dirty_pages(lane)?;
    if let Some(capability) = capability(shared, &now) {
        shared.dispatcher.know(capability, Knowledge::Announced);
    }
    let text = |text: &str| -> Result<Id, HostError> { Ok(shared.interned.lock().texts.id(text)?) };
    let kind = match now {
        Now::Mark(mark) => EventKind::Mark { text: text(&mark)?, process: process(shared, vcpu, registers)? },
        Now::Warning(what) => EventKind::Warning { text: text(&what)? },
        Now::ScenarioBegin(name) => EventKind::ScenarioBegin { name: text(&name)? },
        Now::ScenarioEnd { passed, summary } => EventKind::ScenarioEnd { passed, summary: text(&summary)? },
        Now::Map(number, mapping) => {
            EventKind::Map { mapping: shared.interned.lock().address_spaces.map(number, mapping)? }
        }
        Now::Unmap(number) => match shared.interned.lock().address_spaces.unmap(number) {
            Some(mapping) => EventKind::Unmap { mapping },
            None => {
                let request = barscope_guest_abi::request::UNMAP;
                return Ok(Err(BadRequest::Value { request, field: "id", value: number }));
            }
        },
        Now::Walk { address, what } => {
            let (text, cpl) = (text(&what)?, registers.cpl());
            let (walk, gpa, route) = match walk(&shared.memory, registers, address) {
                Some(found) => walked(shared, memory_types, &found, address)?,
                None => (0, None, 0),
            };
            EventKind::PageWalk { cpl, text, address, walk, gpa, route }
        }
        Now::Process(process) => {
            shared.interned.lock().process(process)?;
            return Ok(Ok(Served::Silent));
        }
        // They are recorded already.
        Now::Count { .. } if shared.entries.are_told() => {
            shared.interned.lock().warn(
                "guest ABI: what is counted by COUNT is left out, since each entry into the kernel is recorded",
            )?;
            return Ok(Ok(Served::Silent));
        }
        Now::Count { what, value, address, error_code, rip } => {
            EventKind::Count { what, value, address, error_code, rip, process: 0, call: None }
        }
        Now::Entries(entries) => {
            let mut rings = Vec::new();
            let tracepoints =
                Tracepoints { system_call: entries.system_call, page_fault: entries.page_fault };
            for RingAt { cpu, address, length } in entries.rings {
                let Some(ring) = Ring::new(&shared.memory, registers, cpu, address, length) else {
                    return Ok(Err(BadRequest::Pointer {
                        request: barscope_guest_abi::request::ENTRIES,
                        address,
                    }));
                };
                rings.push(ring);
            }
            shared.entries.begin(Told::new(rings, tracepoints));
            for capability in [Capability::KernelEntries, Capability::PageFaults] {
                shared.dispatcher.know(capability, Knowledge::Announced);
            }
            return Ok(Ok(Served::Silent));
        }
        Now::IsrEnter(vector) => EventKind::IsrEnter { vector },
        Now::IsrExit(vector) => EventKind::IsrExit { vector },
        Now::Idle => {
            shared.dispatcher.idle(lane, vcpu)?;
            return Ok(Ok(Served::Silent));
        }
        Now::Fetch { offset, to, length } => {
            let fetched = fetch::fetch(shared, registers, offset, to, length);
            return Ok(fetched.map(|()| Served::Silent));
        }
        Now::Exit(status) => return Ok(Ok(Served::Done(Stop::Exit { status }))),
        Now::TurnEnd(status) => {
            // What tidies up after it is no part of it.
            shared.turn.end(status);
            shared.dispatcher.stop_recording();
            return Ok(Ok(Served::Silent));
        }
        Now::Tidy => {
            shared.turn.tidy();
            return Ok(Ok(Served::Done(Stop::Exit { status: 0 })));
        }
    };
    Ok(Ok(Served::Recorded(kind)))
}

/// The definition of the walk that was found for an address, the physical one that it leads to, and the definition of
/// the route there.
fn walked(
    shared: &Shared,
    memory_types: &MemoryTypes,
    found: &PageWalk,
    address: u64,
) -> Result<(Id, Option<u64>, Id), HostError> {
    let gpa = found.translate(address);
    let types = memory_types.of(found, gpa);
    let route = shared.dispatcher.route_to(gpa);
    let spaces = &mut shared.interned.lock().address_spaces;
    let walk = if route == 0 { spaces.walk_to_memory(found, types) } else { spaces.walk(found, types) };
    Ok((walk?, Some(gpa), route))
}

/// The definition of the process that makes a request; 0 if the guest's kernel doesn't say.
fn process(shared: &Shared, vcpu: u8, registers: &Registers) -> Result<Id, HostError> {
    let mut interned = shared.interned.lock();
    let Some(process) = interned.stacks.running(&Space::new(&shared.memory, registers), vcpu) else {
        return Ok(0);
    };
    Ok(interned.stacks.process(process)?.unwrap_or(0))
}

/// What the guest tells of itself by making this request.
fn capability(shared: &Shared, now: &Now) -> Option<Capability> {
    Some(match now {
        Now::IsrEnter(_) | Now::IsrExit(_) => Capability::Handlers,
        Now::Map(_, mapping) if mapping.address_space.is_none() => Capability::KernelMappings,
        // Those of a program that announces none would be missing.
        Now::Map(..) if !shared.foreign_programs => Capability::UserMappings,
        Now::Count { what: Counted::KernelEntries, .. } => Capability::KernelEntries,
        Now::Count { .. } => Capability::PageFaults,
        Now::Process(_) => Capability::Processes,
        _ => return None,
    })
}
