//! Sites: places where a fault has to be injected to see whether a driver minds.

use super::*;
use crate::sample::BAR2;
use crate::sample::stacks::call;

/// A card at 00:05.0 whose interrupts its own register lets through.
const CARD: u64 = 0xfe10_0000;
const RING: u64 = 0;
const INT_ENABLE: u64 = 4;
const DOORBELL: u64 = 8;
const ID: u64 = 12;
const STATE: u64 = 16;
const STATE_FIELDS: &[Field] = &[Field::bit("UP", 0, "")];

/// A trace of a driver `edu` of Linux, by places in its functions.
struct Driver {
    sample: Sample,
    card: Id,
}

impl Driver {
    fn new() -> Self {
        let sample = machine();
        let registers = vec![
            config("RING", RING, 4, Access::ReadWrite),
            config("INT_ENABLE", INT_ENABLE, 4, Access::ReadWrite),
            config("DOORBELL", DOORBELL, 4, Access::WriteOnly),
            config("ID", ID, 4, Access::ReadOnly).reset_to(0x1234),
            config("STATE", STATE, 4, Access::ReadOnly).with_fields(STATE_FIELDS),
        ];
        let (_, card) = neighbour(&sample, registers, (CARD, 4096));
        Self { sample, card }
    }

    /// A read of `lab`'s BAR0, by the place that is called first and its callers.
    fn by(&self, places: &[&str], offset: u64) -> AccessEvent {
        let callers: Vec<_> = places[1..].iter().map(|place| call(place)).collect();
        let stack = self.sample.stack(None, &callers, None);
        self.sample.read_by(places[0], offset, stack)
    }

    fn read(&mut self, place: &str, offset: u64, value: u64) -> u64 {
        let read = self.by(&[place], offset);
        self.sample.access(AccessEvent { value, ..read })
    }

    fn write(&mut self, place: &str, offset: u64, value: u64) -> u64 {
        let write = self.by(&[place], offset);
        self.sample.access(AccessEvent { write: true, value, ..write })
    }

    /// The card is accessed.
    fn card(&mut self, places: &[&str], offset: u64, write: Option<u64>) {
        let target = Target::Memory(CARD + offset);
        let (write, value) = (write.is_some(), write.unwrap_or(0));
        let access = AccessEvent { route: self.card, target, write, value, ..self.by(places, 0) };
        self.sample.access(access);
    }

    fn lose(&mut self) {
        self.sample.lose();
    }

    /// What the sites of this lint say.
    fn sites(self, lint: &str) -> Vec<String> {
        let sites = lint_of(self.sample).sites.into_iter();
        sites.filter(|site| site.lint.name == lint).map(|site| site.sentence).collect()
    }
}

/// What the sites of a lint say of what a driver does.
fn sites(lint: &str, drive: impl FnOnce(&mut Driver)) -> Vec<String> {
    let mut driver = Driver::new();
    drive(&mut driver);
    driver.sites(lint)
}

const EARLY: &str =
    "BAR0.INT_ENABLE lets interrupts through, and BAR0.RING is set up after that, by record 2.";

#[test]
fn early_interrupt_is_a_register_that_is_set_up_after_interrupts_are_let_through() {
    let found = sites("early-interrupt", |driver| {
        driver.card(&["edu_probe"], INT_ENABLE, Some(1));
        driver.card(&["edu_probe+0x8"], RING, Some(0x1000));
        driver.card(&["edu_probe+0x10"], RING, Some(0x2000));
    });
    assert_eq!(found, [EARLY]);
    // A function that the same call calls lets them through.
    let found = sites("early-interrupt", |driver| {
        driver.card(&["edu_thread", "edu_probe"], INT_ENABLE, Some(1));
        driver.card(&["edu_probe+0x8"], RING, Some(0x1000));
    });
    assert_eq!(found, [EARLY]);
}

