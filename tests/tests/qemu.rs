//! The test kernel on another machine: QEMU, where there is no bench.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_bench::qemu::run;
use barscope_guests::TEST_KERNEL;

/// What isa-debug-exit makes of the 2 that the kernel ends with on a machine that it can't use:
/// 2 * 2 + 1.
const UNUSABLE: i32 = 5;

fn qemu(kernel: &Path) -> Result<Command> {
    let mut command =
        barscope_vmm::debian::qemu().context("no qemu-system-x86_64; `cargo xtask setup` provides it")?;
    command
        .args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "64", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel"])
        .arg(kernel);
    Ok(command)
}

/// Boots the kernel; what it printed, and QEMU's exit code.
fn boot() -> Result<(String, Option<i32>)> {
    let folder = tempfile::tempdir()?;
    let kernel = folder.path().join("kernel");
    std::fs::write(&kernel, TEST_KERNEL)?;
    let ended = run(&mut qemu(&kernel)?)?;
    Ok((ended.stdout, ended.code))
}

/// The functions that the kernel listed under this heading.
fn listed<'a>(output: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = output.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| line.starts_with("  ")).collect()
}

#[test]
#[ignore = "needs QEMU"]
fn qemu_boots_the_kernel_which_lists_its_functions_and_ends() -> Result<()> {
    let (output, code) = boot()?;
    println!("{output}");

    let by_ports = listed(&output, "PCI bus 0 by CF8/CFC:");
    let by_ecam = listed(&output, "PCI bus 0 by ECAM:");
    // The host bridge and the LPC bridge of q35.
    for function in ["  00.0  8086:29c0  class 060000", "  1f.0  8086:2918  class 060100"] {
        ensure!(by_ports.contains(&function), "{function:?} is missing in {by_ports:?}");
    }
    assert_eq!(by_ports, by_ecam);
    let last = "test kernel: this machine is not the bench, so that there is nothing to play";
    assert_eq!(output.lines().last(), Some(last));
    assert_eq!(code, Some(UNUSABLE));
    Ok(())
}
