//! Does what the README shows hold?

mod own_device;
mod own_driver;

use anyhow::Result;
use barscope_bench::command::Session;
use barscope_devices::catalog;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_tests_in_the_readme_are_those_that_compile() {
    let _: [fn() -> Result<()>; 2] = [own_driver::expectations, own_driver::linux];
    let source = include_str!("own_driver.rs");
    let bodies: Vec<_> = source.split("-> Result<()> {\n").skip(1).collect();
    assert_eq!(bodies.len(), 2);
    for body in bodies {
        let (body, _) = body.split_once("    Ok(())").expect("the function ends well");
        let shown: String =
            body.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
        assert!(README.contains(&shown), "README.md doesn't show tests/tests/readme/own_driver.rs:\n{shown}");
    }
}

#[test]
fn the_readme_names_every_device_and_option() {
    for entry in catalog::entries() {
        let row = format!("| `{}` | {} |", entry.name, entry.summary);
        assert!(README.contains(&row), "README.md lacks {row}");
        for option in entry.options {
            let row = format!(
                "| `{}` | {} | `{}` | {} |",
                option.name,
                option.values.join(", "),
                option.default,
                option.doc
            );
            assert!(README.contains(&row), "README.md lacks {row}");
        }
    }
}

#[test]
fn the_readme_names_every_register() {
    for entry in catalog::entries() {
        for map in entry.with_defaults().iter().flat_map(|device| device.register_maps()) {
            let registers = map.registers.iter().map(|it| format!("{} {:#x}", it.name, it.offset));
            let row =
                format!("| `{}` {} | {} |", entry.name, map.region, registers.collect::<Vec<_>>().join(", "));
            assert!(README.contains(&row), "README.md lacks {row}");
        }
    }
}

/// A line of output without what changes with every line of code: the record's number and time, and the
/// source line.
fn lasting(line: &str) -> String {
    let columns = line.split_whitespace();
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = columns.clone().take_while(is_number).count();
    let without_line = |word: &str| word.split_once(".rs:").map_or(word, |(file, _)| file).to_owned();
    columns.skip(numbers).map(without_line).collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_output_in_the_readme_is_what_is_printed() -> Result<()> {
    let shown = README.split("```\n").nth(1).expect("it begins with some output");
    let session = Session::new()?;
    let ended = session.barscope(&["--scenario", "same-register"])?.env("COLUMNS", "80").output()?;
    let printed = String::from_utf8(ended.stdout)?;
    let mut lines = printed.lines().map(lasting);
    for line in shown.lines().map(lasting) {
        assert!(lines.any(|found| found == line), "{line:?} is not printed, or not here:\n{printed}");
    }
    Ok(())
}
