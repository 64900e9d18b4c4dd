//! What a comparison comes to, for people and for programs.

use std::io::{self, Write};

use serde_json::json;

use super::align::{Counts, Hunk, Pair};
use super::{Difference, Item, Verdict, excerpt, records, section_name};
use crate::style::{ASIDE, FAIL, HEADING, PASS, Paint, WARNING};
use crate::table::{columns, left, right, wrap};
use crate::words;

/// So many differences are shown, and so many lines of each side of one.
const HUNKS: usize = 10;
const LINES: usize = 12;
/// So many registers are shown.
const REGISTERS: usize = 40;

impl Difference {
    /// Prints it for people, in lines of `width` columns.
    ///
    /// # Errors
    /// `out` can't be written to; a trace isn't there any more.
    pub fn print_text(&self, out: &mut dyn Write, width: usize, color: bool) -> io::Result<()> {
        let paint = Paint { color };
        for ((name, path), items) in ["A", "B"].into_iter().zip(&self.paths).zip(self.items) {
            writeln!(out, "{name}  {}  {} compared", path.display(), records(items))?;
        }
        self.print_notes(out, width, paint)?;
        if let Some(first) = &self.aligner.first {
            self.print_first(first, out, width, paint)?;
            writeln!(out)?;
            self.print_hunks(out, paint)?;
            self.print_registers(out, width, paint)?;
        }
        self.print_verdict(out, width, paint)
    }

    fn print_notes(&self, out: &mut dyn Write, width: usize, paint: Paint) -> io::Result<()> {
        let ignored: Vec<_> = self.terms.ignore.iter().map(ToString::to_string).collect();
        if !ignored.is_empty() {
            for line in wrap("not compared: ", 2, &ignored, width) {
                writeln!(out, "{}", paint.paint(ASIDE, line))?;
            }
        }
        if let Some(only) = &self.terms.only {
            writeln!(out, "{}", paint.paint(ASIDE, format!("compared only: {only}")))?;
        }
        for note in &self.notes {
            for line in wrap("note: ", 2, std::slice::from_ref(note), width) {
                writeln!(out, "{}", paint.paint(ASIDE, line))?;
            }
        }
        if self.aligner.was_cut {
            let window = words::number(super::WINDOW as u64);
            let note = format!(
                "they differ for so long that only {window} records were looked at together: what is further apart \
                 counts as missing here and there"
            );
            for line in wrap("note: ", 2, &[note], width) {
                writeln!(out, "{}", paint.paint(WARNING, line))?;
            }
        }
        Ok(())
    }

    /// The first difference, in the records of both sides.
    fn print_first(&self, hunk: &Hunk, out: &mut dyn Write, width: usize, paint: Paint) -> io::Result<()> {
        writeln!(out, "\n{}", paint.paint(HEADING, format!("first difference, {}", self.whose(hunk))))?;
        for (side, name) in ["A", "B"].into_iter().enumerate() {
            writeln!(out, "{}", paint.paint(HEADING, format!("{name}  {}", self.paths[side].display())))?;
            let of = |pairs: &[Pair]| pairs.iter().map(|pair| pair.seqs[side]).collect::<Vec<_>>();
            let mut own: Vec<_> = hunk.items[side].iter().map(|item| item.seq).take(LINES).collect();
            own.dedup();
            let style = (width, paint.color);
            excerpt::print(&self.paths[side], &of(&hunk.before), out, style)?;
            if own.is_empty() {
                writeln!(out, "  {}", paint.paint(WARNING, "-- nothing here --"))?;
            } else {
                writeln!(out, "  {}", paint.paint(WARNING, format!("-- only in {name} --")))?;
                excerpt::print(&self.paths[side], &own, out, style)?;
                let more = hunk.counts[side].saturating_sub(own.len());
                if more > 0 {
                    writeln!(out, "  and {}", words::counted(more as u64, "more record", "more records"))?;
                }
            }
            if !hunk.after.is_empty() {
                writeln!(out, "  {}", paint.paint(ASIDE, "-- in both again --"))?;
                excerpt::print(&self.paths[side], &of(&hunk.after), out, style)?;
            }
        }
        Ok(())
    }

