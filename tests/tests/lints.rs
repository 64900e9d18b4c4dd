//! Do lints find what drivers get wrong, and leave alone what is right?
//!
//! docs/lints.md is made from their texts: `BARSCOPE_WRITE=1 cargo test -p barscope-bench --test lints` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, anyhow, bail, ensure};
use barscope_analysis::lint;
use barscope_bench::command::{Session, debian};
use barscope_bench::compile;
use barscope_bench::workspace::{Workspace, root};
use barscope_guest_abi::bug::Bug;
use barscope_vmm::debian::kernel;
use boon::{Compiler, Schemas};
use serde_json::{Value, json};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lints.md");
const HELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lints-held.md");
const IMPORTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/import/tests/data");

/// What is meant in the test kernel's scenarios, and in Linux's.
const MEANT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/cli/src/meant/test-kernel.expect");
const MEANT_IN_LINUX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/cli/src/meant/linux.expect");

/// Mistakes of the test kernel's driver that lints find, besides what they find of scenarios.
const CAUGHT: [(Bug, &str); 14] = [
    (Bug::WrongWidth, "wrong-width"),
    (Bug::ReservedRegister, "reserved-write"),
    (Bug::MappedCached, "memory-type"),
    (Bug::DmaBeforeBusMastering, "no-bus-master"),
    (Bug::StatusWrittenBack, "config-w1c-merge"),
    (Bug::LiveVector, "msix-live-edit"),
    (Bug::EventsTaken, "stolen-clear-on-read"),
    (Bug::CauseAdded, "w1c-write-back"),
    (Bug::MissingReadBack, "unflushed"),
    (Bug::MaskedCause, "acts-on-masked"),
    (Bug::LateAcknowledgement, "handled-not-cleared"),
    (Bug::EventLost, "edge-lost"),
    (Bug::TransferLeft, "dma-after-stop"),
    (Bug::OffsetIgnored, "mmap-range"),
];

/// Mistakes of that driver that make a site, with its register and function.
const LISTED: [(Bug, [&str; 3]); 2] = [
    (Bug::StatusReadTwice, ["double-fetch", "BAR0.STATUS", "lab::finish"]),
    (Bug::ResultTrusted, ["device-length", "BAR0.OPERAND", "lab::finish"]),
];

/// Sites in the test kernel, its drivers and its program: lint, register and function.
const SITES: [[&str; 3]; 12] = [
    ["all-ones-trusted", "BAR0.DMA_STATUS", "dma::errors"],
    ["all-ones-trusted", "BAR0.FIFO_STATUS", "registers::fifo"],
    ["all-ones-trusted", "BAR0.INT_MASK", "pin::isr_on_pin"],
    ["all-ones-trusted", "BAR0.INT_STATUS", "bugs::forget_acknowledgement"],
    ["all-ones-trusted", "BAR0.INT_STATUS", "lab::isr"],
    ["all-ones-trusted", "BAR0.INT_STATUS", "pin::isr_on_pin"],
    ["all-ones-trusted", "BAR0.INT_STATUS", "registers::fifo"],
    ["all-ones-trusted", "BAR0.STATUS", "lab::finish"],
    ["all-ones-trusted", "BAR0.STATUS", "ticker::isr"],
    // Once for the first touch, and then in a loop.
    ["double-fetch", "BAR0.SCRATCH", "user::read_ten_times"],
    ["early-interrupt", "BAR0.INT_MASK", "lab::start_factorial"],
    // It gives up after so many reads, which it never had to.
    ["unbounded-poll", "BAR0.STATUS", "bugs::forget_acknowledgement"],
];

/// Sites in Linux's driver. Its handler compares what it reads with all-ones, which no trace shows of a device that stays.
/// Interrupts are let through last, waits are for an interrupt or a time, and what is read is checked where it is read.
const SITES_IN_LINUX: [[&str; 3]; 3] = [
    ["all-ones-trusted", "BAR0.DMA_STATUS", "lab_wait < lab_read"],
    ["all-ones-trusted", "BAR0.INT_STATUS", "lab_irq < lab_read"],
    ["all-ones-trusted", "BAR0.STATUS", "lab_wait < lab_read"],
];

/// A line for each finding.
fn findings(session: &Session, trace: &str) -> Result<Vec<Value>> {
    lines(session, trace, "finding")
}

