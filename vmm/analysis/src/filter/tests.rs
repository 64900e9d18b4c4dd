//! What filters match, how they print, and what is said of mistakes.

use barscope_device::InterruptLoss;
use barscope_trace::definition::{Cut, Entered, Path};
use barscope_trace::event::{Counted, EventKind};

use super::*;
use crate::Trace;
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL, THREADED, call};
use crate::view::{Context, View};

/// A write by the kernel, two reads by a program, a computation with its interrupt, a mark and a fault.
fn trace() -> Trace {
    let mut sample = Sample::new();
    sample.scenario_begin("first");
    let write = sample.kernel_write(8, 0xc0ff_ee01);
    sample.access(write);
    let read = sample.user_read(8, 0xc0ff_ee01);
    sample.access(read);
    sample.access(read);
    sample.scenario_end(true, "");
    sample.computation();
    sample.mark("here");
    let what = Counted::FaultResolved;
    sample.event(EventKind::Count {
        what,
        value: 1,
        address: 0x1000,
        error_code: 6,
        rip: 0,
        process: 0,
        call: None,
    });
    sample.finished()
}

/// How many events match.
fn count(trace: &Trace, text: &str) -> usize {
    let filter =
        Filter::parse(text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("filter", text)));
    // What it prints is the same filter.
    let printed = filter.to_string();
    assert_eq!(Filter::parse(&printed).as_ref(), Ok(&filter), "{text} prints as {printed}");
    let compiled = filter.compile(trace.definitions()).unwrap();
    trace.views().all().iter().filter(|view| compiled.matches(view)).count()
}

/// The mistake in `text`, and what it points at.
fn diagnostic(text: &str) -> (String, &str) {
    let trace = trace();
    let result = Filter::parse(text).and_then(|filter| filter.compile(trace.definitions()).map(|_| ()));
    let Diagnostic { span, message } = result.expect_err(text);
    (message, text.get(span.start..span.end).unwrap_or_default())
}

#[test]
fn conditions_hold_together_with_and_without_and() {
    let trace = trace();
    for text in [
        "bar0.SCRATCH and read and cpl==3 and path==mmap",
        "read BAR0.SCRATCH by user via mmap",
        "BAR0.scratch && read && (cpl == 3)",
        "read BAR0.SCRATCH == 0xc0ffee01 on lab",
        "read lab.BAR0+8 value & 0xff == 1 width == 4",
        "access not write scenario == first",
        "function == \"user::touch\"",
        "in \"user::*\"",
        "instruction ~ \"mov eax,*\" uncached by user",
        "pat UC- by user",
        "pat uncached by user",
        "memtype UC by user",
        "memtype uncached cpl >= 1",
    ] {
        assert_eq!(count(&trace, text), 2, "{text}");
    }
}

#[test]
fn or_is_weaker_than_and() {
    let trace = trace();
    assert_eq!(count(&trace, "write BAR0.SCRATCH or read BAR0.SCRATCH"), 3);
    assert_eq!(count(&trace, "BAR0.SCRATCH (write or cpl == 3)"), 3);
    assert_eq!(count(&trace, "BAR0.SCRATCH write or cpl == 3 read"), 3);
    assert_eq!(count(&trace, "not (BAR0.SCRATCH or not access) by user"), 0);
}

#[test]
fn kinds_take_arguments() {
    let trace = trace();
    assert_eq!(count(&trace, "msi"), 1);
    assert_eq!(count(&trace, "msi 0 vector == 0x31 delivered"), 1);
    assert_eq!(count(&trace, "interrupt-lost 1"), 0);
    assert_eq!(count(&trace, "mark \"here\""), 1);
    assert_eq!(count(&trace, "mark \"there\""), 0);
    assert_eq!(count(&trace, "page-fault address == 4K"), 1);
    assert_eq!(count(&trace, "fault-fatal"), 0);
    assert_eq!(count(&trace, "scenario-end \"first\" passed"), 1);
}

#[test]
fn lost_interrupts_go_by_their_reason_and_cut_addresses_by_what_was_asked() {
    let mut sample = Sample::new();
    let function = sample.lab;
    for why in [Some(InterruptLoss::BusMasterOff), Some(InterruptLoss::MemoryWrite), None] {
        sample.event(EventKind::InterruptLost { function, index: 1, why, cause: 0 });
    }
    sample.event(EventKind::AddressCut { function, asked: 0x1_1000_2000, bits: 28, cause: 0 });
    let trace = sample.finished();
    assert_eq!(count(&trace, "interrupt-lost 1"), 3);
    assert_eq!(count(&trace, "interrupt-lost why == bus-master-off"), 1);
    assert_eq!(count(&trace, "why == memory-write"), 1);
    assert_eq!(count(&trace, "address-cut"), 1);
    assert_eq!(count(&trace, "address-cut on lab address == 0x110002000"), 1);
    assert_eq!(count(&trace, "address-cut address == 0x2000"), 0);
}

