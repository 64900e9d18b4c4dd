//! Texts built by hand: `core::fmt` uses SSE, which ring 0 can't rely on.

use core::mem::MaybeUninit;

/// A text of at most `N` bytes; what does not fit is cut off.
pub struct Text<const N: usize> {
    bytes: [MaybeUninit<u8>; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; N], length: 0 }
    }

    /// With `text` at its end.
    pub fn str(mut self, text: &str) -> Self {
        for &byte in text.as_bytes() {
            self.push(byte);
        }
        self
    }

    /// With `value` in lower-case hexadecimal at its end, without prefix, of at least `digits` digits.
    pub fn hex(mut self, value: u64, digits: u32) -> Self {
        let significant = (u64::BITS - value.leading_zeros()).div_ceil(4);
        for position in (0..significant.max(digits)).rev() {
            let digit = (value >> (position * 4)) as u8 & 0xf;
            self.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
        self
    }

    /// With `value` in decimal at its end.
    pub fn decimal(mut self, value: u64) -> Self {
        let mut unit = 1;
        while value / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.push(b'0' + (value / unit % 10) as u8);
            unit /= 10;
        }
        self
    }

    /// The text as UTF-8.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `push` has written the first `length` bytes, and `length` is at most `N`.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length) }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            place.write(byte);
            self.length += 1;
        }
    }
}
