//! The JSON Schema of the lines that a comparison is printed as.

use serde_json::{Value, json};

use crate::schema::{about, constant, flag, list, names, nullable, number, object, part, text};

const VERDICTS: &[&str] = &["equal", "different", "inconclusive"];

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let side = || about(list(part("record")), "Records of this side that the other one doesn't have there.");
    let lines = [
        (
            "difference",
            object(
                "Where the sides differ.",
                vec![
                    constant("difference"),
                    ("scenario", about(nullable(text()), "The scenario, or the program that was run.")),
                    (
                        "actor",
                        about(text(), "Who did it: a process, a handler, a device; empty if not compared."),
                    ),
                    ("certain", about(flag(), "Whether nothing that is missing can have made it.")),
                    ("left", side()),
                    ("right", side()),
                    ("left_count", about(number(), "How many there are on the left, shown or not.")),
                    ("right_count", about(number(), "How many there are on the right.")),
                ],
            ),
        ),
        (
            "register",
            object(
                "How often a register, or something else, occurs; one of which a side has more.",
                vec![
                    constant("register"),
                    ("register", about(text(), "Operation and place.")),
                    ("left", number()),
                    ("right", number()),
                    ("only_left", about(number(), "Those that differ.")),
                    ("only_right", number()),
                ],
            ),
        ),
        (
            "diff",
            object(
                "What the comparison of two traces comes to: the last line.",
                vec![
                    constant("diff"),
                    ("verdict", names(VERDICTS)),
                    ("differences", number()),
                    ("left", about(number(), "How many records of it were compared.")),
                    ("right", number()),
                    ("ignored", about(list(text()), "What wasn't compared.")),
                    ("only", about(nullable(text()), "The filter of what was compared.")),
                    ("doubts", about(list(text()), "Why something may be missing.")),
                    ("notes", list(text())),
                    (
                        "window",
                        about(nullable(number()), "So many records were looked at together; null if all."),
                    ),
                ],
            ),
        ),
        (
            "golden",
            object(
                "What the comparison with a golden comes to, whose lines `left` has as `seq`.",
                vec![
                    constant("golden"),
                    ("file", text()),
                    ("verdict", names(VERDICTS)),
                    ("differences", number()),
                    ("doubts", list(text())),
                ],
            ),
        ),
        (
            "record",
            object(
                "A record.",
                vec![
                    ("seq", about(number(), "Sequence number, or a golden's line.")),
                    ("key", about(nullable(text()), "What was compared; null where there were too many.")),
                ],
            ),
        ),
    ];
    let alternatives: Vec<_> = lines[..4].iter().map(|(name, _)| part(name)).collect();
    let definitions: serde_json::Map<_, _> =
        lines.into_iter().map(|(name, line)| (name.to_owned(), line)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a comparison printed as JSON",
        "oneOf": alternatives,
        "$defs": definitions,
    })
}
