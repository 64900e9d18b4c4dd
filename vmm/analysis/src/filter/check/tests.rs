//! What the sample's one device lacks: BAR0 of 4 KiB, BAR2 of 1 MiB and 64 bits, one MSI vector, one vCPU.

use crate::Trace;
use crate::filter::{Diagnostic, Filter, msi, read};
use crate::sample::Sample;

fn diagnostic(trace: &Trace, text: &str) -> Option<String> {
    let filter =
        Filter::parse(text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("filter", text)));
    filter.compile(trace.definitions()).err().map(|diagnostic| diagnostic.message)
}

#[test]
fn what_no_device_has_is_a_mistake() {
    let trace = Sample::new().finished();
    for (text, message) in [
        ("access BAR1", "lab has no BAR1: it has BAR0, BAR2"),
        ("access lab.BAR5+4", "lab has no BAR5: it has BAR0, BAR2"),
        ("access BAR3", "BAR3 is the upper half of BAR2, which is 64 bits wide: say BAR2"),
        ("read ROM", "lab has no ROM: it has BAR0, BAR2"),
        ("access BAR0+0x5000", "BAR0+0x5000 is past the end of BAR0, which has 0x1000 bytes"),
        ("read CONFIG+0x1000", "CONFIG+0x1000 is past the end of CONFIG, which has 0x1000 bytes"),
        ("BAR0.STATUS+0x10", "BAR0.STATUS+0x10 is past the end of STATUS, which has 0x4 bytes"),
        ("BAR0 offset == 0x1000", "offset 0x1000 is past the end: there are 0x1000 bytes"),
        ("offset >= 0x100000", "offset 0x100000 is past the end: there are 0x100000 bytes"),
        ("msi 77", "no vector 77: lab can send the message of vector 0 only"),
        ("msi not index == 1", "no vector 1: lab can send the message of vector 0 only"),
        ("read or msi index > 0", "no vector 0: lab can send the message of vector 0 only"),
        ("interrupt-lost 32", "no vector 32: lab can have vectors 0 to 31"),
        ("vcpu == 5", "the machine has no vCPU 5: it has 1 vCPU"),
        ("read or vcpu == 1", "the machine has no vCPU 1: it has 1 vCPU"),
        ("not vcpu > 0", "the machine has no vCPU 0: it has 1 vCPU"),
        ("BAR0.STATUS {DONE=2}", "DONE has 1 bit: == 0x2 never holds"),
        ("not (read {DONE>1})", "DONE has 1 bit: > 0x1 never holds"),
        (
            "BAR0.STATUS == 0x100000000",
            "STATUS has 4 bytes: a value of 0x100000000 takes a wider access, like width == 8",
        ),
    ] {
        assert_eq!(diagnostic(&trace, text).as_deref(), Some(message), "{text}");
    }
}

#[test]
fn what_a_device_has_is_none() {
    let trace = Sample::new().finished();
    for text in [
        "access BAR2+0xfffff",
        "CONFIG+0xffc",
        "BAR0.STATUS+3",
        "BAR2.MEMORY+0xffff8 == 0x100000000",
        "BAR0.STATUS == 0x100000000 width == 8",
        "BAR0.STATUS != 0x100000000",
        "msi 0",
        "interrupt-lost 31",
        "vcpu == 0",
        "vcpu < 5",
        "{DONE=1}",
        "BAR0.STATUS == 0xffffffff",
        "offset == 0xfffff",
    ] {
        assert_eq!(diagnostic(&trace, text), None, "{text}");
    }
}

#[test]
fn filters_from_rust_are_held_to_the_same() {
    let trace = Sample::new().finished();
    let diagnostic = |filter: Filter| {
        filter.compile(trace.definitions()).map(|_| ()).map_err(|Diagnostic { message, .. }| message)
    };
    assert_eq!(diagnostic(msi(1)), Err("no vector 1: lab can send the message of vector 0 only".into()));
    assert_eq!(diagnostic(read("BAR4")), Err("lab has no BAR4: it has BAR0, BAR2".into()));
}
