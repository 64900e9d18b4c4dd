//! Numbers of a file as people write them: hexadecimal with `_` between digits, sizes with a unit, bits as data
//! sheets have them.

use std::fmt::Write;

/// Units of sizes, the largest first, and the shift that each stands for.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// The largest number that TOML promises to hold.
const TOML_MAX: u64 = i64::MAX as u64;

/// The number that `digits` say in some base; `None` if that is none of 64 bits without a sign.
pub(super) fn digits(digits: &str, radix: u32) -> Option<u64> {
    // `from_str_radix` alone takes a sign.
    let plain = digits.strip_prefix('+').unwrap_or(digits);
    plain.starts_with(|first: char| first.is_ascii_alphanumeric()).then_some(())?;
    u64::from_str_radix(plain, radix).ok()
}

/// The number that a text says as TOML would write it: decimal, or after `0x`, `0o` or `0b`.
pub(super) fn parse(text: &str) -> Option<u64> {
    let bases = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = bases.iter().find_map(|&(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)));
    let (found, radix) = based.unwrap_or((text, 10));
    // Each `_` has a digit on both sides.
    let apart = found.split('_').all(|part| !part.is_empty());
    let plain = found.replace('_', "");
    let unsigned = plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if apart && unsigned { digits(&plain, radix) } else { None }
}

/// The size in bytes that a text says: a number, with a unit or without.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number = parse(number.trim_end_matches(' '))?;
    number.checked_mul(1 << shift)
}

/// Lowest bit and width from `high:low`.
pub(super) fn parse_bits(text: &str) -> Option<(u8, u8)> {
    let (high, low) = text.split_once(':')?;
    let bit = |text: &str| parse(text.trim()).and_then(|bit| u8::try_from(bit).ok()).filter(|bit| *bit < 64);
    let (high, low) = (bit(high)?, bit(low)?);
    Some((low, high.checked_sub(low)? + 1))
}

/// A number in hexadecimal with `digits` digits at least, four to a group; in quotes where TOML promises nothing.
pub(super) fn hex(value: u64, digits: usize) -> String {
    let plain = format!("{value:0digits$x}");
    let mut out = "0x".to_owned();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(4) {
            out.push('_');
        }
        out.push(digit);
    }
    if value > TOML_MAX { format!("\"{out}\"") } else { out }
}

/// A number that is counted or named: in decimal while it is small.
pub(super) fn small(value: u64) -> String {
    if value < 10 { value.to_string() } else { hex(value, 2) }
}

/// A size in bytes: with the largest unit that it is a multiple of.
pub(super) fn size(bytes: u64) -> String {
    let whole = |shift: u32| bytes > 0 && bytes.trailing_zeros() >= shift;
    match UNITS.iter().find(|(_, shift)| whole(*shift)) {
        Some((unit, shift)) => format!("\"{} {unit}\"", bytes >> shift),
        None if bytes < 0x400 => bytes.to_string(),
        None => hex(bytes, 1),
    }
}

/// Bits as [`parse_bits`] takes them; one bit as its number.
pub(super) fn bits(lsb: u8, width: u8) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = match width {
        1 => write!(out, "{lsb}"),
        _ => write!(out, "\"{}:{lsb}\"", u16::from(lsb) + u16::from(width) - 1),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_have_their_base_in_front() {
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("1_000"), Some(1000));
        assert_eq!(parse("0xffff_ffff_ffff_ffff"), Some(u64::MAX));
        assert_eq!(parse("0b101"), Some(5));
        assert_eq!(parse("0o17"), Some(15));
        for text in
            ["", "0x", "-1", "+1", "0x+1", "1__0", "_1", "1_", "0x1_0000_0000_0000_0000", "1.0", "0xg", "ä"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_may_have_a_unit() {
        assert_eq!(parse_size("4 KiB"), Some(0x1000));
        assert_eq!(parse_size("4KiB"), Some(0x1000));
        assert_eq!(parse_size("0x10 MiB"), Some(0x100_0000));
        assert_eq!(parse_size("1 TiB"), Some(1 << 40));
        assert_eq!(parse_size("16"), Some(16));
        for text in ["KiB", "4 kB", "4 KB", "16777216 TiB", "-4 KiB", "4 KiB KiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn bits_come_highest_first() {
        assert_eq!(parse_bits("9:8"), Some((8, 2)));
        assert_eq!(parse_bits("7:7"), Some((7, 1)));
        assert_eq!(parse_bits("63:0"), Some((0, 64)));
        for text in ["", "8", "8:9", "64:0", ":", "9:8:7", "-1:0"] {
            assert_eq!(parse_bits(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_in_groups_and_past_63_bits_in_quotes() {
        assert_eq!(hex(0x10, 4), "0x0010");
        assert_eq!(hex(0x3142_414c, 1), "0x3142_414c");
        assert_eq!(hex(0x1_0000, 1), "0x1_0000");
        assert_eq!(hex(i64::MAX as u64, 1), "0x7fff_ffff_ffff_ffff");
        assert_eq!(hex(1 << 63, 1), "\"0x8000_0000_0000_0000\"");
        assert_eq!([small(9), small(10)], ["9", "0x0a"]);
        assert_eq!(
            [size(16), size(0x1000), size(0x1800), size(0x401)],
            ["16", "\"4 KiB\"", "\"6 KiB\"", "0x401"]
        );
        assert_eq!(size(1 << 40), "\"1 TiB\"");
        assert_eq!([bits(3, 1), bits(0, 64)], ["3", "\"63:0\""]);
    }
}
