//! The values that signals have: as they were last changed, or read.

use barscope_device::Region;
use barscope_trace::event::{AccessEvent, EventKind, Outcome, Target};
use barscope_trace::{Definitions, Event, Id};
use rustc_hash::FxHashMap;

use super::signals::{RegisterSignals, Signals};

/// The most handlers that a vCPU is followed into.
const DEEPEST: usize = 256;

/// What changed: place of the signal, width in bits, new value.
type Changes = Vec<(usize, u32, u64)>;

/// The state of all signals.
pub(super) struct State {
    signals: Signals,
    /// `None` until it is known.
    values: Vec<Option<u64>>,
    /// Until when functions are busy.
    busy: FxHashMap<Id, u64>,
    /// Vectors of the handlers that run on each vCPU.
    handlers: Vec<Vec<u8>>,
    last_ns: u64,
}

impl State {
    pub(super) fn new(signals: Signals) -> Self {
        let (values, handlers) = (vec![None; signals.count], vec![Vec::new(); signals.vcpus.len()]);
        Self { signals, values, busy: FxHashMap::default(), handlers, last_ns: 0 }
    }

    /// Device time of the last record, in nanoseconds.
    pub(super) fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Records are missing: what they changed isn't known.
    pub(super) fn lose(&mut self, missing: u64, changes: &mut Changes) {
        let lost = self.signals.lost;
        let before = self.values[lost].unwrap_or(0);
        set(&mut self.values, (lost, 64), before + missing, changes);
    }

    /// Ends the first work that is done by `ns`: when it was done.
    pub(super) fn elapse(&mut self, ns: u64, changes: &mut Changes) -> Option<u64> {
        let first = self.busy.iter().min_by_key(|(_, until)| **until);
        let (&function, &until) = first.filter(|(_, until)| **until <= ns)?;
        self.busy.remove(&function);
        if let Some(own) = self.signals.functions.get(&function) {
            set(&mut self.values, (own.busy, 1), 0, changes);
        }
        Some(until)
    }

    /// Takes a record.
    pub(super) fn take(&mut self, definitions: &Definitions, event: &Event, changes: &mut Changes) {
        self.last_ns = self.last_ns.max(event.device_ns);
        match event.kind {
            EventKind::Access(access) => self.access(definitions, &access, changes),
            EventKind::Change { function, region, offset, new, .. } => {
                let registers = self.signals.regions.get(&(function, region));
                let register = registers.and_then(|all| all.iter().find(|it| it.offset == offset));
                if let Some(register) = register {
                    set_register(&mut self.values, register, new, changes);
                }
            }
            EventKind::Busy { function, until_ns, .. } => {
                if let Some(own) = self.signals.functions.get(&function) {
                    let until = self.busy.entry(function).or_insert(until_ns);
                    *until = until_ns.max(*until);
                    set(&mut self.values, (own.busy, 1), 1, changes);
                }
            }
            EventKind::Msi { function, index, .. } => {
                if let Some(own) = self.signals.functions.get(&function) {
                    count(&mut self.values, own.msi, changes);
                    set(&mut self.values, (own.msi_vector, 16), index.into(), changes);
                }
            }
            EventKind::Intx { function, asserted, .. } => {
                if let Some(own) = self.signals.functions.get(&function) {
                    set(&mut self.values, (own.intx, 1), asserted.into(), changes);
                }
            }
            EventKind::IsrEnter { vector } => self.handler(event.vcpu, changes, |handlers| {
                if handlers.len() < DEEPEST {
                    handlers.push(vector);
                }
            }),
            EventKind::IsrExit { vector } => self.handler(event.vcpu, changes, |handlers| {
                if let Some(at) = handlers.iter().rposition(|it| *it == vector) {
                    handlers.truncate(at);
                }
            }),
            _ => {}
        }
    }

    fn handler(&mut self, vcpu: Option<u8>, changes: &mut Changes, act: impl FnOnce(&mut Vec<u8>)) {
        let Some(vcpu) = vcpu.map(usize::from) else { return };
        if let (Some(handlers), Some(signal)) = (self.handlers.get_mut(vcpu), self.signals.vcpus.get(vcpu)) {
            act(handlers);
            let vector = handlers.last().copied().unwrap_or(0);
            set(&mut self.values, (*signal, 8), vector.into(), changes);
        }
    }

    fn access(&mut self, definitions: &Definitions, access: &AccessEvent, changes: &mut Changes) {
        let Some(route) = definitions.route(access.route) else { return };
        let Some(function) = route.function else { return };
        if let Some(own) = self.signals.functions.get(&function) {
            count(&mut self.values, if access.write { own.writes } else { own.reads }, changes);
        }
        if access.write || access.outcome != Outcome::Ok {
            return;
        }
        let offset = match access.target {
            Target::Memory(address) => address.wrapping_sub(route.base),
            Target::Port { offset, .. } => offset.into(),
        };
        self.read((function, route.region), offset, access, changes);
    }

    /// A read tells what registers hold that it reaches in whole, and parts of one that is known.
    fn read(&mut self, region: (Id, Region), offset: u64, access: &AccessEvent, changes: &mut Changes) {
        let Some(registers) = self.signals.regions.get(&region) else { return };
        let size = u64::from(access.size.min(8));
        let end = offset.saturating_add(size);
        let first = registers.partition_point(|it| it.offset.saturating_add(it.size) <= offset);
        for register in registers[first..].iter().take_while(|register| register.offset < end) {
            if register.offset >= offset && register.offset + register.size <= end {
                let value = access.value >> (8 * (register.offset - offset));
                set_register(&mut self.values, register, value, changes);
            } else if register.offset <= offset
                && end <= register.offset + register.size
                && let Some(known) = self.values[register.signal]
            {
                let shift = 8 * (offset - register.offset);
                let part = mask(8 * size as u32) << shift;
                let value = known & !part | access.value << shift & part;
                set_register(&mut self.values, register, value, changes);
            }
        }
    }
}

fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

fn set(values: &mut [Option<u64>], (signal, width): (usize, u32), value: u64, changes: &mut Changes) {
    if values[signal] != Some(value) {
        values[signal] = Some(value);
        changes.push((signal, width, value));
    }
}

fn count(values: &mut [Option<u64>], signal: usize, changes: &mut Changes) {
    let counted = values[signal].unwrap_or(0) + 1;
    set(values, (signal, 64), counted, changes);
}

fn set_register(values: &mut [Option<u64>], register: &RegisterSignals, value: u64, changes: &mut Changes) {
    let bits = 8 * register.size as u32;
    let value = value & mask(bits);
    set(values, (register.signal, bits), value, changes);
    for field in &register.fields {
        let width = field.width.into();
        let held = value.checked_shr(field.lsb.into()).unwrap_or(0) & mask(width);
        set(values, (field.signal, width), held, changes);
    }
}
