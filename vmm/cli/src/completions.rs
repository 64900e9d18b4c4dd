//! `barscope completions` and `barscope man`: what shells and `man` want to know, from the command line's own
//! description.

use std::fs;
use std::io::{self, Write};

use crate::args::{Completions, Man};
use crate::ending::{Code, Failure};

/// Prints a shell's completions of this command.
///
/// # Errors
/// [`Failure::Print`] if standard output can't be written.
pub fn completions(args: &Completions, mut command: clap::Command) -> Result<Code, Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(Code::Passed)
}

/// Prints the manual page of this command, or writes those of all its commands to a folder.
///
/// # Errors
/// [`Failure`] if they can't be written.
pub fn man(args: &Man, command: clap::Command) -> Result<Code, Failure> {
    let Some(folder) = &args.folder else {
        clap_mangen::Man::new(command).render(&mut io::stdout())?;
        return Ok(Code::Passed);
    };
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|source| Failure::Report { path: folder.clone(), source })?;
    Ok(Code::Passed)
}
