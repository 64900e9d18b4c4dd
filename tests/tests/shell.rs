//! Is `--shell` the terminal's own while somebody types, does the terminal get back what it was, and is a script what stands at
//! standard input?

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use barscope_bench::command::Session;
use barscope_bench::terminal::Terminal;

/// How long the terminal may take to be the shell's.
const PATIENCE: Duration = Duration::from_secs(120);
const RUN: [&str; 5] = ["run", "--guest", "linux", "--nested", "--shell"];

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn a_shell_has_the_terminal_until_it_ends() -> Result<()> {
    let session = Session::new()?;
    let only = ["--append", "iomem=relaxed", "--filter", "BAR0 by process devmem"];
    let mut terminal = Terminal::start(&session, &[&RUN[..], &only].concat(), &[])?;
    let before = terminal.modes()?;
    terminal.shows("shell: `exit` or Ctrl-D leaves it, Ctrl-] ends the run")?;
    terminal.shows("# ")?;
    ensure!(terminal.modes()? != before, "keys aren't passed on as they are");
    terminal.types("echo $((6 * 7)) $TERM; stty size\r")?;
    terminal.shows("\n42 linux")?;
    terminal.shows("30 100")?;
    // Ctrl-C and Ctrl-Z are for what runs in the guest.
    terminal.types("sleep 1000\r")?;
    terminal.shows("sleep 1000")?;
    thread::sleep(Duration::from_secs(1));
    terminal.types("\x03")?;
    terminal.types("echo status $?\r")?;
    terminal.shows("\nstatus 130")?;
    // What a command does is shown while it is being done.
    terminal.types("devmem $(sed -n '1s/ .*//p' /sys/bus/pci/devices/0000:00:04.0/resource)\r")?;
    terminal.shows("R4 0x3142414c")?;
    // Ctrl-D where nothing is typed.
    terminal.types("echo $((40 + 3)) done\r")?;
    terminal.shows("\n43 done")?;
    terminal.shows("# ")?;
    thread::sleep(Duration::from_secs(1));
    terminal.types("\x04")?;
    let status = terminal.ends()?;
    ensure!(status.code() == Some(0), "{status}\n{}", terminal.shown);
    ensure!(terminal.modes()? == before, "the terminal isn't what it was");
    let shown = session.run(&["show", "barscope.trace", "read BAR0.ID by process devmem"])?;
    ensure!(shown.stdout.contains("\n1 record shown"), "{}{}", shown.stdout, shown.stderr);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn a_key_ends_the_run_and_gives_the_terminal_back() -> Result<()> {
    let session = Session::new()?;
    let mut terminal = Terminal::start(&session, &RUN, &[])?;
    let before = terminal.modes()?;
    terminal.shows("Ctrl-] ends the run")?;
    let deadline = Instant::now() + PATIENCE;
    while terminal.modes()? == before {
        ensure!(Instant::now() < deadline, "keys aren't passed on as they are");
        thread::sleep(Duration::from_millis(5));
    }
    terminal.types("\x1d")?;
    let status = terminal.ends()?;
    ensure!(status.code() == Some(130), "{status}\n{}", terminal.shown);
    ensure!(terminal.modes()? == before, "the terminal isn't what it was");
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn a_shell_without_a_terminal_does_what_standard_input_says() -> Result<()> {
    let session = Session::new()?;
    // More than a terminal takes in a line, and an end that is a verdict.
    let script = format!("text={}\necho ${{#text}} characters\nexit 3\n", "x".repeat(20_000));
    session.file("look.sh", script.as_bytes())?;
    let mut command = session.barscope(&["run", "--guest", "linux", "--nested", "--shell"])?;
    let output = command.stdin(File::open(session.path("look.sh"))?).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(printed.contains("FAIL  sh  exit status: 3"), "{printed}");
    let console = std::fs::read_to_string(session.path("barscope.console"))?;
    ensure!(console.contains("20000 characters"), "{console}");
    Ok(())
}
