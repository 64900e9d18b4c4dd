//! Does what the README shows hold?

mod counter;

use counter::{Counter, OPTIONS};
use device_model::{Fixture, Options, Region, catalog};

const README: &str = include_str!("../../../README.md");

#[test]
fn the_device_in_the_readme_works() {
    let mut fixture = Fixture::new(Counter::new(&Options::defaults(OPTIONS)));
    fixture.enable_memory();
    fixture.write32(Region::Bar(0), 0, 7);
    fixture.write32(Region::Bar(0), 0, 7);
    assert_eq!(fixture.read32(Region::Bar(0), 0), 2);
}

#[test]
fn the_device_in_the_readme_is_the_one_that_works() {
    let source = include_str!("counter.rs");
    let (_imports, device) = source.split_once("use serde_json::Value;\n\n").expect("imports come first");
    assert!(README.contains(device), "README.md shows another device than tests/tests/readme/counter.rs");
}

#[test]
fn the_readme_names_every_device_and_option() {
    for entry in catalog::DEVICES {
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