/// A line for each finding, or for each site.
fn lines(session: &Session, trace: &str, event: &str) -> Result<Vec<Value>> {
    let ended = session.run(&["lint", trace, "--format", "json"])?;
    ensure!(ended.code == Some(0), "exit code {:?}: {}", ended.code, ended.stderr);
    let lines: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (end, rows) = lines.split_last().context("nothing was printed")?;
    ensure!(end["event"] == "lint" && end["more"] == 0, "{end}");
    Ok(rows.iter().filter(|row| row["event"] == event).cloned().collect())
}

/// Findings as lint, scenario, register and code.
fn names(findings: &[Value]) -> BTreeSet<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |it: &Value| ["lint", "scenario", "register", "code"].map(|key| text(&it[key]));
    findings.iter().map(name).collect()
}

/// Sites of a trace, as lint, register and function.
fn sites(session: &Session, trace: &str) -> Result<BTreeSet<[String; 3]>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |it: &Value| ["lint", "register", "function"].map(|key| text(&it[key]));
    Ok(lines(session, trace, "site")?.iter().map(name).collect())
}

fn table(rows: &[[&str; 3]]) -> BTreeSet<[String; 3]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

/// Where unit tests of lints are.
const UNIT_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/analysis/src/lint/tests");

/// What holds each lint: the mistake that it finds, or the site that it lists, and what it leaves alone.
fn held() -> Result<String> {
    let mut tests = BTreeSet::new();
    for file in fs::read_dir(UNIT_TESTS)? {
        let file = file?.path();
        // The folder is of random traces, which are of no lint alone.
        if file.is_dir() {
            continue;
        }
        let text = fs::read_to_string(file)?;
        let names = text.lines().filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {"));
        tests.extend(names.map(str::to_owned));
    }
    let mut scenarios = BTreeMap::<String, BTreeSet<String>>::new();
    for (file, guest) in [(MEANT, "scenario"), (MEANT_IN_LINUX, "scenario of Linux")] {
        for line in fs::read_to_string(file)?.lines() {
            let Some((lint, rest)) = line.strip_prefix("allow ").and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let scenario = rest.split_once(" in scenario ").and_then(|(_, rest)| rest.split(' ').next());
            let scenario = scenario.with_context(|| line.to_owned())?;
            scenarios.entry(lint.to_owned()).or_default().insert(format!("{guest} `{scenario}`"));
        }
    }
    let mut out = String::from(
        "# What holds each lint\n\nEach certain or likely lint finds a mistake that a driver makes: the test kernel's, which makes it \
         when told to (`--bug`), or a scenario that is about it. A provable one lists a site in the code of our own drivers, as it is or with such a mistake. Hand-made \
         traces (`vmm/analysis/src/lint/tests`) have what drivers of ours don't do, and what looks like the mistake and isn't. Random ones hold most lints against slow, obvious \
         judges, written from their texts (`vmm/analysis/src/lint/tests/reference`). All leave \
         the drivers alone where they don't make it: no other scenario of the test kernel's or of Linux's has a finding (a trace of Linux doesn't tell the kernel's own mappings: `barscope lint` says what isn't judged there). This file is \
         made by a test, `tests/tests/lints.rs`, which also runs all of it.\n\n| lint | class | finds it in | leaves alone |\n|---|---|---|---|\n",
    );
    for about in lint::all() {
        let stem = about.name.replace('-', "_");
        let own: Vec<_> = tests.iter().filter(|test| test.starts_with(&stem)).collect();
        let (alone, found): (Vec<_>, Vec<_>) = own.into_iter().partition(|test| {
            ["_is_not_said", "_is_silent", "_counts_anew"]
                .iter()
                .any(|part| test[stem.len()..].starts_with(part))
        });
        let listed = LISTED.iter().map(|(bug, [lint, ..])| (bug, lint));
        let bugs = CAUGHT.iter().map(|(bug, lint)| (bug, lint)).chain(listed);
        let mut shown: Vec<String> = bugs
            .filter(|(_, lint)| **lint == about.name)
            .map(|(bug, _)| format!("`--bug {}`", bug.name()))
            .collect();
        shown.extend(scenarios.get(about.name).into_iter().flatten().cloned());
        let sites = SITES.iter().chain(&SITES_IN_LINUX).filter(|[lint, ..]| *lint == about.name);
        let sites: BTreeSet<_> = sites.map(|[_, _, function]| format!("`{function}`")).collect();
        shown.extend(sites);
        let by_driver = shown.len();
        shown.extend(found.iter().map(|test| format!("`{test}`")));
        ensure!(by_driver > 0, "no driver of ours shows {}", about.name);
        ensure!(!found.is_empty(), "no hand-made trace shows {}", about.name);
        let others =
            if about.class == lint::Class::Provable { "the rest of our code" } else { "all other scenarios" };
        let mut clean = vec![others.to_owned()];
        clean.extend(alone.iter().map(|test| format!("`{test}`")));
        out += &format!(
            "| {} | {} | {} | {} |\n",
            about.name,
            about.class.name(),
            shown.join(", "),
            clean.join(", ")
        );
    }
    out += "\nOn Linux, a driver as strangers write it (`tests/strangers/wrong.c`) is told apart from itself with a mistake: `edge-lost` \
            and `mmap-range` find it. Debian's own drivers that take any function have no findings over a `lab`:\n\n\
            | driver | bound by `driver_override` |\n|---|---|\n";
    for (_, driver, ends) in OF_DEBIAN {
        let ends = if ends == "bound" { "yes".to_owned() } else { format!("no: {ends}; there is no IOMMU") };
        out += &format!("| `{driver}` | {ends} |\n");
    }
    out += "\nDebian's kernels have no `pci-stub`, and no other driver of theirs is for a number or a class of our devices.\n";
    Ok(out)
}

#[test]
fn the_table_says_what_holds_each_lint() -> Result<()> {
    let expected = held()?;
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        fs::write(HELD, &expected)?;
    }
    let found = fs::read_to_string(HELD).with_context(|| HELD.to_owned())?;
    assert!(found == expected, "{HELD} is out of date: BARSCOPE_WRITE=1 writes it anew");
    Ok(())
}

