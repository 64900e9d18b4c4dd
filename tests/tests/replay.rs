//! Does a replay do to a device what was done before, and tell where it does something else?

use anyhow::Result;
use barscope_bench::command::{Ended, Session};
use serde_json::Value;

const EDU: [&str; 2] = [
    include_str!("../../device-model/devices/tests/data/edu/operations1.jsonl"),
    include_str!("../../device-model/devices/tests/data/edu/operations2.jsonl"),
];

fn replay(session: &Session, arguments: &[&str]) -> Result<(Ended, Value)> {
    let ended = session.run(&[&["replay", "--format", "json"], arguments].concat())?;
    let told = serde_json::from_str(&ended.stdout).unwrap_or_default();
    Ok((ended, told))
}

fn recording(session: &Session, text: &str) -> Result<(Ended, Value)> {
    session.file("recording", text.as_bytes())?;
    replay(session, &["--device", "edu", "recording"])
}

/// Steps of time are no operations of a device.
#[test]
fn what_qemus_edu_was_recorded_to_do_edu_does_but_for_what_it_documents() -> Result<()> {
    let session = Session::new()?;
    for (text, operations, undecoded) in [(EDU[0], 1446, 2), (EDU[1], 1465, 6)] {
        let (ended, told) = recording(&session, text)?;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        assert_eq!((&told["operations"], &told["first"]), (&operations.into(), &Value::Null));
        assert_eq!(told["explained"][0]["count"], undecoded);
        assert_eq!(told["explained"].as_array().map(Vec::len), Some(1));
    }
    Ok(())
}

#[test]
fn what_a_device_gave_is_a_recording_that_it_gives_again() -> Result<()> {
    let session = Session::new()?;
    session.file("recording", EDU[1].as_bytes())?;
    replay(&session, &["--device", "edu", "recording", "--out", "observed"])?;
    let (ended, told) = replay(&session, &["--device", "edu", "observed", "--out", "again"])?;
    assert_eq!(
        (ended.code, &told["operations"], &told["explained"]),
        (Some(0), &1465.into(), &Value::from(Vec::<Value>::new()))
    );
    assert_eq!(std::fs::read(session.path("observed"))?, std::fs::read(session.path("again"))?);
    Ok(())
}

/// One thing after the other is told otherwise than it was, and each is found where it is.
#[test]
fn a_falsified_recording_diverges_where_it_was_falsified() -> Result<()> {
    let session = Session::new()?;
    let lines: Vec<&str> = EDU[0].lines().collect();
    let first = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap_or_default();
    let value = first("\"op\": \"r\"");
    let configuration = first("\"op\": \"cfg_r\"");
    let level = first("raise");
    let memory = first("\"op\": \"ram_r\"");
    let digit = |line: &str| {
        let at = line.find("\"hex\": \"").map_or(0, |at| at + 8);
        let other = if &line[at..=at] == "0" { "1" } else { "0" };
        format!("{}{other}{}", &line[..at], &line[at + 1..])
    };
    for (at, line, about) in [
        (value, lines[value].replace("16777453", "16777452"), "00:04.0 BAR0+0x000 ID"),
        (
            configuration,
            lines[configuration].replace("\"val\": 16", "\"val\": 17"),
            "00:04.0 CONFIG+0x006 STATUS",
        ),
        (level, lines[level].replace("raise", "lower"), "00:04.0 interrupt pin"),
        (memory, digit(lines[memory]), "memory at "),
    ] {
        assert_ne!(lines[at], line);
        let mut falsified = lines.clone();
        falsified[at] = &line;
        let (ended, told) = recording(&session, &falsified.join("\n"))?;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert_eq!(told["first"]["at"], at + 1, "{told}");
        let found = told["first"]["about"].as_str().unwrap_or_default();
        assert!(found.starts_with(about), "{found}");
    }
    Ok(())
}

