//! Options of `run`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use barscope_guest_abi::bug::Bug;
use barscope_guest_abi::scenario::Scenario;
use barscope_trace::{Clock, WriteOptions};
use barscope_vmm::linux::{self, FileChoice, FolderChoice, ModuleChoice, ProgramChoice, Shell};
use barscope_vmm::session::{self, BootModuleChoice, Defaults};
use barscope_vmm::{ExitStatus, Feature, StackDepth};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, ValueEnum, ValueHint};

use super::Deny;
use crate::choice::{DeviceChoice, no_device};
use crate::ending::Failure;
use crate::output::Format;
use crate::results::ResultOptions;
use crate::terminal;

/// How long a shell is waited for that somebody types at: for ever.
const PATIENT: Duration = Duration::from_secs(u32::MAX as u64);

/// Options of `run`.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("played").args(["programs", "shell", "typed"]).multiple(true)))]
pub struct Run {
    /// What to boot
    #[arg(long, default_value = "test-kernel")]
    pub guest: Guest,

    /// Play only this scenario of the guest; may be repeated
    #[arg(long = "scenario", value_name = "NAME", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(scenario_names()))]
    pub scenarios: Vec<String>,

    /// Have the test kernel's driver make this mistake, for expectations to catch
    #[arg(long, value_name = "NAME", hide_short_help = true, conflicts_with = "kernel",
          value_parser = PossibleValuesParser::new(bug_names()))]
    pub bug: Option<String>,

    /// List the guest's scenarios
    #[arg(long)]
    pub list_scenarios: bool,

    /// Where to write the trace
    #[arg(long, value_name = "FILE", default_value = "barscope.trace")]
    pub trace: PathBuf,

    /// Stop the guest once the trace is this long, as in 512M or 16G
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = trace_limit)]
    pub trace_limit: u64,

    /// Warn of a loop once it has read one register so often and always got the same; 0 for never
    #[arg(long, value_name = "READS", default_value_t = barscope_vmm::SPIN_LIMIT)]
    pub spin_limit: u64,

    /// Replace the file at --trace even if it is no trace
    #[arg(long)]
    pub force: bool,

    /// How to print the trace
    #[arg(long, default_value = "text")]
    pub format: Format,

    /// Print only records like this, as in: "read BAR0.STATUS by user"; the trace holds all of them
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,

    /// Hold this expectation file against the trace; may be repeated. The guest is stopped once one fails
    #[arg(long, value_name = "FILE")]
    pub expect: Vec<PathBuf>,

    /// Hold this golden against the trace, that `barscope bless` wrote; may be repeated
    #[arg(long, value_name = "FILE")]
    pub golden: Vec<PathBuf>,

    /// If the run passes, write the golden anew instead
    #[arg(long, requires = "golden")]
    pub bless: bool,

    /// Print what the trace proves to be wrong about the driver, as `barscope lint` does; fail if there are such findings,
    /// if one of these classes is named
    #[arg(long, value_name = "CLASS", num_args = 0..=1, require_equals = true)]
    pub lint: Option<Option<Deny>>,

    #[command(flatten)]
    pub results: ResultOptions,

    /// Print every access, mappings and what scenarios say, instead of one screen at the end
    #[arg(long, short, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,

    /// End the run after this many seconds, printing included [default: 60 for the guest alone, 300 for Linux]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Guest memory in MiB [default: 32, for Linux 512]
    #[arg(long, value_name = "MIB", value_parser = memory())]
    pub memory: Option<u64>,

    /// Number of vCPUs; more than one makes traces differ from run to run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(barscope_vmm::layout::CPUS))]
    pub cpus: u8,

    /// Keep a feature of the processor from the guest; may be repeated
    #[arg(long = "cpu-without", value_name = "FEATURE",
          value_parser = PossibleValuesParser::new(Feature::ALL.map(Feature::name)).try_map(|name| name.parse::<Feature>()))]
    pub without: Vec<Feature>,

    /// Boot this kernel instead of the test kernel: a bzImage like vmlinuz, a multiboot kernel, or a 64-bit ELF file
    /// with a PVH note; with --guest linux also a version, as `barscope kernel` names them
    #[arg(long, value_name = "FILE|VERSION")]
    pub kernel: Option<PathBuf>,

    /// Boot the kernel that was built in this tree, with --guest linux
    #[arg(long, value_name = "DIR", conflicts_with = "kernel")]
    pub kernel_tree: Option<PathBuf>,

    /// Load this file beside the kernel: Linux's first file system, or a module of a multiboot kernel, which is told
    /// all of this text; may be repeated for multiboot
    #[arg(long, value_name = "FILE[ ARGUMENTS]", requires = "kernel", value_hint = ValueHint::FilePath)]
    pub initrd: Vec<BootModuleChoice>,

    /// The kernel's command line, with --kernel; more of it, with --guest linux
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub append: String,

    /// What a guest's end by isa-debug-exit means (port 0xf4, a write of VALUE)
    #[arg(long, value_name = "AS", default_value = "qemu", hide_possible_values = true, value_parser = exit_status())]
    pub exit_status: ExitStatus,

    /// Load this kernel module (.ko, .ko.xz, .ko.zst, .ko.gz) instead of the driver for lab, and before it those that it
    /// needs, with --guest linux; may be repeated
    #[arg(long = "module", value_name = "FILE[ PARAMETERS]", value_hint = ValueHint::FilePath)]
    pub modules: Vec<ModuleChoice>,

    /// Run this program or script instead of scenarios, with --guest linux; words are quoted as for a shell; may be
    /// repeated
    #[arg(long = "program", value_name = "FILE[ ARGUMENTS]", conflicts_with = "scenarios", value_hint = ValueHint::FilePath)]
    pub programs: Vec<ProgramChoice>,

    /// Then a shell with the usual commands, with --guest linux: on this terminal, where Ctrl-] ends the run; or with
    /// standard input for its script, where that is no terminal
    #[arg(long, conflicts_with_all = ["scenarios", "keep"])]
    pub shell: bool,

    /// A shell on standard input, which is somebody else's terminal
    #[arg(long, hide = true, requires = "initrd")]
    pub typed: bool,

    /// The script of `--shell`, once it is read
    #[arg(skip)]
    pub script: Option<Vec<u8>>,

    /// Take this file into the guest, to the same path or to DST, with --guest linux; may be repeated
    #[arg(long = "file", value_name = "SRC[:DST]", value_hint = ValueHint::FilePath)]
    pub files: Vec<FileChoice>,

    /// Take what this folder holds into the guest, to DST, with --guest linux; may be repeated
    #[arg(long = "dir", value_name = "SRC:DST", value_hint = ValueHint::DirPath)]
    pub folders: Vec<FolderChoice>,

    /// Run no program after one that failed, with --guest linux
    #[arg(long)]
    pub fail_fast: bool,

    /// A WARN of the guest's kernel is told, but doesn't fail the run
    #[arg(long)]
    pub allow_warnings: bool,

    /// Leave programs alone, with --guest linux: functions and lines of their code stay unknown
    #[arg(long, requires = "played")]
    pub no_trace_programs: bool,

    /// Record each system call and each page fault of programs, with --guest linux, before the access that follows it; it slows them
    #[arg(long, requires = "played", conflicts_with = "keep")]
    pub count_entries: bool,

    /// Where to write the guest's console, with --guest linux
    #[arg(long, value_name = "FILE", default_value = "barscope.console")]
    pub console: PathBuf,

    /// The clock that devices see; virtual for the test kernel, host for others
    #[arg(long, value_parser = clock())]
    pub clock: Option<Clock>,

    /// How much of each access's call stack to record, where the guest's kernel says how to follow it, as Linux does
    #[arg(long, value_name = "DEPTH", default_value = "full", value_parser = stacks())]
    pub stacks: StackDepth,

    /// Write down what it takes to follow one deep call stack, for `bench` and tests
    #[arg(long, value_name = "FILE", hide = true)]
    pub capture_stack: Option<PathBuf>,

    /// Add a device; may be repeated
    #[arg(long = "device", value_name = "NAME[,bdf=BB:DD.F][,OPTION=VALUE]", value_parser = no_device)]
    pub devices: Vec<DeviceChoice>,

    /// Give BARs addresses and enable decoding, as PC firmware does; on for your kernel, modules or programs
    #[arg(long)]
    pub firmware: Option<Firmware>,

    /// Run in a virtual machine with an emulated AMD-V processor: no usable KVM is needed here
    #[arg(long, conflicts_with = "kvm")]
    pub nested: bool,

    /// Leave that machine and its guest up, and play in them again what is run with this option after it: modules, programs
    /// and devices are replaced. They end after ten minutes without a turn, or by `barscope nested --stop`
    #[arg(long, conflicts_with = "initrd")]
    pub keep: bool,

    /// After so many seconds, instead
    #[arg(long, value_name = "S", default_value_t = 600, hide = true, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub keep_for: u64,

    /// Play turns: what comes after this one is told by whoever started it
    #[arg(long, hide = true)]
    pub turns: bool,

    /// The kernel of that machine, by its version: `barscope kernel` names those that are here
    #[arg(long, value_name = "VERSION", requires = "nested")]
    pub nested_kernel: Option<String>,

    /// Open this instead of /dev/kvm
    #[arg(long, value_name = "FILE", hide = true)]
    pub kvm: Option<PathBuf>,
}

