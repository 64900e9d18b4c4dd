//! What a guest's kernel reported, told at the end of a run.

use barscope_analysis::reports::Reports;
use barscope_analysis::symbols::Symbols;
use barscope_trace::Definitions;

use crate::output::complain;

/// How many reports after the first are told, a line each.
const MORE: usize = 8;

/// Whether a run fails for what was reported.
pub fn fails(reports: &Reports, allows_warnings: bool) -> bool {
    reports.list().iter().any(|report| report.fails(allows_warnings))
}

/// Says what was reported first, and where, then all of that report, then the others. What led to an end comes first: an
/// oops, then a panic, and a warning only where there is nothing else.
pub fn tell(reports: &Reports, allows_warnings: bool, definitions: &Definitions) {
    let mut symbols = Symbols::default();
    let all = reports.list();
    let Some(first) = all.iter().find(|report| report.fails(true)).or(all.first()) else { return };
    let word = if first.fails(allows_warnings) { "error" } else { "warning" };
    complain(format_args!("{word}: {}", first.describe(definitions, &mut symbols)));
    for line in &first.lines {
        complain(format_args!("  {line}"));
    }
    let others = || all.iter().filter(|report| report.seq != first.seq);
    for other in others().take(MORE) {
        complain(format_args!("also: {}", other.describe(definitions, &mut symbols)));
    }
    let left_out = others().count().saturating_sub(MORE) as u64 + reports.left_out();
    if left_out > 0 {
        complain(format_args!("and {left_out} more; `barscope show TRACE oops` finds them"));
    }
}
