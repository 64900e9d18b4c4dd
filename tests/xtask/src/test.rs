//! `cargo xtask test`: the steps, and what can't run where something is missing.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::cargo::{self, cargo, documentation, kernel, rustfmt_devices, succeed};
use crate::setup;

/// Tests that can't run on the virtual machine's kvm-amd: they use this machine's files or start other
/// programs, play every scenario dozens of times, or use SSE in a guest that doesn't switch it on, which a processor
/// refuses and the emulator here doesn't. All others of the package `tests` run there as well.
const ONLY_HERE: [&str; 24] = [
    "budgets",
    "cost",
    "determinism",
    "device_options",
    "expectation_mutations",
    "expectations",
    "explain",
    "harmless",
    "host_faults",
    "kernel_image",
    "licences",
    "linux",
    "linux_contract",
    "linux_names",
    "linux_wrong_input",
    "machine_ends",
    "mutations",
    "nested",
    "qemu",
    "questions",
    "raw_code",
    "readme",
    "sample",
    "wrong_input",
];

/// JUnit reports of the expectation files.
const REPORTS: [&str; 2] = ["expectations.xml", "expectations-two-vcpus.xml"];

/// A command that has to succeed.
struct Step {
    what: &'static str,
    command: Command,
}

fn step(what: &'static str, command: Command) -> Step {
    Step { what, command }
}

/// Runs all steps that can run.
///
/// # Errors
/// The first one that fails; with CI=true also what can't run.
pub fn run(may_set_up: bool) -> Result<(), String> {
    let skipped = what_cannot_run(may_set_up)?;
    let steps = steps(&skipped)?;
    for report in reports()? {
        // Whatever is there afterwards is of this run.
        let _ = fs::remove_file(report);
    }
    let began = Instant::now();
    let result: Result<(), String> = steps.into_iter().try_for_each(|Step { what, mut command }| {
        eprintln!("\n== {what}");
        let step_began = Instant::now();
        succeed(&mut command).map_err(|error| format!("{what}: {error}"))?;
        eprintln!("== {what}: {} s", step_began.elapsed().as_secs());
        Ok(())
    });
    for report in reports()?.filter(|report| report.is_file()) {
        eprintln!("\nxtask: JUnit report: {}", report.display());
    }
    result?;
    eprintln!("\nxtask: everything passed in {} s", began.elapsed().as_secs());
    for (what, why) in skipped.iter() {
        eprintln!("xtask: NOT RUN: {what}, for want of {why}");
    }
    Ok(())
}

/// Where the test `expectations` leaves its reports: Cargo's folder for what integration tests leave.
fn reports() -> Result<impl Iterator<Item = PathBuf>, String> {
    let folder = cargo::target()?.join("tmp");
    Ok(REPORTS.into_iter().map(move |name| folder.join(name)))
}

/// What is missing, by what needs it.
#[derive(Default)]
struct Skipped {
    kvm: Option<String>,
    nested: Option<String>,
}

impl Skipped {
    fn iter(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let kvm = self.kvm.iter().map(|why| ("the tests that boot a guest", why));
        kvm.chain(self.nested.iter().map(|why| ("the tests in QEMU, on kvm-amd and without the bench", why)))
    }
}

fn what_cannot_run(may_set_up: bool) -> Result<Skipped, String> {
    let mut skipped = Skipped::default();
    if let Err(error) = File::options().read(true).write(true).open("/dev/kvm") {
        skipped.kvm = Some(format!("/dev/kvm: {error}"));
    }
    if !setup::missing()?.is_empty() {
        let set_up = if may_set_up { setup::run(false) } else { Ok(()) };
        let missing: Vec<_> = setup::missing()?.iter().map(|package| package.name).collect();
        if let Err(error) = set_up {
            eprintln!("xtask: {error}");
        }
        if !missing.is_empty() {
            skipped.nested = Some(format!("{}; `cargo xtask setup` provides it", missing.join(", ")));
        }
    }
    if env::var("CI").as_deref() == Ok("true")
        && let Some((what, why)) = skipped.iter().next()
    {
        return Err(format!("CI has to run {what}, but lacks {why}"));
    }
    Ok(skipped)
}

fn steps(skipped: &Skipped) -> Result<Vec<Step>, String> {
    let mut steps = vec![
        step("format", cargo(["fmt", "--all", "--check"])),
        step("format of the devices", rustfmt_devices()),
        step("format of the test kernel", kernel("fmt", ["--check"])),
        step("lints", cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        step("lints of the test kernel", kernel("clippy", ["--", "-D", "warnings"])),
        step("documentation", documentation()),
    ];
    if skipped.kvm.is_none() {
        let run = ["test", "--workspace", "--", "--include-ignored"];
        let elsewhere = ["--skip", "qemu_", "--skip", "nested_", "--skip", "on_linux_", "--skip", "cost_"];
        steps.push(step("tests, those on /dev/kvm included", cargo(run.into_iter().chain(elsewhere))));
        let cost = ["test", "--release", "--package", "barscope-bench", "--test", "cost", "--"];
        let shown = ["--include-ignored", "--nocapture"];
        steps.push(step("cost of a traced access", cargo(cost.into_iter().chain(shown))));
    } else {
        steps.push(step("tests that need no /dev/kvm", cargo(["test", "--workspace"])));
    }
    if skipped.nested.is_none() {
        let qemu = ["test", "--package", "barscope-bench", "--test", "qemu", "--", "--include-ignored"];
        steps.push(step("the test kernel under QEMU", cargo(qemu)));
        let run = ["test", "--package", "barscope-bench", "--test", "nested", "--test", "expectations", "--"];
        let nested = ["--include-ignored", "nested_"];
        steps.push(step("barscope run --nested", cargo(run.into_iter().chain(nested))));
        let linux = ["test", "--package", "barscope-bench", "--test", "linux", "--test", "linux_names"];
        let shown = ["--test", "linux_wrong_input", "--", "--include-ignored"];
        steps.push(step("Linux with its driver, nested", cargo(linux.into_iter().chain(shown))));
        steps.push(step("tests on kvm-amd, nested", on_kvm_amd()?));
    }
    Ok(steps)
}

/// The tests of the package `tests`, each program in a virtual machine of its own.
fn on_kvm_amd() -> Result<Command, String> {
    let barscope = cargo::built("barscope")?;
    let runner = format!("target.'cfg(target_os = \"linux\")'.runner=[{barscope:?}, \"nested\"]");
    let mut command = cargo(["test", "--package", "barscope-bench", "--config", &runner]);
    let folder = cargo::root().join("tests/tests");
    let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<_> =
        files.flatten().filter_map(|file| file.path().file_stem().map(OsStr::to_owned)).collect();
    names.sort();
    for name in names.iter().filter(|name| !ONLY_HERE.iter().any(|only| *name == only)) {
        command.arg("--test").arg(name);
    }
    command.args(["--", "--include-ignored"]);
    Ok(command)
}
