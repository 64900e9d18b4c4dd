//! The devices, a file each. A line here is all that a new one takes besides its file.

use crate::catalog::Entry;

/// Declares each device's module and lists it in [`crate::catalog::DEVICES`]. The module's name is the
/// device's; the module has its `OPTIONS`.
macro_rules! devices {
    ($($module:ident::$device:ident: $summary:literal,)*) => {
        $(pub mod $module;)*

        pub(crate) const ENTRIES: &[Entry] = &[$(Entry {
            name: stringify!($module),
            summary: $summary,
            options: $module::OPTIONS,
            new: |options| Box::new($module::$device::new(options)),
        }),*];

        #[cfg(test)]
        pub(crate) const SOURCES: &[&str] = &[$(
            include_str!(concat!("devices/", stringify!($module), ".rs"))
        ),*];
    };
}

devices! {
    lab::Lab: "computes, interrupts, moves memory by DMA: what the test kernel drives",
    ticker::Ticker: "interrupts every so often, by a pin that it may share",
    edu::Edu: "QEMU's device for teaching: computes, interrupts, copies by DMA",
}
