//! Text that a guest, a device or a trace chose, made harmless for terminals.
//!
//! A terminal obeys control characters, and shows what stands between the directions of Unicode in another order
//! than it has: a name could look like another one, or like words of ours. Each such character is shown as a dot.
//! The reader of traces does that to all texts of definitions, and to the names that images give code; so what is
//! printed, also as JSON or JUnit, and what filters are held against is the same harmless text. Consoles of guests
//! go through [`ForTerminal`].

use std::borrow::Cow;
use std::io::{self, Write};

use barscope_device::text::obeyed;

/// What a character that isn't harmless becomes.
const INSTEAD: char = '.';

/// `text` in one line, in which each character stands for itself.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().any(obeyed) {
        Cow::Owned(
            text.chars().map(|character| if obeyed(character) { INSTEAD } else { character }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// JSON in which no text holds anything else, be it as it is or escaped; space between texts stays.
pub(crate) fn harmless_json(json: &[u8]) -> Cow<'_, [u8]> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    if json.iter().all(plain) {
        return Cow::Borrowed(json);
    }
    // What isn't UTF-8 isn't JSON either.
    let Ok(text) = std::str::from_utf8(json) else { return Cow::Borrowed(json) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = if character == '\\' { escape_length(rest) } else { character.len_utf8() };
        let (this, after) = rest.split_at(length);
        let harmful = match character {
            '\\' => escaped(this).is_some_and(obeyed),
            ' ' | '\t' | '\n' | '\r' => false,
            other => obeyed(other),
        };
        out.push_str(if harmful { "." } else { this });
        rest = after;
    }
    Cow::Owned(out.into_bytes())
}

/// How long the escape is that `text` begins with.
fn escape_length(text: &str) -> usize {
    let length = if text.as_bytes().get(1) == Some(&b'u') { 6 } else { 2 };
    (length..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len())
}

/// The character that an escape stands for; `None` for half of one beyond 16 bits.
fn escaped(escape: &str) -> Option<char> {
    match escape.as_bytes().get(1)? {
        b'u' if escape.len() == 6 => char::from_u32(u32::from_str_radix(escape.get(2..)?, 16).ok()?),
        b'b' | b'f' | b'n' | b'r' | b't' => Some('\n'),
        _ => None,
    }
}

/// Passes a guest's console on to a terminal: lines and tabs as they are, everything else harmless, and what is no
/// UTF-8 as U+FFFD. A carriage return begins a new line, so that none is written over.
pub struct ForTerminal<W> {
    out: W,
    /// A character that isn't there in full.
    begun: Vec<u8>,
    /// A carriage return came last: a line feed after it is the same end of a line.
    returned: bool,
}

impl<W: Write> ForTerminal<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, begun: Vec::new(), returned: false }
    }

    fn character(&mut self, character: char, text: &mut String) {
        if character == '\r' {
            self.returned = true;
            return;
        }
        if std::mem::take(&mut self.returned) && character != '\n' {
            text.push('\n');
        }
        text.push(if obeyed(character) && !matches!(character, '\n' | '\t') { INSTEAD } else { character });
    }
}

impl<W: Write> Write for ForTerminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = String::new();
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (valid, wrong, after) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, false, &[][..]),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    let valid = std::str::from_utf8(valid).unwrap_or_default();
                    match error.error_len() {
                        Some(length) => (valid, true, &after[length..]),
                        None => {
                            self.begun = after.to_vec();
                            (valid, false, &[][..])
                        }
                    }
                }
            };
            valid.chars().for_each(|character| self.character(character, &mut text));
            if wrong {
                self.character(char::REPLACEMENT_CHARACTER, &mut text);
            }
            rest = after;
        }
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]]) -> String {
        let mut console = ForTerminal::new(Vec::new());
        for part in parts {
            console.write_all(part).unwrap();
        }
        String::from_utf8(console.out).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_is_a_dot() {
        assert_eq!(harmless("lab\u{1b}[31m\r\n\t\u{7f}\u{9b}2J"), "lab.[31m.....2J");
        assert_eq!(
            harmless("a\u{202e}b\u{2066}c\u{2069}d\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}"),
            "a.b.c.d....."
        );
        assert_eq!(harmless("Gerät·1 ‒ ü"), "Gerät·1 ‒ ü");
    }

    #[test]
    fn texts_in_json_are_harmless_as_they_are_and_escaped() {
        let json = "{\"a\\u001b\":\"\\n\\\\n\\\"\\u202E\u{202e}\\u00e4\\ud83d\\ude00\",\n \"b\":\"\u{85}\"}";
        let expected = "{\"a.\":\".\\\\n\\\"..\\u00e4\\ud83d\\ude00\",\n \"b\":\".\"}";
        assert_eq!(std::str::from_utf8(&harmless_json(json.as_bytes())).unwrap(), expected);
        for cut in ["\"\\", "\"\\u12", "\"\\u12ä4\"", "\"\\ä\""] {
            assert_eq!(&*harmless_json(cut.as_bytes()), cut.as_bytes(), "{cut:?}");
        }
        assert_eq!(&*harmless_json(&[b'"', 0xff, 0x1b]), &[b'"', 0xff, 0x1b]);
    }

    #[test]
    fn a_console_keeps_its_lines_and_tabs_and_nothing_else_that_a_terminal_obeys() {
        assert_eq!(shown(&[b"one\r\ntwo\tx\n\x1b[2Jthree\x07"]), "one\ntwo\tx\n.[2Jthree.");
        assert_eq!(shown(&["\u{202e}live\u{9b}".as_bytes()]), ".live.");
    }

    #[test]
    fn a_carriage_return_begins_a_line_and_writes_over_none() {
        assert_eq!(shown(&[b"50 %\r100 %\r\r\ndone\r"]), "50 %\n100 %\ndone");
    }

    #[test]
    fn a_character_that_comes_byte_by_byte_is_one_and_a_wrong_byte_is_told() {
        assert_eq!(shown(&[b"\xc3", b"\xa4", b"\xe2", b"\x80", b"\xae!"]), "ä.!");
        assert_eq!(shown(&[b"a\x9bb\xc3", b"c"]), "a\u{fffd}b\u{fffd}c");
    }
}
