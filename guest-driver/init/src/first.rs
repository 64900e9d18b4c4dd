//! Process 1: sets the system up, has its task done, reports, switches the machine off.

use std::fs::{self, OpenOptions};
use std::io;

use crate::task::Task;
use crate::{bench, symbols, system, turns, work};

const MOUNTS: [(&str, &str); 4] =
    [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev"), ("tracefs", "sys/kernel/tracing")];
const CONSOLE: &str = "/dev/ttyS0";

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
    mount_below("/")?;
    system::use_as_terminal(&OpenOptions::new().read(true).write(true).open(CONSOLE)?)?;
    bench::open("init")?;
    symbols::tell_kernel()?;
    Task::read()
}

/// Mounts what the kernel shows of itself, below a root.
///
/// # Errors
/// What the system said.
pub fn mount_below(root: &str) -> io::Result<()> {
    for (kind, target) in MOUNTS {
        let target = format!("{root}{target}");
        fs::create_dir_all(&target)?;
        system::mount_kind(kind, &target)
            .map_err(|error| io::Error::new(error.kind(), format!("{target}: {error}")))?;
    }
    Ok(())
}
