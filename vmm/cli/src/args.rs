//! What the command line takes.

mod compare;
mod device;
mod host;
mod lint;
mod run;
mod trace;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{CommandFactory, Parser, Subcommand};

use crate::choice::Catalog;
use crate::config;
use crate::output::Color;

pub use compare::{Bless, Check, Diff};
pub use device::{Devices, DevicesFormat, Import, Poke, Replay};
pub use host::{Bench, Completions, Kernel, Man, Nested};
pub use lint::{Deny, Lint, LintFormat};
pub use run::{Firmware, Guest, Run, kernel_choice};
pub use trace::{Explain, Export, ExportFormat, Maps, Pack, Report, Show, Stats, StatsFormat};

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
                | Self::Lint(_)
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
    /// Look for what a trace proves to be wrong about a driver, without an expectation file.
    Lint(Lint),
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