/// The files that the options name: with `--nested` they travel.
impl Run {
    /// What boots.
    ///
    /// # Errors
    /// [`Failure::Guest`] if a file that is named can't be read.
    pub fn guest(&self) -> Result<session::Guest, Failure> {
        Ok(match (self.guest, &self.kernel) {
            (Guest::Linux, _) => session::Guest::Linux {
                choice: self.linux(),
                initramfs: self.initrd_files().next().map(Path::to_owned),
                append: self.append.clone(),
            },
            (Guest::TestKernel, Some(kernel)) => session::Guest::kernel(kernel, &self.initrd, &self.append)?,
            (Guest::TestKernel, None) => {
                session::Guest::TestKernel { scenarios: self.scenarios.clone(), bug: self.bug.clone() }
            }
        })
    }

    /// What a Linux guest is made of.
    pub fn linux(&self) -> linux::Choice {
        linux::Choice {
            kernel: kernel_choice(self.kernel.as_ref(), self.kernel_tree.as_ref()),
            modules: self.modules.clone(),
            programs: self.programs.clone(),
            shell: self.shell(),
            fail_fast: self.fail_fast,
            scenarios: self.scenarios.clone(),
            files: self.files.clone(),
            folders: self.folders.clone(),
            untraced: self.no_trace_programs,
            count_entries: self.count_entries,
        }
    }

