//! QEMU, to the end of what it runs.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Ended;

/// Booting takes a second; a busy machine may take many times that.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Kills QEMU if its caller ends first.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It fails if QEMU has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command of [`barscope_vmm::debian::qemu`] whose standard output is what the guest prints.
///
/// # Errors
/// If it can't be started, or doesn't end within a minute.
pub fn run(command: &mut Command) -> Result<Ended> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut qemu = Qemu(child.context("qemu-system-x86_64")?);
    let mut stdout = qemu.0.stdout.take().context("stdout is piped")?;
    let mut stderr = qemu.0.stderr.take().context("stderr is piped")?;
    let complaints = thread::spawn(move || read(&mut stderr));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more if it took too long.
        let _ = sender.send(read(&mut stdout));
    });
    let stdout = receiver.recv_timeout(TIME_LIMIT).context("QEMU did not end in time")??;
    let code = qemu.0.wait()?.code();
    let stderr = complaints.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    Ok(Ended { code, stdout, stderr })
}

fn read(pipe: &mut impl Read) -> Result<String> {
    let mut text = Vec::new();
    pipe.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
