//! `barscope replay`: does to a device what somebody did to it before, and tells where it does something else.
//!
//! What is done are the operations of a recording, or of a trace of any origin: accesses of the function, configuration
//! space included, at the device times that they had. What is held against the recording are values that are read, and what
//! the device did besides: changes of registers, DMA, messages, levels of its pin.

mod compare;
mod model;
mod of_trace;
mod operation;
mod recording;
mod text;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek};
use std::path::Path;

use barscope_device::{Bdf, ConfigHeader, Deviation, Devices, Region, Space};
use barscope_trace::{Capability, Clock, Stream};
use barscope_vmm::host_file;
use barscope_vmm::perform::Request;

use self::compare::{Comparison, Done};
use self::model::Model;
use self::of_trace::{Item, Items};
use self::operation::{Answer, Deed, Operation, Told};
use self::recording::{Machine, Observed, Recording};
use crate::args::Replay as Args;
use crate::choice::DeviceChoice;
use crate::ending::{Code, Failure};
use crate::files;

/// Where a device is without being told.
const PLACE: u16 = 4 << 3;
/// Bytes of memory where a recording doesn't say, and the most and least that there are.
const MEMORY: u64 = 64 << 20;
const MEMORY_MAX: u64 = 3 << 30;
const MEMORY_LEAST: u64 = 1 << 16;
/// What firmware leaves in the Command register, and Bus Master Enable.
const COMMAND: u64 = 0x04;
const COMMAND_FIRMWARE: u64 = 0x0103;
const COMMAND_UNSEEN: u64 = 0x0107;

/// Runs the command.
///
/// # Errors
/// The file can't be read, or isn't what can be replayed; the host fails.
pub fn replay(args: &Args) -> Result<Code, Failure> {
    let failed = |source| Failure::File { path: args.file.clone(), source };
    let mut file = host_file::open(&args.file, u64::MAX).map_err(failed)?;
    let outcome =
        if is_recording(&mut file).map_err(failed)? { of_recording(args, file)? } else { of_trace(args)? };
    outcome.print(args.format)?;
    Ok(outcome.code())
}

/// What came of a replay, and what is needed to tell it.
struct Outcome {
    comparison: Comparison,
    /// The device, as people call it.
    device: String,
    functions: Vec<barscope_trace::definition::Function>,
    deviations: Vec<Deviation>,
    /// `line` or `record`.
    unit: &'static str,
    notes: Vec<String>,
}

/// Whether a file begins as recordings do, with an object. Traces, compressed or not, begin with a magic word.
fn is_recording(file: &mut File) -> std::io::Result<bool> {
    let mut bytes = [0; 64];
    let length = file.read(&mut bytes)?;
    file.rewind()?;
    Ok(bytes[..length].trim_ascii_start().first().is_some_and(|byte| *byte == b'{'))
}

fn of_recording(args: &Args, file: File) -> Result<Outcome, Failure> {
    let wrong = |why: String| Failure::Diagnostic(format!("{}: {why}", args.file.display()));
    let first = args.device.bdf().unwrap_or(Bdf::from_routing_id(PLACE));
    let (mut recording, machine) = Recording::open(BufReader::new(file), first).map_err(wrong)?;
    let memory = memory(machine.ram).map_err(|why| wrong(format!("line 1: {why}")))?;
    let told = machine.told();
    let expected = machine.ops;
    let mut replay = Replay::new(args, args.device.at(first)?, first, memory, told, &machine)?;
    for operation in recording::beginning(first, &machine) {
        replay.model.perform(&operation)?;
    }
    replay.model.take_deeds();
    while let Some(recorded) = recording.next().map_err(wrong)? {
        let line = recorded.line;
        let at_line = |failure: Failure| match failure {
            Failure::Diagnostic(why) => wrong(format!("line {line}: {why}")),
            other => other,
        };
        replay.check(&recorded.operation).map_err(|why| wrong(format!("line {line}: {why}")))?;
        replay.operation(line, recorded.operation, recorded.answer).map_err(at_line)?;
        recorded.deeds.into_iter().for_each(|deed| replay.deed(deed));
        replay.settle()?;
    }
    let played = replay.lines;
    if let Some(expected) = expected.filter(|expected| *expected != played) {
        return Err(wrong(format!("its first line announces {expected} operations, and it has {played}")));
    }
    replay.finish(args, "line", Vec::new())
}

