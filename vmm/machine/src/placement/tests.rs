use barscope_device::{BarIndex, BarSpec};
use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

fn header(bars: &[BarSpec]) -> ConfigHeader {
    ConfigHeader { bars: bars.to_vec(), ..ConfigHeader::default() }
}

fn place(headers: &[&ConfigHeader], address_bits: u32) -> Result<Placement, NoRoom> {
    let functions: Vec<_> = (4..)
        .zip(headers)
        .map(|(device, header)| Asking { bdf: Bdf::new(0, device, 0).unwrap(), name: "any", header })
        .collect();
    Placement::new(&functions, address_bits)
}

/// Function, region and address of each.
fn addresses(headers: &[&ConfigHeader]) -> Vec<(usize, String, u64)> {
    let placement = place(headers, 48).unwrap();
    placement.regions().iter().map(|it| (it.function, it.region.to_string(), it.base)).collect()
}

fn expected<const N: usize>(rows: [(usize, &str, u64); N]) -> Vec<(usize, String, u64)> {
    rows.map(|(function, region, base)| (function, region.to_owned(), base)).to_vec()
}

/// A function with 64-bit BARs of these sizes, at most three.
fn wide(sizes: &[u64]) -> ConfigHeader {
    let indices = [BarIndex::BAR0, BarIndex::BAR2, BarIndex::BAR4];
    header(
        &indices
            .into_iter()
            .zip(sizes)
            .map(|(index, size)| BarSpec::memory64(index, *size))
            .collect::<Vec<_>>(),
    )
}

/// What a bus with these BARs is refused with.
fn refusal(headers: &[&ConfigHeader], address_bits: u32) -> String {
    place(headers, address_bits).unwrap_err().to_string()
}

#[test]
fn the_largest_comes_first_in_each_window() {
    let first = header(&[
        BarSpec::memory32(BarIndex::BAR0, 0x1000),
        BarSpec::io(BarIndex::BAR1, 8),
        BarSpec::memory64(BarIndex::BAR2, 0x10_0000),
    ]);
    let second = header(&[BarSpec::memory32(BarIndex::BAR0, 0x1_0000), BarSpec::io(BarIndex::BAR4, 0x20)]);

    let rows = [
        (0, "BAR0", 0xf001_0000),
        (0, "BAR1", 0xc020),
        (0, "BAR2", 0xf010_0000),
        (1, "BAR0", 0xf000_0000),
        (1, "BAR4", 0xc000),
    ];
    assert_eq!(addresses(&[&first, &second]), expected(rows));
}

#[test]
fn each_memory_bar_has_a_page_of_its_own() {
    let small = header(&[
        BarSpec::memory32(BarIndex::BAR0, 16),
        BarSpec::memory32(BarIndex::BAR1, 16),
        BarSpec::io(BarIndex::BAR2, 4),
    ]);

    let rows = [
        (0, "BAR0", 0xf000_0000),
        (0, "BAR1", 0xf000_1000),
        (0, "BAR2", 0xc000),
        (1, "BAR0", 0xf000_2000),
        (1, "BAR1", 0xf000_3000),
        (1, "BAR2", 0xc004),
    ];
    assert_eq!(addresses(&[&small, &small]), expected(rows));
}

#[test]
fn a_64_bit_bar_goes_above_4_gib_only_without_room_below() {
    // The window below has 236 MiB.
    let narrow = header(&[BarSpec::memory32(BarIndex::BAR0, 1 << 26)]);

    let rows = [(0, "BAR0", 0x8_0000_0000), (0, "BAR2", 0xf400_0000), (1, "BAR0", 0xf000_0000)];
    assert_eq!(addresses(&[&wide(&[GIB, 1 << 26]), &narrow]), expected(rows));
}

#[test]
fn small_bars_fill_the_holes_that_alignment_leaves() {
    let rows = [
        (0, "BAR0", 0x80_0000_0000),
        (0, "BAR2", 0x100_0000_0000),
        (0, "BAR4", 0x8_0000_0000),
        (1, "BAR0", 0x180_0000_0000),
    ];
    let sizes = [wide(&[TIB / 2, TIB / 2, GIB]), wide(&[TIB / 2])];
    assert_eq!(addresses(&[&sizes[0], &sizes[1]]), expected(rows));
}

#[test]
fn the_window_above_4_gib_is_as_large_as_what_is_asked() {
    let window = |sizes: &[u64]| place(&[&wide(sizes)], 48).unwrap().above_4_gib().clone();
    for small in [&[][..], &[0x10_0000], &[32 * GIB]] {
        assert_eq!(window(small), 0x8_0000_0000..=0xf_ffff_ffff, "{small:x?}");
    }
    assert_eq!(window(&[32 * GIB, 0x1000]), 0x8_0000_0000..=0x1f_ffff_ffff);
    assert_eq!(window(&[64 * GIB]), 0x8_0000_0000..=0x1f_ffff_ffff);
    assert_eq!(window(&[TIB]), 0x8_0000_0000..=0x1ff_ffff_ffff);
    assert_eq!(window(&[TIB, TIB, 0x100_0000]), 0x8_0000_0000..=0x3ff_ffff_ffff);
    // From here on the MTRRs don't reach down to 32 GiB.
    assert_eq!(window(&[4 * TIB]), 0x10_0000_0000..=0x7ff_ffff_ffff);
    assert_eq!(window(&[64 * TIB]), 0x100_0000_0000..=0x7fff_ffff_ffff);
}

