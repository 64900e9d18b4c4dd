//! The trace that an import writes: records in the order of the file, with their own times.

use std::collections::HashMap;
use std::path::Path;

use barscope_device::{Bdf, Description, Region, Space};
use barscope_trace::definition::{self, Definition, Image, Instruction, Process, Stack};
use barscope_trace::event::{AccessEvent, Outcome, RouteChange, Target};
use barscope_trace::{
    Capability, Clock, End, Event, EventKind, Id, Knowledge, Lane, WriteError, WriteOptions, Writer,
};

use crate::described;
use crate::places::{Placed, Places};
use crate::{BarAt, Format, ImportError, Summary};

/// So many bad lines, and places elsewhere, are told.
const TOLD: usize = 20;
/// So many definitions of a kind are remembered, so that each is written once; more are written again.
const REMEMBERED: usize = 1 << 16;
/// More records than this aren't lost in a file of this world: sequence numbers have to last.
const LOST_MAX: u64 = 1 << 40;
/// Where a device is, unless the file says so.
const PLACE: u16 = 4 << 3;

/// An access, as a file tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access<'a> {
    pub(crate) write: bool,
    pub(crate) size: u8,
    pub(crate) value: u64,
    pub(crate) address: u64,
    /// The name of QEMU's region.
    pub(crate) region: Option<&'a str>,
    pub(crate) vcpu: Option<u8>,
    /// The instruction's address, or 0.
    pub(crate) rip: u64,
    /// Number and name of the process.
    pub(crate) process: Option<(u64, &'a str)>,
    /// The definition of its page walk, or 0.
    pub(crate) walk: Id,
}

/// The trace.
pub(crate) struct Output {
    writer: Writer,
    lane: Lane,
    device: Description,
    bdf: Bdf,
    /// The function's definition; `None` before the first record.
    function: Option<Id>,
    places: Places,
    routes: HashMap<(Region, u64, u64), Id>,
    defined: HashMap<String, Id>,
    summary: Summary,
    begun: bool,
    untrapped: Vec<Region>,
    all_told: bool,
    machine: definition::Machine,
    end: End,
    /// The first time, and the last one after that.
    began: Option<u64>,
    now: u64,
    /// The host's time, where the file tells both.
    host: Option<u64>,
}

impl Output {
    pub(crate) fn new(
        device: &Description,
        bars: &[BarAt],
        trace: &Path,
        options: WriteOptions,
        (format, clock): (Format, Clock),
    ) -> Result<Self, ImportError> {
        let places = Places::new(device, bars)?;
        if places.is_empty() {
            match format {
                Format::Qemu => {
                    return Err(ImportError::NoPlace(
                        "QEMU's lines don't say which are the device's: give --bar 0=ADDRESS (`info pci` of the \
                         monitor, or lspci -v), or --bar 0=NAME of a region",
                    ));
                }
                Format::Rwmmio => {
                    return Err(ImportError::NoPlace(
                        "rwmmio has virtual addresses: give --bar 0=ADDRESS of the driver's mapping \
                         (/proc/vmallocinfo lists them beside phys=)",
                    ));
                }
                Format::Mmiotrace | Format::Jsonl => {}
            }
        }
        let guest = match format {
            Format::Mmiotrace => "a machine that mmiotrace watched",
            Format::Qemu => "QEMU",
            Format::Rwmmio => "a machine that traced rwmmio",
            Format::Jsonl => "a trace in JSON Lines",
        };
        let writer = Writer::create_with(trace, clock, options)?;
        let lane = writer.lane(None);
        Ok(Self {
            writer,
            lane,
            device: device.clone(),
            bdf: Bdf::from_routing_id(PLACE),
            function: None,
            places,
            routes: HashMap::new(),
            defined: HashMap::new(),
            summary: Summary::default(),
            begun: false,
            untrapped: Vec::new(),
            all_told: format == Format::Jsonl,
            machine: definition::Machine { guest: guest.to_owned(), vcpus: 1, memory: 0 },
            end: End::Finished,
            began: None,
            now: 0,
            host: None,
        })
    }

    /// Whether a function is the device, by its identity.
    pub(crate) fn is_device(&self, vendor: u16, device: u16) -> bool {
        let header = self.device.header();
        (header.vendor, header.device) == (vendor, device)
    }

    /// The file says where the device is, before its first record.
    pub(crate) fn at(&mut self, bdf: Bdf) {
        if self.function.is_none() {
            self.bdf = bdf;
        }
    }

