//! What this guest is to do, as the host wrote it into its first file system: records of a kind, how many words follow,
//! and the words, each of them with a NUL at its end.
//!
//! | kind | words | meaning |
//! |---|---|---|
//! | `module` | path, name, parameters | load this module, which the kernel knows by this name |
//! | `program` | name, path, arguments | run this program, which people know by this name, after all modules |
//! | `shell` | name, path, kind, columns, rows | then run this shell on the console, a terminal of that kind and size |
//! | `libraries` | `PATH:..` | where programs find shared libraries, besides where they always do |
//! | `fail-fast` | | run no program after one that failed |
//! | `follow` | | follow programs, to tell of the files that they and what they start map |
//! | `keep` | | nothing yet: what to do comes in archives that are fetched, turn by turn |
//! | `count-entries` | | have the kernel tell entries into it by programs |
//! | `scenario` | name | play this scenario; without any, all of them |

use std::{fs, io};

use barscope_guest_abi::linux::TASK;

/// What to do.
#[derive(Default)]
pub struct Task {
    /// Modules.
    pub modules: Vec<Module>,
    /// Programs.
    pub programs: Vec<Program>,
    /// Folders of their shared libraries, as the loader takes them.
    pub libraries: String,
    /// Programs after one that failed aren't run.
    pub fail_fast: bool,
    /// Whether programs are followed.
    pub follows: bool,
    /// Tasks come turn by turn.
    pub keeps: bool,
    /// Whether entries into the kernel are told.
    pub counts_entries: bool,
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

/// A program to run.
pub struct Program {
    /// What people call it.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The console as its terminal; without one it reads nothing.
    pub terminal: Option<Terminal>,
}

/// What somebody sits at.
pub struct Terminal {
    /// Its kind, as `TERM` has it.
    pub kind: String,
    /// Its rows and columns.
    pub size: [u16; 2],
}

impl Task {
    /// Reads it; one without records where there is no file.
    ///
    /// # Errors
    /// What the system said, or a record that means nothing.
    pub fn read() -> io::Result<Self> {
        let text = match fs::read_to_string(TASK) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("{TASK} means nothing")))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut task = Self::default();
        let mut all = text.split_terminator('\0').map(str::to_owned);
        while let Some(kind) = all.next() {
            let count = all.next()?.parse().ok()?;
            let mut words = all.by_ref().take(count);
            match &*kind {
                "module" => {
                    let (path, name, parameters) = (words.next()?, words.next()?, words.next()?);
                    task.modules.push(Module { path, name, parameters });
                }
                "program" => {
                    let (name, path) = (words.next()?, words.next()?);
                    task.programs.push(Program { name, path, arguments: words.collect(), terminal: None });
                }
                "shell" => {
                    let (name, path, kind) = (words.next()?, words.next()?, words.next()?);
                    let mut number = || words.next()?.parse().ok();
                    let (columns, rows) = (number()?, number()?);
                    let terminal = Some(Terminal { kind, size: [rows, columns] });
                    task.programs.push(Program { name, path, arguments: Vec::new(), terminal });
                }
                "libraries" => task.libraries = words.next()?,
                "fail-fast" => task.fail_fast = true,
                "follow" => task.follows = true,
                "keep" => task.keeps = true,
                "count-entries" => task.counts_entries = true,
                "scenario" => task.scenarios.push(words.next()?),
                _ => return None,
            }
        }
        Some(task)
    }
}