#[test]
fn every_address_of_the_windows_is_uncacheable_by_few_mtrrs() {
    let uncacheable = |sizes: &[u64]| place(&[&wide(sizes)], 52).unwrap().uncacheable();
    let below = 0xe000_0000..=0xffff_ffff;
    assert_eq!(uncacheable(&[]), [below.clone(), 0x8_0000_0000..=0xf_ffff_ffff]);
    let larger = [below, 0x8_0000_0000..=0xf_ffff_ffff, 0x10_0000_0000..=0x1f_ffff_ffff];
    assert_eq!(uncacheable(&[64 * GIB]), larger);
    for bits in 12..=51 {
        let placement = place(&[&wide(&[1 << bits])], 52).unwrap();
        let ranges = placement.uncacheable();
        assert!(ranges.len() <= 8, "{ranges:x?}");
        for range in &ranges {
            let size = range.end() - range.start() + 1;
            assert!(size.is_power_of_two() && range.start() % size == 0, "{range:x?}");
        }
        let mut next = *placement.above_4_gib().start();
        for range in &ranges[1..] {
            assert_eq!(*range.start(), next);
            next = range.end() + 1;
        }
        assert_eq!(next - 1, *placement.above_4_gib().end());
    }
}

#[test]
fn what_32_bit_bars_ask_beyond_their_window_is_refused_with_the_sums() {
    let large = header(&[BarSpec::memory32(BarIndex::BAR0, 1 << 31), BarSpec::memory32(BarIndex::BAR1, 16)]);
    assert_eq!(
        refusal(&[&large, &large], 48),
        "the devices ask for 4 GiB + 8 KiB below 4 GiB: any at 00:04.0 BAR0 2 GiB, any at 00:05.0 BAR0 2 GiB, any at \
         00:04.0 BAR1 4 KiB, any at 00:05.0 BAR1 4 KiB; the window there holds 236 MiB; give them 64-bit BARs, or leave \
         devices out"
    );
    // 128 + 64 + 32 + 8 + 4 MiB, to the last byte; a ROM is one more.
    let full: Vec<_> = (0..)
        .zip([22, 23, 25, 26, 27])
        .map(|(index, bits)| BarSpec::memory32(BarIndex::new(index).unwrap(), 1 << bits))
        .collect();
    assert!(place(&[&header(&full)], 48).is_ok());
    let and_a_rom = ConfigHeader { rom: Some(0x800), ..header(&full) };
    assert!(refusal(&[&and_a_rom], 48).contains("any at 00:04.0 ROM 4 KiB; the window there holds 236 MiB"));
}

#[test]
fn ports_beyond_their_window_are_refused_with_the_sums() {
    let ports: Vec<_> = (0..6).map(|index| BarSpec::io(BarIndex::new(index).unwrap(), 256)).collect();
    let many = header(&ports);
    let sixty = [&many; 10];
    let with = |more: &[BarSpec]| place(&[&sixty[..], &[&header(more)]].concat(), 48);
    assert!(with(&ports[..4]).is_ok());
    let refused = with(&ports[..5]).unwrap_err().to_string();
    assert!(
        refused.starts_with("the devices ask for 16640 I/O ports: any at 00:04.0 BAR0 256, "),
        "{refused}"
    );
    let end = ", and 57 more with 14592; the window, 0xc000 to 0xffff, holds 16384; leave devices out";
    assert!(refused.ends_with(end), "{refused}");
}

#[test]
fn what_a_processor_has_no_addresses_for_is_refused_with_its_bits() {
    let asked = wide(&[TIB, 256 * GIB]);
    assert_eq!(
        refusal(&[&asked], 39),
        "the devices ask for 1 TiB + 256 GiB above 4 GiB: any at 00:04.0 BAR0 1 TiB, any at 00:04.0 BAR2 256 GiB; with this \
         processor's 39 bits of physical address the window there holds 480 GiB; make the BARs smaller, or leave \
         devices out"
    );
    assert!(refusal(&[&asked], 40).contains("40 bits of physical address the window there holds 992 GiB"));
    assert_eq!(place(&[&asked], 41).unwrap().above_4_gib(), &(0x8_0000_0000..=0x1ff_ffff_ffff));
    assert!(refusal(&[&wide(&[1 << 63, 1 << 63])], 64).starts_with("the devices ask for 16 EiB above 4 GiB"));
}

