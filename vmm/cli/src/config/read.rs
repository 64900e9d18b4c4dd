//! The file's text as options of commands, each checked where it stands against what clap knows of it.

use std::ffi::OsString;
use std::path::Path;

use barscope_device::diagnostic::{did_you_mean, one_of, quoted};
use barscope_device::{Diagnostic, Span};
use clap::Arg;
use toml::de::{DeTable, DeValue};

use super::value;

/// Options that only somebody who types may give: those that choose the file, and what replaces files without asking.
const NOT_IN_FILES: [&str; 3] = [super::CONFIG, super::NO_CONFIG, "force"];

/// An option that the file has.
pub struct Setting<'a> {
    /// As clap knows it.
    pub arg: &'a Arg,
    /// As the command line takes it.
    pub words: Vec<OsString>,
}

/// All that the file has.
#[derive(Default)]
pub struct Settings<'a> {
    /// What holds for every command.
    global: Vec<Setting<'a>>,
    /// By the subcommand's name.
    of_commands: Vec<(&'a str, Vec<Setting<'a>>)>,
}

/// Whether the subcommand takes options that a file may have.
pub fn takes_options(subcommand: &clap::Command) -> bool {
    !subcommand.is_hide_set() && own(subcommand).next().is_some()
}

/// The options of a subcommand that a file may have, by their names.
fn own(subcommand: &clap::Command) -> impl Iterator<Item = (&str, &Arg)> {
    allowed(subcommand).filter(|(_, arg)| !arg.is_global_set())
}

/// Those of every subcommand.
fn global(command: &clap::Command) -> impl Iterator<Item = (&str, &Arg)> {
    allowed(command).filter(|(_, arg)| arg.is_global_set())
}

fn allowed(command: &clap::Command) -> impl Iterator<Item = (&str, &Arg)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let named = shown.filter_map(|arg| Some((arg.get_long()?, arg)));
    named.filter(|(_, arg)| !NOT_IN_FILES.contains(&arg.get_id().as_str()))
}

impl<'a> Settings<'a> {
    /// Reads the text of a file in `folder`, which its paths are relative to.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of the file.
    pub fn read(command: &'a clap::Command, folder: &Path, text: &str) -> Result<Self, Diagnostic> {
        let document = DeTable::parse(text).map_err(|error| {
            let span = error.span().map_or_else(Span::default, Span::from);
            let said = match error.message() {
                "duplicate key" => "this is there already; leave one out",
                said => said,
            };
            Diagnostic::new(span, format!("this is no TOML: {said}"))
        })?;
        let mut settings = Self::default();
        let tables = || command.get_subcommands().filter(|found| takes_options(found));
        for (key, entry) in document.get_ref() {
            let name: &str = key.get_ref();
            let table = tables().find(|subcommand| subcommand.get_name() == name);
            match (table, entry.get_ref()) {
                (Some(subcommand), DeValue::Table(entries)) => {
                    let options = entries.iter().map(|(key, entry)| {
                        let arg = find(name, key.get_ref(), key.span().into(), own(subcommand))?;
                        value::words(arg, entry, folder).map(|words| Setting { arg, words })
                    });
                    let options = options.collect::<Result<_, _>>()?;
                    settings.of_commands.push((subcommand.get_name(), options));
                }
                (Some(_), other) => {
                    let found = other.type_str();
                    let message = format!(
                        "{name} is of type {found}; options of `{name}` stand in a table, below [{name}]"
                    );
                    return Err(Diagnostic::new(entry.span().into(), message));
                }
                (None, _) => {
                    let tables = tables().map(|found| (found.get_name(), None));
                    let options = global(command).map(|(name, arg)| (name, Some(arg)));
                    let arg = find_among("the file", name, key.span().into(), options.chain(tables))?;
                    let Some(arg) = arg else { continue };
                    let words = value::words(arg, entry, folder)?;
                    settings.global.push(Setting { arg, words });
                }
            }
        }
        Ok(settings)
    }

    /// What holds for a subcommand.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &Setting<'a>> {
        let own = self.of_commands.iter().filter(move |(command, _)| *command == name);
        self.global.iter().chain(own.flat_map(|(_, options)| options))
    }
}

/// The option by that name.
fn find<'a>(
    table: &str,
    name: &str,
    span: Span,
    known: impl Iterator<Item = (&'a str, &'a Arg)>,
) -> Result<&'a Arg, Diagnostic> {
    find_among(&format!("[{table}]"), name, span, known)
}

/// What goes by that name, or what is meant by it.
fn find_among<'a, T>(
    place: &str,
    name: &str,
    span: Span,
    known: impl Iterator<Item = (&'a str, T)>,
) -> Result<T, Diagnostic> {
    let mut names = Vec::new();
    for (known, found) in known {
        if known == name {
            return Ok(found);
        }
        names.push(known);
    }
    let hint = match did_you_mean(name, names.iter().copied()) {
        none if none.is_empty() => format!("; it has {}", one_of(&names)),
        hint => hint,
    };
    Err(Diagnostic::new(span, format!("{place} has no {}{hint}", quoted(name))))
}
