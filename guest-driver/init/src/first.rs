//! Process 1: sets the system up, does its task, reports, switches the machine off.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::process::{Command, Stdio};

use barscope_guest_abi::linux::{FOLDER, SCENARIOS};
use barscope_guest_abi::scenario::Needs;

use crate::follow::Follower;
use crate::log::{self, Log};
use crate::modules::{self, Modules};
use crate::scenarios::{Entry, Loaded};
use crate::task::{Module, Task};
use crate::{bench, drivers, entries, programs, scenarios, symbols, system};

const MOUNTS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tracefs", "/sys/kernel/tracing")];
const CONSOLE: &str = "/dev/ttyS0";

/// Does everything, and doesn't return.
pub fn run() -> ! {
    let passed = work().unwrap_or_else(|error| {
        eprintln!("init: {error}");
        false
    });
    bench::exit(u64::from(!passed));
    eprintln!("init: can't power off: {}", system::power_off());
    loop {
        std::thread::park();
    }
}

fn work() -> io::Result<bool> {
    for (kind, target) in MOUNTS {
        fs::create_dir_all(target)?;
        system::mount_kind(kind, target).map_err(|error| named(target, &error))?;
    }
    for folder in ["/tmp", FOLDER] {
        fs::create_dir_all(folder)?;
    }
    std::env::set_current_dir(FOLDER)?;
    system::use_as_terminal(&OpenOptions::new().read(true).write(true).open(CONSOLE)?)?;
    bench::open("init")?;
    symbols::tell_kernel()?;
    let task = Task::read()?;
    log::show_all()?;
    if task.modules.is_empty() && task.programs.is_empty() {
        return play_all(&task.scenarios);
    }
    load_all(&task.modules)?;
    if task.counts_entries
        && let Err(error) = entries::tell()
    {
        bench::warn(&format!("--count-entries: this kernel doesn't tell entries into it: {error}"));
    }
    let mut follower = task.follows.then(Follower::default);
    let mut passed = true;
    for program in &task.programs {
        bench::begin(&program.name);
        let (ended_well, how) = match programs::run(program, &task.libraries, follower.as_mut()) {
            Ok(status) => (status.success(), status.to_string()),
            Err(error) => (false, error.to_string()),
        };
        bench::end(ended_well, &how);
        passed &= ended_well;
        if !ended_well && task.fail_fast {
            break;
        }
    }
    Ok(passed)
}

/// Loads the modules, and tells which devices have no driver then.
fn load_all(all: &[Module]) -> io::Result<()> {
    drivers::tell_refusals();
    let mut since = Log::from_now()?;
    for module in all {
        let mut log = Log::from_now()?;
        if let Err(error) = modules::load(module) {
            let why = log.lines().pop().unwrap_or_else(|| "the kernel says nothing of it".to_owned());
            return Err(io::Error::other(format!("{}: {error}: {why}", module.path)));
        }
    }
    // Who named no module may have devices that nothing is to drive.
    if all.iter().any(|module| module.path != modules::LAB) {
        drivers::tell_unbound(&mut since)
    } else {
        Ok(())
    }
}

fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Plays scenarios: those named, or all that can be played here.
fn play_all(names: &[String]) -> io::Result<bool> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut modules = Modules::default();
    let mut passed = true;
    fs::create_dir_all("/bin")?;
    for scenario in SCENARIOS {
        let asked = names.iter().any(|name| name == scenario.name);
        let possible = scenario.needs != Needs::SecondCpu || cpus > 1;
        let chosen = if names.is_empty() { possible } else { asked };
        if !chosen {
            continue;
        }
        let entry = scenarios::named(scenario.name)
            .ok_or_else(|| io::Error::other(format!("nobody plays {}", scenario.name)))?;
        passed &= play(&mut modules, scenario.name, &entry);
    }
    modules.unload_lab()?;
    Ok(passed)
}

fn play(modules: &mut Modules, name: &str, entry: &Entry) -> bool {
    let (before, after) = match entry.driver {
        Loaded::Before(parameters) => (Some(parameters), None),
        Loaded::Within(parameters) => (None, Some(parameters)),
    };
    let loaded = modules.lab(before);
    bench::begin(name);
    let loaded = loaded.and_then(|()| if after.is_some() { modules.lab(after) } else { Ok(()) });
    let (passed, summary) = match loaded.and_then(|()| run_program(name)) {
        Ok(result) => result,
        Err(error) => (false, error.to_string()),
    };
    bench::end(passed, &summary);
    if !passed || entry.leaves_it_changed {
        // The next one finds the device as at the beginning.
        modules.unload_lab().ok();
    }
    passed
}

/// Starts this file as the program `name`; whether it passed, and what it showed.
fn run_program(name: &str) -> io::Result<(bool, String)> {
    let path = format!("/bin/{name}");
    if File::open(&path).is_err() {
        std::os::unix::fs::symlink("/init", &path)?;
    }
    let output = Command::new(&path).stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.trim_end().lines().next_back().unwrap_or_default();
    let summary = if summary.is_empty() { output.status.to_string() } else { summary.to_owned() };
    Ok((output.status.success(), summary))
}