#[test]
fn a_bad_line_is_one_error_with_its_number() -> Result<()> {
    let session = Session::new()?;
    let head = "{\"hdr\":{\"command\":6,\"bar0\":4261412864}}\n";
    for (text, why) in [
        ("[]\n".to_owned() + head, "not an object"),
        (head.to_owned() + "{\"op\":\"r\",\"w\":4,\"off\":0,\"val\":1}\n{\"op\":\"q\"}\n", "line 3: column"),
        (
            head.to_owned() + "{\"op\":\"r\",\"w\":3,\"off\":0,\"val\":1}\n",
            "line 2: w has to be one of [1, 2, 4, 8]",
        ),
        (
            head.to_owned() + "{\"op\":\"w\",\"w\":1,\"off\":0,\"val\":256}\n",
            "line 2: val 0x100 has more than 1 bytes",
        ),
        (
            head.to_owned() + "{\"op\":\"r\",\"w\":4,\"off\":1048574,\"val\":0}\n",
            "line 2: 4 bytes at 0xffffe end behind BAR0, which has 0x100000",
        ),
        (
            head.to_owned() + "{\"op\":\"r\",\"bar\":3,\"w\":4,\"off\":0,\"val\":0}\n",
            "line 2: the device has no BAR3",
        ),
        (head.to_owned() + "{\"op\":\"step\",\"ms\":9999999999}\n", "line 2: a step takes an hour at most"),
        (
            head.to_owned() + "{\"op\":\"ram_r\",\"addr\":18446744073709551615,\"len\":1,\"hex\":\"00\"}\n",
            "line 2: 0xffffffffffffffff",
        ),
        ("{\"hdr\":{}}\n".to_owned(), "line 1: the first line has the device's state"),
        ("{\"hdr\":{\"command\":6,\"ops\":2}}\n".to_owned(), "announces 2 operations, and it has 0"),
    ] {
        let (ended, _) = recording(&session, &text)?;
        if why == "not an object" {
            assert_eq!(ended.code, Some(2));
            continue;
        }
        assert_eq!(ended.code, Some(2), "{text}");
        assert!(ended.stderr.contains(why) && ended.stderr.lines().count() == 1, "{why}: {}", ended.stderr);
    }
    Ok(())
}

/// A trace of the lab, and what it was made by.
fn lab_trace(session: &Session) -> Result<()> {
    let steps = "msi write BAR0.CONTROL {ENABLE=1} write BAR0.INT_MASK {DONE=1} write BAR0.OPERAND 5 write BAR0.OPCODE 1 \
                 read BAR0.STATUS wait 20us read BAR0.RESULT config read 0x10 config read 0x3c reset read BAR0.RESULT";
    let ended = session.run(&["poke", "lab", steps, "--trace", "lab.trace"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_trace_is_a_recording_too_and_its_effects_are_compared() -> Result<()> {
    let session = Session::new()?;
    lab_trace(&session)?;
    let (ended, told) = replay(&session, &["--device", "lab", "lab.trace", "--out", "observed"])?;
    assert_eq!(ended.code, Some(0), "{told}");
    assert_eq!((&told["first"], &told["undecided"]), (&Value::Null, &Value::Null));
    let observed = std::fs::read_to_string(session.path("observed"))?;
    assert!(observed.contains("\"msi\":[[0,0,4276092928,49]]"), "{observed}");
    // The message was sent when the computation was done: a recording of another one diverges there.
    session.file("falsified", observed.replace(",49]]", ",50]]").as_bytes())?;
    let (ended, told) = replay(&session, &["--device", "lab", "falsified"])?;
    assert_eq!((ended.code, &told["first"]["about"]), (Some(1), &"00:04.0 messages".into()));
    Ok(())
}

#[test]
fn a_trace_of_another_device_is_refused_with_what_it_has() -> Result<()> {
    let session = Session::new()?;
    lab_trace(&session)?;
    let (ended, _) = replay(&session, &["--device", "edu", "lab.trace"])?;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("the trace has no edu (1234:11e8)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("00:04.0 lab"), "{}", ended.stderr);
    Ok(())
}
