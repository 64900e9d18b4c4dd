//! Statistics as text for people.

mod page;

use barscope_device::Region;

use self::page::{Column, Page};
use super::figures::{busiest, figures, percentiles, reasons, short};
use super::{Accesses, Histogram, LoopEnd, SourceEnd, Stats, Table};
use crate::coverage::{Counts, FunctionCoverage, Missing, Share};
use crate::style::{ASIDE, FAIL, PASS, WARNING};
use crate::words::{counted, number};

/// Columns of figures of most tables.
const COUNTS: [Column; 6] = [
    Column("reads", 9),
    Column("writes", 9),
    Column("refused", 8),
    Column("p50", 9),
    Column("p99", 9),
    Column("max", 9),
];

/// `stats` in `width` columns, the first `top` rows of each list.
pub(super) fn render(stats: &Stats, width: usize, top: usize, color: bool) -> String {
    let mut page = Page::new(width.max(80), color);
    traces(&mut page, stats);
    by_register(&mut page, stats, top);
    accesses(&mut page, "by path", &stats.paths, |path| path.path.clone(), top);
    accesses(&mut page, "by function", &stats.functions, |function| function.function.clone(), top);
    let process = |process: &super::ProcessName| match (&process.command, process.pid) {
        (Some(command), Some(pid)) => format!("{command} {pid}"),
        _ => "no known process".to_owned(),
    };
    accesses(&mut page, "by process", &stats.processes, process, top);
    let vcpu = |vcpu: &super::Vcpu| match vcpu.vcpu {
        Some(index) => format!("vCPU {index}"),
        None => "gathered by KVM".to_owned(),
    };
    accesses(&mut page, "by vCPU", &stats.vcpus, vcpu, top);
    busy(&mut page, stats, top);
    interrupts(&mut page, stats, top);
    polling(&mut page, stats, top);
    windows(&mut page, stats, top);
    coverage(&mut page, stats, top);
    incomplete(&mut page, stats);
    page.finish()
}

fn traces(page: &mut Page, stats: &Stats) {
    for source in &stats.traces {
        let state = match source.end {
            SourceEnd::Finished => page.paint(PASS, "finished"),
            SourceEnd::Interrupted => page.paint(WARNING, "interrupted"),
            SourceEnd::Failed => page.paint(FAIL, "failed"),
            SourceEnd::Unfinished => page.paint(WARNING, "unfinished"),
        };
        page.line(format!("{}  {state}, {} device clock", source.path, source.clock));
    }
    let parts = [
        counted(stats.records, "record", "records"),
        counted(stats.accesses, "access", "accesses"),
        format!("by {}", counted(stats.instructions, "instruction", "instructions")),
    ];
    page.line(parts.join(" · "));
}

/// Says last what makes figures partial: there it is seen.
fn incomplete(page: &mut Page, stats: &Stats) {
    if stats.complete() {
        return;
    }
    page.heading("partial: what is missing from the traces is in no figure", &[]);
    for source in stats.traces.iter().filter(|source| !source.complete()) {
        for reason in reasons(source) {
            let line = format!("  {}: {reason}", source.path);
            let line = page.paint(WARNING, line);
            page.line(line);
        }
    }
}

fn by_register(page: &mut Page, stats: &Stats, top: usize) {
    let (mut rows, others) = busiest(&stats.registers, top, Accesses::count);
    if rows.is_empty() {
        return;
    }
    page.heading("by register; time to serve", &COUNTS);
    rows.sort_by_key(|(key, _)| (key.bdf.is_none(), *key));
    let mut function = None;
    for (key, accesses) in rows {
        let name = match key.bdf {
            Some(bdf) => format!("{bdf} {}", key.device),
            None => "no function".to_owned(),
        };
        if function.as_ref() != Some(&name) {
            page.line(format!("  {name}"));
            function = Some(name);
        }
        page.row(&format!("    {key}"), &COUNTS, &figures(accesses));
    }
    page.others(others);
}

fn accesses<K: Ord>(
    page: &mut Page,
    heading: &str,
    table: &Table<K, Accesses>,
    name: impl Fn(&K) -> String,
    top: usize,
) {
    let (rows, others) = busiest(table, top, Accesses::count);
    if rows.is_empty() {
        return;
    }
    page.heading(heading, &COUNTS);
    for (key, accesses) in rows {
        page.row(&format!("  {}", name(key)), &COUNTS, &figures(accesses));
    }
    page.others(others);
}

fn busy(page: &mut Page, stats: &Stats, top: usize) {
    const COLUMNS: [Column; 5] =
        [Column("times", 9), Column("total", 17), Column("p50", 9), Column("p99", 9), Column("max", 9)];
    let (rows, others) = busiest(&stats.busy, top, Histogram::count);
    if rows.is_empty() {
        return;
    }
    page.heading("busy; device time", &COLUMNS);
    for (device, times) in rows {
        let figures = [number(times.count()), short(times.total())];
        let figures: Vec<_> = figures.into_iter().chain(percentiles(times)).collect();
        page.row(&format!("  {} {}", device.bdf, device.device), &COLUMNS, &figures);
    }
    page.others(others);
}

