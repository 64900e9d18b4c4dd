//! Capabilities made from a dump, up to where the next one begins.

use barscope_device::{
    AdvancedFeaturesSpec, BarIndex, Capability, ExpressKind, ExpressSpec, LinkSpec, MaskedBytes, MsiSpec,
    MsixPlace, MsixSpec, OtherSpec, PowerData, PowerSpec, SlotSpec, VendorSpec,
};

use crate::bytes::{Expressed, Inexpressible, Space, expect};

/// The capability at `at`; the next one, or the end, is at `end`.
pub fn capability(space: &Space, at: usize, end: usize) -> Expressed<Capability> {
    Ok(match space.u8(at) {
        0x01 => power(space, at)?.into(),
        0x05 => msi(space, at)?.into(),
        0x09 => vendor(space, at, end)?.into(),
        0x10 => express(space, at)?.into(),
        0x11 => msix(space, at)?.into(),
        0x13 => advanced_features(space, at)?.into(),
        id => OtherSpec { id, content: content(space, at + 2, end) }.into(),
    })
}

/// Bytes up to `end`, without zeros at their end. Nobody says what of them can be written.
pub fn content(space: &Space, start: usize, end: usize) -> MaskedBytes {
    let bytes = &space.0[start..end];
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    MaskedBytes::read_only(&bytes[..length])
}

fn power(space: &Space, at: usize) -> Expressed<PowerSpec> {
    let (capabilities, control) = (space.u16(at + 2), space.u16(at + 4));
    let bit = |bit: u32| capabilities & 1 << bit != 0;
    let pme_support = (capabilities >> 11) as u8;
    space.expect_clear(at + 4, 0x0000_00f4, "power management's control")?;
    expect(pme_support != 0 || control & 0x8100 == 0, || "PME# of a function that has none".to_owned())?;
    let (scale, value) = ((control >> 13 & 3) as u8, space.u8(at + 7));
    let has_data = scale != 0 || value != 0 || control & 0x1e00 != 0;
    Ok(PowerSpec {
        version: (capabilities & 7) as u8,
        pme_clock: bit(3),
        immediate_readiness: bit(4),
        device_specific_initialization: bit(5),
        auxiliary_current: (capabilities >> 6 & 7) as u8,
        d1: bit(9),
        d2: bit(10),
        pme_support,
        no_soft_reset: control & 1 << 3 != 0,
        data: has_data.then_some(PowerData { scale, value }),
        bridge_extensions: space.u8(at + 6),
    })
}

fn msi(space: &Space, at: usize) -> Expressed<MsiSpec> {
    let control = space.u16(at + 2);
    let capable = control >> 1 & 7;
    space.expect_clear(at, 0xf800_0000, "MSI's control")?;
    expect(capable <= 5, || format!("MSI with 2^{capable} vectors"))?;
    space.expect_clear(at + 4, 0x3, "MSI's address")?;
    Ok(MsiSpec {
        vectors: 1 << capable,
        wide: control & 1 << 7 != 0,
        masking: control & 1 << 8 != 0,
        extended_data: control & 1 << 9 != 0,
    })
}

fn vendor(space: &Space, at: usize, end: usize) -> Expressed<VendorSpec> {
    let length = usize::from(space.u8(at + 2));
    if (3..=end - at).contains(&length) {
        return Ok(VendorSpec::new(&space.0[at + 3..at + length]));
    }
    let stated_length = Some(space.u8(at + 2));
    Ok(VendorSpec { content: content(space, at + 3, end), stated_length })
}

fn msix(space: &Space, at: usize) -> Expressed<MsixSpec> {
    space.expect_clear(at, 0x3800_0000, "MSI-X's control")?;
    let place = |at: usize| {
        let register = space.u32(at);
        let bar = BarIndex::new((register & 7) as u8);
        let bar = bar.ok_or_else(|| Inexpressible("MSI-X in a reserved BAR".to_owned()))?;
        Ok(MsixPlace { bar, offset: register & !7 })
    };
    Ok(MsixSpec { vectors: (space.u16(at + 2) & 0x7ff) + 1, table: place(at + 4)?, pending: place(at + 8)? })
}

