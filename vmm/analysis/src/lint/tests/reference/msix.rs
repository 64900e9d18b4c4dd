//! MSI-X tables.

use super::*;

/// Message Control, the doubleword that it is in, and registers whose writes may reset a function.
const HEADER: u64 = 0x60;
const CONTROL: u64 = 0x62;
const RESETS: [(u64, u8); 3] = [(0x44, 2), (0x74, 2), (0x84, 1)];

#[test]
fn msix_live_edit_finds_what_a_slow_one_finds() {
    hold(250, random_trace, &[Slow::new("msix-live-edit", msix_live_edit)]);
}

/// A function with a table of two entries: its number, where the table begins in its BAR, and the routes to both spaces.
#[derive(Clone, Copy)]
struct Card {
    number: u64,
    start: u64,
    config: Id,
    table: Id,
}

impl Card {
    fn new(sample: &Sample, number: u8, start: u64) -> Self {
        let entries = ["MSIX0", "MSIX1"].into_iter().zip([start, start + 16]);
        let words = ["ADDRESS_LOW", "ADDRESS_HIGH", "DATA", "CONTROL"].into_iter().zip([0, 4, 8, 12]);
        let word = |(name, offset): (String, u64)| Register {
            name: name.into(),
            ..config("", offset, 4, Access::ReadWrite)
        };
        let table: Vec<_> = entries
            .flat_map(|(entry, at)| {
                words.clone().map(move |(name, within)| (format!("{entry}_{name}"), at + within))
            })
            .map(word)
            .collect();
        let header = vec![
            config("PM_CONTROL", 0x44, 2, Access::ReadWrite),
            config("MSIX", HEADER, 2, Access::ReadOnly),
            config("MSIX_CONTROL", CONTROL, 2, Access::ReadWrite),
            config("PCIE_DEVICE_CONTROL", 0x74, 2, Access::ReadWrite),
            config("AF_CONTROL", 0x84, 1, Access::ReadWrite),
        ];
        let map = |region, registers: Vec<Register>| RegisterMap { region, registers: registers.into() };
        let define = |definition: Definition| sample.writer.define(&definition).unwrap();
        let function = Some(define(Definition::Function(Function {
            bdf: Bdf::new(0, number, 0).unwrap(),
            name: format!("card {number}"),
            vendor: 1,
            device: 2,
            bars: vec![],
            msi_vectors: 0,
            msix_vectors: 2,
            register_maps: vec![map(Region::BAR0, table), map(Region::Config, header)],
            untrapped: vec![],
        })));
        let route = |region, base| {
            define(Definition::Route(Route { function, region, space: Space::Memory, base, size: 4096 }))
        };
        let number = u64::from(number);
        let (config, table) = (ECAM + 0x8000 * number, 0xfe20_0000 + 0x1000 * number);
        Self { number, start, config: route(Region::Config, config), table: route(Region::BAR0, table) }
    }
}

fn random_trace(story: &mut Story) {
    let cards = [Card::new(&story.sample, 6, 0), Card::new(&story.sample, 7, 8)];
    for _ in 0..story.random.usize(1..70) {
        let card = story.choice(&cards);
        match story.random.u8(0..24) {
            0 => {
                story.sample.lose();
            }
            1..5 => configure(story, card),
            5..8 => switch_on(story, card),
            _ => touch(story, card),
        }
    }
}

/// MSI-X is switched on, and a vector is unmasked that has a message.
fn switch_on(story: &mut Story, card: Card) {
    let write = story.sample.kernel_write(0, 0x8000);
    let target = Target::Memory(ECAM + 0x8000 * card.number + CONTROL);
    story.sample.access(AccessEvent { route: card.config, target, size: 2, ..write });
    for (offset, value) in [(8, 0x31), (12, 0)] {
        let target = Target::Memory(0xfe20_0000 + 0x1000 * card.number + card.start + offset);
        story.sample.access(AccessEvent { route: card.table, target, value, ..write });
    }
}

