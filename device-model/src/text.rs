//! Which texts can be shown and which can be names, whoever wrote them.

/// Whether a terminal obeys a character rather than show it: C0 and C1 controls, Unicode's separators of lines and
/// paragraphs, and its marks, embeddings, overrides and isolates of direction (Unicode Standard Annex 9, section 2).
pub fn obeyed(character: char) -> bool {
    let direction = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}');
    // U+2028 and U+2029 are the separators.
    direction || character.is_control() || matches!(character, '\u{2028}'..='\u{202e}')
}

/// The most characters of a name.
pub(crate) const NAME_MAX: usize = 64;

/// What [`is_name`] asks for, for people.
pub(crate) const NAME_RULE: &str = "ASCII letters, digits and _, no digit first, at most 64";

/// Whether something in a register map can go by this name: a filter can ask for it as one word.
pub(crate) fn is_name(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    begins && text.len() <= NAME_MAX && text.bytes().all(part)
}

/// What [`is_device_name`] asks for, for people.
pub const DEVICE_NAME_RULE: &str = "ASCII letters, digits, - and _, no - first, at most 64";

/// Whether a device can go by this name, which a command line says.
pub fn is_device_name(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && !text.starts_with('-') && text.len() <= NAME_MAX && text.bytes().all(part)
}

/// The most characters of a text that says what something is for.
pub(crate) const TEXT_MAX: usize = 1000;

/// What [`is_text`] asks for, for people.
pub(crate) const TEXT_RULE: &str =
    "one line of at most 1000 characters, without control characters or marks of direction";

/// Whether a text can say in a line what something is for.
pub(crate) fn is_text(text: &str) -> bool {
    !text.chars().any(obeyed) && text.chars().nth(TEXT_MAX).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_name_that_command_lines_can_say() {
        for name in ["lab", "e1000", "82540EM", "pci-testdev", "_"] {
            assert!(is_device_name(name), "{name}");
        }
        for other in ["", "-x", "a b", "a.toml", "a/b", "a,b", "ä"] {
            assert!(!is_device_name(other), "{other}");
        }
    }

    #[test]
    fn a_text_is_a_line_that_no_terminal_obeys() {
        for text in ["", "a | b\\", "Gerät·1 ‒ ü", &"ä".repeat(1000)] {
            assert!(is_text(text), "{text}");
        }
        for other in ["a\nb", "\u{1b}[2J", "a\tb", "\u{202e}", &"a".repeat(1001)] {
            assert!(!is_text(other), "{other}");
        }
    }

    #[test]
    fn a_name_is_one_word_of_filters() {
        for name in ["ID", "_x", "DMA_STATUS0", "a", &"A".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "0A", "A B", "A.B", "A-B", "Ä", "A\u{1b}", "A|B", &"A".repeat(65)] {
            assert!(!is_name(other), "{other}");
        }
    }
}
