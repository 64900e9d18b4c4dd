//! Whatever a guest's registers and memory hold when it makes a request, reading that ends.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| barscope_vmm::fuzz::request(bytes));