#[test]
fn early_interrupt_is_not_said_of_a_device_that_is_set_up_or_masked_or_was_handled() {
    type Drive = fn(&mut Driver);
    let drives: [(&str, Drive); 6] = [
        ("set up first", |driver| {
            driver.card(&["edu_probe"], RING, Some(0x1000));
            driver.card(&["edu_probe+0x8"], INT_ENABLE, Some(1));
        }),
        ("masked again", |driver| {
            driver.card(&["edu_probe"], INT_ENABLE, Some(1));
            driver.card(&["edu_probe+0x8"], INT_ENABLE, Some(0));
            driver.card(&["edu_probe+0x10"], RING, Some(0x1000));
        }),
        ("a doorbell", |driver| {
            driver.card(&["edu_probe"], INT_ENABLE, Some(1));
            driver.card(&["edu_probe+0x8"], DOORBELL, Some(1));
        }),
        ("another call", |driver| {
            driver.card(&["edu_probe"], INT_ENABLE, Some(1));
            driver.card(&["edu_ioctl"], RING, Some(0x1000));
        }),
        ("handled", |driver| {
            driver.card(&["edu_probe"], INT_ENABLE, Some(1));
            driver.sample.event(EventKind::IsrEnter { vector: 0x31 });
            driver.sample.event(EventKind::IsrExit { vector: 0x31 });
            driver.card(&["edu_probe+0x8"], RING, Some(0x1000));
        }),
        ("records are missing", |driver| {
            driver.card(&["edu_probe"], INT_ENABLE, Some(1));
            driver.lose();
            driver.card(&["edu_probe+0x8"], RING, Some(0x1000));
        }),
    ];
    for (what, drive) in drives {
        assert_eq!(sites("early-interrupt", drive), [""; 0], "{what}");
    }
}

#[test]
fn early_interrupt_goes_by_messages_where_the_device_has_no_register_for_it() {
    let drive = |control: u64| {
        sites("early-interrupt", |driver| {
            let (route, target) = (driver.sample.ecam, Target::Memory(ECAM + 0x2_0062));
            let enable = driver.by(&["edu_probe"], 0);
            let enable = AccessEvent { route, target, size: 2, write: true, value: control, ..enable };
            driver.sample.access(enable);
            driver.write("edu_probe+0x8", 8, 1);
        })
    };
    assert_eq!(
        drive(0x8000),
        ["CONFIG.MSIX_CONTROL lets interrupts through, and BAR0.SCRATCH is set up after that, by record 2."]
    );
    // All vectors are masked.
    assert_eq!(drive(0xc000), [""; 0]);
}

/// Reads of STATUS by one place of code, one after the other.
fn poll(driver: &mut Driver, values: &[u64]) {
    for value in values {
        driver.read("edu_read", 0x10, *value);
    }
}

#[test]
fn unbounded_poll_is_a_value_that_was_waited_for_until_it_came() {
    let found = sites("unbounded-poll", |driver| poll(driver, &[1, 1, 1, 1, 2]));
    assert_eq!(found, ["BAR0.STATUS is read 4 times as 0x1, until it is 0x2."]);
}

#[test]
fn unbounded_poll_is_not_said_of_a_loop_that_was_given_up_or_does_something_else() {
    let given_up = |driver: &mut Driver| {
        poll(driver, &[1, 1, 1, 1, 2]);
        driver.write("edu_probe", 8, 0);
        poll(driver, &[1, 1, 1, 1, 1]);
        driver.write("edu_probe", 8, 0);
    };
    assert_eq!(sites("unbounded-poll", given_up), [""; 0]);
    assert_eq!(sites("unbounded-poll", |driver| poll(driver, &[1, 1, 1, 2])), [""; 0]);
    let looks_at_a_clock = |driver: &mut Driver| {
        for value in [1, 1, 1, 1, 1, 2] {
            driver.read("edu_read", 0x10, value);
            driver.read("edu_read+0x8", 0x28, 0);
        }
    };
    assert_eq!(sites("unbounded-poll", looks_at_a_clock), [""; 0]);
    let missing = |driver: &mut Driver| {
        poll(driver, &[1, 1, 1]);
        driver.lose();
        poll(driver, &[1, 2]);
    };
    assert_eq!(sites("unbounded-poll", missing), [""; 0]);
}

