//! Comma-separated values, RFC 4180: a header line, and a row for each record.
//!
//! Numbers that registers, messages and addresses hold are hexadecimal, counts and times decimal. What isn't known, and
//! what a kind of record doesn't have, is empty. A row `lost` says how many records are missing there, the row `end` how
//! the trace ended.

use std::fmt::Write as _;
use std::io::{self, Write};

use barscope_analysis::print::Printer;
use barscope_analysis::view::View;
use barscope_trace::event::{EventKind, Field, Role, Target, Value, Visitor};
use barscope_trace::{Definitions, End, Id, TraceInfo};
use rustc_hash::FxHashMap;

use crate::gaps::Gaps;

/// The columns.
const COLUMNS: [&str; 28] = [
    "seq",
    "event",
    "device_ns",
    "host_ns",
    "vcpu",
    "scenario",
    "cause",
    "bdf",
    "device",
    "region",
    "offset",
    "register",
    "operation",
    "size",
    "value",
    "old",
    "outcome",
    "address",
    "virtual_address",
    "ring",
    "path",
    "memory_type",
    "rip",
    "code",
    "pid",
    "process",
    "text",
    "details",
];

/// Where the columns stand that rows without a record have.
const EVENT: usize = 1;
const HOST_NS: usize = 3;
const VALUE: usize = 14;
const TEXT: usize = 26;

/// How many names of code are kept.
const CODES_MAX: usize = 1 << 14;

/// Prints a trace as CSV.
pub struct CsvPrinter<W: Write> {
    out: csv::Writer<W>,
    started: bool,
    gaps: Gaps,
    /// A cell that is being put together.
    cell: String,
    /// Names of code, by definitions of instruction and call stack.
    codes: FxHashMap<(Id, Id), String>,
    host_ns: u64,
}

impl<W: Write> CsvPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        let out = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(out);
        Self {
            out,
            started: false,
            gaps: Gaps::default(),
            cell: String::new(),
            codes: FxHashMap::default(),
            host_ns: 0,
        }
    }

    fn start(&mut self) -> io::Result<()> {
        if !self.started {
            self.started = true;
            written(self.out.write_record(COLUMNS))?;
        }
        Ok(())
    }

    fn cell(&mut self, text: &str) -> io::Result<()> {
        written(self.out.write_field(text))
    }

    fn number(&mut self, number: Option<u64>) -> io::Result<()> {
        match number {
            Some(number) => written(self.out.write_field(itoa::Buffer::new().format(number))),
            None => self.cell(""),
        }
    }

    fn hex(&mut self, number: Option<u64>) -> io::Result<()> {
        let Some(number) = number else { return self.cell("") };
        // The formatting machinery of the standard library costs several times as much.
        let mut digits = [b'0'; 18];
        let used = (67 - (number | 1).leading_zeros() as usize) / 4;
        digits[1] = b'x';
        for (at, digit) in digits[2..2 + used].iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (4 * at)) as usize & 0xf];
        }
        written(self.out.write_field(&digits[..2 + used]))
    }

    /// A cell that `fill` puts together.
    fn made(&mut self, fill: impl FnOnce(&mut String)) -> io::Result<()> {
        self.cell.clear();
        fill(&mut self.cell);
        written(self.out.write_field(&self.cell))
    }

    /// Who made an access, which is always the same for an instruction and a call stack.
    fn code(&mut self, view: &View) -> io::Result<()> {
        let Some(made) = view.made() else { return self.cell("") };
        let named = || {
            let mut text = String::new();
            made.push_name(&mut text);
            text.push(' ');
            made.push_line(&mut text);
            text.truncate(text.trim_end().len());
            text
        };
        let EventKind::Access(access) = view.kind else { return self.cell(&named()) };
        if self.codes.len() == CODES_MAX {
            self.codes.clear();
        }
        let text = self.codes.entry((access.instruction, access.stack)).or_insert_with(named);
        written(self.out.write_field(text))
    }

    /// A row that stands for no record.
    fn other(&mut self, event: &str, value: u64, host_ns: Option<u64>, text: &str) -> io::Result<()> {
        let (value, host_ns) = (value.to_string(), host_ns.map(|ns| ns.to_string()).unwrap_or_default());
        let mut row = [""; COLUMNS.len()];
        (row[EVENT], row[VALUE], row[HOST_NS], row[TEXT]) = (event, &value, &host_ns, text);
        written(self.out.write_record(row))
    }

    fn row(&mut self, view: &View) -> io::Result<()> {
        let kind = view.kind.kind();
        let cells = Cells::of(view);
        self.number(Some(view.seq))?;
        self.cell(kind.name)?;
        self.number(Some(view.device_ns))?;
        self.number(Some(view.host_ns))?;
        self.number(view.vcpu.map(u64::from))?;
        self.cell(view.scenario.as_deref().unwrap_or_default())?;
        self.number(view.cause())?;
        let (place, function) = (view.place(), view.function());
        let bdf = place.and_then(|place| place.bdf).or(function.map(|function| function.bdf));
        match bdf {
            // Nothing is ever wrong with a string.
            Some(bdf) => self.made(|text| _ = write!(text, "{bdf}"))?,
            None => self.cell("")?,
        }
        self.cell(function.map_or("", |function| &function.name))?;
        let region = place.map(|place| place.region).or(view.route().map(|route| route.region));
        match region {
            Some(region) => self.made(|text| _ = write!(text, "{region}"))?,
            None => self.cell("")?,
        }
        self.hex(place.map(|place| place.offset))?;
        self.made(|text| {
            if let Some(place) = place {
                text.push_str(&place.register_name().unwrap_or_default());
            }
        })?;
        self.cell(cells.operation)?;
        self.number(cells.size)?;
        self.hex(cells.value)?;
        self.hex(cells.old)?;
        self.cell(cells.outcome)?;
        self.hex(cells.address)?;
        self.hex(view.gva())?;
        self.number(view.cpl().map(u64::from))?;
        self.cell(view.path().map_or("", |path| path.name()))?;
        self.cell(view.memory_type().map_or("", |of| of.name()))?;
        self.hex(view.code().map(|code| code.rip))?;
        self.code(view)?;
        self.number(view.process().map(|process| process.pid))?;
        self.cell(view.process().map_or("", |process| &process.name))?;
        self.cell(view.text().unwrap_or_default())?;
        self.made(|text| {
            if view.access().is_none() {
                view.kind.visit(&mut Details(text));
            }
        })?;
        written(self.out.write_record(None::<&[u8]>))
    }
}

