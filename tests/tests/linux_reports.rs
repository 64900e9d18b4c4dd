//! What does a driver's author read when his driver oopses, warns, or takes no device; when the kernel panics; when one of
//! several programs fails?
//!
//! The module is compiled here, against the headers of the kernel that is booted.

use std::fs;

use anyhow::{Context, Result, ensure};
use barscope_analysis::view::Place;
use barscope_bench::command::{Ended, Session};
use barscope_bench::compile;
use barscope_trace::EventKind;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};

/// Does what `what` says in its probe. Of two devices it refuses the second. Warns whenever its parameter `warn` is read.
const MYEDU: &str = r#"
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
static char *what = "fine";
module_param(what, charp, 0444);
struct myedu { u64 pad[2]; u32 state; };
static noinline __attribute__((__noclone__)) void myedu_reset(struct myedu *edu)
{
	WRITE_ONCE(edu->state, 1); /* null */
}
static int get_warning(char *buffer, const struct kernel_param *parameter)
{
	WARN(1, "ring full at %d\n", 16); /* warning */
	return sprintf(buffer, "warned\n");
}
static const struct kernel_param_ops ops = { .get = get_warning };
module_param_cb(warn, &ops, NULL, 0444);
static int myedu_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	void __iomem *registers;
	int error;

	if (PCI_SLOT(dev->devfn) != 4)
		return -ENODEV;
	error = pcim_enable_device(dev);
	if (error)
		return error;
	registers = pcim_iomap(dev, 0, 0);
	if (!registers)
		return -ENOMEM;
	dev_info(&dev->dev, "id %x\n", readl(registers));
	if (!strcmp(what, "null"))
		myedu_reset(NULL);
	readl(registers + 8);
	return !strcmp(what, "fail") ? -EINVAL : 0;
}
static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0x1ab0) }, { } };
MODULE_DEVICE_TABLE(pci, ids);
static struct pci_driver myedu_driver = { .name = "myedu", .id_table = ids, .probe = myedu_probe };
module_pci_driver(myedu_driver);
MODULE_LICENSE("GPL");
"#;

/// The line of the module's source that has this remark.
fn line(remark: &str) -> Result<usize> {
    let at = MYEDU.find(&format!("/* {remark} */")).context("no such remark")?;
    Ok(1 + MYEDU[..at].matches('\n').count())
}

/// Runs a guest with the module, nested.
fn run(session: &Session, arguments: &[&str]) -> Result<Ended> {
    compile::modules(session, &[("myedu", MYEDU)])?;
    session.run(&[&["run", "--guest", "linux", "--nested"], arguments].concat())
}

/// The case of this group that is called so.
fn case<'a>(report: &'a Report, group: &str, name: &str) -> Result<&'a TestCase> {
    let groups = report.test_suites.iter().filter(|suite| suite.name.as_str() == group);
    let mut cases = groups.flat_map(|suite| &suite.test_cases);
    let found = cases.find(|case| case.name.as_str().starts_with(name));
    found.with_context(|| format!("no {name:?} in {group}: {report:#?}"))
}

fn failed(case: &TestCase) -> Option<&str> {
    match &case.status {
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, .. } => {
            Some(message.as_ref().map_or("", |message| message.as_str()))
        }
        _ => None,
    }
}

fn attribute<'a>(case: &'a TestCase, name: &str) -> &'a str {
    let found = case.extra.iter().find(|(known, _)| known.as_str() == name);
    found.map_or("", |(_, value)| value.as_str())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_an_oops_in_a_probe_is_the_first_line_with_its_place_in_full_and_programs_run_after_it()
-> Result<()> {
    let session = Session::new()?;
    let after = "/usr/bin/env after=it";
    let arguments =
        ["--quiet", "--module", "myedu.ko what=null", "--program", after, "--junit", "report.xml"];
    let ended = run(&session, &arguments)?;
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(1), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    let first = said.lines().next().unwrap_or_default();
    let line = line("null")?;
    ensure!(first.starts_with("error: BUG: kernel NULL pointer dereference in myedu_reset+0x"), "{said}");
    ensure!(first.ends_with(&format!(" [myedu] myedu.c:{line}")), "{said}");
    // What was cut off when the end of the console was all that was shown.
    let parts = [
        "BUG: kernel NULL pointer dereference, address: 0000000000000010",
        "Oops: 0002 [#1]",
        "RIP: 0010:myedu_reset+",
        "Call Trace:",
        " myedu_probe+",
        " local_pci_probe+",
        "---[ end trace",
        "the guest ended with status 1",
    ];
    let mut rest = said.as_str();
    for part in parts {
        let at = rest.find(part).with_context(|| format!("no {part:?}, or not in its place, in: {said}"))?;
        rest = &rest[at + part.len()..];
    }

    // What the driver said stands between its accesses.
    let trace = session.trace()?;
    let views = trace.views().all();
    let said = |text: &str| views.iter().position(|view| view.text().is_some_and(|line| line.contains(text)));
    let id = views.iter().position(|view| {
        let place = view.access().and_then(|access| access.place());
        place.and_then(Place::register_name).is_some_and(|name| name == "ID")
    });
    let (id, told) =
        (id.context("no read of ID")?, said("myedu 0000:00:04.0: id 3142414c").context("no id")?);
    let oops = said("BUG: kernel NULL pointer").context("no oops")?;
    ensure!(id < told && told < oops, "{id} {told} {oops}");

    let report = Report::deserialize_from_str(&fs::read_to_string(session.path("report.xml"))?)?;
    let oops = case(&report, "guest", "BUG: kernel NULL pointer dereference in myedu_reset")?;
    assert!(failed(oops).is_some(), "{oops:?}");
    let place = (attribute(oops, "file").ends_with("myedu.c"), attribute(oops, "line"));
    assert_eq!(place, (true, line.to_string().as_str()), "{oops:?}");
    assert_eq!(failed(case(&report, "guest", "the guest ends well")?), Some("the guest ended with status 1"));
    assert_eq!(failed(case(&report, "programs", "env 'after=it'")?), None);

    let shown = session.run(&["show", "barscope.trace", "oops"])?;
    for begins in ["BUG: kernel NULL pointer", "Oops: 0002"] {
        ensure!(shown.stdout.contains(begins), "no {begins:?} in: {}", shown.stdout);
    }
    ensure!(shown.stdout.contains("2 records shown"), "{}", shown.stdout);
    session.file(
        "never.expect",
        b"test \"t\"\n  never oops \"NULL pointer\"\n  never console \"id 3142414c\"\n",
    )?;
    let judged = session.run(&["check", "barscope.trace", "never.expect", "--annotate", "github"])?;
    assert_eq!(judged.code, Some(1), "{}", judged.stdout);
    let annotation = "::error file=never.expect,line=2,title=never.expect%3A t::";
    ensure!(judged.stdout.contains(annotation), "{}", judged.stdout);
    let annotation = format!("myedu.c,line={line},title=guest%3A BUG%3A kernel NULL pointer dereference in ");
    ensure!(judged.stdout.contains(&annotation), "{}", judged.stdout);
    Ok(())
}

