//! Writes to a control register of configuration space that clear bits of the status register beside it.

use std::collections::BTreeMap;

use barscope_device::{Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::event::Outcome;

use crate::lint::about::{About, Class};
use crate::lint::finding::Found;
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "config-w1c-merge",
    class: Class::Certain,
    title: "Configuration write that clears status bits beside the register that it is for",
    looks_for: "a write of 32 bits to COMMAND and STATUS, or to the Device Control and Device Status of PCI Express, that \
                changes the control half of what the last read gave, and writes ones of the status half back: those bits \
                are cleared. Silent if no status bit was set, if the control half stays as it was (then the write is for \
                the status), or if records are missing between read and write.",
    why: "A bit of STATUS that is written as one is cleared. An error that the function reported is gone before anybody saw it.",
    bug: "drivers/pci/access.c of Linux warns of it, for host bridges that write no less than 32 bits; \
          dma_ip_drivers#107.",
    example: "
pci_read_config_dword(pdev, PCI_COMMAND, &both);
pci_write_config_dword(pdev, PCI_COMMAND, both | PCI_COMMAND_MASTER);   /* wrong */

pci_read_config_word(pdev, PCI_COMMAND, &command);
pci_write_config_word(pdev, PCI_COMMAND, command | PCI_COMMAND_MASTER); /* right */
",
    advice: "write the control register by itself, with 16 bits, or write zeros to the status half",
    shown_by: "barscope run --bug status-written-back --trace t",
};

/// So many pairs of registers are followed.
const MOST: usize = 256;
/// Bits of STATUS that writing a one clears (PCI Local Bus 3.0, section 6.2.3).
const STATUS: u32 = 0xf900;
/// Bits of Device Status that do (PCI Express 4.0, section 7.5.3.5).
const DEVICE_STATUS: u32 = 0x000f;

/// What the last read of 32 bits gave, with its record.
#[derive(Default)]
pub(super) struct ConfigW1cMerge(BTreeMap<(Bdf, u64), (u32, u64)>);

impl Rule for ConfigW1cMerge {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Configuration]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(place) = touch.configuration().filter(|_| touch.access.outcome == Outcome::Ok) else {
            return;
        };
        let (Some(bdf), Some(function), Some(first)) = (place.bdf, &place.function, touch.register) else {
            return;
        };
        let (status, clears) = match &*first.name {
            "COMMAND" => ("STATUS", STATUS),
            "PCIE_DEVICE_CONTROL" => ("PCIE_DEVICE_STATUS", DEVICE_STATUS),
            _ => return,
        };
        if touch.access.size != 4 || place.offset != first.offset {
            return;
        }
        let value = touch.access.value as u32;
        let key = (bdf, place.offset);
        if !touch.access.write {
            if self.0.len() < MOST || self.0.contains_key(&key) {
                self.0.insert(key, (value, touch.access.view.seq));
            }
            return;
        }
        let Some((read, seq)) = self.0.remove(&key) else { return };
        let back = value & read & clears << 16;
        if back == 0 || (value ^ read) & 0xffff == 0 {
            return;
        }
        let map = function.register_maps.iter().find(|map| map.region == Region::Config);
        let names = map
            .and_then(|map| map.named(status))
            .map(|register| crate::view::describe_value(register, u64::from(back >> 16)));
        let bits = names.filter(|names| !names.is_empty()).unwrap_or_else(|| format!("{:#x}", back >> 16));
        found.at(&ABOUT, touch.access, || {
            format!(
                "A write that is for {} writes {bits} of {status} back, which record {seq} read, and so clears it.",
                first.name
            )
        });
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}
