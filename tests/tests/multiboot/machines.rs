//! The machines that run a kernel: ours, QEMU by `-kernel`, QEMU with GRUB.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Session, debian, libraries};
use barscope_bench::qemu;

/// A kernel and what goes with it.
#[derive(Clone, Default)]
pub struct Kernel<'a> {
    pub file: Vec<u8>,
    pub command_line: &'a str,
    /// Name, arguments and content of each module.
    pub modules: Vec<(&'a str, &'a str, &'a str)>,
    pub cpus: u8,
    /// A device beside what the machine has, by the name that it has in QEMU and here.
    pub device: Option<&'a str>,
}

/// What a kernel printed, and QEMU's status for how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub console: String,
    pub status: Option<u64>,
}

impl Kernel<'_> {
    /// Here, on /dev/kvm, as a user runs it.
    pub fn here(&self, session: &Session) -> Result<Outcome> {
        session.file("kernel", &self.file)?;
        let cpus = self.cpus.max(1).to_string();
        let mut command = session.barscope(&[
            "run",
            "--kernel",
            "kernel",
            "--append",
            self.command_line,
            "--cpus",
            &cpus,
        ])?;
        for (name, arguments, content) in &self.modules {
            session.file(name, content.as_bytes())?;
            command.args(["--initrd", format!("{name} {arguments}").trim_end()]);
        }
        if let Some(device) = self.device {
            command.args(["--device", device]);
        }
        let ended = barscope_bench::command::output(command.args(["--memory", "64"]))?;
        // What the guest prints is on standard error, before the complaint.
        let (console, complaint) = ended.stderr.rsplit_once("error: ").unwrap_or((&ended.stderr, ""));
        let status = complaint.strip_prefix("the guest ended with status ");
        let status = status.and_then(|text| text.split(' ').next()?.parse().ok());
        assert_eq!(ended.code, Some(1), "no end by isa-debug-exit is a success unless that is said");
        Ok(Outcome { console: console.to_owned(), status })
    }

    /// In QEMU, by its `-kernel`.
    pub fn in_qemu(&self, session: &Session) -> Result<Outcome> {
        session.file("kernel", &self.file)?;
        let mut modules = Vec::new();
        for (name, arguments, content) in &self.modules {
            session.file(name, content.as_bytes())?;
            modules.push(format!("{name} {arguments}").trim_end().to_owned());
        }
        let mut command = self.machine(session)?;
        command.args(["-kernel", "kernel", "-append", self.command_line]);
        if !modules.is_empty() {
            command.args(["-initrd", &modules.join(",")]);
        }
        ended(&mut command)
    }

    /// In QEMU, by GRUB from an image of a CD.
    pub fn by_grub(&self, session: &Session) -> Result<Outcome> {
        std::fs::create_dir_all(session.path("cd/boot"))?;
        session.file("cd/boot/kernel", &self.file)?;
        let mut commands = format!("set root=cd\nmultiboot2 /boot/kernel {}\n", self.command_line);
        for (name, arguments, content) in &self.modules {
            session.file(&format!("cd/boot/{name}"), content.as_bytes())?;
            // GRUB leaves out the file's name.
            commands += &format!("module2 /boot/{name} {name} {arguments}\n");
        }
        commands += "boot\n";
        let commands = session.file("grub.cfg", commands.as_bytes())?;
        let roots = debian()?;
        let modules = roots.iter().map(|root| root.join("usr/lib/grub/i386-pc")).find(|path| path.is_dir());
        let modules = modules.context("no grub-pc-bin; `cargo xtask setup` provides it")?;
        let mut make = program(session, "grub-mkimage")?;
        make.args(["--format", "i386-pc-eltorito", "--prefix", "(cd)/boot/grub"]);
        make.arg("--directory").arg(modules).arg("--config").arg(commands);
        make.args(["--output", "cd/boot/grub.img", "biosdisk", "iso9660", "multiboot2"]);
        succeed(&mut make)?;
        let mut make = program(session, "xorriso")?;
        make.args(["-as", "mkisofs", "-quiet", "-o", "cd.iso", "-b", "boot/grub.img", "-no-emul-boot"]);
        make.args(["-boot-load-size", "4", "-boot-info-table", "cd"]);
        succeed(&mut make)?;
        ended(self.machine(session)?.args(["-cdrom", "cd.iso"]))
    }

    fn machine(&self, session: &Session) -> Result<Command> {
        let qemu = barscope_vmm::debian::qemu();
        let mut command = qemu.context("no qemu-system-x86_64; `cargo xtask setup` provides it")?;
        command.current_dir(session.path("."));
        command
            .args(["-M", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "64", "-no-reboot"])
            .args(["-nodefaults", "-display", "none", "-serial", "stdio"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .args(["-smp", &self.cpus.max(1).to_string()]);
        if let Some(device) = self.device {
            command.args(["-device", &format!("{device},addr=4")]);
        }
        Ok(command)
    }
}

fn ended(command: &mut Command) -> Result<Outcome> {
    let ended = qemu::run(command)?;
    ensure!(ended.code.is_some(), "QEMU was killed: {}", ended.stderr);
    let status = ended.code.and_then(|code| u64::try_from(code).ok());
    Ok(Outcome { console: ended.stdout, status })
}

/// A program of Debian's, installed or unpacked.
fn program(session: &Session, name: &str) -> Result<Command> {
    let is_there = |path: &std::path::PathBuf| Path::new(path).is_file();
    let file = debian()?.into_iter().map(|root| root.join("usr/bin").join(name)).find(is_there);
    let file = file.with_context(|| format!("no {name}; `cargo xtask setup` provides it"))?;
    let mut command = Command::new(file);
    command.current_dir(session.path("."));
    libraries(&mut command)?;
    Ok(command)
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
