//! The devices, a file each. A line here is all that a new one takes besides its file.

use crate::catalog::Entry;

/// Declares each device's module and lists it in [`crate::catalog::DEVICES`]. The module's name is the
/// device's.
macro_rules! devices {
    ($($module:ident::$device:ident: $summary:literal,)*) => {
        $(pub mod $module;)*

        pub(crate) const ENTRIES: &[Entry] = &[$(Entry {
            name: stringify!($module),
            summary: $summary,
            new: || Box::new($module::$device::default()),
        }),*];
    };
}

devices! {
    lab::Lab: "computes, interrupts, and has memory: what the test kernel drives",
}
