//! `cargo xtask`: everything that CI runs, the same for a person, and what it needs. Depends on nothing, so
//! that it works when the rest doesn't build.

mod apt;
mod cargo;
mod compiler;
mod dumps;
mod flap;
mod harness;
mod headers;
mod needs;
mod newer;
mod packages;
mod plan;
mod pool;
mod registry;
mod sample;
mod screenshots;
mod setup;
mod test;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [--long] [--no-setup]
       cargo xtask flap
       cargo xtask setup [--unpack]
       cargo xtask sample
       cargo xtask screenshots [--look]

test   formats (check only), lints, documents, packages, tests. Each test runs where what it says that it needs is: on
       this machine, on the kvm-amd of a virtual machine too, or nowhere, which is told. What needs QEMU and Debian's
       kernel runs after `setup` where they are missing.
       --long also takes the minutes that some tests need: what repeats, and what is measured.
       --no-setup leaves the machine alone. With CI=true, a test that can't run is a failure, but for want of --long.
flap   holds goldens against 100 runs on the test kernel and 20 on a nested Linux: what differs from run to run though the
       driver does the same is a fault of the comparison. Takes half an hour.
setup  provides Debian's packages that `barscope run --nested` and building kernel modules need: installs
       them as root, or unpacks them into Cargo's target folder as any other user. Dumps of real configuration
       spaces, out of the sources of pciutils, and the kernels of Debian 13 and of its backports go into Cargo's
       target folder in any case.
       --unpack does so as root too.
sample makes the trace that is checked in, tests/data/sample.trace.gz, anew. Needs /dev/kvm and gzip.
screenshots
       makes the pictures of reports in docs/pictures anew: of the test kernel's run and of a nested Linux's. Needs /dev/kvm and
       what `setup` provides.
       --look takes each section at three widths, light and dark, instead, into Cargo's target folder: to look at after a change
       of the page.";

const TEST_OPTIONS: [&str; 2] = ["--long", "--no-setup"];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let passed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test", ref options @ ..] if options.iter().all(|option| TEST_OPTIONS.contains(option)) => {
            let has = |option| options.contains(&option);
            test::run(test::Options { long: has("--long"), may_set_up: !has("--no-setup") })
        }
        ["flap"] => flap::run(),
        ["setup"] => setup::run(false),
        ["setup", "--unpack"] => setup::run(true),
        ["sample"] => sample::run(),
        ["screenshots"] => screenshots::run(false),
        ["screenshots", "--look"] => screenshots::run(true),
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
