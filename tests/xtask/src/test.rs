//! `cargo xtask test`: the steps one after the other, and what can't run where something is missing.

use std::cmp;
use std::env;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::cargo::{self, cargo, documentation, guests, rustfmt_devices, succeed};
use crate::dumps;
use crate::harness;
use crate::needs::{Needs, Thing};
use crate::newer;
use crate::packages;
use crate::plan::{Group, Plan};
use crate::pool::{self, Task};
use crate::registry;
use crate::setup;

/// JUnit reports of the expectation files.
const REPORTS: [&str; 2] = ["expectations.xml", "expectations-two-vcpus.xml"];

const KVM: &str = "/dev/kvm";

/// What the user wants.
#[derive(Clone, Copy)]
pub struct Options {
    /// To take the minutes that some tests need.
    pub long: bool,
    /// To provide what is missing.
    pub may_set_up: bool,
}

/// Runs all steps that can run.
///
/// # Errors
/// The first one that fails; with CI=true also what can't run.
pub fn run(options: Options) -> Result<(), String> {
    let lacking = Lacking::find(options)?;
    if env::var("CI").as_deref() == Ok("true") {
        lacking.nothing_but_time()?;
    }
    for report in reports()? {
        // Whatever is there afterwards is of this run.
        let _ = fs::remove_file(report);
    }
    let mut steps = Steps::default();
    let result = run_steps(&mut steps, &lacking);
    for report in reports()?.filter(|report| report.is_file()) {
        eprintln!("\nxtask: JUnit report: {}", report.display());
    }
    steps.print();
    let notes = result?;
    eprintln!("xtask: everything passed that could run");
    for note in notes {
        eprintln!("xtask: {note}");
    }
    Ok(())
}

/// Gives what did not run or was not checked.
fn run_steps(steps: &mut Steps, lacking: &Lacking) -> Result<Vec<String>, String> {
    let lints = ["--", "-D", "warnings"];
    let workspace = ["clippy", "--workspace", "--all-targets"];
    steps.command("format", cargo(["fmt", "--all", "--check"]))?;
    steps.command("format of the devices", rustfmt_devices())?;
    steps.command("format of the guests", guests("fmt", ["--check"]))?;
    steps.command("lints", cargo(workspace.into_iter().chain(lints)))?;
    steps.command("lints of the guests", guests("clippy", lints))?;
    steps.command("documentation", documentation(cargo(["doc", "--workspace"])))?;
    steps.command("documentation of the guests", documentation(guests("doc", [])))?;
    steps.take("lists of the packages", packages::list)?;
    steps.take("guests and command, from their packages", packages::build)?;
    steps.command("the command", cargo(["build", "--workspace", "--bin", "barscope"]))?;

    let mut notes = Vec::new();
    let hidden = without_kvm();
    if hidden.is_none() && Path::new(KVM).exists() {
        notes.push(format!(
            "NOT CHECKED: that tests which need nothing do without {KVM}: it can't be hidden here"
        ));
    }
    let mut alone = hidden.unwrap_or_else(|| cargo([]));
    alone.args(["test", "--workspace"]);
    let report = steps.take("tests that need nothing", || harness::run(&mut alone))?;
    let plan = Plan::new(&report.ignored, |thing| lacking.why(thing))?;
    let missing = |(test, why): &(String, String)| format!("NOT RUN: {test}, for want of {why}");
    let (measured, others): (Vec<_>, Vec<_>) =
        plan.here.iter().partition(|group| group.needs.has(Thing::Release));
    let boots = |needs: &Needs| needs.has(Thing::Qemu) || needs.has(Thing::Kernel);
    let (boot, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|group| boots(&group.needs));
    let mut booting: Vec<_> = boot.into_iter().flat_map(|group| tasks(group, None)).collect();
    if let Some(group) = &plan.nested {
        booting.extend(tasks(group, Some(&nested_runner()?)));
    }
    // What has most to do comes first, so that none is left over at the end.
    booting.sort_by_key(|task| cmp::Reverse(task.tests));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    steps.take("tests that boot Linux, or a machine in QEMU", || pool::run(booting, workers))?;
    // Some of them hold the machine to its times.
    let others = others.into_iter().flat_map(|group| tasks(group, None)).collect();
    steps.take("the other tests that need something", || pool::run(others, 1))?;
    for group in measured {
        // Nothing else runs beside what is measured.
        let what = format!("tests that need {}", group.needs);
        steps.take(&what, || pool::run(tasks(group, None), 1))?;
    }
    notes.extend(plan.not_run.iter().map(missing));
    Ok(notes)
}

