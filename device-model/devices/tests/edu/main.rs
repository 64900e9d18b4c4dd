//! The model of `edu` against recordings of QEMU's (`tests/data/edu/README.md`).

mod configuration_space;

use barscope_device::Fixture;
use barscope_devices::edu::Edu;

/// After reset, with `memory` bytes of guest memory.
fn fixture(memory: usize) -> Fixture {
    Fixture::new(Edu::default()).with_memory(memory)
}
