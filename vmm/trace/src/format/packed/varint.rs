//! Numbers in groups of seven bits, lowest first; bit 7 of a byte says that another one follows.

/// The most bytes of a number.
const LONGEST: u32 = 5;

pub(super) fn push(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes the first number off; `None` if there is none.
pub(super) fn take(from: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for group in 0..LONGEST {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u32::from(byte & 0x7f);
        if bits.checked_shl(7 * group)? >> (7 * group) != bits {
            return None;
        }
        number |= bits << (7 * group);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u32::MAX] {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            let mut rest = &bytes[..];
            assert_eq!((take(&mut rest), rest.len()), (Some(number), 0));
        }
        assert_eq!(take(&mut &[0x80][..]), None);
        assert_eq!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..]), None);
    }
}
