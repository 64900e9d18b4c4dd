//! Accesses as lints are given them.

use barscope_device::{Region, Register};

use super::calls::Call;
use crate::view::{AccessView, Place};

/// An access with what lints ask of it.
pub(super) struct Touch<'a> {
    pub(super) access: AccessView<'a>,
    /// What it leads to.
    pub(super) place: Option<&'a Place>,
    /// The register that its first byte belongs to.
    pub(super) register: Option<&'a Register>,
    /// The call of a function that it is part of, if that is known.
    pub(super) call: Option<Call>,
}

impl<'a> Touch<'a> {
    pub(super) fn new(access: AccessView<'a>, call: Option<Call>) -> Self {
        let place = access.place();
        Self { access, place, register: place.and_then(Place::register), call }
    }

    /// Place and register of an access to a BAR's register, no range of plain bytes.
    pub(super) fn bar_register(&self) -> Option<(&'a Place, &'a Register)> {
        let register = self.register.filter(|register| !register.memory)?;
        Some((self.bar()?, register))
    }

    /// The place of an access to a BAR.
    pub(super) fn bar(&self) -> Option<&'a Place> {
        self.place.filter(|place| matches!(place.region, Region::Bar(_)))
    }

    /// The place of an access to the configuration space of a function that is there.
    pub(super) fn configuration(&self) -> Option<&'a Place> {
        self.place.filter(|place| place.is_configuration() && place.bdf.is_some() && place.function.is_some())
    }
}

/// All bits of so many bytes.
pub(super) fn whole(size: u64) -> u64 {
    if size >= 8 { u64::MAX } else { (1 << (8 * size)) - 1 }
}
