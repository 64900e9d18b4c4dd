//! Are traces of other tracers traces like ours, as far as they tell?

use std::collections::BTreeMap;

use anyhow::Result;
use barscope_bench::command::{Ended, Session};
use serde_json::{Map, Value};

const MMIOTRACE: &str = include_str!("../../vmm/import/tests/data/driver.mmiotrace");
const SAMPLE: &str = include_str!("../../vmm/import/tests/data/sample.mmiotrace");
/// A run of the test kernel, with one of each kind of record at its end.
const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");

fn import(session: &Session, text: &str, from: &str, others: &[&str]) -> Result<Ended> {
    session.file("input", text.as_bytes())?;
    session.run(&[&["import", "input", "--from", from, "-o", "trace"], others].concat())
}

/// The verdict of each clause, in words.
fn verdicts(session: &Session, trace: &str, clauses: &str) -> Result<Vec<(String, String)>> {
    session.file("e", format!("test \"a\"\n{clauses}").as_bytes())?;
    let ended = session.run(&["check", trace, "e", "--format", "json"])?;
    let lines = ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let clauses = lines.filter(|line| line["event"] == "clause");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
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

/// What the bench holds a run of the test kernel against: its clauses ask for all that a trace can tell.
const EXPECTATIONS: [&str; 5] = ["dma", "interrupts", "paths", "regions", "registers"];

/// Why nobody can tell which functions there are: only those that accessed a device have names.
const OF_FUNCTIONS: &str = "told more than the trace keeps of the names of its functions";
/// What of a run isn't the same after it was an mmiotrace.
const NOT_IN_MMIOTRACE: &str = "access announced, access cause, access code, access context, access cpl, access device_ns, \
                                access fields, access gva, access host_ns, access instance, access made_by, \
                                access mapping, access memory_type, access pat, access path, access register, \
                                access service_ns, access vcpu, access walk, change register, end capabilities, \
                                end host_ns, mark host_ns, mark vcpu";

/// Each clause's text with its verdict and the reason for that.
fn judged(session: &Session, trace: &str) -> Result<Vec<[String; 3]>> {
    let mut all = Vec::new();
    for name in EXPECTATIONS {
        let file = format!("{}/expect/{name}.expect", env!("CARGO_MANIFEST_DIR"));
        let ended = session.run(&["check", trace, &file, "--format", "json"])?;
        let lines = ended.stdout.lines().map(serde_json::from_str::<Value>);
        for line in lines.collect::<Result<Vec<_>, _>>()?.iter().filter(|line| line["event"] == "clause") {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            all.push([text("clause"), text("verdict"), text("reason")]);
        }
    }
    assert!(all.len() > 100, "{}", all.len());
    Ok(all)
}

/// How many clauses the imported trace is judged by as the run is; of others it has to say that it can't tell, and why.
fn judged_alike(session: &Session, why: &[&str]) -> Result<usize> {
    let (own, imported) = (judged(session, RUN)?, judged(session, "trace")?);
    let mut same = 0;
    for ([clause, before, _], [again, after, reason]) in own.iter().zip(&imported) {
        assert_eq!(clause, again);
        // Registers of another device than the one that was named.
        if clause.contains("ticker.BAR") {
            continue;
        }
        if after == before {
            same += 1;
            continue;
        }
        assert_eq!(after, "inconclusive", "{clause}: {before}; {reason}");
        assert!(why.iter().any(|why| reason.contains(why)), "{clause}: {reason}");
    }
    Ok(same)
}

/// What differs between lines, as `EVENT PROPERTY`, each with an example.
fn differences(before: &str, after: &str) -> Result<BTreeMap<String, String>> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    assert_eq!(after.len(), before.len());
    let mut differ = BTreeMap::new();
    for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
        let [before, after] = [before, after].map(|line| serde_json::from_str::<Map<String, Value>>(line));
        let (before, after) = (before?, after?);
        assert!(before.keys().eq(after.keys()), "{before:?}\n{after:?}");
        for (key, value) in before.iter().filter(|(key, value)| after[*key] != **value) {
            let event = before["event"].as_str().unwrap_or_default();
            let example = || format!("record {:?}: {value} became {}", before.get("seq"), after[key]);
            differ.entry(format!("{event} {key}")).or_insert_with(example);
        }
    }
    Ok(differ)
}

/// Each line of the sample comes back, whatever its kind is, but for what isn't of the device: nobody said what the
/// registers of other functions are.
#[test]
fn a_run_as_json_lines_comes_back_line_by_line_and_is_judged_the_same() -> Result<()> {
    let session = Session::new()?;
    let json = session.run(&["export", RUN, "--to", "jsonl"])?.stdout;
    let ended = import(&session, &json, "jsonl", &["--device", "lab"])?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let again = session.run(&["export", "trace", "--to", "jsonl"])?.stdout;
    let differ = differences(&json, &again)?;
    let keys: Vec<_> = differ.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["access fields", "access register", "change register", "end capabilities"],
        "{differ:#?}"
    );
    let same = judged_alike(&session, &[OF_FUNCTIONS])?;
    assert!(same > 60, "{same}");
    Ok(())
}

/// A run as mmiotrace and back: accesses to BARs have less, everything else has come back.
#[test]
fn a_run_as_mmiotrace_comes_back_and_is_judged_the_same_as_far_as_that_tells() -> Result<()> {
    let session = Session::new()?;
    let text = session.run(&["export", RUN, "--to", "mmiotrace"])?.stdout;
    let ended = import(&session, &text, "mmiotrace", &["--device", "lab"])?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let json =
        |trace: &str| -> Result<String> { Ok(session.run(&["export", trace, "--to", "jsonl"])?.stdout) };
    let differ = differences(&json(RUN)?, &json("trace")?)?;
    let keys: Vec<_> = differ.keys().map(String::as_str).collect();
    assert_eq!(keys.join(", "), NOT_IN_MMIOTRACE, "{differ:#?}");
    let same = judged_alike(&session, &[OF_FUNCTIONS, "doesn't tell"])?;
    assert!(same > 60, "{same}");
    Ok(())
}

/// A part of a run says nothing of the rest.
#[test]
fn what_an_export_left_out_is_lost_to_the_import() -> Result<()> {
    let session = Session::new()?;
    let clauses = "  never write BAR2\n  read BAR0.ID at least 1 time\n";
    for format in ["jsonl", "mmiotrace"] {
        let text = session.run(&["export", RUN, "--to", format, "access lab.BAR0"])?.stdout;
        let ended = import(&session, &text, format, &["--device", "lab"])?;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stdout.contains(", 0 lost"), "{}", ended.stdout);
        let found = verdicts(&session, "trace", clauses)?;
        assert_eq!(words(&found), ["inconclusive", "pass"], "{format}: {found:?}");
        std::fs::remove_file(session.path("trace"))?;
    }
    Ok(())
}
