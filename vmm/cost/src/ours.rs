//! The same guest in our machine.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use barscope_device::{Bdf, PciDevice};
use barscope_devices::catalog;
use barscope_trace::{Clock, WriteOptions};
use barscope_vmm::machine::{self, Config};
use barscope_vmm::observer::Observer;
use barscope_vmm::session::{self, Guest};
use tempfile::TempDir;

use crate::Error;
use crate::observers::Marks;
use crate::printer::Printer;

/// How long a block may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A device of the catalogue, with options.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Its name there.
    pub name: &'static str,
    /// What isn't as usual.
    pub options: &'static [(&'static str, &'static str)],
}

/// `lab` as it is without options.
pub const LAB: Device = Device { name: "lab", options: &[] };

impl Device {
    fn make(self) -> Result<Box<dyn PciDevice>, Error> {
        let unknown = || Error::Guest { machine: "barscope", what: format!("no device {self:?}") };
        let entry = catalog::named(self.name).ok_or_else(unknown)?;
        let options = entry.parse(self.options).map_err(|_| unknown())?;
        entry.functions(&options).pop().ok_or_else(unknown)
    }
}

/// How our machine is to run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The device, one for each vCPU, from 00:04.0 on.
    pub device: Device,
    /// Number of vCPUs.
    pub cpus: u8,
    /// What becomes of what happens.
    pub record: Record,
}

/// What becomes of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nothing.
    Nothing,
    /// It is traced.
    Traced,
    /// It is traced, and printed meanwhile.
    Printed,
}

/// Time between the marks of a guest, for each of its vCPUs.
///
/// # Errors
/// If the host can't run it, or it does something else than its loop.
pub fn times(image: &[u8], setup: Setup) -> Result<Vec<Duration>, Error> {
    let (times, marks) = channel();
    run(image, setup, |_| Marks::new(times.clone()))?;
    (0..setup.cpus).map(|_| sent(&marks)).collect()
}

/// Runs a guest to its end, watched from the inside.
///
/// # Errors
/// As [`times`].
pub fn run<O: Observer>(image: &[u8], setup: Setup, observer: impl FnMut(u8) -> O) -> Result<(), Error> {
    let folder = TempDir::new().map_err(Error::system("a folder for the trace"))?;
    let trace = folder.path().join("trace");
    let device = |index: u8| Ok((Bdf::from_routing_id(0x20 + 8 * u16::from(index)), setup.device.make()?));
    let devices = (0..setup.cpus).map(device).collect::<Result<_, Error>>()?;
    let guest = Guest::Kernel {
        image: image.to_vec(),
        name: "loop".to_owned(),
        modules: Vec::new(),
        command_line: String::new(),
    };
    let config = guest.config(&trace, devices);
    let config = config.map_err(|error| Error::Guest { machine: "barscope", what: error.to_string() })?;
    let trace_options = WriteOptions { events: setup.record != Record::Nothing, ..WriteOptions::default() };
    let config = Config { firmware: false, clock: Clock::Virtual, cpus: setup.cpus, trace_options, ..config };
    let running = machine::start_observed(config, observer)?;
    let printer = (setup.record == Record::Printed).then(|| Printer::start(&trace)).transpose()?;
    let ended = session::attend(running, Instant::now() + LIMIT, || None);
    ended.finished?;
    printer.map(Printer::finish).transpose()?;
    match ended.stop {
        barscope_vmm::Stop::Reset => Ok(()),
        other => Err(Error::Guest { machine: "barscope", what: format!("{other:?}") }),
    }
}

/// What an observer has sent, once its machine ended.
///
/// # Errors
/// If it saw no two marks: the guest found no function to access.
pub fn sent<T>(sent: &Receiver<T>) -> Result<T, Error> {
    let missing = |_| Error::Guest { machine: "barscope", what: "it found no device".to_owned() };
    sent.try_recv().map_err(missing)
}
