//! Mappings that programs get: where they begin and end, and what is in their pages.

use super::*;

const PAGE: u64 = 4096;
const SMALL: u64 = 0xfe10_0000;
const LONG: u64 = 0xfe40_0000;

#[test]
fn lints_of_programs_mappings_find_what_slow_ones_find() {
    let slow = [Slow::new("mmap-range", mmap_range), Slow::new("sub-page-leak", sub_page_leak)];
    hold(300, random_trace, &slow);
}

/// Regions that may be decoded, and which are; mappings that nobody announced.
struct Machine {
    regions: Vec<(Id, u64, u64)>,
    decoded: Vec<bool>,
    mappings: Vec<(Id, Path)>,
}

fn random_trace(story: &mut Story) {
    let (nic, _) = neighbour(&story.sample, Vec::new(), (0, 4096));
    let lab = story.sample.lab;
    let all = [
        (lab, Region::BAR0, BAR0, PAGE),
        (nic, Region::BAR0, BAR0 + PAGE, PAGE),
        (lab, Region::BAR1, BAR0 + 2 * PAGE, PAGE),
        (lab, Region::BAR4, LONG, 4 * PAGE),
        (lab, Region::BAR3, SMALL, 16),
        (nic, Region::BAR1, SMALL + 0x100, 256),
        (lab, Region::BAR5, SMALL + PAGE, 256),
        (nic, Region::BAR2, SMALL + PAGE + 0x100, 256),
    ];
    let route = |(function, region, base, size)| {
        let route = Route { function: Some(function), region, space: Space::Memory, base, size };
        (story.sample.writer.define(&Definition::Route(route)).unwrap(), base, size)
    };
    let regions: Vec<_> = all.into_iter().map(route).collect();
    let mut machine = Machine { decoded: vec![false; regions.len()], regions, mappings: Vec::new() };
    for at in 0..machine.regions.len() {
        if !story.once_in(4) {
            machine.change(story, at, RouteChange::Added);
        }
    }
    for number in 0..4 {
        let mapping = unannounced(story, number);
        machine.mappings.push(mapping);
    }
    for _ in 0..story.random.usize(1..70) {
        match story.random.u8(0..30) {
            0 => {
                story.sample.lose();
                // After it, all may be told again.
                for at in 0..machine.regions.len() {
                    if machine.decoded[at] && story.random.bool() {
                        machine.change(story, at, RouteChange::Added);
                    }
                }
            }
            1 => {
                let at = story.random.usize(0..machine.regions.len());
                let change = story.choice(&[RouteChange::Added, RouteChange::Removed, RouteChange::Refused]);
                machine.change(story, at, change);
            }
            2..8 => announce(story),
            _ => machine.touch(story),
        }
    }
}

fn define(story: &Story, mapping: Mapping) -> Id {
    story.sample.writer.define(&Definition::Mapping(mapping)).unwrap()
}

/// A mapping that is announced: of a program, or of the kernel.
fn announce(story: &mut Story) {
    let mapping = Mapping {
        path: story.choice(&[Path::Mmap, Path::Mmap, Path::Sysfs, Path::DevMem]),
        virtual_address: MMAP + 0x10_0000,
        physical_address: story.choice(&[BAR0, LONG, LONG + 3 * PAGE, SMALL, SMALL + 0x100, SMALL + PAGE]),
        length: story.choice(&[0x10, PAGE, 2 * PAGE, 4 * PAGE]),
        address_space: if story.once_in(6) { None } else { Some(USER) },
        announced: true,
        on_fault: false,
        who: "user 1".into(),
        call: "mmap".into(),
        of: None,
    };
    let mapping = define(story, mapping);
    story.sample.event(EventKind::Map { mapping });
}

/// A part of a file that a program maps, which nobody announces.
fn unannounced(story: &mut Story, number: u64) -> (Id, Path) {
    let of = FilePart {
        file: story.choice(&["/dev/one", "/dev/one", "/dev/other"]).into(),
        offset: story.choice(&[0, PAGE, 2 * PAGE, 5 * PAGE]),
    };
    let mapping = Mapping {
        path: story.choice(&[Path::Mmap, Path::Mmap, Path::Mmap, Path::Sysfs, Path::Uio, Path::DevMem]),
        virtual_address: MMAP + 0x100_0000 * (1 + number),
        physical_address: 0,
        length: 8 * PAGE,
        address_space: Some(USER),
        announced: false,
        on_fault: story.once_in(4),
        who: "user 1".into(),
        call: "mmap".into(),
        of: (!story.once_in(4)).then_some(of),
    };
    let path = mapping.path;
    (define(story, mapping), path)
}

