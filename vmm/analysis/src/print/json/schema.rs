//! The JSON Schema of the lines that [`JsonPrinter`](super::JsonPrinter) prints, from the table of events.

use barscope_trace::Capability;
use barscope_trace::event::{Field, KINDS, Kind, Role, Type};
use serde_json::{Map, Value, json};

use super::event::Subject;
use crate::schema::{about, constant, flag, list, names, nullable, number, object, part, text};

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let lines = ["machine", "function", "end"].into_iter();
    let names = lines.chain(KINDS.iter().map(|kind| kind.name));
    let alternatives: Vec<_> = names.map(|name| json!({ "$ref": format!("#/$defs/{name}") })).collect();
    let mut definitions = parts();
    definitions.extend(KINDS.iter().map(|kind| (kind.name.to_owned(), event(kind))));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a trace printed as JSON",
        "description": "Addresses, offsets and what registers hold are strings in hexadecimal; sizes, counts, \
                        ordinals, sequence numbers and times in nanoseconds are numbers.",
        "oneOf": alternatives,
        "$defs": definitions,
    })
}

const PATHS: &[&str] =
    &["ioremap", "ioremap_wc", "mmap", "sysfs", "sysfs_wc", "uio", "/dev/mem", "direct", "unknown"];
const CONTEXTS: &[&str] = &["task", "hard-handler", "threaded-handler", "softirq", "interrupt"];
const ENTERED: &[&str] = &["call", "system-call", "interrupt", "exception"];
const CUTS: &[&str] = &["asked", "deep", "no-table", "not-mapped"];
const MEMORY_TYPES: &[&str] = &["UC", "UC-", "WC", "WT", "WP", "WB"];

/// An event of a kind: what all have, what it is about, its fields, and what follows from those.
fn event(kind: &'static Kind) -> Value {
    let mut properties = vec![
        ("seq", about(number(), "Sequence number, from 1.")),
        constant(kind.name),
        ("device_ns", about(number(), "Time of the device clock.")),
        ("host_ns", about(number(), "Time of the host since the trace began.")),
        ("vcpu", about(nullable(number()), "The vCPU that it happened on.")),
        ("scenario", about(nullable(text()), "The scenario that it is part of.")),
        ("cause", about(nullable(number()), "Sequence number of the access that led to it.")),
    ];
    let place = [
        ("bdf", about(nullable(part("bdf")), "The function's address.")),
        ("device", about(nullable(text()), "The function's model.")),
        ("region", about(nullable(part("region")), "The region.")),
        ("offset", about(nullable(part("hex")), "Offset in the region.")),
        ("register", about(nullable(text()), "The register, and the offset in it.")),
    ];
    let shown = match Subject::of(kind) {
        Subject::Place => 5,
        Subject::Region => 3,
        Subject::Device => 2,
        Subject::None => 0,
    };
    properties.extend(place.into_iter().take(shown));
    properties.extend(kind.fields.iter().flat_map(properties_of));
    properties.extend(derived(kind));
    object(kind.doc, properties)
}

const INLINED: &str = "What was inlined there, from the innermost outwards.";
const ASKED_BY: &str = "The function of a module or a program that led the kernel there.";

/// A function and where in it something is.
fn source() -> Vec<(&'static str, Value)> {
    vec![("function", nullable(text())), ("file", nullable(text())), ("line", nullable(number()))]
}

