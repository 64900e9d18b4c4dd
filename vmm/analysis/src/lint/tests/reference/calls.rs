//! Sites: what one call of a function does after the other.

mod judges;

use super::*;
use crate::sample::stacks::{HARD, IOCTL, call};
use crate::view::Context;

const CARD: u64 = 0xfe10_0000;
const RING: u64 = 0;
const INT_ENABLE: u64 = 4;
const ID: u64 = 12;
const STATE: u64 = 16;
const CONTROL: u64 = 20;
const STATE_FIELDS: &[Field] = &[Field::bit("UP", 0, "")];
const CARD_FIELDS: &[Field] = &[Field::bit("INT_ENABLE", 0, ""), Field::bit("RUN", 1, "")];

#[test]
fn lints_of_calls_find_what_slow_ones_find() {
    let slow = [
        Slow { heeds: judges::gives_up, ..Slow::new("unbounded-poll", judges::unbounded_poll) },
        Slow::new("double-fetch", judges::double_fetch),
        Slow::new("early-interrupt", judges::early_interrupt),
        Slow { heeds: judges::notices, ..Slow::new("all-ones-trusted", judges::all_ones_trusted) },
    ];
    hold(250, random_trace, &slow);
}

/// A driver's places in its code, in the order in which a function comes to them, and the card that it is for.
struct Driver {
    functions: Vec<Vec<AccessEvent>>,
    card: Id,
}

fn random_trace(story: &mut Story) {
    let registers = vec![
        config("RING", RING, 4, Access::ReadWrite),
        config("INT_ENABLE", INT_ENABLE, 4, Access::ReadWrite),
        config("DOORBELL", 8, 4, Access::WriteOnly),
        config("ID", ID, 4, Access::ReadOnly).reset_to(0x1234),
        config("STATE", STATE, 4, Access::ReadOnly).with_fields(STATE_FIELDS),
        config("CONTROL", CONTROL, 4, Access::ReadWrite).with_fields(CARD_FIELDS),
        config("INT_MODE", 24, 4, Access::ReadWrite),
        config("EVENTS", 28, 4, Access::ReadSideEffect),
        config("TICKS", 32, 4, Access::ReadOnly).volatile(),
    ];
    let (_, card) = neighbour(&story.sample, registers, (CARD, 4096));
    let sample = &story.sample;
    let alone = sample.stack(None, &[], None);
    let within = sample.stack(None, &[call("edu_probe+0x8")], None);
    let (hard, ioctl) = (sample.stack(None, &HARD, None), sample.stack(None, &IOCTL, None));
    let functions = vec![
        vec![
            sample.read_by("edu_probe", 0, alone),
            sample.read_by("edu_read", 0, within),
            sample.read_by("edu_read+0x4", 0, within),
            sample.read_by("edu_probe+0x10", 0, alone),
        ],
        vec![sample.read_by("edu_read", 0, ioctl), sample.read_by("edu_read+0x8", 0, ioctl)],
        vec![sample.read_by("edu_irq", 0, hard), sample.read_by("edu_irq+0x8", 0, hard)],
        vec![sample.read_by("edu_thread", 0, alone), sample.read_by("edu_thread+0x8", 0, alone)],
    ];
    let driver = Driver { functions, card };
    for _ in 0..story.random.usize(1..24) {
        match story.random.u8(0..20) {
            0 => {
                story.sample.lose();
            }
            1 => interrupt(story),
            2..7 => driver.poll(story),
            7..10 => driver.set_up(story),
            _ => driver.call(story),
        }
    }
}

/// A handler begins or ends.
fn interrupt(story: &mut Story) {
    let (vcpu, vector) = (story.random.u8(0..2), 0x31);
    let begins = story.random.bool();
    let kind = if begins { EventKind::IsrEnter { vector } } else { EventKind::IsrExit { vector } };
    story.event_on(vcpu, kind);
}

impl Driver {
    /// The registers that a place accesses.
    fn reach(&self, story: &mut Story, by: AccessEvent) -> AccessEvent {
        let write = story.once_in(3);
        let value = story.choice(&[0, 1, 1, 2, if write { 3 } else { 0xffff_ffff }]);
        let by = AccessEvent { write, value, ..by };
        if story.once_in(4) {
            let (offset, route) = (story.choice(&[8, 0x10, 0x28]), story.sample.bar0);
            return AccessEvent { route, target: Target::Memory(BAR0 + offset), ..by };
        }
        if story.once_in(8) {
            let (route, target) = (story.sample.ecam, Target::Memory(ECAM + 0x2_0062));
            return AccessEvent { route, target, size: 2, value: story.choice(&[0x8000, 0xc000, 0]), ..by };
        }
        let offset = story
            .choice(&[RING, RING, INT_ENABLE, INT_ENABLE, 8, ID, STATE, STATE, STATE, CONTROL, 24, 28, 32]);
        AccessEvent { route: self.card, target: Target::Memory(CARD + offset), ..by }
    }