fn memory(ram: Option<u64>) -> Result<u64, String> {
    match ram {
        None => Ok(MEMORY),
        Some(ram) if ram <= MEMORY_MAX => Ok(ram.next_multiple_of(MEMORY_LEAST).max(MEMORY_LEAST)),
        Some(ram) => Err(format!("ram is {ram}; {MEMORY_MAX} bytes of memory is the most")),
    }
}

fn of_trace(args: &Args) -> Result<Outcome, Failure> {
    let stream = Stream::open(&args.file)?;
    let first = find(&args.device, &stream, &args.file)?;
    let devices = args.device.at(first)?;
    let info = stream.info();
    let tells = |capability| info.capabilities.tells(capability);
    let told = if tells(Capability::Effects) { Told::All } else { Told::Nothing };
    let configured = tells(Capability::Configuration);
    let recorded = info.definitions.machine().map(|machine| machine.memory).filter(|bytes| *bytes > 0);
    let memory = memory(Some(recorded.unwrap_or(MEMORY).min(MEMORY_MAX))).unwrap_or(MEMORY);
    let mut notes = Vec::new();
    if info.clock == Clock::Host {
        let late =
            "its times are a host's: what a device does by itself may have come later than the model does it";
        notes.push(late.to_owned());
    }
    if told == Told::Nothing {
        notes.push(
            "it doesn't tell what devices do besides answering: only values that were read are compared"
                .into(),
        );
    }
    if !configured {
        notes.push(
            "it doesn't tell configuration space: the model is as after firmware, and may master the bus"
                .into(),
        );
    }
    let machine = Machine { deeds: told == Told::All, ram: recorded, ..Machine::default() };
    let functions: Vec<_> = devices.iter().map(|(bdf, _)| *bdf).collect();
    let mut replay = Replay::new(args, devices, first, memory, told, &machine)?;
    let mut items = Items::new(stream, functions);
    let command = if configured { COMMAND_FIRMWARE } else { COMMAND_UNSEEN };
    while let Some((number, item)) = items.next()? {
        match item {
            Item::Operation(operation, answer) => {
                if let Err(why) = replay.check(&operation) {
                    replay.comparison.doubt(number, why);
                    continue;
                }
                replay.operation(number, operation, answer)?;
            }
            Item::Deed(deed) => replay.deed(deed),
            Item::Time(time) => replay.time(number, time)?,
            Item::Placed { bdf, region, space, base } => {
                replay.settle()?;
                replay.place(bdf, region, space, base, command)?;
            }
            Item::Reset(bdf) => {
                replay.settle()?;
                replay.model.reset(bdf)?;
                replay.model.take_deeds();
            }
            Item::Left(operation) => {
                replay.settle()?;
                replay.prepare(&operation)?;
            }
            Item::Doubt(why) => {
                replay.settle()?;
                replay.comparison.doubt(number, why);
            }
        }
    }
    if let Some(damage) = items.stream().info().damage.first() {
        notes.push(format!("the trace is damaged: {damage}"));
    }
    replay.finish(args, "record", notes)
}

