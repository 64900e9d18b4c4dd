//! Are traces of other tracers traces like ours, as far as they tell?

use anyhow::Result;
use barscope_bench::command::{Ended, Session};

const MMIOTRACE: &str = include_str!("../../vmm/import/tests/data/driver.mmiotrace");
const SAMPLE: &str = include_str!("../../vmm/import/tests/data/sample.mmiotrace");

fn import(session: &Session, text: &str, from: &str, others: &[&str]) -> Result<Ended> {
    session.file("input", text.as_bytes())?;
    session.run(&[&["import", "input", "--from", from, "-o", "trace"], others].concat())
}

/// The verdict of each clause, in words.
fn verdicts(session: &Session, trace: &str, clauses: &str) -> Result<Vec<(String, String)>> {
    session.file("e", format!("test \"a\"\n{clauses}").as_bytes())?;
    let ended = session.run(&["check", trace, "e", "--format", "json"])?;
    let lines = ended.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let clauses = lines.filter(|line| line["event"] == "clause");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(clauses.map(|line| (text(&line["verdict"]), text(&line["reason"]))).collect())
}

fn words(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(verdict, _)| verdict.as_str()).collect()
}

#[test]
fn an_mmiotrace_is_shown_counted_and_judged_by_names_of_registers() -> Result<()> {
    let session = Session::new()?;
    // Nothing is lost: what it can't tell is all that is open.
    let whole: String = MMIOTRACE
        .lines()
        .filter(|line| !line.contains("Lost") && !line.starts_with("UNKNOWN"))
        .map(|line| format!("{line}\n"))
        .collect();
    let ended = import(&session, &whole, "mmiotrace", &["--device", "edu"])?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("16 lines: 7 accesses, 5 other records, 0 lost\n"), "{}", ended.stdout);

    let shown = session.run(&["show", "trace", "read", "BAR0.FACTORIAL"])?;
    assert!(shown.stdout.contains("ioremap") && shown.stdout.contains("FACTORIAL"), "{}", shown.stdout);
    let counted = session.run(&["stats", "trace"])?;
    assert_eq!(counted.code, Some(0), "{}", counted.stderr);
    for seq in ["2", "4"] {
        assert_eq!(session.run(&["explain", "trace", seq])?.code, Some(0));
    }

    let found = verdicts(
        &session,
        "trace",
        "  seq\n    write BAR0.LIVENESS == 0x12345678 by kernel via ioremap\n    read BAR0.LIVENESS == 0xedcba987 within 1ms\n\
         \x20 never write BAR0.ID by kernel\n  never read BAR0.FACTORIAL == 0x78 by kernel\n  never write BAR0.ID\n\
         \x20 never msi 0\n  never access CONFIG.COMMAND\n  never access memtype WC\n  never access in handler\n",
    )?;
    assert_eq!(
        words(&found),
        [
            "pass",
            "pass",
            "fail",
            "inconclusive",
            "inconclusive",
            "inconclusive",
            "inconclusive",
            "inconclusive"
        ],
        "{found:?}"
    );
    for (clause, told) in [
        (3, "its programs' accesses"),
        (4, "what its devices do besides answering"),
        (5, "accesses to configuration space and ports"),
        (6, "the memory types of accesses"),
        (7, "when its interrupt handlers run"),
    ] {
        assert!(found[clause].1.contains(told), "{:?}", found[clause]);
    }
    Ok(())
}

#[test]
fn what_a_tracer_lost_leaves_open_what_it_could_have_told() -> Result<()> {
    let session = Session::new()?;
    import(&session, MMIOTRACE, "mmiotrace", &["--device", "edu"])?;
    let found = verdicts(
        &session,
        "trace",
        "  never write BAR0.ID by kernel\n  never write BAR0.LIVENESS by kernel\n",
    )?;
    assert_eq!(words(&found), ["inconclusive", "fail"]);
    assert!(found[0].1.contains("lost"), "{found:?}");
    Ok(())
}