const TRUSTED: &str = "BAR0.STATUS is read, and then the call reads BAR0.RESULT.";

/// STATUS and then RESULT are read.
fn trust(driver: &mut Driver) {
    driver.read("edu_ioctl", 0x10, 2);
    driver.read("edu_ioctl+0x8", 0x28, 120);
}

#[test]
fn all_ones_trusted_is_a_read_after_which_the_call_goes_on() {
    assert_eq!(sites("all-ones-trusted", trust), [TRUSTED]);
    // Even if it has been all-ones.
    let found = sites("all-ones-trusted", |driver| {
        driver.read("edu_ioctl", 0x10, 0xffff_ffff);
        driver.read("edu_ioctl+0x8", 0x28, 0xffff_ffff);
    });
    assert_eq!(found, [TRUSTED]);
}

#[test]
fn all_ones_trusted_is_not_said_of_a_call_that_stops_or_asks_who_is_there() {
    let stops = |driver: &mut Driver| {
        trust(driver);
        driver.read("edu_ioctl", 0x10, 0xffff_ffff);
        driver.read("edu_probe", 0x28, 0);
    };
    assert_eq!(sites("all-ones-trusted", stops), [""; 0]);
    let asks = |driver: &mut Driver| {
        driver.card(&["edu_probe"], STATE, None);
        driver.card(&["edu_probe+0x8"], ID, None);
        driver.card(&["edu_probe+0x10"], RING, Some(0x1000));
    };
    assert_eq!(sites("all-ones-trusted", asks), [""; 0]);
    // RESULT may be anything; a read that is repeated is judged by what follows the last one.
    let may_hold_it = |driver: &mut Driver| {
        driver.read("edu_ioctl", 0x28, 120);
        driver.read("edu_ioctl+0x8", 0x10, 2);
        driver.read("edu_ioctl+0x10", 0x10, 2);
    };
    assert_eq!(sites("all-ones-trusted", may_hold_it), [""; 0]);
    let missing = |driver: &mut Driver| {
        driver.read("edu_ioctl", 0x10, 2);
        driver.lose();
        driver.read("edu_ioctl+0x8", 0x28, 120);
    };
    assert_eq!(sites("all-ones-trusted", missing), [""; 0]);
}

#[test]
fn double_fetch_is_a_register_that_a_call_reads_at_two_places() {
    let found = sites("double-fetch", |driver| {
        driver.read("edu_ioctl", 8, 5);
        driver.read("edu_ioctl+0x8", 8, 5);
    });
    assert_eq!(found, ["BAR0.SCRATCH is read again, after record 1 by the same call."]);
    // By a function that it calls twice.
    let found = sites("double-fetch", |driver| {
        for place in ["edu_ioctl", "edu_ioctl+0x8"] {
            let read = driver.by(&["edu_read", place], 8);
            driver.sample.access(read);
        }
    });
    assert_eq!(found, ["BAR0.SCRATCH is read again, after record 1 by the same call."]);
}

#[test]
fn double_fetch_is_not_said_of_loops_other_calls_and_what_was_written_between() {
    type Drive = fn(&mut Driver);
    let drives: [(&str, Drive); 5] = [
        ("a loop", |driver| {
            driver.read("edu_ioctl+0x8", 8, 5);
            driver.read("edu_ioctl+0x8", 8, 5);
        }),
        ("the next call", |driver| {
            driver.read("edu_ioctl+0x8", 8, 5);
            driver.read("edu_ioctl", 8, 5);
        }),
        ("another function's call between", |driver| {
            driver.read("edu_ioctl", 8, 5);
            driver.read("edu_probe", 0x28, 5);
            driver.read("edu_ioctl+0x8", 8, 5);
        }),
        ("a write between", |driver| {
            driver.read("edu_ioctl", 0x10, 2);
            driver.write("edu_ioctl+0x8", 0x24, 1);
            driver.read("edu_ioctl+0x10", 0x10, 2);
        }),
        ("records are missing", |driver| {
            driver.read("edu_ioctl", 8, 5);
            driver.lose();
            driver.read("edu_ioctl+0x8", 8, 5);
        }),
    ];
    for (what, drive) in drives {
        assert_eq!(sites("double-fetch", drive), [""; 0], "{what}");
    }
}

