//! What handlers leave, by all that came before they end.

use super::*;

/// The change of a register of the function.
fn changed(before: &Before<'_>, offset: u64) -> Option<(u64, u64)> {
    let EventKind::Change { old, new, .. } = before.it().kind else { return None };
    (before.it().place()?.offset == offset).then_some((old, new))
}

/// Whether an access to a register of the function writes, and what.
fn accessed(before: &Before<'_>, offset: u64) -> Option<(bool, u64)> {
    let access = before.access()?;
    (access.place()?.offset == offset).then_some((access.write, access.value))
}

/// What a register is known to hold.
fn held(before: &Before<'_>, offset: u64) -> Option<u64> {
    let told = |earlier: Before<'_>| {
        let told = accessed(&earlier, offset).filter(|(write, _)| !write || offset == MASK);
        changed(&earlier, offset).map(|(_, new)| new).or(told.map(|(_, value)| value))
    };
    // As after a reset.
    before.earlier().find_map(told).or_else(|| before.is_whole().then_some(0))
}

/// Whether a one in the mask lets a cause through, as an interrupt tells by the causes that come right before it.
fn tells(before: &Before<'_>) -> Option<bool> {
    let (EventKind::Msi { delivered: true, cause, .. } | EventKind::Intx { asserted: true, cause, .. }) =
        before.it().kind
    else {
        return None;
    };
    let at_once = |earlier: &Before<'_>| {
        let EventKind::Change { cause: other, .. } = earlier.it().kind else { return false };
        (other, earlier.it().device_ns) == (cause, before.it().device_ns)
    };
    let changes = before.earlier().filter(|earlier| changed(earlier, STATUS).is_some()).take_while(at_once);
    let set =
        changes.filter_map(|earlier| changed(&earlier, STATUS)).fold(0, |set, (old, new)| set | new & !old);
    let mask = held(before, MASK)?;
    match (set & mask != 0, set & !mask != 0) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Causes that certainly are let through.
fn let_through(before: &Before<'_>) -> u64 {
    // What a mask means stays so, whatever is missing.
    let all = (0..before.at).map(|at| Before { views: before.views, at });
    let told: Vec<_> = all.filter_map(|earlier| tells(&earlier)).collect();
    let Some(mask) = held(before, MASK) else { return 0 };
    match (told.contains(&true), told.contains(&false)) {
        (true, false) => mask & 7,
        (false, true) => !mask & 7,
        _ => 0,
    }
}

/// Beginnings of the handlers that run on a vCPU, the innermost last.
fn running(before: &Before<'_>) -> Vec<(u64, u8)> {
    let mut own: Vec<_> = before.earlier().filter(|earlier| earlier.it().vcpu == before.it().vcpu).collect();
    own.reverse();
    let mut running = Vec::new();
    for earlier in own {
        match earlier.it().kind {
            EventKind::IsrEnter { vector } => running.push((earlier.seq(), vector)),
            // What ends isn't what runs: nothing is known.
            EventKind::IsrExit { vector } if running.pop().is_none_or(|(_, begun)| begun != vector) => {
                running.clear();
            }
            _ => (),
        }
    }
    running
}

/// The vector of the function's last message, if it didn't use its pin since.
fn last_message(before: &Before<'_>) -> Option<u8> {
    let told = |earlier: Before<'_>| match earlier.it().kind {
        EventKind::Msi { data, .. } => Some(Some(data as u8)),
        EventKind::Intx { asserted: true, .. } => Some(None),
        _ => None,
    };
    before.earlier().find_map(told)?
}

/// The handler that ends here: its beginning and its vector.
fn ended(before: &Before<'_>) -> Option<(u64, u8)> {
    let EventKind::IsrExit { vector } = before.it().kind else { return None };
    running(before).pop().filter(|(_, begun)| *begun == vector)
}

/// Accesses of the function by that handler, the last one first.
fn by_handler<'a>(before: &Before<'a>, run: (u64, u8)) -> impl Iterator<Item = Before<'a>> + use<'a> {
    let vcpu = before.it().vcpu;
    let since = before.earlier().take_while(move |earlier| earlier.seq() > run.0);
    since.filter(move |earlier| {
        let own = earlier.access().is_some() && earlier.it().vcpu == vcpu && earlier.it().in_handler();
        own && running(earlier).last() == Some(&run)
    })
}

pub(super) fn edge_lost(before: &Before<'_>) -> Vec<u64> {
    left(before).into_iter().collect()
}

/// Whether a function interrupts, or would.
fn interrupts(before: &Before<'_>) -> bool {
    matches!(
        before.it().kind,
        EventKind::Msi { .. }
            | EventKind::Intx { .. }
            | EventKind::InterruptMasked { .. }
            | EventKind::InterruptLost { .. }
    )
}

/// The record with which the last of those causes comes that the handler leaves which ends here.
fn left(before: &Before<'_>) -> Option<u64> {
    let run = ended(before)?;
    let own = || by_handler(before, run).filter_map(|it| Some((it.seq(), accessed(&it, STATUS)?)));
    let (read, (_, value)) = own().find(|(_, (write, _))| !write)?;
    let clears = own().any(|(seq, (write, cleared))| seq > read && write && cleared & value != 0);
    let quiet = before.earlier().take_while(|earlier| earlier.seq() > read && !interrupts(earlier));
    let changes = quiet.filter_map(|earlier| Some((earlier.seq(), changed(&earlier, STATUS)?)));
    let changes: Vec<_> = changes.collect();
    let may_come = held(before, STATUS)? & let_through(before);
    let comes = |at: usize| {
        let (_, (old, new)) = changes[at];
        // It stays so.
        changes[..at].iter().fold(new & !old & may_come, |left, (_, (_, later))| left & later)
    };
    let last = (0..changes.len()).find(|at| comes(*at) != 0)?;
    (clears && last_message(before) == Some(run.1)).then_some(changes[last].0)
}

/// Whether a handler of the function ends here.
fn answers(before: &Before<'_>) -> bool {
    let Some(run) = ended(before) else { return false };
    let pin = before
        .earlier()
        .find(|earlier| interrupts(earlier) && !matches!(earlier.it().kind, EventKind::Msi { .. }));
    if let Some(since) = pin.filter(|it| matches!(it.it().kind, EventKind::Intx { asserted: true, .. })) {
        return since.seq() < run.0 && by_handler(before, run).next().is_some();
    }
    // Which messages it sends, missing records don't change.
    let messages = before.views[..before.at].iter().filter_map(|view| match view.kind {
        EventKind::Msi { data, .. } => Some(data as u8),
        _ => None,
    });
    let mut vectors: Vec<_> = messages.collect();
    vectors.dedup();
    vectors == [run.1]
}

pub(super) fn handled_not_cleared(before: &Before<'_>) -> Vec<u64> {
    if !answers(before) {
        return Vec::new();
    }
    let pending = |end: &Before<'_>| held(end, STATUS).unwrap_or(0) & let_through(end);
    let (mut left, mut ends) = (pending(before), 1);
    for earlier in before.earlier() {
        // Somebody does something about it, or holds it back.
        let is_held = interrupts(&earlier)
            && !matches!(earlier.it().kind, EventKind::Msi { .. } | EventKind::Intx { asserted: true, .. });
        if is_held || ends == 3 {
            break;
        }
        left &= changed(&earlier, STATUS).map_or(u64::MAX, |(_, new)| new);
        if answers(&earlier) {
            left &= pending(&earlier);
            ends += 1;
        }
    }
    before.if_so(ends == 3 && left != 0)
}
