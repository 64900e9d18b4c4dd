//! Options of what is about a device: `poke`, `replay`, `import`, `devices`.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};

use super::run::Firmware;
use crate::choice::{DeviceChoice, no_device};
use crate::output::Format;

/// Options of `poke`.
#[derive(clap::Args)]
#[command(after_help = "\
Steps, as many as you like:
  read PLACE             write PLACE VALUE       PLACE is BAR0.STATUS, BAR0+0x10, CONFIG.COMMAND, ..
  read4 PLACE            write4 PLACE VALUE      with another size: 1, 2, 4 or 8 bytes
                                                 VALUE is 12, 0x1f or {FIELD=1,FIELD=NAME}, other fields 0
  config read OFFSET     config write OFFSET VALUE
  memory read ADDRESS LENGTH                     memory write ADDRESS 11223344
  wait 20us              device time passes, timers fire
  msi                    messages are enabled, to 0xfee00000
  reset                  the function is as at the beginning
  function N             what follows is about function N of the device
As in: poke lab write BAR0.CONTROL {ENABLE=1} write BAR0.OPERAND 5 write BAR0.OPCODE 1 wait 20us read BAR0.RESULT")]
pub struct Poke {
    /// The device
    #[arg(index = 1, value_name = "NAME[,OPTION=VALUE]", value_parser = no_device)]
    pub device: DeviceChoice,

    /// What to do, one after the other; - for what standard input says
    #[arg(index = 2, value_name = "STEP", required_unless_present = "file")]
    pub steps: Vec<String>,

    /// Do what this file says first: steps, and comments from # to the end of the line
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Give BARs addresses, and enable decoding and bus mastering, before the first step
    #[arg(long, default_value = "on")]
    pub firmware: Firmware,

    /// Keep the trace there
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// Replace the file at --trace even if it is no trace
    #[arg(long)]
    pub force: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `replay`.
#[derive(clap::Args)]
#[command(after_help = "\
FILE is a trace of any origin, or a recording: operations, one JSON object a line, as docs/traces.md tells.
Compared are values that are read, register changes, DMA, messages and the interrupt pin's level, as far as FILE tells.
What memory held that a device reads by DMA is in no trace: what differs after that is undecided.
Exit code: 0 nothing differs but what the device documents, 1 something else does, 4 that can't be told.")]
pub struct Replay {
    /// The device; bdf=BB:DD.F names the trace's function that it stands for
    #[arg(long, value_name = "NAME[,OPTION=VALUE]", value_parser = no_device)]
    pub device: DeviceChoice,

    /// What was recorded
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Write what the device gave to this file, as a recording
    #[arg(long, value_name = "OBSERVED.jsonl")]
    pub out: Option<PathBuf>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `import`.
#[derive(clap::Args)]
#[command(after_help = "\
mmiotrace   finds the device by its vendor and device in PCIDEV lines
qemu        needs --bar 0=ADDRESS (`info pci` of its monitor), or --bar 0=NAME of a memory region
rwmmio      needs --bar 0=ADDRESS of the driver's mapping, a virtual one: /proc/vmallocinfo has it beside phys=
jsonl       is what `barscope show --format json` prints
What a tracer says that it lost, and each line that can't be understood, is a lost record of the trace.")]
pub struct Import {
    /// What was written
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// By whom
    #[arg(long, value_name = "FORMAT")]
    pub from: ImportFormat,

    /// The device whose accesses are wanted: by its name, or a file that describes it
    #[arg(long, value_name = "NAME|MAP.toml", hide_possible_values = true, value_hint = ValueHint::FilePath)]
    pub device: String,

    /// Where a BAR is, if the file doesn't say, or says it wrong; may be repeated
    #[arg(long = "bar", value_name = "N=ADDRESS[,LENGTH]|N=NAME")]
    pub bars: Vec<barscope_import::BarAt>,

    /// The trace to write
    #[arg(short, long, value_name = "TRACE")]
    pub out: PathBuf,

    /// Replace the file there even if it is no trace
    #[arg(long)]
    pub force: bool,
}

/// What another tracer wrote.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// The kernel's mmiotrace.
    Mmiotrace,
    /// QEMU's memory_region_ops_* events.
    Qemu,
    /// The kernel's rwmmio events.
    Rwmmio,
    /// JSON Lines of ours.
    Jsonl,
}

impl From<ImportFormat> for barscope_import::Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Mmiotrace => Self::Mmiotrace,
            ImportFormat::Qemu => Self::Qemu,
            ImportFormat::Rwmmio => Self::Rwmmio,
            ImportFormat::Jsonl => Self::Jsonl,
        }
    }
}

/// Options of `devices`.
#[derive(clap::Args)]
pub struct Devices {
    /// Only these devices, and what these files describe
    #[arg(value_name = "NAME|FILE.toml", hide_possible_values = true)]
    pub names: Vec<String>,

    /// How to print
    #[arg(long, default_value = "markdown")]
    pub format: DevicesFormat,

    /// Of a device of several functions, the one to print as a file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..8))]
    pub function: Option<u8>,
}

/// How devices are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DevicesFormat {
    /// Tables for people.
    Markdown,
    /// The file that describes one device, as docs/register-maps.md says.
    Toml,
}
