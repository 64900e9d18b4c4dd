//! Recorded operations, one JSON object a line, as docs/traces.md tells; written the same way.

use std::io::{BufRead, Read, Write};
use std::iter;

use barscope_device::{BarIndex, Bdf, Hex, Region};
use barscope_trace::event::DmaOutcome;
use barscope_vmm::perform::Request;
use serde::{Deserialize, Serialize};

use super::model::WAIT_MAX_NS;
use super::operation::{Answer, Deed, Operation, Told};
use crate::output;

/// The longest line in bytes.
const LINE_MAX: u64 = 1 << 20;
/// The most bytes of memory in one operation.
const MEMORY_MAX: usize = 1 << 18;
/// What `wait_fact` polls: STATUS of edu until it computes no longer.
const POLLED: (u64, u64) = (0x20, 1);

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    hdr: Machine,
}

/// The machine that was recorded, and the device's state at the beginning.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Machine {
    /// The Command register.
    pub command: u16,
    /// Where BAR0 is; not placed if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bar0: Option<u64>,
    /// Bytes of guest memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<u64>,
    /// How many operations follow; not held against anything if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<u64>,
    /// Messages, DMA and register changes are recorded, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deeds: bool,
}

impl Machine {
    /// What the operations tell besides answers.
    pub fn told(&self) -> Told {
        if self.deeds { Told::All } else { Told::Pins }
    }
}

/// An operation and what it gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The line.
    pub line: u64,
    /// What was done.
    pub operation: Operation,
    /// What that gave.
    pub answer: Answer,
    /// What the device did besides.
    pub deeds: Vec<Deed>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    op: Op,
    #[serde(default, rename = "fn", skip_serializing_if = "is_default")]
    function: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<u8>,
    #[serde(default, skip_serializing_if = "is_default")]
    bar: Bar,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    off: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addr: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    len: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    val: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<Hex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    irq: Vec<(Level, u8)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    msi: Vec<(u8, u16, u64, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dma: Vec<(u8, bool, u64, u64, DmaOutcome)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<(u8, Bar, u64, u64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    R,
    W,
    CfgR,
    CfgW,
    RamR,
    RamW,
    Step,
    WaitFact,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Raise,
    Lower,
}

/// A region: the number of a BAR, or 6 for the expansion ROM.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
struct Bar(u8);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Bar {
    fn of(region: Region) -> Self {
        match region {
            Region::Bar(index) => Self(index.get()),
            Region::Rom | Region::Config => Self(6),
        }
    }

    fn region(self) -> Result<Region, String> {
        match (self.0, BarIndex::new(self.0)) {
            (6, _) => Ok(Region::Rom),
            (_, Some(index)) => Ok(Region::Bar(index)),
            (number, None) => Err(format!("bar {number}: BARs have the numbers 0 to 5, and 6 is the ROM")),
        }
    }
}

/// The operations of a recording of the device whose function 0 is at `first`, in their order.
pub struct Recording<R> {
    input: R,
    first: Bdf,
    line: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Recording<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(input: R, first: Bdf) -> Result<(Self, Machine), String> {
        let mut recording = Self { input, first, line: 0, text: Vec::new() };
        let Some(text) = recording.read()? else { return Err("is empty".to_owned()) };
        let head: Head = serde_json::from_slice(text).map_err(|error| {
            format!(
                "line 1: the first line has the device's state at the beginning, as in \
                 {{\"hdr\":{{\"command\":6,\"bar0\":4261412864,\"ram\":268435456}}}}: {}",
                told(&error)
            )
        })?;
        Ok((recording, head.hdr))
    }

    /// The next operation.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn next(&mut self) -> Result<Option<Recorded>, String> {
        let first = self.first;
        loop {
            let Some(text) = self.read()? else { return Ok(None) };
            if text.trim_ascii().is_empty() {
                continue;
            }
            let parsed = serde_json::from_slice::<Line>(text).map_err(|error| told(&error));
            let line = self.line;
            let recorded = parsed.and_then(|parsed| parsed.read(first, line));
            return recorded.map(Some).map_err(|why| format!("line {line}: {why}"));
        }
    }

    fn read(&mut self) -> Result<Option<&[u8]>, String> {
        self.text.clear();
        self.line += 1;
        let line = self.line;
        let read = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.text);
        match read.map_err(|error| format!("line {line}: {error}"))? {
            0 => Ok(None),
            length if length as u64 == LINE_MAX => {
                Err(format!("line {line} is longer than {LINE_MAX} bytes"))
            }
            _ => Ok(Some(&self.text)),
        }
    }
}

