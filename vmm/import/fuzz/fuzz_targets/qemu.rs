//! Whatever a file of this format says, importing it ends, and what it writes can be read.

#![no_main]

mod import;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| import::imports(bytes, barscope_import::Format::Qemu));
