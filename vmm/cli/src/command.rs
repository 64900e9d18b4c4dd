//! The command line of a program, with devices of its own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use barscope_device::Entry;
use barscope_device::text::{DEVICE_NAME_RULE, is_device_name};
use barscope_devices::catalog;
use clap::FromArgMatches;

use crate::args::{self, Action, Args, Run};
use crate::choice::Catalog;
use crate::ending::{Code, Failure, tell};
use crate::output::complain;
use crate::pager::Pager;
use crate::{
    bench, check, completions, config, devices, diff, explain, export, golden, import, kernel, lint, maps,
    nested, output, pack, poke, replay, report, run, shell, show, stats, turns,
};

/// The command line of `barscope` with devices of one's own: what `main` of such a program is made of.
///
/// A machine has the first device that was added, at 00:04.0, unless the command line names others or
/// [`Command::machine`] says something else.
#[derive(Default)]
#[must_use = "it does nothing before main()"]
pub struct Command {
    devices: Vec<Entry>,
    machine: Option<Vec<String>>,
}

impl Command {
    /// A command that has no devices yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a device, after those that were added before.
    pub fn device(mut self, entry: Entry) -> Self {
        self.devices.push(entry);
        self
    }

    /// Adds the devices that come with barscope: `lab`, `ticker`, `edu`.
    pub fn builtin_devices(mut self) -> Self {
        self.devices.extend(catalog::entries());
        self
    }

    /// The devices of a machine for which none is named on the command line, written as `--device` takes them.
    pub fn machine<'a>(mut self, devices: impl IntoIterator<Item = &'a str>) -> Self {
        self.machine = Some(devices.into_iter().map(str::to_owned).collect());
        self
    }

    /// Does what the command line of this process says. Ends the process if that is wrong (exit code 2), or asks for
    /// help.
    pub fn main(self) -> ExitCode {
        if let Some(why) = wrong_name(&self.devices) {
            complain(format_args!("error: {why}"));
            return Code::Usage.into();
        }
        let first = || self.devices.first().map(|entry| entry.name.clone()).into_iter().collect();
        let machine = self.machine.unwrap_or_else(first);
        let catalog = Catalog::new(self.devices);
        let command = args::command(&program(), &catalog, &machine);
        let line = match config::complete(&command, std::env::args_os().collect()) {
            Ok(line) => line,
            Err(failure) => {
                tell(&failure);
                return failure.code().into();
            }
        };
        let matches = command.clone().try_get_matches_from(&line.words);
        let args = matches.and_then(|mut matches| Args::from_arg_matches_mut(&mut matches));
        let args = args.unwrap_or_else(|error| line.refuse(&error));
        env_logger::Builder::new()
            .filter_level(log::LevelFilter::Warn)
            .parse_env("BARSCOPE_LOG")
            .format_timestamp(None)
            .format_target(false)
            .init();
        args.color().set();
        let action = args.action();
        line.tell(matches!(&action, Action::Run(run) if run.verbose));
        let pager = action.is_read().then(|| Pager::start(output::width(), output::color())).flatten();
        let acted = act(action, &catalog, command, &line.words);
        // What went wrong stands below what was printed.
        drop(pager);
        acted.unwrap_or_else(|failure| {
            tell(&failure);
            failure.code().into()
        })
    }
}

