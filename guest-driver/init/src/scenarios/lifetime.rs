//! Devices and drivers that go while a program's mapping is there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Outcome, ensure, same};
use crate::bench;
use crate::lab::{self, Lab};
use crate::pci::Function;

/// Signal of a touch of a mapping that leads nowhere.
const SIGBUS: i32 = 7;

/// The driver takes mappings back when it goes.
pub fn taken_back() -> Outcome {
    let status = unbind_under_a_mapping()?;
    ensure(status.signal() == Some(SIGBUS), format!("the touch ended otherwise: {status}"))?;
    Ok("the next touch of the mapping ended the program with SIGBUS".to_owned())
}

/// The driver leaves mappings as they are.
pub fn outlives_driver() -> Outcome {
    let status = unbind_under_a_mapping()?;
    ensure(status.success(), format!("the touch failed: {status}"))?;
    Ok("the mapping still reached the device after its driver had gone".to_owned())
}

/// Another process maps BAR 0, the driver goes, and the process touches its mapping again.
fn unbind_under_a_mapping() -> Result<ExitStatus, Box<dyn std::error::Error>> {
    let program = std::env::args().next().unwrap_or_default();
    let mut child: Child =
        Command::new(program).arg("touch").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipes".into());
    };
    let mut line = String::new();
    let mut output = BufReader::new(output);
    output.read_line(&mut line)?;
    ensure(line == "mapped\n", format!("the other process says {line:?}"))?;
    let function = Function::find(lab::VENDOR, lab::DEVICE)?;
    function.unbind()?;
    // An unbound function may be disabled; its decoding is what the mapping needs.
    function.write("enable", "1")?;
    bench::mark("unbound");
    input.write_all(b"\n")?;
    drop(input);
    let status = child.wait()?;
    // Until here it had somebody to talk to.
    drop(output);
    function.write("enable", "0")?;
    Ok(status)
}

/// The other process.
pub fn touch() -> Outcome {
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    same("ID", registers.read(lab::ID), lab::ID_VALUE)?;
    println!("mapped");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    same("ID after the driver went", registers.read(lab::ID), lab::ID_VALUE)?;
    Ok("reached".to_owned())
}

/// The kernel forgets the device and finds it again; the driver is still there and takes it.
pub fn rescan() -> Outcome {
    let function = Function::find(lab::VENDOR, lab::DEVICE)?;
    function.remove_and_rescan()?;
    bench::mark("rescanned");
    let lab = Lab::open()?;
    same("ID by the driver", lab.read(lab::ID)?, lab::ID_VALUE)?;
    let registers = lab.map_registers()?;
    same("ID by the program", registers.read(lab::ID), lab::ID_VALUE)?;
    Ok("removed, found again, and driven as before".to_owned())
}
