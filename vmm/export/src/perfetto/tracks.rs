//! Which tracks there are, and what they are called.
//!
//! ```text
//! process 1  machine          thread a vCPU
//!            trace            scenarios, marks, what is missing
//! process .. device           its effects, busy, INTx
//! process .. guest process    a track of its own for each thread, and for each mapping
//! ```
//!
//! Numbers of processes of the guest may be those of others or none: each gets one of its own, and its name tells the
//! guest's.

use std::io::{self, Write};

use barscope_trace::definition::{Function, Mapping, Process};
use barscope_trace::{Definition, Definitions, Id};
use rustc_hash::FxHashMap;

use super::packets::Packets;
use super::proto::{ProcessDescriptor, ThreadDescriptor, TrackDescriptor};

/// What a track is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Track {
    /// The machine, which vCPUs belong to.
    Machine,
    /// A vCPU; what no vCPU did.
    Vcpu(Option<u8>),
    /// Scenarios.
    Scenarios,
    /// Marks, warnings, console lines, what is missing.
    Marks,
    /// A device, and its effects; by the function's definition.
    Device(Id),
    /// When it is busy.
    Busy(Id),
    /// When its interrupt pin is asserted.
    Pin(Id),
    /// The kernel of the guest.
    Kernel,
    /// A process of the guest, by its number and address space.
    Process(u64, u64),
    /// A thread of one.
    Thread(u64, u64, u64),
    /// A mapping, by its definition.
    Mapping(Id),
}

/// The machine's number.
const MACHINE: i32 = 1;

fn process(pid: i32, name: String) -> TrackDescriptor {
    let process = ProcessDescriptor { pid: Some(pid), process_name: Some(name) };
    TrackDescriptor { process: Some(process), ..TrackDescriptor::default() }
}

/// Tracks that were described, with their UUIDs.
#[derive(Default)]
pub(super) struct Tracks {
    known: FxHashMap<Track, u64>,
    /// How many processes got a number, beside the machine.
    processes: i32,
    /// Processes by their address spaces, of the definitions up to this one.
    spaces: FxHashMap<u64, Id>,
    seen: Id,
}

impl Tracks {
    /// The track's UUID; it is described when it is first asked for.
    fn get<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        track: Track,
        describe: impl FnOnce(&mut Self, &mut Packets<W>) -> io::Result<TrackDescriptor>,
    ) -> io::Result<u64> {
        if let Some(uuid) = self.known.get(&track) {
            return Ok(*uuid);
        }
        let descriptor = describe(self, packets)?;
        let uuid = self.known.len() as u64 + 1;
        self.known.insert(track, uuid);
        packets.track(TrackDescriptor { uuid: Some(uuid), ..descriptor })?;
        Ok(uuid)
    }

    /// A process beside the machine, with the next number.
    fn process_called(&mut self, name: String) -> TrackDescriptor {
        self.processes += 1;
        process(MACHINE + self.processes, name)
    }

    fn machine<W: Write>(&mut self, packets: &mut Packets<W>) -> io::Result<u64> {
        self.get(packets, Track::Machine, |_, _| Ok(process(MACHINE, "machine".to_owned())))
    }

    pub(super) fn vcpu<W: Write>(&mut self, packets: &mut Packets<W>, vcpu: Option<u8>) -> io::Result<u64> {
        self.get(packets, Track::Vcpu(vcpu), |tracks, packets| {
            tracks.machine(packets)?;
            let name = vcpu.map_or_else(|| "no vCPU".to_owned(), |vcpu| format!("vCPU {vcpu}"));
            // Numbers of threads are not that of their process: that is its main thread's.
            let tid = Some(MACHINE + 1 + vcpu.map_or(256, i32::from));
            let thread = ThreadDescriptor { pid: Some(MACHINE), tid, thread_name: Some(name) };
            Ok(TrackDescriptor { thread: Some(thread), ..TrackDescriptor::default() })
        })
    }

    /// A track of the machine's with a name.
    pub(super) fn of_machine<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        track: Track,
        name: &str,
    ) -> io::Result<u64> {
        self.get(packets, track, |tracks, packets| {
            let parent_uuid = Some(tracks.machine(packets)?);
            Ok(TrackDescriptor { name: Some(name.to_owned()), parent_uuid, ..TrackDescriptor::default() })
        })
    }

    pub(super) fn device<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        id: Id,
        function: Option<&Function>,
    ) -> io::Result<u64> {
        self.get(packets, Track::Device(id), |tracks, _| {
            let name = function.map_or_else(
                || "unknown device".to_owned(),
                |function| format!("{} {}", function.bdf, function.name),
            );
            Ok(tracks.process_called(name))
        })
    }

    /// A track of a device's.
    pub(super) fn of_device<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        (track, name): (Track, &str),
        (id, function): (Id, Option<&Function>),
    ) -> io::Result<u64> {
        self.get(packets, track, |tracks, packets| {
            let parent_uuid = Some(tracks.device(packets, id, function)?);
            Ok(TrackDescriptor { name: Some(name.to_owned()), parent_uuid, ..TrackDescriptor::default() })
        })
    }

    fn process<W: Write>(&mut self, packets: &mut Packets<W>, process: &Process) -> io::Result<u64> {
        let track = Track::Process(process.pid, process.address_space);
        self.get(packets, track, |tracks, _| {
            Ok(tracks.process_called(format!("{} (guest's pid {})", process.name, process.pid)))
        })
    }

    pub(super) fn thread<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        process: &Process,
    ) -> io::Result<u64> {
        let number = process.thread.unwrap_or(process.pid);
        self.get(packets, Track::Thread(process.pid, process.address_space, number), |tracks, packets| {
            let parent_uuid = Some(tracks.process(packets, process)?);
            let name = Some(format!("{} (guest's thread {number})", process.name));
            Ok(TrackDescriptor { name, parent_uuid, ..TrackDescriptor::default() })
        })
    }

    /// The process that has an address space.
    fn whose<'a>(&mut self, definitions: &'a Definitions, space: u64) -> Option<&'a Process> {
        while let Some(definition) = definitions.get(self.seen + 1) {
            self.seen += 1;
            if let Definition::Process(process) = definition {
                self.spaces.insert(process.address_space, self.seen);
            }
        }
        match definitions.get(*self.spaces.get(&space)?)? {
            Definition::Process(process) => Some(process),
            _ => None,
        }
    }

    /// The track of a mapping: mappings overlap, and slices of one track don't.
    pub(super) fn mapping<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        definitions: &Definitions,
        (id, mapping): (Id, &Mapping),
    ) -> io::Result<u64> {
        self.get(packets, Track::Mapping(id), |tracks, packets| {
            let whose = mapping.address_space.and_then(|space| tracks.whose(definitions, space));
            let parent = match whose {
                Some(process) => tracks.process(packets, process)?,
                None if mapping.address_space.is_none() => {
                    tracks.get(packets, Track::Kernel, |tracks, _| {
                        Ok(tracks.process_called("kernel".to_owned()))
                    })?
                }
                None => tracks.machine(packets)?,
            };
            let name = Some(format!("{:x} by {}", mapping.virtual_address, mapping.who));
            Ok(TrackDescriptor { name, parent_uuid: Some(parent), ..TrackDescriptor::default() })
        })
    }
}
