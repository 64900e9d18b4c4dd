//! `barscope.toml`: options that somebody would type again and again. They are put on the command line before those that are
//! typed; what may stand in the file is what clap knows of the command line, and clap checks it there.
//!
//! What is typed wins: an option of the file is left out if the same one is typed, lists too, or one that it conflicts with.

mod find;
mod read;
mod value;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use barscope_trace::harmless::harmless;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

use self::read::Settings;
use crate::ending::Failure;
use crate::files;
use crate::output::complain;

/// What the file is called.
pub const NAME: &str = "barscope.toml";

/// The longest file, in bytes: nobody writes more options.
const FILE_MAX: u64 = 64 << 10;

/// What a command line means that names no subcommand.
const DEFAULT: &str = "run";

/// The options that say which file is read, by their ids.
const CONFIG: &str = "config";
const NO_CONFIG: &str = "no_config";

/// A command line that may name the file, or do without one.
pub fn with_options(command: clap::Command) -> clap::Command {
    let file = Arg::new(CONFIG).long("config").global(true).value_name("FILE").hide_short_help(true);
    let file = file.value_parser(clap::value_parser!(PathBuf)).conflicts_with(NO_CONFIG);
    let none =
        Arg::new(NO_CONFIG).long("no-config").global(true).action(ArgAction::SetTrue).hide_short_help(true);
    command
        .arg(
            file.help(
                "Take options from this file, not from the barscope.toml here or above in the repository",
            ),
        )
        .arg(none.help("Take no options from a file"))
}

/// A command line with what a file adds to it.
pub struct Line {
    /// All of its words, the program's name first.
    pub words: Vec<OsString>,
    /// The file that added some, and which.
    added: Option<(PathBuf, Vec<OsString>)>,
    /// What was wrong with what was typed, by itself.
    typed: Option<ErrorKind>,
}

/// Adds to the words of a command line what the file says that holds for it, if there is one.
///
/// # Errors
/// [`Failure`] if the file can't be read, or says what no command takes.
pub fn complete(command: &clap::Command, mut words: Vec<OsString>) -> Result<Line, Failure> {
    let strict = command.clone().try_get_matches_from(&words);
    let kind = strict.as_ref().err().map(clap::Error::kind);
    let matches = match strict {
        Ok(matches) => Some(matches),
        // Of what can be wrong with what is typed, a file has only what is missing.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            command.clone().ignore_errors(true).try_get_matches_from(&words).ok()
        }
        Err(_) => None,
    };
    let added = matches.map_or(Ok(None), |matches| added(command, &matches))?;
    if let Some((_, options)) = &added {
        let at = first_option(command, &words);
        words.splice(at..at, options.iter().cloned());
    }
    Ok(Line { words, added, typed: kind })
}

/// Where options of the subcommand begin. Whatever comes before a subcommand makes it an argument of `run`.
fn first_option(command: &clap::Command, words: &[OsString]) -> usize {
    let is_named = words.get(1).is_some_and(|word| command.find_subcommand(word).is_some());
    (1 + usize::from(is_named)).min(words.len())
}

/// What the file says that holds for these matches, as words of a command line, and which file that is.
fn added(command: &clap::Command, matches: &ArgMatches) -> Result<Option<(PathBuf, Vec<OsString>)>, Failure> {
    let (name, typed) = matches.subcommand().unwrap_or((DEFAULT, matches));
    let Some(subcommand) = command.find_subcommand(name).filter(|found| read::takes_options(found)) else {
        return Ok(None);
    };
    if typed.get_flag(NO_CONFIG) {
        return Ok(None);
    }
    let named = typed.get_one::<PathBuf>(CONFIG).cloned();
    let Some(path) = named.or_else(|| find::from(&std::env::current_dir().ok()?)) else { return Ok(None) };
    let text = files::read_text(&path, FILE_MAX)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let settings = Settings::read(command, folder, &text)
        .map_err(|diagnostic| Failure::Diagnostic(diagnostic.show(&path.display().to_string(), &text)))?;
    let options = settings.of(name).filter(|option| !yields(subcommand, option.arg, typed));
    let words = options.flat_map(|option| option.words.iter().cloned()).collect();
    Ok(Some((path, words)))
}

/// Whether an option of the file is left out because of what is typed.
fn yields(subcommand: &clap::Command, option: &Arg, typed: &ArgMatches) -> bool {
    let is_typed = |arg: &Arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let conflict = |one: &Arg, other: &Arg| {
        subcommand.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
    };
    let contradicts = |other: &Arg| is_typed(other) && (conflict(option, other) || conflict(other, option));
    is_typed(option) || (!option.is_global_set() && subcommand.get_arguments().any(contradicts))
}

impl Line {
    /// Says which options a file added: to somebody who wants all to be told, and to the log.
    pub fn tell(&self, verbose: bool) {
        let Some(added) = self.added() else { return };
        if verbose {
            complain(&added);
        }
        log::info!("{added}");
    }

    /// Ends the process by clap's error, or with what it shows. A file may have a part in it.
    pub fn refuse(&self, error: &clap::Error) -> ! {
        let added = self.added().filter(|_| error.use_stderr() && self.typed != Some(error.kind()));
        error.print().ok();
        if let Some(added) = added {
            complain(format_args!("\nnote: {added}; --no-config leaves that out"));
        }
        std::process::exit(error.exit_code())
    }

    /// `barscope.toml adds --nested --timeout=9`; `None` if no file adds anything.
    fn added(&self) -> Option<String> {
        let (path, words) = self.added.as_ref().filter(|(_, words)| !words.is_empty())?;
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        Some(harmless(&format!("{} adds {}", path.display(), words.join(" "))).into_owned())
    }
}

#[cfg(test)]
mod tests;
