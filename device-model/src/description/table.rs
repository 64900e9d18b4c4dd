//! A table of a file, from which values are taken by key: what is missing, of the wrong kind or unknown is a
//! diagnostic at its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::number;
use crate::diagnostic::{Diagnostic, Span, cut, did_you_mean, one_of, quoted};
use crate::text::{TEXT_RULE, is_text};

/// A kind of table: what it is, how it is written, and its keys, each with a value as an example.
pub(super) struct Shape {
    /// With its article, as in "a register".
    pub(super) what: &'static str,
    pub(super) example: &'static str,
    pub(super) keys: &'static [(&'static str, &'static str)],
}

impl Shape {
    fn example(&self, key: &str) -> &'static str {
        self.keys.iter().find(|(known, _)| *known == key).map_or("", |(_, example)| example)
    }
}

/// A table of some shape; it has no key but those of its shape.
pub(super) struct Table<'a> {
    shape: &'static Shape,
    /// Its header, or itself if it stands in a line.
    pub(super) span: Span,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// # Errors
    /// A key that the shape lacks.
    pub(super) fn new(
        shape: &'static Shape,
        span: Span,
        entries: &'a DeTable<'a>,
    ) -> Result<Self, Diagnostic> {
        let names = || shape.keys.iter().map(|(key, _)| *key);
        // In the order of the file.
        let unknown = entries.keys().find(|key| !names().any(|known| known == &**key.get_ref()));
        if let Some(key) = unknown {
            let text: &str = key.get_ref();
            let hint = match did_you_mean(text, names()) {
                none if none.is_empty() => format!("; it has {}", one_of(names())),
                hint => hint,
            };
            let message = format!("{} has no {}{hint}", shape.what, quoted(text));
            return Err(Diagnostic::new(key.span().into(), message));
        }
        Ok(Self { shape, span, entries })
    }

    /// # Errors
    /// A value that is no table, or has a key that the shape lacks.
    pub(super) fn of(shape: &'static Shape, value: &'a Spanned<DeValue<'a>>) -> Result<Self, Diagnostic> {
        match value.get_ref() {
            DeValue::Table(entries) => Self::new(shape, value.span().into(), entries),
            other => Err(Diagnostic::new(
                value.span().into(),
                format!("{} is a table, not {}, as in: {}", shape.what, kind(other), shape.example),
            )),
        }
    }

    /// What the key has, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    /// Where the key's value stands; the table itself if it isn't there.
    pub(super) fn place(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |value| value.span().into())
    }

    /// That a key is missing.
    pub(super) fn lacks(&self, key: &str) -> Diagnostic {
        let message = format!("{} needs {key}, as in: {key} = {}", self.shape.what, self.shape.example(key));
        Diagnostic::new(self.span, message)
    }

    /// That a key's value is none; `takes` says what it can be.
    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, takes: &str) -> Diagnostic {
        let found = match value.get_ref() {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => cut(&number.to_string()),
            DeValue::Boolean(is_true) => is_true.to_string(),
            other => kind(other).to_owned(),
        };
        let example = self.shape.example(key);
        let message = format!("{key} is {found}; it takes {takes}, as in: {key} = {example}");
        Diagnostic::new(value.span().into(), message)
    }

    /// A number up to `most`.
    ///
    /// # Errors
    /// The value is something else.
    pub(super) fn number(&self, key: &str, most: u64) -> Result<Option<u64>, Diagnostic> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = match value.get_ref() {
            DeValue::Integer(integer) => number::digits(integer.as_str(), integer.radix()),
            DeValue::String(text) => number::parse(text),
            _ => None,
        };
        let decimal = matches!(value.get_ref(), DeValue::Integer(integer) if integer.radix() == 10);
        let takes = || match most {
            u64::MAX => "a number of 64 bits".to_owned(),
            most if decimal => format!("a number up to {most}"),
            most => format!("a number up to {most:#x}"),
        };
        found.filter(|found| *found <= most).map(Some).ok_or_else(|| self.wrong(key, value, &takes()))
    }

    /// A number up to `most` that has to be there.
    ///
    /// # Errors
    /// It isn't there, or is something else.
    pub(super) fn needed_number(&self, key: &str, most: u64) -> Result<u64, Diagnostic> {
        self.number(key, most)?.ok_or_else(|| self.lacks(key))
    }

    /// A size in bytes.
    ///
    /// # Errors
    /// The value is something else.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, Diagnostic> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = match value.get_ref() {
            DeValue::Integer(integer) => number::digits(integer.as_str(), integer.radix()),
            DeValue::String(text) => number::parse_size(text),
            _ => None,
        };
        let takes = "a number of bytes, with KiB, MiB, GiB or TiB in quotes";
        found.map(Some).ok_or_else(|| self.wrong(key, value, takes))
    }

    /// Lowest bit and width of a field.
    ///
    /// # Errors
    /// It isn't there, or is something else.
    pub(super) fn bits(&self, key: &str) -> Result<(u8, u8), Diagnostic> {
        let value = self.get(key).ok_or_else(|| self.lacks(key))?;
        let found = match value.get_ref() {
            DeValue::Integer(integer) => number::digits(integer.as_str(), integer.radix())
                .and_then(|bit| u8::try_from(bit).ok())
                .filter(|bit| *bit < 64)
                .map(|bit| (bit, 1)),
            DeValue::String(text) => number::parse_bits(text),
            _ => None,
        };
        found.ok_or_else(|| self.wrong(key, value, "a bit up to 63, or highest and lowest one in quotes"))
    }

    /// Whether something is so; `false` if the file doesn't say.
    ///
    /// # Errors
    /// The value is something else.
    pub(super) fn is_true(&self, key: &str) -> Result<bool, Diagnostic> {
        match self.get(key).map(|value| (value, value.get_ref())) {
            None => Ok(false),
            Some((_, DeValue::Boolean(is_true))) => Ok(*is_true),
            Some((value, _)) => Err(self.wrong(key, value, "true or false")),
        }
    }

    /// One of some words.
    ///
    /// # Errors
    /// The value is another word, or none.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Diagnostic> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let known = || words.iter().map(|(word, _)| *word);
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong(key, value, &format!("one of {}", one_of(known()))));
        };
        match words.iter().find(|(word, _)| *word == &**text) {
            Some((_, chosen)) => Ok(Some(*chosen)),
            None => {
                let message = format!("{key} can't be {}; it takes {}", quoted(text), one_of(known()));
                Err(Diagnostic::new(value.span().into(), message))
            }
        }
    }

    /// A text of one line; empty if the file doesn't say.
    ///
    /// # Errors
    /// The value is something else, too long, or holds what a terminal obeys.
    pub(super) fn text(&self, key: &str) -> Result<&'a str, Diagnostic> {
        let Some(value) = self.get(key) else { return Ok("") };
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.wrong(key, value, "a text in quotes"));
        };
        if is_text(text) {
            return Ok(text);
        }
        let message = format!("{key} can't be this text of {} characters: {TEXT_RULE}", text.chars().count());
        Err(Diagnostic::new(value.span().into(), message))
    }

    /// A name that has to be there. What names can be is checked with the rest of what it names.
    ///
    /// # Errors
    /// It isn't there, or is no text.
    pub(super) fn name(&self, key: &str) -> Result<&'a str, Diagnostic> {
        let value = self.get(key).ok_or_else(|| self.lacks(key))?;
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong(key, value, "a name in quotes")),
        }
    }

    /// A table.
    ///
    /// # Errors
    /// The value is something else, or has a key that its shape lacks.
    pub(super) fn table(&self, key: &str, shape: &'static Shape) -> Result<Option<Table<'a>>, Diagnostic> {
        self.get(key).map(|value| Table::of(shape, value)).transpose()
    }

    /// The values of a list; none if the file doesn't say.
    ///
    /// # Errors
    /// The value is something else.
    pub(super) fn list(&self, key: &str) -> Result<&'a [Spanned<DeValue<'a>>], Diagnostic> {
        let Some(value) = self.get(key) else { return Ok(&[]) };
        match value.get_ref() {
            DeValue::Array(list) => Ok(list),
            // Where a line `[bar]` should be `[[bar]]`.
            DeValue::Table(_) => {
                let message = format!(
                    "{key} is one table, and takes a list of them, as in: {}",
                    self.shape.example(key)
                );
                Err(Diagnostic::new(value.span().into(), message))
            }
            _ => Err(self.wrong(key, value, "a list of tables")),
        }
    }
}

/// What a value is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
