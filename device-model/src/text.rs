//! Which texts can be shown and which can be names, whoever wrote them.

/// Whether a terminal obeys a character rather than show it: C0 and C1 controls, Unicode's separators of lines and
/// paragraphs, and its marks, embeddings, overrides and isolates of direction (Unicode Standard Annex 9, section 2).
pub fn obeyed(character: char) -> bool {
    let direction = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}');
    // U+2028 and U+2029 are the separators.
    direction || character.is_control() || matches!(character, '\u{2028}'..='\u{202e}')
}