/// The steps so far, and how long each took.
#[derive(Default)]
struct Steps(Vec<(String, u64)>);

impl Steps {
    fn take<T>(&mut self, what: &str, step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        eprintln!("\n== {what}");
        let began = Instant::now();
        let result = step().map_err(|error| format!("{what}: {error}"))?;
        let seconds = began.elapsed().as_secs();
        eprintln!("== {what}: {seconds} s");
        self.0.push((what.to_owned(), seconds));
        Ok(result)
    }

    fn command(&mut self, what: &str, mut command: Command) -> Result<(), String> {
        self.take(what, || succeed(&mut command))
    }

    /// As CONTRIBUTING.md has it.
    fn print(&self) {
        eprintln!("\n| step | seconds |\n|---|---:|");
        for (what, seconds) in &self.0 {
            eprintln!("| {what} | {seconds} |");
        }
        eprintln!("| all | {} |\n", self.0.iter().map(|(_, seconds)| seconds).sum::<u64>());
    }
}

/// Where the test `expectations` leaves its reports: Cargo's folder for what integration tests leave.
fn reports() -> Result<impl Iterator<Item = PathBuf>, String> {
    let folder = cargo::target()?.join("tmp");
    Ok(REPORTS.into_iter().map(move |name| folder.join(name)))
}

/// Why tests that need minutes don't run.
const LONG: &str = "time; `cargo xtask test --long` takes it";

/// Why a build of kvm-unit-tests isn't tried.
const BUILD: &str = "a build of that repository; KVM_UNIT_TESTS=DIR names one";

/// Why this run lacks things that tests need.
struct Lacking {
    kvm: Option<String>,
    packages: Vec<&'static setup::Package>,
    dumps: Option<String>,
    /// Of each set of packages that isn't here.
    registries: Vec<(Thing, String)>,
    long: bool,
}

impl Lacking {
    fn find(options: Options) -> Result<Self, String> {
        let kvm = File::options().read(true).write(true).open(KVM).err();
        if options.may_set_up
            && let Err(error) = setup::packages(false)
        {
            eprintln!("xtask: {error}");
        }
        // Why they can't be had says more than that they aren't here.
        let dumps = if options.may_set_up { dumps::provide().err() } else { dumps::missing() };
        let registries = registry::ALL.iter().filter_map(|packages| {
            let why = if options.may_set_up { packages.provide().err() } else { packages.missing() };
            Some((packages.thing, why?))
        });
        let registries = registries.collect();
        if options.may_set_up
            && let Err(error) = newer::provide()
        {
            eprintln!("xtask: {error}");
        }
        Ok(Self {
            kvm: kvm.map(|error| format!("{KVM}: {error}")),
            packages: setup::missing()?,
            dumps,
            registries,
            long: options.long,
        })
    }

