//! Statistics as a short page in Markdown, as CI shows it beside a run: GitHub's job summary.

mod span;

use std::cmp::Reverse;
use std::fmt::Display;

use self::span::code;
use super::figures::{busiest, figures, percentiles, reasons};
use super::{Accesses, Histogram, PathName, PlaceKey, Stats, Window};
use crate::words::{counted, number};

/// The most bytes of a page. GitHub shows 1 MiB of all that a step writes, which may be several of them.
const MOST: usize = 128 << 10;

/// Rows of each kind among the slowest things.
const SLOWEST: usize = 5;

/// `stats` as Markdown, the first `top` rows of each list; fewer where that is too long.
pub(super) fn render(stats: &Stats, mut top: usize) -> String {
    loop {
        let page = page(stats, top);
        if page.len() <= MOST || top == 0 {
            return page;
        }
        top = (top / 2).min(MOST);
    }
}

fn page(stats: &Stats, top: usize) -> String {
    let sections = [
        heading(stats),
        traces(stats, top),
        verdicts(stats, top),
        by_register(stats, top),
        by_path(stats, top),
        slowest(stats, top.min(SLOWEST)),
        untouched(stats, top),
    ];
    let sections: Vec<_> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    sections.join("\n")
}

/// The verdict in one line.
fn heading(stats: &Stats) -> String {
    let (mut all, mut failed, mut unended) = (0, 0, 0);
    for window in scenarios(stats) {
        all += window.times;
        failed += window.failed;
        unended += window.unended();
    }
    let parts: Vec<_> = [(failed, "failed"), (unended, "did not end")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(count)))
        .collect();
    let scenarios = counted(all, "scenario", "scenarios");
    match (all, parts.is_empty()) {
        (0, _) => format!("### barscope: {}\n", counted(stats.accesses, "access", "accesses")),
        (_, true) => format!("### barscope: {scenarios} passed\n"),
        (_, false) => format!("### barscope: {scenarios}, {}\n", parts.join(", ")),
    }
}

fn traces(stats: &Stats, top: usize) -> String {
    let mut text = format!(
        "{}, {} by {}.",
        counted(stats.records, "record", "records"),
        counted(stats.accesses, "access", "accesses"),
        counted(stats.instructions, "instruction", "instructions")
    );
    let names: Vec<_> = stats.traces.iter().take(top).map(|source| code(&source.path)).collect();
    if !names.is_empty() {
        text = format!("{}: {text}", listed(names, stats.traces.len()));
    }
    text.push('\n');
    let partial: Vec<_> = stats
        .traces
        .iter()
        .flat_map(|source| reasons(source).into_iter().map(move |reason| (&source.path, reason)))
        .collect();
    if !partial.is_empty() {
        text += "\n**Partial**: what is missing from the traces is in no figure.\n\n";
        for (path, reason) in partial.iter().take(top) {
            text += &format!("- {}: {}\n", code(path), code(reason));
        }
        text += &others(partial.len().saturating_sub(top));
    }
    text
}

fn scenarios(stats: &Stats) -> impl Iterator<Item = &Window> {
    stats.windows.all().iter().filter(|window| window.scenario)
}

/// How each scenario ended; first those that someone has to look at.
fn verdicts(stats: &Stats, top: usize) -> String {
    let mut windows: Vec<_> = scenarios(stats).collect();
    windows.sort_by_key(|window| (window.failed == 0, window.unended() == 0));
    let rows = windows.iter().take(top).map(|window| {
        let failure = code(window.failure.as_deref().unwrap_or_default());
        let why = if failure.is_empty() { failure } else { format!(": {failure}") };
        let often = |count| match window.times {
            1 => String::new(),
            times => format!(" {} of {} times", number(count), number(times)),
        };
        let mut parts = Vec::new();
        if window.failed > 0 {
            parts.push(format!("**failed{}**{why}", often(window.failed)));
        }
        if window.unended() > 0 {
            parts.push(format!("**did not end{}**", often(window.unended())));
        }
        if parts.is_empty() {
            parts.push("passed".to_owned());
        }
        vec![code(&window.name), parts.join(", "), number(window.accesses)]
    });
    table(&["scenario", "verdict"], &["accesses"], rows.collect(), windows.len())
}

const COUNTS: [&str; 6] = ["reads", "writes", "refused", "p50", "p99", "max"];

fn by_register(stats: &Stats, top: usize) -> String {
    let (mut rows, _) = busiest(&stats.registers, top, Accesses::count);
    rows.sort_by_key(|(key, _)| (key.bdf.is_none(), *key));
    accesses("register", rows, register, stats.registers.len())
}

fn by_path(stats: &Stats, top: usize) -> String {
    let (rows, _) = busiest(&stats.paths, top, Accesses::count);
    accesses("path", rows, |path: &PathName| code(&path.path), stats.paths.len())
}