    /// Whether somebody types at a shell.
    pub fn is_typed(&self) -> bool {
        self.typed || self.shell && self.script.is_none()
    }

    /// The shell that is asked for.
    pub fn shell(&self) -> Option<Shell> {
        if let Some(script) = &self.script {
            return Some(Shell::Script(script.clone()));
        }
        self.is_typed().then(|| {
            let (kind, columns, rows) = terminal::described();
            Shell::Typed { kind, columns, rows }
        })
    }

    /// Guest memory in MiB.
    pub fn memory_mib(&self) -> u64 {
        self.memory.unwrap_or(self.defaults().memory_mib)
    }

    /// How long the guest may take.
    pub fn time_limit(&self) -> Duration {
        let default = if self.is_typed() { PATIENT } else { self.defaults().time_limit };
        self.timeout.map_or(default, Duration::from_secs)
    }

    /// Whether BARs have addresses and are decoded when the guest starts.
    pub fn has_firmware(&self) -> bool {
        self.firmware.map_or(self.defaults().firmware, |firmware| firmware == Firmware::On)
    }

    fn defaults(&self) -> Defaults {
        match (self.guest, &self.kernel) {
            (Guest::Linux, _) => Defaults::of_linux(&self.linux()),
            (Guest::TestKernel, Some(_)) => Defaults::OF_KERNELS,
            (Guest::TestKernel, None) => Defaults::OF_TEST_KERNEL,
        }
    }

    /// How long the trace may become, and what it may replace.
    pub fn trace_options(&self) -> WriteOptions {
        WriteOptions { limit: self.trace_limit, force: self.force, ..WriteOptions::default() }
    }

    /// Those that are read.
    pub fn inputs(&self) -> Vec<&Path> {
        let kernel = self.kernel.iter().map(PathBuf::as_path);
        kernel.chain(self.judges()).chain(self.initrd_files()).collect()
    }

    /// Those that the run is held against.
    pub fn judges(&self) -> impl Iterator<Item = &Path> {
        let goldens = if self.bless { &[] } else { &self.golden[..] };
        self.expect.iter().chain(goldens).map(PathBuf::as_path)
    }

    /// Those to load beside the kernel. One for Linux has no arguments.
    fn initrd_files(&self) -> impl Iterator<Item = &Path> {
        let is_linux = self.guest == Guest::Linux;
        self.initrd.iter().map(move |initrd| if is_linux { Path::new(&initrd.text) } else { &initrd.file })
    }

    /// Those that are written.
    pub fn outputs(&self) -> Vec<&Path> {
        let console = (self.guest == Guest::Linux).then_some(&self.console);
        [&self.trace]
            .into_iter()
            .chain(&self.results.junit)
            .chain(&self.capture_stack)
            .chain(console)
            .map(PathBuf::as_path)
            .collect()
    }
}

