//! Interrupts: what handlers read, clear and leave.

use super::*;

const NIC: u64 = 0xfe10_0000;
const CAUSES: u64 = 0;
const VECTOR: u8 = 0x31;

#[test]
fn stolen_clear_on_read_finds_what_a_slow_one_finds() {
    hold(250, random_trace, &[Slow::new("stolen-clear-on-read", stolen_clear_on_read)]);
}

/// A function with two registers that a read clears, and `lab`, which interrupts too.
fn random_trace(story: &mut Story) {
    let registers = vec![
        config("CAUSES", CAUSES, 4, Access::ReadSideEffect),
        config("EVENTS", 4, 4, Access::ReadSideEffect),
        config("SCRATCH", 8, 4, Access::ReadWrite),
    ];
    let (nic, route) = neighbour(&story.sample, registers, (NIC, 4096));
    for _ in 0..story.random.usize(1..70) {
        let vcpu = u8::from(story.once_in(4));
        match story.random.u8(0..20) {
            0 => {
                story.sample.lose();
            }
            1..5 => interrupt(story, nic),
            5 => steal(story, (nic, route), vcpu),
            6..8 => {
                story.event_on(vcpu, EventKind::IsrExit { vector: VECTOR });
            }
            8..11 => {
                story.event_on(vcpu, EventKind::IsrEnter { vector: VECTOR });
            }
            _ => read(story, route, vcpu),
        }
    }
}

fn interrupt(story: &mut Story, nic: Id) {
    let function = if story.once_in(4) { story.sample.lab } else { nic };
    let (address, data, cause) = (0xfee0_0000, VECTOR.into(), 0);
    let done = !story.once_in(4);
    let kind = if story.once_in(3) {
        EventKind::Intx { function, asserted: done, gsi: 16, cause }
    } else {
        EventKind::Msi { function, index: 0, address, data, delivered: done, cause }
    };
    story.sample.event(kind);
}

/// An interrupt, of which a task may read the causes before the handler does.
fn steal(story: &mut Story, (nic, route): (Id, Id), vcpu: u8) {
    interrupt(story, nic);
    for _ in 0..story.random.u8(0..3) {
        read(story, route, vcpu);
    }
    story.event_on(vcpu, EventKind::IsrEnter { vector: VECTOR });
    read(story, route, vcpu);
    story.event_on(vcpu, EventKind::IsrExit { vector: VECTOR });
}

fn read(story: &mut Story, route: Id, vcpu: u8) {
    let target = Target::Memory(NIC + story.choice(&[CAUSES, CAUSES, CAUSES, 4, 8]));
    let value = story.choice(&[0, 0, 1, 2]);
    let outcome = if story.once_in(12) { Outcome::Width } else { Outcome::Ok };
    let write = story.once_in(12);
    story
        .access_on(vcpu, AccessEvent { route, target, outcome, write, ..story.sample.kernel_read(0, value) });
}

/// A read that clears a register: of which function, where, and what it gives.
fn clears(before: &Before<'_>) -> Option<(Bdf, u64, u64)> {
    let (offset, register, access) = register_of(before.it())?;
    let reads = !access.write && access.outcome == Outcome::Ok && register.access == Access::ReadSideEffect;
    Some((access.bdf()?, offset, access.value)).filter(|_| reads)
}

/// Whether a handler makes an access; `None` if that isn't known.
fn is_of_handler(before: &Before<'_>) -> Option<bool> {
    let known = before.it().context.is_some() && !before.it().uncertain.handler;
    known.then(|| before.it().in_handler())
}

/// Whether a function has interrupted, and no handler has read what it has to tell since.
fn is_unanswered(before: &Before<'_>, bdf: Bdf) -> bool {
    let interrupts = |earlier: &Before<'_>| {
        let raised = matches!(
            earlier.it().kind,
            EventKind::Msi { delivered: true, .. } | EventKind::Intx { asserted: true, .. }
        );
        raised && earlier.it().function().is_some_and(|function| function.bdf == bdf)
    };
    let answers = |earlier: &Before<'_>| {
        is_of_handler(earlier) == Some(true) && clears(earlier).is_some_and(|(of, ..)| of == bdf)
    };
    before
        .earlier()
        .find(|earlier| interrupts(earlier) || answers(earlier))
        .is_some_and(|last| interrupts(&last))
}

fn stolen_clear_on_read(before: &Before<'_>) -> Vec<u64> {
    let Some((bdf, offset, 0)) = clears(before).filter(|_| is_of_handler(before) == Some(true)) else {
        return Vec::new();
    };
    let same = before
        .earlier()
        .filter(|earlier| clears(earlier).is_some_and(|(other, at, _)| (other, at) == (bdf, offset)));
    // Only tasks read it since.
    let by_tasks = same.take_while(|earlier| is_of_handler(earlier) == Some(false));
    let takes = |earlier: &Before<'_>| {
        clears(earlier).is_some_and(|(.., value)| value != 0) && is_unanswered(earlier, bdf)
    };
    by_tasks.filter(takes).last().map(|first| first.seq()).into_iter().collect()
}
