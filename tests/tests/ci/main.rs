//! Do the action for GitHub and the examples for CI systems say what those systems read, and do their steps leave what they
//! promise?

mod job;
mod yaml;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Ended, Session};
use barscope_bench::workspace::root;
use serde_json::Value;

use self::job::Job;

const PROBE: &str = "test \"its identity is read\" in scenario probe\n  read BAR0.ID at least 1\n";
const FACTORIAL: &str = "test \"5! is 120\"\n  read BAR0.FACTORIAL == 120 at least 1\n";

fn file(name: &str) -> PathBuf {
    root().join(name)
}

/// The action's job, with these inputs beside its defaults.
fn action(inputs: &[(&str, &str)]) -> Result<(Job, Vec<Value>)> {
    let action = yaml::read(&file("action.yml"))?;
    let mut job = Job::new()?;
    for (name, input) in action["inputs"].as_object().context("no inputs")? {
        let given = inputs.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
        let value = given.or(input["default"].as_str()).context("an input without a default")?;
        job.set(&format!("inputs.{name}"), value);
    }
    for (expression, value) in
        [("runner.os", "Linux"), ("runner.arch", "X64"), ("steps.cache.outputs.cache-hit", "")]
    {
        job.set(expression, value);
    }
    let temporary = job.session.path("temp").display().to_string();
    job.set("runner.temp", &temporary);
    // What its state is told by, without everything that was built here.
    let source = job.session.path("source");
    fs::create_dir(&source)?;
    fs::copy(file("Cargo.lock"), source.join("Cargo.lock"))?;
    job.set("github.action_path", &source.display().to_string());
    let steps = action["runs"]["steps"].as_array().context("no steps")?.clone();
    Ok((job, steps))
}

fn name(step: &Value) -> &str {
    step["name"].as_str().unwrap_or_default()
}

/// The files that the job keeps, once it is over.
fn kept(job: &Job) -> Result<Vec<String>> {
    let (action, with) = job.used.last().context("nothing is used")?;
    assert_eq!((action.as_str(), with["name"].as_str()), ("actions/upload-artifact@v4", Some("barscope")));
    let folder = fs::read_dir(with["path"].as_str().context("no path")?)?;
    let mut names: Vec<_> =
        folder.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn the_files_are_what_their_schemas_say() -> Result<()> {
    let session = Session::new()?;
    for (schema, name, right, wrong) in [
        ("github-actions", "action.yml", "using: composite", "using: composit"),
        ("github-workflows", "examples/ci/github.yml", "runs-on:", "runs_on:"),
        ("gitlab-ci", "examples/ci/gitlab-ci.yml", "when: always", "when: whenever"),
    ] {
        assert_eq!(yaml::wrong(schema, &file(name))?, None, "{name}");
        let text = fs::read_to_string(file(name))?;
        ensure!(text.contains(right), "{name} has no {right}");
        let broken = session.file("broken.yml", text.replace(right, wrong).as_bytes())?;
        ensure!(yaml::wrong(schema, &broken)?.is_some(), "{name} with {wrong} is as good");
    }
    Ok(())
}

#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn the_action_builds_barscope_and_tells_of_a_trace_in_summary_page_and_artifact() -> Result<()> {
    let (mut job, steps) = action(&[])?;
    for step in &steps {
        if name(step) == "Run" {
            // What it would leave.
            let trace = job.session.path("temp/barscope/barscope.trace");
            let poked = job.session.run(&[
                "poke",
                "lab",
                "--trace",
                &trace.display().to_string(),
                "read",
                "BAR0.ID",
            ])?;
            assert_eq!(poked.code, Some(0), "{}", poked.stderr);
            continue;
        }
        job.take(step)?;
        ensure!(!job.has_failed, "{}: {}", name(step), job.printed);
    }
    let program = job.session.path("temp/barscope-program");
    let built = format!("cargo install --locked --path vmm/cli --root {}\n", program.display());
    assert_eq!(job.text("told")?, built);
    ensure!(job.printed.starts_with("barscope 0.1.0\n"), "{}", job.printed);
    let summary = job.text("summary")?;
    ensure!(summary.starts_with("### barscope: 2 accesses\n"), "{summary}");
    ensure!(summary.contains("| `00:04.0 lab BAR0.ID` | 1 |"), "{summary}");
    assert_eq!(kept(&job)?, ["barscope.html", "barscope.sarif", "barscope.trace.pack"]);
    let packed = job.session.path("temp/barscope/barscope.trace.pack");
    let shown = job.session.run(&["show", &packed.display().to_string(), "read BAR0.ID"])?;
    ensure!(shown.code == Some(0) && shown.stdout.contains("BAR0+0x000 ID"), "{}", shown.stderr);
    let (action, with) = &job.used[0];
    assert_eq!(action, "actions/cache@v4");
    let key = with["key"].as_str().context("no key")?;
    ensure!(key.starts_with("barscope-Linux-X64-") && key.len() == "barscope-Linux-X64-".len() + 64, "{key}");
    Ok(())
}

