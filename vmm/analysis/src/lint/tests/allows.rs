//! What expectation files allow.

use super::*;
use crate::expectation;

fn allows(text: &str) -> Allows {
    expectation::read("f.expect", text).unwrap().allows.into()
}

/// Refused accesses in two scenarios: at SCRATCH, and at an offset where no register is.
fn mistakes() -> Sample {
    let mut sample = Sample::new();
    for name in ["one", "two"] {
        sample.scenario_begin(name);
        let narrow = AccessEvent { size: 1, outcome: Outcome::Width, ..sample.kernel_read(9, 0xff) };
        sample.access(narrow);
        let beyond = AccessEvent { outcome: Outcome::Reserved, ..sample.kernel_read(0x40, 0) };
        sample.access(beyond);
        sample.scenario_end(true, "");
    }
    sample
}

/// The findings that stay with these lines, and the lines that nothing needs.
fn left(text: &str) -> (Vec<String>, Vec<String>) {
    let mut report = lint_of(mistakes());
    let mut allows = allows(text);
    allows.mark(&mut report);
    let line = |it: &Finding| {
        format!("{} {} {}", it.lint.name, it.register, it.scenario.as_deref().unwrap_or_default())
    };
    (report.open().map(line).collect(), allows.unused().map(ToString::to_string).collect())
}

#[test]
fn a_line_allows_a_lint_at_a_register_everywhere_or_in_one_scenario() {
    let all = [
        "wrong-width BAR0.SCRATCH one",
        "reserved-write BAR0+0x040 one",
        "wrong-width BAR0.SCRATCH two",
        "reserved-write BAR0+0x040 two",
    ];
    let without = |gone: &[usize]| -> Vec<String> {
        let kept = all.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, line)| (*line).to_owned()).collect()
    };
    for (text, gone) in [
        ("wrong-width on BAR0.SCRATCH", &[0, 2][..]),
        ("wrong-width on bar0.scratch in scenario two", &[2]),
        ("wrong-width on lab.BAR0.SCRATCH", &[0, 2]),
        ("wrong-width on BAR0+8", &[0, 2]),
        ("reserved-write on BAR0+0x40 in scenario one", &[1]),
        ("reserved-write on BAR0", &[1, 3]),
    ] {
        assert_eq!(left(&format!("allow {text} because \"a test\"")), (without(gone), vec![]), "{text}");
    }
    for text in [
        "wrong-width on BAR0.ID",
        "wrong-width on BAR0.SCRATCH in scenario three",
        "wrong-width on edu.BAR0.SCRATCH",
        "wrong-width on BAR0+0x40",
        "wrong-width on BAR2",
        "torn-64 on BAR0.SCRATCH",
    ] {
        let expected = (without(&[]), vec![text.to_owned()]);
        assert_eq!(left(&format!("allow {text} because \"a test\"")), expected, "{text}");
    }
}

#[test]
fn what_is_allowed_is_counted_told_in_json_and_denied_by_nobody() {
    let mut report = lint_of(mistakes());
    allows("allow wrong-width on BAR0 because \"a test\"\nallow reserved-write on BAR0 because \"too\"")
        .mark(&mut report);
    assert_eq!(report.total(), "no findings; 4 allowed");
    assert!(!report.has(Class::Likely));
    let mut text = Vec::new();
    report.print_text(false, (160, false), &mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "no findings; 4 allowed\n");
    let mut json = Vec::new();
    report.print_json("t", &mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["allowed"], "a test");
    assert_eq!((&lines[4]["certain"], &lines[4]["allowed"]), (&0.into(), &4.into()));
}

#[test]
fn a_line_is_stale_only_if_its_lint_saw_all_there_was() {
    let text = "allow torn-64 on BAR0.COUNTER because \"a test\"\nallow wrong-width on BAR0 because \"too\"";
    let unused = |change: &dyn Fn(&mut Report)| {
        let mut allows = allows(text);
        let mut report = lint_of(mistakes());
        change(&mut report);
        allows.mark(&mut report);
        allows.unused().map(|it| format!("{it} at {}", it.location.line)).collect::<Vec<_>>()
    };
    assert_eq!(unused(&|_| {}), ["torn-64 on BAR0.COUNTER at 1"]);
    let needs = Capability::Effects;
    let lint = named("torn-64").unwrap();
    assert_eq!(unused(&|report| report.blind.push(Blind { lint, needs })), [""; 0]);
    assert_eq!(unused(&|report| report.completeness.lost = 1), [""; 0]);
    // One of several traces that needs it is enough.
    let mut allows = allows("allow wrong-width on BAR0 because \"a test\"");
    allows.mark(&mut lint_of(mistakes()));
    allows.mark(&mut lint_of(Sample::new()));
    assert_eq!(allows.unused().count(), 0);
}
