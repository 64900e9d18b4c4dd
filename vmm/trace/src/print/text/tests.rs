//! Whole outputs, as literals.

use super::*;

#[test]
fn show() {
    let mut sample = crate::sample::Sample::new();
    let config = sample.configuration(4, 6);
    sample.add_routes(config);
    sample.event(crate::event::EventKind::Map { mapping: sample.kernel_mapping });
    sample.scenario_begin("same-register");
    let w = sample.kernel_write(8, 0xc0ffee01);
    let c = sample.access(w);
    sample.event(crate::event::EventKind::Change {
        function: sample.lab,
        region: device_model::Region::Bar(0),
        offset: 8,
        old: 0,
        new: 0xc0ffee01,
        cause: c,
    });
    sample.event(crate::event::EventKind::Map { mapping: sample.user_mapping });
    sample.event(crate::event::EventKind::Count {
        what: crate::event::Counted::FaultResolved,
        value: 1,
        address: crate::sample::MMAP + 8,
        error_code: 4,
        rip: 0,
    });
    let w = sample.user_read(8, 0xc0ffee01);
    sample.access(w);
    sample.scenario_end(true, "both reached 0xfe000008");
    sample.scenario_begin("no-kernel-entry");
    for i in 0..1000 {
        let w = sample.user_write(8, i);
        sample.access(w);
        let w = sample.user_read(8, i);
        sample.access(w);
    }
    for i in 0..1000 {
        let w = sample.user_read(8, i);
        sample.access(w);
    }
    sample.event(crate::event::EventKind::Count {
        what: crate::event::Counted::KernelEntries,
        value: 0,
        address: 0,
        error_code: 0,
        rip: 0,
    });
    sample.scenario_end(true, "2000 accesses, no kernel entry");
    sample.scenario_begin("interrupt");
    sample.computation();
    sample.scenario_end(true, "");
    sample.scenario_begin("decode-off");
    let config = sample.configuration(4, 6);
    for route in [sample.bar0, sample.bar2] {
        sample.event(crate::event::EventKind::Route { route, change: RouteChange::Removed, cause: config });
    }
    sample.unclaimed_read();
    sample.scenario_end(
        false,
        "read 0xfe instead of all-ones; this is a very long text which doesn't fit on one line",
    );
    let trace = sample.finished();
    for width in [80, 140] {
        let mut out = Vec::new();
        crate::print::print(&trace, &mut TextPrinter::new(&mut out, Clock::Virtual, width, false)).unwrap();
        println!("{}", String::from_utf8(out).unwrap());
    }
    let mut out = Vec::new();
    crate::print::print(&trace, &mut crate::print::JsonPrinter::new(&mut out, Clock::Virtual)).unwrap();
    println!(
        "{}",
        String::from_utf8(out)
            .unwrap()
            .lines()
            .filter(|l| !l.contains("no-kernel"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}
