//! The virtual machine as a process: QEMU in pure software, with an emulated AMD-V processor.

use std::io::{self, BufReader, BufWriter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::{fs, thread};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use crate::initramfs::Initramfs;

use super::error::Error;
use super::folder::Folder;
use super::image::INIT;
use super::link::Message;
use super::visit::Machine;

/// What Debian's kernel is told. On a busy host, emulated timers are late: Linux would take the IO-APIC for
/// broken and panic.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 no_timer_check";

/// Arguments that are always the same. The port is QEMU's standard input and output.
///
/// Without `event_idx`, every message that the host took is followed by an interrupt. With it, Linux says with an
/// exchange which one it waits for, and counts on nothing being read before that is seen (`virtio_store_mb`). One
/// thread of QEMU's emulates that as a load and a store, and another serves the port: each may miss what the
/// other has just written, and then the machine would wait for the host for ever.
const ARGUMENTS: &[&str] = &[
    "-M",
    "q35",
    "-accel",
    "tcg,thread=single",
    "-cpu",
    "EPYC-v1,+svm,+npt,phys-bits=48",
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
    "-serial",
    "file:console",
    "-chardev",
    "stdio,id=link,signal=off",
    "-device",
    "virtio-serial-pci,event_idx=off",
    "-device",
    "virtserialport,chardev=link,nr=1",
    "-initrd",
    "initramfs",
];
/// MiB that the kernel and its first process need.
const KERNEL_MIB: u64 = 512;
/// The archive is in memory, then unpacked into at most half of all memory.
const TIMES_ARCHIVE: u64 = 4;
/// How many lines of the console are shown if the machine fails.
const TAIL: usize = 5;

/// A running virtual machine, which ends with it.
pub struct Qemu {
    child: Child,
    /// Where messages to the machine go.
    pub to_guest: ChildStdin,
    /// What comes from the machine; closed once it ends.
    pub messages: Receiver<io::Result<Message>>,
    /// Its console and its initramfs.
    folder: Folder,
}

impl Qemu {
    /// Starts the machine that boots this file, in a folder that holds its initramfs, with so much memory in MiB.
    ///
    /// # Errors
    /// [`Error`] if QEMU can't be started.
    pub fn start(command: Command, kernel: &Path, folder: Folder, memory: u64) -> Result<Self, Error> {
        let system = |what| move |source| Error::System { what, source };
        let mut child = start(command, kernel, &folder, memory).map_err(system("qemu-system-x86_64"))?;
        let missing = || io::Error::other("no pipe");
        let to_guest = child.stdin.take().ok_or_else(missing).map_err(system("qemu-system-x86_64"))?;
        let mut output =
            BufReader::new(child.stdout.take().ok_or_else(missing).map_err(system("qemu-system-x86_64"))?);
        // A few messages ahead: a reader that takes its time holds up the command, as a pipe would.
        let (sender, messages) = mpsc::sync_channel(16);
        thread::spawn(move || {
            while let Some(message) = Message::receive(&mut output).transpose() {
                let last = message.is_err();
                if sender.send(message).is_err() || last {
                    return;
                }
            }
        });
        Ok(Self { child, to_guest, messages, folder })
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Machine for Qemu {
    fn messages(&self) -> &Receiver<io::Result<Message>> {
        &self.messages
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        message.send(&mut self.to_guest)
    }

    fn last_words(&self) -> String {
        last_words(self.folder.path())
    }

    fn end(&mut self) {
        // It fails if the machine has switched itself off.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Packs a machine's files into its folder. How much memory it needs beside what its command does, in MiB.
///
/// # Errors
/// [`Error`] if a file can't be read, or the archive not be written.
pub fn pack(files: &Initramfs, folder: &Folder) -> Result<u64, Error> {
    let file = folder.file("initramfs");
    let (path, file) =
        file.map_err(|source| Error::System { what: "a file for the virtual machine", source })?;
    files.write(BufWriter::new(file), &path)?;
    Ok(KERNEL_MIB + TIMES_ARCHIVE * (files.size() >> 20))
}

/// What QEMU complained about in a machine's folder, and the last lines of its console, in one line.
pub fn last_words(folder: &Path) -> String {
    let read = |name| fs::read(folder.join(name)).unwrap_or_default();
    let console = read("console");
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<_> = console.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let complaints = read("complaints");
    let complaints = String::from_utf8_lossy(&complaints);
    // It warns of each feature of the processor's model that it doesn't emulate.
    let complaints = complaints.lines().filter(|line| !line.contains(": warning: "));
    let said: Vec<_> = complaints.chain(lines.into_iter().rev().take(TAIL).rev()).collect();
    if said.is_empty() { "it said nothing".to_owned() } else { said.join("; ") }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(mut command: Command, kernel: &Path, folder: &Folder, memory: u64) -> io::Result<Child> {
    // QEMU makes none that anybody else may read.
    folder.file("console")?;
    let owner = getpid();
    command
        .args(ARGUMENTS)
        .args(["-m", &memory.to_string()])
        .arg("-kernel")
        .arg(kernel)
        .arg("-append")
        .arg(format!("{COMMAND_LINE} rdinit={INIT} -- nested-init"))
        // Paths in QEMU's options would need quoting; those of this folder don't.
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(folder.file("complaints")?.1)
        // Ctrl-C is for the command in the machine.
        .process_group(0);
    // SAFETY: between fork and exec only two system calls are made, `prctl` and `getppid`, which are
    // async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            // Meant is the thread that starts it: the first, which lives as long as the process.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            if getppid() == Some(owner) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
    command.spawn()
}