impl Machine {
    fn change(&mut self, story: &mut Story, at: usize, change: RouteChange) {
        match change {
            RouteChange::Added => self.decoded[at] = true,
            RouteChange::Removed => self.decoded[at] = false,
            RouteChange::Refused => (),
        }
        story.sample.event(EventKind::Route { route: self.regions[at].0, change, cause: u64::MAX });
    }

    /// An access through a mapping that nobody announced, once or twice.
    fn touch(&mut self, story: &mut Story) {
        let number = story.random.usize(0..self.mappings.len());
        let (mapping, path) = self.mappings[number];
        let begin = [BAR0, LONG, LONG, SMALL][number];
        let page = PAGE * story.choice(&[0, 0, 1, 1, 2, 3]);
        // Its pages follow each other, or two are exchanged.
        let within = if story.once_in(6) { page ^ PAGE } else { page };
        let pat = story.choice(&[
            MemoryType::UncacheableMinus,
            MemoryType::UncacheableMinus,
            MemoryType::WriteCombining,
        ]);
        let walk = Walk {
            page: MMAP + 0x100_0000 * (1 + number as u64) + within,
            mapping: Some(mapping),
            announced: false,
            pat: Some(pat),
            path,
            ..story.sample.user_walk()
        };
        let walk = story.sample.writer.define(&Definition::Walk(walk)).unwrap();
        let (vcpu, cpl) = (story.random.u8(0..2), story.choice(&[3, 3, 3, 0]));
        for _ in 0..story.random.u8(1..4) {
            let address = begin + page + story.choice(&[0, 0x100, 0x800]);
            let holds = |(at, (_, base, size)): &(usize, &(Id, u64, u64))| {
                self.decoded[*at] && (*base..base + size).contains(&address)
            };
            let route = self.regions.iter().enumerate().find(holds).map_or(0, |(_, (route, ..))| *route);
            let outcome = if route == 0 { Outcome::Unclaimed } else { Outcome::Ok };
            let (target, coalesced) = (Target::Memory(address), story.once_in(12));
            let read = story.sample.user_read(0, 0);
            story.access_on(vcpu, AccessEvent { route, outcome, target, walk, cpl, coalesced, ..read });
        }
    }
}

/// Where regions are decoded, by what the records before this one tell.
fn decoded(before: &Before<'_>) -> BTreeMap<(Bdf, Region), (u64, u64)> {
    let mut regions = BTreeMap::new();
    for earlier in before.earlier() {
        let EventKind::Route { change, .. } = earlier.it().kind else { continue };
        let (function, route) = (earlier.it().function().unwrap(), earlier.it().route().unwrap());
        let there = match change {
            RouteChange::Added => Some((route.base, route.size)),
            RouteChange::Removed => None,
            RouteChange::Refused => continue,
        };
        // The last one counts.
        regions.entry((function.bdf, route.region)).or_insert(there);
    }
    regions.into_iter().filter_map(|(region, there)| Some((region, there?))).collect()
}

/// Whether a page begins here that holds several regions.
fn is_shared(regions: &BTreeMap<(Bdf, Region), (u64, u64)>, page: u64) -> bool {
    regions.values().filter(|(base, size)| *base < page + PAGE && page < base + size).count() > 1
}

/// The mapping that a program gets by this record.
fn given<'a>(before: &Before<'a>) -> Option<&'a Mapping> {
    let EventKind::Map { .. } = before.it().kind else { return None };
    let mapping = before.it().mapping()?;
    (mapping.address_space.is_some() && mapping.path != Path::DevMem).then_some(mapping)
}

fn sub_page_leak(before: &Before<'_>) -> Vec<u64> {
    let mut regions = decoded(before);
    if let Some(mapping) = given(before) {
        let (first, end) = (mapping.physical_address / PAGE, mapping.physical_address + mapping.length);
        let mut pages = (first..end.div_ceil(PAGE)).map(|page| page * PAGE);
        return before.if_so(pages.any(|page| is_shared(&regions, page)));
    }
    let has_page =
        |access: &AccessView<'_>| access.cpl == 3 && !access.coalesced && access.path() != Path::DevMem;
    let reached = || {
        let access = before.access().filter(has_page)?;
        Some((access.bdf()?, access.place()?.region, access.gpa()?))
    };
    let Some((bdf, region, address)) = reached() else { return Vec::new() };
    // What answers is there, told of or not.
    regions.insert((bdf, region), (address, 1));
    before.if_so(is_shared(&regions, address & !(PAGE - 1)))
}

