//! The commands of a document, one after the other, in a folder that looks like a clone.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use barscope_bench::command::binary;
use barscope_bench::workspace::root;
use tempfile::TempDir;

use crate::compare::{Exactness, shows};
use crate::markdown::{Block, Document};

/// Stands before the exit status of a command, in a line of its own.
const MARK: &str = "==== barscope-documents";

/// A command of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// As a shell takes it, of several lines if a here-document or `\` continues it.
    pub command: String,
    /// What stands below it; nothing if the document doesn't show what it prints.
    pub shown: Vec<String>,
    pub exactness: Exactness,
    /// Its line in the document.
    pub line: usize,
}

/// What is to be run of a block: lines behind `$ `, with those behind `> ` that continue them.
pub fn steps(block: &Block) -> Vec<Step> {
    let exactness = match block.info.as_deref() {
        Some("console") => Exactness::All,
        Some("console varies") => Exactness::Form,
        _ => return Vec::new(),
    };
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (command, shown) = (command.to_owned(), Vec::new());
            steps.push(Step { command, shown, exactness, line: block.line + 1 + number });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ").or((line == ">").then_some("")) {
                Some(more) if step.shown.is_empty() => step.command += &format!("\n{more}"),
                _ => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Runs all of a document's commands. A status other than 0 is right only where `echo $?` comes next.
///
/// # Errors
/// The first command that fails, or prints something else than what stands there; and if none is to be run.
pub fn run(document: &str) -> Result<()> {
    let text = fs::read_to_string(root().join(document))?;
    let steps: Vec<_> = Document::read(&text).blocks.iter().flat_map(steps).collect();
    ensure!(!steps.is_empty(), "{document} has no commands");
    let clone = clone()?;
    let mut script = String::new();
    for (at, step) in steps.iter().enumerate() {
        let may_fail = steps.get(at + 1).is_some_and(|next| next.command == "echo $?");
        let stop = if may_fail { "" } else { "[ $status = 0 ] || exit 0\n" };
        // In braces, so that folders and variables of one command are those of the next.
        script += &format!(
            "{{ {}\n}}; status=$?; printf '\\n{MARK} %s\\n' $status\n{stop}(exit $status)\n",
            step.command
        );
    }
    fs::write(clone.path().join(".script"), script)?;
    let (reader, writer) = io::pipe()?;
    let mut shell = Command::new("timeout");
    // A document that hangs is ended with all that it began.
    shell.args(["--kill-after", "10", "900", "bash", ".script"]).current_dir(clone.path());
    shell.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let path = format!("{}:{}", folder_of_command()?.display(), env::var("PATH")?);
    shell.env("PATH", path).env("COLUMNS", "80").env("XDG_RUNTIME_DIR", clone.path());
    let mut child = shell.spawn()?;
    drop(shell);
    let printed = io::read_to_string(reader)?;
    child.wait()?;
    check(document, &steps, &printed)
}

/// Holds what was printed against what stands there.
fn check(document: &str, steps: &[Step], printed: &str) -> Result<()> {
    let mut lines = printed.lines();
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{document}:{}: $ {}", step.line, step.command);
        let mut output = Vec::new();
        let status = loop {
            let line =
                lines.next().with_context(|| format!("{place}\nnever ended:\n{}", output.join("\n")))?;
            match line.strip_prefix(MARK) {
                Some(status) => break status.trim(),
                None => output.push(line),
            }
        };
        // The line break before the mark.
        if output.last() == Some(&"") {
            output.pop();
        }
        let may_fail = steps.get(at + 1).is_some_and(|next| next.command == "echo $?");
        ensure!(status == "0" || may_fail, "{place}\nended with {status}:\n{}", output.join("\n"));
        let shown: Vec<_> = step.shown.iter().map(String::as_str).collect();
        let holds = shown.is_empty() || shows(&shown, &output, step.exactness);
        ensure!(holds, "{place}\nprints something else than what stands there:\n{}", output.join("\n"));
    }
    Ok(())
}

/// A folder with everything of the repository in it, where what commands write stays out of that.
fn clone() -> Result<TempDir> {
    let folder = TempDir::new()?;
    for entry in fs::read_dir(root())? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_str(), Some("target" | ".git" | "examples")) {
            symlink(entry.path(), folder.path().join(name))?;
        }
    }
    // Builds write beside the sources.
    copy(&root().join("examples"), &folder.path().join("examples"))?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "target" {
        } else if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else {
            io::copy(&mut File::open(source)?, &mut File::create(target)?)?;
        }
    }
    Ok(())
}

fn folder_of_command() -> Result<&'static Path> {
    binary()?.parent().context("a program lies in a folder")
}

#[test]
fn commands_and_what_they_print_are_told_apart() {
    let block = Block {
        info: Some("console".into()),
        text: "$ cat > it <<END\n> a\n>\n> END\n$ cat it\na\n\n".into(),
        line: 7,
    };
    let step = |command: &str, shown: &[&str], line| Step {
        command: command.into(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
        exactness: Exactness::All,
        line,
    };
    let expected = [step("cat > it <<END\na\n\nEND", &[], 8), step("cat it", &["a", ""], 12)];
    assert_eq!(steps(&block), expected);
}

#[test]
fn another_output_and_another_status_are_errors() {
    let step = |command: &str, shown: &str| Step {
        command: command.into(),
        shown: shown.lines().map(str::to_owned).collect(),
        exactness: Exactness::All,
        line: 1,
    };
    let ran =
        |steps: &[Step], printed: &str| check("it.md", steps, printed).map_err(|error| error.to_string());

    assert_eq!(ran(&[step("echo a", "a")], &format!("a\n\n{MARK} 0\n")), Ok(()));
    assert_eq!(ran(&[step("echo -n", ""), step("true", "")], &format!("\n{MARK} 0\n\n{MARK} 0\n")), Ok(()));
    assert_eq!(
        ran(&[step("false", ""), step("echo $?", "1")], &format!("\n{MARK} 1\n1\n\n{MARK} 0\n")),
        Ok(())
    );
    let other = "it.md:1: $ echo a\nprints something else than what stands there:\nb";
    assert_eq!(ran(&[step("echo a", "a")], &format!("b\n\n{MARK} 0\n")), Err(other.to_owned()));
    let failed = "it.md:1: $ false\nended with 1:\n";
    assert_eq!(ran(&[step("false", "")], &format!("\n{MARK} 1\n")), Err(failed.to_owned()));
    let cut = "it.md:1: $ sleep 9\nnever ended:\nwaits";
    assert_eq!(ran(&[step("sleep 9", "")], "waits\n"), Err(cut.to_owned()));
}
