//! Is a new kind of event as small a change as `docs/adding-an-event.md` says?

use std::process::Command;

use anyhow::{Context, Result, ensure};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PATCH: &str = "docs/adding-an-event.patch";

/// Files that only say things in words, and what is written from the table.
const TEXT: [&str; 4] = [
    "docs/trace-events.schema.json",
    "docs/trace-format.md",
    "vmm/analysis/src/explain/text.rs",
    "vmm/analysis/src/words.rs",
];

#[test]
fn the_example_applies_to_the_code_as_it_is() -> Result<()> {
    let checked = Command::new("git").current_dir(ROOT).args(["apply", "--check", PATCH]).output();
    let checked = checked.context("git has to be there: it checks the patch")?;
    ensure!(checked.status.success(), "{PATCH}: {}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}

#[test]
fn the_example_touches_three_source_files_and_text_and_the_page_names_them_all() -> Result<()> {
    let read = |file: &str| std::fs::read_to_string(format!("{ROOT}/{file}")).context(file.to_owned());
    let (patch, page) = (read(PATCH)?, read("docs/adding-an-event.md")?);
    let touched: Vec<_> = patch.lines().filter_map(|line| line.strip_prefix("+++ b/")).collect();
    let (text, source): (Vec<_>, Vec<_>) = touched.iter().copied().partition(|file| TEXT.contains(file));
    assert_eq!(
        source,
        ["vmm/analysis/src/sample/each.rs", "vmm/machine/src/vcpu/mod.rs", "vmm/trace/src/event/table.rs"]
    );
    assert_eq!(text, TEXT);
    for file in touched {
        ensure!(page.contains(&format!("| `{file}` |")), "the page says nothing of {file}");
    }
    Ok(())
}
