//! `barscope poke`: touches a device without a driver and without a virtual machine, and prints what it does.

mod step;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use barscope_analysis::check::Expectations;
use barscope_analysis::print::TextPrinter;
use barscope_analysis::watch::Watch;
use barscope_device::{Bdf, Hex, Region};
use barscope_trace::definition::Function;
use barscope_trace::{Tail, WriteOptions};
use barscope_vmm::bare::{Bare, Surroundings};
use barscope_vmm::perform::Request;
use serde::Serialize;
use tempfile::TempDir;

use crate::args::{Firmware, Poke};
use crate::choice;
use crate::ending::{Code, Failure, with_sources};
use crate::files;
use crate::output::{self, Format};
use step::Step;

/// The longest text of steps.
const STEPS_MAX: u64 = 16 << 20;
/// Where messages go, and with which vector.
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;
const MESSAGE_DATA: u64 = 0x31;
const CAPABILITIES: u64 = 0x34;
const CAPABILITIES_MAX: usize = 48;
const MSI: u64 = 0x05;
const MSI_64_BIT: u64 = 1 << 7;

/// Runs the command.
///
/// # Errors
/// A step is wrong, before any of them was done, or can't be done; the trace or standard output can't be written.
pub fn poke(args: &Poke) -> Result<Code, Failure> {
    let texts = texts(args)?;
    let folder = TempDir::new();
    let path = match &args.trace {
        Some(path) => path.clone(),
        None => {
            let failed = |source| Failure::Report { path: std::env::temp_dir(), source };
            folder.as_ref().map_err(|error| failed(io::Error::from(error.kind())))?.path().join("trace")
        }
    };
    let options = WriteOptions { force: args.force, ..WriteOptions::default() };
    let devices = choice::place(std::slice::from_ref(&args.device))?;
    let places: Vec<Bdf> = devices.iter().map(|(bdf, _)| *bdf).collect();
    let around = Surroundings { firmware: args.firmware == Firmware::On, ..Surroundings::default() };
    let bare = Bare::new(devices, around, &path, options)?;
    let mut tail = Tail::open(&path)?;
    let clock = tail.info().clock;
    let printer = match args.format {
        Format::Text if args.trace.is_none() => {
            let printer = TextPrinter::new(output::buffered(), clock, output::width(), output::color());
            Box::new(printer.selective().without_file())
        }
        format => output::printer(format, clock, true),
    };
    let mut watch = Watch::new(None, Some(printer), Expectations::default());
    for event in tail.poll()? {
        watch.pass(tail.definitions(), &event);
    }
    let steps = {
        let all: Vec<&Function> = tail.definitions().functions().map(|(_, function)| function).collect();
        let touched: Vec<_> = all.into_iter().filter(|function| places.contains(&function.bdf)).collect();
        step::read(&texts, &touched).map_err(Failure::Diagnostic)?
    };
    let mut poking = Poking { bare, tail, watch, format: args.format };
    for (text, step) in &steps {
        poking.play(step).map_err(|failure| failure.at(text))?;
    }
    poking.finish()
}

/// The steps, in the order of the command line.
fn texts(args: &Poke) -> Result<Vec<String>, Failure> {
    let mut texts = Vec::new();
    if let Some(file) = &args.file {
        texts.push(files::read_text(file, files::TEXT_MAX)?);
    }
    // A step may be one word of the command line or several.
    for (index, words) in args.steps.split(|word| word == "-").enumerate() {
        if index > 0 {
            let mut input = String::new();
            let read = io::stdin().lock().take(STEPS_MAX).read_to_string(&mut input);
            read.map_err(|source| Failure::File { path: PathBuf::from("-"), source })?;
            texts.push(input);
        }
        texts.push(words.join(" "));
    }
    Ok(texts)
}

/// A device that is touched, and its trace, which is printed while it grows.
struct Poking {
    bare: Bare,
    tail: Tail,
    watch: Watch,
    format: Format,
}

/// Bytes of memory, as JSON.
#[derive(Serialize)]
struct Memory {
    memory: String,
    bytes: Hex,
}

impl Poking {
    fn play(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Access { bdf, region, offset, request } => {
                self.access(*bdf, *region, *offset, *request)?;
            }
            Step::Wait(nanoseconds) => self.bare.wait(*nanoseconds)?,
            Step::ReadMemory(address, length) => return self.show_memory(*address, *length),
            Step::WriteMemory(address, bytes) => {
                let written = self.bare.write_memory(*address, bytes);
                written.map_err(|error| Failure::Diagnostic(format!("{address:#x}: {error}")))?;
            }
            Step::Msi(bdf) => self.enable_messages(*bdf)?,
            Step::Reset(bdf) => self.bare.reset(*bdf)?,
        }
        self.print()
    }

    fn access(&mut self, bdf: Bdf, region: Region, offset: u64, request: Request) -> Result<u64, Failure> {
        let answered = self.bare.access(bdf, region, offset, request);
        answered.map_err(|error| Failure::Diagnostic(with_sources(&error)))
    }

    /// Prints what is new in the trace.
    fn print(&mut self) -> Result<(), Failure> {
        for event in self.tail.poll()? {
            self.watch.event(self.tail.definitions(), &event)?;
        }
        Ok(self.watch.flush()?)
    }

    fn show_memory(&mut self, address: u64, length: usize) -> Result<(), Failure> {
        let mut bytes = vec![0; length];
        let read = self.bare.read_memory(address, &mut bytes);
        read.map_err(|error| Failure::Diagnostic(format!("{address:#x}: {error}")))?;
        let mut out = output::buffered();
        match self.format {
            Format::Json => {
                output::json(&mut out, &Memory { memory: format!("{address:#x}"), bytes: Hex(bytes) })?;
            }
            Format::Text => {
                for (at, line) in (address..).step_by(16).zip(bytes.chunks(16)) {
                    let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                    writeln!(out, "{:17} memory {at:#x}: {}", "", digits.join(" "))?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Finds the MSI capability, says where messages go, and enables it (PCI Local Bus 3.0, section 6.8.1).
    fn enable_messages(&mut self, bdf: Bdf) -> Result<(), Failure> {
        let mut at = self.access(bdf, Region::Config, CAPABILITIES, Request::read(1))?;
        for _ in 0..CAPABILITIES_MAX {
            if at == 0 {
                break;
            }
            let header = self.access(bdf, Region::Config, at, Request::read(4))?;
            if header & 0xff != MSI {
                at = header >> 8 & 0xfc;
                continue;
            }
            let control = header >> 16;
            let mut writes = vec![(at + 4, 4, MESSAGE_ADDRESS)];
            let data = if control & MSI_64_BIT != 0 {
                writes.push((at + 8, 4, 0));
                at + 0xc
            } else {
                at + 8
            };
            writes.extend([(data, 2, MESSAGE_DATA), (at + 2, 2, control | 1)]);
            for (offset, size, value) in writes {
                self.access(bdf, Region::Config, offset, Request::write(size, value))?;
            }
            return Ok(());
        }
        Err(Failure::Diagnostic(format!("the function at {bdf} has no MSI")))
    }

    fn finish(self) -> Result<Code, Failure> {
        let Self { bare, mut tail, mut watch, .. } = self;
        bare.finish()?;
        for event in tail.poll()? {
            watch.event(tail.definitions(), &event)?;
        }
        watch.finish(&tail.info())?;
        Ok(Code::Passed)
    }
}
