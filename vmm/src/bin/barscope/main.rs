//! `barscope`: boots a guest, traces its accesses to PCI devices and prints them.

mod args;
mod devices;
mod ending;
mod linux;
mod nested;
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
        args::Command::Run(args) if args.nested => nested::run(&args).map(ExitCode::from),
        args::Command::Run(args) => run::run(&args).map(ExitCode::from),
        args::Command::Devices(args) => devices::devices(&args).map(ExitCode::from),
        args::Command::Nested(args) => nested::program(&args).map(ExitCode::from),
        args::Command::NestedInit => {
            nested::init::run();
            Ok(ending::Code::Usage.into())
        }
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            if failure.code() != ending::Code::Passed {
                eprintln!("error: {}", ending::with_sources(&failure));
            }
            failure.code().into()
        }
    }
}
