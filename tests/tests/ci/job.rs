//! Steps as a runner of GitHub's takes them, with bash, and stand-ins for what it would install and for what needs a network.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use barscope_bench::command::{Ended, Session, binary};
use serde_json::Value;

/// Programs that take no part: what they were told, and what they were given by sudo, stands in `told`.
const STAND_INS: [(&str, &str); 3] = [
    ("sudo", "echo \"sudo $*\" >>\"$TOLD\"; if [ \"$1\" = tee ]; then cat >>\"$TOLD\"; fi"),
    ("apt-get", "echo \"apt-get $*\" >>\"$TOLD\""),
    ("git", "echo \"git $*\" >>\"$TOLD\"; for last; do :; done; mkdir -p \"$last\""),
];

/// A job on its way.
pub struct Job {
    /// Its folder: `work` is checked out, the others are the runner's.
    pub session: Session,
    /// What expressions stand for.
    values: BTreeMap<String, String>,
    /// Whether a step failed.
    pub has_failed: bool,
    /// What all steps printed.
    pub printed: String,
    /// Actions that were used, with what they were told.
    pub used: Vec<(String, Value)>,
}

impl Job {
    /// A job of which nothing was done.
    pub fn new() -> Result<Self> {
        let session = Session::new()?;
        for folder in ["work", "bin", "temp"] {
            fs::create_dir(session.path(folder))?;
        }
        let job = Self {
            session,
            values: BTreeMap::new(),
            has_failed: false,
            printed: String::new(),
            used: Vec::new(),
        };
        let build = format!(
            "echo \"cargo $*\" >>\"$TOLD\"; for root; do :; done; mkdir -p \"$root/bin\"; ln -s {} \"$root/bin/barscope\"",
            binary()?.display()
        );
        for (name, script) in STAND_INS.into_iter().chain([("cargo", build.as_str())]) {
            let path =
                job.session.file(&format!("bin/{name}"), format!("#!/bin/bash\n{script}\n").as_bytes())?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        for file in ["output", "path", "summary", "told"] {
            job.session.file(file, b"")?;
        }
        Ok(job)
    }

    /// Has an expression stand for something.
    pub fn set(&mut self, expression: &str, value: &str) {
        self.values.insert(expression.to_owned(), value.to_owned());
    }

    /// What a file of the job's says.
    pub fn text(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.session.path(name)).context(name.to_owned())
    }

    /// Takes a step, if it is to be taken.
    pub fn take(&mut self, step: &Value) -> Result<()> {
        if !self.is_to_be_taken(step["if"].as_str().unwrap_or_default())? {
            return Ok(());
        }
        if let Some(action) = step["uses"].as_str() {
            let with = step["with"].as_object().cloned().unwrap_or_default();
            let with = with
                .into_iter()
                .map(|(key, value)| Ok((key, self.evaluated(value.as_str().unwrap_or_default())?.into())));
            let with = with.collect::<Result<serde_json::Map<_, _>>>()?;
            self.used.push((action.to_owned(), with.into()));
            return Ok(());
        }
        let script = step["run"].as_str().context("a step without run")?;
        let folder = match step["working-directory"].as_str() {
            Some(folder) => self.session.path("work").join(self.evaluated(folder)?),
            None => self.session.path("work"),
        };
        let mut command = self.bash(script, folder)?;
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, self.evaluated(value.as_str().unwrap_or_default())?);
        }
        let ended = Ended::from(command.output()?);
        self.printed += &format!("{}{}", ended.stdout, ended.stderr);
        self.has_failed |= ended.code != Some(0);
        let id = step["id"].as_str().unwrap_or_default();
        for line in std::mem::take(&mut self.text("output")?).lines() {
            let (name, value) = line.split_once('=').context("an output without a value")?;
            self.set(&format!("steps.{id}.outputs.{name}"), value);
        }
        self.session.file("output", b"")?;
        Ok(())
    }

    /// A script as the runner starts it (`shell: bash`).
    pub fn bash(&self, script: &str, folder: PathBuf) -> Result<Command> {
        let added: Vec<_> = self.text("path")?.lines().rev().map(PathBuf::from).collect();
        let found = std::env::var_os("PATH").unwrap_or_default();
        let path = added.into_iter().chain([self.session.path("bin")]).chain(std::env::split_paths(&found));
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(folder);
        command.env("PATH", std::env::join_paths(path)?).env("TOLD", self.session.path("told"));
        for (name, file) in [
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_PATH", "path"),
            ("GITHUB_STEP_SUMMARY", "summary"),
            ("GITHUB_WORKSPACE", "work"),
        ] {
            command.env(name, self.session.path(file));
        }
        Ok(command)
    }

    /// A text with its expressions evaluated.
    fn evaluated(&self, text: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").context("an expression without an end")?;
            out += before;
            out += self.value(expression.trim())?;
            rest = after;
        }
        Ok(out + rest)
    }

    fn value(&self, expression: &str) -> Result<&str> {
        Ok(self.values.get(expression).with_context(|| format!("nothing is known of {expression}"))?)
    }

    /// Conditions that all have to hold. Where none says `always()`, no step before may have failed.
    fn is_to_be_taken(&self, condition: &str) -> Result<bool> {
        let terms = || condition.split("&&").map(str::trim).filter(|term| !term.is_empty());
        let mut is_taken = !self.has_failed || terms().any(|term| term == "always()");
        for term in terms().filter(|term| *term != "always()") {
            let (name, value, equal) = match (term.split_once(" == "), term.split_once(" != ")) {
                (Some((name, value)), _) => (name, value, true),
                (_, Some((name, value))) => (name, value, false),
                _ => bail!("{term:?} is no condition that is known here"),
            };
            is_taken &= (self.value(name)? == value.trim_matches('\'')) == equal;
        }
        Ok(is_taken)
    }
}