fn accesses<K>(title: &str, rows: Vec<(&K, &Accesses)>, name: impl Fn(&K) -> String, of: usize) -> String {
    let row = |(key, accesses): (&K, &Accesses)| [vec![name(key)], figures(accesses)].concat();
    table(&[title], &COUNTS, rows.into_iter().map(row).collect(), of)
}

/// A register by its device.
fn register(key: &PlaceKey) -> String {
    match key.bdf {
        Some(bdf) => code(&format!("{bdf} {} {key}", key.device)),
        None => code(&key.to_string()),
    }
}

/// What took longest: accesses to be served, devices, interrupts until their handler's access, polling loops.
fn slowest(stats: &Stats, top: usize) -> String {
    let mut rows = Vec::new();
    let mut add = |what: String, clock: &str, times: &Histogram| {
        let figures = [number(times.count())].into_iter().chain(percentiles(times));
        rows.push([what, clock.to_owned()].into_iter().chain(figures).collect::<Vec<_>>());
    };
    for (key, accesses) in longest(stats.registers.rows(), top, |accesses| accesses.service.max()) {
        add(format!("{} served", register(key)), "host", &accesses.service);
    }
    for (device, times) in longest(stats.busy.rows(), top, Histogram::max) {
        add(format!("{} busy", code(&format!("{} {}", device.bdf, device.device))), "device", times);
    }
    for (line, interrupts) in longest(stats.interrupts.rows(), top, |line| line.device.max()) {
        let device = code(&format!("{} {}", line.device.bdf, line.device.device));
        let what = format!("{device} {} to its handler's access", line.mechanism.name());
        add(what, "device", &interrupts.device);
    }
    let mut loops: Vec<_> = stats.polling.longest.iter().collect();
    loops.sort_by_key(|found| Reverse(found.device_ns));
    for found in loops.into_iter().take(top) {
        let by = found.code.as_deref().map(|by| format!(" in {}", code(by))).unwrap_or_default();
        let reads = counted(found.reads, "read", "reads");
        let mut times = Histogram::default();
        times.add(found.device_ns);
        add(format!("{} polled by {reads}{by}", register(&found.place)), "device", &times);
    }
    let of = rows.len();
    table(&["slowest", "clock"], &["times", "p50", "p99", "max"], rows, of)
}

/// The `top` rows that took longest; none that took no time.
fn longest<'a, K: Ord + 'a, V: 'a>(
    rows: impl Iterator<Item = (&'a K, &'a V)>,
    top: usize,
    max: impl Fn(&V) -> u64,
) -> Vec<(&'a K, &'a V)> {
    let mut rows: Vec<_> = rows.filter(|(_, value)| max(value) > 0).collect();
    rows.sort_by_key(|(key, value)| (Reverse(max(value)), *key));
    rows.truncate(top);
    rows
}

/// The registers that nobody accessed, in a line.
fn untouched(stats: &Stats, top: usize) -> String {
    let registers = stats.coverage_counts().registers;
    if registers.of == 0 {
        return String::new();
    }
    let missing = stats.coverage.missing();
    let missing: Vec<_> = missing.iter().filter(|missing| missing.field.is_none()).collect();
    if missing.is_empty() {
        return format!("All {} were accessed.\n", counted(registers.of, "register", "registers"));
    }
    let names =
        missing.iter().take(top.saturating_mul(2)).map(|missing| code(&missing.to_string())).collect();
    let (count, of) = (number(registers.of - registers.covered), number(registers.of));
    format!("Never accessed, {count} of {of} registers: {}.\n", listed(names, missing.len()))
}

/// Names, and how many more there are.
fn listed(names: Vec<String>, of: usize) -> String {
    let more = of.saturating_sub(names.len());
    let more = (more > 0).then(|| format!("{} more", number(more as u64)));
    names.into_iter().chain(more).collect::<Vec<_>>().join(", ")
}

/// A table of some rows of so many: columns of text, then columns of figures. Nothing if there are none.
fn table(texts: &[&str], figures: &[&str], rows: Vec<Vec<String>>, of: usize) -> String {
    if of == 0 {
        return String::new();
    }
    let mut text = row(texts.iter().chain(figures));
    text += &row(texts.iter().map(|_| "---").chain(figures.iter().map(|_| "--:")));
    let shown = rows.len();
    for cells in rows {
        text += &row(cells.iter());
    }
    text + &others(of.saturating_sub(shown))
}

fn row(cells: impl Iterator<Item = impl Display>) -> String {
    // A bar ends a cell, also within code, unless there is a backslash before it.
    let cells: String = cells.map(|cell| format!(" {} |", cell.to_string().replace('|', "\\|"))).collect();
    format!("|{cells}\n")
}

/// How many rows were left out, if any.
fn others(count: usize) -> String {
    if count == 0 { String::new() } else { format!("\nand {} more\n", number(count as u64)) }
}

#[cfg(test)]
mod tests;
