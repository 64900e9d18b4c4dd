//! Lines of a console, put together from its bytes.

/// The longest line in bytes: what is longer comes in parts. Linux's own messages have no more (`LOG_LINE_MAX`).
const LONGEST: usize = 1024;
/// How far apart tabulators are.
const TABULATOR: usize = 8;

/// A line that is being printed.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
    /// A carriage return came last: a line feed after it is the same end of a line.
    returned: bool,
}

impl Lines {
    /// Takes the next byte; the line that it ends. Empty lines are none, tabulators become blanks, and a carriage
    /// return begins a new line, so that none is written over.
    pub fn push(&mut self, byte: u8) -> Option<String> {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match byte {
            b'\n' if returned => None,
            b'\n' | b'\r' => self.rest(),
            b'\t' => {
                let next = (self.line.len() / TABULATOR + 1) * TABULATOR;
                self.line.resize(next, b' ');
                self.part()
            }
            _ => {
                self.line.push(byte);
                self.part()
            }
        }
    }

    /// What came of the line so far; `None` if that is nothing but blanks.
    pub fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// As much of a line that is too long as has whole characters.
    fn part(&mut self) -> Option<String> {
        if self.line.len() < LONGEST {
            return None;
        }
        let begun = match std::str::from_utf8(&self.line) {
            // The last character isn't there in full.
            Err(error) if error.error_len().is_none() => self.line.split_off(error.valid_up_to()),
            _ => Vec::new(),
        };
        let part = self.rest();
        self.line = begun;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<_> = bytes.iter().filter_map(|byte| lines.push(*byte)).collect();
        all.extend(lines.rest());
        all
    }

    #[test]
    fn a_line_ends_with_a_line_feed_a_carriage_return_or_both() {
        let all = lines(b"one\r\ntwo\n\n\r\r\n50 %\r100 %\nrest");
        assert_eq!(all, ["one", "two", "50 %", "100 %", "rest"]);
    }

    #[test]
    fn tabulators_are_blanks_and_wrong_bytes_are_told() {
        assert_eq!(lines(b"a\tb\t\tc \t\n"), ["a       b               c"]);
        assert_eq!(lines(b"a\x9bb\xc3\xa4\n"), ["a\u{fffd}b\u{e4}"]);
    }

    #[test]
    fn a_long_line_comes_in_parts_that_have_whole_characters() {
        let parts = |text: &[u8]| lines(text).iter().map(String::len).collect::<Vec<_>>();
        let wide = "\u{e4}".repeat(700);
        assert_eq!(parts(wide.as_bytes()), [1024, 376]);
        assert_eq!(parts(format!("x{wide}").as_bytes()), [1023, 378]);
        assert_eq!(lines(&[0xff; 2000]).len(), 2);
    }
}
