//! Text in columns at the terminal: how wide it is there, padded, cut, and in lines that fit.
//!
//! A column is what a terminal has, not a byte or a character: most CJK characters take two, combining ones none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const BLANKS: &str = "                                ";

/// Columns that `text` takes.
pub(crate) fn columns(text: &str) -> usize {
    // Nearly all of it, and there each byte takes one.
    if text.is_ascii() { text.len() } else { text.width() }
}

/// `text` at the left of `width` columns; as it is if it is wider.
pub(crate) fn left(text: &str, width: usize) -> String {
    let mut padded = String::with_capacity(text.len().max(width));
    padded.push_str(text);
    pad(&mut padded, 0, width);
    padded
}

/// `text` at the right of `width` columns; as it is if it is wider.
pub(crate) fn right(text: &str, width: usize) -> String {
    let mut padded = String::with_capacity(text.len().max(width));
    blanks(&mut padded, width.saturating_sub(columns(text)));
    padded.push_str(text);
    padded
}

/// `text` in at most `room` columns: what doesn't fit gives way to two dots.
pub(crate) fn cut_end(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    split(text, room.saturating_sub(2)).0.to_owned() + ".."
}

/// The same, where what a path of names begins with goes first; its indentation stays.
pub(crate) fn cut_beginning(text: &str, room: usize) -> String {
    let length = columns(text);
    if length <= room {
        return text.to_owned();
    }
    let indent = text.chars().take_while(|character| *character == ' ').count();
    let goes = length - room.saturating_sub(indent + 2).min(length);
    let (before, mut kept) = split(text, goes);
    if columns(before) < goes {
        // A wide character lies across the cut.
        kept = kept.get(kept.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    format!("{:indent$}..{kept}", "")
}

/// `text` in pieces of at most `width` columns, and of a character at least.
pub(crate) fn pieces(mut text: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while let Some(first) = text.chars().next() {
        let (piece, rest) = split(text, width.max(columns(first.encode_utf8(&mut [0; 4]))));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

/// As much of `text` as fits into `room` columns, and the rest. Combining characters stay with theirs.
fn split(text: &str, room: usize) -> (&str, &str) {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += character.width().unwrap_or(1);
        taken > room
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// `items`, separated by commas, after `head`, on as many lines as they need; all but the first are
/// indented by `indent`. Lines break between items, or between words where an item is too long.
pub(crate) fn wrap(head: &str, indent: usize, items: &[String], width: usize) -> Vec<String> {
    let mut lines = vec![head.to_owned()];
    let mut at_start = true;
    for (at, item) in items.iter().enumerate() {
        let comma = if at + 1 < items.len() { "," } else { "" };
        let item = format!("{item}{comma}");
        let room = width.saturating_sub(if at == 0 { columns(head) } else { indent });
        let pieces = if columns(&item) <= room { vec![item.as_str()] } else { item.split(' ').collect() };
        for piece in pieces {
            let Some(line) = lines.last_mut() else { break };
            let space = if at_start { "" } else { " " };
            if columns(line) + space.len() + columns(piece) <= width {
                *line += space;
                *line += piece;
            } else {
                lines.push(" ".repeat(indent) + piece);
            }
            at_start = false;
        }
    }
    lines
}

/// Appends `item` after the head of a line, which stands in `text` and takes `used` columns, on as many lines as it
/// needs, broken as [`wrap`] breaks them. Each line ends, without blanks before that.
pub(crate) fn flow(text: &mut String, used: usize, indent: usize, item: &str, width: usize) {
    if used + columns(item) <= width {
        text.push_str(item);
        return end_line(text);
    }
    let mut column = used;
    let mut at_start = true;
    for word in words(item, width.saturating_sub(indent)) {
        let space = usize::from(!at_start);
        let wide = columns(word);
        if column + space + wide <= width {
            blanks(text, space);
            column += space + wide;
        } else {
            end_line(text);
            blanks(text, indent);
            column = indent + wide;
        }
        text.push_str(word);
        at_start = false;
    }
    end_line(text);
}

/// The words of `text`, where one in brackets (`[test 86]`, `(caused by 57)`) is one word unless it is wider than `room`.
fn words(text: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let plain = text.find(' ').unwrap_or(text.len());
        let closes = match text.as_bytes().first() {
            Some(b'[') => text.find(']'),
            Some(b'(') => text.find(')'),
            _ => None,
        };
        let whole = closes.filter(|close| columns(&text[..=*close]) <= room);
        let end = whole.map_or(plain, |close| close + text[close..].find(' ').unwrap_or(text.len() - close));
        rest = text.get(end + 1..);
        Some(&text[..end])
    })
}

/// Ends the last line of `text`, without the blanks at its end.
pub(crate) fn end_line(text: &mut String) {
    let start = text.rfind('\n').map_or(0, |at| at + 1);
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

/// Appends blanks until what stands from byte `start` on takes `width` columns.
pub(crate) fn pad(text: &mut String, start: usize, width: usize) {
    blanks(text, width.saturating_sub(columns(&text[start..])));
}

/// Appends so many blanks.
pub(crate) fn blanks(text: &mut String, mut count: usize) {
    while count > 0 {
        let some = count.min(BLANKS.len());
        text.push_str(&BLANKS[..some]);
        count -= some;
    }
}

/// Puts blanks before what stands from byte `start` on, for it to take `width` columns.
pub(crate) fn pad_before(text: &mut String, start: usize, width: usize) {
    let missing = width.saturating_sub(columns(&text[start..]));
    if missing > 0 {
        text.insert_str(start, &BLANKS[..missing.min(BLANKS.len())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(make: impl FnOnce(&mut String)) -> String {
        let mut text = "é ".to_owned();
        make(&mut text);
        text
    }

    #[test]
    fn padding_counts_columns_from_where_it_is_told() {
        assert_eq!(made(|text| text.push_str("ab")), "é ab");
        let padded = |width| {
            made(|text| {
                text.push_str("名前");
                pad(text, "é ".len(), width);
            })
        };
        assert_eq!([padded(3), padded(6), padded(40)], ["é 名前", "é 名前  ", &format!("é 名前{:36}", "")]);
        let before = |width| {
            made(|text| {
                text.push_str("12 us");
                pad_before(text, "é ".len(), width);
            })
        };
        assert_eq!([before(4), before(9)], ["é 12 us", "é     12 us"]);
    }

    #[test]
    fn wide_characters_take_two_columns_and_combining_ones_none() {
        assert_eq!(["abc", "名前", "e\u{301}", "Gerät", ""].map(columns), [3, 4, 1, 5, 0]);
        assert_eq!((left("名前", 6).as_str(), right("名前", 6).as_str()), ("名前  ", "  名前"));
        assert_eq!((left("名前", 3).as_str(), right("e\u{301}", 3).as_str()), ("名前", "  e\u{301}"));
    }

    /// What is printed of an access goes by the one, everything else by the other.
    #[test]
    fn a_single_item_flows_as_it_is_wrapped() {
        for item in ["", "a", "bb ccc dddd", "名前 です  e", "averyverylongword b", "trailing   ", "a  b"]
        {
            for (head, width) in (0..24).flat_map(|width| [("", width), ("head ", width), ("名 ", width)]) {
                let wrapped: String = wrap(head, 3, &[item.to_owned()], width)
                    .iter()
                    .map(|line| format!("{}\n", line.trim_end()))
                    .collect();
                let mut flowed = format!("before  \n{head}");
                flow(&mut flowed, columns(head), 3, item, width);
                assert_eq!(flowed, format!("before  \n{wrapped}"), "{item:?} after {head:?} in {width}");
            }
        }
    }

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(cut_end("名前です", 8), "名前です");
        assert_eq!(cut_end("名前です", 7), "名前..");
        assert_eq!(cut_end("名前です", 6), "名前..");
        assert_eq!(cut_end("e\u{301}bcd", 3), "e\u{301}..");
        assert_eq!(cut_beginning("  名前::です", 12), "  名前::です");
        assert_eq!(cut_beginning("  名前::です", 10), "  ..::です");
        assert_eq!(cut_beginning("  名前::です", 9), "  ..:です");
        assert_eq!(cut_beginning("  名前::です", 7), "  ..す");
        assert_eq!(pieces("名前です", 5), ["名前", "です"]);
        assert_eq!(pieces("名前", 1), ["名", "前"]);
        assert_eq!(pieces("abcde", 2), ["ab", "cd", "e"]);
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(cut_beginning("  a::very::long::name", 12), "  ..ng::name");
        assert_eq!(cut_beginning("  short", 12), "  short");
    }

    #[test]
    fn lines_break_where_their_columns_end() {
        let items = ["プロセス".to_owned(), "ab".to_owned()];
        assert_eq!(wrap("x ", 2, &items, 14), ["x プロセス, ab"]);
        assert_eq!(wrap("x ", 2, &items, 13), ["x プロセス,", "  ab"]);
        assert_eq!(wrap("", 1, &["プロ セス".to_owned()], 8), ["プロ", " セス"]);
    }

    #[test]
    fn what_is_in_brackets_stays_on_one_line() {
        let flowed = |item: &str, width| {
            let mut text = String::new();
            flow(&mut text, 0, 2, item, width);
            text
        };
        assert_eq!(
            flowed("paths::ioctl [ioctl 86] (caused by 57)", 20),
            "paths::ioctl\n  [ioctl 86]\n  (caused by 57)\n"
        );
        // One that is wider than a line breaks as ever.
        assert_eq!(flowed("f (caused by 57)", 10), "f (caused\n  by 57)\n");
        assert_eq!(flowed("f [open x", 6), "f\n  [open\n  x\n");
    }
}
