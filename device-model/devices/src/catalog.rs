//! The list of devices, by name.

use barscope_device::{Bdf, PciDevice};

use crate::option::{BadOption, OptionSpec, Options};

/// A device that a machine can be built with.
pub struct Entry {
    /// Name, as in `--device NAME`.
    pub name: &'static str,
    /// One line on what it is.
    pub summary: &'static str,
    /// Options that it takes.
    pub options: &'static [OptionSpec],
    /// Makes one with these options, in its state after reset.
    pub new: fn(&Options) -> Box<dyn PciDevice>,
}

impl Entry {
    /// Checks `given` names and values of options.
    ///
    /// # Errors
    /// [`BadOption`], which says what is valid.
    pub fn options(&self, given: &[(&str, &str)]) -> Result<Options, BadOption> {
        Options::parse(self.name, self.options, given)
    }

    /// Makes one without being told anything.
    pub fn with_defaults(&self) -> Box<dyn PciDevice> {
        (self.new)(&Options::defaults(self.options))
    }
}

/// Every device, in the order to list them.
pub const DEVICES: &[Entry] = crate::ENTRIES;

/// The device called `name`.
pub fn named(name: &str) -> Option<&'static Entry> {
    DEVICES.iter().find(|entry| entry.name == name)
}

/// The devices that a machine has without being told: `lab` at 00:04.0, and `ticker` at 00:08.0, on the same IRQ line.
pub fn defaults() -> Vec<(Bdf, Box<dyn PciDevice>)> {
    let at = |name, number| Some((Bdf::new(0, number, 0)?, named(name)?.with_defaults()));
    [at("lab", 4), at("ticker", 8)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use barscope_device::{PciFunction, Region, RegisterMap};

    #[test]
    fn every_device_goes_by_the_name_it_gives_itself_and_fits_a_function() {
        for entry in DEVICES {
            let function = PciFunction::new(entry.with_defaults());
            assert_eq!(function.name(), entry.name);
            assert_eq!(named(entry.name).map(|found| found.summary), Some(entry.summary));
        }
    }

    #[test]
    fn registers_hold_their_reset_values_at_first() {
        for entry in DEVICES {
            let device = entry.with_defaults();
            for map in device.register_maps() {
                for register in map.registers.iter().filter(|register| !register.memory) {
                    if let Some(value) = device.peek(map.region, register.offset) {
                        assert_eq!(value, register.reset, "{}: {}", entry.name, register.name);
                    }
                }
            }
        }
    }

    /// So the registers of its BARs can be reached: a function checks their maps.
    #[test]
    fn every_value_of_every_option_makes_a_function() {
        for entry in DEVICES {
            for option in entry.options {
                assert!(option.values.contains(&option.default), "{}: {}", entry.name, option.name);
                for value in option.values {
                    let options = entry.options(&[(option.name, value)]).unwrap();
                    let function = PciFunction::new((entry.new)(&options));
                    let registers = function.configuration_registers().into();
                    let map = RegisterMap { region: Region::Config, registers };
                    assert_eq!(map.check(4096), Ok(()), "{}: {}={value}", entry.name, option.name);
                }
            }
        }
    }

    #[test]
    fn a_machine_has_lab_and_ticker_without_being_told() {
        let names: Vec<_> =
            defaults().iter().map(|(bdf, device)| format!("{bdf} {}", device.name())).collect();

        assert_eq!(names, ["00:04.0 lab", "00:08.0 ticker"]);
    }

    #[test]
    fn an_unknown_name_is_no_device() {
        assert!(named("no-such-device").is_none());
    }
}
