//! A description as the text of a file: the keys of a table one a line, fields one a line, numbers as hardware people
//! write them, and nothing that goes without saying.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::number::{bits, hex, size, small};
use super::{Description, typed};
use crate::address::{Region, Space};
use crate::bar::BarSpec;
use crate::capability::Placed;
use crate::header::ConfigHeader;
use crate::masked_bytes::PrivateBytes;
use crate::register::{Field, Register, RegisterMap};

/// The text of the file.
pub(super) fn write(description: &Description) -> String {
    let mut out = Out(String::new());
    let header = description.header();
    out.line("name", &text(description.name()));
    out.text("summary", description.summary());
    identity(&mut out, header);
    let map = |region| description.register_maps().iter().find(move |map| map.region == region);
    for spec in &header.bars {
        bar(&mut out, spec);
        registers(&mut out, "bar", map(spec.region()));
    }
    if let Some(bytes) = header.rom {
        out.table("[rom]");
        out.line("size", &size(bytes.into()));
        registers(&mut out, "rom", map(Region::Rom));
    }
    if let Some(map) = map(Region::Config) {
        out.table("[config]");
        registers(&mut out, "config", Some(map));
    }
    out.0
}

/// All of a header but BARs and ROM.
fn identity(out: &mut Out, header: &ConfigHeader) {
    out.line("vendor", &hex(header.vendor.into(), 4));
    out.line("device", &hex(header.device.into(), 4));
    out.hex("revision", header.revision, 2);
    out.line("class", &hex(header.class.into(), 6));
    out.hex("subsystem_vendor", header.subsystem_vendor, 4);
    out.hex("subsystem", header.subsystem, 4);
    if let Some(pin) = header.interrupt_pin {
        out.line("interrupt_pin", &text(&format!("{pin:?}")));
    }
    if let Some(code) = header.self_test {
        out.line("self_test", &small(code.into()));
    }
    out.typed("command", &header.command);
    out.typed("conventional", &header.conventional);
    for Placed { offset, capability } in &header.capabilities {
        out.table("[[capability]]");
        out.placed(*offset, &typed::written(capability));
    }
    for Placed { offset, capability } in &header.extended_capabilities {
        out.table("[[extended_capability]]");
        out.placed(*offset, &typed::written(capability));
    }
    for PrivateBytes { offset, content } in &header.private {
        out.table("[[private]]");
        out.placed(Some(*offset), &typed::written(content));
    }
}

fn bar(out: &mut Out, bar: &BarSpec) {
    out.table("[[bar]]");
    out.line("index", &bar.index.get().to_string());
    out.line("size", &size(bar.size));
    if bar.space == Space::Io {
        out.line("space", &text("io"));
    }
    out.switch("wide", bar.wide);
    out.switch("below_1_mib", bar.below_1_mib);
    out.switch("wide_ports", bar.wide_ports);
    out.switch("prefetchable", bar.prefetchable);
}

/// The text that a file is written to, line by line.
struct Out(String);

impl Out {
    fn table(&mut self, header: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "\n{header}");
    }

    fn line(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// A text, unless it is empty.
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.line(key, &text(value));
        }
    }

    /// A number in hexadecimal with some digits, unless it is 0.
    fn hex(&mut self, key: &str, value: impl Into<u64>, digits: usize) {
        let value = value.into();
        if value != 0 {
            self.line(key, &hex(value, digits));
        }
    }

    /// A part of a header, unless it is as without being said.
    fn typed<T: Serialize + DeserializeOwned + PartialEq + Default>(&mut self, key: &str, part: &T) {
        if *part != T::default() {
            self.line(key, &inline(key, &typed::written(part)));
        }
    }

    /// What lies at an offset of configuration space, each entry in a line.
    fn placed(&mut self, offset: Option<u16>, entries: &Value) {
        if let Some(offset) = offset {
            self.line("offset", &hex(offset.into(), 2));
        }
        for (key, value) in entries.as_object().into_iter().flatten() {
            self.line(key, &inline(key, value));
        }
    }

    /// `true`, unless it isn't.
    fn switch(&mut self, key: &str, on: bool) {
        if on {
            self.line(key, "true");
        }
    }
}

fn registers(out: &mut Out, parent: &str, map: Option<&RegisterMap>) {
    let registers = map.map_or(&[][..], |map| &map.registers);
    let digits = registers.last().map_or(2, |last| format!("{:x}", last.offset).len().max(2));
    for register in registers {
        let kind = if register.memory { "memory" } else { "register" };
        out.table(&format!("[[{parent}.{kind}]]"));
        register_lines(out, register, digits);
    }
}

fn register_lines(out: &mut Out, register: &Register, digits: usize) {
    out.line("name", &text(&register.name));
    out.line("offset", &hex(register.offset, digits));
    if register.memory || register.size != 4 {
        out.line("size", &size(register.size));
    }
    out.line("access", &text(register.access.abbreviation()));
    out.hex("reset", register.reset, 1);
    out.switch("volatile", register.volatile);
    out.text("doc", &register.doc);
    if !register.fields.is_empty() {
        let fields: String = register.fields.iter().map(|one| format!("  {},\n", field(one))).collect();
        out.line("fields", &format!("[\n{fields}]"));
    }
}

fn field(field: &Field) -> String {
    let Field { name, lsb, width, values, doc } = field;
    let mut out = format!("{{ name = {}, bits = {}", text(name), bits(*lsb, *width));
    if !doc.is_empty() {
        let _ = write!(out, ", doc = {}", text(doc));
    }
    if !values.is_empty() {
        let value = |(value, name): &(u64, Cow<'_, str>)| format!("{} = {}", small(*value), text(name));
        let named: Vec<_> = values.iter().map(value).collect();
        let _ = write!(out, ", values = {{ {} }}", named.join(", "));
    }
    out + " }"
}

/// A value as a value of TOML, in one line: numbers in hexadecimal, but for those that count something. What is null is
/// left out.
pub(super) fn inline(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "{}".to_owned(),
        Value::Bool(is_true) => is_true.to_string(),
        Value::Number(number) => match number.as_u64() {
            Some(number) if COUNTS.contains(&key) => number.to_string(),
            Some(number) => small(number),
            None => number.to_string(),
        },
        Value::String(said) => text(said),
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(|one| inline(key, one)).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<_> =
                entries.map(|(key, value)| format!("{key} = {}", inline(key, value))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
    }
}

/// Keys whose numbers people count.
const COUNTS: [&str; 3] = ["initial", "total", "vectors"];

/// A text in quotes. It holds no control character: see [`Description`].
fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
