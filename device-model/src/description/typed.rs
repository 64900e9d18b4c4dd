//! Parts of a header that files have under the names of their types' fields: read by what the types say of
//! themselves, and written by it.

use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::diagnostic::{Diagnostic, Span, did_you_mean, one_of, quoted};

/// The most characters of what serde says.
const SAID_MAX: usize = 300;

/// A value of the file as a value of a type.
///
/// # Errors
/// What the type says, at its place.
pub(super) fn read<T: DeserializeOwned>(value: &Spanned<DeValue<'_>>) -> Result<T, Diagnostic> {
    let whole = value.span();
    let value = Spanned::new(whole.clone(), with_numbers(value.get_ref()));
    T::deserialize(ValueDeserializer::from(value).into_deserializer()).map_err(|error| {
        let span = error.span().filter(|span| !span.is_empty()).unwrap_or(whole);
        Diagnostic::new(Span::from(span), explained(error.message()))
    })
}

/// Some entries of a table as a value of a type.
///
/// # Errors
/// As for [`read`].
pub(super) fn read_some<T: DeserializeOwned>(
    span: Span,
    entries: &DeTable<'_>,
    chosen: impl Fn(&str) -> bool,
) -> Result<T, Diagnostic> {
    let mut some = DeTable::new();
    for (key, value) in entries.iter().filter(|(key, _)| chosen(key.get_ref())) {
        some.insert(key.clone(), value.clone());
    }
    read(&Spanned::new(span.start..span.end, DeValue::Table(some)))
}

/// The same value with numbers where it has texts that begin with `0x`: TOML promises 63 bits only.
fn with_numbers<'a>(value: &'a DeValue<'_>) -> DeValue<'a> {
    match value {
        DeValue::String(text) if text.starts_with("0x") => match DeValue::parse(text) {
            Ok(number) if number.get_ref().is_integer() => number.into_inner(),
            _ => value.clone(),
        },
        DeValue::Array(all) => {
            let all = all.iter().map(|one| Spanned::new(one.span(), with_numbers(one.get_ref())));
            DeValue::Array(all.collect())
        }
        DeValue::Table(entries) => {
            let mut table = DeTable::new();
            for (key, value) in entries {
                table.insert(key.clone(), Spanned::new(value.span(), with_numbers(value.get_ref())));
            }
            DeValue::Table(table)
        }
        other => other.clone(),
    }
}

/// What serde says, in the words of the other errors: of a name that it doesn't know, with the nearest one that it
/// knows; of a number, with those that its type takes.
fn explained(message: &str) -> String {
    let named: Vec<_> = message.split('`').collect();
    match named[..] {
        ["unknown field " | "unknown variant ", unknown, ", expected " | ", expected one of ", ..] => {
            // Every second part is a name.
            let known: Vec<_> = named.iter().copied().skip(3).step_by(2).collect();
            let hint = did_you_mean(unknown, known.iter().copied());
            let hint = if hint.is_empty() { format!("; there is {}", one_of(&known)) } else { hint };
            return format!("there is no {} here{hint}", quoted(unknown));
        }
        ["missing field ", missing, ""] => return format!("{missing} is missing"),
        _ => {}
    }
    let words = [
        ("expected u8", "expected a number up to 0xff"),
        ("expected u16", "expected a number up to 0xffff"),
        ("expected u32", "expected a number up to 0xffff_ffff"),
        ("expected u64", "expected a number of 64 bits"),
        ("expected a boolean", "expected true or false"),
    ];
    let found =
        words.iter().find_map(|(theirs, ours)| Some(format!("{}{ours}", message.strip_suffix(theirs)?)));
    let a_table = || Some(format!("{}expected a table", message.split_once("expected struct ")?.0));
    let said = found.or_else(a_table).unwrap_or_else(|| message.to_owned());
    // What stands in the file is part of it.
    match said.char_indices().nth(SAID_MAX) {
        Some((at, _)) => format!("{}..", &said[..at]),
        None => said,
    }
}

/// A value of a type as one of JSON, without entries that go without saying: that it reads back as the same without.
pub(super) fn written<T: Serialize + DeserializeOwned + PartialEq>(typed: &T) -> Value {
    // Data without maps whose keys aren't texts: that can't fail.
    let mut value = serde_json::to_value(typed).unwrap_or_default();
    shorten(&mut value, "", typed);
    value
}

/// Leaves out what can be left out of the table at `path` of a value, and of tables in it.
fn shorten<T: DeserializeOwned + PartialEq>(whole: &mut Value, path: &str, typed: &T) {
    let inner: Vec<String> = match whole.pointer(path) {
        Some(Value::Object(entries)) => entries.keys().cloned().collect(),
        Some(Value::Array(all)) => (0..all.len()).map(|index| index.to_string()).collect(),
        _ => return,
    };
    for key in inner {
        let mut shorter = whole.clone();
        let gone = match shorter.pointer_mut(path) {
            Some(Value::Object(entries)) => entries.remove(&key).is_some(),
            _ => false,
        };
        match serde_json::from_value::<T>(shorter.clone()) {
            Ok(same) if gone && same == *typed => *whole = shorter,
            _ => shorten(whole, &format!("{path}/{key}"), typed),
        }
    }
}
