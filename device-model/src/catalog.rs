//! Which devices there are, by name.

use crate::device::PciDevice;

/// A device that a machine can be built with.
pub struct Entry {
    /// Name, as in `--device NAME`.
    pub name: &'static str,
    /// One line on what it is.
    pub summary: &'static str,
    /// Makes one, in its state after reset.
    pub new: fn() -> Box<dyn PciDevice>,
}

/// Every device, in the order to list them.
pub const DEVICES: &[Entry] = crate::devices::ENTRIES;

/// The device called `name`.
pub fn named(name: &str) -> Option<&'static Entry> {
    DEVICES.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::PciFunction;

    #[test]
    fn every_device_goes_by_the_name_it_gives_itself_and_fits_a_function() {
        for entry in DEVICES {
            let function = PciFunction::new((entry.new)());
            assert_eq!(function.name(), entry.name);
            assert_eq!(named(entry.name).map(|found| found.summary), Some(entry.summary));
        }
    }

    #[test]
    fn register_maps_ascend_without_overlap_inside_their_bars() {
        for entry in DEVICES {
            let device = (entry.new)();
            for map in device.register_maps() {
                let bar = device.header().bars.into_iter().find(|bar| bar.region() == map.region);
                let size = bar.expect("a map describes a BAR").size;
                let mut end = 0;
                for register in map.registers.iter() {
                    assert!(register.offset >= end, "{}: {}", entry.name, register.name);
                    end = register.offset + register.size;
                }
                assert!(end <= size, "{}: {}", entry.name, map.region);
            }
        }
    }

    #[test]
    fn registers_hold_their_reset_values_at_first() {
        for entry in DEVICES {
            let device = (entry.new)();
            for map in device.register_maps() {
                for register in map.registers.iter().filter(|register| !register.memory) {
                    if let Some(value) = device.peek(map.region, register.offset) {
                        assert_eq!(value, register.reset, "{}: {}", entry.name, register.name);
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_name_is_no_device() {
        assert!(named("no-such-device").is_none());
    }
}
