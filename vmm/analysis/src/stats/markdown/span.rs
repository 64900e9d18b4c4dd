//! Names of a trace in Markdown: as code, in which GitHub finds no markup, links, mentions or formulas.

use barscope_trace::harmless::harmless;

/// How many characters of a name are shown.
const MOST: usize = 120;

/// `text` as code; nothing for an empty one. What is too long loses its end.
pub(super) fn code(text: &str) -> String {
    let text = harmless(text);
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown += "..";
    }
    if shown.is_empty() {
        return shown;
    }
    let fence = "`".repeat(longest_run(&shown) + 1);
    // Markdown takes a blank away on both sides if there is one on both, and something between them.
    let blank = |end: Option<char>| matches!(end, Some('`' | ' '));
    let apart = blank(shown.chars().next()) || blank(shown.chars().last());
    let apart = if apart && !shown.trim_matches(' ').is_empty() { " " } else { "" };
    format!("{fence}{apart}{shown}{apart}{fence}")
}

/// How many backticks there are in a row, at most.
fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}
