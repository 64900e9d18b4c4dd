//! The options, and what they make of the device.

use barscope_device::{
    Backing, BarIndex, BarSpec, ConfigHeader, ExpressSpec, InterruptPin, MsiSpec, MsixSpec, OptionSpec,
    Options, Placed, PowerSpec, SerialNumberSpec, VendorSpec,
};

use super::map::{DOORBELLS_SIZE, MEMORY_SIZE, REGISTERS_SIZE, WINDOW_SIZE};
use super::rom;
use super::{DEVICE, REVISION, VENDOR};

const SWITCH: &[&str] = &["on", "off"];

/// Options.
pub fn options() -> Vec<OptionSpec> {
    let of = OptionSpec::new;
    vec![
        of("msi-vectors", &["0", "1", "2", "4", "8", "16", "32"], "8", "MSI vectors; 0 for no MSI"),
        of("msi-address", &["32", "64"], "64", "bits of the MSI address"),
        of("msi-masking", SWITCH, "on", "a mask bit for each MSI vector"),
        of("msix", SWITCH, "on", "MSI-X, and BAR4 for it"),
        of("memory", &["trapped", "direct"], "trapped", "how accesses to BAR2 are served"),
        of("doorbells", &["trapped", "ioeventfd", "coalesced"], "trapped", "how accesses to BAR5 are served"),
    ]
}

/// The options in force.
pub(super) struct Configuration {
    msi: Option<MsiSpec>,
    msix: bool,
    /// Of BAR2.
    pub(super) memory: Backing,
    /// Of BAR5.
    pub(super) doorbells: Backing,
}

impl Configuration {
    pub(super) fn new(options: &Options) -> Self {
        let vectors = options.value("msi-vectors").parse().unwrap_or(0);
        let msi = MsiSpec {
            wide: options.value("msi-address") == "64",
            masking: options.is_on("msi-masking"),
            ..MsiSpec::new(vectors)
        };
        Self {
            msi: (vectors > 0).then_some(msi),
            msix: options.is_on("msix"),
            memory: if options.value("memory") == "direct" { Backing::Direct } else { Backing::Trapped },
            doorbells: match options.value("doorbells") {
                "ioeventfd" => Backing::Doorbell,
                "coalesced" => Backing::Coalesced,
                _ => Backing::Trapped,
            },
        }
    }

    pub(super) fn header(&self) -> ConfigHeader {
        let bars = [
            Some(BarSpec::memory32(BarIndex::BAR0, REGISTERS_SIZE)),
            Some(BarSpec::io(BarIndex::BAR1, WINDOW_SIZE)),
            Some(BarSpec::memory64(BarIndex::BAR2, MEMORY_SIZE).with_prefetch()),
            self.msix.then_some(BarSpec::memory32(BarIndex::BAR4, 0x1000)),
            Some(BarSpec::memory32(BarIndex::BAR5, DOORBELLS_SIZE)),
        ];
        let capabilities = [
            Some(PowerSpec::default().into()),
            self.msi.map(Placed::from),
            self.msix.then(|| MsixSpec::new(8, BarIndex::BAR4, 0, 0x800).into()),
            Some(ExpressSpec::default().with_function_level_reset().into()),
            Some(VendorSpec::new(b"bench").into()),
        ];
        ConfigHeader {
            vendor: VENDOR,
            device: DEVICE,
            revision: REVISION,
            class: 0xff_00_00,
            subsystem_vendor: VENDOR,
            subsystem: DEVICE,
            bars: bars.into_iter().flatten().collect(),
            rom: Some(rom::SIZE as u32),
            interrupt_pin: Some(InterruptPin::A),
            capabilities: capabilities.into_iter().flatten().collect(),
            extended_capabilities: vec![SerialNumberSpec { number: 0x1ab0_0000_0000_0001 }.into()],
            ..ConfigHeader::default()
        }
    }
}
