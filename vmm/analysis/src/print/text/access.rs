//! The lines of an access: one or two, seldom more.

use anstyle::Style;
use barscope_trace::event::MemoryOperand;

use super::push_prefix;
use crate::digits::{decimal, hex};
use crate::style::{BUS, KERNEL, Paint, USER};
use crate::table::{columns, end_line, flow, pad};
use crate::view::{AccessView, BusAddress, View};
use crate::words;

/// From here on an access has one line, if it fits.
const ONE_LINE: usize = 140;
/// From here on there is room for longer names of functions, and from here on for Linux's, for theirs with offset and
/// module, and for longer names of registers.
const ROOMY: usize = 160;
const WIDE: usize = 180;

/// Makes the lines of accesses, in memory that is kept from one to the next.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
    target: String,
    item: String,
}

impl Lines {
    /// The lines of an access, each with its end: who made it and how, then where it went and with what; more of them
    /// if that is longer than `width`.
    pub(super) fn of_access(&mut self, access: AccessView<'_>, width: usize, paint: Paint) -> &str {
        let bus_address = |text: &mut String| match access.address() {
            BusAddress::Memory(address) => push_memory(text, address),
            BusAddress::Port(port) => {
                text.push_str("port ");
                let start = text.len();
                hex(text, port.into(), 1);
                pad(text, start, 7);
            }
        };
        self.target.clear();
        push_address_and_place(&mut self.target, access.view, bus_address);
        words::push_direction(&mut self.target, access);
        self.target.push(' ');
        words::push_value(&mut self.target, access);
        self.make(access.view, |text| words::push_path(text, access), access.view.cause(), width, paint);
        self.paint_addresses(access.view, paint);
        &self.text
    }

    /// The same of an instruction that could not be emulated; `why` says what came of it.
    pub(super) fn of_not_emulated(
        &mut self,
        view: &View,
        operand: MemoryOperand,
        why: &str,
        width: usize,
        paint: Paint,
    ) -> &str {
        let bus_address = |text: &mut String| {
            if let Some(address) = view.gpa() {
                push_memory(text, address);
            }
        };
        self.target.clear();
        push_address_and_place(&mut self.target, view, bus_address);
        self.target.push_str(&words::operand(operand));
        self.target.push(' ');
        self.target.push_str(why);
        self.make(view, |text| words::push_path_of(text, view.walk()), None, width, paint);
        self.paint_addresses(view, paint);
        &self.text
    }

    /// Gives the virtual address and the bus address their colours, which take no columns.
    fn paint_addresses(&mut self, view: &View, paint: Paint) {
        if !paint.color {
            return;
        }
        if let Some(address) = view.gva() {
            let half = if address >> 63 == 0 { USER } else { KERNEL };
            self.paint_word(&format!("{address:016x}"), half, paint);
        }
        if let Some(address) = view.gpa() {
            self.paint_word(&format!("-> {address:x}"), BUS, paint);
        }
    }

    /// Paints the last of these words, which stand behind the names.
    fn paint_word(&mut self, words: &str, style: Style, paint: Paint) {
        if let Some(at) = self.text.rfind(words) {
            self.text.replace_range(at..at + words.len(), &paint.paint(style, words));
        }
    }

    /// Lines that end with `target`.
    fn make(
        &mut self,
        view: &View,
        push_path: impl FnOnce(&mut String),
        cause: Option<u64>,
        width: usize,
        paint: Paint,
    ) {
        let Self { text, target, item } = self;
        text.clear();
        push_prefix(text, view);
        let Some(cpl) = view.cpl() else {
            // One that no processor made has neither ring nor code.
            let used = columns(text);
            return flow(text, used, 9, target.trim_start(), width);
        };
        text.push_str("ring ");
        decimal(text, cpl.into());
        text.push_str("  ");
        let start = text.len();
        push_path(text);
        pad(text, start, 8);
        // Colours take no columns.
        let used = columns(text) + 1;
        if paint.color {
            let path = text.split_off(start);
            text.push_str(&paint.paint(if cpl == 3 { USER } else { KERNEL }, path));
        }
        text.push(' ');
        if width >= ONE_LINE && push_one_line(text, view, used, target, cause, width) {
            return;
        }
        item.clear();
        push_function(item, view);
        item.push_str("  ");
        push_line_of_code(item, view);
        push_cause(item, cause);
        flow(text, used, 6, item, width);
        text.push_str("      ");
        flow(text, 6, 8, target, width);
    }
}

/// Goes on with everything on one line, after `used` columns; false if it doesn't fit, and then nothing is changed.
fn push_one_line(
    text: &mut String,
    view: &View,
    used: usize,
    target: &str,
    cause: Option<u64>,
    width: usize,
) -> bool {
    let start = text.len();
    push_function(text, view);
    pad(
        text,
        start,
        if width >= WIDE {
            34
        } else if width >= ROOMY {
            24
        } else {
            18
        },
    );
    text.push(' ');
    let line = text.len();
    push_line_of_code(text, view);
    pad(text, line, if width >= WIDE { 16 } else { 12 });
    text.push(' ');
    text.push_str(target);
    let columns_so_far = used + columns(&text[start..]);
    if columns_so_far > width {
        text.truncate(start);
        return false;
    }
    let end = text.len();
    push_cause(text, cause);
    if columns_so_far + columns(&text[end..]) > width {
        // On a line of its own.
        text.truncate(end);
        end_line(text);
        text.push_str("    ");
        push_cause(text, cause);
    }
    end_line(text);
    true
}

fn push_cause(text: &mut String, cause: Option<u64>) {
    if let Some(cause) = cause {
        text.push_str("  (caused by ");
        decimal(text, cause);
        text.push(')');
    }
}

/// The function that made it, and the process that it was made for, if one is known.
fn push_function(text: &mut String, view: &View) {
    match view.made() {
        None => text.push_str("unknown code"),
        Some(made) => made.push_name(text),
    }
    if let Some(process) = view.process() {
        text.push_str(" [");
        text.push_str(&process.name);
        text.push(' ');
        decimal(text, process.pid);
        text.push(']');
    }
}

fn push_line_of_code(text: &mut String, view: &View) {
    if let Some(made) = view.made() {
        made.push_line(text);
    }
}

/// A bus address of memory.
fn push_memory(text: &mut String, address: u64) {
    text.push_str("-> ");
    let start = text.len();
    hex(text, address, 1);
    pad(text, start, 9);
}

/// Virtual address, bus address, place and register, each in a column of its own and with a blank behind.
fn push_address_and_place(text: &mut String, view: &View, bus_address: impl FnOnce(&mut String)) {
    let start = text.len();
    if let Some(address) = view.gva() {
        hex(text, address, 16);
    }
    pad(text, start, 16);
    text.push(' ');
    bus_address(text);
    text.push(' ');
    let start = text.len();
    match view.place() {
        Some(place) => words::push_place(text, view, place),
        None => text.push_str("nothing"),
    }
    pad(text, start, 10);
    text.push(' ');
    let start = text.len();
    if let Some(place) = view.place() {
        place.push_register_name(text);
    }
    pad(text, start, 10);
    text.push(' ');
}
