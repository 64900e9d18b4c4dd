//! What was written reads back as what it was, whatever it is.

use proptest::prelude::*;

use crate::address::{BarIndex, Region, Space};
use crate::bar::BarSpec;
use crate::capability::{
    AdvancedFeaturesSpec, ExpressSpec, LinkSpec, MsiSpec, MsixSpec, OtherSpec, Placed, PowerData, PowerSpec,
    VendorSpec,
};
use crate::description::Description;
use crate::extended::{
    AerSpec, AtsSpec, OtherExtendedSpec, ResizableBar, ResizableBarSpec, SerialNumberSpec, SrIovSpec,
};
use crate::header::{CommandSpec, ConfigHeader, ConventionalSpec, Devsel, InterruptPin};
use crate::masked_bytes::{MaskedBytes, PrivateBytes};
use crate::register::{Access, Field, Register, RegisterMap};

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z_][A-Za-z0-9_]{0,12}"
}

/// Texts for people, those that would break a file among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~]{0,24}", 1 => "[äß§·€\u{1f600}\"\\\\#'=\\[\\]]{0,8}", 1 => Just(String::new())]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..16, any::<u64>(), Just(u64::MAX), Just(i64::MAX as u64), Just(1 << 63)]
}

/// Fields of a register of so many bits: each takes some bits above those of the one before.
fn fields(bits: u8) -> impl Strategy<Value = Vec<Field>> {
    let one = (0_u8..8, 1_u8..=64, text(), prop::collection::vec((number(), name()), 0..4));
    prop::collection::vec(one, 0..4).prop_map(move |all| {
        let mut free = 0_u8;
        let mut fields = Vec::new();
        for (index, (gap, width, doc, values)) in all.into_iter().enumerate() {
            let lsb = free.saturating_add(gap);
            if lsb >= bits {
                break;
            }
            let width = width.min(bits - lsb);
            let mut named: Vec<(u64, std::borrow::Cow<'static, str>)> = Vec::new();
            for (value, name) in values {
                let value = value & (u64::MAX >> (64 - width));
                if named.iter().all(|(other, others)| *other != value && **others != *name) {
                    named.push((value, name.into()));
                }
            }
            fields.push(Field {
                name: format!("F{index}").into(),
                lsb,
                width,
                values: named.into(),
                doc: doc.into(),
            });
            free = lsb + width;
        }
        fields
    })
}

fn register() -> impl Strategy<Value = (u64, Register)> {
    let kinds = prop::sample::select(Access::ALL.to_vec());
    let size = prop_oneof![Just(1_u64), Just(2), Just(4), Just(8)];
    let common = (name(), 0_u64..40, kinds, any::<bool>(), text());
    (common, size, number(), 1_u64..5000, prop::bool::weighted(0.2)).prop_flat_map(
        |((name, gap, access, volatile, doc), size, reset, length, memory)| {
            let bits = if memory { 0 } else { 8 * size as u8 };
            fields(bits).prop_map(move |fields| {
                let size = if memory { length } else { size };
                let reset = if memory { 0 } else { reset & (u64::MAX >> (64 - 8 * size)) };
                let (name, doc) = (name.clone().into(), doc.clone().into());
                let fields = fields.into();
                (gap, Register { name, offset: 0, size, access, reset, volatile, memory, fields, doc })
            })
        },
    )
}

/// A map of a region of at most so many bytes.
fn map(region: Region, end: u64, base: u64) -> impl Strategy<Value = RegisterMap> {
    prop::collection::vec(register(), 0..6).prop_map(move |all| {
        let mut free = base;
        let mut registers: Vec<Register> = Vec::new();
        for (gap, mut register) in all {
            register.offset = free + gap;
            let fits = register.offset + register.size <= end;
            if fits && registers.iter().all(|other| other.name != register.name) {
                free = register.offset + register.size;
                registers.push(register);
            }
        }
        RegisterMap { region, registers: registers.into() }
    })
}

fn bar(index: BarIndex) -> impl Strategy<Value = BarSpec> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 4_u32..45).prop_map(move |(io, wide, prefetched, shift)| {
        let (wide, prefetchable) = (wide && !io && index.get() < 5, prefetched && !io);
        let shift = if io {
            shift.min(8)
        } else if wide {
            shift
        } else {
            shift.min(31)
        };
        let space = if io { Space::Io } else { Space::Memory };
        BarSpec {
            index,
            size: 1 << shift,
            space,
            wide,
            below_1_mib: false,
            wide_ports: io && prefetched,
            prefetchable,
        }
    })
}