fn interrupts(page: &mut Page, stats: &Stats, top: usize) {
    const COLUMNS: [Column; 6] = [
        Column("raised", 9),
        Column("lost", 9),
        Column("masked", 8),
        Column("p50", 9),
        Column("p99", 9),
        Column("max", 9),
    ];
    let (rows, others) = busiest(&stats.interrupts, top, |line| line.raised + line.lost + line.masked);
    if rows.is_empty() {
        return;
    }
    page.heading("interrupt to ISR's access", &COLUMNS);
    for (line, interrupts) in rows {
        let name = format!("  {} {} {}", line.device.bdf, line.device.device, line.mechanism.name());
        let counts = [interrupts.raised, interrupts.lost, interrupts.masked].map(number);
        page.row(&name, &COLUMNS, &counts);
        if interrupts.host.count() > 0 {
            for (clock, times) in [("host", &interrupts.host), ("device", &interrupts.device)] {
                let blank = std::iter::repeat_n(String::new(), 3);
                let figures: Vec<_> = blank.chain(percentiles(times)).collect();
                page.row(&format!("    in {clock} time"), &COLUMNS, &figures);
            }
        }
    }
    page.others(others);
}

fn polling(page: &mut Page, stats: &Stats, top: usize) {
    let polling = &stats.polling;
    if polling.loops == 0 {
        return;
    }
    let loops = counted(polling.loops, "polling loop", "polling loops");
    page.heading(&format!("{loops}, {}", counted(polling.reads, "read", "reads")), &[]);
    for found in polling.longest.iter().take(top) {
        let reads = counted(found.reads, "read", "reads");
        let code = found.code.as_deref().unwrap_or("no known function");
        let bdf = found.place.bdf.map(|bdf| format!("{bdf} ")).unwrap_or_default();
        page.line(format!("{reads:>13}  {bdf}{}  {code}", found.place));
        let trace = match (stats.traces.len(), stats.traces.get(found.trace)) {
            (2.., Some(source)) => format!("{}: ", source.path),
            _ => String::new(),
        };
        let value = if found.meaning.is_empty() {
            format!("{:#x}", found.value)
        } else {
            format!("{:#x} {}", found.value, found.meaning)
        };
        let end = match found.end {
            LoopEnd::Value { before } => format!("until {before:#x} became {value}"),
            LoopEnd::Access { seq } => format!("still {value} when {seq} followed"),
            LoopEnd::Handler => format!("still {value} when the handler ended"),
            LoopEnd::Trace => format!("still {value} when the trace ended"),
        };
        let (host, device) = (short(found.host_ns), short(found.device_ns));
        let (first, last) = (found.first, found.last);
        page.wrapped(
            15,
            &format!("{trace}records {first} to {last}, {host} ({device} of the device); {end}"),
            ASIDE,
        );
    }
    page.others((polling.loops as usize).saturating_sub(polling.longest.len().min(top)));
}

fn windows(page: &mut Page, stats: &Stats, top: usize) {
    const COLUMNS: [Column; 4] =
        [Column("kernel entries", 16), Column("faults", 9), Column("fatal", 9), Column("accesses", 11)];
    let windows: Vec<_> = stats.windows.all().iter().filter(|window| window.counted()).collect();
    if windows.is_empty() {
        return;
    }
    page.heading("counted by the guest", &COLUMNS);
    for window in windows.iter().take(top) {
        let name = match (window.name.as_str(), window.scenario) {
            ("", _) => "before the first mark".to_owned(),
            (name, true) => name.to_owned(),
            (name, false) => format!("from mark {name}"),
        };
        let entries = window.kernel_entries.map_or_else(|| "-".to_owned(), number);
        let faults = window.faults_resolved + window.faults_fatal;
        let figures = [entries, number(faults), number(window.faults_fatal), number(window.accesses)];
        page.row(&format!("  {name}"), &COLUMNS, &figures);
    }
    page.others(windows.len().saturating_sub(top));
}

fn coverage(page: &mut Page, stats: &Stats, top: usize) {
    const COLUMNS: [Column; 3] = [Column("registers", 17), Column("fields", 17), Column("values", 17)];
    let functions = stats.coverage.functions();
    if functions.iter().all(|function| function.regions.is_empty()) {
        return;
    }
    let figures = |counts: Counts| [counts.registers, counts.fields, counts.values].map(share);
    page.heading("coverage", &COLUMNS);
    for function in functions {
        let name = format!("  {} {}", function.bdf, function.name);
        if function.regions.len() > 1 {
            page.row(&name, &COLUMNS, &figures(function.counts()));
        }
        for region in &function.regions {
            let name = match function.regions.len() {
                1 => format!("{name} {}", region.region),
                _ => format!("    {}", region.region),
            };
            page.row(&name, &COLUMNS, &figures(region.counts()));
            missing(page, function, region.region, top);
        }
    }
}

fn share(share: Share) -> String {
    match share.percent() {
        // Rounded down: 100 % is all of them.
        Some(percent) => {
            format!("{} of {} {:>3} %", number(share.covered), number(share.of), percent.floor())
        }
        None => "-".to_owned(),
    }
}

/// What is missing in a BAR, in as few words as tell it.
fn missing(page: &mut Page, function: &FunctionCoverage, region: Region, top: usize) {
    let missing = function.missing();
    let names: Vec<_> = missing
        .iter()
        .filter(|missing| missing.region.region == region)
        .map(Missing::within_region)
        .collect();
    if names.is_empty() {
        return;
    }
    let shown = names.len().min(top.saturating_mul(2));
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(", and {} more", number(more as u64)),
    };
    page.wrapped(6, &format!("without {}{more}", names[..shown].join(", ")), ASIDE);
}
