//! Whatever bytes a trace file holds, reading it ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use barscope_trace::Content;

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Content::from_bytes(bytes) else { return };
    assert!(trace.events().is_sorted_by(|one, next| one.seq < next.seq));
    trace.views();
});
