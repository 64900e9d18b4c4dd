//! Traces that no machine made.

use std::path::Path;

use anyhow::Result;
use barscope_device::{Bdf, Region, Space};
use barscope_trace::definition::{Function, Machine, Mapping, MemoryType, Route, Walk};
use barscope_trace::event::{AccessEvent, RouteChange, Target};
use barscope_trace::{Clock, Definition, End, Event, EventKind, Writer};

/// A trace of so many accesses all over a BAR, in a machine with these names.
pub fn synthetic(path: &Path, records: u64, name: &str) -> Result<()> {
    let writer = Writer::create(path, Clock::Virtual)?;
    let define = |definition| writer.define(&definition);
    define(Definition::Machine(Machine { guest: name.into(), vcpus: 1, memory: 1 << 25 }))?;
    let bdf = Bdf::from_routing_id(0x20);
    let function = define(Definition::Function(Function {
        bdf,
        name: name.into(),
        vendor: 1,
        device: 2,
        bars: Vec::new(),
        msi_vectors: 1,
        msix_vectors: 0,
        register_maps: Vec::new(),
        untrapped: Vec::new(),
    }))?;
    let (space, base, size) = (Space::Memory, 0xe000_0000, 1 << 24);
    let route = Route { function: Some(function), region: Region::BAR0, space, base, size };
    let route = define(Definition::Route(route))?;
    let path = barscope_trace::definition::Path::Ioremap;
    let mapping = Mapping {
        path,
        virtual_address: 0xffff_c900_0000_0000,
        physical_address: base,
        length: size,
        address_space: None,
        announced: true,
        on_fault: false,
        who: name.into(),
        call: name.into(),
        of: None,
    };
    let mapping = define(Definition::Mapping(mapping))?;
    let walk = Walk {
        cr3: 0x1000,
        page: 0xffff_c900_0000_0000,
        page_size: 1 << 30,
        entries: vec![0x2003, 0xe000_0093],
        levels: 4,
        user: false,
        writable: true,
        pat: Some(MemoryType::UncacheableMinus),
        mtrr: None,
        memory_type: MemoryType::Uncacheable,
        path,
        announced: true,
        mapping: Some(mapping),
        process: None,
    };
    let walk = define(Definition::Walk(walk))?;
    let text = define(Definition::Text { text: name.into() })?;
    let mut lane = writer.lane(Some(0));
    for at in 0..records {
        let seq = writer.reserve();
        let kind = match at {
            0 => EventKind::Route { route, change: RouteChange::Added, cause: 0 },
            1 => EventKind::Map { mapping },
            2 => EventKind::Mark { text, process: 0 },
            3 => EventKind::Console { text },
            4 | 8 => EventKind::ScenarioBegin { name: text },
            6 | 10 => EventKind::ScenarioEnd { passed: at == 6, summary: text },
            _ if at % 4 == 1 => {
                let (index, address, data, delivered) = (0, 0xfee0_0000, 0x31, true);
                EventKind::Msi { function, index, address, data, delivered, cause: seq - 1 }
            }
            _ => EventKind::Access(AccessEvent {
                route,
                walk,
                target: Target::Memory(base + at * 68 % size),
                write: at % 2 == 0,
                size: 4,
                value: at.wrapping_mul(0x9e37_79b9) & 0xffff_ffff,
                service_ns: (at % 1009) as u32,
                ..AccessEvent::default()
            }),
        };
        let host_ns = 1700 * at + at * at % 997;
        lane.record(&Event { seq, host_ns, device_ns: 1000 * at, vcpu: Some(0), kind })?;
    }
    Ok(writer.finish(End::Finished)?)
}
