//! The way to an access: every function from the program's first to the one that has the instruction, and how the
//! processor came from one to the next.

use barscope_trace::definition::{Cut, Entered};

use super::layers::Row;
use crate::system_call;
use crate::view::{Call, View};

/// So many functions are told on each side of those that are left out.
const SIDE: usize = 40;

/// The rows of the way, from the outermost function inwards; none without a call stack.
pub(super) fn way(view: &View) -> Vec<Row> {
    let Some(callers) = view.callers() else { return Vec::new() };
    let calls: Vec<_> = view.calls().collect();
    let mut rows = Vec::new();
    if let Some(process) = &callers.process {
        let mut items = vec![format!("{} {}", process.name, process.pid)];
        items.extend(process.thread.map(|thread| format!("thread {thread}")));
        match callers.interrupts() {
            Some(true) if view.cpl() != Some(3) => {
                items.push("interrupted: none of this is its own".to_owned());
            }
            None if view.cpl() != Some(3) => items.push("perhaps interrupted".to_owned()),
            _ => {}
        }
        rows.push(Row::aside("process", items));
    }
    rows.extend(callers.cut.map(|cut| Row::aside("cut", vec![why(cut).to_owned()])));
    for (at, call) in calls.iter().enumerate().rev() {
        if (SIDE..calls.len().saturating_sub(SIDE)).contains(&at) {
            if at == SIDE {
                let more = calls.len() - 2 * SIDE;
                rows.push(Row::aside("..", vec![format!("{more} functions more")]));
            }
            continue;
        }
        rows.push(function(call));
        rows.extend(call.entered.and_then(entry));
    }
    rows
}

fn function(call: &Call<'_>) -> Row {
    let label = match call {
        Call { accessor: true, .. } => "accessor",
        Call { inlined: true, .. } => "inlined",
        Call { cr3: 1.., .. } => "program",
        _ if call.module().is_some() => "module",
        _ => "kernel",
    };
    let mut text = String::new();
    if call.function.is_none() {
        text.push_str("no known function at ");
    }
    call.push_name(&mut text, true);
    let name = text.len();
    text.push(' ');
    call.push_line(&mut text);
    if text.len() == name + 1 {
        text.truncate(name);
    }
    Row::aside(label, vec![text])
}

/// What stands between a function and the one within, if that isn't just a call.
fn entry(entered: Entered) -> Option<Row> {
    match entered {
        Entered::Call => None,
        Entered::SystemCall { number } => {
            Some(Row::aside("system call", vec![system_call::described(number)]))
        }
        Entered::Interrupt => Some(Row::aside("interrupt", vec!["what follows interrupts that".to_owned()])),
        Entered::Exception => Some(Row::aside("exception", vec!["like a page fault".to_owned()])),
    }
}

/// Why callers are missing.
fn why(cut: Cut) -> &'static str {
    match cut {
        Cut::Asked => "more callers were not asked for: --stacks full has them",
        Cut::Deep => "the outermost callers are missing: the stack is deeper than is followed",
        Cut::NoTable => "the outermost callers are missing: nothing says how to leave this code",
        Cut::NotMapped => "the outermost callers are missing: memory that says who they are isn't there",
    }
}
