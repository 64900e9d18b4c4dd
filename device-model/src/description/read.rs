//! A file's text as a description: its tables one after the other, each checked where it stands.

use std::ops::Range;

use toml::de::DeTable;

use super::lists::Lists;
use super::registers::{self, Budget};
use super::table::{Shape, Table};
use super::{BadDescription, Description, FILE_MAX, typed};
use crate::address::{BarIndex, Region, Space};
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::diagnostic::{Diagnostic, Span};
use crate::header::{ConfigHeader, InterruptPin};
use crate::register::RegisterMap;
use crate::text::{DEVICE_NAME_RULE, is_device_name};

/// The size of configuration space in bytes.
const CONFIG_SIZE: u64 = 4096;

const FILE: Shape = Shape {
    what: "a description",
    example: "name = \"card\"",
    keys: &[
        ("name", "\"card\""),
        ("summary", "\"what it is\""),
        ("vendor", "0x1234"),
        ("device", "0x11e8"),
        ("revision", "0x01"),
        ("class", "0x02_0000"),
        ("subsystem_vendor", "0x1234"),
        ("subsystem", "0x0001"),
        ("interrupt_pin", "\"A\""),
        ("self_test", "0"),
        ("command", "{ writable = 0x0547 }"),
        ("conventional", "{ mhz66 = true }"),
        ("capability", "[[capability]]"),
        ("extended_capability", "[[extended_capability]]"),
        ("private", "[[private]]"),
        ("bar", "[[bar]]"),
        ("rom", "[rom]"),
        ("config", "[config]"),
    ],
};

const BAR: Shape = Shape {
    what: "a BAR",
    example: "[[bar]]",
    keys: &[
        ("index", "0"),
        ("size", "\"4 KiB\""),
        ("space", "\"memory\""),
        ("wide", "true"),
        ("below_1_mib", "true"),
        ("wide_ports", "true"),
        ("prefetchable", "true"),
        ("register", "[[bar.register]]"),
        ("memory", "[[bar.memory]]"),
    ],
};

const ROM: Shape = Shape {
    what: "the expansion ROM",
    example: "[rom]",
    keys: &[("size", "\"64 KiB\""), ("register", "[[rom.register]]"), ("memory", "[[rom.memory]]")],
};

const CONFIG: Shape = Shape {
    what: "configuration space",
    example: "[config]",
    keys: &[("register", "[[config.register]]"), ("memory", "[[config.memory]]")],
};

const PINS: [(&str, InterruptPin); 4] =
    [("A", InterruptPin::A), ("B", InterruptPin::B), ("C", InterruptPin::C), ("D", InterruptPin::D)];

const SPACES: [(&str, Space); 2] = [("memory", Space::Memory), ("io", Space::Io)];

/// Reads a file's text.
pub(super) fn read(text: &str) -> Result<Description, Diagnostic> {
    if text.len() > FILE_MAX {
        let message = format!("a description has {FILE_MAX} bytes at most; this one has {}", text.len());
        return Err(Diagnostic::new(Span::default(), message));
    }
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().map_or_else(Span::default, Span::from);
        let said = match error.message() {
            "duplicate key" => "this is there already; leave one out",
            said => said,
        };
        Diagnostic::new(span, format!("this is no TOML: {said}"))
    })?;
    if document.get_ref().is_empty() {
        let message = "there is nothing here; a description begins with its name, as in: name = \"card\"";
        return Err(Diagnostic::new(Span::default(), message));
    }
    let file = Table::new(&FILE, first_line(text).into(), document.get_ref())?;
    description(&file)
}

/// The first line with something in it, to be shown where the file as a whole lacks something.
fn first_line(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..start + text[start..].lines().next().unwrap_or_default().len()
}

fn description(file: &Table<'_>) -> Result<Description, Diagnostic> {
    let name = file.name("name")?;
    if !is_device_name(name) {
        let message = format!("{name:?} is no device's name: {DEVICE_NAME_RULE}");
        return Err(Diagnostic::new(file.place("name"), message));
    }
    let summary = file.text("summary")?;
    let bars = bars(file)?;
    let rom = file.table("rom", &ROM)?;
    let lists = Lists::read(file)?;
    let header = header(file, &bars, rom.as_ref(), &lists)?;
    checked(&header, file, &bars, rom.as_ref(), &lists)?;
    let maps = maps(file, &bars, rom.as_ref(), &header)?;
    let msix = lists.msix().unwrap_or(file.span);
    Description::new(name, summary, header, maps).map_err(|bad| {
        // Registers fit their regions, so it is those of MSI-X that don't fit among them.
        let span = if matches!(bad, BadDescription::Map(_)) { msix } else { file.span };
        Diagnostic::new(span, bad.to_string())
    })
}

/// A BAR, and the table that describes it.
type Bar<'a> = (BarSpec, Table<'a>);

