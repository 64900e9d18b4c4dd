//! Builds the test kernel.
fn main() {}