    /// Calls a function, or a part of it.
    fn call(&self, story: &mut Story) {
        let function = &self.functions[story.random.usize(0..self.functions.len())];
        let vcpu = u8::from(story.once_in(4));
        for place in function {
            if story.once_in(4) {
                continue;
            }
            let access = self.reach(story, *place);
            let outcome = if story.once_in(16) { Outcome::Width } else { Outcome::Ok };
            let (read_modify_write, coalesced) = (story.once_in(16), story.once_in(16));
            story.access_on(vcpu, AccessEvent { outcome, read_modify_write, coalesced, ..access });
        }
        if story.once_in(3) {
            story.event_on(vcpu, EventKind::IsrExit { vector: 0x31 });
        }
    }

    /// Lets the card interrupt and sets it up, in this order or another.
    fn set_up(&self, story: &mut Story) {
        let function = &self.functions[story.random.usize(0..self.functions.len())];
        let vcpu = u8::from(story.once_in(4));
        for place in function {
            let offset = story.choice(&[RING, INT_ENABLE, CONTROL, 8]);
            let (value, target) = (story.choice(&[0, 1, 1, 3]), Target::Memory(CARD + offset));
            let access = AccessEvent { route: self.card, target, write: true, value, ..*place };
            story.access_on(vcpu, access);
            if story.once_in(8) {
                interrupt(story);
            }
        }
    }

    /// Reads a register by one place again and again, until it changes or for so long.
    fn poll(&self, story: &mut Story) {
        let function = &self.functions[story.random.usize(0..self.functions.len())];
        let by = function[story.random.usize(0..function.len())];
        let target = Target::Memory(CARD + story.choice(&[RING, STATE]));
        let read = AccessEvent { route: self.card, target, value: 1, ..by };
        let vcpu = u8::from(story.once_in(4));
        for _ in 0..story.random.u8(2..7) {
            story.access_on(vcpu, read);
            if story.once_in(16) {
                // Of the other one.
                let access = self.reach(story, function[0]);
                story.access_on(1 - vcpu, access);
            }
        }
        if !story.once_in(6) {
            story.access_on(vcpu, AccessEvent { value: 2, ..read });
        }
    }
}

/// Who makes an access: a vCPU, and whether that is about an interrupt; the function with those that call it; and
/// the way from there to the instruction.
struct Made<'a> {
    runner: (Option<u8>, bool),
    function: (&'a str, Vec<u64>),
    path: Vec<u64>,
}

fn made<'a>(before: &Before<'a>) -> Option<Made<'a>> {
    let view = before.it();
    view.access().filter(|access| !access.coalesced)?;
    let frames: Vec<_> = view.own_calls().filter(|frame| !frame.inlined).collect();
    // The outermost function of the driver.
    let at = frames.iter().rposition(|frame| frame.module().is_some())?;
    let addresses: Vec<_> = frames.iter().map(|frame| frame.address).collect();
    let (path, callers) = addresses.split_at(at + 1);
    let interrupts = view.context.is_some_and(|it| !matches!(it, Context::Task | Context::ThreadedHandler));
    Some(Made {
        runner: (view.vcpu, interrupts),
        function: (frames[at].function?, callers.to_vec()),
        path: path.iter().rev().copied().collect(),
    })
}

/// Accesses before this one by who makes it, the last one first.
fn by_same<'a>(before: &Before<'a>) -> impl Iterator<Item = (Before<'a>, Made<'a>)> + use<'a> {
    let runner = made(before).map(|made| made.runner);
    let all = before.earlier().filter_map(|earlier| Some((earlier, made(&earlier)?)));
    all.filter(move |(_, made)| Some(made.runner) == runner)
}

/// Whether an access is of one call with one before it: only that call made some since, and went forward.
fn is_one_call(before: &Before<'_>, with: &Before<'_>) -> bool {
    let Some(mut last) = made(before) else { return false };
    for (earlier, made) in by_same(before) {
        if made.function != last.function || made.path >= last.path {
            return false;
        }
        if earlier.seq() == with.seq() {
            return true;
        }
        last = made;
    }
    false
}
