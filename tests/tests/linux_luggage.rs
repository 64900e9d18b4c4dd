//! Do programs, scripts, modules and files arrive in a Linux guest as their owner had them, with all that they need?

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use anyhow::{Result, ensure};
use barscope_bench::command::Session;
use barscope_bench::compile;
use barscope_vmm::linux::ProgramChoice;

/// Says what it got, and whether it may read.
const ARGUMENTS: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char byte;

	for (int i = 1; i < argc; i++)
		printf("<%s>", argv[i]);
	printf(" stdin %zd\n", read(0, &byte, 1));
	return 0;
}
"#;

/// Starts the program that came along, and looks at what else did.
const SCRIPT: &str = "#!/bin/sh -eu
\"$(dirname \"$0\")/../build/arguments\" \"$@\" | sed 's/^/script: /'
echo \"link: $(cat data/link), mode: $(stat -c %a data/inner/file), there: $(cat /etc/there)\"
echo \"interpreter: $(./other)\"
grep -q '^upper ' /proc/modules
";

/// Bash's own, found by `env`.
const OTHER: &str = "#!/usr/bin/env bash
words=(one two)
echo \"${#words[@]} ${words[1]^^}\"
";

const LOWER: &str = r#"
#include <linux/module.h>
int lower_number(void) { return 42; }
EXPORT_SYMBOL(lower_number);
MODULE_LICENSE("GPL");
"#;

const UPPER: &str = r#"
#include <linux/module.h>
int lower_number(void);
static int __init upper_init(void) { return lower_number() == 42 ? 0 : -EINVAL; }
static void __exit upper_exit(void) { }
module_init(upper_init);
module_exit(upper_exit);
MODULE_LICENSE("GPL");
"#;

/// A file in the session's folder that may be executed.
fn executable(session: &Session, name: &str, content: &str) -> Result<()> {
    let path = session.file(name, content.as_bytes())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// A command with words that are quoted, and all ways to take files along.
const COMMAND: &str = r#"run --guest linux --nested --module upper.ko.xz --program "tests/run.sh 'two words' '' \"it's\""
    --file build/arguments --file ./other --file there:/etc/ --dir data:data"#;

/// Its arguments, as a shell reads them.
fn command() -> Result<Vec<String>> {
    let command: ProgramChoice = format!("barscope {COMMAND}").replace('\n', " ").parse()?;
    Ok(command.arguments)
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn on_linux_scripts_files_folders_and_packed_modules_arrive_with_what_they_need() -> Result<()> {
    let session = Session::new()?;
    for folder in ["build", "tests", "data", "data/inner"] {
        fs::create_dir(session.path(folder))?;
    }
    let source = session.file("arguments.c", ARGUMENTS.as_bytes())?;
    compile::program(&source, &session.path("build/arguments"))?;
    executable(&session, "tests/run.sh", SCRIPT)?;
    executable(&session, "other", OTHER)?;
    session.file("data/inner/file", b"inner\n")?;
    fs::set_permissions(session.path("data/inner/file"), fs::Permissions::from_mode(0o640))?;
    symlink("inner/file", session.path("data/link"))?;
    session.file("there", b"there\n")?;
    compile::modules(&session, &[("lower", LOWER), ("upper", UPPER)])?;
    let packed = Command::new("xz").arg("--check=crc32").arg(session.path("upper.ko")).status()?;
    ensure!(packed.success(), "xz");
    let shown = command()?;
    let others = ["--program", "build/arguments 'two\nlines'", "--program", "sh -c 'exit 0'"];
    let all: Vec<_> = shown.iter().map(String::as_str).chain(others).collect();
    let run = session.run(&all)?;
    let console = fs::read_to_string(session.path("barscope.console")).unwrap_or_default().replace('\r', "");
    ensure!(run.code == Some(0), "{}\n{}\n{console}", run.stdout, run.stderr);
    for line in [
        "script: <two words><><it's> stdin 0\n",
        "<two\nlines> stdin 0\n",
        "link: inner, mode: 640, there: there\n",
        "interpreter: 2 TWO\n",
    ] {
        ensure!(console.contains(line), "no {line:?} in:\n{console}");
    }
    for heading in ["PASS  run.sh", "PASS  sh"] {
        ensure!(run.stdout.contains(heading), "no {heading:?} in:\n{}", run.stdout);
    }
    Ok(())
}
