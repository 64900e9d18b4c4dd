//! `barscope run`: boots a guest, prints its accesses while it runs, and says how it ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use device_model::Bdf;
use protocol::bug;
use protocol::scenario::{self, Needs};
use trace::filter::Filter;
use trace::{Event, EventKind, Tail, Writer};
use vmm::machine::Devices;
use vmm::{Config, HostError, Place, Running, Stop, machine};

use crate::args::{Clock, DeviceChoice, Format, Guest, Run};
use crate::ending::{Code, Failure, explain};
use crate::expectations::Expectations;
use crate::linux::{self, Progress};
use crate::output;
use crate::signals::Signals;
use crate::watch::{Selection, Watch, compile, filter};

/// How long the machine runs between two looks at its trace.
const TURN: Duration = Duration::from_millis(50);
/// The same while expectations are held against it: a violation stops the guest soon.
const SHORT_TURN: Duration = Duration::from_millis(2);
/// How many lines of a Linux guest's console are shown if it fails.
const CONSOLE_TAIL: usize = 12;
/// How the line begins that says why a kernel panics; a page of what led to it follows.
const PANIC: &str = "Kernel panic - not syncing";

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
    let mut signals = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
    let mut running = machine::start(config(args)?)?;
    for descriptor in signals.descriptors() {
        running.wake_on(descriptor)?;
    }
    let mut live = Live::open(args, filter, expectations)?;
    let stop = drive(&mut running, &mut signals, &mut live, args.time_limit())?;
    let places = running.halt();
    running.finish(stop.end())?;
    let code = live.finish(&stop, &places)?;
    if args.guest == Guest::Linux {
        say_of_linux(args, code, &stop);
    }
    Ok(code)
}

