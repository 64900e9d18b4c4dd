//! What is wrong with a multiboot kernel.

/// A file with a multiboot header can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It ends before its header does, or a tag of the header before the tag's own size.
    #[error("its multiboot header is cut short")]
    Cut,
    /// A flag of version 1 that has to be understood, and isn't.
    #[error(
        "its multiboot header needs flag {bit}, which the specification doesn't have (0, 1, 2 and 16 it has)"
    )]
    Flag {
        /// The bit's number.
        bit: u32,
    },
    /// The header is for another processor.
    #[error("its Multiboot2 header is for architecture {number}, not 0 (i386)")]
    Architecture {
        /// The number in the header.
        number: u32,
    },
    /// A tag of version 2 that isn't optional, and that nothing answers.
    #[error(
        "its Multiboot2 header needs {what} (tag {tag}); barscope has none: set bit 0 of the tag's flags if the kernel can do without"
    )]
    Tag {
        /// The tag's type.
        tag: u16,
        /// What it asks for.
        what: &'static str,
    },
    /// Information that isn't optional, and that there is none of.
    #[error(
        "its Multiboot2 header asks for information {kind}, which barscope doesn't give (it gives 1 to 4, 6, 14, 15, \
         21): set bit 0 of the request's flags if the kernel can do without"
    )]
    Information {
        /// The information's type.
        kind: u32,
    },
    /// Load addresses, but no entry.
    #[error("its Multiboot2 header has load addresses (tag 2), but no entry (tag 3)")]
    NoEntry,
    /// The addresses in the header can't be.
    #[error("the addresses in its multiboot header contradict each other: {why}")]
    Addresses {
        /// How.
        why: &'static str,
    },
    /// It is no ELF file, and its header has no addresses.
    #[error("it has a multiboot header without load addresses, but is no ELF file: {reason}")]
    NoElf {
        /// What is wrong with it as such.
        reason: String,
    },
    /// It has nothing to load.
    #[error("it has a multiboot header, but no segment to load")]
    Nothing,
    /// A segment that isn't in the file as a whole.
    #[error("it ends before its last segment does")]
    SegmentCut,
    /// A segment where firmware is.
    #[error(
        "a segment at {address:#x} reaches where firmware is, from 0xa0000 to 0xfffff; link it elsewhere"
    )]
    Firmware {
        /// Where it begins.
        address: u64,
    },
    /// An entry that 32-bit code can't have.
    #[error("its entry at {entry:#x} is not below 4 GiB, where a multiboot kernel starts in 32-bit code")]
    Entry {
        /// The entry.
        entry: u64,
    },
    /// A relocatable kernel that fits nowhere.
    #[error(
        "no place for it between {min:#x} and {max:#x}, where its Multiboot2 header wants to be; try a larger --memory"
    )]
    Relocation {
        /// The lowest address.
        min: u32,
        /// The highest address.
        max: u32,
    },
}
