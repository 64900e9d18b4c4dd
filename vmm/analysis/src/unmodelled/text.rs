//! What isn't there, for people.

use super::{Row, Unmodelled};
use crate::style::{ASIDE, HEADING, Paint, WARNING};
use crate::table::wrap;
use crate::words::{counted, number};

/// Where names begin.
const NAME: usize = 20;

pub(super) fn render(unmodelled: &Unmodelled, width: usize, top: usize, color: bool) -> String {
    let paint = Paint { color };
    let mut lines = Vec::new();
    if unmodelled.rows.is_empty() {
        lines.push("nothing was touched that no device has".to_owned());
    } else {
        let heading = format!("{:>9}{:>9}  touched, and no device has it", "reads", "writes");
        lines.push(paint.paint(HEADING, heading));
    }
    for row in unmodelled.rows.iter().take(top) {
        lines.push(format!("{:>9}{:>9}  {}", number(row.reads), number(row.writes), row.name()));
        for line in wrap(&" ".repeat(NAME), NAME, &[first(row)], width.max(60)) {
            lines.push(paint.paint(ASIDE, line));
        }
    }
    let others = unmodelled.rows.len().saturating_sub(top);
    if others > 0 {
        lines.push(paint.paint(ASIDE, format!("  and {} more", number(others as u64))));
    }
    if unmodelled.left_out > 0 {
        let left_out = counted(unmodelled.left_out, "access", "accesses");
        lines.push(paint.paint(WARNING, format!("{left_out} to other places: there are too many to list")));
    }
    lines.extend(unmodelled.completeness.notes().into_iter().map(|note| paint.paint(WARNING, note)));
    lines.iter().fold(String::new(), |out, line| out + line.trim_end() + "\n")
}

/// Who touched it first, and what was written to it.
fn first(row: &Row) -> String {
    let code = row.code.as_deref().unwrap_or("no known function");
    let scenario = row.scenario.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    let written = row.written.map(|last| format!("; last written {:#x}", last.value)).unwrap_or_default();
    format!("first in record {}{scenario} by {code}{written}", row.seq)
}
