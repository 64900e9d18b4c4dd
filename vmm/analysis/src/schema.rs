//! What JSON Schemas of what is printed are made of.

use serde_json::{Map, Value, json};

/// An object that has all of these properties, and no others.
pub(crate) fn object(about: &str, properties: Vec<(&str, Value)>) -> Value {
    let required: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> =
        properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({
        "description": about.trim(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn object_of<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

pub(crate) fn part(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

pub(crate) fn nullable(value: Value) -> Value {
    object_of([("anyOf", Value::Array(vec![value, json!({ "type": "null" })]))])
}

pub(crate) fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

pub(crate) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(crate) fn names(names: &[&str]) -> Value {
    json!({ "enum": names })
}

pub(crate) fn list(of: Value) -> Value {
    object_of([("type", "array".into()), ("items", of)])
}

pub(crate) fn constant(name: &str) -> (&'static str, Value) {
    ("event", json!({ "const": name }))
}

/// With what it is for.
pub(crate) fn about(mut value: Value, doc: &str) -> Value {
    value["description"] = doc.trim().into();
    value
}