#[test]
fn fields_of_registers_go_by_number_and_name() {
    let trace = trace();
    assert_eq!(count(&trace, "write BAR0.OPCODE {OPCODE=FACTORIAL}"), 1);
    assert_eq!(count(&trace, "write BAR0.OPCODE.OPCODE == FACTORIAL"), 1);
    assert_eq!(count(&trace, "write {OPCODE!=FACTORIAL}"), 0);
    assert_eq!(count(&trace, "read BAR0.INT_STATUS.DONE in handler"), 1);
    assert_eq!(count(&trace, "change BAR0.STATUS {DONE=1, BUSY=0}"), 1);
}

#[test]
fn times_compare_with_units() {
    let trace = trace();
    let all = trace.views().all().len();
    assert_eq!(count(&trace, "time >= 0ns"), all);
    assert_eq!(count(&trace, "time > 1s"), 0);
    assert_eq!(count(&trace, "seq <= 3"), 3);
}

#[test]
fn what_an_event_lacks_fulfils_no_condition() {
    let trace = trace();
    assert_eq!(count(&trace, "access port != 1"), 0);
    assert_eq!(count(&trace, "access not port == 1"), 6);
    assert_eq!(count(&trace, "mark not cpl == 3"), 1);
}

#[test]
fn filters_from_rust_and_from_text_are_the_same() {
    for (made, text) in [
        (read("BAR0.ID").cpl(3).via(Path::Mmap), "read BAR0.ID by user via mmap"),
        (write("BAR0.INT_STATUS").field("DONE", 1).in_handler(), "write BAR0.INT_STATUS {DONE=1} in handler"),
        (msi(2).delivered(true), "msi 2 delivered"),
        (map(Path::Ioremap), "map via ioremap"),
        (page_fault(Counted::FaultFatal).error_code(6), "fault-fatal error-code == 6"),
        (any_access().device("lab").uncached(), "access on lab memtype uncached"),
        (
            read("BAR0").in_stack("edu_probe").in_syscall("ioctl"),
            "read BAR0 in stack edu_probe in syscall ioctl",
        ),
        (any_access().process("test").pid(93), "access by process test pid 93"),
        (any_access().in_context(Context::HardHandler), "access in hard handler"),
        (any_access().in_context(Context::ThreadedHandler), "access in threaded handler"),
        (any_access().in_context(Context::Softirq), "access in softirq"),
    ] {
        assert_eq!(Filter::parse(text), Ok(made));
    }
}

#[test]
fn mistakes_are_pointed_at_and_the_nearest_name_is_told() {
    for (text, at, message) in [
        ("reed BAR0", "reed", "\"reed\" is no kind, field or place; did you mean read?"),
        (
            "read BAR0.STATU",
            "BAR0.STATU",
            "no device in the trace has a register BAR0.STATU; did you mean BAR0.STATUS?",
        ),
        ("read on labb", "labb", "the trace has no device labb; did you mean lab?"),
        (
            "path == mmapp",
            "mmapp",
            "expected ioremap, ioremap_wc, mmap, sysfs, sysfs_wc, uio, /dev/mem, direct or unknown of path, found \"mmapp\"",
        ),
        ("cpl == user", "user", "expected a number, found \"user\""),
        ("cpl", "cpl", "expected a comparison of cpl, like cpl == .., found the end"),
        ("(read", "", "expected \")\", found the end"),
        ("read )", ")", "expected another condition, or the end, found \")\""),
        ("", "", "expected a condition, like read, BAR0.STATUS, cpl == 3, found the end"),
        (
            "write BAR0.OPCODE {OPCODE=FACTORAL}",
            "OPCODE",
            "OPCODE has no value called FACTORAL; did you mean FACTORIAL?",
        ),
        (
            "BAR0.OPCODE == FACTORIAL",
            "FACTORIAL",
            "expected a number; a named value is of a field: {FIELD=FACTORIAL}, found \"FACTORIAL\"",
        ),
        ("{DUNE=1}", "DUNE", "no register has a field DUNE; did you mean DONE?"),
        ("path < mmap", "mmap", "path can't be compared by <"),
        ("read or", "", "expected a condition, like read, BAR0.STATUS, cpl == 3, found the end"),
        ("in syscall ioctk", "ioctk", "Linux has no system call ioctk; did you mean ioctl?"),
        ("syscall == ioctk", "ioctk", "Linux has no system call ioctk; did you mean ioctl?"),
        ("pid", "pid", "expected a comparison of pid, like pid == .., found the end"),
        ("in", "", "expected handler, stack, syscall, softirq, or the name of a function, found the end"),
        ("by nobody", "nobody", "expected kernel, user or process, found \"nobody\""),
    ] {
        let (said, pointed) = diagnostic(text);
        assert_eq!((said.as_str(), pointed.trim()), (message, at), "{text}");
    }
    assert_eq!(diagnostic(&"(".repeat(100_000)).0, "more than 64 brackets or negations in each other");
    assert_eq!(diagnostic(&"not ".repeat(100_000)).0, "more than 64 brackets or negations in each other");
}

