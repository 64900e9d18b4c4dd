//! The JSON Schema of the lines that lints are printed as.

use barscope_trace::Capability;
use serde_json::{Value, json};

use super::about::Class;
use crate::schema::{about, constant, list, names, nullable, number, object, part, text};

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let row = |doc: &str, event: &'static str, classes: &[Class]| {
        let classes: Vec<_> = classes.iter().map(|class| class.name()).collect();
        let known = |doc: &str| about(nullable(text()), doc);
        object(
            doc,
            vec![
                constant(event),
                ("lint", about(text(), "The lint; `barscope lint --explain` tells of it.")),
                ("class", about(names(&classes), "How much it says.")),
                ("device", about(text(), "Address and name of the PCI function.")),
                ("register", about(text(), "`BAR0.STATUS`, or the place where there is no register.")),
                ("code", known("Function and line that made the access.")),
                ("function", known("The function alone.")),
                ("file", known("The line's file, without folders.")),
                ("path", known("The line's file, as debug information has it.")),
                ("line", nullable(number())),
                ("scenario", known("The scenario that was played.")),
                ("count", about(number(), "How many records show it.")),
                ("records", about(list(number()), "Sequence numbers of the first of them.")),
                ("sentence", about(text(), "What the first of them shows.")),
                ("advice", about(text(), "What to do.")),
                ("allowed", known("Why an expectation file allows it.")),
            ],
        )
    };
    let capabilities = Capability::ALL.map(Capability::name);
    let blind =
        object("A lint that couldn't judge.", vec![("lint", text()), ("needs", names(&capabilities))]);
    let end = object(
        "What lints come to of a trace: its last line.",
        vec![
            constant("lint"),
            ("trace", about(text(), "The file.")),
            ("certain", about(number(), "How many findings the trace proves.")),
            ("likely", about(number(), "How many are worth a look.")),
            ("provable", about(number(), "How many sites there are.")),
            ("more", about(number(), "Records of findings and sites for which there was no room.")),
            ("not_judged", list(part("blind"))),
            ("allowed", about(number(), "Findings that an expectation file allows.")),
            ("records", about(number(), "How many records were looked at.")),
            ("status", about(text(), "How the trace ended.")),
            ("reason", text()),
            ("lost", about(number(), "Records that are missing.")),
            ("unknown_kinds", number()),
            ("incomplete", about(list(names(&capabilities)), "What the trace doesn't hold all of.")),
            ("damage", list(text())),
        ],
    );
    let unused = object(
        "A line of an expectation file that allows what isn't there.",
        vec![
            constant("unused-allow"),
            ("lint", text()),
            ("register", text()),
            ("scenario", nullable(text())),
            ("reason", text()),
            ("file", text()),
            ("line", number()),
        ],
    );
    let finding = "Something wrong, or worth a look.";
    let site = "A place where a fault has to be injected to see whether the driver minds.";
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of barscope lint printed as JSON",
        "oneOf": [part("finding"), part("site"), part("lint"), part("unused-allow")],
        "$defs": {
            "finding": row(finding, "finding", &[Class::Certain, Class::Likely]),
            "site": row(site, "site", &[Class::Provable]),
            "lint": end,
            "blind": blind,
            "unused-allow": unused,
        },
    })
}
