//! `barscope run`.
use std::time::Duration;
use crate::args::{Clock, Run};
use crate::ending::{Code, Failure};

pub fn run(args: &Run) -> Result<Code, Failure> {
    let mut config = vmm::Config::test_kernel(&args.trace);
    if let Some(path) = &args.kernel {
        config.kernel = std::fs::read(path).map_err(|source| Failure::Kernel { path: path.clone(), source })?;
    }
    if args.clock == Some(Clock::Host) { config.clock = trace::Clock::Host; }
    config.console = Box::new(std::io::stderr());
    config.command_line = if args.scenarios.is_empty() { String::new() } else { format!("scenario={}", args.scenarios.join(",")) };
    let mut machine = vmm::machine::start(config)?;
    let t = std::time::Instant::now();
    let stop = loop {
        if let Some(stop) = machine.turn(Duration::from_millis(50))? { break stop; }
        if t.elapsed().as_secs() >= args.timeout { break vmm::Stop::Timeout; }
    };
    let places = machine.halt();
    println!("{stop:x?} {places:x?} {:?}", t.elapsed());
    machine.finish(stop.end())?;
    Ok(Code::Passed)
}