/// Where the device is in a trace: as asked for, or where the one function is that has its identity.
fn find(device: &DeviceChoice, stream: &Stream, path: &Path) -> Result<Bdf, Failure> {
    let devices = device.at(Bdf::from_routing_id(PLACE))?;
    let header = devices.first().map(|(_, device)| device.header()).unwrap_or_default();
    let functions: Vec<_> = stream.definitions().functions().map(|(_, function)| function).collect();
    let name = device.name();
    let told = || {
        let all = functions.iter().map(|function| format!("{} {}", function.bdf, function.name));
        let all: Vec<_> = all.take(16).collect();
        if all.is_empty() { "no function".to_owned() } else { all.join(", ") }
    };
    let wrong = |why: String| Failure::Devices(format!("{}: {why}", path.display()));
    if let Some(bdf) = device.bdf() {
        let known = functions.iter().any(|function| function.bdf == bdf);
        return if known { Ok(bdf) } else { Err(wrong(format!("nothing is at {bdf}; it has {}", told()))) };
    }
    let like: Vec<_> = functions
        .iter()
        .filter(|function| (function.vendor, function.device) == (header.vendor, header.device))
        .map(|function| function.bdf)
        .collect();
    match like[..] {
        [bdf] => Ok(bdf),
        [] => Err(wrong(format!(
            "the trace has no {name} ({:04x}:{:04x}); it has {}: name the function to stand for, as in {name},bdf=00:04.0",
            header.vendor,
            header.device,
            told()
        ))),
        _ => Err(wrong(format!("it has {}: say which, as in {name},bdf={}", told(), like[0]))),
    }
}

/// A replay under way.
struct Replay {
    model: Model,
    headers: Vec<(Bdf, ConfigHeader)>,
    told: Told,
    deviations: Vec<Deviation>,
    comparison: Comparison,
    observed: Option<(Observed<BufWriter<File>>, std::path::PathBuf)>,
    /// The operation that was done last, while it may still have consequences.
    pending: Option<Done>,
    /// How many operations were taken.
    lines: u64,
    /// Functions whose Command register is as firmware leaves it.
    started: Vec<Bdf>,
}

impl Replay {
    fn new(
        args: &Args,
        devices: Devices,
        first: Bdf,
        memory: u64,
        told: Told,
        machine: &Machine,
    ) -> Result<Self, Failure> {
        let headers = devices.iter().map(|(bdf, device)| (*bdf, device.header())).collect();
        let observed = match &args.out {
            None => None,
            Some(path) => {
                let failed = |source| Failure::Report { path: path.clone(), source };
                let out = BufWriter::new(files::create(path).map_err(failed)?);
                let hdr = Machine { ops: None, ..*machine };
                Some((Observed::new(out, first, hdr).map_err(failed)?, path.clone()))
            }
        };
        Ok(Self {
            model: Model::new(devices, memory)?,
            headers,
            told,
            deviations: args.device.deviations().to_vec(),
            comparison: Comparison::default(),
            observed,
            pending: None,
            lines: 0,
            started: Vec::new(),
        })
    }

    /// Whether the function has a place for an operation.
    fn check(&self, operation: &Operation) -> Result<(), String> {
        let (bdf, region, offset, size) = match *operation {
            Operation::Access { bdf, region, offset, request } => (bdf, region, offset, request.size),
            Operation::Poll { bdf, offset, .. } => (bdf, Region::BAR0, offset, 4),
            _ => return Ok(()),
        };
        let header = self.headers.iter().find(|(of, _)| *of == bdf).map(|(_, header)| header);
        let Some(length) = header.and_then(|header| header.region_size(region)) else {
            return Err(format!("the device has no {region} at {bdf}"));
        };
        match offset.checked_add(size.into()) {
            Some(end) if end <= length => Ok(()),
            _ => Err(format!("{size} bytes at {offset:#x} end behind {region}, which has {length:#x}")),
        }
    }

    /// Does something, after what came before has had its consequences.
    fn operation(&mut self, number: u64, operation: Operation, recorded: Answer) -> Result<(), Failure> {
        self.settle()?;
        self.lines += 1;
        let decoded = match operation {
            Operation::Access { bdf, region, .. } => self.model.is_decoded(bdf, region),
            _ => true,
        };
        let answer = self.model.perform(&operation)?;
        let (recorded, observed) = ((recorded, Vec::new()), (answer, Vec::new()));
        self.pending = Some(Done { number, operation, decoded, recorded, observed });
        Ok(())
    }