/// A module whose probe fails for one device and refuses another one; a program that fails, one that has the module warn,
/// and one that passes.
#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_all_programs_run_and_a_failed_probe_and_a_warning_are_told() -> Result<()> {
    let session = Session::new()?;
    let warn = "/usr/bin/cat /sys/module/myedu/parameters/warn";
    let arguments = [
        ["--device", "lab,bdf=00:04.0"],
        ["--device", "lab,bdf=00:05.0"],
        ["--module", "myedu.ko what=fail"],
        ["--program", "/usr/bin/sleep wrong"],
        ["--program", warn],
        ["--program", "/usr/bin/env two=words"],
        ["--junit", "report.xml"],
        ["--annotate", "github"],
    ];
    let ended = run(&session, &arguments.concat())?;
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(1), "{said}");
    for words in [
        "00:04.0 1234:1ab0 has no driver: the probe of myedu returned -22, Invalid argument",
        "00:05.0 1234:1ab0 has no driver: the probe of myedu returned -19, No such device",
        &format!(" [myedu] myedu.c:{}: ring full at 16", line("warning")?),
    ] {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
    ensure!(said.contains("error: WARNING in get_warning+0x"), "{said}");
    let out = &ended.stdout;
    for words in [
        "FAIL  /usr/bin/sleep wrong",
        "PASS  /usr/bin/cat /sys/module/myedu/parameters/warn",
        "PASS  /usr/bin/env 'two=words'",
        "3 scenarios, 2 passed",
        "::error file=/usr/bin/sleep,title=programs%3A sleep wrong::exit status: 1",
    ] {
        let words = words.replace("L  /usr/bin/", "L  ").replace("S  /usr/bin/", "S  ");
        assert!(out.contains(&words), "no {words:?} in: {out}");
    }
    let report = Report::deserialize_from_str(&fs::read_to_string(session.path("report.xml"))?)?;
    assert_eq!(failed(case(&report, "programs", "sleep wrong")?), Some("exit status: 1"));
    for passed in ["cat /sys/module/", "env 'two=words'"] {
        assert_eq!(failed(case(&report, "programs", passed)?), None);
    }
    let warning = case(&report, "guest", "WARNING in get_warning+0x")?;
    assert_eq!(attribute(warning, "line"), line("warning")?.to_string());
    assert_eq!(failed(case(&report, "guest", "the guest ends well")?), None);
    let trace = session.trace()?;
    let warnings = trace.events().iter().filter(|event| matches!(event.kind, EventKind::Warning { .. }));
    assert_eq!(warnings.count(), 2);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_warnings_can_be_allowed_and_nothing_runs_after_a_failure_that_is_to_end_a_run() -> Result<()> {
    let session = Session::new()?;
    let warn = "/usr/bin/cat /sys/module/myedu/parameters/warn";
    let arguments =
        ["--quiet", "--device", "lab", "--allow-warnings", "--module", "myedu.ko", "--program", warn];
    let ended = run(&session, &arguments)?;
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(0), "{said}");
    ensure!(said.starts_with("warning: WARNING in get_warning+0x"), "{said}");
    ensure!(!said.contains("has no driver"), "{said}");

    let programs = ["--fail-fast", "--program", "/usr/bin/sleep wrong", "--program", "/usr/bin/env true"];
    let ended = run(&session, &[&["--module", "myedu.ko", "--junit", "report.xml"], &programs[..]].concat())?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ensure!(ended.stdout.contains("1 scenario, 0 passed"), "{}", ended.stdout);
    let report = Report::deserialize_from_str(&fs::read_to_string(session.path("report.xml"))?)?;
    assert_eq!(failed(case(&report, "programs", "env true")?), Some("did not run"));
    Ok(())
}
