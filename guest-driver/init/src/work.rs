//! What a guest is there for: modules are loaded, and programs or scenarios played.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, Stdio};

use barscope_guest_abi::linux::{FOLDER, SCENARIOS};
use barscope_guest_abi::scenario::Needs;

use crate::follow::Follower;
use crate::log::{self, Log};
use crate::modules::{self, Modules};
use crate::scenarios::{Entry, Loaded};
use crate::task::{Module, Task};
use crate::{bench, drivers, entries, programs, scenarios};

/// This file by that name loads modules.
pub const LOADER: &str = "load";

/// Does a task; whether all went well.
///
/// # Errors
/// What the system said.
pub fn play(task: &Task) -> io::Result<bool> {
    for folder in ["/tmp", FOLDER] {
        fs::create_dir_all(folder)?;
    }
    std::env::set_current_dir(FOLDER)?;
    log::show_all()?;
    if task.modules.is_empty() && task.programs.is_empty() {
        return play_all(&task.scenarios);
    }
    let Some(mut passed) = load_all(&task.modules)? else { return Ok(false) };
    if task.counts_entries
        && let Err(error) = entries::tell()
    {
        bench::warn(&format!("--count-entries: this kernel doesn't tell entries into it: {error}"));
    }
    let mut follower = task.follows.then(Follower::default);
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

/// Has the modules loaded in a process of their own, and tells which devices have no driver then: what a probe does wrong
/// kills who loads its module. Whether nothing was killed, or `None` if a module can't be loaded, which was said.
fn load_all(all: &[Module]) -> io::Result<Option<bool>> {
    drivers::tell_refusals();
    let mut since = Log::from_now()?;
    let status = Command::new("/init").arg0(LOADER).stdin(Stdio::null()).status()?;
    if status.code().is_some_and(|code| code != 0) {
        return Ok(None);
    }
    if status.signal().is_some() {
        // The kernel says why. What comes after it might wait for ever for locks that are held still, and which devices
        // would have a driver isn't known.
        eprintln!("init: who loads modules was killed: no other module is loaded, but programs run");
        return Ok(Some(false));
    }
    // Who named no module may have devices that nothing is to drive.
    if all.iter().any(|module| module.path != modules::LAB) {
        drivers::tell_unbound(&mut since)?;
    }
    Ok(Some(true))
}

/// What [`LOADER`] does.
pub fn load() -> ExitCode {
    match bench::open("init").and_then(|()| load_each(&Task::read()?.modules)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("init: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load_each(all: &[Module]) -> io::Result<()> {
    for module in all {
        let mut log = Log::from_now()?;
        if let Err(error) = modules::load(module) {
            let why = log.lines().pop().unwrap_or_else(|| "the kernel says nothing of it".to_owned());
            return Err(io::Error::other(format!("{}: {error}: {why}", module.path)));
        }
    }
    Ok(())
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
        passed &= play_scenario(&mut modules, scenario.name, &entry);
    }
    modules.unload_lab()?;
    Ok(passed)
}

fn play_scenario(modules: &mut Modules, name: &str, entry: &Entry) -> bool {
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
