//! Two accesses or page walks side by side, layer by layer, with what differs marked.

use std::io::{self, Write};

use serde::Serialize;

use super::layers::{Likeness, Row, layers};
use super::{ExplainError, Explanation};
use crate::style::{ASIDE, HEADING, Paint, WARNING};
use crate::table::{self, columns, pieces, wrap};
use crate::view::AccessView;
use crate::words;

/// Where the left column begins.
const LABEL: usize = 13;
/// Columns of `<- differs`.
const MARK: usize = 10;
/// The least columns.
const WIDTH: usize = 72;
/// The rows that tell two ways apart, and where they meet, and how much of each; more columns don't make them easier to read.
const ESSENCE: [(&str, usize); 7] = [
    ("code", 1),
    ("privilege", 1),
    ("virtual", 1),
    ("mapping", 2),
    ("memory type", 2),
    ("physical", 1),
    ("register", 1),
];
const ESSENCE_WIDTH: usize = 100;

/// Two accesses, compared.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The left one.
    pub left: Explanation,
    /// The right one.
    pub right: Explanation,
    /// What each layer is for either.
    pub rows: Vec<Compared>,
}

/// One fact of two accesses.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// What it is about.
    pub label: String,
    /// What it is for the left one; empty if that has no such thing.
    pub left: Vec<String>,
    /// What it is for the right one; empty if that has no such thing.
    pub right: Vec<String>,
    /// Whether they are the same; `None` where they always differ, like the instruction.
    pub same: Option<bool>,
    /// For page-table entries, that lie in tables of their own: the bits that differ.
    pub bits: Option<Vec<&'static str>>,
}

impl Comparison {
    /// Compares two accesses.
    ///
    /// # Errors
    /// One of them is neither an access nor a page walk.
    pub(super) fn new(left: Explanation, right: Explanation) -> Result<Self, ExplainError> {
        for one in [&left, &right] {
            if one.access.is_none() && one.walked.is_none() {
                let what = words::summary(&one.record);
                return Err(ExplainError::NoLayers { seq: one.record.seq, what });
            }
        }
        let rows = rows(&left, &right);
        Ok(Self { left, right, rows })
    }

    /// Prints it in lines of `width` columns.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn print(&self, out: &mut dyn Write, width: usize, color: bool) -> io::Result<()> {
        self.table(out, width, color, |_| usize::MAX)?;
        if let Some(verdict) = self.verdict() {
            writeln!(out)?;
            for line in wrap("", 0, &[verdict], width.max(WIDTH)) {
                writeln!(out, "{line}")?;
            }
        }
        for note in self.left.trace.notes() {
            writeln!(out, "{}", Paint { color }.paint(WARNING, note))?;
        }
        Ok(())
    }

    /// Prints what tells the two ways apart and where they meet, in a dozen lines.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub(crate) fn print_essence(&self, out: &mut dyn Write, width: usize, color: bool) -> io::Result<()> {
        self.table(out, width.min(ESSENCE_WIDTH), color, |label| {
            ESSENCE.iter().find(|(row, _)| *row == label).map_or(0, |(_, items)| *items)
        })
    }

    fn table(
        &self,
        out: &mut dyn Write,
        width: usize,
        color: bool,
        items_of: impl Fn(&str) -> usize,
    ) -> io::Result<()> {
        let (paint, width) = (Paint { color }, width.max(WIDTH));
        let column = (width - LABEL - MARK - 2) / 2;
        let title = |one: &Explanation| {
            let path = match one.record.access() {
                Some(access) => words::path(access),
                None => one.record.text().unwrap_or_default().to_owned(),
            };
            format!("record {}, {path}", one.record.seq)
        };
        let (left, right) = (title(&self.left), title(&self.right));
        let heading = format!("{:LABEL$}{} {right}", "", table::left(&left, column));
        writeln!(out, "{}", paint.paint(HEADING, heading))?;
        for row in &self.rows {
            let most = items_of(&row.label);
            let cells = |items: &[String]| cell(&items[..most.min(items.len())], column);
            let (left, right) = (cells(&row.left), cells(&row.right));
            for line in 0..left.len().max(right.len()) {
                let text = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let label = if line == 0 { row.label.as_str() } else { "" };
                let (left, right) = (text(&left), text(&right));
                let (left, right) = (table::left(&left, column), table::left(&right, column));
                let line_of = format!("{label:<LABEL$}{left} {right}");
                let mark = if line == 0 { row.mark(paint) } else { String::new() };
                let text = if mark.is_empty() { line_of.trim_end() } else { &line_of };
                writeln!(out, "{text}{}{mark}", if mark.is_empty() { "" } else { " " })?;
            }
        }
        Ok(())
    }

    /// In a sentence: whether both reached the same place, and by what they differ.
    fn verdict(&self) -> Option<String> {
        let (left, right) = (&self.left.record, &self.right.record);
        let mut labels: Vec<String> = Vec::new();
        for row in self.rows.iter().filter(|row| row.same == Some(false)) {
            let label = match &row.bits {
                Some(bits) if bits.len() == 1 => format!("page-table bit {}", bits.join("")),
                Some(bits) if !bits.is_empty() => format!("page-table bits {}", bits.join(" ")),
                _ if row.is_entry() => "page walk".to_owned(),
                _ if row.label == "virtual" => "virtual address".to_owned(),
                _ => row.label.clone(),
            };
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let by = if labels.is_empty() { "nothing".to_owned() } else { labels.join(", ") };
        let (Some(left), Some(right)) = (left.access(), right.access()) else {
            let same = left.gpa() == right.gpa();
            let to = if same { "the same address" } else { "different addresses" };
            return Some(format!("They lead to {to}. They differ in: {by}."));
        };
        let same = left.address() == right.address() && left.place() == right.place();
        Some(match (same, target(left)) {
            (true, Some(target)) => format!("Both reached {target}. They differ in: {by}."),
            _ => format!("They reached different places. They differ in: {by}."),
        })
    }
}