fn advanced_features(space: &Space, at: usize) -> Expressed<AdvancedFeaturesSpec> {
    let found = (space.u16(at + 2), space.u16(at + 4));
    expect(found == (0x0306, 0), || format!("Advanced Features {found:#06x?}"))?;
    Ok(AdvancedFeaturesSpec {})
}

fn express(space: &Space, at: usize) -> Expressed<ExpressSpec> {
    let capabilities = space.u16(at + 2);
    let (version, kind) = ((capabilities & 0xf) as u8, capabilities >> 4 & 0xf);
    space.expect_clear(at, 0xc000_0000, "PCI Express's capabilities")?;
    let kind = match kind {
        0 => ExpressKind::Endpoint,
        1 => ExpressKind::LegacyEndpoint,
        4 => ExpressKind::RootPort,
        9 => ExpressKind::IntegratedEndpoint,
        10 => ExpressKind::EventCollector,
        _ => {
            return Err(Inexpressible(format!(
                "a PCI Express function of kind {kind}, with a type-0 header"
            )));
        }
    };
    let has_link = !matches!(kind, ExpressKind::IntegratedEndpoint | ExpressKind::EventCollector)
        || space.u32(at + 0x0c) != 0
        || space.u32(at + 0x10) != 0;
    let device = space.u32(at + 4);
    space.expect_clear(at + 8, 0xffc0_8000, "PCI Express's device control and status")?;
    let second = version >= 2;
    let slot = SlotSpec {
        implemented: capabilities & 1 << 8 != 0,
        capabilities: space.u32(at + 0x14),
        control_writable: SlotSpec::default().control_writable | space.u16(at + 0x18),
        capabilities_2: if second { space.u32(at + 0x34) } else { 0 },
        control_2: if second { space.u32(at + 0x38) } else { 0 },
        ..SlotSpec::default()
    };
    let mentions_slot = [0x14, 0x18].iter().any(|register| space.u32(at + register) != 0)
        || slot.capabilities_2 != 0
        || slot.control_2 != 0;
    // What lies behind the registers that a capability of version 1 has is no part of it.
    let has_slot = slot.implemented || (mentions_slot && (second || kind.is_root()));
    if has_slot {
        space.expect_clear(at + 0x18, 0xfe00_0000, "PCI Express's slot status")?;
    }
    let root_capabilities = if kind.is_root() || second { space.u16(at + 0x1e) } else { 0 };
    if kind.is_root() || root_capabilities != 0 {
        space.expect_clear(at + 0x1c, 0x0000_ffe0, "PCI Express's root control")?;
        space.expect_clear(at + 0x20, 0xfffc_0000, "PCI Express's root status")?;
    } else if second {
        space.expect_clear(at + 0x1c, u32::MAX, "PCI Express's root control")?;
        space.expect_clear(at + 0x20, u32::MAX, "PCI Express's root status")?;
    }
    if second {
        space.expect_clear(at + 0x28, 0xffff_0000, "PCI Express's device status 2")?;
    }
    let link = LinkSpec {
        capabilities: space.u32(at + 0x0c),
        control: LinkSpec::default().control | space.u16(at + 0x10),
        status: space.u16(at + 0x12),
        capabilities_2: if second { space.u32(at + 0x2c) } else { 0 },
        control_2: if second { space.u16(at + 0x30) } else { 0 },
        status_2: if second { space.u16(at + 0x32) & !(1 << 5) } else { 0 },
        ..LinkSpec::default()
    };
    Ok(ExpressSpec {
        version,
        kind,
        interrupt_message: (capabilities >> 9 & 0x1f) as u8,
        device_capabilities: device & !(1 << 28),
        function_level_reset: device & 1 << 28 != 0,
        device_control: ExpressSpec::default().device_control | space.u16(at + 8),
        auxiliary_power: space.u16(at + 0xa) & 1 << 4 != 0,
        device_capabilities_2: if second { space.u32(at + 0x24) } else { 0 },
        device_control_2: if second { space.u16(at + 0x28) } else { 0 },
        link: has_link.then_some(link),
        slot: has_slot.then_some(slot),
        root_capabilities,
    })
}
