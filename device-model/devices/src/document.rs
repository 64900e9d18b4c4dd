//! A device's documentation, from the data that the device itself runs on, or from a file's.

use std::fmt::Write;

use barscope_device::{
    BarSpec, ConfigHeader, Description, Entry, Field, OptionSpec, PciDevice, Region, Register, RegisterMap,
    Space,
};

/// Identity, capabilities, regions, registers and options of a device without any of its options given,
/// in Markdown whose tables are aligned, so that it reads well as it is.
pub fn markdown(entry: &Entry) -> String {
    let mut out = format!("## {}\n\n", entry.name);
    // Writing to a string can't fail.
    let _ = match &*entry.with_defaults() {
        [device] => write!(out, "{}: {}.\n\n{}", identity(&device.header()), entry.summary, body(&**device)),
        functions => {
            let _ = writeln!(out, "{} functions: {}.", functions.len(), entry.summary);
            functions.iter().enumerate().try_for_each(|(number, device)| {
                let (name, identity, body) = (device.name(), identity(&device.header()), body(&**device));
                write!(out, "\n### Function {number}: {name}\n\n{identity}.\n\n{body}")
            })
        }
    };
    if !entry.options.is_empty() {
        let _ = write!(out, "\nOptions:\n\n{}", options(&entry.options));
    }
    out
}

/// The same of a description, which has no options, and doesn't say how regions are accessed.
pub fn described(description: &Description) -> String {
    let header = description.header();
    let summary = match description.summary() {
        "" => String::new(),
        summary => format!(": {summary}"),
    };
    let body = function(header, description.register_maps(), None);
    format!("## {}\n\n{}{summary}.\n\n{body}", description.name(), identity(header))
}

fn identity(header: &ConfigHeader) -> String {
    let ConfigHeader { vendor, device, class, .. } = header;
    format!("{vendor:04x}:{device:04x}, class {class:06x}")
}

fn body(device: &dyn PciDevice) -> String {
    function(&device.header(), device.register_maps(), Some(device))
}

/// Capabilities, regions and registers of a function; how regions are accessed if there is a device to say so.
fn function(header: &ConfigHeader, maps: &[RegisterMap], device: Option<&dyn PciDevice>) -> String {
    let mut out = String::new();
    let capabilities = capabilities(header);
    if !capabilities.is_empty() {
        let _ = writeln!(out, "Interrupts and capabilities: {}.\n", capabilities.join(", "));
    }
    out += &regions(header, device);
    for map in maps {
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
            last[5] = told(&last[5], field);
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
    told(&field.doc, field)
}

/// What a field is for, and its named values.
fn told(doc: &str, field: &Field) -> String {
    let values: Vec<String> = field.values.iter().map(|(value, name)| format!("{value} {name}")).collect();
    match (doc, &*values.join(", ")) {
        (doc, "") => doc.to_owned(),
        ("", values) => values.to_owned(),
        (doc, values) => format!("{doc}: {values}"),
    }
}

fn capabilities(header: &ConfigHeader) -> Vec<String> {
    let pin = header.interrupt_pin.map(|pin| format!("INT{pin:?}#"));
    let standard = header.capabilities.iter().map(|placed| placed.capability.to_string());
    let extended = header.extended_capabilities.iter().map(|placed| placed.capability.to_string());
    pin.into_iter().chain(standard).chain(extended).collect()
}

fn regions(header: &ConfigHeader, device: Option<&dyn PciDevice>) -> String {
    let bars = header.bars.iter().map(|bar| {
        let width = match (bar.wide, bar.below_1_mib) {
            (true, _) => "64-bit",
            (false, true) => "below-1-MiB",
            (false, false) => "32-bit",
        };
        let kind = match (bar.space, bar.prefetchable) {
            (Space::Io, _) => "I/O ports".to_owned(),
            (Space::Memory, false) => format!("{width} memory"),
            (Space::Memory, true) => format!("{width} memory, prefetchable"),
        };
        (bar.region(), bar.size, kind)
    });
    let rom = header.rom.map(|bytes| (Region::Rom, bytes.into(), "expansion ROM".to_owned()));
    let regions = bars.chain(rom).map(|(region, bytes, kind)| [region.to_string(), size(bytes), kind]);
    let columns = ["region", "size", "kind"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(columns).chain(regions).collect();
    let Some(device) = device else { return table(&rows) };
    let accesses = header.bars.iter().map(BarSpec::region).chain(header.rom.map(|_| Region::Rom));
    let accesses = accesses.map(|region| device.backing(region).to_string());
    let accesses = std::iter::once("accesses".to_owned()).chain(accesses);
    let rows: Vec<_> = rows
        .into_iter()
        .zip(accesses)
        .map(|([region, size, kind], access)| [region, size, kind, access])
        .collect();
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

/// Columns as wide as their longest cell; the last one as it comes. Nothing if there are no rows but the first.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut out = String::new();
    if rows.len() < 2 {
        return out;
    }
    // A bar would begin a column.
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| cell.replace('|', "\\|"))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
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
    fn a_description_is_told_in_the_words_of_a_device_without_how_it_is_accessed() {
        let entry = catalog::named("edu").unwrap();
        let device = &entry.with_defaults()[0];
        let described = described(&Description::of(&**device, &entry.summary).unwrap());

        let whole = markdown(&entry);
        let (before, rest) = whole.split_once("| region |").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let (after, _) = after.split_once("\nOptions:").unwrap();
        let regions = "| region | size  | kind |\n|---|---|---|\n| BAR0   | 1 MiB | 32-bit memory |\n\n";
        assert_eq!(described, [before, regions, after].concat());
    }

    #[test]
    fn what_a_file_says_stays_in_its_cell() {
        let file = "name = \"a\"\nvendor = 1\ndevice = 2\nclass = 3\nbar = [{ index = 0, size = 16, register = \
                    [{ name = \"A\", offset = 0, doc = \"x | y\", fields = \
                    [{ name = \"F\", bits = 3, values = { 1 = \"ON\" } }] }] }]\n";
        let text = described(&Description::read(file).unwrap());

        assert!(text.starts_with("## a\n\n0001:0002, class 000003.\n\n| region"), "{text}");
        assert!(text.contains("\n| 0x00   | 31:0 | A    | RW     | 0x0   | x \\| y |\n"), "{text}");
        assert!(text.contains("\n|        | 3    | F    |        |       | 1 ON |\n"), "{text}");
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
