//! Interrupts: what handlers read, clear and leave.

use super::*;
use crate::sample::stacks::{HARD, IOCTL, Outer, THREADED};

const CAUSES: &[Field] = &[Field::bit("DONE", 0, ""), Field::bit("ERROR", 1, "")];
const NIC: u64 = 0xfe10_0000;
const STATUS: u64 = 0;
const MASK: u64 = 4;
const VECTOR: u8 = 0x31;

/// A function with a register of causes, and a driver whose handlers are told by hand.
struct Nic {
    sample: Sample,
    function: Id,
    route: Id,
    /// Nobody announces handlers: stacks show them.
    unannounced: bool,
    stack: Id,
}

impl Nic {
    /// With a mask of this name.
    fn new(mask: &'static str) -> Self {
        let sample = machine();
        let registers = vec![
            config("INT_STATUS", STATUS, 4, Access::WriteOneToClear).with_fields(CAUSES),
            config(mask, MASK, 4, Access::ReadWrite).with_fields(CAUSES),
        ];
        let (function, route) = neighbour(&sample, registers, (NIC, 4096));
        Self { sample, function, route, unannounced: false, stack: 0 }
    }

    /// The same of a guest that announces no handlers.
    fn unannounced(mut self) -> Self {
        self.unannounced = true;
        self
    }

    /// Something else than a hard handler makes an access.
    fn elsewhere(&mut self, frames: &[Outer<'_>]) {
        let stack = self.sample.stack(None, frames, None);
        let read = self.sample.read_by("edu_read", 8, stack);
        self.sample.access(read);
    }

    /// All causes are let through, and the first comes: it sends a message, or asserts the pin.
    fn interrupting(pin: bool) -> Self {
        let mut nic = Self::new("INT_MASK");
        nic.write(MASK, 0, 3);
        nic.set(0, 1);
        if pin {
            nic.pin(true, 0);
        } else {
            nic.message();
        }
        nic
    }

    fn read(&mut self, offset: u64, value: u64) -> u64 {
        let instruction = self.sample.code("lab::isr", 21, false);
        let read = self.sample.kernel_read(0, value);
        let target = Target::Memory(NIC + offset);
        self.sample.access(AccessEvent { route: self.route, target, instruction, stack: self.stack, ..read })
    }

    /// Writes `value`, after which the register no longer holds `old`: the mask does as told, the status clears ones.
    fn write(&mut self, offset: u64, old: u64, value: u64) -> u64 {
        let instruction = self.sample.code("lab::isr", 22, true);
        let write = self.sample.kernel_write(0, value);
        let target = Target::Memory(NIC + offset);
        let access = AccessEvent { route: self.route, target, instruction, stack: self.stack, ..write };
        let cause = self.sample.access(access);
        let new = if offset == MASK { value } else { old & !value };
        if new != old {
            self.change(offset, old, new, cause);
        }
        cause
    }

    fn change(&mut self, offset: u64, old: u64, new: u64, cause: u64) {
        let (function, region) = (self.function, Region::BAR0);
        self.sample.event(EventKind::Change { function, region, offset, old, new, cause });
    }

    /// The device sets causes by itself.
    fn set(&mut self, old: u64, new: u64) {
        self.sample.wait(1000);
        self.change(STATUS, old, new, 0);
    }

    fn message(&mut self) {
        let (function, data) = (self.function, VECTOR.into());
        self.sample.event(EventKind::Msi {
            function,
            index: 0,
            address: 0xfee0_0000,
            data,
            delivered: true,
            cause: 0,
        });
    }

    fn pin(&mut self, asserted: bool, cause: u64) {
        self.sample.event(EventKind::Intx { function: self.function, asserted, gsi: 16, cause });
    }

    fn begin(&mut self) {
        if self.unannounced {
            self.stack = self.sample.stack(None, &HARD, None);
        } else {
            self.sample.event(EventKind::IsrEnter { vector: VECTOR });
        }
    }

    fn end(&mut self) {
        self.stack = 0;
        if !self.unannounced {
            self.sample.event(EventKind::IsrExit { vector: VECTOR });
        }
    }
}

#[test]
fn edge_lost_is_a_cause_that_comes_while_a_handler_clears_another() {
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    nic.end();
    assert_eq!(
        sentences(nic.sample),
        [
            "BAR0.INT_STATUS gives 0x1 at record 6, and the handler clears of that; 0x2 comes at record 7, and the \
          handler ends without looking again: no message comes for it."
        ]
    );
}

#[test]
fn edge_lost_names_the_record_of_what_is_left() {
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    // That one interrupts nobody.
    nic.set(2, 6);
    nic.end();
    assert_eq!(
        sentences(nic.sample),
        [
            "BAR0.INT_STATUS gives 0x1 at record 6, and the handler clears of that; 0x2 comes at record 7, and the \
          handler ends without looking again: no message comes for it."
        ]
    );
}

/// A handler that clears one cause while another one comes, of a guest that announces no handlers; what runs then.
fn then(frames: &[Outer<'_>]) -> Vec<String> {
    let mut nic = Nic::interrupting(false).unannounced();
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    nic.end();
    nic.elsewhere(frames);
    found(nic.sample)
}

#[test]
fn edge_lost_is_one_of_a_handler_that_only_its_stack_shows() {
    assert!(matches!(&then(&IOCTL)[..], [found] if found.starts_with("edge-lost BAR0.INT_STATUS lab::isr")));
    // Its thread may look again.
    assert_eq!(then(&THREADED), [""; 0]);
}

#[test]
fn edge_lost_is_silent_about_handlers_that_look_again_and_about_what_interrupts_again() {
    // It looks again, and clears what is left.
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    nic.read(STATUS, 2);
    nic.write(STATUS, 2, 2);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // It comes once all is cleared, with a message of its own.
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.write(STATUS, 1, 1);
    nic.set(0, 2);
    nic.message();
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // A pin stays asserted.
    let mut nic = Nic::interrupting(true);
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // It is masked: somebody else looks after it.
    let mut nic = Nic::new("INT_MASK");
    nic.write(MASK, 0, 1);
    nic.set(0, 1);
    nic.message();
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // The handler leaves all to a thread, and masks meanwhile.
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.write(MASK, 3, 0);
    nic.write(STATUS, 1, 1);
    nic.set(0, 2);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);
}

#[test]
fn edge_lost_is_not_said_where_records_are_missing() {
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.read(STATUS, 1);
    nic.set(1, 3);
    nic.write(STATUS, 3, 1);
    // It may have looked again.
    nic.sample.lose();
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);
}

