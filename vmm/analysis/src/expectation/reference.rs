//! The language's reference, for people: its lists are those that the parser uses.

use crate::filter::{FIELDS, KINDS, Type};

/// The page about filters and expectations, in Markdown.
pub fn reference() -> String {
    let kinds: Vec<_> =
        KINDS.iter().map(|(name, _, about)| format!("| `{name}` | {} |", cell(&clause(about)))).collect();
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
            format!("| `{}` | {holds} | {} |", field.name, cell(&clause(field.about)))
        })
        .collect();
    include_str!("reference.md")
        .replace("<<kinds>>", &kinds.join("\n"))
        .replace("<<properties>>", &properties.join("\n"))
}

/// A sentence without its capital and its full stop.
fn clause(sentence: &str) -> String {
    let text = sentence.trim().trim_end_matches('.');
    let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
    // An abbreviation keeps its capitals.
    let abbreviated = rest.starts_with(|next: char| next.is_uppercase() || next == '/');
    let first = if abbreviated { first.to_owned() } else { first.to_lowercase() };
    format!("{first}{rest}")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