#[test]
fn device_length_is_a_value_offset_or_length_that_the_device_gave() {
    let found = sites("device-length", |driver| {
        driver.read("edu_ioctl", 0x28, 0x1230);
        driver.write("edu_ioctl+0x8", 8, 0x1230);
    });
    assert_eq!(found, ["BAR0.SCRATCH is written 0x1230, which record 1 read from BAR0.RESULT."]);

    let found = sites("device-length", |driver| {
        driver.read("edu_ioctl", 0x28, 0x1230);
        let (route, target) = (driver.sample.bar2, Target::Memory(BAR2 + 0x1230));
        let read = AccessEvent { route, target, ..driver.by(&["edu_ioctl+0x8"], 0) };
        driver.sample.access(read);
    });
    assert_eq!(found, ["BAR2.MEMORY is accessed at 0x1230, which record 1 read from BAR0.RESULT."]);

    let found = sites("device-length", |driver| {
        driver.read("edu_ioctl", 0x28, 0x1230);
        let cause = driver.write("edu_ioctl+0x8", 0x24, 1);
        let (function, outcome) = (driver.sample.lab, DmaOutcome::Done);
        let dma =
            EventKind::Dma { function, to_memory: true, address: 0x5000, length: 0x1230, outcome, cause };
        driver.sample.event(dma);
    });
    assert_eq!(found, ["BAR0.RESULT gives 0x1230, and the transfer of record 3 is as long."]);
}

#[test]
fn device_length_is_not_said_of_common_values_of_causes_and_of_what_the_driver_wrote() {
    let copied = |from: u64, value: u64| {
        sites("device-length", |driver| {
            driver.read("edu_ioctl", from, value);
            driver.write("edu_ioctl+0x8", 8, value);
        })
    };
    for (from, value) in [(0x28, 8), (0x28, 0xffff_ffff), (0x14, 0x30)] {
        assert_eq!(copied(from, value), [""; 0], "{value:#x}");
    }
    let read_back = |driver: &mut Driver| {
        driver.write("edu_ioctl", 0x24, 0x1230);
        driver.read("edu_ioctl+0x8", 0x24, 0x1230);
        driver.write("edu_ioctl+0x10", 8, 0x1230);
    };
    assert_eq!(sites("device-length", read_back), [""; 0]);
    let same_register = |driver: &mut Driver| {
        driver.read("edu_ioctl", 8, 0x1230);
        driver.write("edu_ioctl+0x8", 8, 0x1230);
    };
    assert_eq!(sites("device-length", same_register), [""; 0]);
    let another_call = |driver: &mut Driver| {
        driver.read("edu_ioctl", 0x28, 0x1230);
        driver.write("edu_probe", 8, 0x1230);
    };
    assert_eq!(sites("device-length", another_call), [""; 0]);
}

#[test]
fn a_trace_without_names_of_functions_has_no_sites() {
    let mut told = Capabilities::COMPLETE;
    told.set(Capability::Functions, Knowledge::Unknown);
    let mut driver = Driver::new();
    driver.sample = driver.sample.knowing(told);
    trust(&mut driver);
    let report = lint_of(driver.sample);
    let blind: Vec<_> = report.blind.iter().map(|blind| blind.lint.name).collect();
    let all = ["all-ones-trusted", "device-length", "double-fetch", "early-interrupt", "unbounded-poll"];
    assert_eq!((report.sites.len(), &blind[..]), (0, &all[..]));
}