/// What is wrong with JSON, without the place: a line is one object.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let column = error.column();
    let end = text.find(" at line ").unwrap_or(text.len());
    format!("column {column}: {}", &text[..end])
}

impl Line {
    fn read(self, first: Bdf, line: u64) -> Result<Recorded, String> {
        let at = |number: u8| {
            let function = first.function().checked_add(number);
            let bdf = function.and_then(|function| Bdf::new(first.bus(), first.device(), function));
            bdf.ok_or_else(|| format!("fn {number}: there is no such function"))
        };
        let bdf = at(self.function)?;
        let need = |value: Option<u64>, what: &str| value.ok_or_else(|| format!("{what} is missing"));
        let region = self.bar.region()?;
        let access = |region, written: bool, widths: &[u8]| {
            let width = self.w.filter(|width| widths.contains(width));
            let size =
                width.ok_or_else(|| format!("w has to be one of {widths:?}, the bytes of the access"))?;
            let value = need(self.val, "val")?;
            let mask = barscope_device::low_bytes(size.into());
            if value & !mask != 0 {
                return Err(format!("val {value:#x} has more than {size} bytes"));
            }
            let request = if written { Request::write(size, value) } else { Request::read(size) };
            let operation = Operation::Access { bdf, region, offset: need(self.off, "off")?, request };
            Ok((operation, if written { Answer::Nothing } else { Answer::Value(value) }))
        };
        let (operation, answer) = match self.op {
            Op::R => access(region, false, &[1, 2, 4, 8])?,
            Op::W => access(region, true, &[1, 2, 4, 8])?,
            Op::CfgR => access(Region::Config, false, &[1, 2, 4])?,
            Op::CfgW => access(Region::Config, true, &[1, 2, 4])?,
            Op::RamR | Op::RamW => {
                let address = need(self.addr, "addr")?;
                let bytes = self.hex.ok_or("hex is missing")?.0;
                if bytes.len() > MEMORY_MAX || self.len.is_some_and(|length| length != bytes.len()) {
                    let length = bytes.len();
                    return Err(format!("hex has {length} bytes; len says how many, {MEMORY_MAX} at most"));
                }
                match self.op {
                    Op::RamW => (Operation::WriteMemory(address, bytes), Answer::Nothing),
                    _ => (Operation::ReadMemory(address, bytes.len()), Answer::Bytes(bytes)),
                }
            }
            Op::Step => {
                let time = match (self.ms, self.ns) {
                    (Some(ms), None) => ms.checked_mul(1_000_000),
                    (None, ns) => Some(need(ns, "ms")?),
                    (Some(_), Some(_)) => return Err("ms or ns, not both".to_owned()),
                };
                let time = time.filter(|time| *time <= WAIT_MAX_NS).ok_or("a step takes an hour at most")?;
                (Operation::Wait(time), Answer::Nothing)
            }
            Op::WaitFact => {
                let (offset, bits) = POLLED;
                (Operation::Poll { bdf, offset, bits }, Answer::Value(need(self.val, "val")?))
            }
        };
        // Whose pin it is doesn't say its number: that of the machine's line.
        let pins = self.irq.iter().map(|(level, _)| Ok(Deed::Pin(bdf, *level == Level::Raise)));
        let messages = self.msi.iter().map(|&(function, index, address, data)| {
            Ok(Deed::Message { bdf: at(function)?, index, address, data })
        });
        let dma = self.dma.iter().map(|&(function, to_memory, address, length, outcome)| {
            Ok(Deed::Dma { bdf: at(function)?, to_memory, address, length, outcome })
        });
        let changes = self.changes.iter().map(|&(function, bar, offset, old, new)| {
            Ok(Deed::Change { bdf: at(function)?, region: bar.region()?, offset, old, new })
        });
        let deeds = pins.chain(messages).chain(dma).chain(changes).collect::<Result<_, String>>()?;
        Ok(Recorded { line, operation, answer, deeds })
    }
}

