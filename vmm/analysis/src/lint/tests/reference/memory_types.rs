//! Memory types of registers, and of pages that several mappings lead to.

use super::*;

use MemoryType::{Uncacheable, UncacheableMinus, WriteBack, WriteCombining, WriteProtected, WriteThrough};

const PAGE: u64 = 4096;
/// Pages of BARs with addresses that lead there: an address space, and a virtual page.
const SLOTS: [(u64, u64, u64); 6] = [
    (BAR0, crate::sample::KERNEL, IOREMAP + 0x10_0000),
    (BAR0, USER, MMAP + 0x10_0000),
    (BAR0, USER + 0x1000, MMAP + 0x10_0000),
    (BAR2, crate::sample::KERNEL, IOREMAP + 0x20_0000),
    (BAR2, USER, MMAP + 0x20_0000),
    (BAR2 + PAGE, crate::sample::KERNEL, IOREMAP + 0x21_0000),
];

#[test]
fn memory_type_finds_what_a_slow_one_finds() {
    hold(250, random_trace, &[Slow::new("memory-type", memory_type)]);
}

/// A mapping that is there: its walk, and its definition, if it was announced.
#[derive(Clone, Copy)]
struct Live {
    walk: Id,
    announced: Option<Id>,
}

fn random_trace(story: &mut Story) {
    let mut live = [None; SLOTS.len()];
    for _ in 0..story.random.usize(1..70) {
        let slot = story.random.usize(0..SLOTS.len());
        match story.random.u8(0..24) {
            0 => {
                story.sample.lose();
            }
            1..3 => undo(story, &mut live[slot]),
            3..6 => make(story, slot, &mut live[slot]),
            _ => {
                if live[slot].is_none() {
                    make(story, slot, &mut live[slot]);
                }
                touch(story, slot, live[slot].unwrap().walk);
            }
        }
    }
}

fn undo(story: &mut Story, live: &mut Option<Live>) {
    if let Some(mapping) = live.take().and_then(|live| live.announced) {
        story.sample.event(EventKind::Unmap { mapping });
    }
}

/// A mapping at this place, instead of the one that may be there.
fn make(story: &mut Story, slot: usize, live: &mut Option<Live>) {
    undo(story, live);
    let (physical, cr3, page) = SLOTS[slot];
    let user = page >> 63 == 0;
    let made = if user { Path::Mmap } else { Path::Ioremap };
    let path = story.choice(&[made, made, made, Path::DirectMap, Path::Unknown]);
    let (pat, memory_type) = story.choice(&[
        (Some(UncacheableMinus), Uncacheable),
        (Some(UncacheableMinus), Uncacheable),
        (Some(Uncacheable), Uncacheable),
        (Some(WriteCombining), WriteCombining),
        (Some(WriteCombining), WriteCombining),
        (Some(WriteBack), WriteBack),
        (Some(WriteBack), Uncacheable),
        (Some(WriteThrough), WriteThrough),
        (Some(WriteProtected), WriteProtected),
        (None, Uncacheable),
    ]);
    let announced = story.random.bool().then(|| {
        let mapping = story.sample.writer.define(&Definition::Mapping(Mapping {
            path,
            virtual_address: page,
            physical_address: physical,
            length: PAGE,
            address_space: user.then_some(cr3),
            announced: true,
            on_fault: false,
            who: "somebody".into(),
            call: "somehow".into(),
            of: None,
        }));
        mapping.unwrap()
    });
    if let Some(mapping) = announced {
        story.sample.event(EventKind::Map { mapping });
    }
    let walk = Walk {
        cr3,
        page,
        user,
        path,
        pat,
        memory_type,
        announced: announced.is_some(),
        mapping: announced,
        ..story.sample.ioremap_walk()
    };
    let walk = story.sample.writer.define(&Definition::Walk(walk)).unwrap();
    *live = Some(Live { walk, announced });
}

fn touch(story: &mut Story, slot: usize, walk: Id) {
    let physical = SLOTS[slot].0;
    let route = if physical == BAR0 { story.sample.bar0 } else { story.sample.bar2 };
    let target = Target::Memory(physical + story.choice(&[8, 0x10, 0x14, 0x1c]));
    let vcpu = story.random.u8(0..2);
    for _ in 0..story.random.u8(1..3) {
        let (write, coalesced) = (story.random.bool(), story.once_in(12));
        let access = AccessEvent { route, target, walk, write, coalesced, ..story.sample.kernel_read(0, 1) };
        story.access_on(vcpu, access);
    }
}

