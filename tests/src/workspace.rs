//! The packages of this repository, as Cargo sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The packages of the workspace, and all that they depend on.
pub struct Workspace {
    packages: BTreeMap<String, Package>,
    /// What each package links, by package ids.
    resolved: BTreeMap<String, Vec<String>>,
}

struct Package {
    id: String,
    folder: PathBuf,
    is_ours: bool,
    /// Dependencies as its manifest names them, those of tests and build scripts included.
    declared: BTreeSet<String>,
    /// Those that are linked or run for its build.
    direct: BTreeSet<String>,
}

impl Workspace {
    /// Asks Cargo.
    ///
    /// # Errors
    /// If Cargo can't tell.
    pub fn read() -> Result<Self> {
        let output = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut packages = BTreeMap::new();
        for value in list(&metadata["packages"]) {
            let dependencies = list(&value["dependencies"]);
            let named = |kinds: &dyn Fn(&Value) -> bool| {
                let of = dependencies.iter().filter(|dependency| kinds(&dependency["kind"]));
                of.map(|dependency| text(&dependency["name"])).collect()
            };
            let manifest = PathBuf::from(text(&value["manifest_path"]));
            let package = Package {
                id: text(&value["id"]),
                folder: manifest.parent().context("a manifest has a folder")?.to_owned(),
                is_ours: value["source"].is_null(),
                declared: named(&|_| true),
                direct: named(&|kind| kind.as_str() != Some("dev")),
            };
            packages.insert(text(&value["name"]), package);
        }
        let nodes = list(&metadata["resolve"]["nodes"]).into_iter().map(|node| {
            let linked = list(&node["deps"]).into_iter().filter(|dependency| {
                list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
            });
            (text(&node["id"]), linked.map(|dependency| text(&dependency["pkg"])).collect())
        });
        Ok(Self { packages, resolved: nodes.collect() })
    }

    /// The names of our own packages.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().filter(|(_, package)| package.is_ours).map(|(name, _)| name.as_str())
    }

    /// Where a package lies.
    pub fn folder(&self, package: &str) -> Option<&Path> {
        Some(&self.packages.get(package)?.folder)
    }

    /// All dependencies that a package declares, for whatever.
    pub fn declared(&self, package: &str) -> impl Iterator<Item = &str> {
        self.packages.get(package).into_iter().flat_map(|package| &package.declared).map(String::as_str)
    }

    /// Dependencies of a package, but for those of its tests.
    pub fn direct(&self, package: &str) -> impl Iterator<Item = &str> {
        self.packages.get(package).into_iter().flat_map(|package| &package.direct).map(String::as_str)
    }

    /// The names of all packages that are linked into one, itself left out.
    ///
    /// # Errors
    /// If there is no such package.
    pub fn linked(&self, package: &str) -> Result<BTreeSet<String>> {
        let first = self.packages.get(package).with_context(|| format!("no package {package}"))?;
        let mut seen = BTreeSet::new();
        let mut open = vec![&first.id];
        while let Some(id) = open.pop() {
            open.extend(self.resolved.get(id).into_iter().flatten().filter(|id| seen.insert(*id)));
        }
        let names = self.packages.iter().filter(|(_, package)| seen.contains(&package.id));
        Ok(names.map(|(name, _)| name.clone()).collect())
    }
}
