//! Asking a trace: what `show` selects, what `check`, `run --expect` and `report --expect` decide, how each says so.

use anyhow::{Context, Result};
use barscope_bench::command::{Ended, Session};
use barscope_bench::raw_guest;
use iced_x86::code_asm::CodeAssembler;

/// A session with the trace of these scenarios.
fn traced(scenarios: &[&str]) -> Result<Session> {
    let session = Session::new()?;
    let mut arguments = vec!["run", "--quiet"];
    for scenario in scenarios {
        arguments.extend(["--scenario", scenario]);
    }
    let ended = session.run(&arguments)?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(session)
}

/// Holds an expectation file against the trace, or lets a run do it.
fn expect(session: &Session, arguments: &[&str], text: &str) -> Result<Ended> {
    session.file("t.expect", text.as_bytes())?;
    session.run(arguments)
}

/// The sequence numbers of the records in JSON Lines.
fn sequence(ended: &Ended) -> Vec<u64> {
    let records =
        ended.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    records.filter_map(|record| record["seq"].as_u64()).collect()
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_filter_selects_what_show_and_run_print() -> Result<()> {
    let session = traced(&["same-register", "interrupt"])?;
    let shown = session.run(&["show", "barscope.trace", "access", "by", "user", "--format", "json"])?;
    assert_eq!((shown.code, sequence(&shown).len()), (Some(0), 2), "{}", shown.stdout);

    let text = session.run(&["show", "barscope.trace", "bar0.SCRATCH and path==mmap"])?;
    assert_eq!(text.stdout.matches("BAR0+0x008 SCRATCH").count(), 2, "{}", text.stdout);
    assert!(text.stdout.contains("2 records shown"), "{}", text.stdout);

    let run = ["run", "--scenario", "same-register", "--filter", "write BAR0.SCRATCH by user"];
    let live = session.run(&run)?;
    assert_eq!(live.code, Some(0));
    assert_eq!(live.stdout.matches("SCRATCH").count(), 1, "{}", live.stdout);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_whole_trace_is_shown_as_it_was_while_it_ran() -> Result<()> {
    let session = Session::new()?;
    let ran = session.run(&["run", "-v", "--scenario", "interrupt"])?;
    let shown = session.run(&["show", "barscope.trace"])?;
    assert_eq!(shown.stdout, ran.stdout);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn records_can_be_taken_from_the_middle_and_the_end() -> Result<()> {
    let session = traced(&["interrupt"])?;
    let all = sequence(&session.run(&["show", "barscope.trace", "--format", "json"])?);
    let last = session.run(&["show", "barscope.trace", "--last", "3", "--format", "json"])?;
    assert_eq!(sequence(&last), all[all.len() - 3..]);
    let middle =
        session.run(&["show", "barscope.trace", "--from", "10", "--to", "12", "--format", "json"])?;
    assert_eq!(sequence(&middle), [10, 11, 12]);
    let writes = session.run(&["show", "barscope.trace", "write", "--last", "1", "--format", "json"])?;
    assert_eq!(sequence(&writes).len(), 1);
    // Whatever is shown of a record is what the whole shows of it.
    let line = |ended: &Ended, seq: u64| {
        let start = format!("{{\"seq\":{seq},");
        ended.stdout.lines().find(|line| line.starts_with(&start)).map(str::to_owned)
    };
    let seq = sequence(&writes)[0];
    let whole = session.run(&["show", "barscope.trace", "--format", "json"])?;
    assert_eq!(line(&writes, seq), line(&whole, seq));
    Ok(())
}

const HOLDS: &str = "\
device lab at 00:04.0
test \"acknowledged\" on lab in scenario interrupt
  seq
    write BAR0.OPCODE as go
    msi 0 within 50us caused by go as irq
    read BAR0.INT_STATUS in handler caused by go
  each msi 0: then write BAR0.INT_STATUS {DONE=1} within 1ms
";

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn expectations_pass_fail_and_are_inconclusive() -> Result<()> {
    let session = traced(&["interrupt"])?;
    let check = ["check", "barscope.trace", "t.expect", "--junit", "report.xml"];
    let passed = expect(&session, &check, HOLDS)?;
    assert_eq!(passed.code, Some(0), "{}", passed.stdout);
    assert!(passed.stdout.ends_with("0 failed, 2 passed, 0 inconclusive\n"), "{}", passed.stdout);

    let failed = expect(&session, &check, "test \"t\"\n  never write BAR0.INT_STATUS\n")?;
    assert_eq!(failed.code, Some(1));
    for words in ["FAIL  t.expect:2  \"t\"", "2 | never write BAR0.INT_STATUS", "  >   ", "lab::isr"] {
        assert!(failed.stdout.contains(words), "no {words:?} in: {}", failed.stdout);
    }
    let report = String::from_utf8(std::fs::read(session.path("report.xml"))?)?;
    // How the scenario and the guest ended counts, too.
    assert!(report.contains("tests=\"3\" failures=\"1\" errors=\"0\""), "{report}");

    // A trace that was cut off can't tell what isn't in it.
    let mut content = std::fs::read(session.path("barscope.trace"))?;
    content.truncate(content.len() - 70_000);
    session.file("barscope.trace", &content)?;
    let open = expect(&session, &check, "test \"t\"\n  never not-emulated\n")?;
    assert_eq!(open.code, Some(4), "{}", open.stdout);
    assert!(open.stdout.contains("the trace can't tell"), "{}", open.stdout);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_violation_stops_the_guest_soon() -> Result<()> {
    let session = Session::new()?;
    let run = ["run", "--quiet", "--expect", "t.expect"];
    let text = "test \"no write\"\n  never write BAR0.SCRATCH\n";
    let ended = expect(&session, &run, text)?;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("broken by record "), "{}", ended.stdout);
    let trace = session.trace()?;
    assert!(
        trace.info().end.is_some_and(|end| end.reason().ends_with("broke an expectation")),
        "{:?}",
        trace.info().end
    );

    let holds = expect(&session, &["run", "--scenario", "interrupt", "--expect", "t.expect"], HOLDS)?;
    assert_eq!(holds.code, Some(0), "{}", holds.stdout);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn json_tells_the_same() -> Result<()> {
    let session = traced(&["interrupt"])?;
    let text = "test \"t\"\n  never write BAR0.INT_STATUS\n  read BAR0 at least 1\n";
    let ended = expect(&session, &["check", "barscope.trace", "t.expect", "--format", "json"], text)?;
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let verdicts: Vec<_> =
        lines.iter().map(|line| (line["line"].as_u64(), line["verdict"].as_str())).collect();
    assert_eq!(verdicts, [(Some(2), Some("fail")), (Some(3), Some("pass")), (None, None)]);
    assert_eq!(lines[2]["failed"], 1);
    Ok(())
}

/// The command ends with code 2 and one error, and says these words.
fn is_wrong(session: &Session, arguments: &[&str], words: &[&str]) -> Result<()> {
    let ended = session.run(arguments)?;
    assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{arguments:?} doesn't say {word:?}: {}", ended.stderr);
    }
    Ok(())
}

#[test]
fn mistakes_are_told_with_their_place() -> Result<()> {
    let session = Session::new()?;
    session.file("bad.expect", b"test \"t\"\n  never reed BAR0\n")?;
    session.file("empty.expect", b"")?;
    session.file("none.trace", b"not a trace")?;
    let mut future = vec![0; 4096];
    future[..9].copy_from_slice(b"BARSCOPE\x09");
    session.file("future.trace", &future)?;
    is_wrong(
        &session,
        &["check", "none.trace", "bad.expect"],
        &["bad.expect:2:9", "did you mean read?", "^^^^"],
    )?;
    is_wrong(&session, &["check", "none.trace", "empty.expect"], &["asks for nothing can't fail"])?;
    is_wrong(&session, &["check", "none.trace", "missing.expect"], &["missing.expect", "No such file"])?;
    is_wrong(&session, &["show", "missing.trace"], &["missing.trace", "No such file"])?;
    is_wrong(&session, &["show", "none.trace"], &["none.trace is no barscope trace"])?;
    is_wrong(&session, &["show", "future.trace"], &["has format version 9, this program reads version 2"])?;
    is_wrong(&session, &["show", "none.trace", "cpl", "==", "user"], &["filter:1:8", "expected a number"])?;
    is_wrong(&session, &["run", "--filter", "wirte"], &["did you mean write?"])?;
    is_wrong(&session, &["run", "--expect", "bad.expect"], &["bad.expect:2:9"])
}

#[test]
fn the_language_is_told_as_it_is() -> Result<()> {
    let told = Session::new()?.run(&["language"])?;
    assert_eq!(told.code, Some(0));
    for words in [
        "| `not-emulated` |",
        "| `pat` | `UC` `UC-` `WC`",
        "| `memtype` | `UC` `WC`",
        "# Filters and expectations",
    ] {
        assert!(told.stdout.contains(words), "no {words:?} in: {}", told.stdout);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_command_has_firmware_for_kernels_of_others_unless_told() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &raw_guest::assemble(CodeAssembler::ud2)?)?;
    let maps = |arguments: &[&str]| -> Result<String> {
        // It ends in a triple fault.
        session.run(&[&["--quiet"], arguments].concat())?;
        Ok(session.run(&["maps", "barscope.trace"])?.stdout)
    };

    let text = maps(&["--kernel", "guest"])?;
    let (_, bar0) = text.split_once("00:04.0 lab BAR0 = ").context(text.clone())?;
    let expected =
        "0xf0000000 -> f0000000-f0000fff, 4 KiB\n  decoded in records 10 to the end (by firmware)\n";
    assert!(bar0.starts_with(expected), "{text}");
    assert!(!maps(&["--kernel", "guest", "--firmware", "off"])?.contains("lab BAR0"));

    let probe = ["--scenario", "probe"];
    assert!(!maps(&probe)?.contains("(by firmware)"));
    assert!(maps(&[&probe[..], &["--firmware", "on"]].concat())?.contains("(by firmware)"));
    Ok(())
}

#[test]
fn a_report_is_written_whatever_expectations_come_to() -> Result<()> {
    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");
    let session = Session::new()?;
    let report = ["report", SAMPLE, "--expect", "t.expect", "-o", "report.html"];
    let ended = expect(&session, &report, "test \"quiet\"\n  never write BAR0.SCRATCH by user\n")?;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(std::fs::read(session.path("report.html"))?.starts_with(b"<!doctype html>"));
    let wrong = expect(&session, &report, "test \"quiet\"\n  never writ BAR0.SCRATCH\n")?;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.starts_with("error: t.expect:2:9: "), "{}", wrong.stderr);
    Ok(())
}
