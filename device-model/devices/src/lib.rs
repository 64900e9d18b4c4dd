#![doc = include_str!("../README.md")]
//!
//! A device is a file here, and a line in this one.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod document;

/// Declares each device's module and lists it in [`catalog::entries`]. The module's name is the device's, with `-` for `_`;
/// the module has its `options` What it deviates by, if
/// it does, follows an arrow.
macro_rules! devices {
    ($($module:ident::$device:ident: $summary:literal $(=> $deviations:ident)?,)*) => {
        $(pub mod $module;)*

        fn entries() -> Vec<barscope_device::Entry> {
            vec![$(
                barscope_device::Entry::new(&stringify!($module).replace('_', "-"), $summary, $module::$device::new)
                    .with_options($module::options())
                    $(.with_deviations($module::$deviations()))?
            ),*]
        }

        #[cfg(test)]
        pub(crate) const SOURCES: &[&str] = &[$(
            include_str!(concat!(stringify!($module), ".rs"))
        ),*];
    };
}

devices! {
    lab::Lab: "computes, interrupts, moves memory by DMA: what the test kernel drives",
    ticker::Ticker: "interrupts every so often, by a pin that it may share",
    edu::Edu: "QEMU's device for teaching: computes, interrupts, copies by DMA" => deviations,
    pci_testdev::PciTestdev: "QEMU's device for writes that KVM takes without user space",
}
