//! What conditions compare, and with what.

/// What a field of an event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Matches a pattern with `*` and `?`.
    Like,
    Unlike,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Number(u64),
    Text(String),
    Flag(bool),
}

/// What a condition is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// What is certain of an event, for verdicts.
    Certainty,
    /// What is recorded of it, inferred or not, for people who look at it.
    Record,
}
