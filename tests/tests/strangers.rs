//! Is somebody else's guest told as well as our own? A driver, a program and a script as strangers write them
//! (`tests/strangers`), of which nothing announces anything.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use barscope_analysis::view::{Call, Context, View};
use barscope_bench::command::{Session, output};
use barscope_bench::compile;
use barscope_bench::expectations::root;
use barscope_vmm::linux::KernelChoice;

const DRIVER: &str = include_str!("../../examples/edu/myedu.c");
const PROGRAM: &str = include_str!("../../examples/edu/factorial.c");
const SCRIPT: &str = include_str!("../strangers/interrupt");
const MMIOTRACE: &str = include_str!("../strangers/mmiotrace");
const EXPECT: &str = include_str!("../strangers/interrupt.expect");

/// Clauses of `interrupt.expect`, and what makes each of them false.
const FALSE: [(&str, &str); 6] = [
    ("write BAR0.FACTORIAL as go", "read BAR0.FACTORIAL in handler as go"),
    ("msi 0 within 2s", "msi 0 within 1ns"),
    ("read  BAR0.INT_STATUS in handler", "read BAR0.INT_STATUS not in handler"),
    ("within 2s of irq", "within 1ns of irq"),
    ("{FACTORIAL=1}", "{DMA=1}"),
    ("never access BAR0 pat WB", "never access BAR0 pat UC-"),
];

/// Compiles driver and program.
fn compile(kernel: &KernelChoice, session: &Session) -> Result<()> {
    compile::modules_for(kernel, session, &[("myedu", DRIVER)])?;
    let source = session.file("factorial.c", PROGRAM.as_bytes())?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-o"]).arg(session.path("factorial")).arg(source);
    ensure!(gcc.status()?.success(), "factorial.c doesn't compile");
    Ok(())
}

/// Runs a script on this kernel, which has to pass.
fn run(kernel: &KernelChoice, session: &Session, script: &str, text: &str, others: &[&str]) -> Result<()> {
    session.file(script, text.as_bytes())?;
    let mut command = session.barscope(&["run", "--guest", "linux", "--nested", "--device", "edu"])?;
    command.args(["--file", "factorial:/strangers/factorial", "--program", script]).args(others);
    if let KernelChoice::Named(kernel) = kernel {
        command.arg("--kernel").arg(kernel);
    }
    let ended = output(&mut command)?;
    ensure!(ended.code == Some(0), "{}\n{}", ended.stdout, ended.stderr);
    Ok(())
}

/// The line of the only place in a source that has this text.
fn line(source: &str, text: &str) -> u32 {
    let lines: Vec<_> = (1..).zip(source.lines()).filter(|(_, line)| line.contains(text)).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].0
}

/// What is told of an access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    register: String,
    write: bool,
    /// Function, accessor and line.
    made: String,
    caller: String,
    path: String,
    context: String,
    system_call: String,
    process: String,
}

impl Told {
    fn of(view: &View) -> Option<Self> {
        let access = view.access()?;
        let made = view.made()?;
        let place = access.place()?;
        // The stranger's own function outside of its helpers.
        let caller = view.calls().find(|call| is_ours(call) && !call.inlined && !call.accessor);
        Some(Self {
            register: place.register_name().unwrap_or_else(|| place.to_string()),
            write: access.write,
            made: made.describe(),
            caller: caller.and_then(|call| call.function).unwrap_or_default().to_owned(),
            path: access.path().name().to_owned(),
            context: view.context.map_or("unknown", Context::name).to_owned(),
            system_call: view.system_call().map_or_else(String::new, |number| number.to_string()),
            process: view.process().map_or_else(String::new, |process| process.name.clone()),
        })
    }
}

