//! `barscope`: the command with the devices that come with it.

use std::process::ExitCode;

use barscope::{Command, OrEnd};

#[global_allocator]
static ALLOCATOR: OrEnd = OrEnd;

fn main() -> ExitCode {
    // What the test kernel's scenarios are for.
    Command::new().builtin_devices().machine(["lab,bdf=00:04.0", "ticker,bdf=00:08.0"]).main()
}
