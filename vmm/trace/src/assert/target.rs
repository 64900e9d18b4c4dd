//! Names of places: `BAR0`, `BAR0.SCRATCH`, `BAR0+0x8`, `CONFIG+4`, `ROM`.

use device_model::{Field, Region};

use crate::definition::Function;
use crate::definitions::Definitions;
use crate::view::Place;

/// A place that a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    text: String,
    parsed: Option<(Region, Spot)>,
}

/// What in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spot {
    Anywhere,
    Register(String),
    Offset(u64),
}

impl Target {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), parsed: parse(text) }
    }

    pub(super) fn is_in(&self, region: Region) -> bool {
        self.parsed.as_ref().is_some_and(|(own, _)| *own == region)
    }

    pub(super) fn matches(&self, place: &Place) -> bool {
        let Some((region, spot)) = &self.parsed else { return false };
        *region == place.region
            && match spot {
                Spot::Anywhere => true,
                Spot::Register(name) => place.register().is_some_and(|register| register.name == *name),
                Spot::Offset(offset) => place.offset == *offset,
            }
    }

    /// Whether the trace has such a place, on a function that `device` accepts, with fields of these
    /// names. The error says what is missing.
    pub(super) fn check(
        &self,
        definitions: &Definitions,
        device: impl Fn(&Function) -> bool,
        fields: &[String],
    ) -> Result<(), String> {
        let Some((region, spot)) = &self.parsed else {
            return Err(format!("{:?} names no place: BAR0, BAR0.REGISTER or BAR0+0x8 would", self.text));
        };
        let Spot::Register(name) = spot else { return Ok(()) };
        let registers = || {
            definitions
                .functions()
                .filter(|(_, function)| device(function))
                .flat_map(|(_, function)| &function.register_maps)
                .filter(|map| map.region == *region)
                .filter_map(|map| map.named(name))
        };
        if registers().next().is_none() {
            return Err(format!("no device in the trace has a register {}", self.text));
        }
        let known = |wanted: &String| {
            registers().any(|register| register.fields.iter().any(|Field { name, .. }| name == wanted))
        };
        match fields.iter().find(|field| !known(field)) {
            Some(field) => Err(format!("{} has no field {field}", self.text)),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<(Region, Spot)> {
    let end = text.find(['.', '+']).unwrap_or(text.len());
    let (region, rest) = text.split_at(end);
    let region = match region {
        "ROM" => Region::Rom,
        "CONFIG" => Region::Config,
        bar => Region::Bar(bar.strip_prefix("BAR")?.parse().ok().filter(|index| *index < 6)?),
    };
    let spot = match rest.split_at_checked(1) {
        None => Spot::Anywhere,
        Some((".", name)) => Spot::Register(name.to_owned()),
        Some((_, offset)) => Spot::Offset(match offset.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => offset.parse().ok()?,
        }),
    };
    Some((region, spot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places() {
        let register = |name: &str| Spot::Register(name.to_owned());
        assert_eq!(parse("BAR0"), Some((Region::Bar(0), Spot::Anywhere)));
        assert_eq!(parse("BAR5.ID"), Some((Region::Bar(5), register("ID"))));
        assert_eq!(parse("BAR2+0x10"), Some((Region::Bar(2), Spot::Offset(16))));
        assert_eq!(parse("CONFIG+4"), Some((Region::Config, Spot::Offset(4))));
        assert_eq!(parse("ROM"), Some((Region::Rom, Spot::Anywhere)));
        for text in ["", "BAR", "BAR6", "BAR0+", "BAR0+x", "lab", "bar0", ".ID", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
