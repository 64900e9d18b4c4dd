//! What is refused and how it is told; random filters against records of every kind.

use barscope_device::InterruptLoss;
use barscope_trace::definition::Path;
use barscope_trace::event::{AccessEvent, Backing, Counted, EventKind, Outcome, RouteChange};

use super::*;
use crate::Trace;
use crate::filter::operand::{Op, Operand};
use crate::filter::{Compiled, FIELDS, Filter, KINDS, read};
use crate::sample::Sample;

/// A small random number generator: the same numbers each time.
pub(in crate::filter::contradiction) struct Random(u64);

impl Random {
    pub(in crate::filter::contradiction) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::filter::contradiction) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len() as u64) as usize]
    }
}

/// Records of every kind, accesses in many variations.
fn trace() -> Trace {
    let mut sample = Sample::new();
    sample.play();
    let (function, cause, bar0) = (sample.lab, 3, sample.bar0);
    for index in 0..2 {
        let (address, data) = (index.into(), 0x30 + u32::from(index));
        sample.event(EventKind::Msi { function, index, address, data, delivered: index == 0, cause });
        let why = Some(if index == 0 { InterruptLoss::NothingEnabled } else { InterruptLoss::BusMasterOff });
        sample.event(EventKind::InterruptLost { function, index, why, cause });
        sample.event(EventKind::InterruptMasked { function, index, cause });
        sample.event(EventKind::Intx { function, asserted: index == 0, gsi: 16, cause });
    }
    for (to_memory, outcome) in [(false, DmaOutcome::Done), (true, DmaOutcome::BusMasterOff)] {
        sample.event(EventKind::AddressCut { function, asked: 1, bits: 0, cause });
        sample.event(EventKind::Dma { function, to_memory, address: 1, length: 2, outcome, cause });
    }
    sample.event(EventKind::Route { route: bar0, change: RouteChange::Removed, cause });
    sample.event(EventKind::Backing { route: bar0, backing: Backing::Trapped, cause });
    sample.event(EventKind::PagesWritten { route: bar0, offset: 0, pages: 1, since: 0 });
    sample.event(EventKind::Doorbell { route: bar0, offset: 8, count: 2 });
    for what in [Counted::FaultResolved, Counted::FaultFatal, Counted::KernelEntries] {
        sample.event(EventKind::Count {
            what,
            value: 1,
            address: 1,
            error_code: 2,
            rip: 0,
            process: 0,
            call: None,
        });
    }
    sample.mark("a");
    for offset in [0, 8, 0x10, 0x14] {
        for value in 0..4 {
            for outcome in [Outcome::Ok, Outcome::Width] {
                let accesses = [
                    sample.kernel_read(offset, value),
                    sample.kernel_write(offset, value),
                    sample.user_read(offset, value),
                    sample.user_write(offset, value),
                ];
                for (size, access) in (1_u8..).zip(accesses) {
                    sample.access(AccessEvent { outcome, size, ..access });
                }
            }
        }
    }
    sample.unclaimed_read();
    sample.finished()
}