    /// The file says where a BAR is.
    pub(crate) fn bar(
        &mut self,
        bar: barscope_device::BarIndex,
        base: u64,
        size: u64,
    ) -> Result<(), WriteError> {
        let news = self.places.put(bar, base, Some(size), false);
        let (Some((old, new)), Some(_)) = (news, self.function) else { return Ok(()) };
        if let Some(old) = old {
            let route = self.route_of(&old)?;
            self.record(EventKind::Route { route, change: RouteChange::Removed, cause: 0 })?;
        }
        let route = self.route_of(&new)?;
        self.record(EventKind::Route { route, change: RouteChange::Added, cause: 0 })
    }

    /// What the trace can't tell.
    pub(crate) fn untold(&self, capabilities: &[Capability]) {
        for capability in capabilities {
            self.writer.know(*capability, Knowledge::Unknown);
        }
    }

    /// What the file itself tells.
    pub(crate) fn told(&self, capability: Capability) {
        self.knows(capability, Knowledge::Announced);
    }

    /// How the trace comes to tell this.
    pub(crate) fn knows(&self, capability: Capability, knowledge: Knowledge) {
        self.writer.know(capability, knowledge);
    }

    /// Regions of the device whose accesses may be served otherwise than one by one.
    pub(crate) fn untrapped(&mut self, regions: Vec<Region>) {
        self.untrapped = regions;
    }

    /// The file has all records with their numbers: none is made besides.
    pub(crate) fn all_are_told(&mut self) {
        self.all_told = true;
    }

    /// An image that names code, with what it holds.
    pub(crate) fn image(&mut self, image: Image, blob: &[u8]) -> Result<(), WriteError> {
        self.begin()?;
        self.writer.define_with_blob(&Definition::Image(image), blob)?;
        Ok(())
    }

    /// The number of the next record.
    pub(crate) fn next_seq(&self) -> u64 {
        self.writer.last_reserved() + 1
    }

    /// A line begins.
    pub(crate) fn line(&mut self, number: u64) {
        self.summary.lines = number;
    }

    /// A line of another kind.
    pub(crate) fn skip(&mut self) {
        self.summary.skipped += 1;
    }

    /// A line that can't be understood: what it was about is lost.
    pub(crate) fn bad(&mut self, number: u64, why: String) -> Result<(), WriteError> {
        self.summary.bad += 1;
        if self.summary.bad_lines.len() < TOLD {
            self.summary.bad_lines.push((number, why));
        }
        self.lose(1)
    }

    /// Something that a person should know.
    pub(crate) fn note(&mut self, text: String) {
        if self.summary.notes.len() < TOLD && !self.summary.notes.contains(&text) {
            self.summary.notes.push(text);
        }
    }

    /// So many records are missing here.
    pub(crate) fn lose(&mut self, count: u64) -> Result<(), WriteError> {
        self.start()?;
        let room = LOST_MAX.saturating_sub(self.summary.lost);
        let count = count.min(room);
        self.summary.lost += count;
        self.writer.skip_to(self.writer.last_reserved() + count);
        Ok(())
    }

    /// The time is `time`, in nanoseconds since some moment. It doesn't go back.
    pub(crate) fn time(&mut self, time: u64) {
        let began = *self.began.get_or_insert(time);
        self.now = self.now.max(time.saturating_sub(began));
    }

    /// The same of times that begin with 0.
    pub(crate) fn device_time(&mut self, time: u64) {
        self.began = Some(0);
        self.time(time);
    }

    /// A definition's id.
    pub(crate) fn define(&mut self, definition: &Definition) -> Result<Id, WriteError> {
        // As it is stored, which tells all of it.
        let key = serde_json::to_string(definition).unwrap_or_default();
        if let Some(id) = self.defined.get(&key) {
            return Ok(*id);
        }
        let id = self.writer.define(definition)?;
        if self.defined.len() >= REMEMBERED {
            self.defined.clear();
        }
        self.defined.insert(key, id);
        Ok(id)
    }

    /// The definition of an instruction of which only the address is told; of none, if that is 0.
    pub(crate) fn instruction(&mut self, rip: u64) -> Result<Id, WriteError> {
        if rip == 0 {
            return Ok(0);
        }
        self.define(&Definition::Instruction(Instruction {
            rip,
            bytes: Vec::new(),
            cr3: 0,
            ambiguous: false,
            code_size: 64,
            image: None,
        }))
    }

