//! What a device can be told when it is made, as in `--device lab,msix=off`.

/// An option of a device. Its values are few and known, so that help and errors can list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Name, lower case, words joined by `-`.
    pub name: String,
    /// Valid values.
    pub values: Vec<String>,
    /// The value without being told: one of these.
    pub default: String,
    /// One line on what it does.
    pub doc: String,
}

impl OptionSpec {
    /// An option with these values, and its default among them.
    ///
    /// # Panics
    /// If the default isn't one of the values: a device's mistake.
    pub fn new(name: &str, values: &[&str], default: &str, doc: &str) -> Self {
        assert!(values.contains(&default), "option {name}: its default {default:?} is none of its values");
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Self { name: name.to_owned(), values, default: default.to_owned(), doc: doc.to_owned() }
    }
}

/// Options of one device, each with one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    chosen: Vec<(String, String)>,
}

/// An option that a device doesn't take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    /// An unknown option.
    #[error("{device} has no option {option:?}; {}", known(names))]
    Unknown {
        /// The device.
        device: String,
        /// The option.
        option: String,
        /// The options that it has.
        names: Vec<String>,
    },
    /// An invalid value.
    #[error("{device}: {option} can't be {value:?}; it is one of {}", values.join(", "))]
    Value {
        /// The device.
        device: String,
        /// The option.
        option: String,
        /// The value that was given.
        value: String,
        /// Valid values.
        values: Vec<String>,
    },
    /// An option that is given twice.
    #[error("{device}: {option} is given twice")]
    Twice {
        /// The device.
        device: String,
        /// The option.
        option: String,
    },
}

fn known(names: &[String]) -> String {
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

impl Options {
    /// The defaults of `specs`.
    pub fn defaults(specs: &[OptionSpec]) -> Self {
        Self { chosen: specs.iter().map(|spec| (spec.name.clone(), spec.default.clone())).collect() }
    }

    /// `given` names and values for what `specs` allow; the rest as in [`Options::defaults`].
    ///
    /// # Errors
    /// [`BadOption`], which names `device`.
    pub fn parse(device: &str, specs: &[OptionSpec], given: &[(&str, &str)]) -> Result<Self, BadOption> {
        let mut options = Self::defaults(specs);
        for (index, &(name, value)) in given.iter().enumerate() {
            let (device, option) = (device.to_owned(), name.to_owned());
            let Some(place) = specs.iter().position(|spec| spec.name == name) else {
                let names = specs.iter().map(|spec| spec.name.clone()).collect();
                return Err(BadOption::Unknown { device, option, names });
            };
            if given[..index].iter().any(|(earlier, _)| *earlier == name) {
                return Err(BadOption::Twice { device, option });
            }
            let values = &specs[place].values;
            if !values.iter().any(|known| known == value) {
                let (value, values) = (value.to_owned(), values.clone());
                return Err(BadOption::Value { device, option, value, values });
            }
            value.clone_into(&mut options.chosen[place].1);
        }
        Ok(options)
    }

    /// The value of option `name`.
    ///
    /// # Panics
    /// If the device has no such option: a device's mistake.
    pub fn value(&self, name: &str) -> &str {
        let chosen = self.chosen.iter().find(|(option, _)| option == name);
        &chosen.unwrap_or_else(|| panic!("the device declares no option {name:?}")).1
    }

    /// Whether option `name` is `on`.
    ///
    /// # Panics
    /// As for [`Options::value`].
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == "on"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> [OptionSpec; 2] {
        [
            OptionSpec::new("speed", &["slow", "fast"], "slow", ""),
            OptionSpec::new("echo", &["off", "on"], "off", ""),
        ]
    }

    fn parse(given: &[(&str, &str)]) -> Result<Options, String> {
        Options::parse("box", &specs(), given).map_err(|error| error.to_string())
    }

    #[test]
    fn an_option_has_its_default_until_it_is_given_another_value() {
        let options = parse(&[("echo", "on")]).unwrap();

        assert_eq!(options.value("speed"), "slow");
        assert!(options.is_on("echo"));
        assert_eq!(parse(&[]), Ok(Options::defaults(&specs())));
    }

    #[test]
    fn errors_list_what_is_valid() {
        let error = |given| parse(given).unwrap_err();

        assert_eq!(error(&[("colour", "red")]), "box has no option \"colour\"; it has speed, echo");
        assert_eq!(error(&[("speed", "on")]), "box: speed can't be \"on\"; it is one of slow, fast");
        assert_eq!(error(&[("echo", "on"), ("echo", "off")]), "box: echo is given twice");
        let none = Options::parse("box", &[], &[("a", "b")]).unwrap_err();
        assert_eq!(none.to_string(), "box has no option \"a\"; it has none");
    }
}
