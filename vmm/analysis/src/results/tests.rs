use std::collections::HashMap;

use super::*;

fn case(name: &str, status: Status, place: Option<(&str, Option<u32>)>) -> Case {
    let place = place.map(|(file, line)| Place { file: file.into(), line });
    Case { name: name.to_owned(), time: Duration::from_millis(1250), status, place }
}

fn results() -> Results {
    let failed = Status::Failed("exit status: 3".to_owned(), "exit status: 3".to_owned());
    let open = Status::Inconclusive("nobody can tell".to_owned(), "50 % of it,\nor less".to_owned());
    let programs = vec![
        case("edu_cli --fact 5", Status::Passed, Some(("/work/tree/tests/edu_cli", None))),
        case("edu_cli '<&\"\u{1b}'", failed, Some(("/work/tree/tests/edu_cli", None))),
    ];
    let expectations = vec![case("acknowledged", open, Some(("a,b:c.expect", Some(14))))];
    let group = |name: &str, cases: Vec<Case>| Group {
        name: name.to_owned(),
        time: cases.iter().map(|case| case.time).sum(),
        cases,
    };
    Results { groups: vec![group("programs", programs), group("a,b:c.expect", expectations)] }
}

#[test]
fn annotations_escape_what_ends_a_line_or_a_property_and_leave_out_what_passed() {
    let mut out = Vec::new();
    results().relative_to(Path::new("/work/tree")).write_github(&mut out).unwrap();
    let expected = "\
::error file=tests/edu_cli,title=programs%3A edu_cli '<&\"\u{1b}'::exit status: 3
::error file=a%2Cb%3Ac.expect,line=14,title=a%2Cb%3Ac.expect%3A acknowledged::nobody can tell%0A50 %25 of it,%0Aor less
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

/// What a file of the usual schema may have: for each element its attributes, those that it has to have first, and the
/// elements in it. After `github.com/testmoapp/junitxml`, which gathers what Jenkins, GitLab, pytest and others read.
const ELEMENTS: [(&str, usize, &[&str], &[&str]); 6] = [
    (
        "testsuites",
        1,
        &["name", "tests", "failures", "errors", "time", "skipped", "timestamp"],
        &["testsuite"],
    ),
    (
        "testsuite",
        4,
        &["name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "file"],
        &["testcase", "properties", "system-out", "system-err"],
    ),
    (
        "testcase",
        3,
        &["name", "classname", "time", "assertions", "file", "line"],
        &["failure", "error", "skipped", "properties", "system-out", "system-err"],
    ),
    ("failure", 1, &["message", "type"], &[]),
    ("error", 1, &["message", "type"], &[]),
    ("skipped", 0, &["message", "type"], &[]),
];

/// An element: its name, attributes and elements.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    children: Vec<Element>,
}

/// Reads XML as this project writes it: no comments, no CDATA, nothing but text between elements.
fn parse(xml: &str) -> Element {
    let mut open = vec![Element::default()];
    for part in xml.split('<').skip(1) {
        let (tag, _text) = part.split_once('>').expect("a tag ends");
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(name, done.name);
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        while let Some((attribute, after)) = rest.trim_start().split_once("=\"") {
            let (value, after) = after.split_once('"').expect("a value ends");
            let twice = element.attributes.insert(attribute.to_owned(), value.to_owned());
            assert_eq!(twice, None, "{attribute}");
            rest = after;
        }
        if is_empty { open.last_mut().unwrap().children.push(element) } else { open.push(element) }
    }
    assert_eq!(open.len(), 1);
    open.pop().unwrap().children.pop().unwrap()
}

fn check(element: &Element) {
    let (_, needed, attributes, children) =
        ELEMENTS.iter().find(|(name, ..)| *name == element.name).unwrap_or_else(|| panic!("{element:?}"));
    for attribute in &attributes[..*needed] {
        assert!(element.attributes.contains_key(*attribute), "no {attribute}: {element:?}");
    }
    for (attribute, value) in &element.attributes {
        assert!(attributes.contains(&attribute.as_str()), "{attribute}: {element:?}");
        if ["tests", "failures", "errors", "line", "disabled"].contains(&attribute.as_str()) {
            assert!(value.parse::<u64>().is_ok(), "{attribute}={value}");
        }
        if attribute == "time" {
            assert!(value.parse::<f64>().is_ok_and(|time| time >= 0.0), "{value}");
        }
    }
    for child in &element.children {
        assert!(children.contains(&child.name.as_str()), "{} in {}", child.name, element.name);
        check(child);
    }
    let count = |name: &str| element.children.iter().filter(|child| child.name == name).count();
    match element.name.as_str() {
        "testcase" => assert!(count("failure") + count("error") + count("skipped") <= 1),
        "testsuite" => {
            let with = |kind: &str| {
                let has = |case: &&Element| case.children.iter().any(|child| child.name == kind);
                element.children.iter().filter(has).count()
            };
            let said = |attribute: &str| element.attributes[attribute].parse::<usize>().unwrap();
            assert_eq!(said("tests"), count("testcase"));
            assert_eq!((said("failures"), said("errors")), (with("failure"), with("error")));
        }
        _ => {}
    }
}

#[test]
fn a_junit_report_is_as_the_usual_schema_has_it() {
    let mut out = Vec::new();
    results().relative_to(Path::new("/work/tree")).write_junit(&mut out).unwrap();
    let xml = String::from_utf8(out).unwrap();
    assert!(xml.chars().all(|character| character == '\n' || !character.is_control()), "{xml:?}");
    let report = parse(&xml);
    check(&report);
    let counts = ["tests", "failures", "errors", "time"].map(|name| report.attributes[name].as_str());
    assert_eq!(counts, ["3", "1", "1", "3.750"]);
    let [programs, expectations] = &report.children[..] else { panic!("{report:#?}") };
    let case = &programs.children[0].attributes;
    assert_eq!((case["name"].as_str(), case["time"].as_str()), ("edu_cli --fact 5", "1.250"));
    assert_eq!((case["file"].as_str(), case.get("line")), ("tests/edu_cli", None));
    let case = &expectations.children[0];
    assert_eq!((case.attributes["file"].as_str(), case.attributes["line"].as_str()), ("a,b:c.expect", "14"));
    assert_eq!(case.children[0].attributes["message"], "nobody can tell");
}

#[test]
fn a_guest_that_ended_badly_is_a_case_and_so_is_each_report_of_its_kernel() {
    let mut results = Results::default();
    let end = GuestEnd {
        error: Some("the guest reset the machine\n  at f".to_owned()),
        time: Duration::from_secs(2),
        allows_warnings: false,
    };
    let mut reports = Reports::default();
    for (seq, line) in (1..).zip([
        "[    1.000001] kernel BUG at /build/myedu.c:88!",
        "[    1.000002] RIP: 0010:myedu_open+0x12/0x30 [myedu]",
        "[    1.000003] ---[ end trace 0 ]---",
        "[    1.000004] WARNING: CPU: 0 PID: 88 at /build/myedu.c:61 myedu_push+0x33/0x50 [myedu]",
    ]) {
        reports.take(seq, 0, &line.into());
    }
    results.add_guest(&end, &reports, &Definitions::default());
    let allowed = GuestEnd { error: None, allows_warnings: true, ..end };
    results.add_guest(&allowed, &reports, &Definitions::default());
    let told = |suite: &Group| {
        let cases =
            suite.cases.iter().map(|case| (case.name.clone(), case.status.clone(), case.place.clone()));
        cases.collect::<Vec<_>>()
    };
    let bug = "kernel BUG in myedu_open+0x12 [myedu] myedu.c:88".to_owned();
    let warning = "WARNING in myedu_push+0x33 [myedu] myedu.c:61".to_owned();
    let place = |line| Some(Place { file: "/build/myedu.c".into(), line: Some(line) });
    let lines = |from: usize, to| reports.list()[from].lines[..to].join("\n");
    let ended = "the guest ends well".to_owned();
    let error = ("the guest reset the machine".to_owned(), "the guest reset the machine\n  at f".to_owned());
    assert_eq!(
        told(&results.groups[0]),
        [
            (ended.clone(), Status::Failed(error.0, error.1), None),
            (bug.clone(), Status::Failed(bug.clone(), lines(0, 3)), place(88)),
            (warning.clone(), Status::Failed(warning, lines(1, 1)), place(61)),
        ]
    );
    assert_eq!(
        told(&results.groups[1]),
        [(ended, Status::Passed, None), (bug.clone(), Status::Failed(bug, lines(0, 3)), place(88))]
    );
}
