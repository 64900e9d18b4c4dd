//! What is wrong with a text that somebody wrote, where, and what would be right.

use std::fmt;
use std::ops::Range;

use crate::text::obeyed;

/// The most characters of a line that are shown around a place in it.
const SHOWN: usize = 160;
/// The most characters of what somebody wrote that an error repeats.
const QUOTED_MAX: usize = 60;

/// A place in a text, in bytes. Two of them are always equal: where a thing stands is no part of what it
/// means.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl Span {
    /// From the beginning of one to the end of the other.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }
}

/// Diagnostic of a mistake in a filter, an expectation or a description.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// Where.
    pub span: Span,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Diagnostic {
    /// A diagnostic of what stands at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// Where it is in `text`, the one that was read.
    pub fn position(&self, text: &str) -> Position {
        let start = text.floor_char_boundary(self.span.start);
        let line_start = line_start(text, start);
        Position {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
        }
    }

    /// The diagnostic with its line and column, and the line itself, of which no terminal obeys anything; `name` is the
    /// file's.
    ///
    /// ```text
    /// irq.expect:3:8: no register BAR0.STATU; did you mean BAR0.STATUS?
    ///   3 |   read BAR0.STATU
    ///     |        ^^^^^^^^^^
    /// ```
    pub fn show(&self, name: &str, text: &str) -> String {
        let Position { line, column } = self.position(text);
        let Excerpt { content, before, width } = Excerpt::of(self.span, text);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(before);
        let carets = "^".repeat(width);
        format!("{name}:{line}:{column}: {self}\n  {number} | {content}\n  {margin} | {indent}{carets}")
    }
}

/// A place in a text as people count, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its line.
    pub line: usize,
    /// Its column, in characters.
    pub column: usize,
}

/// What is shown of a line, and which part of that is marked.
struct Excerpt {
    content: String,
    /// Characters before the mark.
    before: usize,
    /// Characters of the mark.
    width: usize,
}

impl Excerpt {
    fn of(span: Span, text: &str) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let line_start = line_start(text, start);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count();
        let marked = text[start..end].lines().next().unwrap_or_default().chars().count();
        // Of a line that is too long, the part that begins a little before the place.
        let cut = if line.chars().nth(SHOWN).is_some() { column.saturating_sub(SHOWN / 4) } else { 0 };
        let shown = |character| match character {
            '\t' => ' ',
            other if obeyed(other) => '.',
            other => other,
        };
        let content: String = line.chars().skip(cut).take(SHOWN).map(shown).collect();
        let before = column - cut;
        let left = content.chars().count().saturating_sub(before);
        Self { content, before, width: marked.min(left).max(1) }
    }
}

/// Where the line of the byte at `start` begins.
fn line_start(text: &str, start: usize) -> usize {
    text[..start].rfind('\n').map_or(0, |at| at + 1)
}

/// A text in quotes for an error to repeat: harmless, and not too long.
pub fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

/// As much of a text as an error repeats.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text.to_owned(),
    }
}

/// `; did you mean X?` for the name that `wanted` is closest to, if one is close.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(wanted, known) {
        Some(name) => format!("; did you mean {name}?"),
        None => String::new(),
    }
}

/// The known name that is closest to `wanted`, if one is close.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let last = |path: &str| path.rsplit("::").next().map(str::to_owned);
    let rate = |name: &str| {
        // One path may lack what the other begins with.
        let name = name.to_lowercase();
        let alike = last(&name) == last(&wanted);
        strsim::jaro_winkler(&wanted, &name).max(if alike { 0.9 } else { 0.0 })
    };
    let rated = known.into_iter().map(|name| (rate(name), name));
    let best = rated.max_by(|(left, _), (right, _)| left.total_cmp(right));
    best.filter(|(rate, _)| *rate > 0.8).map(|(_, name)| name)
}

/// `a, b or c`.
pub fn one_of<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_shown_in_its_line() {
        let text = "first\n  rähd BAR0\nlast";
        let shown = Diagnostic::new(Span::from(8..13), "no").show("f", text);
        assert_eq!(shown, "f:2:3: no\n  2 |   rähd BAR0\n    |   ^^^^");
        let at_end = Diagnostic::new(Span::from(text.len()..text.len()), "more").show("f", text);
        assert_eq!(at_end, "f:3:5: more\n  3 | last\n    |     ^");
        // Whatever the place is, it is shown.
        for start in 0..40 {
            for end in 0..40 {
                Diagnostic::new(Span { start, end }, "").show("f", text);
            }
        }
    }

    #[test]
    fn a_line_that_is_hostile_or_long_is_shown_in_part_and_harmless() {
        let shown = Diagnostic::new(Span::from(9..10), "no").show("f", "a\t\u{1b}[2J\u{202e}x");
        assert_eq!(shown, "f:1:8: no\n  1 | a .[2J.x\n    |        ^");
        let long = format!("{}HERE{}", "a".repeat(100_000), "b".repeat(100_000));
        let diagnostic = Diagnostic::new(Span::from(100_000..100_004), "no");
        assert_eq!(diagnostic.position(&long), Position { line: 1, column: 100_001 });
        let expected = format!(
            "f:1:100001: no\n  1 | {}HERE{}\n    | {}^^^^",
            "a".repeat(40),
            "b".repeat(116),
            " ".repeat(40)
        );
        assert_eq!(diagnostic.show("f", &long), expected);
    }

    #[test]
    fn only_a_close_name_is_proposed() {
        assert_eq!(did_you_mean("STATU", ["ID", "STATUS"]), "; did you mean STATUS?");
        assert_eq!(did_you_mean("status", ["ID", "STATUS"]), "; did you mean STATUS?");
        assert_eq!(did_you_mean("XYZ", ["ID", "STATUS"]), "");
        assert_eq!(did_you_mean("nosuch::probe", ["lab::start", "lab::probe"]), "; did you mean lab::probe?");
        assert_eq!(one_of(["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(["a"]), "a");
    }
}