fn target(access: AccessView<'_>) -> Option<String> {
    let place = access.place()?;
    let bdf = place.bdf.map(|bdf| format!("{bdf} ")).unwrap_or_default();
    let at = access.gpa().map(|address| format!("{address:x}, which is ")).unwrap_or_default();
    Some(format!("{at}{} of {bdf}{}", words::target(access), place.device()))
}

impl Compared {
    /// Whether it is about an entry of a page table.
    fn is_entry(&self) -> bool {
        matches!(self.label.as_str(), "PML5" | "PML4" | "PDPT" | "PD" | "PT")
    }

    fn mark(&self, paint: Paint) -> String {
        match (self.same, &self.bits) {
            (None, _) => String::new(),
            (Some(true), Some(_)) => paint.paint(ASIDE, "== bits"),
            (Some(true), None) => paint.paint(ASIDE, "== same"),
            (Some(false), Some(bits)) if !bits.is_empty() => {
                paint.paint(WARNING, format!("<- {}", bits.join(" ")))
            }
            (Some(false), _) => paint.paint(WARNING, "<- differs"),
        }
    }
}

/// `items` in lines of `width` columns, a comma between those on the same line; what has no spaces is cut
/// where it must be.
fn cell(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        let fits = |line: &&mut String| columns(line) + 2 + columns(item) <= width;
        if let Some(line) = lines.last_mut().filter(fits) {
            *line += ", ";
            *line += item;
            continue;
        }
        for line in wrap("", 0, std::slice::from_ref(item), width) {
            lines.extend(pieces(&line, width).into_iter().map(str::to_owned));
        }
    }
    lines
}

/// All rows of both, those with the same label together, in the order in which they come.
fn rows(left: &Explanation, right: &Explanation) -> Vec<Compared> {
    let flat = |one| layers(one).into_iter().flat_map(|layer| layer.rows).collect::<Vec<_>>();
    let (left, mut right) = (flat(left), flat(right));
    let mut rows = Vec::new();
    for row in left {
        let Some(at) = right.iter().position(|other| other.label == row.label) else {
            rows.push(compared(Some(row), None));
            continue;
        };
        // What only the right one has comes where it has it.
        let mut others = right.drain(..=at).collect::<Vec<_>>();
        let other = others.pop();
        rows.extend(others.into_iter().map(|other| compared(None, Some(other))));
        rows.push(compared(Some(row), other));
    }
    rows.extend(right.into_iter().map(|other| compared(None, Some(other))));
    rows
}

fn compared(left: Option<Row>, right: Option<Row>) -> Compared {
    let (same, bits) = match (&left, &right) {
        (Some(left), Some(right)) => alike(left, right),
        (Some(Row { likeness: Likeness::Aside, .. }), None)
        | (None, Some(Row { likeness: Likeness::Aside, .. })) => (None, None),
        _ => (Some(false), None),
    };
    let label = left.as_ref().or(right.as_ref()).map(|row| row.label.clone()).unwrap_or_default();
    let items = |row: Option<Row>| row.map(|row| row.items).unwrap_or_default();
    Compared { label, left: items(left), right: items(right), same, bits }
}

fn alike(left: &Row, right: &Row) -> (Option<bool>, Option<Vec<&'static str>>) {
    match (&left.likeness, &right.likeness) {
        (Likeness::Aside, _) | (_, Likeness::Aside) => (None, None),
        (Likeness::Bits(left), Likeness::Bits(right)) => {
            let only_left = left.iter().filter(|bit| !right.contains(bit));
            let only_right = right.iter().filter(|bit| !left.contains(bit));
            let differ: Vec<_> = only_left.chain(only_right).copied().collect();
            (Some(differ.is_empty()), Some(differ))
        }
        (Likeness::Key(left), Likeness::Key(right)) => (Some(left == right), None),
        _ => (Some(left.items == right.items), None),
    }
}