/// What writing came to: of an error of the system's its kind, which tells a pipe that nobody reads.
fn written(result: csv::Result<()>) -> io::Result<()> {
    result.map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

/// What stands in columns that several kinds of records fill.
#[derive(Default)]
struct Cells {
    operation: &'static str,
    size: Option<u64>,
    value: Option<u64>,
    old: Option<u64>,
    outcome: &'static str,
    address: Option<u64>,
}

impl Cells {
    fn of(view: &View) -> Self {
        match view.kind {
            EventKind::Access(access) => Cells {
                operation: if access.write { "write" } else { "read" },
                size: Some(access.size.into()),
                value: Some(access.value),
                old: None,
                outcome: access.outcome.name(),
                address: Some(match access.target {
                    Target::Memory(address) => address,
                    Target::Port { port, .. } => port.into(),
                }),
            },
            EventKind::Change { old, new, .. } => {
                Cells { old: Some(old), value: Some(new), ..Cells::default() }
            }
            EventKind::Dma { to_memory, address, length, outcome, .. } => Cells {
                operation: if to_memory { "write" } else { "read" },
                size: Some(length),
                outcome: outcome.name(),
                address: Some(address),
                ..Cells::default()
            },
            EventKind::Msi { address, data, .. } => {
                Cells { address: Some(address), value: Some(data.into()), ..Cells::default() }
            }
            _ => Cells { address: view.gpa(), ..Cells::default() },
        }
    }
}

/// The fields that no column is for, as `name=value` with spaces between.
struct Details<'a>(&'a mut String);

impl Visitor for Details<'_> {
    fn field(&mut self, field: &'static Field, value: Value) {
        let told = field.role.is_id()
            || matches!(field.role, Role::Cause | Role::Region | Role::Offset)
            || matches!(value, Value::None | Value::Region(_));
        if told {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let name = field.name;
        // Nothing is ever wrong with a string.
        let _ = match value {
            Value::Number(number) if field.role.is_hex() => write!(self.0, "{name}={number:#x}"),
            Value::Number(number) => write!(self.0, "{name}={number}"),
            Value::Flag(flag) => write!(self.0, "{name}={flag}"),
            Value::Name(word) => write!(self.0, "{name}={word}"),
            Value::Operand(operand) => {
                let (reads, writes, size) = (operand.reads, operand.writes, operand.size);
                write!(self.0, "reads={reads} writes={writes} size={size}")
            }
            // Accesses have it, and columns say it.
            Value::Target(_) | Value::None | Value::Region(_) => Ok(()),
        };
    }
}

impl<W: Write> Printer for CsvPrinter<W> {
    fn print(&mut self, _: &Definitions, view: &View) -> io::Result<()> {
        self.start()?;
        self.host_ns = view.host_ns;
        let missing = self.gaps.before(view);
        if missing > 0 {
            self.other("lost", missing, None, "")?;
        }
        self.row(view)
    }

    fn pass(&mut self, view: &View) {
        self.gaps.before(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        self.start()?;
        let missing = self.gaps.at_end(info);
        if missing > 0 {
            self.other("lost", missing, None, "")?;
        }
        let mut text = info.end.map_or("unfinished", End::name).to_owned();
        let reason = info.end.map_or("", End::reason);
        if !reason.is_empty() {
            text = format!("{text}: {reason}");
        }
        self.other("end", info.lost, Some(self.host_ns), &text)?;
        self.out.flush()
    }
}