/// Does what the words say that `action` was read from.
fn act(
    action: Action,
    catalog: &Catalog,
    command: clap::Command,
    words: &[OsString],
) -> Result<ExitCode, Failure> {
    match action {
        Action::Run(mut args) => {
            shell::prepare(&mut args)?;
            play(*args, &command, words)
        }
        Action::Show(args) => show::show(&args).map(ExitCode::from),
        Action::Bench(args) => bench::bench(&args).map(ExitCode::from),
        Action::Check(args) => check::check(&args).map(ExitCode::from),
        Action::Export(args) => export::export(&args).map(ExitCode::from),
        Action::Report(args) => report::report(&args).map(ExitCode::from),
        Action::Pack(args) => pack::pack(&args).map(ExitCode::from),
        Action::Language => language().map(ExitCode::from),
        Action::Legend => legend().map(ExitCode::from),
        Action::Diff(args) => diff::diff(&args).map(ExitCode::from),
        Action::Bless(args) => golden::bless(&args).map(ExitCode::from),
        Action::Explain(args) => explain::explain(&args).map(ExitCode::from),
        Action::Maps(args) => maps::maps(&args).map(ExitCode::from),
        Action::Lint(args) => lint::lint(&args).map(ExitCode::from),
        Action::Stats(args) => stats::stats(&args).map(ExitCode::from),
        Action::Completions(args) => completions::completions(&args, command).map(ExitCode::from),
        Action::Man(args) => completions::man(&args, command).map(ExitCode::from),
        Action::Poke(args) => poke::poke(&args).map(ExitCode::from),
        Action::Import(args) => import::import(&args, catalog).map(ExitCode::from),
        Action::Replay(args) => replay::replay(&args).map(ExitCode::from),
        Action::Devices(args) => devices::devices(&args, catalog).map(ExitCode::from),
        Action::Kernel(args) => kernel::kernel(&args).map(ExitCode::from),
        Action::Nested(args) => nested::program(&args).map(ExitCode::from),
        Action::NestedInit => {
            barscope_vmm::nested::init::run();
            Ok(Code::Usage.into())
        }
        Action::NestedKeeper { description } => {
            barscope_vmm::nested::keep(&description);
            Ok(Code::Passed.into())
        }
    }
}

/// Runs a guest: here, there, or turn by turn.
fn play(args: Run, command: &clap::Command, words: &[OsString]) -> Result<ExitCode, Failure> {
    if args.nested {
        nested::run(&args, words).map(ExitCode::from)
    } else if args.turns {
        turns::play(args, command).map(ExitCode::from)
    } else {
        run::run(&args).map(ExitCode::from)
    }
}

/// Prints the language's reference.
fn language() -> Result<Code, Failure> {
    io::stdout().write_all(barscope_analysis::expectation::reference().as_bytes())?;
    Ok(Code::Passed)
}

/// Prints what signs mean.
fn legend() -> Result<Code, Failure> {
    let text = barscope_analysis::legend::legend(output::width(), output::color());
    output::buffered().write_all(text.as_bytes())?;
    Ok(Code::Passed)
}

/// What the program is called: by the file that it was started by.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| args::PROGRAM.to_owned())
}

/// What is wrong with the names of devices: the command line couldn't name them.
fn wrong_name(devices: &[Entry]) -> Option<String> {
    let mut names = BTreeSet::new();
    devices.iter().find_map(|Entry { name, .. }| {
        if !is_device_name(name) {
            return Some(format!("{name:?} is no device's name: {DEVICE_NAME_RULE}"));
        }
        (!names.insert(name)).then(|| format!("two devices are called {name}: rename one of them"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use barscope_device::HostBridge;

    fn wrong(names: &[&str]) -> Option<String> {
        let entries: Vec<_> = names.iter().map(|name| Entry::new(*name, "", |_| HostBridge)).collect();
        wrong_name(&entries)
    }

    /// Clap holds its own rules against the description of the command line.
    #[test]
    fn the_command_line_with_its_devices_is_sound() {
        let catalog = Catalog::new(catalog::entries());
        args::command("any", &catalog, &["lab".to_owned()]).debug_assert();
    }

    #[test]
    fn devices_have_names_that_a_command_line_can_tell_apart() {
        assert_eq!(wrong(&["uart", "uart-16550"]), None);
        let twice = Some("two devices are called uart: rename one of them".to_owned());
        assert_eq!(wrong(&["uart", "timer", "uart"]), twice);
        for name in ["", "a,b", "a b", "a\n"] {
            assert!(wrong(&[name]).is_some(), "{name:?}");
        }
    }
}
