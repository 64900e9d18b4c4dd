//! Does the command work where nothing of this repository is: installed by Cargo, and linked statically in an empty root?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Ended, Session};
use barscope_bench::workspace::root;

/// Cargo's target folder. What is built for tests is of use for what is built here.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target")).to_owned()
}

/// Cargo in the repository, without a network.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(arguments).args(["--locked", "--offline", "--target-dir"]).arg(target());
    command
}

/// A shell as root of its own, with mounts of its own: `script`, and its arguments.
fn alone(session: &Session, script: &str, arguments: &[&Path]) -> Command {
    let mut command =
        session.command(Path::new("unshare"), &["--map-root-user", "--mount", "sh", "-euc", script, "sh"]);
    command.args(arguments);
    command
}

/// Runs a command, which has to succeed; gives what it printed.
fn passes(command: &mut Command) -> Result<String> {
    let Ended { code, stdout, stderr } = Ended::from(command.output()?);
    ensure!(code == Some(0), "{command:?}: exit code {code:?}: {stderr}{stdout}");
    Ok(stdout)
}

/// What works without a guest.
const WITHOUT_GUEST: [(&str, &str); 4] = [
    ("--version", "barscope 0.1.0\n"),
    ("devices edu", "## edu\n"),
    ("poke edu --trace /t write BAR0.FACTORIAL 5 wait 1ms read BAR0.FACTORIAL", "FACTORIAL"),
    ("show /t read BAR0.FACTORIAL", "0x78"),
];

#[test]
#[ignore = "needs minutes"]
fn installed_from_a_clone_it_needs_nothing_of_the_clone() -> Result<()> {
    let session = Session::new()?;
    let folder = session.path("installed");
    let mut install = cargo(&["install", "--debug", "--quiet", "--path", "vmm/cli"]);
    passes(install.arg("--root").arg(&folder))?;
    let program = folder.join("bin/barscope");
    // Nothing is where the repository was.
    let hide = "mount -t tmpfs none \"$1\"; shift; exec \"$@\"";
    for (arguments, expected) in WITHOUT_GUEST {
        let arguments = arguments.replace("/t", &session.path("t").display().to_string());
        let mut command = alone(&session, hide, &[&root().canonicalize()?, &program]);
        let printed = passes(command.args(arguments.split(' ')))?;
        ensure!(printed.contains(expected), "{arguments}: {printed}");
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm and minutes"]
fn linked_statically_it_runs_in_an_empty_root() -> Result<()> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let session = Session::new()?;
    let mut build = cargo(&["build", "--quiet", "--package", "barscope", "--target", TARGET]);
    passes(build.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let empty = session.path("root");
    fs::create_dir_all(empty.join("dev"))?;
    fs::copy(target().join(TARGET).join("debug/barscope"), empty.join("barscope"))
        .context("what was built")?;
    fs::write(empty.join("dev/kvm"), "")?;
    let enter = "mount --bind /dev/kvm \"$1/dev/kvm\"; exec chroot \"$@\"";
    let run = [
        ("run --scenario probe --trace /run", "PASS  probe"),
        ("stats /run", "finished, virtual device clock"),
    ];
    for (arguments, expected) in WITHOUT_GUEST.into_iter().chain(run) {
        let mut command = alone(&session, enter, &[&empty, Path::new("/barscope")]);
        let printed = passes(command.args(arguments.split(' ')))?;
        ensure!(printed.contains(expected), "{arguments}: {printed}");
    }
    // No library, no folder for what is temporary, not even /proc.
    let mut left: Vec<_> = fs::read_dir(&empty)?.flatten().map(|file| file.file_name()).collect();
    left.sort();
    assert_eq!(left, ["barscope", "dev", "run", "t"]);
    Ok(())
}
