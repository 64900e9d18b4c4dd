//! The table of the command `maps`: every BAR with every address that it had, every mapping with its life.

use std::io::{self, Write};

use barscope_trace::event::Backing;
use barscope_trace::units;

use super::picture::groups;
use super::{MappingUse, Maps, Resource, Served, Span};
use crate::style::{ASIDE, HEADING, KERNEL, Paint, USER, WARNING};
use crate::table::wrap;
use crate::{Completeness, words};

/// So many spans of a BAR at one address are listed.
const SPANS: usize = 4;
/// Where the last column of a mapping's line begins.
const BY: usize = 56;

/// Prints mappings in lines of `width` columns.
///
/// # Errors
/// `out` can't be written to.
pub fn print(
    out: &mut dyn Write,
    maps: &Maps,
    completeness: &Completeness,
    width: usize,
    color: bool,
) -> io::Result<()> {
    let (paint, width) = (Paint { color }, width.max(BY + 12));
    // One function's BARs together, and each one's moves.
    let mut resources: Vec<_> = maps.resources.iter().collect();
    resources.sort_by_key(|resource| (resource.bdf, resource.region));
    let mut before = None;
    for resource in resources {
        if before.replace(resource.bdf).is_some_and(|bdf| bdf != resource.bdf) {
            writeln!(out)?;
        }
        writeln!(out, "{}", paint.paint(HEADING, resource.title()))?;
        for line in history(resource, width) {
            writeln!(out, "{}", paint.paint(ASIDE, line))?;
        }
        mappings(out, &resource.mappings, width, paint)?;
    }
    if !maps.elsewhere.is_empty() {
        writeln!(
            out,
            "\n{}",
            paint.paint(HEADING, "mappings of what is no BAR: configuration space, or nothing")
        )?;
        mappings(out, &maps.elsewhere, width, paint)?;
    }
    if maps.resources.is_empty() && maps.elsewhere.is_empty() {
        writeln!(out, "no BAR was decoded, and nothing was mapped")?;
    }
    let mut counted = maps.counted_elsewhere().peekable();
    if counted.peek().is_some() {
        writeln!(out, "\n{}", paint.paint(HEADING, "kernel entries that belong to no one mapping"))?;
    }
    for counted in counted {
        for line in wrap("  ", 4, &counted.words(), width) {
            writeln!(out, "{line}")?;
        }
    }
    let mut rows = maps.resources.iter().flat_map(|resource| &resource.mappings).chain(&maps.elsewhere);
    if rows.any(|row| !row.announced) {
        writeln!(out, "\n? inferred from the page walk: the guest announced no such mapping")?;
    }
    for note in completeness.notes() {
        writeln!(out, "{}", paint.paint(WARNING, note))?;
    }
    Ok(())
}

/// When the BAR was there, and how it was served.
fn history(resource: &Resource, width: usize) -> Vec<String> {
    let mut items: Vec<_> = resource.decoded.iter().take(SPANS).map(span).collect();
    if let Some(last) = resource.decoded.get(SPANS..).and_then(<[Span]>::last) {
        let more = resource.decoded.len() - SPANS;
        items.push(format!("{more} more times, the last {}", span(last)));
    }
    let mut lines = Vec::new();
    if !items.is_empty() {
        lines.extend(wrap("  decoded in records ", 4, &items, width));
    }
    if let (Some(first), count) = (resource.refused.first(), resource.refused.len()) {
        let times = if count > 1 { format!(", {count} times in all") } else { String::new() };
        lines.push(format!("  not decoded at record {first}{times}: something else was there"));
    }
    for Served { since: seq, backing } in &resource.served {
        lines.push(match backing {
            Backing::Trapped => format!("  every access trapped from record {seq} on"),
            Backing::Direct => format!("  mapped directly from record {seq} on: accesses aren't counted"),
            Backing::Doorbell => {
                format!("  doorbells taken by KVM from record {seq} on: not in these counts")
            }
            Backing::Coalesced => format!("  writes coalesced from record {seq} on"),
        });
    }
    let ports = resource.ports;
    if let (Some(first), Some(last)) = (ports.first, ports.last) {
        let accesses = words::counted(ports.accesses, "access", "accesses");
        lines.push(format!("  {accesses} by port, records {first} to {last}: no mapping needed"));
    }
    if lines.len() == 1 && resource.mappings.is_empty() {
        lines.push("  not mapped".to_owned());
    }
    lines
}

/// `193 to 211 (by 192)`: the access that led to it last. What no access led to was there before the guest.
fn span(span: &Span) -> String {
    let until = span.until.map(|until| format!(" to {until}")).unwrap_or_else(|| " to the end".to_owned());
    let cause = if span.cause == 0 { " (by firmware)".to_owned() } else { format!(" (by {})", span.cause) };
    format!("{}{until}{cause}", span.from)
}

fn mappings(out: &mut dyn Write, rows: &[MappingUse], width: usize, paint: Paint) -> io::Result<()> {
    let alike = |row: &MappingUse| {
        (row.user, row.path, row.announced, row.virtual_address, row.physical_address, row.call.clone())
    };
    for group in groups(rows, alike) {
        let Some(first) = group.first() else { continue };
        let call = if first.call.is_empty() { units::size(first.length) } else { first.call.clone() };
        let style = if first.user { USER } else { KERNEL };
        let path = paint.paint(style, format!("{:<6} {:<8}", first.owner(), first.path_name()));
        let (from, to) = (first.virtual_address, first.physical_address);
        writeln!(out, "  {path} {from:016x} -> {to:x}  {call}")?;
        let columns = ["made", "undone", "first", "last", "accesses", "type"];
        writeln!(out, "{}", paint.paint(ASIDE, format!("{}by", columns_of(&columns.map(String::from)))))?;
        for row in group {
            for line in wrap(&columns_of(&numbers(row)), BY, &remarks(row), width) {
                writeln!(out, "{}", line.trim_end())?;
            }
        }
    }
    Ok(())
}

fn columns_of([made, undone, first, last, accesses, kind]: &[String; 6]) -> String {
    format!("  {made:>7} {undone:>7} {first:>7} {last:>7} {accesses:>9}  {kind:<9}  ")
}

fn numbers(row: &MappingUse) -> [String; 6] {
    let seq = |seq: Option<u64>| seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
    let types = row.types();
    [
        seq(row.made),
        seq(row.undone),
        seq(row.used.first),
        seq(row.used.last),
        words::number(row.used.accesses),
        if types.is_empty() { "-".to_owned() } else { types.join(", ") },
    ]
}

fn remarks(row: &MappingUse) -> Vec<String> {
    let mut remarks = match (row.announced, row.who.as_str()) {
        (true, who) => vec![who.to_owned()],
        (false, "") => vec!["inferred".to_owned()],
        (false, who) => vec!["inferred".to_owned(), who.to_owned()],
    };
    if row.on_fault {
        remarks.push("on first touch".to_owned());
    }
    if row.faults_resolved > 0 {
        remarks.push(words::counted(row.faults_resolved, "page fault", "page faults"));
    }
    if row.faults_fatal > 0 {
        remarks.push(words::counted(
            row.faults_fatal,
            "page fault that stopped a program",
            "page faults that stopped programs",
        ));
    }
    if row.used.unclaimed > 0 {
        let reached = words::counted(row.used.unclaimed, "access", "accesses");
        remarks.push(format!("{reached} reached nothing"));
    }
    if let Some(entries) = row.kernel_entries {
        remarks.push(words::counted(entries, "kernel entry", "kernel entries"));
    }
    remarks
}
