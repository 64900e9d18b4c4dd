//! A bench in a virtual machine whose processor is emulated: for guests that the KVM here can't run, or where there is
//! none.

use std::ffi::OsString;

use anyhow::{Context, Result, anyhow, bail, ensure};
use barscope_analysis::Trace;
use barscope_trace::Clock;
use barscope_vmm::ExitStatus;
use barscope_vmm::linux::{KernelChoice, ProgramChoice};
use barscope_vmm::session::Guest;

use crate::command::{Ended, Session, libraries, output};
use crate::{Bench, Placed};

/// What the command left that ran the guest there.
pub struct NestedRun {
    /// Its exit code, and what it printed.
    pub ended: Ended,
    /// What happened.
    pub trace: Trace,
    /// What Linux printed; empty for others.
    pub console: String,
    /// Holds the trace's file.
    _session: Session,
}

impl Bench {
    /// Runs the machine to its end as `barscope run --nested` does: in QEMU's emulated AMD-V processor, on kvm-amd.
    ///
    /// # Errors
    /// If there is no QEMU or no kernel for it, the machine can't be built, or the trace can't be read back; and for
    /// devices of [`Bench::devices`], which no command has.
    pub fn run_nested(self) -> Result<NestedRun> {
        let session = Session::new()?;
        let mut command = match &self.command {
            Some(program) => session.command(program, &["run", "--nested"]),
            None => session.barscope(&["run", "--nested"])?,
        };
        command.args(self.arguments(&session)?);
        libraries(&mut command)?;
        let ended = output(&mut command)?;
        let trace = session.trace().map_err(|error| anyhow!("{error:#}\n{}", ended.stderr))?;
        let console = std::fs::read_to_string(session.path("barscope.console")).unwrap_or_default();
        Ok(NestedRun { ended, trace, console, _session: session })
    }

    /// What `barscope run` has to be told to build the same machine.
    fn arguments(&self, session: &Session) -> Result<Vec<OsString>> {
        let mut all = Vec::new();
        let mut option = |name: &str, value: OsString| all.extend([name.into(), value]);
        match &self.guest {
            Guest::TestKernel { scenarios, bug } => {
                scenarios.iter().for_each(|name| option("--scenario", name.into()));
                bug.iter().for_each(|name| option("--bug", name.into()));
            }
            Guest::Kernel { image, name, modules, command_line } => {
                option("--kernel", session.file(name, image)?.into());
                option("--append", command_line.into());
                for module in modules {
                    let name = module.text.split(' ').next().unwrap_or_default();
                    session.file(name, &module.content)?;
                    option("--initrd", (&*module.text).into());
                }
            }
            Guest::Linux { choice, initramfs, append } => {
                option("--guest", "linux".into());
                option("--append", append.into());
                match &choice.kernel {
                    KernelChoice::Debian => {}
                    KernelChoice::Named(path) => option("--kernel", path.into()),
                    KernelChoice::Tree(folder) => option("--kernel-tree", folder.into()),
                }
                initramfs.iter().for_each(|path| option("--initrd", path.into()));
                choice.scenarios.iter().for_each(|name| option("--scenario", name.into()));
                let with = |file: &std::path::Path, words: &str| {
                    let mut text = std::path::absolute(file)?.into_os_string();
                    text.push(if words.is_empty() { "" } else { " " });
                    text.push(words);
                    std::io::Result::Ok(text)
                };
                for module in &choice.modules {
                    option("--module", with(&module.file, &module.parameters)?);
                }
                for program in &choice.programs {
                    let file = std::path::absolute(&program.file)?;
                    let program = ProgramChoice { file, arguments: program.arguments.clone() };
                    option("--program", program.to_option().context("a program's path is UTF-8")?.into());
                }
            }
        }
        for device in self.devices.iter().flatten() {
            let Placed::Named { bdf, entry, given, .. } = device else {
                bail!(
                    "a device that no command has can't be sent into the virtual machine: name an entry (Bench::entry) \
                     and the command that has it (Bench::command), or run the whole test there, with `barscope \
                     nested` as its runner"
                );
            };
            let options: String = given.iter().map(|(name, value)| format!(",{name}={value}")).collect();
            option("--device", format!("{},bdf={bdf}{options}", entry.name).into());
        }
        ensure!(
            self.devices.as_ref().is_none_or(|devices| !devices.is_empty()),
            "the command has no option for no device"
        );
        option("--cpus", self.cpus.to_string().into());
        self.without.iter().for_each(|feature| option("--cpu-without", feature.name().into()));
        self.memory_mib.iter().for_each(|mib| option("--memory", mib.to_string().into()));
        self.firmware.iter().for_each(|on| option("--firmware", if *on { "on" } else { "off" }.into()));
        let clock = |clock| if clock == Clock::Host { "host" } else { "virtual" };
        self.clock.iter().for_each(|of| option("--clock", clock(*of).into()));
        if self.exit_status == ExitStatus::KvmUnitTests {
            option("--exit-status", "kvm-unit-tests".into());
        }
        let seconds = |limit: std::time::Duration| limit.as_secs().max(1).to_string();
        self.time_limit.iter().for_each(|limit| option("--timeout", seconds(*limit).into()));
        Ok(all)
    }
}
