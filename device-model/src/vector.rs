//! Interrupt vectors of a function.

use std::fmt;

/// The number of an interrupt vector of a function, 0 to 2047: MSI has up to 32 vectors, MSI-X up to 2048.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VectorIndex(u16);

impl VectorIndex {
    /// The first vector.
    pub const ZERO: Self = Self(0);
    /// Number of vectors that a function can have.
    pub const COUNT: usize = 2048;

    /// `None` above 2047.
    pub const fn new(index: u16) -> Option<Self> {
        if index as usize >= Self::COUNT { None } else { Some(Self(index)) }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VectorIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
