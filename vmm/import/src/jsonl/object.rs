//! An object of a line, whose values are looked up by their names.

use barscope_device::{BarIndex, Bdf, Region};
use barscope_trace::definition::Path;
use serde::Deserialize;
use serde_json::Value;

use crate::text::hex;

/// An object, whose values are looked up by their names.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(pub(super) &'a Value);

/// What is wrong with a line.
pub(super) type Wrong = String;

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> &'a Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str()
    }

    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn hex(&self, key: &str) -> Option<u64> {
        hex(self.text(key)?)
    }

    pub(super) fn need<T>(&self, found: Option<T>, key: &str) -> Result<T, Wrong> {
        found.ok_or_else(|| match self.0.get(key) {
            None | Some(Value::Null) => format!("{key} is missing"),
            Some(_) => format!("{key} isn't what it should be"),
        })
    }

    pub(super) fn need_hex(&self, key: &str) -> Result<u64, Wrong> {
        self.need(self.hex(key), key)
    }

    pub(super) fn need_count(&self, key: &str) -> Result<u64, Wrong> {
        self.need(self.count(key), key)
    }

    pub(super) fn small<T: TryFrom<u64>>(&self, key: &str) -> Result<T, Wrong> {
        self.need(self.count(key).and_then(|count| T::try_from(count).ok()), key)
    }

    /// A value of a type that has names.
    pub(super) fn named<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<T, Wrong> {
        self.need(self.0.get(key).and_then(|value| T::deserialize(value).ok()), key)
    }

    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        self.0.get(key).filter(|value| value.is_object()).map(Object)
    }

    pub(super) fn bdf(&self) -> Option<Bdf> {
        self.text("bdf")?.parse().ok()
    }

    pub(super) fn region(&self) -> Result<Region, Wrong> {
        let name = self.need(self.text("region"), "region")?;
        region(name).ok_or_else(|| format!("{name:?} is no region"))
    }

    pub(super) fn list(&self, key: &str) -> &'a [Value] {
        self.0.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

pub(super) fn region(name: &str) -> Option<Region> {
    match name {
        "CONFIG" => Some(Region::Config),
        "ROM" => Some(Region::Rom),
        _ => Some(Region::Bar(BarIndex::new(name.strip_prefix("BAR")?.parse().ok()?)?)),
    }
}

pub(super) fn path(name: &str) -> Option<Path> {
    Path::ALL.into_iter().find(|path| path.name() == name)
}
