//! Registers: how they are read and written.

use super::*;
use crate::sample::stacks::HARD;

const COUNTER: u64 = 0;
const DOORBELL: u64 = 8;
const OTHER_COUNTER: u64 = 16;

#[test]
fn lints_of_registers_find_what_slow_ones_find() {
    let slow = [
        Slow::new("wrong-width", wrong_width),
        Slow::new("reserved-write", reserved_write),
        Slow::new("w1c-write-back", w1c_write_back),
        Slow::new("write-only-read", write_only_read),
        Slow::new("torn-64", torn_64),
    ];
    hold(300, random_trace, &slow);
}

/// The route to that function, and the call stack of a handler that nobody announces.
#[derive(Clone, Copy)]
struct Nic {
    route: Id,
    hard: Id,
}

/// `lab`, and a function with counters of 64 bits and a register that can only be written.
fn random_trace(story: &mut Story) {
    let counter = |name, offset| config(name, offset, 8, Access::ReadOnly).volatile();
    let registers = vec![
        counter("COUNTER", COUNTER),
        config("DOORBELL", DOORBELL, 4, Access::WriteOnly),
        counter("OTHER_COUNTER", OTHER_COUNTER),
    ];
    let (_, route) = neighbour(&story.sample, registers, (0xfe10_0000, 4096));
    let nic = Nic { route, hard: story.sample.stack(None, &HARD, None) };
    for _ in 0..story.random.usize(1..70) {
        match story.random.u8(0..20) {
            0 => {
                story.sample.lose();
            }
            1..4 => acknowledge(story),
            4..6 => halves(story, nic),
            6..9 => count(story, nic),
            9 => interrupt(story),
            _ => touch(story, nic),
        }
    }
}

fn random_outcome(story: &mut Story) -> Outcome {
    match story.random.u8(0..12) {
        0 => Outcome::Width,
        1 => Outcome::Alignment,
        2 => Outcome::Straddles,
        3 => Outcome::Reserved,
        4 => Outcome::WriteOnly,
        _ => Outcome::Ok,
    }
}

fn touch(story: &mut Story, nic: Nic) {
    let offset = story.choice(&[8, 0x10, 0x14, 0x14, 0x14, 0x1c, 0x24, DOORBELL]);
    let value = story.choice(&[0, 1, 2, 3, 5, 0x100, 0x101, u64::from(u32::MAX)]);
    let write = story.random.bool();
    let access = if write {
        story.sample.kernel_write(offset, value)
    } else {
        story.sample.kernel_read(offset, value)
    };
    let access = if story.once_in(4) { of_nic(nic.route, offset & !7, access) } else { access };
    let outcome = random_outcome(story);
    let size = if story.once_in(8) { 1 } else { 4 };
    let read_modify_write = story.once_in(6);
    story.sample.access(AccessEvent { outcome, size, read_modify_write, ..access });
}

fn of_nic(route: Id, offset: u64, access: AccessEvent) -> AccessEvent {
    AccessEvent { route, target: Target::Memory(0xfe10_0000 + offset), ..access }
}

/// Causes are read, and written back with others or without.
fn acknowledge(story: &mut Story) {
    let causes = story.choice(&[1, 2]);
    let added = story.choice(&[0, 4, 8]);
    let read_modify_write = story.once_in(6);
    let read = story.sample.kernel_read(0x14, causes);
    story.sample.access(AccessEvent { read_modify_write, ..read });
    let write = story.sample.kernel_write(0x14, causes | added);
    story.sample.access(AccessEvent { read_modify_write, ..write });
}

/// Something reads a half of a counter.
fn count(story: &mut Story, nic: Nic) {
    let offset = story.choice(&[COUNTER, COUNTER, OTHER_COUNTER]) + story.choice(&[0, 4]);
    let by = story.choice(&[("lab::probe", 13), ("lab::isr", 21)]);
    half(story, nic, (offset, by));
}

fn half(story: &mut Story, nic: Nic, (offset, (function, line)): (u64, (&str, u32))) {
    let vcpu = u8::from(story.once_in(4));
    let instruction = story.sample.code(function, line, false);
    let outcome = if story.once_in(10) { Outcome::Width } else { Outcome::Ok };
    let (size, coalesced) = (if story.once_in(10) { 8 } else { 4 }, story.once_in(10));
    let stack = if story.once_in(6) { nic.hard } else { 0 };
    let read = AccessEvent { instruction, stack, size, coalesced, outcome, ..story.sample.kernel_read(0, 1) };
    story.access_on(vcpu, of_nic(nic.route, offset, read));
}

/// Halves of one counter in turns.
fn halves(story: &mut Story, nic: Nic) {
    let (first, by) = (story.choice(&[0, 4]), story.choice(&[("lab::probe", 13), ("lab::isr", 21)]));
    for at in 0..story.random.u64(1..5) {
        half(story, nic, (COUNTER + (first ^ (4 * (at & 1))), by));
    }
}

/// A handler begins or ends.
fn interrupt(story: &mut Story) {
    let (vcpu, vector) = (story.random.u8(0..2), 0x31);
    let kind =
        if story.random.bool() { EventKind::IsrEnter { vector } } else { EventKind::IsrExit { vector } };
    story.event_on(vcpu, kind);
}

fn wrong_width(before: &Before<'_>) -> Vec<u64> {
    let refused = |access: &AccessView<'_>| {
        matches!(access.outcome, Outcome::Width | Outcome::Alignment | Outcome::Straddles)
            && access.place().is_some_and(|place| !place.is_configuration())
    };
    before.if_so(before.access().is_some_and(|access| refused(&access)))
}

