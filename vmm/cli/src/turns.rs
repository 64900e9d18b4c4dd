//! Turns: runs one after another in the same VM, told by whoever keeps this process.
//!
//! Standard input is a socket. After each run that leaves a VM, its exit code goes there as a byte, and the next order comes
//! as a line. A run that leaves none ends the process, with its exit code.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::{env, iter};

use barscope_vmm::nested::Order;
use clap::FromArgMatches;

use crate::args::{Action, Args, Run};
use crate::ending::{Code, Failure};
use crate::run;

/// Plays a run, and those that are told after it.
///
/// # Errors
/// [`Failure`] if one can't be played or shown.
pub fn play(first: Run, command: &clap::Command) -> Result<Code, Failure> {
    let (mut args, mut vm, mut signals) = (first, None, None);
    loop {
        let (code, left) = run::play(&args, vm, &mut signals)?;
        io::stdout().flush()?;
        if left.is_none() {
            return Ok(code);
        }
        vm = left;
        rustix::io::write(rustix::stdio::stdin(), &[code as u8]).map_err(io::Error::from)?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(code);
        }
        let Order { arguments, environment, folder, .. } =
            serde_json::from_str(&line).map_err(io::Error::from)?;
        env::set_current_dir(folder)?;
        set_environment(environment);
        let words = iter::once(OsString::new()).chain(arguments);
        let matches = command.clone().try_get_matches_from(words);
        let read = matches.and_then(|mut matches| Args::from_arg_matches_mut(&mut matches));
        match read.map(Args::action) {
            Ok(Action::Run(next)) => args = *next,
            Ok(_) => return Ok(Code::Usage),
            Err(error) => error.exit(),
        }
    }
}

/// Makes these the variables of the environment.
fn set_environment(variables: Vec<(OsString, OsString)>) {
    let before: Vec<_> = env::vars_os().map(|(name, _)| name).collect();
    for name in before {
        // SAFETY: between two runs no thread of this process reads the environment: those of a machine have ended, or wait
        // for a writer, and what they call is none that does.
        unsafe { env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
}