/// A condition out of few, so that they often meet.
fn term(random: &mut Random) -> Term {
    let kinds: Vec<_> = KINDS.iter().map(|(_, kinds, _)| *kinds).collect();
    match random.below(8) {
        0 => Term::Kind(*random.of(&kinds)),
        1 => Term::Kind(*random.of(&kinds[..5])),
        2 => {
            let places = ["BAR0", "BAR2", "BAR0+8", "BAR0+0x10", "BAR0.SCRATCH", "BAR0.STATUS", "CONFIG"];
            Term::At(Target::parse(random.of::<&str>(&places)).unwrap().0)
        }
        3 => {
            let name = (*random.of(&["DONE", "BUSY", "ERROR"])).to_owned();
            let op = *random.of(&[Op::Equal, Op::Unequal, Op::Greater]);
            Term::Register { name, op, operand: Operand::Number(random.below(3)) }
        }
        4 => Term::Device("lab".to_owned()),
        _ => {
            let field = random.of(&FIELDS);
            let (op, operand) = match field.of {
                Type::Number | Type::Hex | Type::Time => {
                    let ops =
                        [Op::Equal, Op::Unequal, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];
                    (*random.of(&ops), Operand::Number(random.below(5)))
                }
                Type::Text => {
                    let op = *random.of(&[Op::Equal, Op::Unequal, Op::Like, Op::Unlike]);
                    (
                        op,
                        Operand::Text(
                            (*random.of(&["a", "interrupt", "lab::probe", "lab::*", "*"])).to_owned(),
                        ),
                    )
                }
                Type::Name(names) => {
                    let names = [names[0], names[1], "*", names[names.len() - 1], names[names.len() - 2]];
                    let op = *random.of(&[Op::Equal, Op::Unequal, Op::Like]);
                    (op, Operand::Text((*random.of(&names)).to_owned()))
                }
                Type::Flag => (Op::Equal, Operand::Flag(random.below(2) == 0)),
            };
            let of_number = matches!(field.of, Type::Number | Type::Hex);
            let mask = (of_number && random.below(3) == 0).then(|| random.below(6));
            Term::Field { field, mask, op, operand }
        }
    }
}

fn expr(random: &mut Random, depth: u64) -> Expr {
    let parts = |random: &mut Random| (0..2 + random.below(2)).map(|_| expr(random, depth - 1)).collect();
    match random.below(if depth == 0 { 1 } else { 6 }) {
        0 | 5 => Expr::Is(term(random), Span::default()),
        1 => Expr::Any(parts(random)),
        2 => Expr::Not(Box::new(expr(random, depth - 1))),
        _ => Expr::All(parts(random)),
    }
}

#[test]
fn nothing_that_a_record_fulfils_is_refused() {
    let trace = trace();
    let views = trace.views().all();
    let mut random = Random::new(7);
    let (mut refused, mut matched) = (0, 0);
    for _ in 0..6000 {
        let parts = [expr(&mut random, 2), expr(&mut random, 1)];
        let Ok(compiled) = Compiled::resolved(&parts, trace.definitions(), None) else { continue };
        let fulfilled = views.iter().any(|view| compiled.matches(view));
        let refs: Vec<_> = parts.iter().collect();
        let known = |target: &Target| Compiled::areas(target, trace.definitions());
        for possible in [satisfiable(&refs, &|_| None), satisfiable(&refs, &known)] {
            let shown = Expr::All(parts.to_vec());
            assert!(possible || !fulfilled, "{shown} is refused, but fulfilled");
            refused += u64::from(!possible);
        }
        matched += u64::from(fulfilled);
    }
    assert!(refused > 500 && matched > 500, "{refused} refused, {matched} matched");
}

/// The mistake in `text`, and what it points at.
fn diagnostic(text: &str) -> (String, &str) {
    let trace = trace();
    let result = Filter::parse(text).and_then(|filter| filter.compile(trace.definitions()).map(|_| ()));
    let Diagnostic { span, message } = result.expect_err(text);
    (message, text.get(span.start..span.end).unwrap_or_default())
}

