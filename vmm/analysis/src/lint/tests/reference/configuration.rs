//! Functions: what configuration space tells of them.

use super::*;

/// Registers of configuration space: Command, and what sends functions to sleep or resets them.
const COMMAND: u64 = 0x04;
const POWER: u64 = 0x44;
const DEVICE_CONTROL: u64 = 0x74;
const AF_CONTROL: u64 = 0x84;

#[test]
fn lints_of_configuration_space_find_what_slow_ones_find() {
    let slow = [
        Slow::new("config-w1c-merge", config_w1c_merge),
        Slow::new("asleep", asleep),
        Slow::new("decode-off", decode_off),
        Slow::new("no-bus-master", no_bus_master),
    ];
    hold(300, random_trace, &slow);
}

/// The function that is there besides `lab`: its definition, and the route to its configuration space.
#[derive(Clone, Copy)]
struct Nic {
    function: Id,
    config: Id,
}

/// `lab` and another function, whose configuration space has what lints follow.
fn random_trace(story: &mut Story) {
    let (function, _) = neighbour(&story.sample, Vec::new(), (0xfe10_0000, 4096));
    let (region, base) = (Region::Config, ECAM + 0x2_8000);
    let route = Route { function: Some(function), region, space: Space::Memory, base, size: 4096 };
    let nic = Nic { function, config: story.sample.writer.define(&Definition::Route(route)).unwrap() };
    story.sample.add_routes(0);
    for _ in 0..story.random.usize(1..70) {
        match story.random.u8(0..20) {
            0 => {
                story.sample.lose();
            }
            1..7 => configure(story, nic),
            7..9 => nobody_answers(story),
            9..14 => start(story, nic),
            14 => reset(story),
            _ => {
                let write = story.sample.kernel_write(8, 1);
                story.sample.access(write);
            }
        }
    }
}

/// `lab` is configured, or the other one's Command is.
fn configure(story: &mut Story, nic: Nic) {
    let status = story.choice(&[0, 0x2000, 0x0010, 0x2010]);
    let command = story.choice(&[0, 2, 4, 6, 0x406]);
    let whole = (COMMAND, 4, status << 16 | command);
    let (offset, size, value) = match story.random.u8(0..4) {
        0 => (POWER, 2, story.choice(&[0, 3])),
        1 => (COMMAND, 2, command),
        _ => whole,
    };
    let write = story.random.bool();
    if story.once_in(4) {
        let target = Target::Memory(ECAM + 0x2_8000 + COMMAND);
        let access =
            AccessEvent { route: nic.config, target, size: 2, ..story.sample.kernel_read(0, command) };
        story.sample.access(AccessEvent { write, ..access });
    } else if write {
        write_config(&mut story.sample, offset, size, value);
    } else {
        read_config(&mut story.sample, offset, size, value);
    }
}

/// `lab` is reset, by itself or not, or something close to that is done.
fn reset(story: &mut Story) {
    let (offset, size, value) = story.choice(&[
        (DEVICE_CONTROL, 2, 0x8000),
        (DEVICE_CONTROL, 2, 0x2810),
        (AF_CONTROL, 1, 1),
        (AF_CONTROL, 1, 0),
    ]);
    if story.once_in(4) {
        remove_routes(&mut story.sample, 0);
        story.sample.add_routes(0);
    } else if story.once_in(4) {
        read_config(&mut story.sample, offset, size, value);
    } else {
        write_config(&mut story.sample, offset, size, value);
    }
}

/// BAR 0 is gone for one access.
fn nobody_answers(story: &mut Story) {
    // By a configuration write, of which there may be another one before: a machine alone does it at a reset.
    remove_routes(&mut story.sample, u64::MAX);
    let read = story.random.bool();
    let sample = &mut story.sample;
    let access = if read { sample.kernel_read(8, u64::MAX) } else { sample.kernel_write(8, 1) };
    sample.access(AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..access });
    sample.add_routes(u64::MAX);
}

/// Something is started, and what comes of it is lost or isn't; meanwhile more may happen.
fn start(story: &mut Story, nic: Nic) {
    let start = story.sample.kernel_write(0x24, 1);
    let start = story.sample.access(start);
    match story.random.u8(0..8) {
        0 => {
            story.sample.lose();
        }
        1..3 => configure(story, nic),
        3 => reset(story),
        _ => (),
    }
    let function = story.choice(&[story.sample.lab, story.sample.lab, nic.function]);
    let earlier = story.random.u64(0..=start);
    let cause = story.choice(&[start, start, earlier]);
    let outcome = story.choice(&[DmaOutcome::Done, DmaOutcome::BusMasterOff]);
    let why = story.choice(&[None, Some(InterruptLoss::Asleep), Some(InterruptLoss::BusMasterOff)]);
    story.sample.event(if story.random.bool() {
        EventKind::Dma { function, to_memory: true, address: 0, length: 4, outcome, cause }
    } else {
        EventKind::InterruptLost { function, index: 0, why, cause }
    });
}