/// A read by `ioread32` from a system call of `test`, from handlers that interrupt it or have a thread, one of which only
/// the innermost callers are known, and one of which nothing is.
fn linux() -> Trace {
    let mut sample = Sample::new();
    let (test, thread) = (sample.process("test", 93), sample.process("irq/24-edu", 60));
    let interrupting = [&HARD[..4], &[(Entered::Interrupt, "edu_ioctl")], &IOCTL[1..]].concat();
    let softirq = [call("edu_read"), call("handle_softirqs"), call("common_interrupt"), HARD[4]];
    for stack in [
        sample.stack(Some(test), &IOCTL, None),
        sample.stack(Some(test), &interrupting, None),
        sample.stack(Some(thread), &THREADED, None),
        sample.stack(Some(test), &softirq, None),
        sample.stack(Some(test), &IOCTL[..1], Some(Cut::Asked)),
        0,
    ] {
        let read = sample.read_by("ioread32", 8, stack);
        sample.access(read);
    }
    sample.finished()
}

#[test]
fn call_stacks_tell_function_handler_system_call_and_process() {
    let trace = linux();
    for (text, expected) in [
        ("read in edu_ioctl", 2),
        ("read in \"edu_*\"", 5),
        ("read in ioread32", 6),
        ("read function == edu_irq", 1),
        ("read in stack edu_ioctl", 2),
        ("read in stack __x64_sys_ioctl", 1),
        ("read in stack \"lab::probe\"", 1),
        ("read in stack default_idle", 0),
        ("read stack != edu_ioctl", 4),
        ("read in handler", 2),
        ("read in hard handler", 1),
        ("read in threaded handler", 1),
        ("read in softirq", 1),
        ("read context == task", 2),
        ("read in syscall ioctl", 1),
        ("read syscall ~ \"io*\"", 1),
        ("read by process test", 1),
        ("read by process \"irq/*\"", 1),
        ("read pid 93", 1),
        ("read pid == 60", 1),
        ("read pid != 60", 1),
    ] {
        assert_eq!(count(&trace, text), expected, "{text}");
    }
}

#[test]
fn what_a_call_stack_lacks_is_open() {
    use Truth::{Maybe, No, Yes};
    let trace = linux();
    for (text, expected) in [
        ("in edu_ioctl", [Yes, No, No, No, Yes, Maybe]),
        ("not in edu_ioctl", [No, Yes, Yes, Yes, No, Maybe]),
        ("in ioread32", [Yes, Yes, Yes, Yes, Yes, Yes]),
        ("in stack edu_ioctl", [Yes, No, No, No, Yes, Maybe]),
        ("in stack __x64_sys_ioctl", [Yes, No, No, No, Maybe, Maybe]),
        ("stack != kthread", [Yes, Yes, No, Yes, Maybe, Maybe]),
        ("in handler", [No, Yes, Yes, No, Maybe, No]),
        ("in hard handler", [No, Yes, No, No, Maybe, No]),
        ("in syscall ioctl", [Yes, No, No, No, Maybe, Maybe]),
        ("by process test", [Yes, No, No, No, Maybe, Maybe]),
        ("by process other", [No, No, No, No, No, Maybe]),
        ("not pid 93", [No, Yes, Yes, Yes, Maybe, Maybe]),
    ] {
        let filter = Filter::parse(text).unwrap().compile(trace.definitions()).unwrap();
        let accesses: Vec<&View> =
            trace.views().all().iter().filter(|view| view.access().is_some()).collect();
        let found: Vec<_> = accesses.iter().map(|view| filter.test(view)).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn an_image_that_nobody_told_may_hold_any_function() {
    let mut sample = Sample::new();
    let stack = sample.stack(None, &[&IOCTL[..4], &[call("?")]].concat(), None);
    let read = sample.read_by("ioread32", 8, stack);
    let seq = sample.access(read);
    let trace = sample.finished();
    let test = |text: &str| {
        let filter = Filter::parse(text).unwrap().compile(trace.definitions()).unwrap();
        filter.test(trace.views().get(seq).unwrap())
    };
    assert_eq!((test("in stack edu_probe"), test("in edu_probe")), (Truth::Maybe, Truth::No));
    assert_eq!((test("in stack edu_ioctl"), test("in handler")), (Truth::Yes, Truth::No));
}