#[test]
fn the_docs_are_the_texts_of_the_lints() -> Result<()> {
    let expected = lint::markdown();
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        fs::write(DOCS, &expected)?;
    }
    let found = fs::read_to_string(DOCS).with_context(|| DOCS.to_owned())?;
    assert!(found == expected, "{DOCS} is out of date: BARSCOPE_WRITE=1 writes it anew");
    Ok(())
}

#[test]
fn the_command_that_a_lint_names_makes_a_trace_that_shows_it() -> Result<()> {
    let mut shown = BTreeSet::new();
    for about in lint::all().into_iter().filter(|about| about.shown_by.starts_with("barscope poke ")) {
        assert_eq!(shown_by(about)?, BTreeSet::from([about.name.to_owned()]), "{}", about.shown_by);
        shown.insert(about.name);
    }
    let expected =
        ["msix-live-edit", "no-bus-master", "reserved-write", "too-soon", "write-only-read", "wrong-width"];
    assert_eq!(shown, BTreeSet::from(expected));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_run_that_a_lint_names_makes_a_trace_that_shows_it() -> Result<()> {
    for about in lint::all().into_iter().filter(|about| about.shown_by.starts_with("barscope run ")) {
        assert!(shown_by(about)?.contains(about.name), "{}", about.shown_by);
    }
    Ok(())
}

/// What is found, or listed, in the trace that a lint's command makes.
fn shown_by(about: &lint::About) -> Result<BTreeSet<String>> {
    let session = Session::new()?;
    // A mistake may be one that a scenario notices.
    let (command, fails) = about
        .shown_by
        .split_once(" || echo the scenario fails")
        .map_or((about.shown_by, 0), |(it, _)| (it, 1));
    let words: Vec<_> = command.split(' ').skip(1).collect();
    let ended = session.run(&words)?;
    ensure!(ended.code == Some(fails), "{command}: {}", ended.stderr);
    let event = if about.class == lint::Class::Provable { "site" } else { "finding" };
    Ok(names(&lines(&session, "t", event)?).into_iter().map(|[lint, ..]| lint).collect())
}

#[test]
fn a_finding_fails_the_command_if_it_is_denied() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["poke", "lab", "read1", "BAR0.SCRATCH", "--trace", "bad"])?.code, Some(0));
    assert_eq!(session.run(&["poke", "lab", "read", "BAR0.SCRATCH", "--trace", "good"])?.code, Some(0));
    let code = |arguments: &[&str]| -> Result<Option<i32>> {
        Ok(session.run(&[&["lint"], arguments].concat())?.code)
    };
    assert_eq!(code(&["bad"])?, Some(0));
    assert_eq!(code(&["good", "bad", "--deny", "certain"])?, Some(1));
    assert_eq!(code(&["bad", "--deny", "likely"])?, Some(1));
    assert_eq!(code(&["good", "--deny", "likely"])?, Some(0));
    assert_eq!(code(&["no-such-trace"])?, Some(2));
    assert_eq!(code(&[])?, Some(2));
    let explained = session.run(&["lint", "--explain", "torn-64"])?;
    assert!(
        explained.stdout.starts_with("torn-64\n\n64-bit register read in halves"),
        "{}",
        explained.stdout
    );
    let unknown = session.run(&["lint", "--explain", "torn-65"])?;
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(2), "error: there is no lint torn-65; did you mean torn-64?\n")
    );
    let listed = session.run(&["lint", "--list"])?;
    assert_eq!(listed.stdout.lines().count(), 25);
    Ok(())
}

