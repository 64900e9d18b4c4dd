//! The command `barscope` with one more device.

fn main() -> std::process::ExitCode {
    barscope::Command::new().device(adder::entry()).builtin_devices().main()
}
