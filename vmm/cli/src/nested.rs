//! `--nested`: the command in a virtual machine whose processor has AMD-V, emulated in software.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use barscope_trace::Clock;
use barscope_vmm::nested::{self, Errand, Error, Folder, Hardware, Output, Watcher};
use barscope_vmm::{HostError, linux};

use crate::args::{Guest, Nested, Run};
use crate::ending::{Code, Failure, worst};
use crate::output::complain;
use crate::signals::Signals;
use crate::terminal::Keyboard;
use crate::{golden, output, progress, results, shell};

/// Memory for a program of which nothing is known, in MiB.
const PROGRAM_MIB: u64 = 1024;
/// What the command's environment is copied from: those that begin so.
const ENVIRONMENT: [&str; 5] = ["BARSCOPE_", "RUST_", "COLUMNS", "NO_COLOR", results::WORKSPACE];

/// Runs `barscope run` there, with the same options, which `words` say; gives its exit code.
///
/// # Errors
/// [`Failure`] if there is no machine to run it in, or no answer.
pub fn run(args: &Run, words: &[OsString]) -> Result<u8, Failure> {
    crate::run::goldens(args)?;
    let code = run_there(args, words)?;
    if args.bless {
        return Ok(bless(args, code)? as u8);
    }
    Ok(code)
}

/// Writes goldens here, where they are: there nothing is known of what they were.
fn bless(args: &Run, code: u8) -> Result<Code, Failure> {
    let codes = args.golden.iter().map(|path| golden::bless_if_passed(code == 0, &args.trace, path));
    Ok(worst(&codes.collect::<Result<Vec<_>, _>>()?))
}

fn run_there(args: &Run, words: &[OsString]) -> Result<u8, Failure> {
    // There it is the only file.
    crate::run::check_trace(args)?;
    if args.keep {
        // Before somebody's machine is ended for it.
        crate::run::check(args)?;
    }
    let init = this()?;
    let mut errand = Errand {
        init: &init,
        program: None,
        files: &[],
        arguments: arguments(words, args.bless),
        environment: environment(),
        stdin: None,
        inputs: args.inputs(),
        outputs: outputs(args),
        memory_mib: args.memory_mib(),
        kernel: args.nested_kernel.clone(),
    };
    let watcher = Watcher {
        limit: Some(args.time_limit()),
        quiet: args.quiet,
        is_kept: false,
        before_printing: if args.is_typed() { None } else { before_printing() },
    };
    let folder = folder()?;
    if args.guest != Guest::Linux || !args.initrd.is_empty() {
        return send(&errand, folder, watcher);
    }
    // Before the longer way.
    nested::check()?;
    // What goes into the guest is put together here, where compiler, headers and programs are.
    let guest = linux::Prepared::new(&args.linux())?;
    let system = |what| move |source| Error::System { what, source };
    let (archive, _) = folder.file("guest").map_err(system("a file for the guest"))?;
    guest.archive_to(&archive)?;
    // Programs are named still: how many there are is shown.
    let prepared = ["--kernel", "--kernel-tree", "--module", "--firmware", "--file", "--dir"];
    errand.arguments = without(errand.arguments, &prepared);
    if args.shell {
        errand.arguments.retain(|argument| argument != "--shell");
        // What does as a script says is a program like others.
        errand.arguments.push(if args.is_typed() { "--typed" } else { "--program=sh" }.into());
    }
    let firmware = if args.has_firmware() { "on" } else { "off" };
    errand.arguments.extend(["--firmware".into(), firmware.into()]);
    for (option, path) in [("--kernel", guest.kernel.image.as_path()), ("--initrd", archive.as_path())] {
        errand.arguments.extend([option.into(), path.into()]);
    }
    errand.inputs = args.judges().collect();
    errand.inputs.extend([guest.kernel.image.as_path(), archive.as_path()]);
    if !args.keep {
        let _terminal = shell::terminal(args)?;
        errand.stdin = shell::keyboard(args).map(Keyboard::into_pieces);
        return send(&errand, folder, watcher);
    }
    errand.arguments.push("--turns".into());
    let image = guest.kernel.image.as_path();
    let hardware = hardware(args, words, &init, image)?;
    let mut signals = signals()?;
    let mut received = || signals.received();
    let code = nested::play(&errand, hardware, &[image], args.keep_for, watcher, &mut received)?;
    Ok(code.unwrap_or(Code::Interrupted as u8))
}

/// What the command there is told. What a file of options says is among the words: it isn't to be looked for there.
fn arguments(words: &[OsString], bless: bool) -> Vec<OsString> {
    let here = ["--nested", "--keep", "--bless", "--no-config"];
    let words = words.iter().skip(1).filter(|word| !here.iter().any(|here| word == here)).cloned();
    let with_value: &[&str] = if bless {
        &["--nested-kernel", "--keep-for", "--config", "--golden"]
    } else {
        &["--nested-kernel", "--keep-for", "--config"]
    };
    let mut arguments = without(words.collect(), with_value);
    arguments.push("--no-config".into());
    arguments
}

