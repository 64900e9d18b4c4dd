//! Linux of other releases: the same scenarios, the same expectations, and the driver built for each kernel.
//!
//! `barscope kernel` names them, and `cargo xtask setup` brings them beside the machine's own.

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Session, libraries, output};
use barscope_bench::expectations::{linux_file, root};
use barscope_guest_abi::linux::SCENARIOS;
use barscope_vmm::linux::{Choice, KernelChoice, Prepared};

/// The kernel of Debian 13, and what Debian 13's backports begin at: none of both comes with Debian 12.
const DEBIAN_13: &str = "6.12";
const BACKPORTS: &str = "7";

/// What a driver does most: registers by both ways, faults, interrupts, DMA, and going away.
const FEW: [&str; 5] = ["ioctl-and-mmap", "mmap-by-fault", "msi-x", "dma", "unbind-in-use"];

/// Plays scenarios on a kernel, each with its expectation file: all of them without names.
fn passes(kernel: &str, scenarios: &[&str]) -> Result<()> {
    let session = Session::new()?;
    let mut command =
        session.barscope(&["run", "--guest", "linux", "--nested", "--cpus", "2", "--kernel", kernel])?;
    command.current_dir(root()).arg("--trace").arg(session.path("barscope.trace"));
    command.arg("--console").arg(session.path("barscope.console"));
    let all: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    for name in if scenarios.is_empty() { &all } else { scenarios } {
        command.args(["--scenario", name, "--expect", &linux_file(name)]);
    }
    libraries(&mut command)?;
    let ended = output(&mut command)?;
    ensure!(ended.code == Some(0), "{:?}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
    let count = if scenarios.is_empty() { all.len() } else { scenarios.len() };
    let held = format!("0 failed, {count} passed, 0 inconclusive");
    ensure!(ended.stdout.contains(&held), "no {held:?} in:\n{}", ended.stdout);
    let version = session.trace()?.definitions().machine().context("no machine")?.guest.clone();
    ensure!(version.starts_with(&format!("Linux {kernel}.")), "{version} was booted");
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and Debian 13's kernel"]
fn on_debian_13_what_drivers_do_most_is_as_expected() -> Result<()> {
    passes(DEBIAN_13, &FEW)
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, Debian 13's kernel and minutes"]
fn on_debian_13_every_scenario_is_as_expected() -> Result<()> {
    passes(DEBIAN_13, &[])
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, a kernel of its backports and minutes"]
fn on_the_newest_kernel_of_the_backports_every_scenario_is_as_expected() -> Result<()> {
    passes(BACKPORTS, &[])
}

/// Kernels change what drivers call: that shows when they are compiled.
#[test]
#[ignore = "needs a kernel of its backports and Debian 13's kernel"]
fn the_driver_compiles_for_each_kernel() -> Result<()> {
    for kernel in [DEBIAN_13, BACKPORTS] {
        let choice = Choice { kernel: KernelChoice::Named(kernel.into()), ..Choice::default() };
        let archive = Prepared::new(&choice)?.archive()?;
        let magic = format!("vermagic={kernel}.");
        ensure!(archive.windows(magic.len()).any(|bytes| bytes == magic.as_bytes()), "no {magic}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel of its backports and Debian 13's kernel"]
fn the_command_tells_which_kernels_are_here() -> Result<()> {
    let session = Session::new()?;
    for kernel in [DEBIAN_13, BACKPORTS] {
        let told = session.run(&["kernel", "--kernel", kernel])?;
        let first = told.stdout.lines().next().unwrap_or_default();
        ensure!(told.code == Some(0) && first.starts_with(&format!("kernel   {kernel}.")), "{}", told.stdout);
        ensure!(told.stdout.lines().any(|line| line.starts_with("headers  /")), "{}", told.stdout);
    }
    let unknown = session.run(&["run", "--guest", "linux", "--kernel", "0.01"])?;
    ensure!(unknown.code == Some(2), "{:?}", unknown.code);
    ensure!(unknown.stderr.contains("`barscope kernel` names those that are"), "{}", unknown.stderr);
    Ok(())
}
