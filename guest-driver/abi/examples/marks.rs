//! A program that says what it does: run it in a Linux guest of barscope, by `--program`.

use std::process::ExitCode;

use barscope_guest_abi::port::Bench;

fn main() -> ExitCode {
    let Some(bench) = Bench::open() else {
        eprintln!("not on barscope");
        return ExitCode::FAILURE;
    };
    bench.begin("from-rust");
    let devices = std::fs::read_dir("/sys/bus/pci/devices").map_or(0, Iterator::count);
    bench.mark("devices counted");
    bench.end(devices > 0, "there are devices");
    ExitCode::SUCCESS
}
