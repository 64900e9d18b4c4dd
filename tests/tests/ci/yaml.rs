//! Files in YAML, read and held against their schemas by what set-up takes from PyPI.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Prints a file as JSON.
const TO_JSON: &str = "import json, sys\nfrom ruamel.yaml import YAML\n\
                       json.dump(YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)";

/// A program of that environment.
fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("."));
    target.join("check-jsonschema/bin").join(name)
}

/// What a file says.
pub fn read(path: &Path) -> Result<Value> {
    let output =
        Command::new(program("python")).args(["-c", TO_JSON]).arg(path).stderr(Stdio::inherit()).output();
    let output = output.context("cargo xtask setup")?;
    ensure!(output.status.success(), "{} is no YAML", path.display());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What is wrong with a file by one of the schemas that the package has; `None` if nothing is.
pub fn wrong(schema: &str, path: &Path) -> Result<Option<String>> {
    let mut check = Command::new(program("check-jsonschema"));
    let output = check.args(["--builtin-schema", &format!("vendor.{schema}")]).arg(path).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((!output.status.success()).then_some(said))
}
