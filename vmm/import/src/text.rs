//! Numbers and times in texts.

/// A hexadecimal number that begins with `0x`, or may do without.
pub(crate) fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // A sign is no digit.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// A number in decimal, or in hexadecimal after `0x`.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.starts_with("0x") { hex(text) } else { decimal(text) }
}

/// A number in decimal.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Seconds with as many digits behind the point as there are, up to nanoseconds.
pub(crate) fn time(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(9 - fraction.len() as u32);
    decimal(seconds)?.checked_mul(1_000_000_000)?.checked_add(decimal(fraction)? * scale)
}

/// Whether `value` fits `size` bytes, of which an access has 1, 2, 4 or 8.
pub(crate) fn access(size: u64, value: u64) -> Result<u8, String> {
    let width = u8::try_from(size).ok().filter(|size| [1, 2, 4, 8].contains(size));
    let width = width.ok_or_else(|| format!("an access has 1, 2, 4 or 8 bytes, not {size}"))?;
    if value & !barscope_device::low_bytes(size) != 0 {
        return Err(format!("{value:#x} has more than {size} bytes"));
    }
    Ok(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_digits_only() {
        assert_eq!(
            (hex("0x1f"), hex("1f"), hex("0x"), hex("+1"), hex("-1")),
            (Some(31), Some(31), None, None, None)
        );
        assert_eq!((number("31"), number("0x31"), number("3f")), (Some(31), Some(49), None));
        assert_eq!(hex("0x10000000000000000"), None);
    }

    #[test]
    fn times_are_in_nanoseconds() {
        assert_eq!(time("432.175965"), Some(432_175_965_000));
        assert_eq!(time("0.000001"), Some(1000));
        for wrong in ["1", "1.", ".5x", "1.1234567890", "99999999999.0"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
