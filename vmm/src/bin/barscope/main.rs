//! `barscope`: boots a guest, traces its accesses to PCI devices and prints them.

mod args;
mod devices;
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
    let result = match args.command() {
        args::Command::Run(args) => run::run(&args),
        args::Command::Devices(args) => devices::devices(&args),
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
