//! Modules and programs that the command line names.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// A kernel module and its parameters: `FILE[ PARAMETERS]`.
#[derive(Clone)]
pub struct ModuleChoice {
    /// The module.
    pub file: PathBuf,
    /// As `insmod` takes them.
    pub parameters: String,
}

/// A program and its arguments: `FILE[ ARGUMENTS]`.
#[derive(Clone)]
pub struct ProgramChoice {
    /// The program.
    pub file: PathBuf,
    /// Separated by spaces.
    pub arguments: String,
}

impl FromStr for ModuleChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (file, parameters) = split(text);
        Ok(Self { file, parameters })
    }
}

impl FromStr for ProgramChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (file, arguments) = split(text);
        Ok(Self { file, arguments })
    }
}

fn split(text: &str) -> (PathBuf, String) {
    let (file, rest) = text.split_once(' ').unwrap_or((text, ""));
    (file.into(), rest.trim().to_owned())
}
