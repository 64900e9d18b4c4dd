//! The command `barscope`, with the adder for its device.

fn main() -> std::process::ExitCode {
    barscope::Command::new().device(adder::entry()).main()
}
