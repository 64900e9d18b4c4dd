//! Whatever text describes a device, reading it ends: with a place of what is wrong, or with what reads back from its
//! own file.

#![no_main]

use barscope_device::Description;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Description::read(text) {
        Ok(description) => assert_eq!(Description::read(&description.to_toml()), Ok(description)),
        Err(diagnostic) => assert!(!diagnostic.show("card.toml", text).is_empty()),
    }
});
