//! Findings of lints as SARIF 2.1.0, which GitHub's code scanning and editors read: a run for each trace.

use std::io::{self, Write};

use barscope_analysis::lint::{self, About, Allow, Blind, Finding, Report};
use barscope_analysis::results::Place;
use serde_json::json;
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString, Notification,
    PhysicalLocation, PropertyBag, Region, ReportingConfiguration, ReportingDescriptor,
    ReportingDescriptorReference, Result, ResultLevel, Run, RunAutomationDetails, Sarif, Suppression, Tool,
    ToolComponent,
};

/// Where the schema of what is written lies.
const SCHEMA: &str =
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json";

/// Writes what came of traces, each with its name, and what was allowed in vain.
///
/// # Errors
/// `out` can't be written.
pub fn write(reports: &[(String, Report)], unused: &[Allow], out: &mut impl Write) -> io::Result<()> {
    let last = reports.len().saturating_sub(1);
    let of_run = |at: usize| if at == last { unused } else { &[] };
    let runs = reports.iter().enumerate().map(|(at, (trace, report))| run(trace, report, of_run(at)));
    let document = Sarif::builder().schema(SCHEMA).version("2.1.0").runs(runs.collect::<Vec<_>>()).build();
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn run(trace: &str, report: &Report, unused: &[Allow]) -> Run {
    let lints = lint::all();
    let driver = ToolComponent::builder()
        .name("barscope")
        .semantic_version(env!("CARGO_PKG_VERSION"))
        .rules(lints.iter().map(|about| rule(about)).collect::<Vec<_>>())
        .build();
    let invocation = Invocation::builder()
        .execution_successful(true)
        .tool_execution_notifications(report.blind.iter().map(not_judged).collect::<Vec<_>>())
        .tool_configuration_notifications(unused.iter().map(stale).collect::<Vec<_>>())
        .build();
    Run::builder()
        .tool(Tool::builder().driver(driver).build())
        // Its end tells GitHub that all of it is a category: one file may have a run of each once.
        .automation_details(RunAutomationDetails::builder().id(format!("barscope lint/{trace}/")).build())
        .invocations(vec![invocation])
        .results(report.findings.iter().map(|finding| result(finding, &lints)).collect::<Vec<_>>())
        .build()
}

fn rule(about: &About) -> ReportingDescriptor {
    let help = [about.looks_for, about.why, about.bug, about.advice].join("\n\n");
    let level = if about.class.is_proved() { "error" } else { "warning" };
    ReportingDescriptor::builder()
        .id(about.name)
        .short_description(text(about.title))
        .full_description(text(about.looks_for))
        .help(MultiformatMessageString::builder().text(help).markdown(about.markdown()).build())
        .default_configuration(ReportingConfiguration::builder().level(level).build())
        .properties(properties([("class", json!(about.class.name()))]))
        .build()
}

fn result(finding: &Finding, lints: &[&About]) -> Result {
    let about = finding.lint;
    let rule = lints.iter().position(|known| known.name == about.name).unwrap_or_default();
    let suppressions = finding.allowed.iter().map(|allow| {
        let line = Location::builder().physical_location(physical(&allow.line())).build();
        let meant = Suppression::builder().kind("external").status("accepted");
        meant.justification(allow.reason.as_str()).location(line).build()
    });
    Result::builder()
        .rule_id(about.name)
        .rule_index(rule as i64)
        .level(if about.class.is_proved() { ResultLevel::Error } else { ResultLevel::Warning })
        .message(message(&finding.sentence))
        .locations(vec![location(finding)])
        .occurrence_count(i64::try_from(finding.count).unwrap_or(i64::MAX))
        .suppressions(suppressions.collect::<Vec<_>>())
        .properties(properties([
            ("records", json!(finding.records)),
            ("scenario", json!(finding.scenario.as_deref())),
        ]))
        .build()
}

/// The line of the code if it is known, and the register.
fn location(finding: &Finding) -> Location {
    let register = LogicalLocation::builder()
        .name(finding.register.as_str())
        .fully_qualified_name(format!("{} {}", finding.device, finding.register))
        .build();
    let known = Location::builder().logical_locations(vec![register]);
    match finding.place() {
        Some(place) => known.physical_location(physical(&place)).build(),
        None => known.build(),
    }
}

fn physical(place: &Place) -> PhysicalLocation {
    let file = ArtifactLocation::builder().uri(uri(&place.file.to_string_lossy())).build();
    let known = PhysicalLocation::builder().artifact_location(file);
    match place.line.filter(|line| *line > 0) {
        Some(line) => known.region(Region::builder().start_line(i64::from(line)).build()).build(),
        None => known.build(),
    }
}

/// A lint that couldn't judge.
fn not_judged(blind: &Blind) -> Notification {
    let lint = ReportingDescriptorReference::builder().id(blind.lint.name).build();
    let why = format!("{} wasn't judged: {}", blind.lint.name, blind.why());
    Notification::builder().level("note").message(message(&why)).associated_rule(lint).build()
}

/// A line that allows what isn't there.
fn stale(allow: &Allow) -> Notification {
    let line = Location::builder().physical_location(physical(&allow.line())).build();
    Notification::builder().level("warning").message(message(&allow.unused())).locations(vec![line]).build()
}

fn message(text: &str) -> Message {
    Message::builder().text(text).build()
}

fn text(text: &str) -> MultiformatMessageString {
    MultiformatMessageString::builder().text(text).build()
}

fn properties<const N: usize>(list: [(&str, serde_json::Value); N]) -> PropertyBag {
    let list = list.into_iter().map(|(name, value)| (name.to_owned(), value));
    PropertyBag::builder().additional_properties(list.collect::<std::collections::BTreeMap<_, _>>()).build()
}

/// A path as a URI (RFC 3986): a relative one stays relative.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_whatever_is_in_it() {
        assert_eq!(uri("src/lab.rs"), "src/lab.rs");
        assert_eq!(uri("/build/a b/lab:1%.c"), "file:///build/a%20b/lab%3A1%25.c");
        assert_eq!(uri("é.c"), "%C3%A9.c");
    }
}