/// Gives the machine turns until it stops, and prints between them.
fn drive(
    running: &mut Running,
    signals: &mut Signals,
    live: &mut Live,
    limit: Duration,
) -> Result<Stop, Failure> {
    let began = Instant::now();
    let turn = if live.watch.expectations().is_empty() { TURN } else { SHORT_TURN };
    loop {
        let left = limit.saturating_sub(began.elapsed());
        if let Some(stop) = running.turn(turn.min(left))? {
            return Ok(stop);
        }
        if let Some(signal) = signals.received() {
            return Ok(Stop::Interrupted { signal });
        }
        if left.is_zero() {
            return Ok(Stop::Timeout);
        }
        live.follow()?;
        if let Some((violation, _)) = live.violation() {
            return Ok(Stop::Enough { why: format!("record {violation} broke an expectation") });
        }
    }
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

/// What a Linux guest leaves besides a trace: on failure, the end of its console.
fn say_of_linux(args: &Run, code: Code, stop: &Stop) {
    if let Stop::NotEmulated { .. } = stop {
        eprintln!("this KVM emulates too little to run Linux; --nested runs it in an emulated processor");
    }
    if matches!(code, Code::Passed | Code::Interrupted) {
        return;
    }
    let console = std::fs::read(&args.console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<_> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return;
    }
    let (before, end) = lines.split_at(lines.len().saturating_sub(CONSOLE_TAIL));
    if let Some(panic) = before.iter().rfind(|line| line.contains(PANIC)) {
        eprintln!("the guest's kernel panicked:\n  {}", panic.trim_end());
    }
    eprintln!("the guest's console, {}, ends:", args.console.display());
    for line in end {
        eprintln!("  {}", line.trim_end());
    }
}

fn config(args: &Run) -> Result<Config, Failure> {
    let mut config = Config::test_kernel(&args.trace);
    config.trace_options = args.trace_options();
    config.memory_mib = args.memory_mib();
    config.cpus = args.cpus;
    config.kvm.clone_from(&args.kvm);
    if !args.quiet {
        config.console = Box::new(io::stderr());
    }
    if !args.devices.is_empty() {
        config.devices = devices(&args.devices)?;
    }
    if args.guest == Guest::Linux {
        linux_guest(args, &mut config)?;
    } else if let Some(path) = &args.kernel {
        config.kernel = read(path)?;
        config.initramfs = args.initrd.as_ref().map(read).transpose()?;
        config.kernel_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        config.command_line.clone_from(&args.append);
        config.clock = trace::Clock::Host;
    } else {
        let scenarios = (!args.scenarios.is_empty()).then(|| args.scenarios.join(","));
        let scenarios = scenarios.map(|names| format!("{}{names}", scenario::ARGUMENT));
        let bug = args.bug.as_ref().map(|name| format!("{}{name}", bug::ARGUMENT));
        config.command_line = scenarios.into_iter().chain(bug).collect::<Vec<_>>().join(" ");
    }
    match args.clock {
        Some(Clock::Virtual) => config.clock = trace::Clock::Virtual,
        Some(Clock::Host) => config.clock = trace::Clock::Host,
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
    config.clock = trace::Clock::Host;
    let console = File::create(&args.console);
    let console = console.map_err(|source| Failure::Report { path: args.console.clone(), source })?;
    config.console = Box::new(console);
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::Kernel { path: path.clone(), source })
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

/// The trace, looked at while it grows.
struct Live {
    tail: Tail,
    watch: Watch,
    format: Format,
    junit: Option<PathBuf>,
    progress: Option<Progress>,
    /// Linux tells its symbols once it has booted, and those of programs when they start.
    names_come_late: bool,
}

impl Live {
    /// Opens the trace of a machine that was just started.
    fn open(
        args: &Run,
        filter: Option<(Filter, String)>,
        expectations: Expectations,
    ) -> Result<Self, Failure> {
        let mut tail = Tail::open(&args.trace)?;
        // Its devices are defined before its first event.
        let events = tail.poll()?;
        let selection = compile(filter, tail.definitions())?;
        let selection = selection.map(|like| Selection::new(like, args.format));
        let selective = selection.is_some();
        let printer = (!args.quiet).then(|| output::printer(args.format, tail.clock(), selective));
        let watch = Watch::new(selection, printer, expectations);
        let mut live = Self {
            tail,
            watch,
            format: args.format,
            junit: args.junit.clone(),
            progress: Progress::of(args),
            names_come_late: args.guest == Guest::Linux || args.kernel.is_some(),
        };
        live.take(&events)?;
        Ok(live)
    }

    /// Takes what is new.
    fn follow(&mut self) -> Result<(), Failure> {
        let events = self.tail.poll()?;
        if let Some(progress) = &mut self.progress {
            progress.take(&events, self.tail.definitions(), self.watch.is_read());
        }
        self.take(&events)?;
        self.watch.flush()?;
        if let Some(progress) = &mut self.progress {
            progress.show();
        }
        Ok(())
    }

    fn take(&mut self, events: &[Event]) -> Result<(), Failure> {
        for event in events {
            if let EventKind::Warning { text } = event.kind {
                log::warn!("{}", self.tail.definitions().text(text));
            }
            self.watch.event(self.tail.definitions(), event)?;
        }
        Ok(())
    }

    /// The record that certainly broke an expectation, and the last one so far.
    fn violation(&mut self) -> Option<(u64, u64)> {
        let capabilities = self.tail.capabilities();
        self.watch.expectations().violation(&capabilities, self.names_come_late)
    }

    /// Prints the rest, how it ended, and what became of expectations.
    fn finish(mut self, stop: &Stop, places: &[Place]) -> Result<Code, Failure> {
        // The line goes before the rest is printed.
        self.progress = None;
        self.follow()?;
        let violation = self.violation();
        let Self { tail, mut watch, format, junit, .. } = self;
        let ending = (&tail).into();
        watch.finish(&ending)?;
        let (code, text) = explain(stop, places, tail.definitions());
        if let Some(text) = text {
            eprintln!("error: {text}");
        }
        let totals = watch.totals();
        let mut codes = vec![code];
        if totals.scenarios != totals.passed && !matches!(stop, Stop::Enough { .. }) {
            codes.push(Code::Failed);
        }
        if !watch.expectations().is_empty() {
            codes.push(report(&mut watch, tail.path(), violation, format, junit.as_deref())?);
        }
        Ok(worst(&codes))
    }
}

/// Prints what became of expectations.
fn report(
    watch: &mut Watch,
    trace: &Path,
    violation: Option<(u64, u64)>,
    format: Format,
    junit: Option<&Path>,
) -> Result<Code, Failure> {
    let outcome = watch.expectations().judge(trace)?;
    if let Some(path) = junit {
        outcome.write_junit(path)?;
    }
    if format == Format::Text {
        println!();
    }
    outcome.print(format)?;
    if let (Some((broken, last)), Format::Text) = (violation, format) {
        println!("broken by record {broken}; the guest was stopped at record {last}");
    }
    Ok(outcome.code())
}

/// The host's troubles and the user's come before the guest's, and what failed before what is open.
fn worst(codes: &[Code]) -> Code {
    let order = [Code::Host, Code::Usage, Code::Interrupted, Code::Failed, Code::Inconclusive];
    order.into_iter().find(|code| codes.contains(code)).unwrap_or(Code::Passed)
}
