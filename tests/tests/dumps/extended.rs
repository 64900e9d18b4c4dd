//! Extended capabilities made from a dump, up to where the next one begins.

use barscope_device::{
    AerSpec, AtsSpec, BarIndex, ConfigHeader, ExtendedCapability, OtherExtendedSpec, ResizableBar,
    ResizableBarSpec, SerialNumberSpec, SrIovSpec,
};

use crate::bytes::{Expressed, Inexpressible, Space, expect};
use crate::capabilities::content;
use crate::header::bars;

/// The extended capability at `at` of a function with this header so far; the next one, or the end, is at `end`.
pub fn extended_capability(
    space: &Space,
    at: usize,
    end: usize,
    header: &ConfigHeader,
) -> Expressed<ExtendedCapability> {
    let (id, version) = (space.u16(at), (space.u32(at) >> 16 & 0xf) as u8);
    let ones = |what: &str| expect(version == 1, || format!("{what} of version {version}"));
    Ok(match id {
        0x01 => {
            let is_root = header.express().is_some_and(|express| express.kind.is_root());
            error_reporting(space, at, end, version, is_root)?.into()
        }
        0x03 => {
            ones("a serial number")?;
            SerialNumberSpec { number: space.u64(at + 4) }.into()
        }
        0x0f => {
            ones("ATS")?;
            address_translation(space, at)?.into()
        }
        0x10 => virtual_functions(space, at, version)?.into(),
        0x15 => {
            ones("Resizable BAR")?;
            resizable(space, at)?.into()
        }
        _ => OtherExtendedSpec { id, version, content: content(space, at + 4, end) }.into(),
    })
}

fn error_reporting(space: &Space, at: usize, end: usize, version: u8, is_root: bool) -> Expressed<AerSpec> {
    space.expect_clear(at + 0x18, 0xffff_f000, "AER's control")?;
    let control = space.u32(at + 0x18);
    let prefix = control & 1 << 11 != 0;
    if is_root {
        space.expect_clear(at + 0x2c, 0xffff_fff8, "AER's root command")?;
        space.expect_clear(at + 0x30, 0x07ff_ff80, "AER's root status")?;
    }
    expect(!prefix || at + 0x48 <= end, || "AER: a prefix log that the next capability covers".to_owned())?;
    let defaults = AerSpec::default();
    let uncorrectable = space.u32(at + 4) | space.u32(at + 8) | space.u32(at + 0xc) | defaults.uncorrectable;
    let correctable = space.u32(at + 0x10) | space.u32(at + 0x14) | defaults.correctable;
    Ok(AerSpec {
        version,
        uncorrectable,
        correctable,
        ecrc_generation: control & 1 << 5 != 0,
        ecrc_check: control & 1 << 7 != 0,
        multiple_headers: control & 1 << 9 != 0,
        root: is_root.then(|| (space.u32(at + 0x30) >> 27) as u8),
        prefix_log: prefix,
        ..defaults
    })
}

fn address_translation(space: &Space, at: usize) -> Expressed<AtsSpec> {
    space.expect_clear(at + 4, 0x7fe0_ff00, "ATS")?;
    let capabilities = space.u16(at + 4);
    Ok(AtsSpec {
        queue_depth: (capabilities & 0x1f) as u8,
        page_aligned: capabilities & 1 << 5 != 0,
        global_invalidate: capabilities & 1 << 6 != 0,
        relaxed_ordering: capabilities & 1 << 7 != 0,
    })
}

fn virtual_functions(space: &Space, at: usize, version: u8) -> Expressed<SrIovSpec> {
    space.expect_clear(at + 0x08, 0xfffe_ffc0, "SR-IOV's control and status")?;
    space.expect_clear(at + 0x10, 0xff00_0000, "SR-IOV's dependency link")?;
    space.expect_clear(at + 0x18, 0x0000_ffff, "SR-IOV's device ID")?;
    Ok(SrIovSpec {
        version,
        capabilities: space.u32(at + 0x04),
        initial: space.u16(at + 0x0c),
        total: space.u16(at + 0x0e),
        dependency: space.u8(at + 0x12),
        first: space.u16(at + 0x14),
        stride: space.u16(at + 0x16),
        device: space.u16(at + 0x1a),
        page_sizes: space.u32(at + 0x1c),
        bars: bars(space, at + 0x24, 6, |_| None)?,
        migration: space.u32(at + 0x3c),
    })
}

fn resizable(space: &Space, at: usize) -> Expressed<ResizableBarSpec> {
    let count = space.u32(at + 8) >> 5 & 7;
    let entry = |index: usize| {
        let at = at + 4 + 8 * index;
        space.expect_clear(at, 0x0000_000f, "Resizable BAR's sizes")?;
        let reserved = if index == 0 { 0x0000_c018 } else { 0x0000_c0f8 };
        space.expect_clear(at + 4, reserved, "Resizable BAR's control")?;
        let (sizes, control) = (space.u32(at), space.u32(at + 4));
        let bar = BarIndex::new((control & 7) as u8);
        Ok(ResizableBar {
            bar: bar.ok_or_else(|| Inexpressible("Resizable BAR of a BAR above 5".to_owned()))?,
            sizes: u64::from(sizes >> 4) | u64::from(control >> 16) << 28,
            size: (control >> 8 & 0x3f) as u8,
        })
    };
    Ok(ResizableBarSpec { bars: (0..count as usize).map(entry).collect::<Expressed<_>>()? })
}
