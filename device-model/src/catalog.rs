//! Devices by name, as a command or a test is asked for them.

use std::fmt;
use std::sync::Arc;

use crate::address::Bdf;
use crate::deviation::Deviation;
use crate::device::PciDevice;
use crate::option::{BadOption, OptionSpec, Options};

/// The most functions that a device has (PCI Local Bus 3.0, section 3.2.2.3.4).
const FUNCTIONS: usize = 8;

/// Functions and where they are.
pub type Devices = Vec<(Bdf, Box<dyn PciDevice>)>;

type Make = dyn Fn(&Options) -> Vec<Box<dyn PciDevice>> + Send + Sync;

/// A device that a machine can be built with: a name, what it can be told, and how it is made.
#[derive(Clone)]
pub struct Entry {
    /// Name, as in `--device NAME`.
    pub name: String,
    /// One line on what it is.
    pub summary: String,
    /// Options that it takes.
    pub options: Vec<OptionSpec>,
    /// What it answers otherwise than the device that it is a model of.
    pub deviations: Vec<Deviation>,
    make: Arc<Make>,
}

/// A device whose functions have no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It has no function at all, or more than a device number has.
    #[error("{device} has {count} functions; a device has 1 to {FUNCTIONS}")]
    Count {
        /// The device.
        device: String,
        /// How many it has.
        count: usize,
    },
    /// Its last functions would be past function 7.
    #[error("{device} has {count} functions, which don't fit from {first} on; give it function 0")]
    Past {
        /// The device.
        device: String,
        /// How many it has.
        count: usize,
        /// Where the first one is to be.
        first: Bdf,
    },
}

impl Entry {
    /// A device of one function, which `make` gives in its state after reset.
    pub fn new<D: PciDevice + 'static>(
        name: impl Into<String>,
        summary: impl Into<String>,
        make: impl Fn(&Options) -> D + Send + Sync + 'static,
    ) -> Self {
        Self::of_functions(name, summary, move |options| vec![Box::new(make(options))])
    }

    /// A device of 1 to 8 functions, function 0 first. They share nothing but their device number.
    pub fn of_functions(
        name: impl Into<String>,
        summary: impl Into<String>,
        make: impl Fn(&Options) -> Vec<Box<dyn PciDevice>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            summary: summary.into(),
            options: Vec::new(),
            deviations: Vec::new(),
            make: Arc::new(make),
        }
    }

    /// The same device with options, which `make` is told.
    #[must_use]
    pub fn with_options(mut self, options: impl Into<Vec<OptionSpec>>) -> Self {
        self.options = options.into();
        self
    }

    /// The same device, which deviates so from the one that it is a model of.
    #[must_use]
    pub fn with_deviations(mut self, deviations: impl Into<Vec<Deviation>>) -> Self {
        self.deviations = deviations.into();
        self
    }

    /// Checks `given` names and values of options.
    ///
    /// # Errors
    /// [`BadOption`], which says what is valid.
    pub fn parse(&self, given: &[(&str, &str)]) -> Result<Options, BadOption> {
        Options::parse(&self.name, &self.options, given)
    }

    /// Its functions with these options, in their order.
    pub fn functions(&self, options: &Options) -> Vec<Box<dyn PciDevice>> {
        (self.make)(options)
    }

    /// Its functions without being told anything.
    pub fn with_defaults(&self) -> Vec<Box<dyn PciDevice>> {
        self.functions(&Options::defaults(&self.options))
    }

    /// Its functions with these options, the first one at `first`, the others at the function numbers after it.
    ///
    /// # Errors
    /// [`BadPlace`] if it has too many for that.
    pub fn at(&self, first: Bdf, options: &Options) -> Result<Devices, BadPlace> {
        let functions = self.functions(options);
        let (device, count) = (self.name.clone(), functions.len());
        if !(1..=FUNCTIONS).contains(&count) {
            return Err(BadPlace::Count { device, count });
        }
        let numbers = first.function()..8;
        if numbers.len() < count {
            return Err(BadPlace::Past { device, count, first });
        }
        let places = numbers.filter_map(|number| Bdf::new(first.bus(), first.device(), number));
        Ok(places.zip(functions).collect())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, summary, options, deviations, make: _ } = self;
        let mut text = formatter.debug_struct("Entry");
        text.field("name", name).field("summary", summary).field("options", options);
        text.field("deviations", deviations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_bridge::HostBridge;

    fn of(count: usize) -> Entry {
        Entry::of_functions("many", "", move |_| {
            (0..count).map(|_| Box::new(HostBridge) as Box<dyn PciDevice>).collect()
        })
    }

    fn places(entry: &Entry, first: &str) -> Result<Vec<String>, String> {
        let placed = entry.at(first.parse().unwrap(), &Options::default());
        let places = |placed: Vec<(Bdf, _)>| placed.iter().map(|(bdf, _)| bdf.to_string()).collect();
        placed.map(places).map_err(|error| error.to_string())
    }

    #[test]
    fn functions_follow_the_first_one_at_one_device_number() {
        assert_eq!(places(&of(1), "00:04.1"), Ok(vec!["00:04.1".to_owned()]));
        assert_eq!(places(&of(2), "00:1f.6"), Ok(vec!["00:1f.6".to_owned(), "00:1f.7".to_owned()]));
        assert_eq!(places(&of(8), "00:04.0").map(|places| places.len()), Ok(8));
    }

    #[test]
    fn functions_that_have_no_place_are_refused() {
        let error = |count, first| places(&of(count), first).unwrap_err();

        assert_eq!(error(0, "00:04.0"), "many has 0 functions; a device has 1 to 8");
        assert_eq!(error(9, "00:04.0"), "many has 9 functions; a device has 1 to 8");
        assert_eq!(
            error(2, "00:04.7"),
            "many has 2 functions, which don't fit from 00:04.7 on; give it function 0"
        );
    }

    #[test]
    fn a_device_is_made_as_it_was_told() {
        let entry = Entry::of_functions("many", "", |options| {
            let count = options.value("count").parse().unwrap();
            (0..count).map(|_| Box::new(HostBridge) as Box<dyn PciDevice>).collect()
        });
        let entry = entry.with_options([OptionSpec::new("count", &["1", "2"], "2", "how many")]);

        assert_eq!(entry.with_defaults().len(), 2);
        assert_eq!(entry.functions(&entry.parse(&[("count", "1")]).unwrap()).len(), 1);
    }
}