/// The kernel of a Linux guest, by the options that name one.
pub fn kernel_choice(named: Option<&PathBuf>, tree: Option<&PathBuf>) -> linux::KernelChoice {
    match (named, tree) {
        (Some(named), _) => linux::KernelChoice::Named(named.clone()),
        (None, Some(tree)) => linux::KernelChoice::Tree(tree.clone()),
        (None, None) => linux::KernelChoice::Debian,
    }
}

/// What is booted.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Guest {
    /// The small kernel inside barscope, or the one that --kernel names.
    TestKernel,
    /// Linux, with a driver for lab and programs.
    Linux,
}

impl Guest {
    /// The scenarios that it can play.
    pub fn scenarios(self) -> &'static [Scenario] {
        match self {
            Guest::TestKernel => barscope_guest_abi::scenario::SCENARIOS,
            Guest::Linux => barscope_guest_abi::linux::SCENARIOS,
        }
    }
}

/// Whether there is firmware.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// BARs have addresses and are decoded when the guest starts.
    On,
    /// Functions are as after reset.
    Off,
}

fn scenario_names() -> impl Iterator<Item = &'static str> {
    let all = Guest::value_variants().iter().flat_map(|guest| guest.scenarios());
    let names: std::collections::BTreeSet<_> = all.map(|scenario| scenario.name).collect();
    names.into_iter()
}

fn bug_names() -> impl Iterator<Item = &'static str> {
    Bug::ALL.into_iter().map(Bug::name)
}

fn clock() -> impl TypedValueParser<Value = Clock> {
    let named = |clock: Clock, help| PossibleValue::new(clock.name()).help(help);
    let clocks = [
        named(Clock::Virtual, "Advances with accesses: equal runs give equal traces"),
        named(Clock::Host, "The host's"),
    ];
    PossibleValuesParser::new(clocks)
        .map(|name| if name == Clock::Host.name() { Clock::Host } else { Clock::Virtual })
}

fn exit_status() -> impl TypedValueParser<Value = ExitStatus> {
    const KVM_UNIT_TESTS: &str = "kvm-unit-tests";
    let readings = [
        PossibleValue::new("qemu").help("QEMU's status, 2 * VALUE + 1: no success, whatever it is"),
        PossibleValue::new(KVM_UNIT_TESTS).help("Success is 0: an odd status s means s >> 1, which is VALUE"),
    ];
    PossibleValuesParser::new(readings)
        .map(|name| if name == KVM_UNIT_TESTS { ExitStatus::KvmUnitTests } else { ExitStatus::Qemu })
}

fn stacks() -> impl TypedValueParser<Value = StackDepth> {
    let depths = StackDepth::ALL.map(|depth| PossibleValue::new(depth.name()).help(depth.about()));
    PossibleValuesParser::new(depths).map(|name| {
        let named = StackDepth::ALL.into_iter().find(|depth| depth.name() == name);
        named.unwrap_or(StackDepth::Full)
    })
}

/// A size in bytes, with K, M or G for its unit.
fn trace_limit(text: &str) -> Result<u64, String> {
    let unit =
        text.chars().last().map(|unit| (unit.to_ascii_uppercase(), &text[..text.len() - unit.len_utf8()]));
    let (number, shift) = match unit {
        Some(('K', number)) => (number, 10),
        Some(('M', number)) => (number, 20),
        Some(('G', number)) => (number, 30),
        _ => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| format!("no size: {text:?}; write it like 512M or 16G"))?;
    let bytes = number.checked_mul(1 << shift).ok_or("that is more than any file may have")?;
    if bytes < WriteOptions::LIMIT_LEAST {
        return Err("a trace takes 1M at least".to_owned());
    }
    Ok(bytes)
}

fn memory() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(barscope_vmm::layout::MEMORY_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_limit_has_a_unit_or_is_in_bytes() {
        assert_eq!(trace_limit("4G"), Ok(4 << 30));
        assert_eq!(trace_limit("16m"), Ok(16 << 20));
        assert_eq!(trace_limit("1024K"), Ok(1 << 20));
        assert_eq!(trace_limit("5000000"), Ok(5_000_000));
        for wrong in ["", "G", "0", "0G", "1023K", "4T", "-1G", "4 G", "18446744073709551615G", "1é"] {
            assert!(trace_limit(wrong).is_err(), "{wrong}");
        }
    }
}
