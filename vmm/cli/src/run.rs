//! `barscope run`: boots a guest, prints its accesses while it runs, and says how it ended.

use std::io::{self, Write};
use std::mem;

use barscope_guest_abi::scenario::{self, Needs};
use barscope_trace::Writer;
use barscope_trace::harmless::ForTerminal;
use barscope_vmm::{Config, HostError, Running, Stop, Vm, linux, machine, session};

use crate::args::{Guest, Run};
use crate::choice;
use crate::ending::{Code, Failure};
use crate::expectations;
use crate::files::{self, CONSOLE_MAX, Rewound};
use crate::filters::filter;
use crate::golden::Goldens;
use crate::live::{Ended, Live};
use crate::onlooker::{Limit, Onlooker, Patience};
use crate::shell;
use crate::signals::Signals;
use crate::terminal::Seen;

/// Runs the command.
///
/// # Errors
/// [`Failure`] if nothing could run or be shown.
pub fn run(args: &Run) -> Result<Code, Failure> {
    if args.list_scenarios {
        return list_scenarios(args.guest);
    }
    let mut signals = None;
    play(args, None, &mut signals).map(|(code, _)| code)
}

/// Plays a run in a VM that another one has left, or in one of its own; the VM, if it can be played in again. Signals are
/// caught from when the machine starts.
///
/// # Errors
/// As [`run`].
pub fn play(
    args: &Run,
    vm: Option<Vm>,
    signals: &mut Option<Signals>,
) -> Result<(Code, Option<Vm>), Failure> {
    check(args)?;
    check_trace(args)?;
    let filter = filter(args.filter.as_slice())?;
    let expectations = expectations::read(&args.expect)?;
    let goldens = goldens(args)?;
    // Until here, signals end the command as they do by themselves.
    let config = config(args)?;
    let signals = match signals {
        Some(signals) => signals,
        None => {
            let caught = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
            signals.insert(caught)
        }
    };
    let _terminal = shell::terminal(args)?;
    let running = match vm {
        Some(vm) => machine::go_on(config, vm)?,
        None => machine::start(config)?,
    };
    let limit = Limit::from_now(args);
    let live =
        Live::open(args, filter, expectations, goldens).map_err(|failure| or_trace(&running, failure))?;
    let onlooker = Onlooker::start(live, &running)?;
    let interrupted = || signals.received().map(|signal| Stop::Interrupted { signal });
    let mut ended = session::attend(running, limit.guest, interrupted);
    let vm = ended.vm.take();
    let patience = Patience::after(&ended.stop, &limit);
    let code = onlooker.finish(Ended { ended, hurry: patience.hurry() }, patience, signals)?;
    Ok((code, vm))
}

/// Those to hold against the run: none if they are written anew.
///
/// # Errors
/// One can't be read.
pub fn goldens(args: &Run) -> Result<Goldens, Failure> {
    if args.bless { Ok(Goldens::default()) } else { Goldens::read(&args.golden) }
}

/// What can't be read may be what can't be written either, which says more.
fn or_trace(running: &Running, failure: Failure) -> Failure {
    running.trace().check().err().map_or(failure, Failure::from)
}

/// Refuses to overwrite what is no trace, before the long way to a guest.
///
/// # Errors
/// [`HostError::Trace`].
pub fn check_trace(args: &Run) -> Result<(), Failure> {
    Ok(Writer::check(&args.trace, args.trace_options()).map_err(HostError::from)?)
}

/// Refuses what makes no sense together.
pub fn check(args: &Run) -> Result<(), Failure> {
    let known = |name: &String| args.guest.scenarios().iter().any(|scenario| scenario.name == name);
    let foreign = args.guest == Guest::TestKernel && args.kernel.is_some();
    if let Some(name) = args.scenarios.iter().find(|name| foreign || !known(name)) {
        return Err(Failure::Scenario { name: name.clone() });
    }
    if args.guest == Guest::Linux && args.initrd.len() > 1 {
        return Err(Failure::OneInitrd);
    }
    if args.keep && !args.nested {
        return Err(Failure::KeepNested);
    }
    if args.guest != Guest::Linux {
        let given = [
            ("--module", !args.modules.is_empty()),
            ("--program", !args.programs.is_empty()),
            ("--file", !args.files.is_empty()),
            ("--dir", !args.folders.is_empty()),
            ("--shell", args.shell),
            ("--fail-fast", args.fail_fast),
            ("--keep", args.keep),
            ("--kernel-tree", args.kernel_tree.is_some()),
            ("--append without --kernel", !args.append.is_empty() && args.kernel.is_none()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Failure::LinuxOnly { option });
        }
    }
    check_needs(args)
}

fn config(args: &Run) -> Result<Config, Failure> {
    let devices = choice::place(&args.devices)?;
    let mut config = args.guest()?.config(&args.trace, devices)?;
    config.trace_options = args.trace_options();
    config.spin_limit = args.spin_limit;
    config.memory_mib = args.memory_mib();
    config.cpus = args.cpus;
    config.without.clone_from(&args.without);
    config.stacks = args.stacks;
    config.capture_stack.clone_from(&args.capture_stack);
    config.firmware = args.has_firmware();
    config.kvm.clone_from(&args.kvm);
    config.exit_status = args.exit_status;
    config.clock = args.clock.unwrap_or(config.clock);
    if args.turns
        && let Some(first) = config.modules.first_mut()
    {
        // What it boots with waits for turns, and this is the first.
        config.archive = mem::replace(&mut first.content, linux::waiting_archive()?);
    }
    if args.guest == Guest::Linux {
        let console = files::create(&args.console);
        let console = console.map_err(|source| Failure::Report { path: args.console.clone(), source })?;
        let console = Rewound::new(console, CONSOLE_MAX);
        if let Some(keyboard) = shell::keyboard(args) {
            config.typed = Some(Box::new(keyboard));
            config.console = Box::new(Seen(console));
        } else {
            config.console = Box::new(console);
        }
    } else if !args.quiet {
        config.console = Box::new(ForTerminal::new(io::stderr()));
    }
    Ok(config)
}

/// Refuses a scenario that an option is missing for. What devices it needs is for the guest to find out.
fn check_needs(args: &Run) -> Result<(), Failure> {
    let asked = |scenario: &&scenario::Scenario| args.scenarios.iter().any(|name| name == scenario.name);
    for scenario in args.guest.scenarios().iter().filter(asked) {
        if let (Needs::SecondCpu, Some(option), 1) = (scenario.needs, scenario.needs.option(), args.cpus) {
            return Err(Failure::Needs { scenario: scenario.name, option });
        }
    }
    Ok(())
}

fn list_scenarios(guest: Guest) -> Result<Code, Failure> {
    let width = guest.scenarios().iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for scenario in guest.scenarios() {
        let needs = scenario.needs.option().map(|option| format!("  ({option})")).unwrap_or_default();
        writeln!(out, "{:width$}  {}{needs}", scenario.name, scenario.question)?;
    }
    Ok(Code::Passed)
}
