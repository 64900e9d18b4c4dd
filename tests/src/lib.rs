#![doc = include_str!("../README.md")]

pub mod access_loop;
pub mod command;
pub mod compile;
pub mod counting;
pub mod expectations;
pub mod falsify;
pub mod instructions;
pub mod mutation;
pub mod nested;
pub mod qemu;
pub mod routes;
pub mod terminal;
pub mod workspace;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::assert::{Expect, Window};
use barscope_device::{Bdf, Devices, Entry, Options};
use barscope_devices::catalog;
use barscope_guest_abi::bug::Bug;
use barscope_trace::Clock;
use barscope_vmm::linux::{self, KernelChoice, ModuleChoice, ProgramChoice};
use barscope_vmm::machine;
use barscope_vmm::session::{self, Guest};
use barscope_vmm::{BootModule, ExitStatus, Feature, Place, Stop};
use tempfile::TempDir;

pub use barscope_cost::raw_guest;
pub use nested::NestedRun;

/// A machine to be run.
pub struct Bench {
    guest: Guest,
    devices: Option<Vec<Placed>>,
    command: Option<PathBuf>,
    memory_mib: Option<u64>,
    firmware: Option<bool>,
    cpus: u8,
    without: Vec<Feature>,
    clock: Option<Clock>,
    exit_status: ExitStatus,
    time_limit: Option<Duration>,
}

/// A device and where it is.
enum Placed {
    /// One that a command has, with the options that it was given.
    Named { bdf: Bdf, entry: Entry, given: Vec<(String, String)>, options: Options },
    /// Any other.
    Own(Bdf, Box<dyn barscope_device::PciDevice>),
}

/// A machine that ran.
pub struct Run {
    /// Why it stopped.
    pub stop: Stop,
    /// Where its vCPUs were then.
    pub places: Vec<Place>,
    /// What happened.
    pub trace: Trace,
    /// Holds the trace's file.
    _folder: TempDir,
}

impl Bench {
    fn of(guest: Guest) -> Self {
        Self {
            guest,
            devices: None,
            command: None,
            memory_mib: None,
            firmware: None,
            cpus: 1,
            without: Vec::new(),
            clock: None,
            exit_status: ExitStatus::default(),
            time_limit: None,
        }
    }

    /// The embedded test kernel with the default devices; it plays every scenario.
    pub fn test_kernel() -> Self {
        Self::of(Guest::TestKernel { scenarios: Vec::new(), bug: None })
    }

    /// Any other kernel: a Linux bzImage, a multiboot kernel, or an ELF file with a PVH note. Firmware ran before it; its clock is virtual.
    pub fn kernel(image: Vec<u8>) -> Self {
        let (name, command_line) = ("guest".to_owned(), String::new());
        Self::of(Guest::Kernel { image, name, modules: Vec::new(), command_line }).clock(Clock::Virtual)
    }

    /// The kernel's command line. Only for [`Bench::kernel`].
    #[must_use]
    pub fn command_line(self, text: &str) -> Self {
        self.with_kernel(|line, _| text.clone_into(line))
    }

    /// Loads this beside the kernel; more of it in this order. A multiboot kernel is told the text. Only for
    /// [`Bench::kernel`].
    #[must_use]
    pub fn boot_module(self, text: &str, content: &[u8]) -> Self {
        self.with_kernel(|_, modules| {
            modules.push(BootModule { content: content.to_vec(), text: text.to_owned() });
        })
    }

    /// # Panics
    /// If the guest isn't any other kernel.
    fn with_kernel(mut self, change: impl FnOnce(&mut String, &mut Vec<BootModule>)) -> Self {
        let Guest::Kernel { command_line, modules, .. } = &mut self.guest else {
            panic!("only Bench::kernel() has a command line and modules beside it");
        };
        change(command_line, modules);
        self
    }

    /// How to read a status that the guest ends with by isa-debug-exit.
    #[must_use]
    pub fn exit_status(mut self, exit_status: ExitStatus) -> Self {
        self.exit_status = exit_status;
        self
    }

    /// Linux, Debian's unless another one is named, with the driver for lab; it plays every scenario.
    pub fn linux() -> Self {
        Self::of(Guest::Linux { choice: linux::Choice::default(), initramfs: None, append: String::new() })
    }

    /// Boots the Linux in this file (a bzImage, or a vmlinux with a PVH note). Only for [`Bench::linux`].
    #[must_use]
    pub fn kernel_file(self, path: impl AsRef<Path>) -> Self {
        self.with_linux(|choice| choice.kernel = KernelChoice::Named(path.as_ref().to_owned()))
    }

    /// Loads this kernel module, instead of the driver for lab; more of them in this order. Only for [`Bench::linux`].
    #[must_use]
    pub fn module(self, file: impl AsRef<Path>, parameters: &str) -> Self {
        let module = ModuleChoice { file: file.as_ref().to_owned(), parameters: parameters.to_owned() };
        self.with_linux(|choice| choice.modules.push(module))
    }

    /// Runs this program or script, instead of scenarios; more of them in this order. Only for [`Bench::linux`].
    #[must_use]
    pub fn program(self, file: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let program = ProgramChoice { file: file.as_ref().to_owned(), arguments };
        self.with_linux(|choice| choice.programs.push(program))
    }

