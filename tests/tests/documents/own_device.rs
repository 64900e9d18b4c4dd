//! The crate in docs/add-a-device.md: is it the example's, does it build as it stands, and do its commands pass?

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use barscope_bench::Bench;
use barscope_bench::command::{self, Ended};
use barscope_bench::workspace::root;
use barscope_device::{Entry, HostBridge};

const PAGE: &str = include_str!("../../../docs/add-a-device.md");

/// The example's files.
const FILES: [&str; 5] = ["Cargo.toml", "src/main.rs", "src/lib.rs", "tests/adder.rs", "adder.expect"];
/// Where this repository lies, as seen from the crate: from the page's, and from the example's.
const BESIDE: &str = "path = \"../barscope/";
const ABOVE: &str = "path = \"../../";

/// One Cargo at a time, in one folder: tests of this file share what they build.
static BUILDING: Mutex<()> = Mutex::new(());

/// What the section shows.
struct Section {
    /// Its blocks, each with the file that the paragraph before it names.
    blocks: Vec<(&'static str, String)>,
    commands: Vec<String>,
}

fn section() -> Result<Section> {
    let (mut blocks, mut commands) = (Vec::new(), String::new());
    let parts: Vec<_> = PAGE.split("```").collect();
    for pair in parts.chunks_exact(2) {
        let (language, text) = pair[1].split_once('\n').context("a block has lines")?;
        if language == "sh" {
            commands = text.replace("\\\n", "");
            continue;
        }
        let paragraph = pair[0].rsplit("\n\n").find(|text| !text.trim().is_empty()).unwrap_or_default();
        let file = FILES.into_iter().find(|file| paragraph.contains(&format!("`{file}`")));
        blocks.push((file.with_context(|| format!("no file is named before {text}"))?, text.to_owned()));
    }
    Ok(Section { blocks, commands: commands.lines().map(str::to_owned).collect() })
}

#[test]
fn the_crate_in_the_page_is_the_example() -> Result<()> {
    let Section { blocks, .. } = section()?;
    assert_eq!(blocks.iter().map(|(file, _)| *file).collect::<Vec<_>>(), FILES);
    for (file, text) in blocks {
        let example = fs::read_to_string(root().join("examples/adder").join(file))?;
        assert_eq!(
            text,
            example.replace(ABOVE, BESIDE),
            "docs/add-a-device.md shows another {file} than examples/adder"
        );
    }
    Ok(())
}

#[test]
fn the_crate_in_the_page_builds_as_it_stands_and_its_commands_pass() -> Result<()> {
    let _only_one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let Section { commands, .. } = section()?;
    let folder = extract()?;
    let starts: Vec<_> = commands.iter().filter_map(|line| line.split(" --").next()).collect();
    assert_eq!(starts, ["cargo test", "cargo run", "cargo run", "cargo run", "cargo run"]);
    let mut printed = String::new();
    // The last one needs KVM.
    for line in &commands[..4] {
        printed += &passes(line, &folder)?.stdout;
    }
    let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "test words_are_added_and_a_message_says_so ... ok",
        "| 0x0c | 31:0 | STATUS | RO | 0x0 | |",
        "BAR0+0x008 CONTROL W4 0x1 START",
        "DMA 8 bytes from 0x1000, STATUS STATE=BUSY -> STATE=IDLE",
        "MSI vector 0x31 -> vCPU 0",
        "BAR0+0x020 RESULT R4 0x3",
        "1 passed",
    ] {
        assert!(printed.contains(line), "{line:?} is not printed:\n{printed}");
    }
    Ok(())
}

#[test]
fn the_example_builds_where_it_is() -> Result<()> {
    let _only_one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    // By the same path as the page's crate has, so that Cargo compiles what they depend on once.
    let folder = extract()?.with_file_name("barscope").join("examples/adder");
    lock_versions(&folder)?;
    let listed = passes("cargo run -- devices", &folder)?;
    assert!(
        listed.stdout.starts_with("## adder\n\n1234:1ab3, class ff0000: adds up words"),
        "{}",
        listed.stdout
    );
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_kernel_finds_the_device_in_the_page() -> Result<()> {
    let _only_one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let Section { commands, .. } = section()?;
    let folder = extract()?;
    let ended = passes(commands.last().context("there are commands")?, &folder)?;
    for line in ["00:04.0  1234:1ab3 adder", "BAR0+0x000 ID         R4 0x31444441", "PASS  every-bar"] {
        assert!(ended.stdout.contains(line), "{line:?} is not printed:\n{}", ended.stdout);
    }
    passes("cargo test -- --include-ignored", &folder)?;
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn a_device_of_ones_own_travels_into_an_emulated_processor_with_its_command() -> Result<()> {
    let _only_one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    passes("cargo build", &extract()?)?;
    // Only its name goes there.
    let entry = Entry::new("adder", "", |_| HostBridge);
    let run = Bench::test_kernel().entry(entry, &[])?.command(target()?.join("debug/adder")).run_nested()?;
    ensure!(run.ended.code == Some(0), "{}", run.ended.stderr);
    let name = run.trace.definitions().functions().last().map(|(_, function)| function.name.clone());
    assert_eq!(name.as_deref(), Some("adder"));
    Ok(())
}

/// Writes the page's crate into a folder beside this repository, which is a link there.
fn extract() -> Result<PathBuf> {
    let beside = target()?.join("outside");
    let folder = beside.join("adder");
    fs::create_dir_all(&beside)?;
    if !beside.join("barscope").exists() {
        symlink(root().canonicalize()?, beside.join("barscope"))?;
    }
    for (file, text) in section()?.blocks {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        // What is as it was isn't built anew.
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            fs::write(path, text)?;
        }
    }
    lock_versions(&folder)?;
    Ok(folder)
}

/// Has a crate use the versions that the workspace uses, which are there already.
fn lock_versions(folder: &Path) -> Result<()> {
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

/// Cargo's folder, which holds what the workspace's crates need, compiled.
fn target() -> Result<PathBuf> {
    Ok(command::binary()?.ancestors().nth(2).context("the command is in target/debug")?.to_owned())
}

/// Runs a line of the page, which has to pass.
fn passes(line: &str, folder: &Path) -> Result<Ended> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).current_dir(folder).env("CARGO_TARGET_DIR", target()?);
    // As the workspace has it: dependencies are shared, and no registry is asked.
    shell.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_NET_OFFLINE", "true");
    let ended = Ended::from(shell.output()?);
    ensure!(ended.code == Some(0), "{line}\n{}{}", ended.stdout, ended.stderr);
    Ok(ended)
}
