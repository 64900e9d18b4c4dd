//! Causes of interrupts: what a handler leaves. Handlers are announced here.

mod judges;

use super::*;

const NIC: u64 = 0xfe10_0000;
const STATUS: u64 = 0;
const MASK: u64 = 4;
const CAUSES: &[Field] = &[Field::bit("DONE", 0, ""), Field::bit("ERROR", 1, ""), Field::bit("LINK", 2, "")];

#[test]
fn lints_of_causes_find_what_slow_ones_find() {
    let slow = [
        Slow::new("edge-lost", judges::edge_lost),
        Slow::new("handled-not-cleared", judges::handled_not_cleared),
    ];
    hold(450, random_trace, &slow);
}

/// A function that interrupts for causes, and what its registers hold.
struct Nic {
    function: Id,
    route: Id,
    status: u64,
    mask: u64,
    /// Ones in its mask hold causes back.
    holds_back: bool,
    vector: u8,
    /// Whether its pin is asserted, if it uses that.
    pin: Option<bool>,
}

fn random_trace(story: &mut Story) {
    let registers = vec![
        config("INT_STATUS", STATUS, 4, Access::WriteOneToClear).with_fields(CAUSES),
        config("INT_MASK", MASK, 4, Access::ReadWrite).with_fields(CAUSES),
    ];
    let (function, route) = neighbour(&story.sample, registers, (NIC, 4096));
    let (holds_back, vector) = (story.random.bool(), 0x31);
    let pin = story.once_in(3).then_some(false);
    let mut nic = Nic { function, route, status: 0, mask: 0, holds_back, vector, pin };
    if !story.once_in(4) {
        nic.access(story, 0, (MASK, Some(if holds_back { 0 } else { 7 })));
    }
    for _ in 0..story.random.usize(1..24) {
        let vcpu = u8::from(story.once_in(6));
        match story.random.u8(0..40) {
            0 => {
                story.sample.lose();
            }
            1 => nic.vector = 0x32,
            2..4 => {
                let mask = story.random.u64(0..8);
                nic.access(story, vcpu, (MASK, Some(mask)));
            }
            4 => nic.step(story, vcpu),
            5 => {
                let vector = nic.vector;
                let begins = story.random.bool();
                let kind =
                    if begins { EventKind::IsrEnter { vector } } else { EventKind::IsrExit { vector } };
                story.event_on(vcpu, kind);
            }
            6..26 => nic.handle(story, vcpu),
            _ => nic.set(story),
        }
    }
}

impl Nic {
    /// A handler, during which more causes may come.
    fn handle(&mut self, story: &mut Story, vcpu: u8) {
        let vector = if story.once_in(12) { 0x40 } else { self.vector };
        story.event_on(vcpu, EventKind::IsrEnter { vector });
        if !story.once_in(8) {
            self.access(story, vcpu, (STATUS, None));
        }
        let read = self.status;
        if story.random.bool() {
            self.set(story);
        }
        if read != 0 && story.random.bool() {
            self.access(story, vcpu, (STATUS, Some(read)));
        } else if story.once_in(3) {
            self.step(story, vcpu);
        }
        // What was cleared may come again.
        if story.once_in(4) {
            self.set(story);
        }
        story.event_on(vcpu, EventKind::IsrExit { vector });
    }

    /// Causes are read, or some are cleared.
    fn step(&mut self, story: &mut Story, vcpu: u8) {
        let cleared = if story.once_in(3) { None } else { Some(story.random.u64(1..8)) };
        self.access(story, vcpu, (STATUS, cleared));
    }

    fn access(&mut self, story: &mut Story, vcpu: u8, (offset, write): (u64, Option<u64>)) {
        let held = if offset == STATUS { self.status } else { self.mask };
        let (value, target) = (write.unwrap_or(held), Target::Memory(NIC + offset));
        let access = AccessEvent {
            route: self.route,
            target,
            write: write.is_some(),
            ..story.sample.kernel_read(0, value)
        };
        let cause = story.access_on(vcpu, access);
        let Some(value) = write else { return };
        if offset == STATUS {
            self.change(story, (STATUS, self.status & !value), cause);
            if self.status == 0 && self.pin == Some(true) {
                self.set_pin(story, false, cause);
            }
        } else {
            self.change(story, (MASK, value), cause);
        }
    }

    fn change(&mut self, story: &mut Story, (offset, new): (u64, u64), cause: u64) {
        let held = if offset == STATUS { &mut self.status } else { &mut self.mask };
        let old = std::mem::replace(held, new);
        if old != new {
            let (function, region) = (self.function, Region::BAR0);
            story.sample.event(EventKind::Change { function, region, offset, old, new, cause });
        }
    }

    /// Causes come, and mostly a message if they are the first that may interrupt.
    fn set(&mut self, story: &mut Story) {
        story.sample.wait(1000);
        let through = if self.holds_back { !self.mask } else { self.mask };
        let (before, function) = (self.status & through, self.function);
        let new = self.status | story.choice(&[1, 2, 4, 1, 2, 4, 3, 6]);
        self.change(story, (STATUS, new), 0);
        let interrupts = before == 0 && new & through != 0;
        let (address, data, cause) = (0xfee0_0000, self.vector.into(), 0);
        let message = |delivered| EventKind::Msi { function, index: 0, address, data, delivered, cause };
        let kind = match story.random.u8(0..24) {
            0 => EventKind::InterruptMasked { function, index: 0, cause },
            1 => EventKind::InterruptLost { function, index: 0, why: None, cause },
            _ if !interrupts => return,
            2 => message(false),
            _ if self.pin == Some(false) => return self.set_pin(story, true, cause),
            _ if self.pin.is_some() => return,
            _ => message(true),
        };
        story.sample.event(kind);
    }

    fn set_pin(&mut self, story: &mut Story, asserted: bool, cause: u64) {
        self.pin = Some(asserted);
        story.sample.event(EventKind::Intx { function: self.function, asserted, gsi: 16, cause });
    }
}
