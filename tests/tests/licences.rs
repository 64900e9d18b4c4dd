//! Every dependency's licence lets us ship it, and our own licences are there.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

/// What a dependency may be had under.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const OURS: &str = "Apache-2.0 OR BSD-3-Clause";
/// The package that holds the sources of Linux's driver, and its licences.
const WITH_DRIVER: (&str, &str) = ("barscope-guests", "(Apache-2.0 OR BSD-3-Clause) AND GPL-2.0-only");

/// A package, as `cargo metadata` has it.
struct Package {
    name: String,
    version: String,
    /// Empty if it names none.
    licence: String,
    /// It is in this repository.
    ours: bool,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The packages of the workspace, and all that they depend on on any platform.
fn packages() -> Result<Vec<Package>> {
    let cargo = env::var_os("CARGO").context("cargo sets CARGO")?;
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let package = |value: &Value| Package {
        name: text(&value["name"]),
        version: text(&value["version"]),
        licence: text(&value["license"]),
        ours: value["source"].is_null(),
    };
    Ok(packages.iter().map(package).collect())
}

/// Whether the licence expression can be satisfied with what is [`ALLOWED`].
fn is_allowed(licence: &str) -> bool {
    let allowed: Vec<_> = ALLOWED.iter().filter_map(|name| Licensee::parse(name).ok()).collect();
    // Lax: some packages still write `MIT/Apache-2.0`.
    Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|required| allowed.iter().any(|one| one.satisfies(required)))
    })
}

#[test]
fn every_dependency_has_a_licence_that_we_allow() -> Result<()> {
    let packages = packages()?;
    ensure!(packages.len() > 10, "{} packages are not all", packages.len());

    let offenders: Vec<_> = packages
        .iter()
        .filter(|package| !package.ours && !is_allowed(&package.licence))
        .map(|Package { name, version, licence, .. }| format!("\n  {name} {version}: {licence:?}"))
        .collect();

    ensure!(offenders.is_empty(), "no allowed licence:{}", offenders.concat());
    Ok(())
}

#[test]
fn our_packages_name_our_licences() -> Result<()> {
    let (mut ours, mut others) = (0, Vec::new());
    for package in packages()?.into_iter().filter(|package| package.ours) {
        ours += 1;
        let expected = if package.name == WITH_DRIVER.0 { WITH_DRIVER.1 } else { OURS };
        if package.licence != expected {
            others.push(format!("\n  {}: {:?}", package.name, package.licence));
        }
    }

    ensure!(ours >= 6, "{ours} packages are not all");
    ensure!(others.is_empty(), "not {OURS}, nor what {WITH_DRIVER:?} says:{}", others.concat());
    Ok(())
}

#[test]
fn our_licences_are_in_the_repository() -> Result<()> {
    for (file, line) in [
        ("LICENSE-APACHE", "Version 2.0, January 2004"),
        ("LICENSE-BSD-3-Clause", "Neither the name of the copyright holder"),
    ] {
        let text = std::fs::read_to_string(root().join(file)).context(file)?;
        ensure!(text.contains(line), "{file} does not say {line:?}");
    }
    Ok(())
}

#[test]
fn expressions_are_evaluated_not_searched() {
    for allowed in [
        "MIT",
        "MIT/Apache-2.0",
        "MIT OR GPL-3.0-only",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-2.0-only",
        "MIT AND GPL-2.0-only",
        "(MIT AND GPL-2.0-only) OR MPL-2.0",
        "LicenseRef-MIT",
        "no licence at all",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}