/// A function of the module or of the program.
fn is_ours(call: &Call<'_>) -> bool {
    let file = call.file.is_some_and(|file| file == "factorial.c");
    call.module() == Some("myedu") || file
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_strangers_driver_program_and_script_are_named_throughout() -> Result<()> {
    named_throughout(&KernelChoice::Debian)
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and Debian 13's kernel"]
fn on_debian_13_a_strangers_driver_program_and_script_are_named_throughout() -> Result<()> {
    named_throughout(&KernelChoice::Named("6.12".into()))
}

fn named_throughout(version: &KernelChoice) -> Result<()> {
    let session = Session::new()?;
    compile(version, &session)?;
    run(version, &session, "interrupt", SCRIPT, &["--module", "myedu.ko"])?;
    let trace = session.trace()?;
    let views = trace.views();
    let ours =
        views.all().iter().filter(|view| view.access().is_some() && view.calls().any(|call| is_ours(&call)));
    let (registers, others): (Vec<&View>, Vec<&View>) =
        ours.partition(|view| view.place().is_some_and(|place| !place.is_configuration()));
    let told: BTreeSet<_> = registers.iter().filter_map(|view| Told::of(view)).collect();
    const IOCTL: &str = "16";
    // Our first process has the driver bound to the device once its names are known.
    const WRITE: &str = "1";
    let read = line(DRIVER, "return ioread32(edu->registers + reg)");
    let write = line(DRIVER, "iowrite32(value, edu->registers + reg)");
    // The helper is inlined: the function has the line that calls it, and the helper its own.
    let inlined = |function: &str, helper: &str, text: &str| {
        let own = if helper.starts_with("myedu_read") { read } else { write };
        format!("{function} < {helper} myedu.c:{} < {own}", line(DRIVER, text))
    };
    let identify = inlined("myedu_probe", "myedu_read < ioread32", "myedu_read(edu, EDU_ID)");
    let enable = inlined("myedu_probe", "myedu_write < iowrite32", "EDU_STATUS, EDU_STATUS_INTERRUPT)");
    let start = inlined("myedu_ioctl", "myedu_write < iowrite32", "myedu_write(edu, EDU_FACTORIAL, value)");
    let status = line(DRIVER, "ioread32(edu->registers + EDU_INT_STATUS)");
    let status = format!("myedu_irq < ioread32 myedu.c:{status}");
    let acknowledge = inlined("myedu_irq", "myedu_write < iowrite32", "EDU_INT_ACKNOWLEDGE, status)");
    let result = inlined("myedu_thread", "myedu_read < ioread32", "edu->result = myedu_read");
    let store = line(PROGRAM, "registers[LIVENESS] = ");
    let load = line(PROGRAM, "if (registers[LIVENESS]");
    let (store, load) =
        (format!("check_liveness factorial.c:{store}"), format!("check_liveness factorial.c:{load}"));
    let kernel =
        |register: &str, is_write, made: &str, caller: &str, context: &str, call: &str, process: &str| Told {
            register: register.to_owned(),
            write: is_write,
            made: made.to_owned(),
            caller: caller.to_owned(),
            path: "ioremap".to_owned(),
            context: context.to_owned(),
            system_call: call.to_owned(),
            process: process.to_owned(),
        };
    let program = |is_write, made: &str, path: &str| Told {
        path: path.to_owned(),
        ..kernel("LIVENESS", is_write, made, "check_liveness", "task", "", "factorial")
    };
    let thread =
        told.iter().find(|told| told.context == "threaded-handler").context("no threaded handler")?;
    ensure!(thread.process.starts_with("irq/"), "{thread:?}");
    let expected = BTreeSet::from([
        kernel("ID", false, &identify, "myedu_probe", "task", WRITE, "init"),
        kernel("STATUS", true, &enable, "myedu_probe", "task", WRITE, "init"),
        kernel("FACTORIAL", true, &start, "myedu_ioctl", "task", IOCTL, "factorial"),
        kernel("INT_STATUS", false, &status, "myedu_irq", "hard-handler", "", ""),
        kernel("INT_ACKNOWLEDGE", true, &acknowledge, "myedu_irq", "hard-handler", "", ""),
        kernel("FACTORIAL", false, &result, "myedu_thread", "threaded-handler", "", &thread.process),
        program(true, &store, "mmap"),
        program(false, &load, "mmap"),
        program(true, &store, "sysfs"),
        program(false, &load, "sysfs"),
    ]);
    assert_eq!(told, expected);
    // The kernel's own have the line of the driver that asked for them.
    ensure!(!others.is_empty(), "no access to configuration space");
    for view in others {
        let made = view.made().context("nobody made it")?;
        let asked = made.asked_by.unwrap_or(made.by);
        ensure!(is_ours(&asked) && asked.line.is_some(), "record {}: {}", view.seq, made.describe());
    }
    expect(&session)?;
    if matches!(version, KernelChoice::Debian) {
        golden(&session)?;
    }
    Ok(())
}

/// The golden beside them, which another run has made, holds for this one and for one more. `BARSCOPE_WRITE=1` writes it
/// anew.
fn golden(session: &Session) -> Result<()> {
    let golden = root().join("tests/strangers/interrupt.golden");
    let golden = golden.to_str().context("a path that is no text")?;
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        let ended = session.run(&["bless", "barscope.trace", "-o", golden])?;
        ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
    }
    let ended = session.run(&["check", "barscope.trace", "--golden", golden])?;
    ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
    run(&KernelChoice::Debian, session, "interrupt", SCRIPT, &["--module", "myedu.ko", "--golden", golden])
}

/// The kernel single-steps what barscope traps, and both tell the same accesses of the driver, one by one.
#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers and busybox"]
fn on_linux_mmiotrace_tells_the_accesses_of_a_driver_that_barscope_tells() -> Result<()> {
    let session = Session::new()?;
    compile(&KernelChoice::Debian, &session)?;
    run(
        &KernelChoice::Debian,
        &session,
        "mmiotrace",
        MMIOTRACE,
        &["--file", "myedu.ko:/strangers/myedu.ko"],
    )?;
    let console = fs::read_to_string(session.path("barscope.console"))?;
    let told: String = console
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("mmiotrace: "))
        .map(|line| format!("{line}\n"))
        .collect();
    // Two factorials by their interrupts, between probe and remove.
    let count = told.lines().filter(|line| line.starts_with("R ") || line.starts_with("W ")).count();
    ensure!(count == 11 && !told.contains("Lost") && !told.contains("UNKNOWN"), "{told}");
    let import = |text: &str| -> Result<()> {
        session.file("told", text.as_bytes())?;
        let ended =
            session.run(&["import", "told", "--from", "mmiotrace", "--device", "edu", "-o", "told.trace"])?;
        ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
        Ok(())
    };
    // Whoever they were made by, which mmiotrace doesn't tell; and the program's own accesses, which it can't see.
    let differ = |only: &str| {
        let terms = ["code", "process", "ring", "path", "scenario"].map(|what| ["--ignore", what]).concat();
        session.run(&[&["diff", "barscope.trace", "told.trace", "--only", only][..], &terms].concat())
    };
    import(&told)?;
    let equal = differ("access BAR0 by kernel")?;
    ensure!(equal.code == Some(0) && equal.stdout.contains("EQUAL"), "{}{}", equal.stdout, equal.stderr);
    let programs = differ("access BAR0 by user")?;
    ensure!(programs.code == Some(1), "{}{}", programs.stdout, programs.stderr);
    for (was, is) in [(" 0x78 ", " 0x79 "), ("R 4 ", "W 4 "), ("0x2d0", "0x2d1")] {
        ensure!(told.contains(was), "{was}: {told}");
        import(&told.replacen(was, is, 1))?;
        let different = differ("access BAR0 by kernel")?;
        ensure!(different.code == Some(1), "{was}: {}", different.stdout);
    }
    Ok(())
}

