//! The devices that are here, by name.

use barscope_device::{Bdf, Devices, Entry, PciDevice};

use crate::lab::Lab;
use crate::ticker::Ticker;

/// Every device, in the order to list them.
pub fn entries() -> Vec<Entry> {
    crate::entries()
}

/// The device called `name`.
pub fn named(name: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.name == name)
}

/// The devices that the test kernel's scenarios are for: `lab` at 00:04.0, and `ticker` at 00:08.0, on the same IRQ
/// line.
pub fn defaults() -> Devices {
    let devices: [(u8, Box<dyn PciDevice>); 2] =
        [(4, Box::new(Lab::default())), (8, Box::new(Ticker::default()))];
    let placed = devices.into_iter().map(|(number, device)| Some((Bdf::new(0, number, 0)?, device)));
    placed.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use barscope_device::{PciFunction, Region, RegisterMap};

    #[test]
    fn every_device_goes_by_the_name_it_gives_itself_and_fits_a_function() {
        for entry in entries() {
            for device in entry.with_defaults() {
                assert_eq!(PciFunction::new(device).name(), entry.name);
            }
            assert_eq!(named(&entry.name).map(|found| found.summary), Some(entry.summary));
        }
    }

    #[test]
    fn registers_hold_their_reset_values_at_first() {
        for entry in entries() {
            for device in entry.with_defaults() {
                for map in device.register_maps() {
                    for register in map.registers.iter().filter(|register| !register.memory) {
                        if let Some(value) = device.peek(map.region, register.offset) {
                            assert_eq!(value, register.reset, "{}: {}", entry.name, register.name);
                        }
                    }
                }
            }
        }
    }

    /// So the registers of its BARs can be reached: a function checks their maps.
    #[test]
    fn every_value_of_every_option_makes_a_function() {
        for entry in entries() {
            for option in &entry.options {
                for value in &option.values {
                    let options = entry.parse(&[(&option.name, value)]).unwrap();
                    for device in entry.functions(&options) {
                        let registers = PciFunction::new(device).configuration_registers().into();
                        let map = RegisterMap { region: Region::Config, registers };
                        assert_eq!(map.check(4096), Ok(()), "{}: {}={value}", entry.name, option.name);
                    }
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
