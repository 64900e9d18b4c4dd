//! What boots, as users say it.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use barscope_device::Devices;
use barscope_guest_abi::{bug, scenario};
use barscope_trace::Clock;

use crate::boot::BootModule;
use crate::host_file::{self, KERNEL_MAX};
use crate::linux;
use crate::machine::Config;

/// A file to load beside a kernel: `FILE[ ARGUMENTS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootModuleChoice {
    /// The file.
    pub file: PathBuf,
    /// What a multiboot kernel is told about it: all of the choice.
    pub text: String,
}

impl FromStr for BootModuleChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let file = text.split_once(' ').map_or(text, |(file, _)| file);
        Ok(Self { file: file.into(), text: text.to_owned() })
    }
}

/// A guest, and what it is to do.
#[derive(Clone)]
pub enum Guest {
    /// The embedded test kernel.
    TestKernel {
        /// Scenarios to play; all of them without one.
        scenarios: Vec<String>,
        /// The mistake that its driver makes.
        bug: Option<String>,
    },
    /// Any kernel.
    Kernel {
        /// A Linux bzImage, a multiboot kernel, or an ELF file with a PVH note.
        image: Vec<u8>,
        /// What to call it in the trace, and how a multiboot 1 kernel's command line begins.
        name: String,
        /// What is loaded beside it: one first file system, or a multiboot kernel's modules.
        modules: Vec<BootModule>,
        /// Its command line.
        command_line: String,
    },
    /// Linux, with a driver and programs.
    Linux {
        /// What it is made of.
        choice: linux::Choice,
        /// Its first file system, if that is made already.
        initramfs: Option<PathBuf>,
        /// What its command line has besides.
        append: String,
    },
}

/// What holds for a guest unless something else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Guest memory in MiB.
    pub memory_mib: u64,
    /// How long the guest may take.
    pub time_limit: Duration,
    /// Whether BARs have addresses and are decoded when it starts, as PC firmware leaves them.
    pub firmware: bool,
    /// The clock that its devices see.
    pub clock: Clock,
}

impl Defaults {
    /// Of the embedded test kernel, whose driver enables its device: that is what its scenarios show.
    pub const OF_TEST_KERNEL: Self =
        Self { memory_mib: 32, time_limit: Duration::from_secs(60), firmware: false, clock: Clock::Virtual };

    /// Of any other kernel.
    pub const OF_KERNELS: Self = Self { firmware: true, clock: Clock::Host, ..Self::OF_TEST_KERNEL };

    /// Of Linux, whose driver for lab enables it, too.
    pub fn of_linux(choice: &linux::Choice) -> Self {
        Self {
            memory_mib: 512,
            time_limit: Duration::from_secs(300),
            firmware: !choice.modules.is_empty() || choice.has_programs(),
            clock: Clock::Host,
        }
    }
}

/// There is no such guest.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A file can't be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Linux can't be put together.
    #[error(transparent)]
    Linux(#[from] linux::Error),
}

impl Guest {
    /// A kernel in a file, with files to load beside it.
    ///
    /// # Errors
    /// [`GuestError::File`] if one can't be read.
    pub fn kernel(
        kernel: &Path,
        modules: &[BootModuleChoice],
        command_line: &str,
    ) -> Result<Self, GuestError> {
        let load = |module: &BootModuleChoice| -> Result<BootModule, GuestError> {
            Ok(BootModule { content: read(&module.file)?, text: module.text.clone() })
        };
        Ok(Self::Kernel {
            image: read(kernel)?,
            name: name(kernel),
            modules: modules.iter().map(load).collect::<Result<_, _>>()?,
            command_line: command_line.to_owned(),
        })
    }

    /// What holds for it unless something else is asked for.
    pub fn defaults(&self) -> Defaults {
        match self {
            Self::TestKernel { .. } => Defaults::OF_TEST_KERNEL,
            Self::Kernel { .. } => Defaults::OF_KERNELS,
            Self::Linux { choice, .. } => Defaults::of_linux(choice),
        }
    }

    /// The machine for it with these devices, and nothing else asked for. Its console goes nowhere.
    ///
    /// # Errors
    /// [`GuestError`] if something that it is made of is missing or can't be read.
    pub fn config(self, trace: &Path, devices: Devices) -> Result<Config, GuestError> {
        let mut config = Config::test_kernel(trace, devices);
        let Defaults { memory_mib, firmware, clock, time_limit: _ } = self.defaults();
        (config.memory_mib, config.firmware, config.clock) = (memory_mib, firmware, clock);
        match self {
            Self::TestKernel { scenarios, bug } => {
                let scenarios = (!scenarios.is_empty()).then(|| scenarios.join(","));
                let scenarios = scenarios.map(|names| format!("{}{names}", scenario::ARGUMENT));
                let bug = bug.map(|name| format!("{}{name}", bug::ARGUMENT));
                config.command_line = scenarios.into_iter().chain(bug).collect::<Vec<_>>().join(" ");
            }
            Self::Kernel { image, name, modules, command_line } => {
                (config.kernel, config.kernel_name) = (image, name);
                (config.modules, config.command_line) = (modules, command_line);
            }
            Self::Linux { choice, initramfs, append } => {
                let (kernel, initramfs) = match &initramfs {
                    Some(initramfs) => (linux::Kernel::find(&choice.kernel)?, read(initramfs)?),
                    None => {
                        let prepared = linux::Prepared::new(&choice)?;
                        let archive = prepared.archive()?;
                        (prepared.kernel, archive)
                    }
                };
                config.kernel = read(&kernel.image)?;
                config.kernel_name =
                    kernel.version.map_or_else(|| name(&kernel.image), |version| format!("Linux {version}"));
                config.modules = vec![BootModule { content: initramfs, text: String::new() }];
                config.command_line = linux::command_line(&append);
                config.foreign_programs = choice.has_programs();
            }
        }
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GuestError> {
    host_file::read(path, KERNEL_MAX).map_err(|source| GuestError::File { path: path.to_owned(), source })
}

fn name(kernel: &Path) -> String {
    kernel.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
