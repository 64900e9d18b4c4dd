//! What the command line takes.

mod run;

use std::ffi::OsString;
use std::path::PathBuf;

use barscope_analysis::diff::{Ignore, Terms};
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::choice::{Catalog, DeviceChoice, no_device};
use crate::config;
use crate::output::{Color, Format};
use crate::results::ResultOptions;
pub use run::{Firmware, Guest, Run, kernel_choice};

/// Watch a PCI driver reach its device: every BAR access, from instruction to register.
#[derive(Parser)]
#[command(
    name = "barscope",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Without a command, barscope runs `barscope run`.
Options that you would type again and again may stand in barscope.toml: docs/configuration.md.
Exit code: 0 passed, 1 a scenario, an expectation or the guest failed, 2 wrong use,
3 the host can't, 4 an expectation can't be decided, 130 Ctrl-C."
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
    /// When to colour what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    color: Color,
}

impl Args {
    /// When to colour.
    pub fn color(&self) -> Color {
        self.color
    }

    /// What to do; `run` unless another command was named.
    pub fn action(self) -> Action {
        self.action.unwrap_or(Action::Run(Box::new(self.run)))
    }
}

/// The command line of a program with these devices, whose machine has the devices of `machine` without being told.
pub fn command(name: &str, devices: &Catalog, machine: &[String]) -> clap::Command {
    let catalog = devices.clone();
    let choice = move |text: &str| catalog.choice(text);
    let with_devices = |command: clap::Command| {
        command.mut_arg("devices", |arg| arg.value_parser(choice.clone()).default_values(machine.to_vec()))
    };
    let names = NameOrFile(devices.names());
    let command = with_devices(config::with_options(Args::command().name(name.to_owned())))
        .mut_subcommand("run", with_devices)
        .mut_subcommand("poke", |command| command.mut_arg("device", |arg| arg.value_parser(choice.clone())))
        .mut_subcommand("replay", |command| command.mut_arg("device", |arg| arg.value_parser(choice.clone())))
        .mut_subcommand("import", |command| command.mut_arg("device", |arg| arg.value_parser(names.clone())))
        .mut_subcommand("devices", |command| command.mut_arg("names", |arg| arg.value_parser(names)));
    // A version of whose program that is only its author knows.
    if name == PROGRAM {
        command
    } else {
        command.version(concat!("(barscope ", env!("CARGO_PKG_VERSION"), ")"))
    }
}

impl Action {
    /// Whether people read it from its beginning, page by page.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Show(_)
                | Self::Explain(_)
                | Self::Maps(_)
                | Self::Stats(_)
                | Self::Diff(_)
                | Self::Devices(_)
                | Self::Language
                | Self::Legend
        )
    }
}

/// A device's name, which shells complete, or a file's path.
#[derive(Clone)]
struct NameOrFile(Vec<String>);

impl TypedValueParser for NameOrFile {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

/// The command's own name.
pub const PROGRAM: &str = "barscope";

/// What to do.
#[derive(Subcommand)]
pub enum Action {
    /// Boot a kernel and trace its accesses to PCI devices.
    Run(Box<Run>),
    /// Print a trace, or the records of it that a filter selects.
    Show(Show),
    /// Explain one record of a trace layer by layer, or set two accesses side by side.
    Explain(Explain),
    /// Show over time which mappings led to which BAR at which address.
    Maps(Maps),
    /// Count and time what traces hold: registers, paths, polling loops, coverage, kernel entries.
    Stats(Stats),
    /// Hold expectation files and goldens against a trace.
    Check(Check),
    /// Compare two traces: what each guest did to its devices, whatever addresses, numbers and times were.
    Diff(Diff),
    /// Write a golden of a trace: short text that later runs are held against, for review with the driver.
    Bless(Bless),
    /// Write a trace for other programs: Perfetto, waveform viewers, spreadsheets, mmiotrace's tools.
    Export(Export),
    /// Write a trace as a page: one HTML file that shows mappings, accesses and registers, without a server.
    Report(Report),
    /// Pack a trace to a fraction of its bytes; every command reads it as it is.
    Pack(Pack),
    /// Measure what barscope costs, next to a loop that only answers the guest.
    Bench(Bench),
    /// Tell the language of filters and expectation files, as Markdown.
    Language,
    /// Tell what the signs mean that text is printed with: W4, UC-, PCD, `caused by`.
    Legend,
    /// List devices with their regions, registers and options, and what files describe.
    Devices(Devices),
    /// Tell which kernel `run --guest linux` would boot, with which headers, and which others are here.
    Kernel(Kernel),
    /// Touch a device without a driver: no kernel and no virtual machine, only its registers, memory and time.
    Poke(Poke),
    /// Do to a device what was recorded, and tell where it answers or does something else.
    Replay(Replay),
    /// Make a trace of what another tracer wrote: mmiotrace, QEMU, rwmmio, or JSON Lines of ours.
    Import(Import),
    /// Run any program where /dev/kvm is kvm-amd: in the virtual machine of `run --nested`. As a runner for
    /// `cargo test` it brings tests there.
    Nested(Nested),
    /// Print completions for a shell.
    Completions(Completions),
    /// Print the manual page, or write those of all commands.
    Man(Man),
    /// What the virtual machine of `run --nested` starts with.
    #[command(hide = true)]
    NestedInit,
    /// What keeps the virtual machine of `run --keep`.
    #[command(hide = true)]
    NestedKeeper {
        /// What to keep.
        description: String,
    },
}

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

/// Options of `stats`.
#[derive(clap::Args)]
pub struct Stats {
    /// The traces; several add up
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: StatsFormat,