    /// Prints differences as a unified diff of keys.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub(crate) fn print_hunks(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let mut under = String::new();
        for hunk in self.aligner.hunks.iter().take(HUNKS) {
            let whose = self.whose(hunk);
            if whose != under {
                writeln!(out, "{}", paint.paint(HEADING, &whose))?;
                under = whose;
            }
            let [left, right] = [0, 1].map(|side| match (hunk.items[side].first(), hunk.before.last()) {
                (Some(item), _) => item.seq,
                (None, Some(pair)) => pair.seqs[side],
                (None, None) => 0,
            });
            writeln!(out, "{}", paint.paint(ASIDE, format!("@@ -{left} +{right} @@")))?;
            self.print_pairs(out, &hunk.before)?;
            for (side, (sign, style)) in [('-', FAIL), ('+', PASS)].into_iter().enumerate() {
                for line in self.lines(&hunk.items[side]).iter().take(LINES) {
                    writeln!(out, "{}", paint.paint(style, format!("{sign} {line}")))?;
                }
                let shown: usize =
                    runs(&hunk.items[side]).into_iter().take(LINES).map(|(_, times)| times).sum();
                let more = hunk.counts[side].saturating_sub(shown);
                if more > 0 {
                    writeln!(
                        out,
                        "{}",
                        paint.paint(style, format!("{sign} and {} more", words::number(more as u64)))
                    )?;
                }
            }
            self.print_pairs(out, &hunk.after)?;
        }
        let more = self.aligner.count.saturating_sub(HUNKS as u64);
        if more > 0 {
            writeln!(out, "and {}", words::counted(more, "more difference", "more differences"))?;
        }
        Ok(())
    }

    fn print_pairs(&self, out: &mut dyn Write, pairs: &[Pair]) -> io::Result<()> {
        let mut last = None;
        for Pair { hash, .. } in pairs {
            if last.replace(*hash) != Some(*hash) {
                writeln!(out, "  {}", self.line(*hash, 1))?;
            }
        }
        Ok(())
    }

    fn print_registers(&self, out: &mut dyn Write, width: usize, paint: Paint) -> io::Result<()> {
        let rows = self.registers();
        let Some(widest) = rows.iter().map(|(name, _)| columns(name)).max() else { return Ok(()) };
        let room = widest.min(width.saturating_sub(40)).max(8);
        let heading = ["A", "B", "only A", "only B"].map(|name| right(name, 9)).concat();
        writeln!(out, "\n{}", paint.paint(HEADING, format!("{}{heading}", left("by register", room))))?;
        for (name, counts) in rows.iter().take(REGISTERS) {
            let numbers = counts.all.into_iter().chain(counts.only);
            let numbers: String = numbers.map(|number| right(&words::number(number), 9)).collect();
            writeln!(out, "{}{numbers}", left(&crate::table::cut_beginning(name, room), room))?;
        }
        let more = rows.len().saturating_sub(REGISTERS);
        if more > 0 {
            writeln!(out, "and {more} more")?;
        }
        Ok(())
    }

    fn print_verdict(&self, out: &mut dyn Write, width: usize, paint: Paint) -> io::Result<()> {
        let count = words::counted(self.aligner.count, "difference", "differences");
        let (style, word) = match self.verdict() {
            Verdict::Equal => (PASS, "EQUAL".to_owned()),
            Verdict::Different => (FAIL, format!("DIFFERENT  {count}")),
            Verdict::Inconclusive if self.aligner.count == 0 => {
                (WARNING, "INCONCLUSIVE  equal as far as the traces tell".to_owned())
            }
            Verdict::Inconclusive => {
                (WARNING, format!("INCONCLUSIVE  {count}, which may come of what is missing"))
            }
        };
        writeln!(out, "\n{}", paint.paint(style, word))?;
        for doubt in &self.doubts {
            for line in wrap("  ", 4, std::slice::from_ref(doubt), width) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    /// Prints it as JSON: an object for each difference, each register that has some, and one for all.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn print_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.print_json_differences(out)?;
        for (name, Counts { all, only }) in self.registers() {
            let object = json!({
                "event": "register", "register": name,
                "left": all[0], "right": all[1], "only_left": only[0], "only_right": only[1],
            });
            writeln!(out, "{object}")?;
        }
        let object = json!({
            "event": "diff",
            "verdict": self.verdict().name(),
            "differences": self.aligner.count,
            "left": self.items[0],
            "right": self.items[1],
            "ignored": self.terms.ignore.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "only": self.terms.only,
            "doubts": self.doubts,
            "notes": self.notes,
            "window": self.aligner.was_cut.then_some(super::WINDOW),
        });
        writeln!(out, "{object}")
    }

    /// Prints an object for each difference.
    pub(crate) fn print_json_differences(&self, out: &mut dyn Write) -> io::Result<()> {
        for hunk in &self.aligner.hunks {
            let side = |side: usize| -> Vec<_> {
                let items = hunk.items[side].iter();
                items.map(|item| json!({ "seq": item.seq, "key": self.key(item) })).collect()
            };
            let lane = self.names.lane_of(hunk.lane);
            let object = json!({
                "event": "difference",
                "scenario": lane.section.as_deref(),
                "actor": self.actor(hunk),
                "certain": self.is_certain(hunk),
                "left": side(0),
                "right": side(1),
                "left_count": hunk.counts[0],
                "right_count": hunk.counts[1],
            });
            writeln!(out, "{object}")?;
        }
        Ok(())
    }

    /// Registers with differences, most of them first.
    fn registers(&self) -> Vec<(&str, Counts)> {
        let all = (0..).zip(&self.aligner.registers);
        let named = all.map(|(register, counts)| (self.names.register_of(register), *counts));
        let mut rows: Vec<_> = named.filter(|(_, counts)| counts.only != [0, 0]).collect();
        rows.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.only[0] + counts.only[1]), *name));
        rows
    }

    /// Whose sequence it is in.
    pub(crate) fn whose(&self, hunk: &Hunk) -> String {
        let lane = self.names.lane_of(hunk.lane);
        let mut whose = section_name(lane.section.as_ref());
        let actor = self.actor(hunk);
        if !actor.is_empty() {
            whose += ", ";
            whose += actor;
        }
        whose
    }

    /// Who is at work there first.
    fn actor(&self, hunk: &Hunk) -> &str {
        let item = hunk.items.iter().find_map(|items| items.first());
        let text = item.and_then(|item| self.names.text(item.hash));
        text.map_or("", |text| &text.actor)
    }

    fn key(&self, item: &Item) -> Option<&str> {
        self.names.text(item.hash).map(|text| &*text.text)
    }

    /// Items as lines, equal ones in a row folded.
    pub(crate) fn lines(&self, items: &[Item]) -> Vec<String> {
        runs(items).into_iter().map(|(hash, times)| self.line(hash, times)).collect()
    }

    fn line(&self, hash: u64, times: usize) -> String {
        let text =
            self.names.text(hash).map_or("(too many different records to keep this one)", |text| &text.text);
        if times == 1 { text.to_owned() } else { format!("{times} x {text}") }
    }
}

/// Keys with how often they come in a row.
pub(crate) fn runs(items: &[Item]) -> Vec<(u64, usize)> {
    let rows = items.chunk_by(|one, next| one.hash == next.hash && one.lane == next.lane);
    rows.map(|row| (row[0].hash, row.len())).collect()
}
