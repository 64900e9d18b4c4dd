//! The line, or the two lines, of an access.

use super::prefix;
use crate::print::style::{KERNEL, Paint, USER};
use crate::print::words;
use crate::view::{AccessView, BusAddress, View};

/// From here on an access has one line, if it fits.
const ONE_LINE: usize = 140;
/// From here on there is room for longer names of functions.
const ROOMY: usize = 160;

/// The lines of an access: who made it and how, then where it went and with what.
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
    vec![format!("{who}{function}  {line}{caused_by}"), format!("      {target}")]
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

/// `items`, separated by commas, after `head`, on as many lines as they need; all but the first are
/// indented by `indent`. Lines break between items, or between words where an item is too long.
pub(super) fn wrap(head: &str, indent: usize, items: &[String], width: usize) -> Vec<String> {
    let columns = |text: &str| text.chars().count();
    let mut lines = vec![head.to_owned()];
    let mut at_start = true;
    for (at, item) in items.iter().enumerate() {
        let comma = if at + 1 < items.len() { "," } else { "" };
        let item = format!("{item}{comma}");
        let room = width.saturating_sub(if at == 0 { columns(head) } else { indent });
        let pieces = if columns(&item) <= room { vec![item.as_str()] } else { item.split(' ').collect() };
        for piece in pieces {
            let Some(line) = lines.last_mut() else { break };
            let space = if at_start { "" } else { " " };
            if columns(line) + space.len() + columns(piece) <= width {
                *line += space;
                *line += piece;
            } else {
                lines.push(" ".repeat(indent) + piece);
            }
            at_start = false;
        }
    }
    lines
}
