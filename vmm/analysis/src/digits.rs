//! Numbers, appended to a text: most of what is printed of a record is that, and the formatting
//! machinery of the standard library costs several times as much.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `value` in decimal digits.
pub(crate) fn decimal(text: &mut String, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    append(text, &digits[at..]);
}

/// Appends `value` in at least `least` lower-case hexadecimal digits, at most 16.
pub(crate) fn hex(text: &mut String, value: u64, least: usize) {
    let mut digits = [b'0'; 16];
    let used = (67 - (value | 1).leading_zeros() as usize) / 4;
    let length = used.max(least.min(digits.len()));
    for (at, digit) in digits[..length].iter_mut().rev().take(used).enumerate() {
        *digit = HEX[(value >> (4 * at)) as usize & 0xf];
    }
    append(text, &digits[..length]);
}

/// Appends `0x` and `value` in hexadecimal digits.
pub(crate) fn prefixed_hex(text: &mut String, value: u64) {
    text.push_str("0x");
    hex(text, value, 1);
}

fn append(text: &mut String, digits: &[u8]) {
    // Digits are ASCII.
    text.push_str(std::str::from_utf8(digits).unwrap_or_default());
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
    fn numbers_are_as_the_standard_library_formats_them() {
        let powers = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, 10_u64.saturating_pow(bit)]);
        for value in powers.chain([u64::MAX, 1_234_567]) {
            assert_eq!(made(|text| decimal(text, value)), format!("é {value}"));
            assert_eq!(made(|text| prefixed_hex(text, value)), format!("é {value:#x}"));
            assert_eq!(made(|text| hex(text, value, 3)), format!("é {value:03x}"));
            assert_eq!(made(|text| hex(text, value, 16)), format!("é {value:016x}"));
        }
    }
}
