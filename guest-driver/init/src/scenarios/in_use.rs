//! A driver that goes, again and again, while programs use its device in all ways at once.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Errno, Outcome, ensure, same};
use crate::bench;
use crate::lab::{self, Lab};
use crate::mapping::Mapping;
use crate::pci::Function;

/// How often the driver goes.
const TURNS: u32 = 5;
const PROGRAMS: usize = 2;
/// How long programs use the device before the driver goes.
const IN_USE: Duration = Duration::from_millis(15);
/// How long it may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Programs use the device, the driver goes, nothing reaches the device any more, the driver comes back.
pub fn unbind_in_use() -> Outcome {
    let function = Function::find(lab::VENDOR, lab::DEVICE)?;
    let driver = function.driver()?;
    let mut programs = Vec::new();
    for _ in 0..PROGRAMS {
        programs.push(User::start()?);
    }
    for _ in 0..TURNS {
        for program in &mut programs {
            program.hear("using")?;
        }
        thread::sleep(IN_USE);
        in_time(&driver.join("unbind"), &function.name())?;
        bench::mark("gone");
        for program in &mut programs {
            program.say("gone")?;
            program.hear("left")?;
        }
        bench::mark("coming back");
        in_time(&driver.join("bind"), &function.name())?;
        for program in &mut programs {
            program.say("back")?;
        }
    }
    for program in &mut programs {
        program.hear("using")?;
    }
    drop(programs);
    let lab = Lab::open()?;
    same("ID", lab.read(lab::ID)?, lab::ID_VALUE)?;
    Ok(format!("the driver went {TURNS} times, and what {PROGRAMS} programs had of it went with it"))
}

/// Writes to a file of sysfs in a process of its own: what hangs there can't be ended.
fn in_time(file: &std::path::Path, text: &str) -> io::Result<()> {
    let mut child = started("write")?.arg(file).arg(text).stdout(Stdio::null()).spawn()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return ensure(status.success(), format!("{}: {status}", file.display()));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::other(format!("{} did not end in {} s", file.display(), PATIENCE.as_secs())))
}

/// This program once more, with an argument.
fn started(part: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::args().next().unwrap_or_default());
    command.arg(part);
    Ok(command)
}

/// A program that uses the device until its driver goes, and again when it is back.
struct User {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl User {
    fn start() -> io::Result<Self> {
        let mut child = started("use")?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let missing = || io::Error::other("no pipe");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self { child, input, output })
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        writeln!(self.input, "{word}").map_err(|error| {
            // It doesn't listen: it has ended, and said why.
            let mut said = String::new();
            let heard = self.output.read_to_string(&mut said);
            let said = heard.map_or_else(|error| error.to_string(), |_| said.trim_end().to_owned());
            io::Error::new(error.kind(), format!("a program ended: {said}"))
        })
    }

    fn hear(&mut self, expected: &str) -> io::Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure(line.trim_end() == expected, format!("a program says {:?}", line.trim_end()))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // One that hangs in the driver is not waited for.
        self.child.kill().ok();
    }
}

/// The program: all ways at once, until the driver has gone.
pub fn use_until_gone() -> Outcome {
    let mut words = io::stdin().lines();
    loop {
        let lab = Lab::open()?;
        // Once it says that it uses the device, the driver may go at any moment.
        let first = map(&lab)?;
        let (pipe, kept) = thread::scope(|scope| -> Result<_, Box<dyn std::error::Error>> {
            let calls = [
                scope.spawn(|| read_to_the_device(&lab)),
                scope.spawn(|| compute(&lab)),
                scope.spawn(|| transfer(&lab)),
            ];
            let last = scope.spawn(|| map_again_and_again(&lab, first));
            println!("using");
            for call in calls {
                call.join().map_err(|_| "a thread panicked")??;
            }
            let last = last.join().map_err(|_| "a thread panicked")??;
            Ok((io::pipe()?, last))
        })?;
        words.next().transpose()?;
        ensure(!reaches(&kept, pipe)?, "a mapping outlived the driver")?;
        drop((kept, lab));
        println!("left");
        words.next().transpose()?;
    }
}

/// Whether a mapping leads anywhere. The kernel reads it, which only fails if not: a load would end the program.
fn reaches(mapping: &Mapping, (_reader, writer): (PipeReader, PipeWriter)) -> io::Result<bool> {
    match mapping.write_to(&writer.into(), 4) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::EFAULT as i32) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does something until the driver has gone.
fn until_gone(mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match work() {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The driver reads a register to where its own mapping of the device has no page yet.
fn read_to_the_device(lab: &Lab) -> io::Result<()> {
    until_gone(|| {
        let target = Mapping::plain(&lab.file, lab::MMAP_ON_FAULT, lab::REGISTERS_SIZE)?;
        match target.read_from(&lab.file, lab::ID as u64, lab::SCRATCH, 4) {
            // It went in between: no page comes any more.
            Err(error) if error.raw_os_error() == Some(Errno::EFAULT as i32) => Ok(()),
            other => other,
        }
    })
}

fn compute(lab: &Lab) -> io::Result<()> {
    until_gone(|| same("5!", lab.compute(lab::OPCODE_FACTORIAL, 5)?, 120))
}

fn transfer(lab: &Lab) -> io::Result<()> {
    let mut data = [0; 64];
    until_gone(|| lab.transfer(&mut data, 0, true).map(drop))
}

/// The last mapping that the driver made before it went.
fn map_again_and_again(lab: &Lab, mut last: Mapping) -> io::Result<Mapping> {
    until_gone(|| {
        last = map(lab)?;
        Ok(())
    })?;
    Ok(last)
}

fn map(lab: &Lab) -> io::Result<Mapping> {
    Mapping::plain(&lab.file, lab::MMAP_REGISTERS, lab::REGISTERS_SIZE)
}
