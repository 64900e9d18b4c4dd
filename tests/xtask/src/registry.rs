//! What tests take from package registries of other languages: it is in a folder of its own, below Cargo's target folder.
//! Any user can provide it; nothing is installed elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo;
use crate::needs::Thing;

/// Packages that are of use together.
pub struct Packages {
    /// What a test that needs them says.
    pub thing: Thing,
    /// The folder's name.
    name: &'static str,
    /// What they are, for who reads what set-up does.
    what: &'static str,
    registry: Registry,
    /// With their versions: a test is not to break because of a new one.
    packages: &'static [&'static str],
}

enum Registry {
    /// Packages of Python: the folder is a virtual environment.
    PyPi,
    /// Packages of Node.js.
    Npm,
}

/// All that there are.
pub const ALL: [Packages; 3] = [
    Packages {
        thing: Thing::Perfetto,
        name: "perfetto",
        what: "the definitions of its trace format that Perfetto publishes",
        registry: Registry::PyPi,
        packages: &["perfetto==0.59.1", "protobuf==7.36.2"],
    },
    Packages {
        thing: Thing::Schemas,
        name: "check-jsonschema",
        what: "schemas of the files that GitHub and GitLab read, and what checks files by them",
        registry: Registry::PyPi,
        packages: &["check-jsonschema==0.39.0"],
    },
    Packages {
        thing: Thing::TypeScript,
        name: "typescript",
        what: "TypeScript's compiler, which checks types of the report's script",
        registry: Registry::Npm,
        packages: &["typescript@5.9.3"],
    },
];

/// Why one of them isn't here, if one isn't.
pub fn missing() -> Option<String> {
    ALL.iter().find_map(Packages::missing)
}

/// Downloads those that aren't here.
///
/// # Errors
/// The first that doesn't work, and what to do instead; the others are provided all the same.
pub fn provide() -> Result<(), String> {
    ALL.iter().map(Packages::provide).fold(Ok(()), Result::and)
}

impl Packages {
    /// Why they aren't here, if they aren't.
    pub fn missing(&self) -> Option<String> {
        match self.folder() {
            // Written last.
            Ok(folder)
                if fs::read_to_string(folder.join(COMPLETE)).is_ok_and(|have| have == self.wanted()) =>
            {
                None
            }
            Ok(folder) => Some(format!("{}; `cargo xtask setup` provides it", folder.display())),
            Err(error) => Some(error),
        }
    }

    /// Downloads them, unless they are here.
    ///
    /// # Errors
    /// What doesn't work, and what to do instead.
    pub fn provide(&self) -> Result<(), String> {
        if self.missing().is_none() {
            return Ok(());
        }
        let folder = self.folder()?;
        let from = match self.registry {
            Registry::PyPi => "PyPI",
            Registry::Npm => "npm",
        };
        eprintln!("== set-up: {}, from {from} ({})", self.what, folder.display());
        self.install(&folder).map_err(|error| {
            let (folder, wanted) = (folder.display(), self.wanted());
            let by_hand = match self.registry {
                Registry::PyPi => format!("a virtual environment of Python (on Debian from python3-venv) with {wanted}"),
                Registry::Npm => format!("what `npm install --prefix {folder} {wanted}` makes"),
            };
            format!("{error}\n  needed is {by_hand} as {folder}, and a file {folder}/{COMPLETE} that says `{wanted}`")
        })
    }

    fn install(&self, folder: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(failed)?;
        }
        match self.registry {
            Registry::PyPi => {
                cargo::succeed(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
                let mut pip = Command::new(folder.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                cargo::succeed(pip.args(self.packages))?;
            }
            Registry::Npm => {
                fs::create_dir_all(folder).map_err(failed)?;
                let mut npm = Command::new("npm");
                npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
                cargo::succeed(npm.args(self.packages))?;
            }
        }
        fs::write(folder.join(COMPLETE), self.wanted()).map_err(failed)
    }

    fn folder(&self) -> Result<PathBuf, String> {
        Ok(cargo::target()?.join(self.name))
    }

    /// The packages in a line.
    fn wanted(&self) -> String {
        self.packages.join(" ")
    }
}

/// The file that says what a folder holds, once it does.
const COMPLETE: &str = "complete";