/// Headers with any BARs that fit: of up to so many bits, 22 below 4 GiB.
fn headers(largest: u32) -> impl Strategy<Value = Vec<ConfigHeader>> {
    let bar = move |index: BarIndex| {
        let spec = prop_oneof![
            (2_u32..=8).prop_map(move |bits| BarSpec::io(index, 1 << bits)),
            (4_u32..=22).prop_map(move |bits| BarSpec::memory32(index, 1 << bits)),
            (4_u32..=largest).prop_map(move |bits| BarSpec::memory64(index, 1 << bits)),
        ];
        proptest::option::of(spec)
    };
    let rom = proptest::option::of((11_u32..=24).prop_map(|bits| 1 << bits));
    let header =
        (bar(BarIndex::BAR0), bar(BarIndex::BAR2), bar(BarIndex::BAR4), rom).prop_map(|(a, b, c, rom)| {
            ConfigHeader { bars: [a, b, c].into_iter().flatten().collect(), rom, ..ConfigHeader::default() }
        });
    proptest::collection::vec(header, 0..8)
}

/// Whether powers of two, the largest first, fit into these addresses: by trying every place for each.
fn some_place_fits(
    sizes: &[u64],
    window: &RangeInclusive<u64>,
    taken: &mut Vec<RangeInclusive<u64>>,
) -> bool {
    let Some((size, rest)) = sizes.split_first() else { return true };
    let first = window.start().next_multiple_of(*size);
    let mut bases = (first..=*window.end()).step_by(*size as usize);
    bases.any(|base| {
        let range = base..=base + (size - 1);
        let free = range.end() <= window.end()
            && taken.iter().all(|other| other.end() < range.start() || range.end() < other.start());
        free && {
            taken.push(range);
            let fits = some_place_fits(rest, window, taken);
            taken.pop();
            fits
        }
    })
}

proptest! {
    #[test]
    fn regions_lie_apart_aligned_and_inside_their_window(headers in headers(40)) {
        let all: Vec<_> = headers.iter().collect();
        let placement = place(&all, 46).unwrap();
        let regions = headers.iter().map(|header| header.bars.len() + usize::from(header.rom.is_some()));
        prop_assert_eq!(placement.regions().len(), regions.sum::<usize>());
        let mut taken = Vec::new();
        for placed in placement.regions() {
            let header = &headers[placed.function];
            let bar = header.bars.iter().find(|bar| bar.region() == placed.region);
            let (size, wide, space) = match bar {
                Some(bar) => (bar.size, bar.wide, bar.space),
                None => (header.rom.unwrap().into(), false, Space::Memory),
            };
            prop_assert_eq!(wide, placed.wide);
            let last = placed.base + (size - 1);
            let windows = [&layout::PCI_MEMORY_32, placement.above_4_gib(), &layout::PCI_IO];
            let window = windows.into_iter().find(|window| window.contains(&placed.base)).unwrap();
            prop_assert!(placed.base % size == 0 && window.contains(&last), "{placed:x?}");
            prop_assert_eq!(space == Space::Io, *window == layout::PCI_IO);
            prop_assert!(wide || window != placement.above_4_gib());
            taken.push((placed.base, last));
        }
        taken.sort_unstable();
        prop_assert!(taken.windows(2).all(|pair| pair[0].1 < pair[1].0), "{taken:x?}");
    }

    /// The sums say what fits: a window holds powers of two just if some way to place them exists, and the next
    /// smaller one then has none. In units of 4 GiB, so that every way can be tried.
    #[test]
    fn a_bus_is_refused_only_if_no_placement_exists(
        units in proptest::collection::vec(0_u32..=4, 0..7), address_bits in 36_u32..=38,
    ) {
        let mut sizes: Vec<_> = units.iter().map(|unit| (4 * GIB) << unit).collect();
        sizes.sort_by_key(|size| std::cmp::Reverse(*size));
        let functions: Vec<_> = sizes.chunks(3).map(wide).collect();
        let placed = place(&functions.iter().collect::<Vec<_>>(), address_bits);
        let fits = |bits| some_place_fits(&sizes, &window_of(bits), &mut Vec::new());
        prop_assert_eq!(placed.is_ok(), fits(address_bits));
        if let Ok(placement) = placed {
            let bits = 64 - placement.above_4_gib().end().leading_zeros();
            prop_assert_eq!(placement.above_4_gib(), &window_of(bits));
            prop_assert!(bits == 36 || !fits(bits - 1));
        }
    }

    /// A kernel may place some BARs before it knows the others.
    #[test]
    fn what_is_placed_first_in_the_window_leaves_room_for_the_rest(
        small in 20_u32..=35, sizes in proptest::collection::vec(20_u32..=41, 0..6),
    ) {
        let mut sizes: Vec<_> = sizes.into_iter().map(|bits| 1 << bits).collect();
        let all: Vec<_> = [&[1 << small], &sizes[..]].concat();
        let functions: Vec<_> = all.chunks(3).map(wide).collect();
        let placement = place(&functions.iter().collect::<Vec<_>>(), 52).unwrap();
        sizes.sort_by_key(|size| std::cmp::Reverse(*size));
        let mut window = Window::new(placement.above_4_gib());
        prop_assert!(window.take(1 << small).is_some());
        prop_assert!(sizes.into_iter().all(|size| window.take(size).is_some()));
    }
}
