//! The same guest in our machine.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use barscope_device::{Bdf, PciDevice};
use barscope_devices::catalog;
use barscope_trace::{Clock, WriteOptions};
use barscope_vmm::machine::{self, Config};
use barscope_vmm::observer::Observer;
use barscope_vmm::session::{self, Guest};
use tempfile::TempDir;

use crate::Error;
use crate::image::MARK;
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
    /// The device, at 00:04.0.
    pub device: Device,
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

/// Time between a guest's marks.
///
/// # Errors
/// If the host can't run it, or it does something else than its loop.
pub fn time(image: &[u8], setup: Setup) -> Result<Duration, Error> {
    let (times, marks) = channel();
    let observer = move |_| Marks { began: None, times: times.clone() };
    run(image, setup, observer)?;
    marked(&marks)
}

/// Runs a guest to its end, watched from the inside.
///
/// # Errors
/// As [`time`].
pub fn run<O: Observer>(image: &[u8], setup: Setup, observer: impl FnMut(u8) -> O) -> Result<(), Error> {
    let folder = TempDir::new().map_err(Error::system("a folder for the trace"))?;
    let trace = folder.path().join("trace");
    let devices = vec![(Bdf::from_routing_id(0x20), setup.device.make()?)];
    let guest = Guest::Kernel {
        image: image.to_vec(),
        name: "loop".to_owned(),
        initramfs: None,
        command_line: String::new(),
    };
    let config = guest.config(&trace, devices);
    let config = config.map_err(|error| Error::Guest { machine: "barscope", what: error.to_string() })?;
    let trace_options = WriteOptions { events: setup.record != Record::Nothing, ..WriteOptions::default() };
    let config = Config { firmware: false, clock: Clock::Virtual, trace_options, ..config };
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

/// The time that a [`Marks`] has sent.
fn marked(marks: &Receiver<Duration>) -> Result<Duration, Error> {
    let missing = |_| Error::Guest { machine: "barscope", what: "it found no device".to_owned() };
    marks.try_recv().map_err(missing)
}

/// Takes the time between marks.
struct Marks {
    began: Option<Instant>,
    times: Sender<Duration>,
}

impl Observer for Marks {
    fn port(&mut self, port: u16) {
        if port != MARK {
            return;
        }
        match self.began {
            None => self.began = Some(Instant::now()),
            // Whoever asked is waiting.
            Some(began) => self.times.send(began.elapsed()).unwrap_or_default(),
        }
    }
}
