//! Terms of a comparison: what of records isn't compared, and which records are.

use std::fmt;
use std::str::FromStr;

use barscope_device::diagnostic::one_of;
use barscope_trace::Definitions;

use crate::filter::{Compiled, Diagnostic, Filter};

/// Something that isn't compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignore {
    /// What time decides: how often something was polled, what of several actors came first, for how long a device is
    /// busy, registers that change by themselves.
    Time,
    /// The functions that made accesses.
    Code,
    /// For whom code ran: processes, handlers.
    Process,
    /// From which ring an access came.
    Ring,
    /// By which path an access came.
    Path,
    /// What devices did.
    Effects,
    /// Which scenario a record is part of.
    Scenario,
    /// The values of a register, written as filters name it.
    Value(String),
}

/// Those that are a word alone, with what they leave out.
const WORDS: [(&str, Ignore); 7] = [
    ("time", Ignore::Time),
    ("code", Ignore::Code),
    ("process", Ignore::Process),
    ("ring", Ignore::Ring),
    ("path", Ignore::Path),
    ("effects", Ignore::Effects),
    ("scenario", Ignore::Scenario),
];

const VALUE: &str = "value:";

impl FromStr for Ignore {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(register) = text.strip_prefix(VALUE) {
            let is_place = register.contains('.') || register.contains('+') || register.starts_with("BAR");
            if !is_place || register.contains(char::is_whitespace) {
                return Err(format!("{register:?} is no register; write it like value:BAR0.STATUS"));
            }
            return Ok(Ignore::Value(register.to_owned()));
        }
        match WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, ignore)) => Ok(ignore.clone()),
            None => {
                let words = WORDS.iter().map(|(word, _)| *word).chain(["value:REGISTER"]);
                Err(format!("what isn't compared may be {}", one_of(words)))
            }
        }
    }
}

impl fmt::Display for Ignore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ignore::Value(register) => write!(f, "{VALUE}{register}"),
            other => {
                let word = WORDS.iter().find(|(_, ignore)| ignore == other).map_or("", |(word, _)| word);
                f.write_str(word)
            }
        }
    }
}

/// What is compared of two traces, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What isn't compared.
    pub ignore: Vec<Ignore>,
    /// A filter: only records like this are compared.
    pub only: Option<String>,
}

impl Terms {
    /// Whether this isn't compared.
    pub fn ignores(&self, what: &Ignore) -> bool {
        self.ignore.contains(what)
    }

    /// The same without this, too.
    #[must_use]
    pub fn without(mut self, what: Ignore) -> Self {
        if !self.ignores(&what) {
            self.ignore.push(what);
        }
        self
    }

    /// Holds them against a trace: what they name has to exist there.
    ///
    /// # Errors
    /// The filter and the registers that aren't as they should be, with the text that says so.
    pub(crate) fn compile(&self, definitions: &Definitions) -> Result<CompiledTerms, TermsError> {
        let compile = |text: &str| {
            let compiled = Filter::parse(text).and_then(|filter| filter.compile(definitions));
            compiled.map_err(|diagnostic| TermsError { text: text.to_owned(), diagnostic })
        };
        let values = self.ignore.iter().filter_map(|ignore| match ignore {
            Ignore::Value(register) => Some(compile(register)),
            _ => None,
        });
        Ok(CompiledTerms {
            values: values.collect::<Result<_, _>>()?,
            only: self.only.as_deref().map(compile).transpose()?,
        })
    }
}

/// A filter or a register that a trace doesn't have, or that nobody understands.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", diagnostic.show("filter", text))]
pub struct TermsError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub diagnostic: Diagnostic,
}

/// Terms that were held against a trace.
#[derive(Default)]
pub(crate) struct CompiledTerms {
    /// Records of registers whose values aren't compared.
    pub(crate) values: Vec<Compiled>,
    /// The records that are compared.
    pub(crate) only: Option<Compiled>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_written_as_it_is_read() {
        for text in ["time", "code", "process", "path", "effects", "scenario", "value:BAR0.STATUS"] {
            assert_eq!(text.parse::<Ignore>().unwrap().to_string(), text);
        }
        for (text, error) in [
            (
                "times",
                "what isn't compared may be time, code, process, ring, path, effects, scenario or value:REGISTER",
            ),
            ("value:", "\"\" is no register; write it like value:BAR0.STATUS"),
            ("value:a b", "\"a b\" is no register; write it like value:BAR0.STATUS"),
        ] {
            assert_eq!(text.parse::<Ignore>().unwrap_err(), error);
        }
    }
}