/// So many runs of a handler of a pin that reads the causes and does with them as told.
fn runs(times: u64, mut handle: impl FnMut(&mut Nic)) -> Vec<String> {
    let mut nic = Nic::interrupting(true);
    for _ in 0..times {
        nic.begin();
        nic.read(STATUS, 1);
        handle(&mut nic);
        nic.end();
    }
    sentences(nic.sample)
}

#[test]
fn handled_not_cleared_is_a_cause_that_three_handlers_in_a_row_leave() {
    let expected =
        "BAR0.INT_STATUS has 0x1 pending at the end of a handler, 3 times in a row: nobody clears it.";
    assert_eq!(runs(2, |_| ()), [""; 0]);
    assert_eq!(runs(5, |_| ()), [expected]);
    // Another cause is cleared each time.
    let other = |nic: &mut Nic| {
        nic.set(1, 3);
        nic.write(STATUS, 3, 2);
    };
    assert_eq!(runs(3, other), [expected]);
}

#[test]
fn handled_not_cleared_is_a_cause_that_comes_while_another_one_is_left() {
    let mut nic = Nic::interrupting(true);
    for (pending, left) in [(1, 1), (1, 3), (3, 2), (2, 2)] {
        nic.begin();
        nic.read(STATUS, pending);
        if left & !pending != 0 {
            nic.set(pending, left);
        } else if left != pending {
            nic.write(STATUS, pending, pending & !left);
        }
        nic.end();
    }
    assert_eq!(
        sentences(nic.sample),
        ["BAR0.INT_STATUS has 0x2 pending at the end of a handler, 3 times in a row: nobody clears it."]
    );
}

#[test]
fn handled_not_cleared_is_one_of_handlers_that_only_their_stacks_show() {
    for (pin, times, expected) in [(true, 3, 1), (true, 2, 0), (false, 3, 1)] {
        let mut nic = Nic::interrupting(pin).unannounced();
        for _ in 0..times {
            nic.begin();
            nic.read(STATUS, 1);
            nic.end();
            nic.elsewhere(&IOCTL);
        }
        assert_eq!(found(nic.sample).len(), expected, "{pin} {times}");
    }
}

#[test]
fn handled_not_cleared_is_a_message_that_is_sent_again_though_its_cause_is_pending() {
    let mut nic = Nic::interrupting(false);
    for _ in 0..3 {
        nic.begin();
        nic.end();
        nic.message();
    }
    assert_eq!(found(nic.sample), ["handled-not-cleared BAR0.INT_STATUS nobody 1"]);
}

#[test]
fn handled_not_cleared_is_silent_about_what_is_cleared_or_masked_in_between() {
    // It comes anew each time.
    let anew = |nic: &mut Nic| {
        nic.write(STATUS, 1, 1);
        nic.set(0, 1);
    };
    assert_eq!(runs(4, anew), [""; 0]);

    // A thread clears it, and handlers come for other causes.
    let mut nic = Nic::interrupting(false);
    for _ in 0..4 {
        nic.begin();
        nic.read(STATUS, 1);
        nic.end();
        nic.write(STATUS, 1, 1);
        nic.set(0, 1);
        nic.message();
    }
    assert_eq!(found(nic.sample), [""; 0]);

    // What is masked may stay.
    let mut nic = Nic::new("INT_MASK");
    nic.write(MASK, 0, 1);
    nic.set(0, 2);
    for _ in 0..4 {
        nic.set(2, 3);
        nic.message();
        nic.begin();
        nic.read(STATUS, 3);
        nic.write(STATUS, 3, 1);
        nic.end();
    }
    assert_eq!(found(nic.sample), [""; 0]);

    // A handler of others on the line, which never touches it.
    let mut nic = Nic::interrupting(true);
    for _ in 0..4 {
        nic.begin();
        nic.end();
    }
    assert_eq!(found(nic.sample), [""; 0]);
}

