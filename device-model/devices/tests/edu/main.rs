//! The model of `edu` against recordings of QEMU's (`tests/data/edu/README.md`).

mod configuration_space;
mod recorded_operations;

use barscope_device::Fixture;
use barscope_devices::edu::Edu;

/// After reset, with `memory` bytes of guest memory.
fn fixture(memory: usize) -> Fixture {
    Fixture::new(Edu::default()).with_memory(memory)
}

/// Where the model answers otherwise on purpose; the device's documentation says so too. Each has to be
/// met, so that the list holds no more than there is.
mod deviations {
    use std::ops::Range;

    /// What QEMU reads from a BAR that isn't decoded. Here no such access reaches the function, and the
    /// machine answers it with all-ones, as a bus does.
    pub const UNDECODED_READ: u64 = 0;

    /// Bits that software can write in QEMU's configuration space or here, but not in both.
    pub const WRITABLE: &[(Range<usize>, u32)] = &[
        // Parity Error Response, which every function here has.
        (0x04..0x08, 0x0000_0040),
        // Multiple Message Enable, which the specification makes writable also where it changes nothing.
        (0x40..0x44, 0x0070_0000),
        // The upper half of MSI's data is reserved for a function without masking.
        (0x4c..0x50, 0xffff_0000),
        // Nothing is there.
        (0x50..0x100, 0xffff_ffff),
    ];
}
