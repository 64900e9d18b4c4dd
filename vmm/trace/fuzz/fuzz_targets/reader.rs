//! Whatever bytes a trace file holds, reading it ends.

#![no_main]

use barscope_analysis::Trace;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Trace::from_bytes(bytes) else { return };
    assert!(trace.events().is_sorted_by(|one, next| one.seq < next.seq));
    trace.views();
});
