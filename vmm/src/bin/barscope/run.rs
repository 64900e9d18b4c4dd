//! `barscope run`: boots a guest, prints its accesses while it runs, and says how it ended.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use device_model::Bdf;
use protocol::scenario;
use trace::print::{JsonPrinter, Printer, TextPrinter, Totals};
use trace::{EventKind, Tail};
use vmm::machine::Devices;
use vmm::{Config, HostError, Place, Running, Stop, machine};

use crate::args::{Clock, DeviceChoice, Format, Guest, Run};
use crate::ending::{Code, Failure, explain};
use crate::linux;
use crate::signals::Signals;

/// How long the machine runs between two looks at its trace.
const TURN: Duration = Duration::from_millis(50);
/// Columns to print in where there is no terminal: one line an access, good for `grep`.
const WIDE: usize = 160;
/// How many lines of a Linux guest's console are shown if it fails.
const CONSOLE_TAIL: usize = 12;

/// Runs the command.
///
/// # Errors
/// [`Failure`] if nothing could run or be shown.
pub fn run(args: &Run) -> Result<Code, Failure> {
    if args.list_scenarios {
        return list_scenarios(args.guest);
    }
    check(args)?;
    let mut signals = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
    let mut running = machine::start(config(args)?)?;
    for descriptor in signals.descriptors() {
        running.wake_on(descriptor)?;
    }
    let mut live = Live::open(args)?;
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
    loop {
        let left = limit.saturating_sub(began.elapsed());
        if let Some(stop) = running.turn(TURN.min(left))? {
            return Ok(stop);
        }
        if let Some(signal) = signals.received() {
            return Ok(Stop::Interrupted { signal });
        }
        if left.is_zero() {
            return Ok(Stop::Timeout);
        }
        live.follow()?;
    }
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
    Ok(())
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
    eprintln!("the guest's console, {}, ends:", args.console.display());
    for line in &lines[lines.len().saturating_sub(CONSOLE_TAIL)..] {
        eprintln!("  {}", line.trim_end());
    }
}

fn config(args: &Run) -> Result<Config, Failure> {
    let mut config = Config::test_kernel(&args.trace);
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
    } else if !args.scenarios.is_empty() {
        config.command_line = format!("{}{}", scenario::ARGUMENT, args.scenarios.join(","));
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
    config.clock = trace::Clock::Host;
    let console = File::create(&args.console);
    let console = console.map_err(|source| Failure::File { path: args.console.clone(), source })?;
    config.console = Box::new(console);
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })
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

/// The trace, printed while it grows.
struct Live {
    tail: Tail,
    totals: Totals,
    /// `None` with `--quiet`, or once nobody reads standard output any more.
    printer: Option<Box<dyn Printer>>,
}

impl Live {
    fn open(args: &Run) -> Result<Self, Failure> {
        let tail = Tail::open(&args.trace)?;
        let clock = tail.clock();
        let printer = (!args.quiet).then(|| -> Box<dyn Printer> {
            match args.format {
                Format::Json => Box::new(JsonPrinter::new(io::BufWriter::new(io::stdout()), clock)),
                Format::Text => {
                    let color = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
                    let out = AutoStream::auto(io::stdout());
                    Box::new(TextPrinter::new(io::BufWriter::new(out), clock, width(), color))
                }
            }
        });
        Ok(Self { tail, totals: Totals::default(), printer })
    }

    /// Prints what is new.
    fn follow(&mut self) -> Result<(), Failure> {
        for event in self.tail.poll()? {
            self.totals.add(&event);
            if let EventKind::Warning { text } = event.kind {
                log::warn!("{}", self.tail.definitions().text(text));
            }
            if let Some(printer) = &mut self.printer {
                let printed = printer.event(self.tail.definitions(), &event);
                self.printed(printed)?;
            }
        }
        Ok(())
    }

    /// Prints the rest and how it ended.
    fn finish(mut self, stop: &Stop, places: &[Place]) -> Result<Code, Failure> {
        self.follow()?;
        if let Some(printer) = &mut self.printer {
            let printed = printer.finish(&(&self.tail).into());
            self.printed(printed)?;
        }
        let (code, text) = explain(stop, places, self.tail.definitions());
        if let Some(text) = text {
            eprintln!("error: {text}");
        }
        let unfinished = self.totals.scenarios != self.totals.passed;
        Ok(if code == Code::Passed && unfinished { Code::Failed } else { code })
    }

    /// A reader that has seen enough (`| head`) ends the printing, not the run.
    fn printed(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.printer = None;
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

/// Columns to print in: what COLUMNS says, or the terminal's.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.unwrap_or_else(|| match terminal_size::terminal_size() {
        Some((width, _)) if io::stdout().is_terminal() => width.0.into(),
        _ => WIDE,
    })
}
