//! Headers that can't exist: what a device asked for, and what it may ask for.

use crate::address::BarIndex;

/// A [`ConfigHeader`](crate::header::ConfigHeader) that can't exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// A number that its place in configuration space can't hold.
    #[error("{what} is {value:#x}; it takes {allowed}")]
    Value {
        /// The number's name.
        what: &'static str,
        /// The number.
        value: u64,
        /// Numbers that it can be.
        allowed: &'static str,
    },
    /// A BAR's size that its kind doesn't allow.
    #[error("{bar}: size {size:#x} is no power of two from {smallest:#x} to {largest:#x}")]
    BarSize {
        /// The BAR.
        bar: BarIndex,
        /// Its size in bytes.
        size: u64,
        /// The smallest of its kind.
        smallest: u64,
        /// The largest of its kind.
        largest: u64,
    },
    /// I/O ports with a property that only memory has.
    #[error("{0}: only memory can be 64-bit, below 1 MiB or prefetchable")]
    BarSpace(BarIndex),
    /// Memory with a property that only I/O ports have.
    #[error("{0}: memory has no ports")]
    BarPorts(BarIndex),
    /// A BAR that is to lie both anywhere and below 1 MiB.
    #[error("{0}: a 64-bit BAR doesn't lie below 1 MiB")]
    BarKind(BarIndex),
    /// A BAR whose index isn't above that of the one before it, or is its upper half.
    #[error("{0}: out of order, or taken by the BAR before")]
    BarOrder(BarIndex),
    /// A 64-bit BAR without room for its upper half.
    #[error("{0}: there are 6 BARs, and a 64-bit one takes two")]
    BarCount(BarIndex),
    /// An expansion ROM's size.
    #[error("ROM: size {0:#x} is no power of two from 2 KiB to 16 MiB")]
    RomSize(u32),
    /// A table of MSI-X in a BAR that the function lacks.
    #[error("MSI-X lies in {0}, which the function lacks")]
    MsixBar(BarIndex),
    /// A table of MSI-X that isn't aligned.
    #[error("MSI-X: offset {0:#x} is no multiple of 8")]
    MsixAlignment(u32),
    /// A part of MSI-X that ends past its BAR.
    #[error("MSI-X ends at {bar}+{end:#x}, past the BAR's {size:#x} bytes")]
    MsixEnd {
        /// The BAR.
        bar: BarIndex,
        /// Offset of the end.
        end: u64,
        /// The BAR's size in bytes.
        size: u64,
    },
    /// A table of MSI-X that covers its pending bits.
    #[error("MSI-X: table and pending bits overlap in {0}")]
    MsixOverlap(BarIndex),
    /// More writable bytes than bytes.
    #[error("{what} has {bytes} bytes, and a mask for {mask}")]
    Mask {
        /// The bytes' owner.
        what: &'static str,
        /// Number of bytes.
        bytes: usize,
        /// Number of bytes of the mask.
        mask: usize,
    },
    /// A capability given by its bytes that has a type of its own.
    #[error("capability {id:#04x} is {name}, which has a type of its own")]
    Typed {
        /// Its identifier.
        id: u16,
        /// Its name.
        name: &'static str,
    },
    /// A capability that a function has once at most.
    #[error("{0} stands in the list twice; a function has one")]
    Twice(&'static str),
    /// A capability at an offset where none can be.
    #[error(
        "{what} at {offset:#x}, {length} bytes, doesn't lie at a multiple of 4 from {start:#x} to {end:#x}"
    )]
    Outside {
        /// Its name.
        what: &'static str,
        /// Offset that it asks for.
        offset: usize,
        /// Its length in bytes.
        length: usize,
        /// Offset of the first byte that it can have.
        start: usize,
        /// Offset behind the last one.
        end: usize,
    },
    /// Two parts of configuration space that cover each other.
    #[error(
        "{what} at {offset:#x}, {length} bytes, overlaps {other} at {other_offset:#x}, {other_length} bytes"
    )]
    Overlap {
        /// The second one's name.
        what: &'static str,
        /// Its offset.
        offset: usize,
        /// Its length in bytes.
        length: usize,
        /// The first one's name.
        other: &'static str,
        /// Its offset.
        other_offset: usize,
        /// Its length in bytes.
        other_length: usize,
    },
    /// A capability for which no gap is left.
    #[error(
        "{what} does not fit configuration space: no {length} bytes are free from {start:#x} to {end:#x}"
    )]
    Full {
        /// Its name.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// Offset of the first byte that it can have.
        start: usize,
        /// Offset behind the last one.
        end: usize,
    },
    /// A list of extended capabilities that doesn't begin where software looks for it.
    #[error("the first extended capability, {what}, is at {offset:#x}; the list begins at 0x100")]
    FirstExtended {
        /// Its name.
        what: &'static str,
        /// Offset that it asks for.
        offset: usize,
    },
}

impl BadHeader {
    /// Checks a number; `allowed` says what it may be.
    pub(crate) fn unless(
        holds: bool,
        what: &'static str,
        value: impl Into<u64>,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Value { what, value: value.into(), allowed }) }
    }
}