#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn who_may_not_open_kvm_gets_a_rule_for_it() -> Result<()> {
    let (mut job, steps) = action(&[])?;
    let mut step = steps[0].clone();
    // Root may whatever the file says.
    let script = step["run"].as_str().context("no script")?;
    let condition = "[ -e /dev/kvm ] && [ ! -w /dev/kvm ]";
    ensure!(script.contains(condition), "{script}");
    step["run"] = script.replace(condition, "true").into();
    job.take(&step)?;
    let expected = "sudo tee /etc/udev/rules.d/99-kvm.rules\n\
                    KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0666\", OPTIONS+=\"static_node=kvm\"\n\
                    sudo udevadm control --reload-rules\nsudo udevadm trigger --name-match=kvm\nsudo udevadm settle\n";
    assert_eq!((job.text("told")?.as_str(), job.has_failed), (expected, false));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm, python3 and PyPI's check-jsonschema"]
fn the_action_holds_a_run_against_files_and_tells_of_one_that_fails() -> Result<()> {
    let inputs = [
        ("args", "--scenario probe\n--filter 'mark \"$(touch evil)\"'  --memory \"64\""),
        ("expect", "probe.expect\ntests/two words.expect\n"),
    ];
    for (second, fails) in [(PROBE.to_owned(), false), (PROBE.replace("at least 1", "exactly 0"), true)] {
        let (mut job, steps) = action(&inputs)?;
        fs::create_dir(job.session.path("work/tests"))?;
        job.session.file("work/probe.expect", PROBE.as_bytes())?;
        job.session.file("work/tests/two words.expect", second.as_bytes())?;
        for step in &steps {
            job.take(step)?;
        }
        assert_eq!(job.has_failed, fails, "{}", job.printed);
        assert_eq!(
            job.printed.contains("::error file=tests/two words.expect,line=2"),
            fails,
            "{}",
            job.printed
        );
        ensure!(job.text("summary")?.contains("| `probe` | passed |"), "{}", job.text("summary")?);
        assert_eq!(kept(&job)?, ["barscope.html", "barscope.sarif", "barscope.trace.pack", "barscope.xml"]);
        ensure!(!job.session.path("work/evil").exists(), "what is quoted was run");
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm, python3 and PyPI's check-jsonschema"]
fn the_action_tells_of_findings_and_fails_by_those_that_are_denied() -> Result<()> {
    let wrong = "--scenario interrupt --bug wrong-width";
    let allow = "allow wrong-width on BAR0.CONTROL because \"a test\"\n";
    for (deny, expect, fails, told) in [
        ("", "", false, 1),
        ("certain", "", true, 1),
        ("likely", "meant.expect", false, 0),
        ("", "meant.expect", false, 0),
    ] {
        let (mut job, steps) = action(&[("args", wrong), ("deny", deny), ("expect", expect)])?;
        job.session.file(
            "work/meant.expect",
            format!("{allow}test \"it ran\"\n  msi 0 exactly 1 time\n").as_bytes(),
        )?;
        for step in &steps {
            job.take(step)?;
        }
        assert_eq!(job.has_failed, fails, "{deny} {}", job.printed);
        let annotations =
            job.printed.lines().filter(|line| line.starts_with("::error ") && line.contains("wrong-width"));
        assert_eq!(annotations.count(), told, "{deny} {expect} {}", job.printed);
        let sarif = job.text("temp/barscope/barscope.sarif")?;
        assert!(sarif.contains("\"ruleId\": \"wrong-width\""), "{sarif}");
    }
    Ok(())
}

#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn arguments_with_an_open_quote_fail_the_step_before_it_runs_anything() -> Result<()> {
    let (mut job, steps) = action(&[("args", "--scenario 'probe")])?;
    for step in steps.iter().filter(|step| step["uses"].is_null()) {
        job.take(step)?;
    }
    ensure!(job.has_failed && job.printed.contains("unmatched single quote"), "{}", job.printed);
    ensure!(!job.session.path("temp/barscope/barscope.trace").exists(), "it ran");
    assert_eq!(job.text("summary")?, "");
    Ok(())
}

/// The example's steps of its own, with barscope where the action would have it.
#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn the_example_for_github_does_what_it_shows() -> Result<()> {
    let workflow = yaml::read(&file("examples/ci/github.yml"))?;
    let inputs = yaml::read(&file("action.yml"))?["inputs"].clone();
    for (_, job) in workflow["jobs"].as_object().context("no jobs")? {
        for step in job["steps"].as_array().into_iter().flatten() {
            if step["uses"].as_str() == Some("OWNER/barscope@v1") {
                let with = step["with"].as_object().context("no inputs")?;
                ensure!(with.keys().all(|name| inputs.get(name).is_some()), "{with:?}");
            }
        }
    }
    let steps = |job: &str| workflow["jobs"][job]["steps"].as_array().cloned().context("no steps");

    let mut job = Job::new()?;
    fs::create_dir(job.session.path("work/tests"))?;
    job.session.file("work/tests/factorial.expect", FACTORIAL.as_bytes())?;
    has_barscope(&job)?;
    for step in steps("questions")? {
        job.take(&step)?;
    }
    ensure!(!job.has_failed, "{}", job.printed);
    ensure!(job.text("summary")?.starts_with("### barscope: "), "{}", job.text("summary")?);

    // Whether its options are such; there is no such kernel.
    let accesses = steps("accesses")?;
    let args = accesses[1]["with"]["args"].as_str().context("no arguments")?;
    accepts(&job, &format!("barscope run {args}"))
}