#[test]
fn what_no_record_can_be_is_refused() {
    for (text, at, message) in [
        ("read write", "write", "no record is both read and write: say \"or\" for one of them"),
        ("write not access", "access", "write and not access exclude each other"),
        ("cpl == 0 cpl == 3", "cpl", "cpl == 0 and cpl == 3 exclude each other"),
        ("access by kernel by user", "by", "cpl == 0 and cpl == 3 exclude each other"),
        ("value < 5 value > 9", "value", "value < 0x5 and value > 0x9 exclude each other"),
        (
            "read value & 0xf == 0x10",
            "value",
            "value & 0xf == 0x10 never holds: no bit outside of 0xf is left",
        ),
        ("via mmap via ioremap", "via", "path == mmap and path == ioremap exclude each other"),
        ("read BAR0 BAR2", "BAR2", "no record is both at BAR0 and at BAR2: say \"or\" for one of them"),
        (
            "read BAR0.ID BAR0.STATUS",
            "BAR0.STATUS",
            "no record is both at BAR0.ID and at BAR0.STATUS: say \"or\" for one of them",
        ),
        ("read BAR0.ID not BAR0", "BAR0", "BAR0.ID and not BAR0 exclude each other"),
        ("rmw not rmw", "rmw", "rmw and not rmw exclude each other"),
        ("rmw rmw == false", "rmw", "rmw and rmw == false exclude each other"),
        ("memtype WB uncached", "uncached", "memtype == WB and uncached exclude each other"),
        ("read delivered", "delivered", "no read record has the property delivered: msi records have it"),
        ("msi width == 4", "width", "no msi record has the property width: read, write records have it"),
        ("dma outcome ok", "outcome", "dma and outcome == ok exclude each other"),
        ("msi BAR0", "BAR0", "no msi record is at a place in a device, so none is at BAR0"),
        ("mark \"a\" on lab", "lab", "no mark record is about a device"),
        ("mark \"a\" text == b", "text", "text == \"a\" and text == \"b\" exclude each other"),
        ("{DONE=1, DONE=0}", "DONE", "{DONE=0x1} and {DONE=0x0} exclude each other"),
        ("by user cpl == 7", "cpl", "cpl == 7 never holds: cpl is 0 to 3"),
        ("not width == 9", "width", "width == 9 never holds: width is 1 to 8"),
        ("isr 0x131", "isr 0x131", "vector == 0x131 never holds: vector is 0x0 to 0xff"),
        // One alternative of several; a denial of what never was.
        ("read or (read write)", "write", "no record is both read and write: say \"or\" for one of them"),
        ("not (read write)", "write", "no record is both read and write: say \"or\" for one of them"),
        (
            "(read or msi) (write or dma)",
            "write",
            "no record can be all of this: (read or msi) (write or dma)",
        ),
    ] {
        let (said, pointed) = diagnostic(text);
        assert_eq!((said.as_str(), pointed.trim()), (message, at), "{text}");
    }
}

#[test]
fn what_a_record_can_be_is_not_refused() {
    let trace = trace();
    for text in [
        "access not read",
        "read BAR0 BAR0.ID",
        "BAR0.ID BAR0+0",
        "not cpl == 3 not cpl == 0",
        "value >= 5 value <= 5",
        "value & 0xf == 5 value & 0xf0 == 0x70 value > 0x100",
        "(read or write) (write or read value == 1)",
        "memtype UC uncached",
        "pat UC- uncached",
        "pat WB memtype UC",
        "path != mmap path != ioremap",
        "function == a function == b",
        "access or msi or mark",
        "(access or mark) value == 7",
        "by user (write or msi)",
    ] {
        let filter = Filter::parse(text).unwrap_or_else(|diagnostic| panic!("{text}: {diagnostic}"));
        filter.compile(trace.definitions()).unwrap_or_else(|diagnostic| panic!("{text}: {diagnostic}"));
    }
}

#[test]
fn a_filter_from_rust_is_refused_when_it_is_held_against_a_trace() {
    let trace = trace();
    let diagnostic = |filter: Filter| filter.compile(trace.definitions()).map(|_| ()).unwrap_err().message;
    assert_eq!(diagnostic(read("BAR0.ID").cpl(0).cpl(3)), "cpl == 0 and cpl == 3 exclude each other");
    let both = read("BAR0.ID").via(Path::Mmap).via(Path::Ioremap);
    assert_eq!(diagnostic(both), "path == mmap and path == ioremap exclude each other");
}

#[test]
fn a_filter_of_many_alternatives_takes_little_time() {
    let start = std::time::Instant::now();
    let half: Vec<_> = (0..60).map(|at| format!("(seq == {at} or time == {at})")).collect();
    Filter::parse(&half.join(" ")).unwrap();
    let many: Vec<_> = (0..5000).map(|at| format!("value == {at}")).collect();
    Filter::parse(&many.join(" or ")).unwrap();
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