/// The properties that a field is written as.
fn properties_of(field: &'static Field) -> Vec<(&'static str, Value)> {
    let is = |value| vec![(field.name, about(value, field.doc))];
    match field.role {
        Role::Function | Role::Route | Role::Region | Role::Offset | Role::Cause | Role::Scenario => {
            Vec::new()
        }
        Role::Stack => vec![
            ("made_by", about(nullable(part("made-by")), "The innermost function that is no accessor.")),
            ("context", about(nullable(names(CONTEXTS)), "What its code runs as, as far as that is known.")),
            ("system_call", about(nullable(text()), "The system call that it is part of.")),
            ("stack", nullable(part("stack"))),
        ],
        Role::Walk => vec![
            ("path", about(names(PATHS), "How the virtual address came to lead there.")),
            ("announced", about(flag(), "Whether the guest said so, or it was inferred.")),
            ("gva", about(nullable(part("hex")), "Guest virtual address.")),
            ("walk", nullable(part("walk"))),
            ("mapping", nullable(part("mapping"))),
            ("process", nullable(part("process"))),
        ],
        Role::Process => vec![("process", nullable(part("process")))],
        Role::Instruction => vec![("code", nullable(part("code")))],
        Role::Mapping => vec![("mapping", nullable(part("mapping")))],
        Role::Text => is(nullable(text())),
        Role::Pat | Role::MemoryType => is(nullable(names(MEMORY_TYPES))),
        role => match field.of {
            Type::Number(_) if role.is_hex() => is(part("hex")),
            Type::OptionalNumber(_) if role.is_hex() => is(nullable(part("hex"))),
            Type::Number(bits) => {
                let limit = field.below.map_or(u64::MAX >> (64 - bits), |below| below - 1);
                is(json!({ "type": "integer", "minimum": 0, "maximum": limit }))
            }
            Type::OptionalNumber(_) => is(nullable(number())),
            Type::Flag => is(flag()),
            Type::Name(known) => is(names(known)),
            Type::OptionalName(known) => is(nullable(names(known))),
            Type::Region => is(part("region")),
            Type::Operand => is(part("operand")),
            Type::Target => vec![
                ("gpa", about(nullable(part("hex")), "Guest physical address.")),
                ("port", about(nullable(part("hex")), "I/O port.")),
            ],
        },
    }
}

/// What follows from the fields.
fn derived(kind: &Kind) -> Vec<(&'static str, Value)> {
    match kind.name {
        "access" => vec![
            ("fields", nullable(json!({ "type": "object", "additionalProperties": text() }))),
            ("absent", nullable(part("absent"))),
            ("selects", nullable(part("place"))),
        ],
        "count" => vec![("system_call", about(nullable(text()), "That system call by its name."))],
        "busy" => vec![("duration_ns", about(nullable(number()), "For how long."))],
        "address-cut" => vec![("used", about(part("hex"), "What is left of the address."))],
        "route" => vec![
            ("address", about(nullable(part("hex")), "First address or port.")),
            ("size", about(nullable(number()), "Size in bytes.")),
        ],
        _ => Vec::new(),
    }
}

