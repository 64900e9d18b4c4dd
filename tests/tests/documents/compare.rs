//! Whether what a document shows is what was printed.

/// How exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// Every character, but for the spaces at a line's end.
    All,
    /// All but numbers, and where lines break: for what time, the host or an address decides.
    Form,
}

/// Stands for lines that a document leaves out, any number of them, also none.
const LEFT_OUT: &str = "...";

/// Whether the lines shown are those printed.
pub fn shows(shown: &[&str], printed: &[&str], exactness: Exactness) -> bool {
    match exactness {
        Exactness::All => {
            let lines =
                |lines: &[&str]| lines.iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            matches(&lines(shown), &lines(printed))
        }
        // A longer number may break the line elsewhere.
        Exactness::Form => {
            let words = |lines: &[&str]| {
                lines.iter().flat_map(|line| line.split_whitespace()).map(form).collect::<Vec<_>>()
            };
            matches(&words(shown), &words(printed))
        }
    }
}

/// Whether these pieces are those, where `...` stands for any.
fn matches(shown: &[String], printed: &[String]) -> bool {
    // reached[n]: the pieces shown so far can be the first n that were printed.
    let mut reached = vec![false; printed.len() + 1];
    reached[0] = true;
    for piece in shown {
        reached = if piece.trim() == LEFT_OUT {
            let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
            (0..reached.len()).map(|at| at >= first).collect()
        } else {
            let after = |at: usize| at > 0 && reached[at - 1] && printed[at - 1] == *piece;
            (0..reached.len()).map(after).collect()
        };
    }
    reached[printed.len()]
}

/// A word with `#` for each number in it, with or without a decimal point.
fn form(word: &str) -> String {
    let mut form = String::new();
    // Pieces between what can't be in a number.
    let part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    for piece in word.split_inclusive(|char: char| !part(char)) {
        let end = piece.trim_end_matches(|char: char| !part(char)).len();
        let (number, rest) = piece.split_at(end);
        form.push_str(if is_number(number) { "#" } else { number });
        form.push_str(rest);
    }
    form.replace("#.#", "#")
}

/// Decimal, `0x..`, or the digits of an address.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    !digits.is_empty() && (decimal || hexadecimal && (digits.len() < word.len() || digits.len() >= 5))
}

#[test]
fn what_is_shown_is_all_that_was_printed() {
    let shows = |shown: &str, printed: &str| {
        let (shown, printed): (Vec<_>, Vec<_>) = (shown.lines().collect(), printed.lines().collect());
        super::compare::shows(&shown, &printed, Exactness::All)
    };
    assert!(shows("a\nb", "a\nb"));
    assert!(shows("a  \nb", "a\nb "));
    assert!(!shows("a", "a\nb"));
    assert!(!shows("a\nb", "a"));
    assert!(!shows("a\nb", "b\na"));
    assert!(!shows("1", "2"));
    assert!(shows("a\n...", "a\nb\nc"));
    assert!(shows("a\n...\nc", "a\nc"));
    assert!(shows("...\nb\n...\nb\n...", "b\na\nb"));
    assert!(!shows("...\nb\n...\nb\n...", "a\nb\na"));
}

#[test]
fn of_what_varies_the_form_is_held() {
    for (line, expected) in [
        ("ffffd11b00035008", "#"),
        ("BAR0+0x008", "BAR0+#"),
        ("lab_file.c:240", "lab_file.c:#"),
        ("87]", "#]"),
        ("0.41", "#"),
        ("face", "face"),
        ("dead_code", "dead_code"),
    ] {
        assert_eq!(form(line), expected);
    }
    assert!(shows(&["at  0x1f, 3 us"], &["at 0x20,", "  12.5 us"], Exactness::Form));
    assert!(!shows(&["at 0x1f, 3 us"], &["at 0x20, 3 ms"], Exactness::Form));
}