#[test]
#[ignore = "needs python3 and PyPI's check-jsonschema"]
fn the_example_for_gitlab_installs_barscope_and_keeps_a_page() -> Result<()> {
    let pipeline = yaml::read(&file("examples/ci/gitlab-ci.yml"))?;
    let lines = |part: &str| -> Result<String> {
        let lines = pipeline["accesses"][part].as_array().context("no lines")?.iter();
        Ok(lines.filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
    };
    let job = Job::new()?;
    let work = job.session.path("work");
    let ran = |script: String| -> Result<Ended> {
        let mut command = job.bash(&script, work.clone())?;
        Ok(command.env("BARSCOPE", work.join(".barscope")).output()?.into())
    };
    let prepared = ran(format!("{}\nbarscope --version", lines("before_script")?))?;
    assert_eq!(
        (prepared.code, prepared.stdout.as_str()),
        (Some(0), "barscope 0.1.0\n"),
        "{}",
        prepared.stderr
    );
    let folder = work.join(".barscope").display().to_string();
    let told = format!(
        "apt-get update\napt-get install --yes --no-install-recommends qemu-system-x86 linux-image-cloud-amd64\n\
         git clone --depth 1 --branch v1 https://github.com/OWNER/barscope {folder}/source\n\
         cargo install --locked --path vmm/cli --root {folder}\n"
    );
    assert_eq!(job.text("told")?, told);

    has_barscope(&job)?;
    accepts(&job, &lines("script")?)?;
    let poked = ran("barscope poke lab --trace barscope.trace read BAR0.ID".to_owned())?;
    assert_eq!(poked.code, Some(0), "{}", poked.stderr);
    let after = ran(lines("after_script")?)?;
    assert_eq!(after.code, Some(0), "{}", after.stderr);
    ensure!(fs::read_to_string(work.join("barscope.html"))?.contains("<html"), "no page");
    Ok(())
}

/// Puts barscope where later steps find it.
fn has_barscope(job: &Job) -> Result<()> {
    let link = job.session.path("bin/barscope");
    Ok(std::os::unix::fs::symlink(barscope_bench::command::binary()?, link)?)
}

/// A command line is one that barscope takes: help is shown for such only.
fn accepts(job: &Job, line: &str) -> Result<()> {
    let script = format!("{} --help", line.trim());
    let ended = Ended::from(job.bash(&script, job.session.path("work"))?.output()?);
    ensure!(ended.code == Some(0) && ended.stdout.contains("--expect"), "{line}: {}", ended.stderr);
    Ok(())
}
