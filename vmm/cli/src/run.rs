//! `barscope run`: boots a guest, prints its accesses while it runs, and says how it ended.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use barscope_guest_abi::bug;
use barscope_guest_abi::scenario::{self, Needs};
use barscope_trace::Writer;
use barscope_trace::harmless::ForTerminal;
use barscope_vmm::machine::Devices;
use barscope_vmm::{Config, HostError, Running, Stop, machine};
use device_model::Bdf;

use crate::args::{Clock, DeviceChoice, Guest, Run};
use crate::ending::{Code, Failure};
use crate::expectations::Expectations;
use crate::files::{self, CONSOLE_MAX, KERNEL_MAX, Rewound, read_bounded};
use crate::linux;
use crate::live::{Ended, Live};
use crate::onlooker::{Limit, Onlooker, Patience};
use crate::signals::Signals;
use crate::watch::filter;

/// How often signals are looked for.
const TURN: Duration = Duration::from_millis(20);

/// Runs the command.
///
/// # Errors
/// [`Failure`] if nothing could run or be shown.
pub fn run(args: &Run) -> Result<Code, Failure> {
    if args.list_scenarios {
        return list_scenarios(args.guest);
    }
    check(args)?;
    check_trace(args)?;
    let filter = filter(args.filter.as_slice())?;
    let expectations = Expectations::read(&args.expect)?;
    // Until here, signals end the command as they do by themselves.
    let config = config(args)?;
    let mut signals = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
    let mut running = machine::start(config)?;
    let limit = Limit::from_now(args);
    let live = Live::open(args, filter, expectations).map_err(|failure| or_trace(&running, failure))?;
    let onlooker = Onlooker::start(live, &running)?;
    let stop = drive(&running, &mut signals, &limit);
    let places = running.halt();
    let end = stop.end();
    let patience = Patience::after(&stop, &limit);
    let finished = running.finish(end);
    let ended = Ended { stop, places, finished, hurry: patience.hurry() };
    onlooker.finish(ended, patience, &mut signals)
}

/// Waits until the machine stops, or has to.
fn drive(running: &Running, signals: &mut Signals, limit: &Limit) -> Stop {
    loop {
        let left = limit.guest.saturating_duration_since(Instant::now());
        if let Some(stop) = running.wait(TURN.min(left)) {
            return stop;
        }
        if let Some(signal) = signals.received() {
            return Stop::Interrupted { signal };
        }
        if left.is_zero() {
            return Stop::Timeout;
        }
    }
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
fn check(args: &Run) -> Result<(), Failure> {
    let known = |name: &String| args.guest.scenarios().iter().any(|scenario| scenario.name == name);
    let foreign = args.guest == Guest::TestKernel && args.kernel.is_some();
    if let Some(name) = args.scenarios.iter().find(|name| foreign || !known(name)) {
        return Err(Failure::Scenario { name: name.clone() });
    }
    if args.guest != Guest::Linux {
        let given = [
            ("--module", !args.modules.is_empty()),
            ("--program", !args.programs.is_empty()),
            ("--append without --kernel", !args.append.is_empty() && args.kernel.is_none()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Failure::LinuxOnly { option });
        }
    }
    check_needs(args)
}

fn config(args: &Run) -> Result<Config, Failure> {
    let mut config = Config::test_kernel(&args.trace);
    config.trace_options = args.trace_options();
    config.memory_mib = args.memory_mib();
    config.cpus = args.cpus;
    config.firmware = args.has_firmware();
    config.kvm.clone_from(&args.kvm);
    if !args.quiet {
        config.console = Box::new(ForTerminal::new(io::stderr()));
    }
    if !args.devices.is_empty() {
        config.devices = devices(&args.devices)?;
    }
    if args.guest == Guest::Linux {
        linux_guest(args, &mut config)?;
    } else if let Some(path) = &args.kernel {
        config.kernel = read(path)?;
        config.initramfs = args.initrd.as_deref().map(read).transpose()?;
        config.kernel_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        config.command_line.clone_from(&args.append);
        config.clock = barscope_trace::Clock::Host;
    } else {
        let scenarios = (!args.scenarios.is_empty()).then(|| args.scenarios.join(","));
        let scenarios = scenarios.map(|names| format!("{}{names}", scenario::ARGUMENT));
        let bug = args.bug.as_ref().map(|name| format!("{}{name}", bug::ARGUMENT));
        config.command_line = scenarios.into_iter().chain(bug).collect::<Vec<_>>().join(" ");
    }
    match args.clock {
        Some(Clock::Virtual) => config.clock = barscope_trace::Clock::Virtual,
        Some(Clock::Host) => config.clock = barscope_trace::Clock::Host,
        None => {}
    }
    Ok(config)
}

/// A kernel, and a first file system that was made for it here or, with `--nested`, outside.
fn linux_guest(args: &Run, config: &mut Config) -> Result<(), Failure> {
    let (kernel, initramfs) = match (&args.kernel, &args.initrd) {
        (Some(kernel), Some(initrd)) => (kernel.clone(), read(initrd)?),
        _ => {
            let guest = linux::Guest::prepare(args)?;
            let archive = guest.archive()?;
            (guest.kernel, archive)
        }
    };
    config.kernel = read(&kernel)?;
    config.kernel_name = kernel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    config.initramfs = Some(initramfs);
    config.command_line = linux::command_line(&args.append);
    config.foreign_programs = !args.programs.is_empty();
    config.clock = barscope_trace::Clock::Host;
    let console = files::create(&args.console);
    let console = console.map_err(|source| Failure::Report { path: args.console.clone(), source })?;
    config.console = Box::new(Rewound::new(console, CONSOLE_MAX));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(path, KERNEL_MAX).map_err(|source| Failure::Kernel { path: path.to_owned(), source })
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

/// Gives every device without an address the next free device number from 4 on, where `lab` always is.
fn devices(choices: &[DeviceChoice]) -> Result<Devices, Failure> {
    let taken: Vec<Bdf> = choices.iter().filter_map(|choice| choice.bdf).collect();
    let mut free = (4..32).filter_map(|device| Bdf::new(0, device, 0)).filter(|bdf| !taken.contains(bdf));
    choices
        .iter()
        .map(|choice| {
            let bdf = choice.bdf.or_else(|| free.next()).ok_or(Failure::BusFull)?;
            Ok((bdf, (choice.entry.new)(&choice.options)))
        })
        .collect()
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
