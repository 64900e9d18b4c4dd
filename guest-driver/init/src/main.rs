//! The first process of a Linux guest, and the programs that it plays.
//!
//! One file is both: as process 1 it sets the system up, plays what it is told to and switches the machine
//! off; started by another name it is the program of that name. It tells barscope what a trace can't see
//! (symbols, mappings, counts) through the guest ABI's port, which programs may use as well as kernels.

mod archive;
mod bench;
mod count;
mod drivers;
mod entries;
mod first;
mod follow;
mod lab;
mod log;
mod mapping;
mod maps;
mod modules;
mod mounts;
mod pci;
mod programs;
mod ptrace;
mod scenarios;
mod symbols;
mod system;
mod task;
mod turns;
mod watch;
mod work;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if std::process::id() == 1 {
        first::run();
    }
    let name = arguments.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    match &*name.to_string_lossy() {
        work::LOADER => work::load(),
        turns::PLAYER => turns::play_here(),
        turns::TIDIER => turns::tidy_up(),
        programs::STARTER => programs::start(&arguments[1..]),
        scenario => scenarios::program(scenario, &arguments[1..]),
    }
}
