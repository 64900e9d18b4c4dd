//! Whatever text a golden is, reading it ends: with a golden, or with a place of what is wrong.

#![no_main]

use barscope_analysis::golden::Golden;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostic) = Golden::parse(text) {
        assert!(!diagnostic.show("a.golden", text).is_empty());
    }
    Golden::terms_of(text);
});
