//! Bytes as hexadecimal text.

use std::fmt::Write;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::new();
    for byte in bytes.as_ref() {
        // Text takes everything.
        write!(text, "{byte:02x}").ok();
    }
    serializer.serialize_str(&text)
}

pub fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes.map(T::from).ok_or_else(|| D::Error::custom("no hexadecimal bytes"))
}