/// What an access to a function's configuration space says that a register holds, and whether it writes that.
fn written_or_read(before: &Before<'_>, bdf: Bdf, offset: u64) -> Option<(u64, bool)> {
    let access = before.access()?;
    let place = access.place()?;
    let there = place.is_configuration() && place.bdf == Some(bdf) && place.offset == offset;
    there.then_some((access.value, access.write))
}

fn config_w1c_merge(before: &Before<'_>) -> Vec<u64> {
    before.if_so(merges(before).unwrap_or(false))
}

fn merges(before: &Before<'_>) -> Option<bool> {
    let whole = |before: &Before<'_>| {
        let access = before.access().filter(|access| access.size == 4)?;
        written_or_read(before, access.bdf()?, COMMAND)
    };
    let (value, _) = whole(before).filter(|(_, write)| *write)?;
    let (read, _) = before.earlier().find_map(|earlier| whole(&earlier)).filter(|(_, write)| !write)?;
    // The only field of Status that clears.
    Some(value & read & 0x2000_0000 != 0 && (value ^ read) & 0xffff != 0)
}

/// Whether a function is reset: all that it holds may be another.
fn resets(before: &Before<'_>, bdf: Bdf) -> bool {
    let sets = |offset, bit: u64| {
        written_or_read(before, bdf, offset).is_some_and(|(value, write)| write && value & bit != 0)
    };
    let by_machine = || {
        let gone =
            matches!(before.it().kind, EventKind::Route { change: RouteChange::Removed, cause: 0, .. });
        gone && before.it().function().is_some_and(|function| function.bdf == bdf)
    };
    sets(DEVICE_CONTROL, 0x8000) || sets(AF_CONTROL, 1) || by_machine()
}

/// Whether a function may be on its way to D0, on which it may forget what it held.
fn wakes(before: &Before<'_>, bdf: Bdf) -> bool {
    let Some((state, true)) = written_or_read(before, bdf, POWER) else { return false };
    state & 3 != 3 && power(before, bdf) != Some(state & 3)
}

/// The power state that a function was last told or said to be in.
fn power(before: &Before<'_>, bdf: Bdf) -> Option<u64> {
    for earlier in before.earlier() {
        if let Some((state, _)) = written_or_read(&earlier, bdf, POWER) {
            return Some(state & 3);
        }
        if resets(&earlier, bdf) {
            return None;
        }
    }
    None
}

/// What Command was last told to be, or said that it is.
fn command(before: &Before<'_>, bdf: Bdf) -> Option<u64> {
    for earlier in before.earlier() {
        if let Some((value, _)) = written_or_read(&earlier, bdf, COMMAND) {
            return Some(value);
        }
        if resets(&earlier, bdf) || wakes(&earlier, bdf) {
            return None;
        }
    }
    None
}

/// The function whose BAR an access is for, that nobody answers.
fn lost_of(before: &Before<'_>) -> Option<Bdf> {
    let access = before.access().filter(|access| access.outcome == Outcome::Unclaimed)?;
    let absent = access.absent().filter(|absent| absent.base.is_some())?;
    Some(absent.function.bdf)
}

fn asleep(before: &Before<'_>) -> Vec<u64> {
    before.if_so(is_asleep(before))
}

fn is_asleep(before: &Before<'_>) -> bool {
    lost_of(before).is_some_and(|bdf| power(before, bdf) == Some(3))
}

fn decode_off(before: &Before<'_>) -> Vec<u64> {
    let off = lost_of(before).and_then(|bdf| command(before, bdf)).is_some_and(|command| command & 2 == 0);
    before.if_so(off && !is_asleep(before))
}

/// Whether a record may make another one of a function's Bus Master.
fn may_switch_master(before: &Before<'_>, bdf: Bdf) -> bool {
    let (Some((value, true)), known) = (written_or_read(before, bdf, COMMAND), command(before, bdf)) else {
        return resets(before, bdf) || wakes(before, bdf);
    };
    known.is_none_or(|known| (known ^ value) & 4 != 0)
}

fn no_bus_master(before: &Before<'_>) -> Vec<u64> {
    let cause = match before.it().kind {
        EventKind::Dma { outcome: DmaOutcome::BusMasterOff, cause, .. } => cause,
        EventKind::InterruptLost { why: Some(InterruptLoss::BusMasterOff), cause, .. } => cause,
        _ => return Vec::new(),
    };
    let Some(bdf) = before.it().function().map(|function| function.bdf) else { return Vec::new() };
    let mut since = before.earlier().take_while(|earlier| earlier.seq() >= cause);
    let starts = before.earlier().any(|earlier| earlier.seq() == cause);
    before.if_so(starts && since.all(|earlier| !may_switch_master(&earlier, bdf)))
}
