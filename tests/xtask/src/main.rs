//! `cargo xtask`: everything that CI runs, the same for a person, and what it needs. Depends on nothing, so
//! that it works when the rest doesn't build.

mod apt;
mod cargo;
mod headers;
mod sample;
mod setup;
mod test;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [--no-setup]
       cargo xtask setup [--unpack]
       cargo xtask sample

test   formats (check only), lints, tests, documents. What needs /dev/kvm runs too, and what needs QEMU and
       Debian's kernel, after `setup` where they are missing.
       --no-setup leaves the machine alone, and says what could not run. With CI=true that is a failure.
setup  provides Debian's packages that `barscope run --nested` and building kernel modules need: installs
       them as root, or unpacks them into Cargo's target folder as any other user.
       --unpack does so as root too.
sample makes the trace that is checked in, tests/data/sample.trace.gz, anew. Needs /dev/kvm and gzip.";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let passed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test::run(true),
        ["test", "--no-setup"] => test::run(false),
        ["setup"] => setup::run(false),
        ["setup", "--unpack"] => setup::run(true),
        ["sample"] => sample::run(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match passed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error}");
            ExitCode::FAILURE
        }
    }
}
