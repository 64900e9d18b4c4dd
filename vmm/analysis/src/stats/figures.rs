//! What rows of statistics hold, however they are printed.

use std::cmp::Reverse;

use super::{Accesses, Histogram, Source, SourceEnd, Table};
use crate::words::{counted, number};

/// Why figures of a trace are partial; empty for one that is complete.
pub(super) fn reasons(source: &Source) -> Vec<String> {
    let with_reason = |what: &str| format!("{what}: {}", source.reason);
    let end = match source.end {
        SourceEnd::Finished => None,
        SourceEnd::Interrupted => Some(with_reason("interrupted")),
        SourceEnd::Failed => Some(with_reason("failed")),
        SourceEnd::Unfinished => Some("unfinished: still running, or its writer was killed".to_owned()),
    };
    let lost = (source.lost > 0).then(|| counted(source.lost, "record is missing", "records are missing"));
    end.into_iter().chain(lost).chain(source.damage.iter().cloned()).collect()
}

/// Counts and percentiles of a row.
pub(super) fn figures(accesses: &Accesses) -> Vec<String> {
    let counts = [accesses.reads, accesses.writes, accesses.refused].map(number);
    counts.into_iter().chain(percentiles(&accesses.service)).collect()
}

pub(super) fn percentiles(histogram: &Histogram) -> [String; 3] {
    // A time of 0 was not taken: nothing served the access.
    let max = (histogram.max() > 0).then(|| histogram.max());
    if max.is_none() {
        return ["-"; 3].map(str::to_owned);
    }
    [histogram.percentile(50), histogram.percentile(99), max]
        .map(|time| time.map_or_else(|| "-".to_owned(), short))
}

/// The `top` rows with most accesses, in their own order, and how many others there are.
pub(super) fn busiest<K: Ord, V>(
    table: &Table<K, V>,
    top: usize,
    count: impl Fn(&V) -> u64,
) -> (Vec<(&K, &V)>, usize) {
    let mut rows: Vec<_> = table.rows().collect();
    rows.sort_by_key(|(key, value)| (Reverse(count(value)), *key));
    let others = rows.len().saturating_sub(top);
    rows.truncate(top);
    (rows, others)
}

/// A time in three digits or so: `412 ns`, `1.30 us`, `21.0 ms`, `187 s`.
pub(super) fn short(ns: u64) -> String {
    let units = [(1, "ns"), (1000, "us"), (1_000_000, "ms"), (1_000_000_000, "s")];
    let (unit, name) = units.into_iter().rev().find(|(unit, _)| ns >= *unit).unwrap_or((1, "ns"));
    let (whole, hundredths) = (ns / unit, u128::from(ns % unit) * 100 / u128::from(unit));
    match whole {
        _ if unit == 1 => format!("{ns} ns"),
        0..10 => format!("{whole}.{hundredths:02} {name}"),
        10..100 => format!("{whole}.{} {name}", hundredths / 10),
        _ => format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let shown = [0, 999, 1000, 1305, 21_070, 999_999, 1_000_000, 61_000_000_000].map(short);
        let expected = ["0 ns", "999 ns", "1.00 us", "1.30 us", "21.0 us", "999 us", "1.00 ms", "61.0 s"];
        assert_eq!(shown, expected);
    }
}