    /// The most rows of each list, in text and Markdown
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
}

/// How statistics are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// A short page, for GitHub's $GITHUB_STEP_SUMMARY.
    Markdown,
}

/// Options of `bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Every block of accesses runs in turns with one of the bare loop; a ratio is the median of the ratios of blocks beside
each other, a spread the distance of their tenth percentile from their ninetieth, as a part of that.
Exit code: 0 measured, whether aims are met or missed, 3 the host can't: a row says NOT RUN, and why.")]
pub struct Bench {
    /// Measure only this group of rows
    #[arg(value_name = "GROUP", conflicts_with = "only",
          value_parser = PossibleValuesParser::new(barscope_cost::Plan::GROUPS.map(|(name, _)| name)))]
    pub group: Option<String>,

    /// Measure only this, and what it is compared with; may be repeated
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(barscope_cost::Plan::names()))]
    pub only: Vec<String>,

    /// Measure QEMU's edu, too, with and without its trace: the same guest, the same loop
    #[arg(long)]
    pub vs_qemu: bool,

    /// As short as a test may take
    #[arg(long)]
    pub quick: bool,

    /// Run the bare loop to its first access, and say so by a byte
    #[arg(long, hide = true)]
    pub bare_start: bool,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(clap::Args)]
pub struct Man {
    /// Write a page for each command to this folder, like share/man/man1
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Options of `nested`.
#[derive(clap::Args)]
pub struct Nested {
    /// The kernel there, by its version: `barscope kernel` names those that are here
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<String>,
    /// Take this file along, to the same path; a program with its shared libraries; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// End the machine that `run --keep` keeps
    #[arg(long, conflicts_with_all = ["kernel", "files", "program"])]
    pub stop: bool,
    /// The program; it finds its shared libraries there, and no other files but those of --file
    #[arg(value_name = "PROGRAM", required_unless_present = "stop")]
    pub program: Option<PathBuf>,
    /// Its arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Options of `kernel`.
#[derive(clap::Args)]
pub struct Kernel {
    /// As for `run --guest linux`: a file, or a version
    #[arg(long, value_name = "FILE|VERSION")]
    pub kernel: Option<PathBuf>,

    /// As for `run --guest linux`: the tree that a kernel was built in
    #[arg(long, value_name = "DIR", conflicts_with = "kernel")]
    pub kernel_tree: Option<PathBuf>,
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

/// Options of `show`.
#[derive(clap::Args)]
#[command(after_help = FILTER_HELP)]
pub struct Show {
    /// The trace
    pub trace: PathBuf,

    /// Only records like this, as in: read BAR0.STATUS by user via mmap
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Only the last records, as many as this
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"])]
    pub last: Option<u64>,

    /// Only records from this sequence number on
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,

    /// Only records up to this sequence number
    #[arg(long, value_name = "SEQ")]
    pub to: Option<u64>,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `export`.
#[derive(clap::Args)]
#[command(after_help = EXPORT_HELP)]
pub struct Export {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Only records like this, as for `show`
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// For whom
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,

    /// Write it there, not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE even if it is no such export
    #[arg(long)]
    pub force: bool,
}

/// Formats that traces are written in for other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line, as `show --format json` prints them.
    Jsonl,
    /// A row a record.
    Csv,
    /// The text of Linux's mmiotrace.
    Mmiotrace,
    /// Protocol buffers for ui.perfetto.dev and trace_processor.
    Perfetto,
    /// Value Change Dump: registers, fields and lines as waveforms.
    Vcd,
    /// The same for GTKWave and Surfer, compressed.
    Fst,
}

/// Options of `report`.
#[derive(clap::Args)]
#[command(after_help = REPORT_HELP)]
pub struct Report {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Only records like this, as for `show`; mappings are shown all the same
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,

