//! Can a device be touched without a driver, a kernel and KVM?

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result};
use barscope_bench::command::{Ended, Session};
use serde_json::Value;

/// A computation of the lab, from its start to its result.
const COMPUTATION: &str = "\
msi                                 # a message says that it is done
write BAR0.CONTROL {ENABLE=1}  write BAR0.INT_MASK {DONE=1}
write BAR0.OPERAND 5  write BAR0.OPCODE 1
read BAR0.STATUS
wait 20us
read BAR0.RESULT
";

fn poke(session: &Session, arguments: &[&str]) -> Result<Ended> {
    session.run(&[&["poke"], arguments].concat())
}

/// What was printed below the header, each line without its number, time and bus address.
fn printed(ended: &Ended) -> Vec<String> {
    let lines =
        ended.stdout.lines().skip_while(|line| !line.contains("->")).take_while(|line| !line.is_empty());
    let words = |line: &str| line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ");
    lines.filter(|line| line.contains("BAR0+")).map(words).collect()
}

#[test]
fn a_device_computes_and_interrupts_without_a_machine() -> Result<()> {
    let session = Session::new()?;
    session.file("steps", COMPUTATION.as_bytes())?;
    let ended = poke(&session, &["lab", "--file", "steps"])?;

    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        printed(&ended),
        [
            "BAR0+0x00c CONTROL W4 0x1 ENABLE",
            "BAR0+0x018 INT_MASK W4 0x1 DONE",
            "BAR0+0x020 OPERAND W4 0x5",
            "BAR0+0x024 OPCODE W4 0x1 FACTORIAL",
            "BAR0+0x010 STATUS R4 0x1 BUSY",
            "BAR0+0x028 RESULT R4 0x78",
        ]
    );
    let effects =
        "lab  STATUS BUSY -> DONE, INT_STATUS 0 -> DONE, RESULT 0 -> 0x78, MSI vector 0x31 -> vCPU 0";
    assert!(ended.stdout.contains(effects), "{}", ended.stdout);
    assert!(!ended.stdout.contains("ring "), "nobody's ring: {}", ended.stdout);
    assert!(!session.path("barscope.trace").exists());
    Ok(())
}

#[test]
fn steps_come_from_the_command_line_and_from_standard_input() -> Result<()> {
    let session = Session::new()?;
    let arguments = ["poke", "lab", "write BAR0.SCRATCH 1", "-", "read", "BAR0.SCRATCH"];
    let mut child = session.barscope(&arguments)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe")?.write_all(b"write BAR0.SCRATCH 2\n")?;
    let ended = Ended::from(child.wait_with_output()?);

    let expected = ["BAR0+0x008 SCRATCH W4 0x1", "BAR0+0x008 SCRATCH W4 0x2", "BAR0+0x008 SCRATCH R4 0x2"];
    assert_eq!(printed(&ended), expected);
    Ok(())
}

#[test]
fn a_trace_that_is_kept_is_judged_and_explained_as_far_as_there_is_no_processor() -> Result<()> {
    let session = Session::new()?;
    session.file("steps", COMPUTATION.as_bytes())?;
    let ended = poke(&session, &["lab", "--file", "steps", "--trace", "t"])?;
    assert!(ended.stdout.ends_with("trace: t\n"), "{}", ended.stdout);

    let clauses = "test \"a\" on lab\n  seq\n    write BAR0.OPCODE as go\n    msi 0 within 20us caused by go\n    \
                   read BAR0.RESULT == 0x78\n";
    session.file("holds.expect", clauses.as_bytes())?;
    assert_eq!(session.run(&["check", "t", "holds.expect"])?.code, Some(0));
    session.file("open.expect", b"test \"b\" on lab\n  never write BAR0.OPCODE by user\n")?;
    let open = session.run(&["check", "t", "open.expect"])?;
    assert_eq!(open.code, Some(4), "{}", open.stdout);
    session.file("fails.expect", b"test \"c\" on lab\n  never write BAR0.OPCODE\n")?;
    assert_eq!(session.run(&["check", "t", "fails.expect"])?.code, Some(1));

    let shown = session.run(&["show", "t", "--format", "json", "write BAR0.OPCODE"])?;
    let line = shown.stdout.lines().find(|line| line.contains("\"event\":\"access\""));
    let record: Value = serde_json::from_str(line.context("a record")?)?;
    assert_eq!((record["vcpu"].clone(), record["value"].clone()), (Value::Null, Value::from("0x1")));
    let seq = record["seq"].to_string();
    let explained = session.run(&["explain", "t", &seq])?;
    assert!(explained.stdout.contains("none: no processor made this access"), "{}", explained.stdout);
    assert!(explained.stdout.contains("no vCPU"), "{}", explained.stdout);
    Ok(())
}

#[test]
fn memory_is_written_for_a_device_and_read_after_it() -> Result<()> {
    let session = Session::new()?;
    let steps = "memory write 0x2000 01020304 write BAR0.CONTROL 1 write BAR0.DMA_ADDRESS 0x2000 \
                 write BAR0.DMA_LENGTH 4 write BAR0.DMA_CONTROL {START=1} wait 1ms memory read 0x2000 4 read BAR2+0";
    let ended = poke(&session, &["lab", steps])?;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(" memory 0x2000: 01 02 03 04\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("BAR2+0x000 MEMORY+0x0 R4 0x4030201"), "{}", ended.stdout);
    Ok(())
}

#[test]
fn without_firmware_a_register_has_no_address_until_the_bar_has_one() -> Result<()> {
    let session = Session::new()?;
    let off = poke(&session, &["lab", "--firmware", "off", "read BAR0.ID"])?;
    assert_eq!(off.code, Some(2));
    assert!(
        off.stderr.contains("\"read BAR0.ID\": BAR0 of 00:04.0 was never given an address"),
        "{}",
        off.stderr
    );

    let steps = "write CONFIG.BAR0 0xf0000000 write CONFIG.COMMAND {MEMORY_SPACE=1} read BAR0.ID";
    let on = poke(&session, &["lab", "--firmware", "off", steps])?;
    assert!(on.stdout.contains("BAR0+0x000 ID         R4 0x3142414c"), "{}{}", on.stdout, on.stderr);
    Ok(())
}

#[test]
fn nothing_is_done_if_one_step_is_wrong() -> Result<()> {
    let session = Session::new()?;
    let wrong = poke(&session, &["lab", "write BAR0.SCRATCH 1", "read BAR0.SCRATH"])?;
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
    let text = "error: step 2, \"read BAR0.SCRATH\": no register BAR0.SCRATH; did you mean BAR0.SCRATCH?\n";
    assert_eq!(wrong.stderr, text);

    let device = poke(&session, &["labb", "reset"])?;
    assert_eq!(device.code, Some(2));
    assert!(
        device.stderr.contains("no device is called \"labb\"; there is lab, ticker, edu, pci-testdev"),
        "{}",
        device.stderr
    );
    let none = poke(&session, &["lab"])?;
    assert_eq!(none.code, Some(2));
    Ok(())
}

#[test]
fn a_device_that_was_reset_answers_as_at_the_beginning() -> Result<()> {
    let steps = "write BAR0.SCRATCH 7 reset read BAR0.SCRATCH";
    let ended = poke(&Session::new()?, &["lab", steps])?;
    assert_eq!(printed(&ended).last().map(String::as_str), Some("BAR0+0x008 SCRATCH R4 0x0"));
    assert!(ended.stdout.contains("mark reset of 00:04.0"), "{}", ended.stdout);
    Ok(())
}