    /// CI has to run all tests, but those that need minutes, and those whose inputs only Debian's mirrors have.
    fn nothing_but_time(&self) -> Result<(), String> {
        let elsewhere = !is_debian(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        let excused = |thing| match thing {
            // Its suite may hold no such kernel at a time.
            Thing::Minutes | Thing::Backports => true,
            // Not Debian's, and not copied here.
            Thing::KvmUnitTests => true,
            Thing::Dumps | Thing::Debian13 => elsewhere,
            _ => false,
        };
        let things = Thing::ALL.into_iter().filter(|thing| !excused(*thing));
        let lacking = things.filter_map(|thing| Some((thing, self.why(thing)?))).next();
        lacking.map_or(Ok(()), |(thing, why)| {
            Err(format!("CI has to run the tests that need {}, but lacks {why}", thing.words()))
        })
    }

    fn why(&self, thing: Thing) -> Option<String> {
        match thing {
            Thing::Kvm | Thing::OwnKvm => self.kvm.clone(),
            Thing::Minutes => (!self.long).then(|| LONG.to_owned()),
            Thing::Release => None,
            Thing::Dumps => self.dumps.clone(),
            Thing::Perfetto | Thing::Schemas | Thing::TypeScript => {
                let found = self.registries.iter().find(|(lacking, _)| *lacking == thing);
                found.map(|(_, why)| why.clone())
            }
            Thing::Debian13 | Thing::Backports => newer::missing(thing),
            Thing::KvmUnitTests => env::var_os("KVM_UNIT_TESTS").is_none().then(|| BUILD.to_owned()),
            Thing::Qemu
            | Thing::Kernel
            | Thing::Headers
            | Thing::Busybox
            | Thing::Grub
            | Thing::Strace
            | Thing::Lspci
            | Thing::Python
            | Thing::Chromium
            | Thing::Node => {
                let missing = self.packages.iter().filter(|package| package.thing == thing);
                let missing: Vec<_> = missing.map(|package| package.name).collect();
                let missing = missing.join(", ");
                (!missing.is_empty()).then(|| format!("{missing}; `cargo xtask setup` provides it"))
            }
        }
    }
}

/// Whether an os-release file is that of Debian 12 or 13, and not of what is made from them.
fn is_debian(os_release: &str) -> bool {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"'))
    };
    value("ID") == Some("debian") && matches!(value("VERSION_ID"), Some("12" | "13"))
}

/// Cargo where no KVM is, so that a test which uses it without saying so fails. `None` if that can't be had here.
fn without_kvm() -> Option<Command> {
    if !Path::new(KVM).exists() {
        return None;
    }
    let hide = format!("mount --bind /dev/null {KVM} && exec \"$@\"");
    let hidden = |user: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(user).args(["--mount", "sh", "-c", &hide, "sh"]);
        command
    };
    // Root needs no names of its own.
    let users: [&[&str]; 2] = [&[], &["--map-root-user"]];
    let works =
        |user: &&[&str]| hidden(user).arg("true").output().is_ok_and(|output| output.status.success());
    let user = users.into_iter().find(works)?;
    let mut command = hidden(user);
    command.current_dir(cargo::root()).arg(cargo([]).get_program());
    Some(command)
}

/// A group's tests, by a runner if one is given: a task for each program.
fn tasks(group: &Group, runner: Option<&str>) -> Vec<Task> {
    let place =
        runner.map_or_else(|| group.needs.to_string(), |_| "kvm-amd, in a virtual machine".to_owned());
    let task = |(program, tests): (&Option<String>, &usize)| {
        let of = program.as_deref().unwrap_or("unit tests");
        let what = format!("{of}, {tests} that need {place}");
        Task { what, command: program_command(group, program.as_deref(), runner), tests: *tests }
    };
    group.programs.iter().map(task).collect()
}

/// A group's tests in one program.
fn program_command(group: &Group, program: Option<&str>, runner: Option<&str>) -> Command {
    let mut command = cargo(["test", "--workspace"]);
    if group.needs.has(Thing::Release) {
        command.arg("--release");
    }
    if let Some(runner) = runner {
        command.args(["--config", runner]);
    }
    match program {
        Some(program) => command.args(["--test", program]),
        None => command.args(["--lib", "--bins"]),
    };
    command.args(["--", "--ignored", "--exact", "--test-threads", "1"]);
    // What is measured is to be seen.
    if group.needs.has(Thing::Release) {
        command.arg("--nocapture");
    }
    command.args(&group.names);
    command
}

/// The setting by which Cargo runs each test program in a virtual machine of its own.
fn nested_runner() -> Result<String, String> {
    let barscope = cargo::built("barscope")?;
    Ok(format!("target.'cfg(target_os = \"linux\")'.runner=[{barscope:?}, \"nested\"]"))
}

#[cfg(test)]
mod tests {
    use super::is_debian;

    #[test]
    fn only_debian_12_and_13_are_debian() {
        for (os_release, expected) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", true),
            ("ID=debian\nVERSION_ID=13\n", true),
            ("ID=debian\nVERSION_ID=\"11\"\n", false),
            ("PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\n", false),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"12\"\n", false),
            ("", false),
        ] {
            assert_eq!(is_debian(os_release), expected, "{os_release}");
        }
    }
}
