//! What this guest is to do, as the host wrote it into its first file system: a line each.
//!
//! | line | meaning |
//! |---|---|
//! | `module PATH NAME PARAMETERS` | load this module, which the kernel knows by this name |
//! | `program NAME PATH ARGUMENTS` | run this program, which people know by this name, after all modules |
//! | `libraries PATH:..` | where programs find shared libraries, besides where they always do |
//! | `scenario NAME` | play this scenario; without any, all of them |

use std::{fs, io};

const FILE: &str = "/task";

/// What to do.
#[derive(Default)]
pub struct Task {
    /// Modules.
    pub modules: Vec<Module>,
    /// Programs: the name, the path, the arguments.
    pub programs: Vec<Vec<String>>,
    /// Folders of their shared libraries, as the loader takes them.
    pub libraries: String,
    /// Scenarios by name.
    pub scenarios: Vec<String>,
}

/// A module to load.
pub struct Module {
    /// Its file.
    pub path: String,
    /// The kernel's name for it.
    pub name: String,
    /// Its parameters.
    pub parameters: String,
}

impl Task {
    /// Reads it; one without lines where there is no file.
    ///
    /// # Errors
    /// What the system said, or a line that means nothing.
    pub fn read() -> io::Result<Self> {
        let text = match fs::read_to_string(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let mut task = Self::default();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                "module" => {
                    let mut words = rest.splitn(3, ' ').map(str::to_owned);
                    let mut next = || words.next().unwrap_or_default();
                    task.modules.push(Module { path: next(), name: next(), parameters: next() });
                }
                "program" => task.programs.push(rest.split_whitespace().map(str::to_owned).collect()),
                "libraries" => rest.clone_into(&mut task.libraries),
                "scenario" => task.scenarios.push(rest.to_owned()),
                _ => return Err(io::Error::other(format!("{FILE}: {line:?} means nothing"))),
            }
        }
        Ok(task)
    }
}