fn description() -> impl Strategy<Value = Description> {
    let bars = BarIndex::all().map(|index| prop::option::of(bar(index))).collect::<Vec<_>>();
    let ids = any::<(u16, u16, u8, u16, u16)>();
    let pins = [InterruptPin::A, InterruptPin::B, InterruptPin::C, InterruptPin::D];
    let pin = prop::option::of(prop::sample::select(pins.to_vec()));
    let rest = (0_u32..1 << 24, pin, prop::option::of(11_u32..25), prop::option::of(0_u8..16));
    (bars, ids, rest, "[a-z0-9_][a-z0-9_-]{0,20}", text()).prop_flat_map(
        |(bars, (vendor, device, revision, subsystem_vendor, subsystem), rest, name, summary)| {
            let (class, interrupt_pin, rom, self_test) = rest;
            // The one after a wide BAR is its upper half.
            let mut chosen: Vec<BarSpec> = Vec::new();
            for bar in bars.into_iter().flatten() {
                let taken =
                    chosen.last().is_some_and(|last| last.wide && last.index.next() == Some(bar.index));
                if !taken {
                    chosen.push(bar);
                }
            }
            let rom = rom.map(|shift| 1_u32 << shift);
            let mut maps: Vec<_> = chosen
                .iter()
                // Registers at the far end of large BARs, too.
                .map(|bar| {
                    map(bar.region(), bar.size, if bar.size > 1 << 33 { bar.size - 4096 } else { 0 }).boxed()
                })
                .collect();
            maps.extend(rom.map(|size| map(Region::Rom, size.into(), 0).boxed()));
            maps.push(map(Region::Config, 4096, 0).boxed());
            let header = ConfigHeader {
                vendor,
                device,
                revision,
                class,
                subsystem_vendor,
                subsystem,
                bars: chosen,
                rom,
                interrupt_pin,
                self_test,
                ..ConfigHeader::default()
            };
            maps.prop_map(move |maps| {
                Description::new(name.clone(), summary.clone(), header.clone(), maps)
                    .expect("it was made to hold")
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_description_reads_back_as_it_was_written(description in description()) {
        let text = description.to_toml();

        let again = Description::read(&text);

        prop_assert_eq!(again.as_ref(), Ok(&description), "{}", text);
        prop_assert_eq!(again.map(|again| again.to_toml()), Ok(text));
    }

    /// Files that are almost descriptions: a few characters are others, or gone.
    #[test]
    fn whatever_stands_in_a_file_an_error_has_its_place_in_it(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, "[ -~\n]{0,3}"), 1..4),
    ) {
        let mut text = super::CARD.to_owned();
        for (place, length, new) in changes {
            let at = place.index(text.len());
            let end = (at + length).min(text.len());
            text.replace_range(at..end, &new);
        }
        if let Err(error) = Description::read(&text) {
            let position = error.position(&text);
            prop_assert!(position.line <= text.matches('\n').count() + 1);
            prop_assert!(!error.message.is_empty());
            error.show("card.toml", &text);
        }
    }
}

/// A header with each kind of capability, and each part of one that isn't as without being said.
fn everything() -> ConfigHeader {
    let link = LinkSpec { capabilities: 0x0047_5c13, status: 0x1043, control_2: 3, ..LinkSpec::default() };
    let power = PowerSpec {
        d1: true,
        pme_support: 0x1f,
        data: Some(PowerData { scale: 1, value: 7 }),
        ..PowerSpec::default()
    };
    let express = ExpressSpec { function_level_reset: true, ..ExpressSpec::endpoint(link) };
    let other = OtherSpec { id: 0x14, content: MaskedBytes::new([0, 1, 2], [0, 0xff]) };
    let virtual_bars = vec![BarSpec::memory64(BarIndex::BAR0, 0x4000).with_prefetch()];
    let sr_iov = SrIovSpec {
        total: 64,
        initial: 64,
        first: 0x80,
        stride: 2,
        bars: virtual_bars,
        ..SrIovSpec::default()
    };
    let sizes = vec![ResizableBar { bar: BarIndex::BAR2, sizes: 0xff, size: 3 }];
    let unknown = OtherExtendedSpec { id: 0x19, version: 1, content: MaskedBytes::read_only([0xff; 24]) };
    ConfigHeader {
        bars: vec![BarSpec::memory32(BarIndex::BAR0, 0x4000), BarSpec::memory64(BarIndex::BAR2, 1 << 40)],
        capabilities: vec![
            Placed::at(0x80, power),
            MsiSpec { vectors: 32, wide: false, masking: true, extended_data: true }.into(),
            Placed::at(0x40, MsixSpec::new(17, BarIndex::BAR0, 0x2000, 0x3000)),
            express.into(),
            VendorSpec::new(*b"bench").into(),
            VendorSpec { content: MaskedBytes::new([1, 2], [0xf0, 0x0f]), stated_length: Some(7) }.into(),
            AdvancedFeaturesSpec {}.into(),
            other.into(),
        ],
        extended_capabilities: vec![
            AerSpec::default().into(),
            SerialNumberSpec { number: u64::MAX }.into(),
            Placed::at(0x400, AtsSpec::default()),
            sr_iov.into(),
            ResizableBarSpec { bars: sizes }.into(),
            unknown.into(),
        ],
        private: vec![PrivateBytes { offset: 0xf1, content: MaskedBytes::new([0; 3], [0xff; 3]) }],
        command: CommandSpec { reset: 0x0400, writable: 0x0007 },
        conventional: ConventionalSpec {
            mhz66: true,
            devsel: Devsel::Medium,
            min_grant: 0xff,
            cardbus_cis: 0x1234_5678,
            ..ConventionalSpec::default()
        },
        self_test: Some(0),
        ..ConfigHeader::default()
    }
}

#[test]
fn every_part_of_a_header_reads_back_as_it_was_written() {
    let description = Description::new("everything", "", everything(), vec![]).unwrap();
    let text = description.to_toml();

    let again = Description::read(&text).unwrap_or_else(|bad| panic!("{}", bad.show("file", &text)));

    assert_eq!(again, description, "{text}");
    assert_eq!(again.to_toml(), text);
    // Each entry as people would have it, without what goes without saying.
    for line in [
        "advanced-features = {}",
        "msi = { extended_data = true, masking = true, vectors = 32, wide = false }",
        "power-management = { d1 = true, data = { scale = 1, value = 7 }, pme_support = 0x1f }",
        "serial-number = { number = \"0xffff_ffff_ffff_ffff\" }",
        "command = { reset = 0x400, writable = 7 }",
        "bars = [{ index = 0, prefetchable = true, size = 0x4000, space = \"memory\", wide = true }]",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
