//! Columns of numbers, compressed as they come: what each record has of its own.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// How a column's numbers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// As the difference to the number before it in the column.
    AfterLast,
    /// As the difference to the number before it of a record of the same shape.
    AfterLike,
    /// As it is.
    Plain,
}

impl Told {
    /// What the page calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Told::AfterLast => "last",
            Told::AfterLike => "like",
            Told::Plain => "plain",
        }
    }
}

/// A column: numbers of 7 bits a byte, the lowest first, differences with their sign in bit 0; all compressed by zlib (RFC 1950).
pub(crate) struct Column {
    told: Told,
    last: u64,
    like: Vec<u64>,
    out: ZlibEncoder<Vec<u8>>,
}

impl Column {
    pub(crate) fn new(told: Told) -> Self {
        Self { told, last: 0, like: Vec::new(), out: ZlibEncoder::new(Vec::new(), Compression::new(7)) }
    }

    /// Adds the number of a record of this shape.
    pub(crate) fn push(&mut self, shape: u32, number: u64) -> io::Result<()> {
        let before = match self.told {
            Told::Plain => return self.varint(number),
            Told::AfterLast => &mut self.last,
            Told::AfterLike => {
                let shape = shape as usize;
                if self.like.len() <= shape {
                    self.like.resize(shape + 1, 0);
                }
                &mut self.like[shape]
            }
        };
        let difference = number.wrapping_sub(*before).cast_signed();
        *before = number;
        self.varint((difference << 1 ^ difference >> 63).cast_unsigned())
    }

    fn varint(&mut self, mut number: u64) -> io::Result<()> {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            bytes[length] = (number & 0x7f) as u8 | u8::from(number > 0x7f) << 7;
            length += 1;
            number >>= 7;
            if number == 0 {
                return self.out.write_all(&bytes[..length]);
            }
        }
    }

    /// What was compressed.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        self.out.finish()
    }
}
