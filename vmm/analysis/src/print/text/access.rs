//! The lines of an access: one or two, seldom more.

use barscope_trace::event::MemoryOperand;

use super::prefix;
use crate::style::{KERNEL, Paint, USER};
use crate::table::{columns, left, wrap};
use crate::view::{AccessView, BusAddress, View};
use crate::words;

/// From here on an access has one line, if it fits.
const ONE_LINE: usize = 140;
/// From here on there is room for longer names of functions.
const ROOMY: usize = 160;

/// The lines of an access: who made it and how, then where it went and with what; more of them if that is
/// longer than `width`.
pub(super) fn access_lines(access: AccessView<'_>, width: usize, paint: Paint) -> Vec<String> {
    let view = access.view;
    let caused_by = view.cause().map(|cause| format!("  (caused by {cause})")).unwrap_or_default();
    lines(view, &words::path(access), &target(access), &caused_by, width, paint)
}

/// The same of an instruction that could not be emulated; `why` says what came of it.
pub(super) fn not_emulated_lines(
    view: &View,
    operand: MemoryOperand,
    why: &str,
    width: usize,
    paint: Paint,
) -> Vec<String> {
    let bus_address = view.gpa().map(|address| format!("-> {address:<9x}")).unwrap_or_default();
    let target = address_and_place(view, &bus_address, &words::operand(operand), why);
    lines(view, &words::path_of(view.walk()), &target, "", width, paint)
}

fn lines(view: &View, path: &str, target: &str, caused_by: &str, width: usize, paint: Paint) -> Vec<String> {
    // One that no processor made has neither ring nor code.
    let Some(cpl) = view.cpl() else {
        return wrap(&prefix(view), 9, &[target.trim_start().to_owned()], width);
    };
    let style = if cpl == 3 { USER } else { KERNEL };
    let path = format!("{path:<8}");
    let [plain, who] =
        [path.clone(), paint.paint(style, path)].map(|path| format!("{}ring {cpl}  {path} ", prefix(view)));
    let (mut function, line) = code(view);
    if let Some(process) = view.process() {
        function += &format!(" [{} {}]", process.name, process.pid);
    }
    let room = if width >= ROOMY { 24 } else { 18 };
    let line_of = |rest: &str| format!("{} {} {target}{rest}", left(&function, room), left(&line, 12));
    let fits = |line: &str| columns(&plain) + columns(line) <= width;
    if width >= ONE_LINE && fits(&line_of(caused_by)) {
        return vec![who + &line_of(caused_by)];
    }
    if width >= ONE_LINE && fits(&line_of("")) {
        return vec![who + &line_of(""), format!("    {caused_by}")];
    }
    // Colours take no columns.
    let mut lines = wrap(&plain, 6, &[format!("{function}  {line}{caused_by}")], width);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(&plain, &who, 1);
    }
    lines.extend(wrap("      ", 8, &[target.to_owned()], width));
    lines
}

fn code(view: &View) -> (String, String) {
    let Some(code) = view.code() else { return ("unknown code".to_owned(), String::new()) };
    match &code.symbol {
        Some(symbol) => {
            let line = symbol.line.map(|line| format!(":{line}")).unwrap_or_default();
            let file = symbol.file.clone().unwrap_or_default();
            (symbol.name(), file + &line)
        }
        None => (format!("{:#x}", code.rip), String::new()),
    }
}

fn target(access: AccessView<'_>) -> String {
    let bus_address = match access.address() {
        BusAddress::Memory(address) => format!("-> {address:<9x}"),
        BusAddress::Port(port) => format!("port {port:<7x}"),
    };
    address_and_place(access.view, &bus_address, &words::direction(access), &words::value(access))
}

fn address_and_place(view: &View, bus_address: &str, direction: &str, rest: &str) -> String {
    let virtual_address = match view.gva() {
        Some(address) => format!("{address:016x}"),
        None => format!("{:16}", ""),
    };
    let (place, register) = match view.place() {
        Some(place) => (words::place(view, place), place.register_name().unwrap_or_default()),
        None => ("nothing".to_owned(), String::new()),
    };
    format!("{virtual_address} {bus_address} {place:<10} {register:<10} {direction} {rest}")
}