fn configure(story: &mut Story, card: Card) {
    let control = story.choice(&[0x8000, 0x8000, 0x8001, 0xc000, 0]);
    let (offset, size, value) = match story.random.u8(0..10) {
        0 => (CONTROL + 1, 1, control >> 8),
        1..4 => (HEADER, 4, control << 16 | 0x11),
        4 => {
            let (offset, size) = story.choice(&RESETS);
            (offset, size, 0)
        }
        _ => (CONTROL, 2, control),
    };
    let write = story.random.bool();
    let target = Target::Memory(ECAM + 0x8000 * card.number + offset);
    let access =
        AccessEvent { route: card.config, target, size, write, ..story.sample.kernel_read(0, value) };
    story.sample.access(access);
}

fn touch(story: &mut Story, card: Card) {
    let (size, step) = story.choice(&[(4, 4), (4, 4), (4, 4), (4, 4), (8, 8), (2, 2), (1, 1)]);
    let entry = story.choice(&[0, 0, 16]);
    let offset = entry + story.choice(&[0, 4, 8, 8, 12, 12]) / step * step;
    let value = story.choice(&[0, 0, 1, 0x31, 0x1_0000_0000]);
    let outcome = if story.once_in(12) { Outcome::Width } else { Outcome::Ok };
    let write = story.random.bool();
    let target = Target::Memory(0xfe20_0000 + 0x1000 * card.number + card.start + offset);
    let value = if size == 8 { value } else { value & 0xffff_ffff };
    let access =
        AccessEvent { route: card.table, target, size, write, outcome, ..story.sample.kernel_read(0, value) };
    story.sample.access(access);
}

/// What an access to a region of a function, or what of it is at these bytes, says that they hold; `None` if it says nothing
/// of all of them, else whether they are known at all.
fn told(access: AccessView<'_>, (region, offset, size): (Region, u64, u64)) -> Option<Option<u64>> {
    let place = access.place().filter(|place| place.region == region)?;
    let (start, end) = (place.offset, place.offset + u64::from(access.size));
    if access.outcome != Outcome::Ok || end <= offset || offset + size <= start {
        return None;
    }
    if start <= offset && offset + size <= end {
        return Some(Some(access.value >> (8 * (offset - start)) & ((1 << (8 * size)) - 1)));
    }
    // A part that is read says nothing, a part that is written makes another one of the whole.
    access.write.then_some(None)
}

/// What bytes of a function are known to hold.
fn known(before: &Before<'_>, bdf: Bdf, bytes: (Region, u64, u64)) -> Option<u64> {
    for earlier in before.earlier() {
        let Some(access) = earlier.access().filter(|access| access.bdf() == Some(bdf)) else { continue };
        if let Some(told) = told(access, bytes) {
            return told;
        }
        let resets = |offset| access.place().is_some_and(|place| place.offset == offset);
        let part = |offset| access.size == 1 && resets(offset + 1);
        if access.write
            && access.is_configuration()
            && (RESETS.iter().any(|(at, _)| resets(*at)) || part(CONTROL))
        {
            return None;
        }
    }
    None
}

fn msix_live_edit(before: &Before<'_>) -> Vec<u64> {
    before.if_so(edits(before).unwrap_or(false))
}

fn edits(before: &Before<'_>) -> Option<bool> {
    let access = before.access().filter(|access| access.write && access.outcome == Outcome::Ok)?;
    let place = access.place().filter(|place| place.region == Region::BAR0)?;
    let (bdf, function) = (place.bdf?, place.function.as_ref()?);
    let (entry, _) = place.register()?.name.split_once('_')?;
    let table = function.register_maps.iter().find(|map| map.region == Region::BAR0)?;
    let word = |name: &str| Some((Region::BAR0, table.named(&format!("{entry}_{name}"))?.offset, 4));
    let control = known(before, bdf, (Region::Config, CONTROL, 2))?;
    let masked = known(before, bdf, word("CONTROL")?)? & 1 != 0;
    let changes = |name: &&str| {
        let word = word(name)?;
        let (old, new) = (known(before, bdf, word)?, told(access, word)??);
        (old != new).then_some(())
    };
    let edited = ["ADDRESS_LOW", "ADDRESS_HIGH", "DATA"].iter().any(|name| changes(name).is_some());
    Some(control & 0xc000 == 0x8000 && !masked && edited)
}
