//! The language's reference, for people: its lists are those that the parser uses.

use crate::filter::{FIELDS, KINDS, Type};

/// The page about filters and expectations, in Markdown.
pub fn reference() -> String {
    let kinds: Vec<_> =
        KINDS.iter().map(|(name, _, about)| format!("| `{name}` | {} |", cell(about))).collect();
    let properties: Vec<_> = FIELDS
        .iter()
        .map(|field| {
            let holds = match field.of {
                Type::Number => "number".to_owned(),
                Type::Hex => "number, in hexadecimal".to_owned(),
                Type::Time => "time".to_owned(),
                Type::Text => "text".to_owned(),
                Type::Flag => "yes or no".to_owned(),
                Type::Name(names) => {
                    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
                }
            };
            format!("| `{}` | {holds} | {} |", field.name, cell(field.about))
        })
        .collect();
    include_str!("reference.md")
        .replace("<<kinds>>", &kinds.join("\n"))
        .replace("<<properties>>", &properties.join("\n"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