fn write_only_read(before: &Before<'_>) -> Vec<u64> {
    let read = register_of(before.it()).filter(|(.., access)| !access.write);
    // What is refused for another reason reads nothing.
    let read = read.filter(|(.., access)| matches!(access.outcome, Outcome::Ok | Outcome::WriteOnly));
    before.if_so(read.is_some_and(|(_, register, _)| register.access == Access::WriteOnly))
}

fn reserved_write(before: &Before<'_>) -> Vec<u64> {
    before.if_so(makes_up_ones(before))
}

fn makes_up_ones(before: &Before<'_>) -> bool {
    let Some(access) = before.access() else { return false };
    if access.place().is_none_or(Place::is_configuration) {
        return false;
    }
    if access.outcome == Outcome::Reserved {
        return true;
    }
    let Some((offset, known, _)) =
        register_of(before.it()).filter(|(.., access)| access.outcome == Outcome::Ok)
    else {
        return false;
    };
    let all_ones = u64::MAX >> (64 - 8 * u32::from(access.size));
    let is_idiom = known.access == Access::WriteOneToClear && access.value == all_ones;
    if !access.write || known.fields.is_empty() || is_idiom || !before.is_whole() {
        return false;
    }
    let used: u64 = known.fields.iter().map(Field::mask).fold(0, |all, mask| all | mask);
    let same = |earlier: &Before<'_>| {
        earlier.access().and_then(|it| it.bdf()) == access.bdf()
            && register_of(earlier.it()).is_some_and(|(other, _, access)| {
                other == offset && !access.write && access.outcome == Outcome::Ok
            })
    };
    let given = before.earlier().filter(same).filter_map(|earlier| earlier.access().map(|it| it.value));
    let given = given.fold(known.reset, |all, value| all | value);
    access.value & !used & u64::from(u32::MAX) & !given != 0
}

/// What a write of INT_STATUS that follows right after its read had besides, and what that gave.
fn added(before: &Before<'_>) -> Option<(u64, u64)> {
    let causes = |before: &Before<'_>| {
        let (offset, known, access) = register_of(before.it())?;
        let whole = offset == 0x14 && access.outcome == Outcome::Ok && access.size == 4;
        (whole && known.access == Access::WriteOneToClear).then_some((access.write, access.value))
    };
    let (_, written) = causes(before).filter(|(write, _)| *write)?;
    let mut own = before.earlier().filter(|earlier| earlier.it().vcpu == before.it().vcpu);
    let last = own.find(|earlier| earlier.access().is_some())?;
    let (_, read) = causes(&last).filter(|(write, _)| !write)?;
    let added = written & !read;
    (read != 0 && written & read == read && added != 0).then_some((read, added))
}

fn w1c_write_back(before: &Before<'_>) -> Vec<u64> {
    before.if_so(writes_back(before))
}

fn writes_back(before: &Before<'_>) -> bool {
    let Some((read, same)) = added(before) else { return false };
    if before.access().is_some_and(|access| access.read_modify_write) {
        return true;
    }
    // All writes are of the same line of code.
    let all = (0..before.at).rev().map(|at| Before { views: before.views, at });
    let mut kept = all.filter(|earlier| !writes_back(earlier)).filter_map(|earlier| added(&earlier));
    kept.next().is_some_and(|(other, added)| other != read && same == added)
}

/// Who reads a half of a 64-bit register that changes by itself, of which register, and which half.
type Half<'a> = (Option<&'a str>, (Option<Bdf>, u64), u64);

fn half_of<'a>(before: &Before<'a>) -> Option<Half<'a>> {
    let (offset, known, access) = register_of(before.it())?;
    let reads = !access.write && !access.coalesced && access.outcome == Outcome::Ok && access.size == 4;
    let function = access.view.made().and_then(|made| made.by.function);
    let half = access.place()?.offset - offset;
    (reads && known.size == 8 && known.volatile).then_some((function, (access.bdf(), offset), half))
}

/// The access before this one, of the same vCPU, if no handler begins or ends between.
fn last_of_vcpu<'a>(before: &Before<'a>) -> Option<Before<'a>> {
    let handler = |view: &View| matches!(view.kind, EventKind::IsrEnter { .. } | EventKind::IsrExit { .. });
    let mut own = before.earlier().filter(|earlier| earlier.it().vcpu == before.it().vcpu);
    let last = own.find(|earlier| earlier.access().is_some() || handler(earlier.it()))?;
    let same = last.it().in_handler() == before.it().in_handler();
    (last.access().is_some() && same).then_some(last)
}

/// The half that was read right before this other one of the same register, by the same function.
fn first_half<'a>(before: &Before<'a>) -> Option<Before<'a>> {
    let (function, register, half) = half_of(before)?;
    let first = last_of_vcpu(before)?;
    let (other_function, other_register, other) = half_of(&first)?;
    let one = function.is_some() && function == other_function && register == other_register;
    // What is the second half of another pair, or checks it, begins none.
    (one && half != other && first_half(&first).is_none()).then_some(first)
}

fn torn_64(before: &Before<'_>) -> Vec<u64> {
    let pair = || {
        before.access()?;
        let second = last_of_vcpu(before)?;
        Some((second, first_half(&second)?))
    };
    let Some((second, first)) = pair() else { return Vec::new() };
    let is_check = || {
        let ((_, register, half), (_, of, first)) = (half_of(before)?, half_of(&first)?);
        Some(register == of && half == first)
    };
    if is_check() == Some(true) { Vec::new() } else { vec![second.seq()] }
}
