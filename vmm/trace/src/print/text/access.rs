//! The lines of an access: one or two, seldom more.

use super::prefix;
use crate::print::style::{KERNEL, Paint, USER};
use crate::print::words;
use crate::print::wrap::wrap;
use crate::view::{AccessView, BusAddress, View};

/// From here on an access has one line, if it fits.
const ONE_LINE: usize = 140;
/// From here on there is room for longer names of functions.
const ROOMY: usize = 160;

/// The lines of an access: who made it and how, then where it went and with what; more of them if that is
/// longer than `width`.
pub(super) fn access_lines(view: &View, access: &AccessView, width: usize, paint: Paint) -> Vec<String> {
    let style = if access.cpl == 3 { USER } else { KERNEL };
    let path = format!("{:<8}", words::path(access));
    let [plain, who] = [path.clone(), paint.paint(style, path)]
        .map(|path| format!("{}ring {}  {path} ", prefix(view), access.cpl));
    let (mut function, line) = code(access);
    if let Some(process) = &access.process {
        function += &format!(" [{} {}]", process.name, process.pid);
    }
    let caused_by = access.caused_by.map(|cause| format!("  (caused by {cause})")).unwrap_or_default();
    let target = target(access);
    let room = if width >= ROOMY { 24 } else { 18 };
    let line_of = |rest: &str| format!("{function:<room$} {line:<12} {target}{rest}");
    let fits = |line: &str| plain.chars().count() + line.chars().count() <= width;
    if width >= ONE_LINE && fits(&line_of(&caused_by)) {
        return vec![who + &line_of(&caused_by)];
    }
    if width >= ONE_LINE && fits(&line_of("")) {
        return vec![who + &line_of(""), format!("    {caused_by}")];
    }
    // Colours take no columns.
    let mut lines = wrap(&plain, 6, &[format!("{function}  {line}{caused_by}")], width);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(&plain, &who, 1);
    }
    lines.extend(wrap("      ", 8, &[target], width));
    lines
}

fn code(access: &AccessView) -> (String, String) {
    let Some(code) = &access.code else { return ("unknown code".to_owned(), String::new()) };
    match &code.symbol {
        Some(symbol) => {
            let line = symbol.line.map(|line| format!(":{line}")).unwrap_or_default();
            let file = symbol.file.clone().unwrap_or_default();
            (symbol.name(), file + &line)
        }
        None => (format!("{:#x}", code.rip), String::new()),
    }
}

fn target(access: &AccessView) -> String {
    let virtual_address = match access.gva() {
        Some(address) => format!("{address:016x}"),
        None => format!("{:16}", ""),
    };
    let bus_address = match access.address {
        BusAddress::Memory(address) => format!("-> {address:<9x}"),
        BusAddress::Port(port) => format!("port {port:<7x}"),
    };
    let (place, register) = match &access.place {
        Some(place) => (place.to_string(), place.register_name().unwrap_or_default()),
        None => ("nothing".to_owned(), String::new()),
    };
    format!(
        "{virtual_address} {bus_address} {place:<10} {register:<10} {} {}",
        words::direction(access),
        words::value(access)
    )
}