fn mmap_range(before: &Before<'_>) -> Vec<u64> {
    let by_access = !is_repeated(before);
    let shown = [
        reaches_beyond(before).unwrap_or(false),
        by_access && leaves(before).unwrap_or(false),
        by_access && at_two_offsets(before).unwrap_or(false),
    ];
    shown.into_iter().flat_map(|shows| before.if_so(shows)).collect()
}

/// Whether a mapping begins in a BAR and ends behind the BAR's last page.
fn reaches_beyond(before: &Before<'_>) -> Option<bool> {
    let mapping = given(before)?;
    let (begin, end) = (mapping.physical_address, mapping.physical_address + mapping.length);
    let regions = decoded(before);
    let (base, size) = regions.values().find(|(base, size)| (*base..base + size).contains(&begin))?;
    Some(end > (base + size).next_multiple_of(PAGE))
}

/// Records before this one since BARs last came or went.
fn since_routes<'a>(before: &Before<'a>) -> impl Iterator<Item = Before<'a>> + use<'a> {
    before.earlier().take_while(|earlier| !matches!(earlier.it().kind, EventKind::Route { .. }))
}

/// Whether an access is to the same page of the same BAR, through the same walk, as the last one: that is said once.
fn is_repeated(before: &Before<'_>) -> bool {
    let page = |before: &Before<'_>| {
        let access = before.access()?;
        let place = access.place().map(|place| (place.bdf, place.region));
        Some((access.gpa()? / PAGE, access.walk().is_some().then_some(access.walk)?, place))
    };
    let last = since_routes(before).find_map(|earlier| page(&earlier));
    last.is_some() && last == page(before)
}

/// The definition of the mapping that an access went through, its distance to bus addresses, and the BAR that it reached.
type Through = (Id, u64, Option<(Bdf, Region)>);

fn through(before: &Before<'_>) -> Option<Through> {
    let access = before.access()?;
    let reached = access.place().and_then(|place| Some((place.bdf?, place.region)));
    Some((access.walk()?.mapping?, access.gpa()?.wrapping_sub(access.gva()?), reached))
}

/// Whether an access goes on behind the BAR that its mapping began in, to what is another device's or nobody's.
fn leaves(before: &Before<'_>) -> Option<bool> {
    let access = before.access()?;
    access.mapping().filter(|mapping| mapping.path == Path::Mmap && !mapping.announced)?;
    let (mapping, distance, reached) = through(before)?;
    let of_mapping =
        since_routes(before).filter_map(|earlier| through(&earlier)).filter(|(it, ..)| *it == mapping);
    let regions = decoded(before);
    let began = of_mapping.filter_map(|(_, distance, reached)| Some((distance, reached?)));
    // Nobody knows where a BAR ends that was not told of.
    let (began, (bdf, region)) = began.filter(|(_, reached)| regions.contains_key(reached)).last()?;
    let (base, size) = regions.get(&(bdf, region))?;
    let is_behind = access.gpa()? >= (base + size).next_multiple_of(PAGE);
    Some(distance == began && is_behind && reached.is_none_or(|(other, _)| other != bdf))
}

/// What a program asked a file for, and the page that it got: its number, the BAR, and how it is mapped.
type Asked<'a> = (u64, (&'a str, u64, (Bdf, Region), Option<MemoryType>, bool));

fn asked<'a>(before: &Before<'a>) -> Option<Asked<'a>> {
    let access = before.access()?;
    let mapping = access.mapping().filter(|mapping| !matches!(mapping.path, Path::DevMem | Path::Uio))?;
    let of = mapping.of.as_ref()?;
    let (_, _, reached) = through(before)?;
    let offset = of.offset + (access.gva()? & !(PAGE - 1)) - mapping.virtual_address;
    Some((offset, (&of.file, access.gpa()? / PAGE, reached?, access.pat(), mapping.on_fault)))
}

/// Whether a file gives a page of a BAR at another offset as well, in one part of it that is as long as the BAR, and both
/// mappings are there: this one was used before the other one, too.
fn at_two_offsets(before: &Before<'_>) -> Option<bool> {
    let (offset, page) = asked(before)?;
    let (_, size) = *decoded(before).get(&page.2)?;
    let part = |offset: u64| offset / size.max(PAGE);
    let virtual_page = |it: &Before<'_>| Some(it.access()?.gva()? / PAGE);
    let same = |it: &Before<'_>| {
        asked(it).filter(|(other, of)| *of == page && part(*other) == part(offset)).map(|(other, _)| other)
    };
    let earlier: Vec<_> = since_routes(before).collect();
    let other = earlier.iter().position(|it| same(it).is_some_and(|other| other != offset))?;
    let own = |it: &Before<'_>| same(it) == Some(offset) && virtual_page(it) == virtual_page(before);
    Some(earlier[other + 1..].iter().any(own))
}
