//! Do call stacks of a Linux guest lead from the access to the program's function that asked for it?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::symbols::Symbols;
use barscope_bench::command::{Ended, Session};
use barscope_bench::compile;
use barscope_trace::definition::{Cut, Definition, Entered, Stack};
use barscope_trace::{Capability, Knowledge};

/// What is at work, and its frames from the innermost outwards, each with how it was left.
struct Told {
    process: String,
    frames: Vec<(Entered, String)>,
    cut: Option<Cut>,
}

/// The stacks that a trace holds.
fn stacks(trace: &Trace) -> Vec<Told> {
    let definitions = trace.definitions();
    let mut symbols = Symbols::default();
    let mut told = |stack: &Stack| {
        let process = stack.process.and_then(|id| definitions.process(id));
        let mut name = |frame: &barscope_trace::definition::Frame| {
            let code = frame.address - u64::from(frame.how == Entered::Call);
            let symbol = symbols.address(definitions, code, frame.cr3);
            (frame.how, symbol.map(|symbol| symbol.function).unwrap_or_default())
        };
        Told {
            process: process.map(|process| process.name.clone()).unwrap_or_default(),
            frames: stack.frames.iter().map(&mut name).collect(),
            cut: stack.cut,
        }
    };
    let all = definitions.iter().filter_map(|(_, definition)| match definition {
        Definition::Stack(stack) => Some(told(stack)),
        _ => None,
    });
    all.collect()
}

fn run(session: &Session, arguments: &[&str]) -> Result<Ended> {
    let run = session.run(&[&["run", "--guest", "linux", "--nested"], arguments].concat())?;
    ensure!(run.code == Some(0), "{}", run.stderr);
    Ok(run)
}

/// The percentage that a run says of stacks at hand.
fn at_hand(run: &Ended) -> Result<f64> {
    let line = run.stderr.lines().find(|line| line.starts_with("call stacks: ")).context("no such line")?;
    let percent = line.split_whitespace().rev().nth(5).context("no percentage")?;
    Ok(percent.parse()?)
}

/// Whether one of the stacks of a process ends its way through all of these functions in a system call and a function of the
/// program.
fn leads(stacks: &[Told], process: &str, functions: &[&str], number: u64, program: &str) -> bool {
    stacks.iter().filter(|told| told.process == process).any(|told| {
        let mut wanted = functions.iter().peekable();
        let mut in_program = told.frames.iter().skip_while(|(how, name)| {
            wanted.next_if(|function| name == **function);
            *how != Entered::SystemCall { number }
        });
        let called = in_program.any(|(_, name)| name.contains(program));
        called && wanted.peek().is_none() && told.cut != Some(Cut::Asked)
    })
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn on_linux_a_stack_leads_from_the_driver_over_the_system_call_into_the_program() -> Result<()> {
    let session = Session::new()?;
    run(&session, &["--scenario", "calls-or-loads"])?;
    let trace = session.trace()?;

    let known = trace.info().capabilities;
    assert_eq!(known.of(Capability::Stacks), Knowledge::Inferred);
    assert!(known.tells(Capability::Processes));
    let stacks = stacks(&trace);
    const PREAD64: u64 = 17;
    let functions = ["vfs_read", "do_syscall_64"];
    let shown =
        || stacks.iter().map(|told| format!("{} {:?}\n", told.process, told.frames)).collect::<String>();
    ensure!(leads(&stacks, "calls-or-loads", &functions, PREAD64, "calls_or_loads"), "{}", shown());
    Ok(())
}

/// Reads configuration space in a loop, one system call each time.
const LOOP: &str = r#"
#include <fcntl.h>
#include <unistd.h>
int main(void)
{
	int file = open("/sys/bus/pci/devices/0000:00:00.0/config", O_RDONLY);
	unsigned int word;
	int turn;

	for (turn = 0; turn < 4000; turn++)
		if (pread(file, &word, 4, 0) != 4)
			return 1;
	return 0;
}
"#;

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_loop_has_nine_of_ten_stacks_at_hand() -> Result<()> {
    let session = Session::new()?;
    let source = session.file("loop.c", LOOP.as_bytes())?;
    compile::program(&source, &session.path("loop"))?;
    let run = run(&session, &["--program", "./loop"])?;
    ensure!(at_hand(&run)? >= 90.0, "{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn on_linux_stacks_are_as_deep_as_asked_for() -> Result<()> {
    let session = Session::new()?;
    run(&session, &["--scenario", "probe", "--stacks", "caller"])?;
    let stacks = stacks(&session.trace()?);
    ensure!(stacks.iter().any(|told| told.frames.len() == 8 && told.cut == Some(Cut::Asked)));
    ensure!(stacks.iter().all(|told| told.frames.len() <= 8));

    run(&session, &["--scenario", "probe", "--stacks", "off"])?;
    let trace = session.trace()?;
    assert!(self::stacks(&trace).is_empty());
    assert_eq!(trace.info().capabilities.of(Capability::Stacks), Knowledge::Unknown);
    Ok(())
}

/// Repeats what the checked-in capture comes from; `BARSCOPE_WRITE=1` replaces it.
#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn on_linux_a_deep_stack_is_captured() -> Result<()> {
    let session = Session::new()?;
    run(&session, &["--scenario", "probe", "--capture-stack", "stack"])?;
    let packed = fs::read(session.path("stack"))?;
    // What it leads to is held by the tests of `barscope-unwind`.
    ensure!((1..=1 << 20).contains(&packed.len()), "{} bytes", packed.len());
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vmm/unwind/data/linux-6.1.stack");
        fs::write(file, packed)?;
    }
    Ok(())
}
