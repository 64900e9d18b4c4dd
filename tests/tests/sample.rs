//! Can everything that needs no KVM be tried on the trace that is checked in, and is that up to date?

use std::path::Path;

use anyhow::{Context, Result};
use barscope_analysis::Trace;
use barscope_bench::command::{Ended, Session};
use barscope_trace::{Capability, End, EventKind, Knowledge};
use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");

/// Runs a command on the sample; it has to pass.
fn on_sample(command: &[&str], rest: &[&str]) -> Result<Ended> {
    let ended = Session::new()?.run(&[command, &[SAMPLE], rest].concat())?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{command:?} {rest:?}");
    Ok(ended)
}

#[test]
fn the_sample_is_whole_and_of_this_version() -> Result<()> {
    let trace = Trace::open(Path::new(SAMPLE)).context("make it anew with `cargo xtask sample`")?;
    assert_eq!(
        (trace.info().end, trace.info().lost, trace.info().damage),
        (Some(&End::Finished), 0, &[][..])
    );
    for capability in Capability::ALL {
        let told = trace.info().capabilities.of(capability) == Knowledge::Announced;
        assert_eq!(told, !matches!(capability, Capability::Processes | Capability::Stacks), "{capability:?}");
    }
    let views = trace.views().all();
    let passed: Vec<_> = views
        .iter()
        .filter_map(|view| match view.kind {
            EventKind::ScenarioEnd { passed: true, .. } => view.scenario.as_deref(),
            _ => None,
        })
        .collect();
    for scenario in ["probe", "same-register", "interrupt", "no-kernel-entry", "dma-both-ways"] {
        assert!(passed.contains(&scenario), "{scenario}");
    }
    let named = views.iter().filter_map(|view| view.access()?.function()).any(|name| name == "lab::probe");
    assert!(named, "its functions have names");
    Ok(())
}

#[test]
fn the_sample_is_small_and_names_no_machine() -> Result<()> {
    assert!(std::fs::metadata(SAMPLE)?.len() < 400 << 10);
    let trace = Trace::open(Path::new(SAMPLE))?;
    for (id, _) in trace.definitions().images() {
        let image = trace.definitions().blob(id);
        for folder in ["/home/", "/root/"] {
            assert!(!image.windows(folder.len()).any(|bytes| bytes == folder.as_bytes()), "{folder}");
        }
    }
    Ok(())
}

#[test]
fn records_of_the_sample_are_shown() -> Result<()> {
    let shown = on_sample(&["show"], &["bar0.SCRATCH and path==mmap"])?;
    assert!(shown.stdout.contains("BAR0+0x008 SCRATCH"), "{}", shown.stdout);
    Ok(())
}

#[test]
fn kernel_entries_of_the_sample_are_those_of_the_program_that_counted() -> Result<()> {
    let maps = on_sample(&["maps"], &[])?.stdout;
    let rows: Vec<_> = maps.lines().filter(|line| line.contains("kernel entr")).collect();
    assert!(
        matches!(rows[..], [row] if row.ends_with("1,000  UC- -> UC  user 4, 0 kernel entries")),
        "{maps}"
    );
    Ok(())
}

#[test]
fn statistics_of_the_sample_are_told_as_text() -> Result<()> {
    let text = on_sample(&["stats"], &[])?.stdout;
    for line in [
        "finished, virtual device clock",
        "by register; time to serve",
        "user::thousand_accesses",
        "busy; device time",
        "interrupt to ISR's access",
        "bugs::forget_acknowledgement bugs.rs:",
        "until 0x1 became 0x2 DONE",
        "counted by the guest",
        "22 of 22 100 %",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    assert!(!text.contains("partial"), "{text}");
    Ok(())
}

#[test]
fn a_job_summary_of_the_sample_says_how_it_ended() -> Result<()> {
    let page = on_sample(&["stats"], &["--format", "markdown", "--top", "3"])?.stdout;
    let heading = page.lines().next().unwrap_or_default();
    assert!(heading.starts_with("### barscope: ") && heading.ends_with(" scenarios passed"), "{page}");
    for line in [
        "| scenario | verdict | accesses |",
        "| `probe` | passed | 15 |",
        "| `00:04.0 lab` busy | device |",
        "| register | reads | writes | refused | p50 | p99 | max |",
        "| `ioremap` |",
        "Never accessed, 27 of 69 registers: ",
    ] {
        assert!(page.contains(line), "no {line:?} in {page}");
    }
    Ok(())
}

#[test]
fn statistics_of_several_traces_add_up() -> Result<()> {
    let json = |rest: &[&str]| -> Result<Value> {
        let arguments = [&["--format", "json"], rest].concat();
        Ok(serde_json::from_str(&on_sample(&["stats"], &arguments)?.stdout)?)
    };
    let (one, two) = (json(&[])?, json(&[SAMPLE])?);
    let doubled = |key: &str| two[key].as_u64() == one[key].as_u64().map(|count| 2 * count);
    assert!(["records", "accesses", "instructions"].into_iter().all(doubled), "{two}");
    let entries = |json: &Value| {
        let windows = json["windows"].as_array().cloned().unwrap_or_default();
        windows.into_iter().find(|window| window["name"] == "no-kernel-entry")
    };
    assert_eq!(entries(&one).context("no window")?["kernel_entries"], 0);
    assert_eq!(two["coverage"], one["coverage"]);
    assert_eq!(two["traces"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[test]
fn statistics_of_what_is_no_whole_trace_are_partial_or_refused() -> Result<()> {
    let session = Session::new()?;
    let packed = std::fs::read(SAMPLE)?;
    session.file("cut.trace.gz", &packed[..packed.len() - 1000])?;
    let cut = session.run(&["stats", "cut.trace.gz"])?;
    assert_eq!((cut.code, cut.stderr.as_str()), (Some(0), ""));
    assert!(cut.stdout.contains("cut.trace.gz: the file was cut off"), "{}", cut.stdout);

    session.file("text", b"no trace")?;
    for (file, says) in [("text", "is no barscope trace"), ("missing", "cannot read the trace missing")] {
        let refused = session.run(&["stats", SAMPLE, file])?;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.starts_with("error: ") && refused.stderr.contains(says), "{}", refused.stderr);
    }
    Ok(())
}

#[test]
fn shells_get_completions_of_every_command() -> Result<()> {
    let session = Session::new()?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = session.run(&["completions", shell])?;
        assert_eq!(script.code, Some(0), "{shell}: {}", script.stderr);
        for word in ["barscope", "stats", "show", "scenario"] {
            assert!(script.stdout.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(session.run(&["completions", "cmd.exe"])?.code, Some(2));
    Ok(())
}

#[test]
fn every_command_has_a_manual_page() -> Result<()> {
    let session = Session::new()?;
    let page = session.run(&["man"])?;
    assert!(page.stdout.contains(".TH barscope 1") && page.stdout.contains("Exit code:"), "{}", page.stdout);
    let pages = session.run(&["man", "share/man1"])?;
    assert_eq!((pages.code, pages.stdout.as_str()), (Some(0), ""), "{}", pages.stderr);
    for name in ["barscope", "barscope-run", "barscope-show", "barscope-stats", "barscope-check"] {
        let page = std::fs::read_to_string(session.path(&format!("share/man1/{name}.1")))?;
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    session.file("taken", b"")?;
    let refused = session.run(&["man", "taken/man1"])?;
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("taken/man1"), "{}", refused.stderr);
    Ok(())
}