/// The BARs in ascending order of index.
fn bars<'a>(file: &Table<'a>) -> Result<Vec<Bar<'a>>, Diagnostic> {
    let mut bars: Vec<Bar<'_>> = Vec::new();
    for value in file.list("bar")? {
        let table = Table::of(&BAR, value)?;
        let spec = bar(&table)?;
        if let Some((before, _)) = bars.iter().find(|(before, _)| before.index == spec.index) {
            let message = format!("there are two {}; a function has one of each number", before.index);
            return Err(Diagnostic::new(table.place("index"), message));
        }
        bars.push((spec, table));
    }
    bars.sort_by_key(|(bar, _)| bar.index);
    Ok(bars)
}

fn bar(table: &Table<'_>) -> Result<BarSpec, Diagnostic> {
    let index = table.needed_number("index", 5)? as u8;
    Ok(BarSpec {
        // It is 5 at most.
        index: BarIndex::new(index).unwrap_or(BarIndex::BAR5),
        size: table.size("size")?.ok_or_else(|| table.lacks("size"))?,
        space: table.choice("space", &SPACES)?.unwrap_or(Space::Memory),
        wide: table.is_true("wide")?,
        below_1_mib: table.is_true("below_1_mib")?,
        wide_ports: table.is_true("wide_ports")?,
        prefetchable: table.is_true("prefetchable")?,
    })
}

fn header(
    file: &Table<'_>,
    bars: &[Bar<'_>],
    rom: Option<&Table<'_>>,
    lists: &Lists,
) -> Result<ConfigHeader, Diagnostic> {
    let number = |key, most| file.number(key, most).map(Option::unwrap_or_default);
    let rom_size = |rom: &Table<'_>| {
        let size = rom.size("size")?.ok_or_else(|| rom.lacks("size"))?;
        // Above that it is too large all the same.
        Ok(u32::try_from(size).unwrap_or(u32::MAX))
    };
    Ok(ConfigHeader {
        vendor: file.needed_number("vendor", u16::MAX.into())? as u16,
        device: file.needed_number("device", u16::MAX.into())? as u16,
        revision: number("revision", u8::MAX.into())? as u8,
        class: file.needed_number("class", 0xff_ffff)? as u32,
        subsystem_vendor: number("subsystem_vendor", u16::MAX.into())? as u16,
        subsystem: number("subsystem", u16::MAX.into())? as u16,
        bars: bars.iter().map(|(bar, _)| *bar).collect(),
        rom: rom.map(rom_size).transpose()?,
        interrupt_pin: file.choice("interrupt_pin", &PINS)?,
        capabilities: lists.capabilities.clone(),
        extended_capabilities: lists.extended.clone(),
        private: lists.private.clone(),
        command: file.get("command").map(typed::read).transpose()?.unwrap_or_default(),
        conventional: file.get("conventional").map(typed::read).transpose()?.unwrap_or_default(),
        self_test: file.number("self_test", 15)?.map(|code| code as u8),
    })
}

/// Checks a header, and says where it is that it can't exist.
fn checked(
    header: &ConfigHeader,
    file: &Table<'_>,
    bars: &[Bar<'_>],
    rom: Option<&Table<'_>>,
    lists: &Lists,
) -> Result<(), Diagnostic> {
    let Err(bad) = header.check() else { return Ok(()) };
    if let Some(fault) = lists.fault(header) {
        return Err(fault);
    }
    let place = |index: &BarIndex, key| {
        let found = bars.iter().find(|(bar, _)| bar.index == *index);
        found.map_or(file.span, |(_, table)| table.place(key))
    };
    let span = match &bad {
        BadHeader::BarSize { bar, .. } => place(bar, "size"),
        BadHeader::BarSpace(bar) => place(bar, "space"),
        BadHeader::BarKind(bar) => place(bar, "below_1_mib"),
        BadHeader::BarPorts(bar) => place(bar, "wide_ports"),
        BadHeader::BarOrder(bar) => place(bar, "index"),
        BadHeader::BarCount(bar) => place(bar, "wide"),
        BadHeader::RomSize(_) => rom.map_or(file.span, |rom| rom.place("size")),
        // Every other number was read as what it can be.
        _ => file.place("command"),
    };
    let said = match bad {
        // The file's order doesn't count.
        BadHeader::BarOrder(bar) => format!("{bar} is the upper half of the BAR before it, which is wide"),
        bad => bad.to_string(),
    };
    Err(Diagnostic::new(span, said))
}

/// The register maps of all regions.
fn maps(
    file: &Table<'_>,
    bars: &[Bar<'_>],
    rom: Option<&Table<'_>>,
    header: &ConfigHeader,
) -> Result<Vec<RegisterMap>, Diagnostic> {
    let mut budget = Budget::new();
    let mut maps = Vec::new();
    for (bar, table) in bars {
        maps.extend(registers::read(table, bar.region(), bar.size, &mut budget)?);
    }
    if let (Some(size), Some(table)) = (header.rom, rom) {
        maps.extend(registers::read(table, Region::Rom, size.into(), &mut budget)?);
    }
    if let Some(table) = file.table("config", &CONFIG)? {
        maps.extend(registers::read(&table, Region::Config, CONFIG_SIZE, &mut budget)?);
    }
    Ok(maps)
}
