//! What is wrong with a text that somebody wrote, where, and what would be right.

use std::fmt;
use std::ops::Range;

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
    pub(crate) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }
}

/// Diagnostic of a mistake in a filter or an expectation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// Where.
    pub span: Span,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// The diagnostic with its line and column, and the line itself; `name` is the file's.
    ///
    /// ```text
    /// irq.expect:3:8: no register BAR0.STATU; did you mean BAR0.STATUS?
    ///   3 |   read BAR0.STATU
    ///     |        ^^^^^^^^^^
    /// ```
    pub fn show(&self, name: &str, text: &str) -> String {
        let Position { line, column, content, width } = Position::of(self.span, text);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(column - 1);
        let carets = "^".repeat(width);
        format!("{name}:{line}:{column}: {self}\n  {number} | {content}\n  {margin} | {indent}{carets}",)
    }
}

/// A place in a text as people count.
struct Position<'a> {
    line: usize,
    column: usize,
    content: &'a str,
    width: usize,
}

impl<'a> Position<'a> {
    fn of(span: Span, text: &'a str) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let content = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count();
        let marked = text[start..end].lines().next().unwrap_or_default().chars().count();
        let left = content.chars().count().saturating_sub(column);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: column + 1,
            content,
            width: marked.min(left).max(1),
        }
    }
}

/// `; did you mean X?` for the name that `wanted` is closest to, if one is close.
pub(crate) fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
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
pub(crate) fn one_of<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
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
    fn only_a_close_name_is_proposed() {
        assert_eq!(did_you_mean("STATU", ["ID", "STATUS"]), "; did you mean STATUS?");
        assert_eq!(did_you_mean("status", ["ID", "STATUS"]), "; did you mean STATUS?");
        assert_eq!(did_you_mean("XYZ", ["ID", "STATUS"]), "");
        assert_eq!(did_you_mean("nosuch::probe", ["lab::start", "lab::probe"]), "; did you mean lab::probe?");
        assert_eq!(one_of(["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(["a"]), "a");
    }
}
