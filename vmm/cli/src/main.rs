//! `barscope`: boots a guest, traces its accesses to PCI devices, and tells what is in a trace.

mod args;
mod bench;
mod check;
mod completions;
mod devices;
mod ending;
mod expectations;
mod explain;
mod files;
mod filters;
mod live;
mod maps;
mod memory;
mod nested;
mod onlooker;
mod output;
mod progress;
mod run;
mod show;
mod signals;
mod stats;

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
        args::Command::Run(args) if args.nested => nested::run(&args).map(ExitCode::from),
        args::Command::Run(args) => run::run(&args).map(ExitCode::from),
        args::Command::Show(args) => show::show(&args).map(ExitCode::from),
        args::Command::Check(args) => check::check(&args).map(ExitCode::from),
        args::Command::Bench(args) => bench::bench(&args).map(ExitCode::from),
        args::Command::Language => language().map(ExitCode::from),
        args::Command::Explain(args) => explain::explain(&args).map(ExitCode::from),
        args::Command::Maps(args) => maps::maps(&args).map(ExitCode::from),
        args::Command::Stats(args) => stats::stats(&args).map(ExitCode::from),
        args::Command::Completions(args) => completions::completions(&args).map(ExitCode::from),
        args::Command::Man(args) => completions::man(&args).map(ExitCode::from),
        args::Command::Devices(args) => devices::devices(&args).map(ExitCode::from),
        args::Command::Nested(args) => nested::program(&args).map(ExitCode::from),
        args::Command::NestedInit => {
            barscope_vmm::nested::init::run();
            Ok(ending::Code::Usage.into())
        }
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            ending::tell(&failure);
            failure.code().into()
        }
    }
}

/// Prints the language's reference.
fn language() -> Result<ending::Code, ending::Failure> {
    std::io::stdout().write_all(barscope_analysis::expectation::reference().as_bytes())?;
    Ok(ending::Code::Passed)
}