    /// Records an access of the device; whether it is one.
    pub(crate) fn access(&mut self, access: &Access<'_>) -> Result<bool, WriteError> {
        let named = access.region.and_then(|name| self.places.named(name, access.address));
        if let Some((bar, base)) = named {
            self.places.put(bar, base, None, true);
        }
        let Some(placed) = self.places.at(access.address).cloned() else {
            self.elsewhere(access);
            return Ok(false);
        };
        self.start()?;
        let route = self.route_of(&placed)?;
        let instruction = self.instruction(access.rip)?;
        let stack = match access.process {
            None => 0,
            Some((pid, name)) => {
                let process = Process { address_space: 0, pid, thread: None, name: name.to_owned() };
                let process = Some(self.define(&Definition::Process(process))?);
                let cut = Some(definition::Cut::Asked);
                self.define(&Definition::Stack(Stack { process, frames: Vec::new(), cut }))?
            }
        };
        let end = access.address.wrapping_sub(placed.base).saturating_add(access.size.into());
        let outcome = if end > placed.size { Outcome::Straddles } else { Outcome::Ok };
        let target = match placed.space {
            Space::Memory => Target::Memory(access.address),
            Space::Io => Target::Port {
                port: access.address as u16,
                routing_id: 0,
                offset: access.address.wrapping_sub(placed.base) as u16,
            },
        };
        let kind = EventKind::Access(AccessEvent {
            route,
            target,
            write: access.write,
            size: access.size,
            value: access.value,
            cpl: 0,
            read_modify_write: false,
            coalesced: false,
            outcome,
            walk: access.walk,
            instruction,
            instance: 0,
            fragment: 0,
            service_ns: 0,
            stack,
            pat: None,
            memory_type: None,
        });
        self.summary.accesses += 1;
        self.store(kind, access.vcpu)?;
        Ok(true)
    }

    /// Records something without a vCPU.
    pub(crate) fn record(&mut self, kind: EventKind) -> Result<(), WriteError> {
        self.start()?;
        self.summary.others += 1;
        self.store(kind, None)
    }

    fn store(&mut self, kind: EventKind, vcpu: Option<u8>) -> Result<(), WriteError> {
        let seq = self.writer.reserve();
        let (host_ns, device_ns) = (self.host.unwrap_or(self.now), self.now);
        self.lane.record(&Event { seq, host_ns, device_ns, vcpu, kind })
    }

    /// The function's definition.
    pub(crate) fn function(&mut self) -> Result<Id, WriteError> {
        self.start()?;
        Ok(self.function.unwrap_or_default())
    }

    /// What the file says of its machine, before anything else.
    pub(crate) fn machine(&mut self, guest: &str, vcpus: u8, memory: u64) {
        self.machine = definition::Machine { guest: guest.to_owned(), vcpus, memory };
    }

    /// How the file says that its trace ended.
    pub(crate) fn ended(&mut self, status: &str, reason: &str) {
        self.end = match status {
            "finished" => End::Finished,
            "failed" => End::Failed(reason.to_owned()),
            "interrupted" => End::Interrupted(reason.to_owned()),
            _ => End::Interrupted("it has no end".to_owned()),
        };
    }

    /// The file has no end.
    pub(crate) fn unfinished(&mut self) {
        self.end = End::Interrupted("the file has no end".to_owned());
    }

    /// The host's time, in nanoseconds.
    pub(crate) fn host_time(&mut self, host: u64) {
        self.host = Some(host);
    }

    /// Whether a record may have this number: it comes after the last one, and not so late that none is left.
    pub(crate) fn seq(&mut self, seq: u64) -> bool {
        let next = self.writer.last_reserved() + 1;
        if seq < next || seq - next > LOST_MAX.saturating_sub(self.summary.lost) {
            return false;
        }
        true
    }

    /// Records something that has a number; those before it that have no record are lost.
    pub(crate) fn numbered(&mut self, seq: u64, kind: EventKind, vcpu: Option<u8>) -> Result<(), WriteError> {
        self.start()?;
        let missing = seq.saturating_sub(self.writer.last_reserved() + 1);
        self.summary.lost += missing;
        self.writer.skip_to(seq.saturating_sub(1));
        match kind {
            EventKind::Access(_) => self.summary.accesses += 1,
            _ => self.summary.others += 1,
        }
        self.store(kind, vcpu)
    }

    /// A record that isn't imported, but that the file has.
    pub(crate) fn left_out(&mut self) {
        self.note(
            "records of functions that the file doesn't describe are left out: they count as lost".into(),
        );
    }

    /// The file says that so many records were lost in all.
    pub(crate) fn lost_in_all(&mut self, lost: u64) -> Result<(), WriteError> {
        self.lose(lost.saturating_sub(self.summary.lost))
    }

