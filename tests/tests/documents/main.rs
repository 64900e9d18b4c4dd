//! Does what the documents show hold?
//!
//! Commands stand in blocks of ```` ```console ````, each behind `$ `, and what stands below one is what it prints: exactly, or
//! but for numbers where the block says `varies`. A line `...` stands for any lines.

mod compare;
mod markdown;
mod own_device;
mod own_driver;
mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use barscope_bench::workspace::root;
use barscope_devices::catalog;

use markdown::Document;

/// Documents that aren't pages of the book.
const OUTSIDE: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// The first words of blocks in ```` ```sh ````, which no test runs as they stand, and why not.
const NOT_RUN: [(&str, &str); 11] = [
    ("cargo run --release  ", "it is the release build of what every test here runs, and what runs this"),
    ("cargo test\n", "of a crate beside this repository: own_device.rs runs it there"),
    ("BARSCOPE_CASES=", "takes minutes; the same test with fewer cases is one of the crate's"),
    ("barscope=$PWD", "of the reader's own crate; the tests for /dev/kvm all run so on kvm-amd"),
    ("cargo test -p barscope-trace", "parts of all tests, and what takes minutes"),
    ("cargo install --locked", "takes minutes; tests/tests/installed.rs does both"),
    ("git clone", "of a place that nobody has named yet; what comes then is in tests/tests/installed.rs"),
    (
        "barscope kernel ",
        "of kernels that not every machine has; tests/tests/linux_kernels.rs and kernel_tree.rs",
    ),
    ("barscope run --kernel kernel.elf", "of the reader's own kernel; tests/tests/multiboot has some"),
    ("mount -t debugfs", "of a machine with hardware; tests/strangers/mmiotrace is its like"),
    ("barscope bench", "takes minutes; tests/tests/bench.rs runs it in short"),
];

/// Languages of blocks that hold no commands.
const LANGUAGES: [&str; 9] = ["rust", "toml", "json", "text", "yaml", "c", "diff", "expect", "golden"];

/// All documents, as paths below the repository.
fn documents() -> Result<Vec<String>> {
    let pages = fs::read_dir(root().join("docs"))?;
    let pages = pages.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let pages = pages.collect::<Result<Vec<_>>>()?;
    let mut all: Vec<_> = OUTSIDE.map(str::to_owned).into();
    all.extend(pages.into_iter().filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")));
    all.sort();
    Ok(all)
}

fn read(document: &str) -> Result<Document> {
    let text = fs::read_to_string(root().join(document)).with_context(|| document.to_owned())?;
    Ok(Document::read(&text))
}

#[test]
fn every_block_of_commands_is_run_or_is_named_here() -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents()? {
        for block in read(&document)?.blocks {
            let first = block.text.lines().next().unwrap_or_default();
            let place = format!("{document}:{}: {first}", block.line);
            match block.info.as_deref() {
                Some("console" | "console varies") if !session::steps(&block).is_empty() => {}
                Some("sh") if NOT_RUN.iter().any(|(start, _)| block.text.starts_with(start)) => {}
                Some("sh") => wrong.push(format!("{place}\n  is run by nobody")),
                // What may need what: no command.
                Some("arrows") => {}
                Some(language) if LANGUAGES.contains(&language) => {
                    if ["$ ", "barscope ", "cargo "].iter().any(|start| block.text.starts_with(start)) {
                        wrong.push(format!("{place}\n  is a command, but not in a block of console"));
                    }
                }
                Some(other) => wrong.push(format!("{place}\n  is in {other:?}, which nobody knows")),
                None => wrong.push(format!("{place}\n  is indented: what it is, a fence says")),
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents()? {
        let folder = Path::new(&document).parent().unwrap_or(Path::new(""));
        for (link, line) in read(&document)?.links {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { PathBuf::from(&document) } else { folder.join(file) };
            let there = root().join(&target);
            let known = anchor.is_empty()
                || read(&target.to_string_lossy())
                    .is_ok_and(|target| target.anchors.iter().any(|it| it == anchor));
            if !there.exists() || !known {
                wrong.push(format!("{document}:{line}: {link} leads nowhere"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// `docs` is a book as mdBook has it: what its summary doesn't name, it doesn't show.
#[test]
fn the_book_has_every_page_once() -> Result<()> {
    let named: Vec<_> =
        read("docs/SUMMARY.md")?.links.into_iter().map(|(link, _)| format!("docs/{link}")).collect();
    let once: BTreeSet<_> = named.iter().cloned().collect();
    assert_eq!(named.len(), once.len(), "a page is named twice: {named:?}");
    let outside = |document: &String| OUTSIDE.contains(&document.as_str()) || document == "docs/SUMMARY.md";
    let pages: BTreeSet<_> = documents()?.into_iter().filter(|document| !outside(document)).collect();
    assert_eq!(once, pages);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm, QEMU, Debian's kernel and its headers"]
fn the_readme_shows_what_its_commands_print() -> Result<()> {
    session::run("README.md")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn expectations_shows_what_its_commands_print() -> Result<()> {
    session::run("docs/expectations.md")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn lints_shows_what_its_commands_print() -> Result<()> {
    session::run("docs/lints.md")
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn guests_shows_what_its_commands_print() -> Result<()> {
    session::run("docs/guests.md")
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn the_tutorial_shows_what_its_commands_print() -> Result<()> {
    session::run("docs/tutorial.md")
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn traces_shows_what_its_commands_print() -> Result<()> {
    session::run("docs/traces.md")
}

#[test]
fn devices_show_what_their_commands_print() -> Result<()> {
    session::run("docs/devices.md")?;
    session::run("docs/register-maps.md")
}

#[test]
fn the_tests_that_are_shown_are_those_that_compile() -> Result<()> {
    let _: [fn() -> Result<()>; 2] = [own_driver::expectations, own_driver::linux];
    let shown = fs::read_to_string(root().join("docs/expectations.md"))?;
    let source = include_str!("own_driver.rs");
    let bodies: Vec<_> = source.split("-> Result<()> {\n").skip(1).collect();
    assert_eq!(bodies.len(), 2);
    for body in bodies {
        let (body, _) = body.split_once("    Ok(())").expect("the function ends well");
        let body: String =
            body.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
        assert!(shown.contains(&body), "docs/expectations.md doesn't show documents/own_driver.rs:\n{body}");
    }
    Ok(())
}

#[test]
fn every_device_option_and_register_is_named() -> Result<()> {
    let shown = fs::read_to_string(root().join("docs/devices.md"))?;
    let mut rows = Vec::new();
    for entry in catalog::entries() {
        rows.push(format!("| `{}` | {} |", entry.name, entry.summary));
        for option in &entry.options {
            let values = option.values.join(", ");
            rows.push(format!("| `{}` | {values} | `{}` | {} |", option.name, option.default, option.doc));
        }
        for map in entry.with_defaults().iter().flat_map(|device| device.register_maps()) {
            let registers = map.registers.iter().map(|it| format!("{} {:#x}", it.name, it.offset));
            let registers = registers.collect::<Vec<_>>().join(", ");
            rows.push(format!("| `{}` {} | {registers} |", entry.name, map.region));
        }
    }
    for row in rows {
        assert!(shown.contains(&row), "docs/devices.md lacks {row}");
    }
    Ok(())
}
