//! A device's documentation, from the data that the device itself runs on.

use std::fmt::Write;

use barscope_device::{
    ConfigHeader, Entry, Field, OptionSpec, PciDevice, Region, Register, RegisterMap, Space,
};

/// Identity, capabilities, regions, registers and options of a device without any of its options given,
/// in Markdown whose tables are aligned, so that it reads well as it is.
pub fn markdown(entry: &Entry) -> String {
    let mut out = format!("## {}\n\n", entry.name);
    // Writing to a string can't fail.
    let _ = match &*entry.with_defaults() {
        [device] => write!(out, "{}: {}.\n\n{}", identity(&**device), entry.summary, body(&**device)),
        functions => {
            let _ = writeln!(out, "{} functions: {}.", functions.len(), entry.summary);
            functions.iter().enumerate().try_for_each(|(number, device)| {
                let (name, identity, body) = (device.name(), identity(&**device), body(&**device));
                write!(out, "\n### Function {number}: {name}\n\n{identity}.\n\n{body}")
            })
        }
    };
    if !entry.options.is_empty() {
        let _ = write!(out, "\nOptions:\n\n{}", options(&entry.options));
    }
    out
}

fn identity(device: &dyn PciDevice) -> String {
    let ConfigHeader { vendor, device, class, .. } = device.header();
    format!("{vendor:04x}:{device:04x}, class {class:06x}")
}

/// Capabilities, regions and registers of a function.
fn body(device: &dyn PciDevice) -> String {
    let (mut out, header) = (String::new(), device.header());
    let capabilities = capabilities(&header);
    if !capabilities.is_empty() {
        let _ = writeln!(out, "Interrupts and capabilities: {}.\n", capabilities.join(", "));
    }
    out += &regions(&header, device);
    for map in device.register_maps() {
        let _ = write!(out, "\n{}:\n\n{}", map.region, registers(map));
    }
    out
}

/// The registers of one region as a Markdown table, a row for each register and each of its fields.
pub fn registers(map: &RegisterMap) -> String {
    let digits = map.registers.last().map_or(2, |last| format!("{:x}", last.offset).len().max(2));
    let mut rows = vec![["offset", "bits", "name", "access", "reset", "meaning"].map(str::to_owned)];
    for register in map.registers.iter() {
        rows.push([
            format!("{:#0width$x}", register.offset, width = digits + 2),
            extent(register),
            register.name.clone().into_owned(),
            register.access.abbreviation().to_owned(),
            if register.memory { String::new() } else { format!("{:#x}", register.reset) },
            register.doc.clone().into_owned(),
        ]);
        let own_row = |field: &&Field| u64::from(field.width) < 8 * register.size;
        rows.extend(register.fields.iter().filter(own_row).map(|field| {
            let blank = String::new;
            [
                blank(),
                bits(field.lsb, field.width),
                field.name.clone().into_owned(),
                blank(),
                blank(),
                meaning(field),
            ]
        }));
        // A field that is the whole register needs no row: its values go with the register.
        if let [field] = &*register.fields
            && !own_row(&field)
            && let Some(last) = rows.last_mut()
        {
            last[5] = format!("{}: {}", last[5], values(field));
        }
    }
    table(&rows)
}

fn extent(register: &Register) -> String {
    if register.memory { size(register.size) } else { bits(0, (8 * register.size) as u8) }
}

fn bits(lsb: u8, width: u8) -> String {
    if width == 1 { lsb.to_string() } else { format!("{}:{lsb}", lsb + width - 1) }
}

fn meaning(field: &Field) -> String {
    if field.values.is_empty() { field.doc.to_string() } else { format!("{}: {}", field.doc, values(field)) }
}

fn values(field: &Field) -> String {
    let values: Vec<String> = field.values.iter().map(|(value, name)| format!("{value} {name}")).collect();
    values.join(", ")
}