#[test]
fn handled_not_cleared_counts_anew_where_records_are_missing() {
    let mut times = 0;
    let lose = |nic: &mut Nic| {
        times += 1;
        if times == 2 {
            nic.sample.lose();
        }
    };
    assert_eq!(runs(4, lose), [""; 0]);
}

/// A cause comes that the mask excludes, then one that it lets through, whose handler reads both and acknowledges these.
fn acknowledges(mask: &'static str, (first, second): (u64, u64), acknowledged: u64) -> Vec<String> {
    let mut nic = Nic::new(mask);
    nic.write(MASK, 0, first);
    // The first interrupt tells what a one in the mask means.
    nic.set(0, 1);
    nic.message();
    nic.begin();
    nic.read(STATUS, 1);
    nic.write(STATUS, 1, 1);
    nic.end();
    nic.write(MASK, first, second);
    nic.set(0, 2);
    nic.set(2, 3);
    nic.message();
    nic.begin();
    nic.read(STATUS, 3);
    nic.write(STATUS, 3, acknowledged);
    nic.end();
    sentences(nic.sample)
}

#[test]
fn acts_on_masked_is_a_cause_that_is_acknowledged_though_it_never_was_let_through() {
    let expected =
        "A handler reads 0x3 in BAR0.INT_STATUS and acknowledges 0x2 of it, which the mask excludes.";
    assert_eq!(acknowledges("INT_MASK", (1, 1), 3), [expected]);
    assert_eq!(acknowledges("INT_ENABLE", (1, 1), 3), [expected]);
    // Here ones hold back.
    assert_eq!(acknowledges("INT_MASK", (2, 2), 3), [expected]);
}

#[test]
fn acts_on_masked_is_silent_about_what_the_mask_lets_through_and_about_what_is_no_mask() {
    assert_eq!(acknowledges("INT_MASK", (1, 1), 1), [""; 0]);
    assert_eq!(acknowledges("INT_MASK", (3, 3), 3), [""; 0]);
    assert_eq!(acknowledges("INT_STATUS2", (1, 1), 3), [""; 0]);
    assert_eq!(acknowledges("RX_MASK", (1, 1), 3), [""; 0]);

    // Interrupts that don't fit together tell nothing of the mask.
    let mut nic = Nic::new("INT_MASK");
    nic.write(MASK, 0, 1);
    for causes in [1, 2] {
        nic.set(0, causes);
        nic.message();
        nic.write(STATUS, causes, causes);
    }
    nic.set(0, 2);
    nic.begin();
    nic.read(STATUS, 2);
    nic.write(STATUS, 2, 2);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);
}

#[test]
fn acts_on_masked_is_silent_about_handlers_that_mask_and_about_causes_that_were_let_through_once() {
    // It masks all, and handles what came until then and after that.
    let mut nic = Nic::interrupting(false);
    nic.begin();
    nic.write(MASK, 3, 0);
    nic.set(1, 3);
    nic.read(STATUS, 3);
    nic.write(STATUS, 3, 3);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // It is masked while its message is on its way.
    let mut nic = Nic::interrupting(false);
    nic.write(MASK, 3, 0);
    nic.begin();
    nic.read(STATUS, 1);
    nic.write(STATUS, 1, 1);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);

    // The mask may have changed in what is missing.
    let mut nic = Nic::interrupting(false);
    nic.write(MASK, 3, 1);
    nic.set(1, 3);
    nic.sample.lose();
    nic.begin();
    nic.read(STATUS, 3);
    nic.write(STATUS, 3, 3);
    nic.end();
    assert_eq!(found(nic.sample), [""; 0]);
}

/// A handler that reads a register or not before it acknowledges, or after it.
fn acknowledged(before: bool, after: bool, pin: bool, lose: bool) -> Vec<String> {
    let mut nic = Nic::interrupting(pin);
    nic.begin();
    if before {
        nic.read(STATUS, 1);
    }
    let cause = nic.write(STATUS, 1, 1);
    if pin {
        nic.pin(false, cause);
    }
    if after {
        nic.read(MASK, 3);
    }
    if lose {
        nic.sample.lose();
    }
    nic.end();
    sentences(nic.sample)
}

#[test]
fn unflushed_is_a_pin_that_is_taken_back_by_a_handler_that_reads_nothing() {
    assert_eq!(
        acknowledged(false, false, true, false),
        [
            "A write to BAR0.INT_STATUS takes the pin back, and the handler ends at record 9 without having read anything."
        ]
    );
    // It would find out by its read, it waits, messages aren't levels, and what nobody knows.
    for (before, after, pin, lose) in [
        (true, false, true, false),
        (false, true, true, false),
        (false, false, false, false),
        (false, false, true, true),
    ] {
        assert_eq!(acknowledged(before, after, pin, lose), [""; 0]);
    }
}
