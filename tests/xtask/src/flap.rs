//! `cargo xtask flap`: whether goldens hold for as many runs as no CI has time for.

use crate::cargo::{cargo, succeed};

/// Tests that run the same again and again.
const TESTS: [&str; 2] =
    ["a_golden_of_the_test_kernel_holds_for_a_hundred_runs", "on_linux_a_golden_holds_for_twenty_runs"];

/// Runs them, one after the other: beside each other they would take each other's time.
///
/// # Errors
/// A golden doesn't hold, or the machine lacks what a test needs.
pub fn run() -> Result<(), String> {
    let mut test = cargo(["test", "--package", "barscope-bench", "--test", "golden", "--"]);
    succeed(test.args(["--ignored", "--exact", "--nocapture", "--test-threads", "1"]).args(TESTS))
}
