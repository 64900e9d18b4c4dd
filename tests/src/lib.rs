//! The bench: start a machine with devices and a guest, get the trace, assert on it.
//!
//! ```no_run
//! use barscope_bench::Bench;
//! use barscope_analysis::assert::{read, Expect, Window};
//!
//! # fn main() -> anyhow::Result<()> {
//! let run = Bench::test_kernel().scenario("probe").run()?;
//! Expect::on(&run.trace)
//!     .within(Window::scenario("probe"))
//!     .sequence([read("BAR0.ID").value(0x3142_414c)])
//!     .assert_passed();
//! # Ok(())
//! # }
//! ```

pub mod access_loop;
pub mod command;
pub mod expectations;
pub mod falsify;
pub mod instructions;
pub mod mutation;
pub mod raw_guest;
pub mod routes;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::assert::{Expect, Window};
use barscope_guest_abi::bug::{self, Bug};
use barscope_guest_abi::scenario;
use barscope_trace::Clock;
use barscope_vmm::machine::Devices;
use barscope_vmm::{Config, Place, Stop};
use device_model::{Bdf, PciDevice, catalog};
use tempfile::TempDir;

/// How long a guest may take before the bench stops it.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A machine to be run.
pub struct Bench {
    config: Config,
    scenarios: Vec<&'static str>,
    bug: Option<Bug>,
    time_limit: Duration,
    folder: Result<TempDir, std::io::Error>,
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
    /// The embedded test kernel with the default devices; it plays every scenario.
    pub fn test_kernel() -> Self {
        let folder = TempDir::new();
        let path = folder.as_ref().map(|folder| folder.path().join("trace")).unwrap_or_default();
        Self {
            config: Config::test_kernel(path),
            scenarios: Vec::new(),
            bug: None,
            time_limit: TIME_LIMIT,
            folder,
        }
    }

    /// Any other kernel: an ELF file with a PVH note. Firmware ran before it.
    pub fn kernel(elf: Vec<u8>) -> Self {
        let mut bench = Self::test_kernel();
        bench.config.kernel = elf;
        bench.config.kernel_name = "guest".to_owned();
        bench.config.firmware = true;
        bench
    }

    /// Plays only this scenario of the test kernel, and others that are named so.
    #[must_use]
    pub fn scenario(mut self, name: &'static str) -> Self {
        self.scenarios.push(name);
        self
    }

    /// Has the driver of the test kernel make this mistake.
    #[must_use]
    pub fn bug(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }

    /// Replaces the devices.
    #[must_use]
    pub fn devices(mut self, devices: Devices) -> Self {
        self.config.devices = devices;
        self
    }

    /// Replaces the devices by one, made with these options, at 00:04.0.
    ///
    /// # Errors
    /// If there is no such device, or it takes no such option.
    pub fn device(self, name: &str, options: &[(&str, &str)]) -> Result<Self> {
        Ok(self.devices(vec![device_at(4, name, options)?]))
    }

    /// Whether BARs have addresses and are decoded when the kernel starts, as PC firmware leaves them.
    #[must_use]
    pub fn firmware(mut self, firmware: bool) -> Self {
        self.config.firmware = firmware;
        self
    }

    /// Gives the machine this many vCPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u8) -> Self {
        self.config.cpus = cpus;
        self
    }

    /// Gives its devices this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.config.clock = clock;
        self
    }

    /// Stops the guest after this time.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs the machine to its end.
    ///
    /// # Errors
    /// If the machine can't be built, the host fails, or the trace can't be read back.
    pub fn run(self) -> Result<Run> {
        let Self { mut config, scenarios, bug, time_limit, folder } = self;
        let folder = folder.context("a folder for the trace")?;
        let scenarios =
            (!scenarios.is_empty()).then(|| format!("{}{}", scenario::ARGUMENT, scenarios.join(",")));
        let bug = bug.map(|bug| format!("{}{}", bug::ARGUMENT, bug.name()));
        config.command_line = scenarios.into_iter().chain(bug).collect::<Vec<_>>().join(" ");
        let path = config.trace.clone();
        let mut machine = barscope_vmm::machine::start(config)?;
        let stop = machine.wait(time_limit).unwrap_or(Stop::Timeout);
        let places = machine.halt();
        machine.finish(stop.end())?;
        Ok(Run { stop, places, trace: Trace::open(&path)?, _folder: folder })
    }
}

/// Runs one scenario of the test kernel, which has to pass, with nothing lost.
///
/// # Errors
/// If it doesn't, or can't be run.
pub fn play(scenario: &'static str) -> Result<Run> {
    let run = Bench::test_kernel().scenario(scenario).run()?;
    ensure!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?} at {:?}", run.stop, run.places);
    ensure!(run.trace.lost() == 0, "{} events are lost", run.trace.lost());
    Ok(run)
}

/// A device of the catalogue as function 0 of device `number` on bus 0.
fn device_at(number: u8, name: &str, options: &[(&str, &str)]) -> Result<(Bdf, Box<dyn PciDevice>)> {
    let entry = catalog::named(name).with_context(|| format!("no device is called {name}"))?;
    let device = (entry.new)(&entry.options(options)?);
    Ok((Bdf::new(0, number, 0).context("no such address")?, device))
}

impl Run {
    /// Asks things of its trace, within one scenario.
    pub fn expect(&self, scenario: &str) -> Expect<'_> {
        Expect::on(&self.trace).within(Window::scenario(scenario))
    }
}
