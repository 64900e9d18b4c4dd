//! `cargo xtask test`: everything that CI runs, the same for a person. Depends on nothing, so that it works
//! when the rest doesn't build.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const USAGE: &str = "\
usage: cargo xtask test

Formats (check only), lints, tests, documents; what needs /dev/kvm runs too, and what needs QEMU where
qemu-system-x86_64 is installed. With CI=true, a missing /dev/kvm is a failure. Runs on /dev/kvm leave JUnit
reports of the expectation files behind.";

/// What the test `expectations` leaves in Cargo's folder for what integration tests leave.
const REPORTS: [&str; 2] = ["expectations.xml", "expectations-two-vcpus.xml"];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// A command that has to succeed.
struct Step {
    what: &'static str,
    command: Command,
}

fn test() -> ExitCode {
    let kvm = File::options().read(true).write(true).open("/dev/kvm");
    if let (Err(error), Some("true")) = (&kvm, env::var("CI").ok().as_deref()) {
        eprintln!("xtask: /dev/kvm: {error}; CI has to run the tests that need it");
        return ExitCode::FAILURE;
    }
    let qemu = installed("qemu-system-x86_64");

    let mut steps = vec![
        step("format", cargo(["fmt", "--all", "--check"])),
        step("format of the devices", rustfmt_devices()),
        step("format of the test kernel", kernel("fmt", ["--check"])),
        step("lints", cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        step("lints of the test kernel", kernel("clippy", ["--", "-D", "warnings"])),
        step("documentation", documentation()),
    ];
    match &kvm {
        Ok(_) => {
            let run =
                ["test", "--workspace", "--", "--include-ignored", "--skip", "qemu_", "--skip", "cost_"];
            steps.push(step("tests, those on /dev/kvm included", cargo(run)));
            let cost = ["test", "--release", "--package", "tests", "--test", "cost", "--"];
            let shown = ["--include-ignored", "--nocapture"];
            steps.push(step("cost of a traced access", cargo(cost.into_iter().chain(shown))));
        }
        Err(_) => steps.push(step("tests that need no /dev/kvm", cargo(["test", "--workspace"]))),
    }
    if qemu {
        let run = ["test", "--package", "tests", "--test", "qemu", "--", "--include-ignored"];
        steps.push(step("the test kernel under QEMU", cargo(run)));
    }

    for report in reports() {
        // Whatever is there afterwards is of this run.
        let _ = std::fs::remove_file(report);
    }
    let began = Instant::now();
    for Step { what, mut command } in steps {
        eprintln!("\n== {what}");
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) => {
                let code = failed(what, &command);
                tell_reports();
                return code;
            }
            Err(error) => {
                eprintln!("xtask: {}: {error}", command.get_program().display());
                return ExitCode::FAILURE;
            }
        }
    }
    eprintln!("\nxtask: everything passed in {} s", began.elapsed().as_secs());
    tell_reports();
    if let Err(error) = kvm {
        eprintln!("xtask: NOT run, for want of /dev/kvm ({error}): the tests that boot a guest");
    }
    if !qemu {
        eprintln!("xtask: NOT run, for want of qemu-system-x86_64: the test kernel under QEMU");
    }
    ExitCode::SUCCESS
}

fn failed(what: &str, command: &Command) -> ExitCode {
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    eprintln!("\nxtask: FAILED: {what}\n  {} {}", command.get_program().display(), arguments.join(" "));
    ExitCode::FAILURE
}

/// Where reports of expectation files are, once they were written.
fn reports() -> impl Iterator<Item = PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    REPORTS.into_iter().map(move |name| target.join("tmp").join(name))
}

fn tell_reports() {
    for report in reports().filter_map(|path| path.canonicalize().ok()) {
        eprintln!("xtask: JUnit report: {}", report.display());
    }
}

fn step(what: &'static str, command: Command) -> Step {
    Step { what, command }
}

fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

fn documentation() -> Command {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// What Cargo's own formatter doesn't find: device modules are declared by a macro.
fn rustfmt_devices() -> Command {
    let mut command = Command::new("rustfmt");
    command.current_dir(root()).args(["--check", "--edition", "2024"]);
    let devices = std::fs::read_dir(root().join("device-model/src/devices"));
    let files = devices.into_iter().flatten().flatten().map(|entry| entry.path());
    command.args(files.filter(|path| path.extension() == Some(OsStr::new("rs"))));
    command
}

/// The test kernel is a package of its own, outside the workspace.
fn kernel<'a>(command: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let manifest = ["--manifest-path", "guest-driver/test-kernel/Cargo.toml"];
    cargo([command].into_iter().chain(manifest).chain(arguments))
}

fn root() -> &'static Path {
    // tests/xtask is two levels down.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
