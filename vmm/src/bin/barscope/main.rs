//! `barscope`: boots a guest, traces its accesses to PCI devices, and tells what is in a trace.

mod args;
mod check;
mod devices;
mod ending;
mod expectations;
mod explain;
mod maps;
mod output;
mod run;
mod show;
mod signals;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Warn)
        .parse_env("BARSCOPE_LOG")
        .format_timestamp(None)
        .format_target(false)
        .init();
    let result = match args.command() {
        args::Command::Run(args) => run::run(&args),
        args::Command::Show(args) => show::show(&args),
        args::Command::Check(args) => check::check(&args),
        args::Command::Language => language(),
        args::Command::Devices(args) => devices::devices(&args),
        args::Command::Explain(args) => explain::explain(&args),
        args::Command::Maps(args) => maps::maps(&args),
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            if failure.code() != ending::Code::Passed {
                eprintln!("error: {}", ending::with_sources(&failure));
            }
            failure.code().into()
        }
    }
}

/// Prints the language's reference.
fn language() -> Result<ending::Code, ending::Failure> {
    std::io::stdout().write_all(trace::expectation::reference().as_bytes())?;
    Ok(ending::Code::Passed)
}