/// What lines have in them, and the lines that are no events.
fn parts() -> Map<String, Value> {
    let hex = || part("hex");
    let place = vec![
        ("bdf", nullable(part("bdf"))),
        ("device", nullable(text())),
        ("region", nullable(part("region"))),
        ("offset", nullable(hex())),
        ("register", nullable(text())),
    ];
    let bar = vec![
        ("index", number()),
        ("space", names(&["memory", "io"])),
        ("size", number()),
        ("wide", flag()),
        ("prefetchable", flag()),
    ];
    let knowledge = names(&["unknown", "inferred", "announced", "incomplete"]);
    let capabilities = Capability::ALL.map(|it| (it.name(), about(knowledge.clone(), it.about())));
    let whys =
        ["no-address", "memory-space-off", "asleep", "reset", "moved", "rom-off", "overlaps", "unknown"];
    let parts = [
        ("hex", json!({ "type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]{0,15})$" })),
        ("bdf", json!({ "type": "string", "pattern": "^[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]$" })),
        ("region", json!({ "type": "string", "pattern": "^(BAR[0-5]|ROM|CONFIG)$" })),
        ("place", object("A place in a device.", place)),
        (
            "operand",
            object(
                "What an instruction does with its operand in memory.",
                vec![("reads", flag()), ("writes", flag()), ("size", number())],
            ),
        ),
        (
            "walk",
            object(
                "A page walk.",
                vec![
                    ("cr3", hex()),
                    ("page_size", number()),
                    ("entries", list(hex())),
                    ("user", flag()),
                    ("writable", flag()),
                    ("pat", nullable(names(MEMORY_TYPES))),
                    ("mtrr", nullable(names(MEMORY_TYPES))),
                    ("memory_type", names(MEMORY_TYPES)),
                ],
            ),
        ),
        (
            "mapping",
            object(
                "A mapping that the guest announced.",
                vec![
                    ("path", names(PATHS)),
                    ("virtual_address", hex()),
                    ("physical_address", hex()),
                    ("length", number()),
                    ("cr3", nullable(hex())),
                    ("on_fault", flag()),
                    ("who", text()),
                    ("call", text()),
                    (
                        "of",
                        nullable(object(
                            "What of which file a program asked for: its name, and the offset in bytes.",
                            vec![("file", text()), ("offset", number())],
                        )),
                    ),
                ],
            ),
        ),
        ("process", object("A process.", vec![("pid", number()), ("name", text())])),
        (
            "code",
            object(
                "An instruction.",
                vec![
                    ("rip", hex()),
                    ("bytes", json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" })),
                    ("bits", json!({ "enum": [16, 32, 64] })),
                    ("instruction", text()),
                    ("ambiguous", flag()),
                    ("function", nullable(text())),
                    ("file", nullable(text())),
                    ("line", nullable(number())),
                    ("module", nullable(text())),
                    ("offset", nullable(hex())),
                    ("inlined", about(list(object("A function.", source())), INLINED)),
                ],
            ),
        ),
        (
            "made-by",
            object(
                "The function that made an access.",
                [
                    source(),
                    vec![
                        ("module", nullable(text())),
                        (
                            "inlined_into",
                            about(nullable(part("call")), "The function that it is inlined into."),
                        ),
                        ("accessor", about(nullable(text()), "What it called to reach the device.")),
                        ("asked_by", about(nullable(part("call")), ASKED_BY)),
                    ],
                ]
                .concat(),
            ),
        ),
        (
            "call",
            object(
                "A function on the way to an access.",
                [
                    vec![
                        ("entered", about(nullable(names(ENTERED)), "How the code within came to run.")),
                        ("number", about(nullable(number()), "The number of the system call.")),
                        ("address", about(hex(), "Where it goes on, or what its instruction is at.")),
                    ],
                    source(),
                    vec![
                        ("module", nullable(text())),
                        ("offset", about(nullable(hex()), "How far into the function.")),
                        ("inlined", about(flag(), "Inlined into the function that comes next.")),
                    ],
                ]
                .concat(),
            ),
        ),
        (
            "stack",
            object(
                "The callers of an instruction, from the innermost outwards.",
                vec![
                    ("process", about(nullable(part("process")), "The process at work, interrupted or not.")),
                    ("interrupts", about(nullable(flag()), "Whether it was interrupted, if that is known.")),
                    ("cut", about(nullable(names(CUTS)), "Why the outermost ones are missing.")),
                    ("frames", list(part("call"))),
                ],
            ),
        ),
        (
            "absent",
            object(
                "What was where nothing is, or would be.",
                vec![
                    ("bdf", part("bdf")),
                    ("device", text()),
                    ("region", part("region")),
                    ("address", nullable(hex())),
                    ("was_there", flag()),
                    ("since", nullable(number())),
                    ("why", names(&whys)),
                    ("moved_to", nullable(hex())),
                ],
            ),
        ),
        ("capabilities", object("How the trace comes to tell these.", capabilities.to_vec())),
        (
            "machine",
            object(
                "The machine: the first line.",
                vec![
                    constant("machine"),
                    ("clock", names(&["virtual", "host"])),
                    ("guest", nullable(text())),
                    ("vcpus", nullable(number())),
                    ("memory", nullable(number())),
                ],
            ),
        ),
        (
            "function",
            object(
                "A PCI function.",
                vec![
                    constant("function"),
                    ("bdf", part("bdf")),
                    ("device", text()),
                    ("vendor_id", json!({ "type": "string", "pattern": "^0x[0-9a-f]{4}$" })),
                    ("device_id", json!({ "type": "string", "pattern": "^0x[0-9a-f]{4}$" })),
                    ("bars", list(object("A BAR.", bar))),
                    ("msi_vectors", number()),
                    ("msix_vectors", number()),
                    (
                        "untrapped",
                        about(
                            list(part("region")),
                            "Regions whose accesses may be served otherwise than one by one.",
                        ),
                    ),
                ],
            ),
        ),
        (
            "end",
            object(
                "The end: the last line.",
                vec![
                    constant("end"),
                    ("status", names(&["finished", "interrupted", "failed", "unfinished"])),
                    ("reason", text()),
                    ("scenarios", number()),
                    ("passed", number()),
                    ("failed", number()),
                    ("accesses", number()),
                    ("lost", number()),
                    ("unknown_kinds", number()),
                    ("capabilities", part("capabilities")),
                    ("damage", list(text())),
                    ("host_ns", number()),
                ],
            ),
        ),
    ];
    parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
