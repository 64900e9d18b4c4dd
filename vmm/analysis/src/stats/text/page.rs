//! Lines with aligned figures.

use anstyle::Style;

use crate::style::{ASIDE, HEADING, Paint};
use crate::table::{columns, cut_beginning, left, right};
use crate::words::number;

/// A column of figures, aligned right: heading and width.
#[derive(Clone, Copy)]
pub(super) struct Column(pub(super) &'static str, pub(super) usize);

/// Text that grows.
pub(super) struct Page {
    out: String,
    width: usize,
    paint: Paint,
}

impl Page {
    pub(super) fn new(width: usize, color: bool) -> Self {
        Self { out: String::new(), width, paint: Paint { color } }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn paint(&self, style: Style, text: impl std::fmt::Display) -> String {
        self.paint.paint(style, text)
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.out += text.as_ref().trim_end();
        self.out.push('\n');
    }

    /// A table begins, or a paragraph.
    pub(super) fn heading(&mut self, text: &str, columns: &[Column]) {
        self.line("");
        let titles: Vec<_> = columns.iter().map(|column| column.0.to_owned()).collect();
        let line = self.aligned(text, columns, &titles);
        let line = self.paint.paint(HEADING, line.trim_end());
        self.line(line);
    }

    /// A row of a table: a name, which gives way, and figures.
    pub(super) fn row(&mut self, name: &str, columns: &[Column], figures: &[String]) {
        let line = self.aligned(name, columns, figures);
        self.line(line);
    }

    /// How many rows were left out, if any.
    pub(super) fn others(&mut self, count: usize) {
        if count > 0 {
            let line = format!("  and {} more", number(count as u64));
            let line = self.paint.paint(ASIDE, line);
            self.line(line);
        }
    }

    /// Words that go on in the next line, each line indented.
    pub(super) fn wrapped(&mut self, indent: usize, text: &str, style: Style) {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && indent + columns(&line) + 1 + columns(word) > self.width {
                self.indented(indent, &line, style);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        self.indented(indent, &line, style);
    }

    fn indented(&mut self, indent: usize, text: &str, style: Style) {
        let text = self.paint.paint(style, text);
        self.line(format!("{:indent$}{text}", ""));
    }

    fn aligned(&self, name: &str, columns: &[Column], figures: &[String]) -> String {
        let taken: usize = columns.iter().map(|column| column.1).sum();
        let room = self.width.saturating_sub(taken).min(60);
        let mut line = name.to_owned();
        if !columns.is_empty() {
            line = left(&cut_beginning(name, room), room);
        }
        for (Column(_, width), figure) in columns.iter().zip(figures) {
            line += &right(figure, *width);
        }
        line
    }
}