#[test]
fn what_an_expectation_file_allows_is_counted_and_what_it_allows_in_vain_is_told() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["poke", "lab", "read1", "BAR0.SCRATCH", "--trace", "bad"])?.code, Some(0));
    assert_eq!(session.run(&["poke", "lab", "read", "BAR0.SCRATCH", "--trace", "good"])?.code, Some(0));
    let allow = "allow wrong-width on BAR0.SCRATCH because \"a test\"\n";
    let stale = "# Gone since.\nallow torn-64 on BAR0.COUNTER because \"another\"\n";
    fs::write(session.path("meant.expect"), allow)?;
    fs::write(session.path("stale.expect"), stale)?;
    fs::write(session.path("wrong.expect"), "allow wrong-width on BAR0.SCRATCH\n")?;
    let unused = "unused allow torn-64 on BAR0.COUNTER at stale.expect:2";
    for (arguments, code, expected) in [
        (&["bad", "--expect", "meant.expect", "--deny", "likely"][..], 0, &["no findings; 1 allowed"][..]),
        (
            &["bad", "--expect", "meant.expect", "--expect", "stale.expect"],
            0,
            &["no findings; 1 allowed", unused],
        ),
        (
            &["bad", "--expect", "meant.expect", "--expect", "stale.expect", "--deny", "certain"],
            1,
            &["no findings; 1 allowed", unused],
        ),
        (
            &["good", "bad", "--expect", "meant.expect", "--deny", "certain"],
            0,
            &["good:", "no findings", "bad:", "no findings; 1 allowed"],
        ),
    ] {
        let ended = session.run(&[&["lint"], arguments].concat())?;
        assert_eq!(ended.code, Some(code), "{arguments:?} {}", ended.stderr);
        // What `poke` does is no program, whose mappings a lint would need; what to do about that goes on below.
        let told = |line: &&str| !line.is_empty() && !line.contains(" judged: ") && !line.starts_with("  ");
        assert_eq!(ended.stdout.lines().filter(told).collect::<Vec<_>>(), expected, "{arguments:?}");
    }
    let json = session.run(&["lint", "good", "--expect", "meant.expect", "--format", "json"])?.stdout;
    let last: Value = serde_json::from_str(json.lines().last().context("nothing was printed")?)?;
    let expected = json!({
        "event": "unused-allow", "lint": "wrong-width", "register": "BAR0.SCRATCH", "scenario": null, "reason": "a test",
        "file": "meant.expect", "line": 1,
    });
    assert_eq!(last, expected);
    let wrong = session.run(&["lint", "bad", "--expect", "wrong.expect"])?;
    let why = "wrong.expect:1:34: expected \"because\" and the reason in quotes, found the end\n";
    assert!(wrong.code == Some(2) && wrong.stderr.contains(why), "{}", wrong.stderr);
    // A file that only allows has nothing to check.
    let check = session.run(&["check", "bad", "meant.expect"])?;
    let why = "error: no test in these files: what their lines allow is for `barscope lint`\n";
    assert_eq!((check.code, check.stderr.as_str()), (Some(2), why));
    fs::write(
        session.path("both.expect"),
        format!("{allow}test \"a\"\n  read BAR0.SCRATCH exactly 1 times\n"),
    )?;
    assert_eq!(session.run(&["check", "bad", "both.expect"])?.code, Some(0));
    Ok(())
}

