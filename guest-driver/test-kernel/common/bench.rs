//! Requests to the bench: from ring 0, and from ring 3 where the TSS permits it.

use barscope_guest_abi::{Mark, port, request};

/// Sets a mark named `text` in the trace.
pub fn mark(text: &str) {
    port::request(request::MARK, &Mark { text: port::in_memory(text) });
}
