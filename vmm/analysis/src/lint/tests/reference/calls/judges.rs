//! What a call does, by all that it did before.

use super::*;

fn bar_register<'a>(before: &Before<'a>) -> Option<(&'a Register, AccessView<'a>)> {
    let (_, register, access) = register_of(before.it())?;
    (!register.memory).then_some((register, access))
}

/// A register that is read, and what it gives.
fn read(before: &Before<'_>) -> Option<(Option<Bdf>, u64, u64)> {
    let (register, access) = bar_register(before)?;
    let reads = !access.write && !access.read_modify_write && access.outcome == Outcome::Ok;
    reads.then_some((access.bdf(), register.offset, access.value))
}

/// The first of four or more reads that give the same, by one place, up to the last access before this one; and whether this
/// is one of that register by that place as well.
fn polled<'a>(before: &Before<'a>) -> Option<(Before<'a>, bool)> {
    let own = made(before)?;
    let mut all = by_same(before).peekable();
    let (last, path) = all.peek().map(|(last, made)| (read(last), made.path.clone()))?;
    let (bdf, offset, _) = last?;
    let same = all.take_while(|(earlier, made)| read(earlier) == last && made.path == path);
    let same: Vec<_> = same.map(|(earlier, _)| earlier).collect();
    let goes_on = read(before).is_some_and(|(of, at, _)| (of, at) == (bdf, offset)) && own.path == path;
    if goes_on && read(before) == last {
        return None;
    }
    same.last().filter(|_| same.len() >= 4).map(|first| (*first, goes_on))
}

pub(super) fn unbounded_poll(before: &Before<'_>) -> Vec<u64> {
    polled(before).filter(|(_, comes)| *comes).map(|(first, _)| first.seq()).into_iter().collect()
}

pub(super) fn gives_up(before: &Before<'_>) -> Vec<u64> {
    polled(before).filter(|(_, comes)| !comes).map(|(first, _)| first.seq()).into_iter().collect()
}

pub(super) fn double_fetch(before: &Before<'_>) -> Vec<u64> {
    before.if_so(fetches_again(before).unwrap_or(false))
}

fn fetches_again(before: &Before<'_>) -> Option<bool> {
    let (register, access) = bar_register(before)?;
    let (bdf, offset, _) = read(before)?;
    if register.volatile || !register.access.readable() || register.access.read_has_side_effect() {
        return None;
    }
    let changes = |earlier: &Before<'_>| {
        let Some(access) = earlier.access().filter(|access| access.bdf() == bdf) else { return false };
        let changed_by_read = bar_register(earlier).is_some_and(|(it, _)| it.access.read_has_side_effect());
        access.write || access.read_modify_write || changed_by_read
    };
    let same = |earlier: &Before<'_>| {
        let size = earlier.access().is_some_and(|it| it.size == access.size);
        size && read(earlier).is_some_and(|(of, at, _)| (of, at) == (bdf, offset)) && made(earlier).is_some()
    };
    let first = before.earlier().take_while(|earlier| !changes(earlier)).find(same)?;
    let (first_path, path) = (made(&first)?.path, made(before)?.path);
    Some(first_path != path && is_one_call(before, &first))
}

/// Whether a write lets its device interrupt, or keeps it from doing so.
fn lets_interrupt(before: &Before<'_>) -> Option<bool> {
    let access = before.access().filter(|access| access.write && access.outcome == Outcome::Ok)?;
    let value = access.value;
    match access.place()?.register().map(|register| &*register.name)? {
        "INT_ENABLE" => Some(value != 0),
        // One of its fields is one.
        "CONTROL" => Some(value & 1 != 0),
        // `lab` has no register of its own for that.
        "MSIX_CONTROL" => Some(value == 0x8000),
        _ => None,
    }
}

/// Whether a write sets a device up.
fn sets_up(before: &Before<'_>) -> bool {
    let set_up = |register: &Register| matches!(&*register.name, "RING" | "SCRATCH");
    let written = bar_register(before).filter(|(_, access)| access.write && access.outcome == Outcome::Ok);
    written.is_some_and(|(register, _)| set_up(register))
}

pub(super) fn early_interrupt(before: &Before<'_>) -> Vec<u64> {
    if !sets_up(before) || before.it().in_handler() {
        return Vec::new();
    }
    let bdf = before.access().and_then(|access| access.bdf());
    for earlier in before.earlier() {
        if let EventKind::IsrEnter { .. } = earlier.it().kind {
            break;
        }
        if earlier.access().is_none_or(|access| access.bdf() != bdf) {
            continue;
        }
        if earlier.it().in_handler() || sets_up(&earlier) || lets_interrupt(&earlier) == Some(false) {
            break;
        }
        // Nobody knows which function makes what KVM gathered.
        if lets_interrupt(&earlier) == Some(true) && made(&earlier).is_some() {
            return if is_one_call(before, &earlier) { vec![earlier.seq()] } else { Vec::new() };
        }
    }
    Vec::new()
}

/// The last access before this one by who makes it, if that reads a register that can't hold all-ones.
fn last_read<'a>(before: &Before<'a>, runner: (Option<u8>, bool)) -> Option<(Before<'a>, Made<'a>)> {
    let ends = |earlier: &Before<'_>| {
        let ends = matches!(earlier.it().kind, EventKind::IsrExit { .. });
        ends && runner == (earlier.it().vcpu, true)
    };
    let all = before.earlier().take_while(|earlier| !ends(earlier));
    let mut own = all.filter_map(|earlier| Some((earlier, made(&earlier)?)));
    let (last, made) = own.find(|(_, made)| made.runner == runner)?;
    let (register, access) = bar_register(&last)?;
    read(&last)?;
    let never = matches!(&*register.name, "STATE" | "CONTROL" | "STATUS") && access.size == 4;
    never.then_some((last, made))
}

/// A read of a register that can't hold all-ones: whether the access after it shows that its function would notice
/// those, or that it goes on.
fn judged<'a>(before: &Before<'a>) -> Option<(Before<'a>, bool)> {
    if let EventKind::IsrExit { .. } = before.it().kind {
        let (last, _) = last_read(before, (before.it().vcpu, true))?;
        return (read(&last)?.2 == 0xffff_ffff).then_some((last, true));
    }
    let own = made(before)?;
    let (last, made) = last_read(before, own.runner)?;
    let access = before.access()?;
    let (bdf, _, value) = read(&last)?;
    let place = |access: AccessView<'_>| access.place().map(|place| (place.bdf, place.region, place.offset));
    let again = !access.write && place(access) == last.access().and_then(place);
    let goes_on = access.bdf() == bdf && !again && is_one_call(before, &last);
    let asks = !access.write && bar_register(before).is_some_and(|(register, _)| register.name == "ID");
    if value == 0xffff_ffff && own.function != made.function || goes_on && asks {
        return Some((last, true));
    }
    goes_on.then_some((last, false))
}

pub(super) fn all_ones_trusted(before: &Before<'_>) -> Vec<u64> {
    judged(before).filter(|(_, heeds)| !heeds).map(|(last, _)| last.seq()).into_iter().collect()
}

pub(super) fn notices(before: &Before<'_>) -> Vec<u64> {
    judged(before).filter(|(_, heeds)| *heeds).map(|(last, _)| last.seq()).into_iter().collect()
}
