//! Values as JSON has them.

use std::fmt::Display;

use serde::{Serialize, Serializer};

/// As addresses and values are printed.
pub(crate) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

/// The same for `serde`.
pub(crate) fn as_hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

/// The same for a number that may be unknown.
pub(crate) fn as_hex_or_null<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(hex).serialize(serializer)
}

/// What has a text, as that.
pub(crate) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
