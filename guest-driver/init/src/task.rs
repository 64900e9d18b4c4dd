//! What this guest is to do, as the host wrote it into its first file system: a line each.
//!
//! | line | meaning |
//! |---|---|
//! | `module PATH PARAMETERS` | load this module |
//! | `program PATH ARGUMENTS` | run this program, after all modules |
//! | `libraries PATH:..` | where programs find shared libraries, besides where they always do |
//! | `scenario NAME` | play this scenario; without any, all of them |

use std::{fs, io};

const FILE: &str = "/task";

/// What to do.
#[derive(Default)]
pub struct Task {
    /// Modules and their parameters.
    pub modules: Vec<(String, String)>,
    /// Programs and their arguments.
    pub programs: Vec<Vec<String>>,
    /// Folders of their shared libraries, as the loader takes them.
    pub libraries: String,
    /// Scenarios by name.
    pub scenarios: Vec<String>,
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
                    let (path, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
                    task.modules.push((path.to_owned(), parameters.to_owned()));
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