fn capabilities(header: &ConfigHeader) -> Vec<String> {
    let pin = header.interrupt_pin.map(|pin| format!("INT{pin:?}#"));
    let standard = header.capabilities.iter().map(|placed| placed.capability.to_string());
    let extended = header.extended_capabilities.iter().map(|placed| placed.capability.to_string());
    pin.into_iter().chain(standard).chain(extended).collect()
}

fn regions(header: &ConfigHeader, device: &dyn PciDevice) -> String {
    let mut rows = vec![["region", "size", "kind", "accesses"].map(str::to_owned)];
    rows.extend(header.bars.iter().map(|bar| {
        let width = if bar.wide { "64-bit" } else { "32-bit" };
        let kind = match (bar.space, bar.prefetchable) {
            (Space::Io, _) => "I/O ports".to_owned(),
            (Space::Memory, false) => format!("{width} memory"),
            (Space::Memory, true) => format!("{width} memory, prefetchable"),
        };
        [bar.region().to_string(), size(bar.size), kind, device.backing(bar.region()).to_string()]
    }));
    rows.extend(header.rom.map(|bytes| {
        let backing = device.backing(Region::Rom).to_string();
        [Region::Rom.to_string(), size(bytes.into()), "expansion ROM".to_owned(), backing]
    }));
    table(&rows)
}

fn options(options: &[OptionSpec]) -> String {
    let mut rows = vec![["option", "values", "default", "meaning"].map(str::to_owned)];
    rows.extend(options.iter().map(|option| {
        let OptionSpec { name, values, default, doc } = option;
        [name.clone(), values.join(", "), default.clone(), doc.clone()]
    }));
    table(&rows)
}

fn size(bytes: u64) -> String {
    match bytes {
        0x10_0000.. if bytes.is_multiple_of(0x10_0000) => format!("{} MiB", bytes >> 20),
        0x400.. if bytes.is_multiple_of(0x400) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

/// Columns as wide as their longest cell; the last one as it comes.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 < N { widths[column] } else { 0 };
            let _ = write!(out, "| {cell:width$} ");
        }
        out += "|\n";
        if index == 0 {
            out += &"|---".repeat(N);
            out += "|\n";
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SOURCES;
    use crate::catalog;

    #[test]
    fn each_device_file_holds_its_own_register_tables() {
        for (entry, source) in catalog::entries().iter().zip(SOURCES) {
            for map in entry.with_defaults().iter().flat_map(|device| device.register_maps()) {
                for line in registers(map).lines() {
                    let row = format!("//! {line}\n");
                    assert!(source.contains(&row), "devices/{}.rs lacks: {row}", entry.name);
                }
            }
        }
    }

    #[test]
    fn a_device_is_described_from_its_header_to_its_options() {
        let text = markdown(&catalog::named("lab").unwrap());

        for line in [
            "1234:1ab0, class ff0000: computes, interrupts, moves memory by DMA: what the test kernel drives.",
            "| BAR1   | 16 bytes  | I/O ports                   | trapped |",
            "| 0x0c   | 31:0 | CONTROL        | RW     | 0x0        | enables and resets |",
            "|        | 0    | ENABLE         |        |            | computations and transfers may start |",
            "| msi-address | 32, 64                        | 64      | bits of the MSI address |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn functions_of_one_device_are_described_one_after_the_other() {
        let entry = Entry::of_functions("pair", "two in one", |_| {
            vec![Box::new(crate::lab::Lab::default()), Box::new(crate::ticker::Ticker::default())]
        });

        let text = markdown(&entry);

        let heads: Vec<_> =
            text.lines().filter(|line| line.starts_with('#') || line.contains(": two")).collect();
        assert_eq!(
            heads,
            ["## pair", "2 functions: two in one.", "### Function 0: lab", "### Function 1: ticker",]
        );
        assert!(
            text.contains("\n1234:1ab2, class 088000.\n\nInterrupts and capabilities: INTA#.\n"),
            "{text}"
        );
    }
}
