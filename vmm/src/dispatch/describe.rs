//! What the trace says of functions and routes.

use device_model::{Bdf, Decode, PciFunction, Region, RegisterMap};
use trace::definition::{self, Definition};
use trace::event::Id;

/// A route into a region of a function.
pub(super) fn route_definition(function: Id, region: Region, decode: Decode) -> Definition {
    Definition::Route(definition::Route {
        function: Some(function),
        region,
        space: decode.space,
        base: decode.base,
        size: decode.size,
    })
}

/// A function with its BARs and registers.
pub(super) fn function_definition(bdf: Bdf, function: &PciFunction) -> definition::Function {
    let header = function.header();
    let mut register_maps = function.register_maps().to_vec();
    let registers = function.configuration_registers().into();
    register_maps.push(RegisterMap { region: Region::Config, registers });
    definition::Function {
        bdf,
        name: function.name().to_owned(),
        vendor: header.vendor,
        device: header.device,
        bars: header
            .bars
            .iter()
            .map(|bar| definition::Bar {
                index: bar.index,
                space: bar.space,
                size: bar.size,
                wide: bar.wide,
                prefetchable: bar.prefetchable,
            })
            .collect(),
        msi_vectors: header.msi.map_or(0, |msi| msi.vectors),
        msix_vectors: header.msix.map_or(0, |msix| msix.vectors),
        register_maps,
        untrapped: function.untrapped().to_vec(),
    }
}
