//! Words, numbers and signs of filters and expectations.

use barscope_device::diagnostic::{Diagnostic, Span};

/// A word of the language.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name, a keyword, a place: letters, digits, `_`, `-`, `/`, and `.`, `::`, `+` within.
    Word(String),
    /// A number.
    Number(u64),
    /// A time, in nanoseconds.
    Time(u64),
    /// A percentage.
    Percent(u64),
    /// Bus, device and function, like `00:04.0`.
    Address(String),
    /// Text in quotes.
    Text(String),
    /// A sign, like `==`.
    Sign(&'static str),
}

/// A word of the language, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// Longer ones first.
const SIGNS: [&str; 21] = [
    "==", "!=", "<=", ">=", "!~", "&&", "||", "..", "(", ")", "{", "}", "<", ">", "=", "~", "&", "|", "!",
    ",", ":",
];

/// Nanoseconds of each unit of time.
const TIMES: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
/// Factors of sizes.
const SIZES: [(&str, u64); 6] =
    [("K", 1 << 10), ("KiB", 1 << 10), ("M", 1 << 20), ("MiB", 1 << 20), ("G", 1 << 30), ("GiB", 1 << 30)];

/// The words of `text` from byte `start` to byte `end`; what follows a `#` is a remark.
pub(crate) fn lex(text: &str, start: usize, end: usize) -> Result<Vec<Lexeme>, Diagnostic> {
    let mut found = Vec::new();
    let mut at = start;
    while let Some(next) = text[at..end].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        // A line that goes on in the next one.
        if next == '\\' && text[at + 1..end].trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
            at += 1;
            continue;
        }
        if next == '#' {
            at += text[at..end].find('\n').unwrap_or(end - at);
            continue;
        }
        let rest = &text[at..end];
        let (token, length) =
            token(rest).map_err(|(length, message)| Diagnostic::new(Span::from(at..at + length), message))?;
        found.push(Lexeme { token, span: Span::from(at..at + length) });
        at += length;
    }
    Ok(found)
}

/// The first word of `rest`, which isn't empty, and its length; or what is wrong with how many bytes.
fn token(rest: &str) -> Result<(Token, usize), (usize, String)> {
    let first = rest.chars().next().unwrap_or(' ');
    if first == '"' {
        return quoted(rest);
    }
    if let Some(address) = address(rest) {
        return Ok((Token::Address(address.to_owned()), address.len()));
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    if first.is_alphabetic() || first == '_' || first == '/' {
        let length = word_length(rest);
        return Ok((Token::Word(rest[..length].to_owned()), length));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err((first.len_utf8(), format!("{first:?} has no meaning here"))),
    }
}

fn quoted(rest: &str) -> Result<(Token, usize), (usize, String)> {
    let line = rest.lines().next().unwrap_or_default();
    match line[1..].find('"') {
        Some(length) => Ok((Token::Text(line[1..=length].to_owned()), length + 2)),
        None => Err((line.trim_end().len(), "a text that begins with \" has to end with one".to_owned())),
    }
}

/// `BB:DD.F` at the beginning of `rest`.
fn address(rest: &str) -> Option<&str> {
    let candidate = rest.get(..7)?;
    let shape = candidate.bytes().enumerate().all(|(at, byte)| match at {
        2 => byte == b':',
        5 => byte == b'.',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = rest[7..].chars().next().is_none_or(|next| !next.is_alphanumeric());
    (shape && ends).then_some(candidate)
}

fn number(rest: &str) -> Result<(Token, usize), (usize, String)> {
    let length = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
    let word = &rest[..length];
    let plain = word.replace('_', "");
    let based = |prefix: &str, radix| Some(u64::from_str_radix(plain.strip_prefix(prefix)?, radix));
    if let Some(value) = based("0x", 16).or_else(|| based("0b", 2)) {
        let value = value.map_err(|_| (length, format!("{word} is no number of 64 bits")))?;
        return Ok((Token::Number(value), length));
    }
    let digits = plain.find(|next: char| !next.is_ascii_digit()).unwrap_or(plain.len());
    let (digits, unit) = plain.split_at(digits);
    let value: u64 = digits.parse().map_err(|_| (length, format!("{word} is no number of 64 bits")))?;
    let scaled = |factor: u64| value.checked_mul(factor).ok_or((length, format!("{word} is too large")));
    if unit.is_empty() {
        return Ok(match rest[length..].starts_with('%') {
            true => (Token::Percent(value), length + 1),
            false => (Token::Number(value), length),
        });
    }
    if let Some((_, factor)) = TIMES.iter().find(|(name, _)| *name == unit) {
        return Ok((Token::Time(scaled(*factor)?), length));
    }
    if let Some((_, factor)) = SIZES.iter().find(|(name, _)| *name == unit) {
        return Ok((Token::Number(scaled(*factor)?), length));
    }
    Err((length, format!("{word} is no number: 10, 0x1f, 0b101, 4K, or a time in ns, us, ms or s")))
}

/// How long the word at the beginning of `rest` is.
fn word_length(rest: &str) -> usize {
    let mut length = 0;
    while let Some(next) = rest[length..].chars().next() {
        let after = &rest[length + next.len_utf8()..];
        let goes_on = after.chars().next().is_some_and(|after| after.is_alphanumeric() || after == '_');
        let step = match next {
            _ if next.is_alphanumeric() || matches!(next, '_' | '/') => next.len_utf8(),
            '.' | '+' | '-' if goes_on => 1,
            ':' if after.starts_with(':') && after[1..].chars().next().is_some_and(char::is_alphanumeric) => {
                2
            }
            // The memory type.
            '-' if rest[..length].eq_ignore_ascii_case("UC") => 1,
            _ => break,
        };
        length += step;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text, 0, text.len()).unwrap().into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn words_numbers_and_signs() {
        let word = |text: &str| Token::Word(text.to_owned());
        assert_eq!(
            tokens("BAR0.ID bar0+0x8 lab::isr page-fault /dev/mem"),
            [word("BAR0.ID"), word("bar0+0x8"), word("lab::isr"), word("page-fault"), word("/dev/mem"),]
        );
        assert_eq!(
            tokens("1 0x1_0 0b11 4K 50us 1ms 90% 00:04.0"),
            [
                Token::Number(1),
                Token::Number(16),
                Token::Number(3),
                Token::Number(4096),
                Token::Time(50_000),
                Token::Time(1_000_000),
                Token::Percent(90),
                Token::Address("00:04.0".to_owned()),
            ]
        );
        assert_eq!(
            tokens("a:b\"c d\"..2 # rest\n!"),
            [
                word("a"),
                Token::Sign(":"),
                word("b"),
                Token::Text("c d".to_owned()),
                Token::Sign(".."),
                Token::Number(2),
                Token::Sign("!"),
            ]
        );
    }

    #[test]
    fn what_is_no_word_is_pointed_at() {
        for (text, start, end) in
            [("a @", 2, 3), ("1x", 0, 2), ("a \"b", 2, 4), ("é ¡", 3, 5), ("99999999999999999999", 0, 20)]
        {
            let diagnostic = lex(text, 0, text.len()).unwrap_err();
            assert_eq!((diagnostic.span.start, diagnostic.span.end), (start, end), "{text}");
        }
    }
}