    /// A deed that was recorded.
    fn deed(&mut self, deed: Deed) {
        // Before the first operation nothing has a reason.
        if let Some(pending) = &mut self.pending {
            pending.recorded.1.push(deed);
        }
    }

    fn time(&mut self, number: u64, time: u64) -> Result<(), Failure> {
        let mut left = time.saturating_sub(self.model.now());
        if left > model::WAIT_MAX_NS {
            self.comparison.doubt(number, "more than an hour passes, which is cut to one".to_owned());
            left = model::WAIT_MAX_NS;
        }
        if left > 0 { self.operation(number, Operation::Wait(left), Answer::Nothing) } else { Ok(()) }
    }

    /// Compares the last operation, and writes it down.
    fn settle(&mut self) -> Result<(), Failure> {
        let Some(mut done) = self.pending.take() else { return Ok(()) };
        done.observed.1 = self.model.take_deeds();
        self.write(&done)?;
        self.comparison.take(&done, self.told, &self.deviations);
        Ok(())
    }

    fn write(&mut self, done: &Done) -> Result<(), Failure> {
        let Some((observed, path)) = &mut self.observed else { return Ok(()) };
        let (answer, deeds) = &done.observed;
        let written = observed.write(&done.operation, answer, deeds);
        written.map_err(|source| Failure::Report { path: path.clone(), source })
    }

    /// Does what the machine, or firmware before the recording, did: it isn't compared.
    fn prepare(&mut self, operation: &Operation) -> Result<(), Failure> {
        if self.check(operation).is_err() {
            return Ok(());
        }
        let answer = self.model.perform(operation)?;
        let deeds = self.model.take_deeds();
        let done = Done {
            number: 0,
            operation: operation.clone(),
            decoded: true,
            recorded: (answer.clone(), Vec::new()),
            observed: (answer, deeds),
        };
        self.write(&done)
    }

    /// Gives a region its address, and lets the function decode it.
    fn place(
        &mut self,
        bdf: Bdf,
        region: Region,
        space: Space,
        base: u64,
        command: u64,
    ) -> Result<(), Failure> {
        let (offset, low) = match region {
            Region::Bar(index) => (0x10 + 4 * u64::from(index.get()), base & 0xffff_ffff),
            Region::Rom => (0x30, base & 0xffff_ffff | 1),
            Region::Config => return Ok(()),
        };
        let write = |offset, size, value| Operation::Access {
            bdf,
            region: Region::Config,
            offset,
            request: Request::write(size, value),
        };
        let header = self.headers.iter().find(|(of, _)| *of == bdf).map(|(_, header)| header);
        let bar = header.and_then(|header| header.bars.iter().find(|bar| bar.region() == region));
        let wide = space == Space::Memory && bar.is_some_and(|bar| bar.wide);
        self.prepare(&write(offset, 4, low))?;
        if wide {
            self.prepare(&write(offset + 4, 4, base >> 32))?;
        }
        if !self.started.contains(&bdf) {
            self.started.push(bdf);
            self.prepare(&write(COMMAND, 2, command))?;
        }
        Ok(())
    }

    fn finish(mut self, args: &Args, unit: &'static str, notes: Vec<String>) -> Result<Outcome, Failure> {
        self.settle()?;
        if let Some((observed, path)) = self.observed.take() {
            observed.finish().map_err(|source| Failure::Report { path, source })?;
        }
        Ok(Outcome {
            comparison: self.comparison,
            device: args.device.name().to_owned(),
            functions: self.model.functions(),
            deviations: self.deviations,
            unit,
            notes,
        })
    }
}

impl Outcome {
    /// 1 if something differs that nothing explains, 4 if that can't be told.
    fn code(&self) -> Code {
        match &self.comparison {
            Comparison { first: Some(_), .. } => Code::Failed,
            Comparison { undecided: Some(_), .. } => Code::Inconclusive,
            _ => Code::Passed,
        }
    }
}