/// What decides about the machine and the guest's, each by the option that says it.
fn hardware(args: &Run, words: &[OsString], init: &Path, kernel: &Path) -> Result<Hardware, Failure> {
    let file = |path: &Path| {
        let found = path.metadata();
        let found = found.map_err(|source| Failure::File { path: path.to_owned(), source })?;
        Ok::<_, Failure>(format!("{} {:?} {}", path.display(), found.modified().ok(), found.len()))
    };
    let optional = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut devices = Vec::new();
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--device" {
            devices.extend(words.next());
        } else if let Some(device) = word.strip_prefix("--device=") {
            devices.push(device.to_owned());
        }
    }
    let without: Vec<_> = args.without.iter().map(|feature| feature.name()).collect();
    let all = [
        ("barscope itself", file(init)?),
        ("--nested-kernel", optional(args.nested_kernel.as_deref())),
        ("--kernel", file(kernel)?),
        ("--append", args.append.clone()),
        ("--memory", args.memory_mib().to_string()),
        ("--cpus", args.cpus.to_string()),
        ("--cpu-without", without.join(" ")),
        ("--device", devices.join(" ")),
        ("--firmware", args.has_firmware().to_string()),
        ("--clock", optional(args.clock.map(Clock::name))),
    ];
    Ok(all.map(|(option, value)| (option.to_owned(), value)).into())
}

/// Runs any program there; gives its exit code.
///
/// # Errors
/// [`Failure`] if there is no machine to run it in, or no answer.
pub fn program(args: &Nested) -> Result<u8, Failure> {
    if args.stop {
        if !nested::stop()? {
            complain(format_args!("no machine is kept"));
        }
        return Ok(Code::Passed as u8);
    }
    let init = this()?;
    let errand = Errand {
        init: &init,
        program: args.program.as_deref(),
        files: &args.files,
        arguments: args.arguments.clone(),
        environment: environment(),
        stdin: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        memory_mib: PROGRAM_MIB,
        kernel: args.kernel.clone(),
    };
    let watcher = Watcher { limit: None, quiet: true, is_kept: false, before_printing: before_printing() };
    send(&errand, folder()?, watcher)
}

fn send(errand: &Errand<'_>, folder: Folder, watcher: Watcher) -> Result<u8, Failure> {
    let mut signals = signals()?;
    let code = nested::run(errand, folder, watcher, &mut || signals.received())?;
    Ok(code.unwrap_or(Code::Interrupted as u8))
}

fn signals() -> Result<Signals, HostError> {
    Signals::catch().map_err(|source| HostError::System { what: "signals", source })
}

/// This program's own file.
fn this() -> Result<PathBuf, Error> {
    env::current_exe().map_err(|source| Error::System { what: "barscope's own file", source })
}

/// The files that the options name for what the command makes.
fn outputs(args: &Run) -> Vec<Output> {
    let output = |path: &Path| Output { path: path.to_owned(), is_trace: path == args.trace };
    args.outputs().into_iter().map(output).collect()
}

fn folder() -> Result<Folder, Error> {
    Folder::new().map_err(|source| Error::System { what: "a folder for the virtual machine", source })
}

/// What the command shows of its progress may be on the line that is printed to.
fn before_printing() -> Option<fn()> {
    progress::is_shown().then_some(progress::clear as fn())
}

/// What the command there needs to know of where it prints to.
fn environment() -> Vec<(OsString, OsString)> {
    let copied = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        ENVIRONMENT.iter().any(|start| name.starts_with(start))
    });
    let mut variables: Vec<_> = copied.collect();
    let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.into()));
    if progress::is_shown() {
        set(progress::VARIABLE, OsStr::new("1"));
    }
    // There, standard output is a pipe.
    if output::color() {
        set("CLICOLOR_FORCE", OsStr::new("1"));
    }
    if io::stdout().is_terminal() {
        set("COLUMNS", OsStr::new(&output::width().to_string()));
    }
    variables
}

/// The arguments without these options and their values.
fn without(arguments: Vec<OsString>, options: &[&str]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if options.iter().any(|option| text == *option) {
            arguments.next();
        } else if !options.iter().any(|option| text.starts_with(&format!("{option}="))) {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(words: &str, bless: bool) -> String {
        let words: Vec<_> = words.split(' ').map(OsString::from).collect();
        let told: Vec<_> =
            arguments(&words, bless).into_iter().map(|word| word.into_string().unwrap()).collect();
        told.join(" ")
    }

    #[test]
    fn the_command_there_is_told_all_but_what_is_done_here_and_looks_for_no_file() {
        let words = "barscope run --device=edu --nested --config my.toml --expect a --golden g --keep --nested-kernel=6.12";
        assert_eq!(there(words, false), "run --device=edu --expect a --golden g --no-config");
        assert_eq!(there(words, true), "run --device=edu --expect a --no-config");
        assert_eq!(there("barscope --config=my.toml --no-config -v", false), "-v --no-config");
    }
}
