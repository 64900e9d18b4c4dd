//! `barscope`: boots a guest, traces its accesses to PCI devices and prints them.

mod args;
mod ending;
mod run;
mod signals;

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
    let args::Command::Run(run) = args.command();
    match run::run(&run) {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("error: {}", ending::with_sources(&failure));
            failure.code().into()
        }
    }
}
