//! Lines of a file that may be anything.

use std::io::{self, BufRead, Read};

/// The longest line in bytes; a longer one is passed over.
const LINE_MAX: u64 = 1 << 20;

/// The lines of an input.
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
    bytes: Vec<u8>,
}

/// A line without its end.
pub(crate) struct Numbered<'a> {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its text; or why it has none.
    pub(crate) text: Result<&'a str, &'static str>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, number: 0, bytes: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Numbered<'_>>> {
        self.bytes.clear();
        let length = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.bytes)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if length as u64 == LINE_MAX && !self.bytes.ends_with(b"\n") {
            self.pass()?;
            return Ok(Some(Numbered { number, text: Err("is longer than a line may be") }));
        }
        let text = std::str::from_utf8(&self.bytes).map(str::trim_end).map_err(|_| "is no text in UTF-8");
        Ok(Some(Numbered { number, text }))
    }

    /// Passes over the rest of a line.
    fn pass(&mut self) -> io::Result<()> {
        loop {
            self.bytes.clear();
            let length = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.bytes)?;
            if length == 0 || self.bytes.ends_with(b"\n") {
                return Ok(());
            }
        }
    }
}