/// Writes a recording.
pub struct Observed<W> {
    out: W,
    first: Bdf,
}

impl<W: Write> Observed<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn new(mut out: W, first: Bdf, hdr: Machine) -> std::io::Result<Self> {
        output::json(&mut out, &Head { hdr })?;
        Ok(Self { out, first })
    }

    /// Writes an operation with what it gave.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn write(&mut self, operation: &Operation, answer: &Answer, deeds: &[Deed]) -> std::io::Result<()> {
        let number = |bdf: Bdf| bdf.function().saturating_sub(self.first.function());
        let mut line = Line {
            op: Op::Step,
            function: 0,
            w: None,
            bar: Bar::default(),
            off: None,
            addr: None,
            len: None,
            ms: None,
            ns: None,
            val: None,
            hex: None,
            irq: Vec::new(),
            msi: Vec::new(),
            dma: Vec::new(),
            changes: Vec::new(),
        };
        match *operation {
            Operation::Access { bdf, region, offset, request } => {
                line.op = match (region, request.written) {
                    (Region::Config, None) => Op::CfgR,
                    (Region::Config, Some(_)) => Op::CfgW,
                    (_, None) => Op::R,
                    (_, Some(_)) => Op::W,
                };
                if region != Region::Config {
                    line.bar = Bar::of(region);
                }
                let value = if let Answer::Value(value) = answer { Some(*value) } else { request.written };
                (line.function, line.w, line.off, line.val) =
                    (number(bdf), Some(request.size), Some(offset), value);
            }
            Operation::Poll { bdf, .. } => {
                (line.op, line.function) = (Op::WaitFact, number(bdf));
                line.val = if let Answer::Value(value) = answer { Some(*value) } else { None };
            }
            Operation::ReadMemory(address, length) => {
                (line.op, line.addr, line.len) = (Op::RamR, Some(address), Some(length));
                line.hex = if let Answer::Bytes(bytes) = answer { Some(Hex(bytes.clone())) } else { None };
            }
            Operation::WriteMemory(address, ref bytes) => {
                (line.op, line.addr, line.hex) = (Op::RamW, Some(address), Some(Hex(bytes.clone())));
            }
            Operation::Wait(time) if time % 1_000_000 == 0 => line.ms = Some(time / 1_000_000),
            Operation::Wait(time) => line.ns = Some(time),
        }
        for deed in deeds {
            match *deed {
                Deed::Pin(_, true) => line.irq.push((Level::Raise, 0)),
                Deed::Pin(_, false) => line.irq.push((Level::Lower, 0)),
                Deed::Message { bdf, index, address, data } => {
                    line.msi.push((number(bdf), index, address, data));
                }
                Deed::Dma { bdf, to_memory, address, length, outcome } => {
                    line.dma.push((number(bdf), to_memory, address, length, outcome));
                }
                Deed::Change { bdf, region, offset, old, new } => {
                    line.changes.push((number(bdf), Bar::of(region), offset, old, new));
                }
            }
        }
        output::json(&mut self.out, &line)
    }

    /// Ends it.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The writes that bring a device to the state at a recording's beginning: its BAR0, and its Command register.
pub fn beginning(bdf: Bdf, machine: &Machine) -> impl Iterator<Item = Operation> {
    let write = move |offset, size, value| Operation::Access {
        bdf,
        region: Region::Config,
        offset,
        request: Request::write(size, value),
    };
    let low = machine.bar0.map(|base| write(0x10, 4, base & 0xffff_ffff));
    let high = machine.bar0.filter(|base| *base > u64::from(u32::MAX)).map(|base| write(0x14, 4, base >> 32));
    low.into_iter().chain(high).chain(iter::once(write(0x04, 2, machine.command.into())))
}
