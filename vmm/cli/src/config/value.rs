//! A value of the file as words of a command line.

use std::any::TypeId;
use std::error::Error;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use barscope_device::Diagnostic;
use barscope_device::diagnostic::{did_you_mean, one_of, quoted};
use barscope_vmm::linux::ProgramChoice;
use clap::builder::ValueRange;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ValueHint};
use toml::Spanned;
use toml::de::DeValue;

/// The words that give `arg` this value, which stands in a file in `folder`.
///
/// # Errors
/// It takes no such value.
pub fn words(arg: &Arg, value: &Spanned<DeValue<'_>>, folder: &Path) -> Result<Vec<OsString>, Diagnostic> {
    let long = arg.get_long().unwrap_or_default();
    let option = format!("--{long}");
    if !arg.get_action().takes_values() {
        return match value.get_ref() {
            DeValue::Boolean(true) => Ok(vec![option.into()]),
            DeValue::Boolean(false) => Ok(Vec::new()),
            other => Err(wrong(arg, value.span(), other, "true or false", "true")),
        };
    }
    // Two values of an option stand behind it, as in `--compare 1 2`.
    let count = arg.get_num_args().unwrap_or(ValueRange::SINGLE);
    let several = count.max_values() > 1;
    let repeats = matches!(arg.get_action(), ArgAction::Append);
    let example = format!("{:?}", example(arg));
    let values = match value.get_ref() {
        DeValue::Array(list) if several || repeats => list.iter().collect(),
        other @ DeValue::Array(_) => return Err(wrong(arg, value.span(), other, "one value", &example)),
        _ => vec![value],
    };
    if several && !(count.min_values()..=count.max_values()).contains(&values.len()) {
        let message = format!("{long} takes {count} values, not {}", values.len());
        return Err(Diagnostic::new(value.span().into(), message));
    }
    let mut words: Vec<OsString> = if several { vec![option.clone().into()] } else { Vec::new() };
    for value in values {
        let text = match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => {
                let number = i128::from_str_radix(number.as_str(), number.radix());
                number.ok().map(|number| number.to_string())
            }
            _ => None,
        };
        let takes = "a text in quotes, or a number";
        let text = text.ok_or_else(|| wrong(arg, value.span(), value.get_ref(), takes, &example))?;
        check(arg, &text, value.span())?;
        let placed = placed(arg, text, folder);
        if several {
            words.push(placed);
        } else {
            let mut word = OsString::from(format!("{option}="));
            word.push(placed);
            words.push(word);
        }
    }
    Ok(words)
}

/// A value, whose path is relative to the file's folder, for who is in the current one.
fn placed(arg: &Arg, text: String, folder: &Path) -> OsString {
    let is_path = !matches!(arg.get_value_hint(), ValueHint::Unknown | ValueHint::Other);
    if !is_path || folder.as_os_str().is_empty() || text.is_empty() {
        return text.into();
    }
    // Where a name will do, like a kernel's version, what is no path and no file is one.
    let names = arg.get_value_names().unwrap_or_default();
    if names.iter().any(|name| name.contains('|')) && !text.contains('/') && !folder.join(&text).exists() {
        return text.into();
    }
    // Its words may be in quotes.
    if arg.get_value_parser().type_id() == TypeId::of::<ProgramChoice>() {
        let placed = text
            .parse::<ProgramChoice>()
            .ok()
            .and_then(|program| ProgramChoice { file: folder.join(&program.file), ..program }.to_option());
        return placed.unwrap_or(text).into();
    }
    folder.join(text).into()
}

/// Has clap look at one value by itself.
fn check(arg: &Arg, text: &str, span: Range<usize>) -> Result<(), Diagnostic> {
    let long = arg.get_long().unwrap_or_default().to_owned();
    let alone = Arg::new("value").long("value").value_parser(arg.get_value_parser().clone());
    let alone = alone.action(ArgAction::Set).allow_hyphen_values(true);
    let command = clap::Command::new("value").arg(alone).disable_help_flag(true);
    let words = ["value".to_owned(), format!("--value={text}")];
    let Err(error) = command.try_get_matches_from(words) else { return Ok(()) };
    let why = match (error.kind(), error.get(ContextKind::ValidValue), error.source()) {
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(valid)), _) => {
            // As many as a line takes.
            let hint = did_you_mean(text, valid.iter().map(String::as_str));
            if valid.len() > 12 && !hint.is_empty() {
                hint
            } else {
                format!("; it takes {}{hint}", one_of(valid))
            }
        }
        (_, _, Some(source)) => format!(": {source}; {}", usage(arg)),
        _ => format!("; {}", usage(arg)),
    };
    Err(Diagnostic::new(span.into(), format!("{long} can't be {}{why}", quoted(text))))
}

/// What the option is, as its help says.
fn usage(arg: &Arg) -> String {
    let (long, help) = (arg.get_long().unwrap_or_default(), arg.get_help());
    let help = help.map(|help| format!(": {help}")).unwrap_or_default();
    format!("--{long} {}{help}", example(arg))
}

/// What its value is called.
fn example(arg: &Arg) -> String {
    let named = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let possible = arg.get_possible_values();
    possible.first().map(|value| value.get_name().to_owned()).or(named).unwrap_or_default()
}

fn wrong(arg: &Arg, span: Range<usize>, found: &DeValue<'_>, takes: &str, example: &str) -> Diagnostic {
    let long = arg.get_long().unwrap_or_default();
    let found = match found {
        DeValue::String(text) => quoted(text),
        DeValue::Boolean(is_true) => is_true.to_string(),
        other => format!("of type {}", other.type_str()),
    };
    Diagnostic::new(span.into(), format!("{long} is {found}; it takes {takes}, as in: {long} = {example}"))
}