    /// The route to a region that begins at `base`.
    pub(crate) fn region_route(
        &mut self,
        function: Id,
        region: Region,
        base: u64,
        size: u64,
    ) -> Result<Id, WriteError> {
        let size = match size {
            0 if region == Region::Config => 4096,
            0 => self.device.header().region_size(region).unwrap_or(0),
            size => size,
        };
        let bar = self.device.header().bars.iter().find(|bar| bar.region() == region);
        let space = bar.map_or(Space::Memory, |bar| bar.space);
        let function = Some(function);
        self.define(&Definition::Route(definition::Route { function, region, space, base, size }))
    }

    /// The route by which a port leads to a region; that of CONFIG_ADDRESS to no function's.
    pub(crate) fn port_route(
        &mut self,
        function: Option<Id>,
        region: Region,
        port: u16,
        offset: u64,
    ) -> Result<Id, WriteError> {
        let (base, size) = match region {
            Region::Config => (u64::from(port & !3), 4),
            _ => {
                let size = self.device.header().region_size(region).unwrap_or(0);
                (u64::from(port).saturating_sub(offset), size)
            }
        };
        let route = definition::Route { function, region, space: Space::Io, base, size };
        self.define(&Definition::Route(route))
    }

    /// A mark with this text.
    pub(crate) fn mark(&mut self, text: &str) -> Result<(), WriteError> {
        let text = self.define(&Definition::Text { text: text.to_owned() })?;
        self.record(EventKind::Mark { text, process: 0 })
    }

    fn elsewhere(&mut self, access: &Access<'_>) {
        self.summary.elsewhere += 1;
        let page = format!("{:#x}", access.address & !0xfff);
        let place = match access.region {
            Some(name) => format!("{name} at {page}"),
            None => page,
        };
        if self.summary.elsewhere_at.len() < TOLD && !self.summary.elsewhere_at.contains(&place) {
            self.summary.elsewhere_at.push(place);
        }
    }

    /// Another function than the device, of which the file tells, too.
    pub(crate) fn other_function(&mut self, function: definition::Function) -> Result<Id, WriteError> {
        self.begin()?;
        self.writer.define(&Definition::Function(function))
    }

    /// Writes the machine, before all else.
    fn begin(&mut self) -> Result<(), WriteError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.writer.define(&Definition::Machine(self.machine.clone()))?;
        }
        Ok(())
    }

    /// Writes what comes before the first record.
    fn start(&mut self) -> Result<(), WriteError> {
        if self.function.is_some() {
            return Ok(());
        }
        self.begin()?;
        let mut function = described::function(self.bdf, &self.device);
        if self.all_told {
            function.untrapped.clone_from(&self.untrapped);
        }
        self.function = Some(self.writer.define(&Definition::Function(function))?);
        if self.all_told {
            return Ok(());
        }
        for placed in self.places.placed().to_vec() {
            let route = self.route_of(&placed)?;
            self.record(EventKind::Route { route, change: RouteChange::Added, cause: 0 })?;
        }
        Ok(())
    }

    fn route_of(&mut self, placed: &Placed) -> Result<Id, WriteError> {
        let key = (Region::Bar(placed.bar), placed.base, placed.size);
        if let Some(id) = self.routes.get(&key) {
            return Ok(*id);
        }
        let (function, region) = (self.function, key.0);
        let Placed { space, base, size, .. } = *placed;
        let route = definition::Route { function, region, space, base, size };
        let id = self.writer.define(&Definition::Route(route))?;
        if self.routes.len() >= REMEMBERED {
            self.routes.clear();
        }
        self.routes.insert(key, id);
        Ok(id)
    }

    pub(crate) fn finish(self) -> Result<Summary, ImportError> {
        let Self { writer, lane, summary, end, .. } = self;
        drop(lane);
        writer.finish(end)?;
        if summary.accesses == 0 {
            let Summary { lines, elsewhere, bad, .. } = summary;
            let at = summary.elsewhere_at.join(", ");
            let why = if elsewhere > 0 {
                format!(
                    "none of its {elsewhere} accesses is the device's: they went to {at}; say where it is by --bar 0=ADDRESS"
                )
            } else if let Some((number, why)) = summary.bad_lines.first() {
                format!(
                    "none of its {lines} lines is an access; {bad} can't be understood, the first is line {number}: {why}"
                )
            } else {
                format!("none of its {lines} lines is an access")
            };
            return Err(ImportError::Nothing(why));
        }
        Ok(summary)
    }
}
