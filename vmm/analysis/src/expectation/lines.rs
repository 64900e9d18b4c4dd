//! Lines, and which belong to which.

use barscope_device::diagnostic::{Diagnostic, Span};

use crate::filter::lexer::{Lexeme, lex};
use crate::filter::parser::Parser;

/// A line, and those that belong to it.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) span: Span,
    /// Without what is around it.
    pub(super) text: String,
    lexemes: Vec<Lexeme>,
    pub(super) children: Vec<Line>,
}

/// How many levels of indentation a file may have; two are of use.
const LEVELS: usize = 8;

/// The lines that belong to no other.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, Diagnostic> {
    let mut top = Vec::new();
    // The lines that the next one may belong to, with their indentations.
    let mut open: Vec<(usize, Line)> = Vec::new();
    let mut start = 0;
    let mut number = 0;
    while start < text.len() {
        let first_number = number + 1;
        let mut end = start;
        loop {
            number += 1;
            let stop = text[end..].find('\n').map_or(text.len(), |at| end + at);
            let goes_on = text[end..stop].trim_end().ends_with('\\') && stop < text.len();
            end = stop;
            if !goes_on {
                break;
            }
            end += 1;
        }
        let content = &text[start..end];
        let indent = content.len() - content.trim_start_matches([' ', '\t']).len();
        let lexemes = lex(text, start, end)?;
        if let (Some(first), Some(last)) = (lexemes.first(), lexemes.last()) {
            let span = first.span.to(last.span);
            let line = Line {
                number: first_number,
                span,
                text: text[span.start..span.end].to_owned(),
                lexemes,
                children: Vec::new(),
            };
            while open.last().is_some_and(|(outer, _)| *outer >= indent) {
                close(&mut open, &mut top);
            }
            if open.len() == LEVELS {
                return Err(Diagnostic::new(span, "too many levels of indentation"));
            }
            if open.is_empty() && indent > 0 {
                let message = "this line is indented, but belongs to none: begin it at the margin";
                return Err(Diagnostic::new(span, message));
            }
            open.push((indent, line));
        }
        start = end + 1;
    }
    while !open.is_empty() {
        close(&mut open, &mut top);
    }
    Ok(top)
}

/// Nothing more belongs to the last line of `open`.
fn close(open: &mut Vec<(usize, Line)>, top: &mut Vec<Line>) {
    if let Some((_, line)) = open.pop() {
        match open.last_mut() {
            Some((_, outer)) => outer.children.push(line),
            None => top.push(line),
        }
    }
}

impl Line {
    /// Reads it.
    pub(super) fn parser(&self) -> Parser<'_> {
        Parser::new(&self.lexemes, self.span.end)
    }

    /// Nothing more may be in it.
    pub(super) fn ends(&self, parser: &Parser<'_>) -> Result<(), Diagnostic> {
        if parser.is_done() { Ok(()) } else { Err(parser.expected("the end of the line")) }
    }

    /// Nothing may belong to it.
    pub(super) fn has_no_children(&self) -> Result<(), Diagnostic> {
        match self.children.first() {
            None => Ok(()),
            Some(child) => {
                let message = "this line is indented more, but nothing can belong to the one above it";
                Err(Diagnostic::new(child.span, message))
            }
        }
    }
}
