//! What a lint is made of, and what it is given.

use barscope_device::Register;
use barscope_trace::Capability;

use super::about::About;
use super::finding::Found;
use crate::view::{AccessView, Place, View};

/// A lint at work: it takes records one by one, in memory that doesn't grow with their number.
pub(super) trait Rule {
    /// It in words.
    fn about(&self) -> &'static About;

    /// What a trace has to tell. Where it doesn't, the lint judges nothing.
    fn needs(&self) -> &'static [Capability] {
        &[]
    }

    /// Takes an access.
    fn access(&mut self, _: &Touch<'_>, _: &mut Found<'_>) {}

    /// Takes any other record.
    fn event(&mut self, _: &View, _: &mut Found<'_>) {}

    /// Records are missing before the one that comes next: what they may have changed is no longer known.
    fn lose(&mut self) {}
}

/// An access with what lints ask of it.
pub(super) struct Touch<'a> {
    pub(super) access: AccessView<'a>,
    /// What it leads to.
    pub(super) place: Option<&'a Place>,
    /// The register that its first byte belongs to.
    pub(super) register: Option<&'a Register>,
}

impl<'a> Touch<'a> {
    pub(super) fn new(access: AccessView<'a>) -> Self {
        let place = access.place();
        Self { access, place, register: place.and_then(Place::register) }
    }

    /// Place and register of an access to a BAR's register, no range of plain bytes.
    pub(super) fn bar_register(&self) -> Option<(&'a Place, &'a Register)> {
        let register = self.register.filter(|register| !register.memory)?;
        Some((self.bar()?, register))
    }

    /// The place of an access to a BAR.
    pub(super) fn bar(&self) -> Option<&'a Place> {
        self.place.filter(|place| matches!(place.region, barscope_device::Region::Bar(_)))
    }

    /// The place of an access to the configuration space of a function that is there.
    pub(super) fn configuration(&self) -> Option<&'a Place> {
        self.place.filter(|place| place.is_configuration() && place.bdf.is_some() && place.function.is_some())
    }
}