    /// # Panics
    /// If the guest isn't Linux.
    fn with_linux(mut self, change: impl FnOnce(&mut linux::Choice)) -> Self {
        let Guest::Linux { choice, .. } = &mut self.guest else {
            panic!("only Bench::linux() has modules, programs and a kernel's file");
        };
        change(choice);
        self
    }

    /// Plays only this scenario of the test kernel or of Linux, and others that are named so.
    ///
    /// # Panics
    /// If the guest is another kernel, which has none.
    #[must_use]
    pub fn scenario(mut self, name: &str) -> Self {
        match &mut self.guest {
            Guest::TestKernel { scenarios, .. } => scenarios.push(name.to_owned()),
            Guest::Linux { choice, .. } => choice.scenarios.push(name.to_owned()),
            Guest::Kernel { .. } => panic!("this guest has no scenario {name}"),
        }
        self
    }

    /// Has the driver of the test kernel make this mistake.
    ///
    /// # Panics
    /// If the guest isn't the test kernel.
    #[must_use]
    pub fn bug(mut self, mistake: Bug) -> Self {
        let Guest::TestKernel { bug, .. } = &mut self.guest else { panic!("only the test kernel has bugs") };
        *bug = Some(mistake.name().to_owned());
        self
    }

    /// Replaces the devices.
    #[must_use]
    pub fn devices(mut self, devices: Devices) -> Self {
        self.devices = Some(devices.into_iter().map(|(bdf, device)| Placed::Own(bdf, device)).collect());
        self
    }

    /// Replaces the devices by one that comes with barscope, made with these options, at 00:04.0.
    ///
    /// # Errors
    /// If there is no such device, or it takes no such option.
    pub fn device(self, name: &str, options: &[(&str, &str)]) -> Result<Self> {
        let entry = catalog::named(name).with_context(|| format!("no device is called {name}"))?;
        self.entry(entry, options)
    }

    /// Replaces the devices by one of one's own, made with these options, at 00:04.0. [`Bench::run_nested`] needs the
    /// command that has it besides: [`Bench::command`].
    ///
    /// # Errors
    /// If it takes no such option, or has more functions than a device number.
    pub fn entry(mut self, entry: Entry, given: &[(&str, &str)]) -> Result<Self> {
        let options = entry.parse(given)?;
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let bdf = Bdf::new(0, 4, 0).context("no such address")?;
        entry.at(bdf, &options)?;
        self.devices = Some(vec![Placed::Named { bdf, entry, given, options }]);
        Ok(self)
    }

    /// The command that [`Bench::run_nested`] runs, for devices that only that has, as in
    /// `env!("CARGO_BIN_EXE_my-command")`; without it, `barscope`.
    #[must_use]
    pub fn command(mut self, program: impl Into<PathBuf>) -> Self {
        self.command = Some(program.into());
        self
    }

    /// Whether BARs have addresses and are decoded when the kernel starts, as PC firmware leaves them.
    #[must_use]
    pub fn firmware(mut self, firmware: bool) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// Gives the machine this much memory.
    #[must_use]
    pub fn memory_mib(mut self, mib: u64) -> Self {
        self.memory_mib = Some(mib);
        self
    }

    /// Gives the machine this many vCPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u8) -> Self {
        self.cpus = cpus;
        self
    }

    /// Keeps a feature of the processor from the guest.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        self.without.push(feature);
        self
    }

    /// Gives its devices this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Stops the guest after this time.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Runs the machine to its end, on this machine's KVM.
    ///
    /// # Errors
    /// If the machine can't be built, the host fails, or the trace can't be read back.
    pub fn run(self) -> Result<Run> {
        let folder = TempDir::new().context("a folder for the trace")?;
        let path = folder.path().join("trace");
        let limit = self.time_limit.unwrap_or(self.guest.defaults().time_limit);
        let devices = match self.devices {
            Some(placed) => {
                let devices: Vec<Devices> = placed.into_iter().map(Placed::make).collect::<Result<_>>()?;
                devices.into_iter().flatten().collect()
            }
            None => catalog::defaults(),
        };
        let mut config = self.guest.config(&path, devices)?;
        config.memory_mib = self.memory_mib.unwrap_or(config.memory_mib);
        config.firmware = self.firmware.unwrap_or(config.firmware);
        config.clock = self.clock.unwrap_or(config.clock);
        config.cpus = self.cpus;
        config.without = self.without;
        config.exit_status = self.exit_status;
        let ended = session::attend(machine::start(config)?, Instant::now() + limit, || None);
        ended.finished?;
        Ok(Run { stop: ended.stop, places: ended.places, trace: Trace::open(&path)?, _folder: folder })
    }
}

impl Placed {
    fn make(self) -> Result<Devices> {
        Ok(match self {
            Self::Own(bdf, device) => vec![(bdf, device)],
            Self::Named { bdf, entry, options, .. } => entry.at(bdf, &options)?,
        })
    }
}

/// Runs one scenario of the test kernel, which has to pass, with nothing lost.
///
/// # Errors
/// If it doesn't, or can't be run.
pub fn play(scenario: &str) -> Result<Run> {
    let run = Bench::test_kernel().scenario(scenario).run()?;
    ensure!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?} at {:?}", run.stop, run.places);
    ensure!(run.trace.info().lost == 0, "{} events are lost", run.trace.info().lost);
    Ok(run)
}

impl Run {
    /// Asks things of its trace, within one scenario.
    pub fn expect(&self, scenario: &str) -> Expect<'_> {
        Expect::on(&self.trace).within(Window::scenario(scenario))
    }
}