/// The example of the README, with its registers' names and times changed, passes; with any clause made false it fails.
fn expect(session: &Session) -> Result<()> {
    let verdict = |text: &str| -> Result<(Option<i32>, String)> {
        session.file("t.expect", text.as_bytes())?;
        let ended = session.run(&["check", "barscope.trace", "t.expect"])?;
        Ok((ended.code, ended.stdout + &ended.stderr))
    };
    let (code, said) = verdict(EXPECT)?;
    ensure!(code == Some(0), "{said}");
    for (clause, denied) in FALSE {
        ensure!(EXPECT.matches(clause).count() >= 1, "{clause}");
        let (code, said) = verdict(&EXPECT.replacen(clause, denied, 1))?;
        if code != Some(1) {
            bail!("{denied}: {said}");
        }
    }
    Ok(())
}

#[test]
fn the_expectation_is_the_readmes_but_for_names_of_registers_and_times() {
    let readme = include_str!("../../README.md");
    let (_, from) = readme.split_once("> device lab at").unwrap();
    let (example, _) = from.split_once("> END").unwrap();
    let lines =
        example.lines().map(|line| line.strip_prefix("> ").or(line.strip_prefix('>')).unwrap_or(line));
    let example = lines.map(|line| format!("{line}\n")).collect::<String>();
    let mut renamed = format!("device lab at{example}");
    for (ours, theirs) in [
        ("device lab", "device edu"),
        ("on lab", "on edu"),
        ("BAR0.OPCODE", "BAR0.FACTORIAL"),
        ("write BAR0.INT_STATUS {DONE=1}", "write BAR0.INT_ACKNOWLEDGE {FACTORIAL=1}"),
        ("within 50us", "within 2s"),
        ("within 1ms", "within 2s"),
    ] {
        renamed = renamed.replace(ours, theirs);
    }
    let (_, expectation) = EXPECT.split_once("\n\n").unwrap();
    assert_eq!(expectation, renamed);
}
