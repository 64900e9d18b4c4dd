//! Process 1: sets the system up, has its task done, reports, switches the machine off.

use std::fs::OpenOptions;
use std::io;

use crate::task::Task;
use crate::{bench, mounts, symbols, system, turns, work};

/// Does everything, and doesn't return.
pub fn run() -> ! {
    let passed = set_up().and_then(|task| if task.keeps { turns::play() } else { work::play(&task) });
    let passed = passed.unwrap_or_else(|error| {
        eprintln!("init: {error}");
        false
    });
    bench::exit(u64::from(!passed));
    eprintln!("init: can't power off: {}", system::power_off());
    loop {
        std::thread::park();
    }
}

fn set_up() -> io::Result<Task> {
    mounts::mount_below("/")?;
    system::use_as_terminal(&OpenOptions::new().read(true).write(true).open(system::CONSOLE)?)?;
    bench::open("init")?;
    symbols::tell_kernel()?;
    Task::read()
}