#[test]
fn bad_lines_are_shown_by_their_numbers_and_a_file_of_them_is_refused() -> Result<()> {
    let session = Session::new()?;
    let ended =
        import(&session, &(MMIOTRACE.to_owned() + "R 4 nonsense\n"), "mmiotrace", &["--device", "edu"])?;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout.contains("1 bad lines, each of which counts as a lost record:\n  line 19: R and W have"),
        "{}",
        ended.stdout
    );
    let ended = import(&session, "\0\u{ff}\nnonsense\n", "mmiotrace", &["--device", "edu"])?;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("none of its 2 lines is an access; 2 can't be understood, the first is line 1"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn a_map_in_a_file_names_registers_and_addresses_come_from_the_command_line() -> Result<()> {
    let session = Session::new()?;
    let map = session.run(&["devices", "lab", "--format", "toml"])?.stdout;
    session.file("map.toml", map.as_bytes())?;
    let ended = import(&session, SAMPLE, "mmiotrace", &["--device", "map.toml", "--bar", "0=0xf0410000"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let shown = session.run(&["show", "trace", "write", "BAR0.SCRATCH", "==", "0x77"])?;
    assert!(shown.stdout.contains("SCRATCH"), "{}", shown.stdout);
    for (bar, why) in [
        ("7=0x1000", "BARs have the numbers 0 to 5"),
        ("0", "write it as"),
        ("3=0x1000", "the device has no BAR3"),
    ] {
        let ended = import(&session, SAMPLE, "mmiotrace", &["--device", "map.toml", "--bar", bar])?;
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    Ok(())
}

/// Real hardware's trace stands in for a run: the model answers as it did.
#[test]
fn an_imported_trace_is_replayed() -> Result<()> {
    let session = Session::new()?;
    let whole: String = MMIOTRACE
        .lines()
        .filter(|line| !line.contains("Lost") && !line.starts_with("UNKNOWN"))
        .map(|line| format!("{line}\n"))
        .collect();
    import(&session, &whole, "mmiotrace", &["--device", "edu"])?;
    let ended = session.run(&["replay", "--device", "edu", "trace"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("edu: 7 operations, 0 differences, 0 explained"), "{}", ended.stdout);
    import(&session, &whole.replace("0xedcba987", "0xedcba986"), "mmiotrace", &["--device", "edu"])?;
    let ended = session.run(&["replay", "--device", "edu", "trace"])?;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("00:04.0 BAR0+0x004 LIVENESS\n  recorded  0xedcba986\n  observed  0xedcba987"),
        "{}",
        ended.stdout
    );
    Ok(())
}

#[test]
fn a_trace_as_json_lines_says_the_same_when_it_comes_back() -> Result<()> {
    let session = Session::new()?;
    let steps = "msi write BAR0.CONTROL {ENABLE=1} write BAR0.INT_MASK {DONE=1} write BAR0.OPERAND 5 write BAR0.OPCODE 1 \
                 wait 20us read BAR0.RESULT config read 0x10";
    assert_eq!(session.run(&["poke", "lab", steps, "--trace", "own"])?.code, Some(0));
    let json = session.run(&["show", "own", "--format", "json"])?.stdout;
    let ended = import(&session, &json, "jsonl", &["--device", "lab"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = session.run(&["show", "trace", "--format", "json"])?.stdout;
    assert_eq!(again, json);
    let clauses = "  seq\n    write BAR0.OPCODE as go\n    msi 0 within 20us caused by go\n    read BAR0.RESULT == 0x78\n  never write BAR0.ID\n  never msi 1\n";
    assert_eq!(words(&verdicts(&session, "own", clauses)?), ["pass", "pass", "pass"]);
    assert_eq!(words(&verdicts(&session, "trace", clauses)?), ["pass", "pass", "pass"]);
    // The first word is the file's name.
    let stats = |trace: &str| -> Result<String> {
        let told = session.run(&["stats", trace])?.stdout;
        Ok(told.strip_prefix(trace).unwrap_or(&told).to_owned())
    };
    assert_eq!(stats("trace")?, stats("own")?);
    Ok(())
}