/// An access to a BAR through a mapping whose type is known.
struct Use {
    page: u64,
    /// The address space and the virtual page.
    at: (u64, u64),
    memory_type: MemoryType,
    announced: Option<Id>,
    walk: Id,
}

fn is_made(path: Path) -> bool {
    !matches!(path, Path::Unknown | Path::DirectMap)
}

fn use_of(before: &Before<'_>) -> Option<Use> {
    let access = before.access().filter(|access| !access.coalesced)?;
    access.place().filter(|place| !place.is_configuration())?;
    let walk = access.walk()?;
    // Who maps all addresses alike leaves the type to the MTRRs.
    let memory_type = if is_made(walk.path) { walk.pat? } else { walk.memory_type };
    // All have the kernel's part in common.
    let space = if walk.page >> 63 == 0 { walk.cr3 } else { 0 };
    let announced = walk.mapping.filter(|_| walk.announced);
    Some(Use {
        page: access.gpa()? / PAGE,
        at: (space, access.gva()? / PAGE),
        memory_type,
        announced,
        walk: access.walk,
    })
}

fn memory_type(before: &Before<'_>) -> Vec<u64> {
    before.if_so(is_unsuitable(before) || has_two_types(before).unwrap_or(false))
}

/// Whether a register is accessed through a type that isn't for registers.
fn is_unsuitable(before: &Before<'_>) -> bool {
    let Some((_, register, access)) = register_of(before.it()) else { return false };
    let Some(walk) = access.walk().filter(|_| !register.memory && !access.coalesced) else { return false };
    let cached = |it| matches!(it, WriteBack | WriteThrough | WriteProtected);
    let ones_clear = register.access == Access::WriteOneToClear || register.access.read_has_side_effect();
    cached(walk.memory_type)
        || walk.memory_type == WriteCombining && ones_clear
        || is_made(walk.path) && walk.pat.is_some_and(cached)
}

/// Whether the page of an access is mapped with another type as well, and both mappings are there at once.
fn has_two_types(before: &Before<'_>) -> Option<bool> {
    let own = use_of(before)?;
    let is_undo = |earlier: &Before<'_>| matches!(earlier.it().kind, EventKind::Unmap { .. });
    // One use right after the other is said once.
    let last = before.earlier().take_while(|earlier| !is_undo(earlier)).find_map(|earlier| use_of(&earlier));
    if last.is_some_and(|last| (last.page, last.walk) == (own.page, own.walk)) {
        return None;
    }
    let is_undone = |since: u64, of: &Use| {
        let later = before.earlier().take_while(|earlier| earlier.seq() > since);
        let mut undone = later.filter_map(|earlier| match earlier.it().kind {
            EventKind::Unmap { mapping } => Some(mapping),
            _ => None,
        });
        of.announced.is_some_and(|announced| undone.any(|mapping| mapping == announced))
    };
    let uses: Vec<(u64, Use)> = before
        .earlier()
        .filter_map(|earlier| Some((earlier.seq(), use_of(&earlier)?)))
        .filter(|(_, it)| it.page == own.page)
        .collect();
    let same = uses.iter().filter(|(_, it)| it.at == own.at);
    let same = same.take_while(|(seq, it)| it.memory_type == own.memory_type && !is_undone(*seq, it));
    let first = same.last().map_or(before.seq(), |(seq, _)| *seq);
    let is_uncached = |it| matches!(it, Uncacheable | UncacheableMinus);
    Some(uses.iter().enumerate().any(|(at, (seq, it))| {
        // What was at that address before this is gone.
        let is_last = uses[..at].iter().all(|(_, later)| later.at != it.at);
        let differs = it.memory_type != own.memory_type
            && !(is_uncached(it.memory_type) && is_uncached(own.memory_type));
        let is_there = it.announced.is_some() || first < *seq;
        it.at != own.at && is_last && differs && is_there && !is_undone(*seq, it)
    }))
}