    /// Only records of this scenario
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,

    /// Write it there, not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE even if it is no report
    #[arg(long)]
    pub force: bool,
}

/// Options of `pack`.
#[derive(clap::Args)]
pub struct Pack {
    /// The trace: as it was recorded, packed, or compressed by gzip
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// Write it there; by default beside TRACE, with .pack at the end of the name, or without it for --unpack
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Unpack a packed trace
    #[arg(long)]
    pub unpack: bool,

    /// Replace FILE even if it is no trace
    #[arg(long)]
    pub force: bool,
}

const EXPORT_HELP: &str = "\
Times are those of the device clock; mmiotrace's are in microseconds, all others exact.
Records that are missing are told on standard error, and in all formats where they are missing.";

const REPORT_HELP: &str = "\
The page is one file that opens from a disk, and asks no network for anything. Browsers since 2023 show it.
It shows a million records; of a longer trace the first million, and it says so. Cut it by --filter or --scenario.";

/// Options of `explain`.
#[derive(clap::Args)]
pub struct Explain {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// The record's sequence number
    #[arg(value_name = "SEQ", required_unless_present = "compare")]
    pub seq: Option<u64>,

    /// Set two accesses side by side
    #[arg(long, num_args = 2, value_names = ["SEQ", "SEQ"], conflicts_with = "seq")]
    pub compare: Vec<u64>,

    /// How to print it
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Compared are registers, operations, values, functions of code, processes and scenarios; not addresses, numbers of
records and processes, times, source lines. docs/traces.md tells what that means. To set two accesses of one trace side
by side: explain --compare.
Exit code: 0 equal, 1 different, 2 wrong use, 4 nobody can tell, since records may be missing.")]
pub struct Diff {
    /// The one trace
    #[arg(value_name = "A")]
    pub left: PathBuf,

    /// The other one
    #[arg(value_name = "B")]
    pub right: PathBuf,

    #[command(flatten)]
    pub terms: TermOptions,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `bless`.
#[derive(clap::Args)]
#[command(after_help = "\
A golden that is there is replaced, by its own --ignore and --only unless others are given.
Exit code: 0 written, 1 the traces differ, 2 wrong use, 4 a trace isn't all of a run.")]
pub struct Bless {
    /// The traces; of several, all have to agree
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,

    /// The golden
    #[arg(long, short, value_name = "FILE.golden")]
    pub output: PathBuf,

    #[command(flatten)]
    pub terms: TermOptions,
}

/// What is compared.
#[derive(clap::Args)]
pub struct TermOptions {
    /// Don't compare this: value:REGISTER, time, code, process, ring, path, effects or scenario; may be repeated
    #[arg(long, value_name = "WHAT")]
    pub ignore: Vec<Ignore>,

    /// Compare only records like this, as in: "BAR0 or msi"
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
}

impl TermOptions {
    /// The same for the comparison.
    pub fn terms(&self) -> Terms {
        Terms { ignore: self.ignore.clone(), only: self.only.clone() }
    }
}

/// Options of `check`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 all expectations hold, 1 one fails, 4 none fails but the trace can't tell about one.
`barscope language` tells what an expectation file may say.")]
pub struct Check {
    /// The trace
    pub trace: PathBuf,

    /// Expectation files; none if --junit or --annotate is to tell of the run alone
    #[arg(value_name = "EXPECT", required_unless_present_any = ["junit", "annotate", "golden"])]
    pub expect: Vec<PathBuf>,

    /// Hold this golden against it, that `barscope bless` wrote; may be repeated
    #[arg(long, value_name = "FILE")]
    pub golden: Vec<PathBuf>,

    #[command(flatten)]
    pub results: ResultOptions,

    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Options of `maps`.
#[derive(clap::Args)]
pub struct Maps {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,

    /// How to print them
    #[arg(long, default_value = "text")]
    pub format: Format,
}

const FILTER_HELP: &str = "\
A filter is a list of conditions that all have to hold; \"or\", \"not\" and brackets combine them:
  read BAR0.STATUS by user via mmap      access memtype WC or write {DONE=1} in handler
  bar0.STATUS and cpl==3 and value & 1 == 1                    msi 0 not delivered
`barscope language` tells all of it.";
