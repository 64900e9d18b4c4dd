//! `barscope completions` and `barscope man`: what shells and `man` want to know, from the command line's own
//! description.

use std::fs;
use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Args, Completions, Man};
use crate::ending::{Code, Failure};

/// Prints a shell's completions.
///
/// # Errors
/// [`Failure::Print`] if standard output can't be written.
pub fn completions(args: &Completions) -> Result<Code, Failure> {
    let mut command = <Args as CommandFactory>::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(Code::Passed)
}

/// Prints the manual page of the command, or writes those of all its commands to a folder.
///
/// # Errors
/// [`Failure`] if they can't be written.
pub fn man(args: &Man) -> Result<Code, Failure> {
    let command = <Args as CommandFactory>::command();
    let Some(folder) = &args.folder else {
        clap_mangen::Man::new(command).render(&mut io::stdout())?;
        return Ok(Code::Passed);
    };
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|source| Failure::Report { path: folder.clone(), source })?;
    Ok(Code::Passed)
}
