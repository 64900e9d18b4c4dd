//! The line, or the two lines, of an access.

use super::prefix;
use crate::print::style::{KERNEL, Paint, USER};
use crate::print::words;
use crate::view::{AccessView, BusAddress, View};

/// From here on an access fits on one line.
const ONE_LINE: usize = 140;

/// The lines of an access: who made it and how, then where it went and with what.
pub(super) fn access_lines(view: &View, access: &AccessView, width: usize, paint: Paint) -> Vec<String> {
    let style = if access.cpl == 3 { USER } else { KERNEL };
    let path = paint.paint(style, format!("{:<8}", words::path(access)));
    let who = format!("{}ring {}  {path} ", prefix(view), access.cpl);
    let (function, line) = code(access);
    let caused_by = access.caused_by.map(|cause| format!("  (caused by {cause})")).unwrap_or_default();
    if width >= ONE_LINE {
        return vec![format!("{who}{function:<18} {line:<12} {}{caused_by}", target(access))];
    }
    vec![format!("{who}{function}  {line}{caused_by}"), format!("      {}", target(access))]
}

fn code(access: &AccessView) -> (String, String) {
    let Some(code) = &access.code else { return ("unknown code".to_owned(), String::new()) };
    match &code.symbol {
        Some(symbol) => {
            let line = symbol.line.map(|line| format!(":{line}")).unwrap_or_default();
            let file = symbol.file.clone().unwrap_or_default();
            (symbol.function.clone(), file + &line)
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
/// indented by `indent`. A single item breaks between words.
pub(super) fn wrap(head: &str, indent: usize, items: &[String], width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let comma = if at + 1 < items.len() { "," } else { "" };
        let item = format!("{item}{comma}");
        if indent + item.chars().count() <= width {
            pieces.push(item);
        } else {
            pieces.extend(item.split(' ').map(str::to_owned));
        }
    }
    let mut lines = vec![head.to_owned()];
    let mut at_start = true;
    for piece in pieces {
        let Some(line) = lines.last_mut() else { break };
        if at_start {
            line.push_str(&piece);
        } else if line.chars().count() + 1 + piece.chars().count() <= width {
            line.push(' ');
            line.push_str(&piece);
        } else {
            lines.push(" ".repeat(indent) + &piece);
        }
        at_start = false;
    }
    lines
}