/// Traces with a certain finding, with none, and of another tracer, which doesn't tell all; and a file that allows one thing
/// and nothing else that is there.
fn three_traces() -> Result<Session> {
    let session = Session::new()?;
    assert_eq!(session.run(&["poke", "lab", "read1", "BAR0.SCRATCH", "--trace", "bad"])?.code, Some(0));
    assert_eq!(session.run(&["poke", "lab", "read", "BAR0.SCRATCH", "--trace", "good"])?.code, Some(0));
    let input = format!("{IMPORTED}/driver.mmiotrace");
    let import = ["import", &input, "--from", "mmiotrace", "--device", "edu", "-o", "foreign"];
    assert_eq!(session.run(&import)?.code, Some(0));
    let allows = "allow wrong-width on BAR0.SCRATCH because \"a test\"\n\
                  allow wrong-width on BAR0.ID because \"nothing is there\"\n";
    fs::write(session.path("meant.expect"), allows)?;
    Ok(session)
}

#[test]
fn sarif_is_as_its_schema_says_and_has_a_run_for_each_trace() -> Result<()> {
    let session = three_traces()?;
    let schema =
        Workspace::read()?.folder("serde-sarif").context("it is a dependency")?.join("src/schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema)?)?;
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("sarif", schema).map_err(|error| anyhow!("{error}"))?;
    let compiled = compiler.compile("sarif", &mut schemas).map_err(|error| anyhow!("{error}"))?;
    let sarif = |arguments: &[&str]| -> Result<Value> {
        let ended = session.run(&[&["lint", "--format", "sarif"], arguments].concat())?;
        let document: Value = serde_json::from_str(&ended.stdout)?;
        schemas.validate(&document, compiled).map_err(|error| anyhow!("{document:#}\n{error:#}"))?;
        Ok(document)
    };
    let document = sarif(&["bad", "good", "foreign"])?;
    let runs = document["runs"].as_array().context("a list")?;
    let ids: Vec<_> = runs.iter().filter_map(|run| run["automationDetails"]["id"].as_str()).collect();
    assert_eq!(ids, ["barscope lint/bad/", "barscope lint/good/", "barscope lint/foreign/"]);
    for run in runs {
        let rules = run["tool"]["driver"]["rules"].as_array().context("a list")?;
        assert_eq!(rules.len(), lint::all().len());
        let help = rules[0]["help"]["markdown"].as_str().context("help")?;
        assert!(help.starts_with("## asleep\n"), "{help}");
    }
    let [found] = &runs[0]["results"].as_array().context("a list")?[..] else { bail!("{document:#}") };
    assert_eq!((&found["ruleId"], &found["level"]), (&"wrong-width".into(), &"error".into()));
    let rule = found["ruleIndex"].as_u64().context("an index")?;
    assert_eq!(runs[0]["tool"]["driver"]["rules"][rule as usize]["id"], "wrong-width");
    let sentence = "A read of 1 byte at BAR0+0x008, BAR0.SCRATCH, which the register doesn't take: the device refused it.";
    assert_eq!(found["message"]["text"], sentence);
    let register = &found["locations"][0]["logicalLocations"][0];
    assert_eq!(
        (&register["name"], &register["fullyQualifiedName"]),
        (&"BAR0.SCRATCH".into(), &"00:04.0 lab BAR0.SCRATCH".into())
    );
    assert_eq!(found["suppressions"], json!([]));
    assert_eq!(runs[1]["results"], json!([]));
    let notes = &runs[2]["invocations"][0]["toolExecutionNotifications"];
    assert!(
        notes.as_array().context("a list")?.iter().any(|note| note["associatedRule"]["id"] == "memory-type"),
        "{notes}"
    );

    let document = sarif(&["bad", "--expect", "meant.expect"])?;
    let run = &document["runs"][0];
    let line = json!({ "artifactLocation": { "uri": "meant.expect" }, "region": { "startLine": 1 } });
    let expected = json!([{
        "kind": "external", "status": "accepted", "justification": "a test", "location": { "physicalLocation": line },
    }]);
    assert_eq!(run["results"][0]["suppressions"], expected);
    let stale = &run["invocations"][0]["toolConfigurationNotifications"][0];
    assert_eq!(stale["message"]["text"], "unused allow wrong-width on BAR0.ID at meant.expect:2");
    assert_eq!(stale["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
    Ok(())
}

#[test]
fn junit_has_a_suite_for_each_trace_and_github_a_line_for_each_finding() -> Result<()> {
    let session = three_traces()?;
    let lint = |arguments: &[&str]| -> Result<String> {
        Ok(session.run(&[&["lint", "bad", "good", "foreign"], arguments].concat())?.stdout)
    };
    let junit = lint(&["--format", "junit"])?;
    let count = |part: &str| junit.matches(part).count();
    assert_eq!((count("<testsuite "), count("<testcase ")), (3, 3 * 20), "{junit}");
    assert_eq!((count("<failure "), count("type=\"fail\"")), (1, 1), "{junit}");
    let (_, blind) = junit.split_once("name=\"memory-type\" classname=\"foreign\"").context("a case")?;
    let (blind, _) = blind.split_once("</testcase>").context("its end")?;
    assert!(blind.contains("<skipped ") && blind.contains("the memory types of accesses"), "{junit}");
    let sentence = "A read of 1 byte at BAR0+0x008, BAR0.SCRATCH, which the register doesn't take: the device refused it.";
    let github = lint(&["--format", "github"])?;
    assert_eq!(github, format!("::error title=barscope certain wrong-width::{sentence}\n"));
    let github =
        session.run(&["lint", "bad", "good", "--format", "github", "--expect", "meant.expect"])?.stdout;
    let unused = "unused allow wrong-width on BAR0.ID at meant.expect:2";
    assert_eq!(github, format!("::warning file=meant.expect,line=2,title=barscope unused allow::{unused}\n"));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn findings_are_told_at_files_and_lines_as_the_repository_has_them() -> Result<()> {
    let session = Session::new()?;
    let run = ["run", "--quiet", "--scenario", "interrupt", "--bug", "wrong-width", "--trace", "t"];
    session.run(&run)?;
    let sarif: Value = serde_json::from_str(&session.run(&["lint", "t", "--format", "sarif"])?.stdout)?;
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    let file = place["artifactLocation"]["uri"].as_str().context("a file")?;
    let line = place["region"]["startLine"].as_u64().context("a line")?;
    assert!(file.starts_with("guest-driver/test-kernel/src/"), "{file}");
    assert!(root().join(file).is_file(), "{file}");
    let github = session.run(&["lint", "t", "--format", "github"])?.stdout;
    let start = format!("::error file={file},line={line},title=barscope certain wrong-width::A ");
    assert!(github.starts_with(&start), "{github}");
    Ok(())
}

#[test]
fn a_trace_of_another_tracer_is_not_judged_by_what_it_does_not_tell() -> Result<()> {
    let session = Session::new()?;
    let inputs: [(&str, &str, &[&str]); 3] = [
        ("driver.mmiotrace", "mmiotrace", &[]),
        ("edu.qemu", "qemu", &["--bar", "0=edu-mmio"]),
        ("edu.rwmmio", "rwmmio", &["--bar", "0=0xffff800010000000"]),
    ];
    for (file, from, bar) in inputs {
        let input = format!("{IMPORTED}/{file}");
        let import = ["import", &input, "--from", from, "--device", "edu", "-o", file];
        let ended = session.run(&[&import, bar].concat())?;
        ensure!(ended.code == Some(0), "{file}: {}", ended.stderr);
        let ended = session.run(&["lint", file, "--format", "json"])?;
        let end: Value = serde_json::from_str(ended.stdout.lines().last().context("nothing was printed")?)?;
        let blind = end["not_judged"].as_array().context("a list")?;
        let blind: Vec<_> = blind.iter().filter_map(|it| it["lint"].as_str()).collect();
        for lint in ["config-w1c-merge", "memory-type", "mmap-range", "no-bus-master", "stolen-clear-on-read"]
        {
            assert!(blind.contains(&lint), "{file}: {blind:?}");
        }
        assert_eq!((&end["certain"], &end["likely"]), (&0.into(), &0.into()), "{file}: {}", ended.stdout);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn scenarios_have_no_findings_but_what_they_are_about() -> Result<()> {
    let session = Session::new()?;
    let run = ["run", "--quiet", "--trace", "t"];
    let ended = session.run(&[&run[..], &["--lint=certain"]].concat())?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("torn-64, likely: BAR0.COUNTER of 00:04.0 lab"), "{}", ended.stdout);
    let ended = session.run(&[&run[..], &["--lint=likely", "--expect", MEANT]].concat())?;
    assert!(ended.stdout.starts_with("no findings; "), "{}", ended.stdout);
    // Where this machine was busy for 10 ms just then, the access after D3hot isn't too soon.
    let is_late = ended.stdout.contains("unused allow too-soon on CONFIG.BAR0 in scenario d3hot");
    assert_eq!(ended.code, Some(i32::from(is_late)), "{}{}", ended.stdout, ended.stderr);
    // Allowed where they are about it, and nowhere else.
    let lines = fs::read_to_string(MEANT)?;
    let lines: Vec<_> = lines.lines().filter(|line| line.starts_with("allow ")).collect();
    assert!(lines.iter().all(|line| line.contains(" in scenario ")), "{lines:?}");
    assert_eq!(sites(&session, "t")?, table(&SITES));
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn a_driver_of_linux_has_no_findings_but_in_scenarios_that_are_about_them() -> Result<()> {
    let session = Session::new()?;
    let ended = session.run(&["run", "--guest", "linux", "--nested", "--trace", "t"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lints: "), "{}", ended.stderr);
    let ended = session.run(&["lint", "t", "--deny", "likely", "--expect", MEANT_IN_LINUX])?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.starts_with("no findings; 2 allowed\n"), "{}", ended.stdout);
    assert_eq!(sites(&session, "t")?, table(&SITES_IN_LINUX));
    Ok(())
}

/// A driver as strangers write it, a program that uses it, and one that binds Debian's own drivers.
const WRONG: &str = include_str!("../strangers/wrong.c");
const DRIVE: &str = include_str!("../strangers/drive.c");
const STOCK: &str = include_str!("../strangers/stock.c");

/// Runs a program in Linux with these modules; what is found.
fn linux(session: &Session, modules: &[&str], program: &str) -> Result<Vec<Value>> {
    let modules = modules.iter().flat_map(|module| ["--module", module]);
    let run = ["run", "--guest", "linux", "--nested", "--quiet", "--device", "lab", "--trace", "t"];
    let run: Vec<_> = run.into_iter().chain(modules).chain(["--program", program]).collect();
    let ended = session.run(&run)?;
    ensure!(ended.code == Some(0), "{}{}", ended.stdout, ended.stderr);
    findings(session, "t")
}

fn program(session: &Session, name: &str, source: &str) -> Result<()> {
    let source = session.file(&format!("{name}.c"), source.as_bytes())?;
    compile::program(&source, &session.path(name))
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn mistakes_of_a_strangers_driver_on_linux_are_found_that_the_clean_one_has_not() -> Result<()> {
    let session = Session::new()?;
    compile::modules(&session, &[("wrong", WRONG)])?;
    program(&session, "drive", DRIVE)?;
    for (mistake, expected) in [
        ("none", [].as_slice()),
        ("edge", &[["edge-lost", "BAR0.INT_STATUS", "wrong_irq"]]),
        ("mmap", &[["mmap-range", "BAR2.MEMORY", "main"]]),
    ] {
        let all = linux(&session, &[&format!("wrong.ko mistake={mistake}")], "drive")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = |it: &Value| ["lint", "register", "function"].map(|key| text(&it[key]));
        let found: BTreeSet<_> = all.iter().map(name).collect();
        assert_eq!(found, table(expected), "{mistake}");
    }
    Ok(())
}

/// Drivers of Debian's kernel that take any function once they are told to, and whether they take one of ours. Those for
/// devices of their own don't: no number and no class of ours is one of theirs.
const OF_DEBIAN: [(&str, &str, &str); 3] = [
    ("uio/uio_pci_generic", "uio_pci_generic", "bound"),
    ("pci/pci-pf-stub", "pci-pf-stub", "bound"),
    // Its Linux is built without VFIO_NOIOMMU, and the machine has no IOMMU.
    ("vfio/pci/vfio-pci", "vfio-pci", "Invalid argument"),
];

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn drivers_of_debian_that_take_any_device_have_no_findings() -> Result<()> {
    let session = Session::new()?;
    program(&session, "stock", STOCK)?;
    let version = kernel().context("no kernel: cargo xtask setup")?.version;
    let roots = debian()?;
    let mut modules = Vec::new();
    for (path, ..) in OF_DEBIAN {
        let below = format!("lib/modules/{version}/kernel/drivers/{path}.ko");
        let module = roots.iter().map(|root| root.join(&below)).find(|module| module.is_file());
        modules.push(module.with_context(|| format!("no {path}: cargo xtask setup"))?.display().to_string());
    }
    let modules: Vec<_> = modules.iter().map(String::as_str).collect();
    let drivers = OF_DEBIAN.map(|(_, driver, _)| driver).join(" ");
    let found = linux(&session, &modules, &format!("stock {drivers}"))?;
    assert_eq!(found, [Value::Null; 0]);
    let console = fs::read_to_string(session.path("barscope.console"))?;
    for (_, driver, ends) in OF_DEBIAN {
        assert!(console.contains(&format!("{driver}: {ends}")), "{driver}: {console}");
    }
    // They were seen at work.
    let show = session.run(&["show", "t", "write BAR0.INT_STATUS by process stock"])?.stdout;
    assert_eq!(show.matches("INT_STATUS W4 0x1").count(), 3, "{show}");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_run_tells_in_one_line_of_certain_findings_that_nobody_meant() -> Result<()> {
    let session = Session::new()?;
    let told = |arguments: &[&str]| -> Result<Vec<String>> {
        let ended = session.run(&[&["run", "--trace", "t"], arguments].concat())?;
        Ok(ended.stderr.lines().filter(|line| line.starts_with("lints: ")).map(str::to_owned).collect())
    };
    let bug = ["--scenario", "interrupt", "--bug", "wrong-width"];
    assert_eq!(told(&bug)?, ["lints: 1 certain finding (barscope lint t)"]);
    assert_eq!(
        told(&[&bug[..], &["--format", "json"]].concat())?,
        ["lints: 1 certain finding (barscope lint t)"]
    );
    // What `barscope lint` counts.
    assert_eq!(findings(&session, "t")?.len(), 1);
    assert_eq!(told(&[&bug[..], &["--quiet"]].concat())?, [""; 0]);
    // All findings are told then.
    assert_eq!(told(&[&bug[..], &["--lint"]].concat())?, [""; 0]);
    fs::write(session.path("meant.expect"), "allow wrong-width on BAR0 because \"a test\"\n")?;
    assert_eq!(told(&[&bug[..], &["--expect", "meant.expect"]].concat())?, [""; 0]);
    // Scenarios that are about mistakes.
    assert_eq!(told(&[])?, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn lints_are_cases_of_a_runs_report_which_fail_if_they_are_denied() -> Result<()> {
    let session = Session::new()?;
    let run = ["run", "--quiet", "--scenario", "interrupt", "--bug", "wrong-width", "--junit", "r.xml"];
    for (lint, ends, tag) in [
        ("--lint", 0, "<skipped message=\"not denied: A write of 1 byte"),
        ("--lint=certain", 1, "<failure message=\"A write of 1 byte"),
    ] {
        let ended = session.run(&[&run[..], &[lint]].concat())?;
        assert_eq!(ended.code, Some(ends), "{lint} {}", ended.stderr);
        let junit = fs::read_to_string(session.path("r.xml"))?;
        let (_, lints) = junit.split_once("<testsuite name=\"lints\"").context("a suite")?;
        let (_, case) = lints.split_once("name=\"wrong-width\"").context("a case")?;
        let (case, _) = case.split_once("</testcase>").context("its end")?;
        assert!(case.contains(tag), "{case}");
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn mistakes_of_a_driver_are_found_that_the_clean_one_has_not() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["run", "--quiet", "--trace", "clean"])?.code, Some(0));
    let clean = names(&findings(&session, "clean")?);
    for bug in Bug::ALL {
        // Some wait for ever for what never comes.
        let run = ["run", "--quiet", "--timeout", "10", "--bug", bug.name(), "--trace", bug.name()];
        session.run(&run)?;
        let all = names(&findings(&session, bug.name())?);
        let more: BTreeSet<_> = all.difference(&clean).map(|[lint, ..]| lint.as_str()).collect();
        let expected = CAUGHT.iter().filter(|(of, _)| *of == bug).map(|(_, lint)| *lint).collect();
        assert_eq!(more, expected, "--bug {}", bug.name());
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn mistakes_that_a_fault_would_show_are_sites_that_no_class_denies() -> Result<()> {
    let session = Session::new()?;
    for (bug, site) in LISTED {
        let run = ["run", "--quiet", "--scenario", "interrupt", "--bug", bug.name(), "--trace", "t"];
        session.run(&run)?;
        let listed = sites(&session, "t")?;
        assert!(listed.contains(&site.map(str::to_owned)), "{listed:?}");
        assert!(!table(&SITES).contains(&site.map(str::to_owned)), "{site:?}");
    }
    let count = lines(&session, "t", "site")?.len();
    let short = session.run(&["lint", "t"])?;
    assert!(!short.stdout.contains("device-length"), "{}", short.stdout);
    let line = format!("{count} sites for fault campaigns (--sites lists them)\n");
    assert!(short.stdout.contains(&line), "{}", short.stdout);
    let long = session.run(&["lint", "t", "--sites"])?;
    assert_eq!(long.stdout.matches(", provable: ").count(), count, "{}", long.stdout);
    Ok(())
}
