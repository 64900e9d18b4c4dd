//! Two accesses of one register, one by the kernel's mapping and one by a process's.

use std::collections::HashMap;
use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::event::{Outcome, Target};

use crate::view::{AccessView, View};

/// So many registers are looked at.
const REGISTERS: usize = 1 << 10;

/// A register's place.
type Key = (Option<Bdf>, Region, u64);

/// The last access of a register from one side.
#[derive(Clone)]
struct Seen {
    seq: u64,
    value: u64,
    write: bool,
    scenario: Option<Arc<str>>,
}

/// How well two accesses show what they have in common: the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// In one scenario, one read what the other wrote.
    Passed,
    /// In one scenario.
    Together,
    /// In one trace.
    Apart,
}

/// Looks for the two.
#[derive(Default)]
pub struct Pairs {
    /// From ring 0, and from ring 3.
    sides: [HashMap<Key, Seen>; 2],
    best: Option<(Rank, u64, u64)>,
}

impl Pairs {
    /// The first pair of those that show it best: the kernel's access, and the process's.
    pub fn best(&self) -> Option<(u64, u64)> {
        self.best.map(|(_, kernel, user)| (kernel, user))
    }

    /// Takes the next record.
    pub fn take(&mut self, view: &View) {
        if matches!(self.best, Some((Rank::Passed, ..))) {
            return;
        }
        let Some(access) = view.access() else { return };
        let Some(key) = key(access) else { return };
        let is_user = access.cpl == 3;
        let (here, there) = (usize::from(is_user), usize::from(!is_user));
        let (value, write) = (access.value, access.write);
        let seen = Seen { seq: view.seq, value, write, scenario: view.scenario.clone() };
        if let Some(other) = self.sides[there].get(&key) {
            let rank = rank(other, &seen);
            if self.best.is_none_or(|(best, ..)| rank < best) {
                let (kernel, user) = if is_user { (other.seq, seen.seq) } else { (seen.seq, other.seq) };
                self.best = Some((rank, kernel, user));
            }
        }
        let side = &mut self.sides[here];
        if side.len() < REGISTERS || side.contains_key(&key) {
            side.insert(key, seen);
        }
    }
}

/// The register, if it is one of a BAR that an instruction reached by a virtual address.
fn key(access: AccessView<'_>) -> Option<Key> {
    let place = access.place().filter(|place| !place.is_configuration())?;
    let by_memory = matches!(access.target, Target::Memory(_)) && access.gva().is_some();
    let is_plain = matches!(access.cpl, 0 | 3) && access.outcome == Outcome::Ok && by_memory;
    place.register().filter(|register| is_plain && !register.memory)?;
    Some((place.bdf, place.region, place.offset))
}

fn rank(one: &Seen, other: &Seen) -> Rank {
    if one.scenario.is_none() || one.scenario != other.scenario {
        return Rank::Apart;
    }
    let passed = one.write && !other.write && one.value == other.value;
    if passed { Rank::Passed } else { Rank::Together }
}
