//! What views make of hand-made traces.

use barscope_device::Region;
use barscope_trace::End;
use barscope_trace::definition::{Definition, Instruction};
use barscope_trace::event::{MemoryOperand, RouteChange};

use super::*;
use crate::Trace;
use crate::sample::{BAR0, BAR2, ECAM, IOREMAP, KERNEL, MMAP, Sample, USER};

fn access(trace: &Trace, seq: u64) -> AccessView<'_> {
    trace.views().get(seq).unwrap().access().unwrap()
}

#[test]
fn an_access_is_resolved_from_instruction_to_register() {
    let mut sample = Sample::new();
    sample.scenario_begin("same-register");
    let write = sample.kernel_write(8, 0xc0ff_ee01);
    let write = sample.access(write);
    let read = sample.user_read(8, 0xc0ff_ee01);
    let read = sample.access(read);
    sample.scenario_end(true, "");
    let trace = sample.finished();

    let view = trace.views().get(write).unwrap();
    assert_eq!((view.seq, view.vcpu, view.device_ns), (2, Some(0), 1000));
    assert_eq!(view.scenario.as_deref(), Some("same-register"));
    let kernel = access(&trace, write);
    let code = kernel.code().unwrap();
    assert_eq!((code.text.as_str(), kernel.function()), ("mov [rdi],eax", Some("lab::start")));
    assert_eq!(code.symbol.as_ref().unwrap().to_string(), "lab::start lab.rs:17");
    assert_eq!((kernel.gva(), kernel.gpa()), (Some(IOREMAP + 8), Some(BAR0 + 8)));
    assert_eq!((kernel.path(), kernel.announced(), kernel.cpl), (Path::Ioremap, true, 0));
    assert_eq!(kernel.pat(), Some(MemoryType::UncacheableMinus));
    assert_eq!(kernel.memory_type(), Some(MemoryType::Uncacheable));
    assert_eq!(kernel.mapping().unwrap().who, "lab::probe");
    assert_eq!(kernel.walk().unwrap().cr3, KERNEL);
    let place = kernel.place().unwrap();
    assert_eq!((place.device(), place.to_string().as_str()), ("lab", "BAR0+0x008"));
    assert_eq!(place.register_name().as_deref(), Some("SCRATCH"));
    assert_eq!(kernel.bdf().unwrap().to_string(), "00:04.0");

    let user = access(&trace, read);
    assert_eq!((user.gva(), user.gpa(), user.cpl), (Some(MMAP + 8), Some(BAR0 + 8), 3));
    assert_eq!((user.path(), user.function()), (Path::Mmap, Some("user::touch")));
    assert_eq!(user.walk().unwrap().cr3, USER);
    assert_eq!(user.place(), kernel.place());
}

#[test]
fn fields_are_told_by_name() {
    let mut sample = Sample::new();
    let status = sample.kernel_read(0x10, 6);
    let status = sample.access(status);
    let opcode = sample.kernel_write(0x24, 1);
    let opcode = sample.access(opcode);
    let trace = sample.finished();
    let place = access(&trace, status).place().unwrap();
    assert_eq!(place.describe(6, 4), "DONE ERROR");
    let fields = place.fields(6, 4);
    let fields = fields.iter().map(|(field, value)| (&*field.name, *value)).collect::<Vec<_>>();
    assert_eq!(fields, [("BUSY", 0), ("DONE", 1), ("ERROR", 1)]);
    assert_eq!(access(&trace, opcode).place().unwrap().describe(1, 4), "FACTORIAL");
}

#[test]
fn memory_and_unknown_offsets_are_named_by_offset() {
    let mut sample = Sample::new();
    let write = sample.kernel_write(0, 1);
    let target = Target::Memory(BAR2 + 0x10);
    let memory = sample.access(AccessEvent { route: sample.bar2, target, size: 8, ..write });
    let hole = sample.access(AccessEvent { target: Target::Memory(BAR0 + 0x40), ..write });
    let odd = sample.access(AccessEvent { target: Target::Memory(BAR0 + 0x9), size: 1, ..write });
    let trace = sample.finished();
    let name = |seq| access(&trace, seq).place().unwrap().register_name();
    assert_eq!(name(memory).as_deref(), Some("MEMORY+0x10"));
    assert_eq!(name(hole), None);
    assert_eq!(name(odd).as_deref(), Some("SCRATCH+0x1"));
    assert_eq!(access(&trace, odd).place().unwrap().describe(1, 1), "");
}

#[test]
fn configuration_accesses_name_the_function_on_every_way() {
    let mut sample = Sample::new();
    let data = sample.configuration(0x04, 6);
    let base = AccessEvent { size: 4, ..AccessEvent::default() };
    let target = Target::Memory(ECAM + 0x2_0010);
    let ecam = sample.access(AccessEvent { route: sample.ecam, target, ..base });
    let absent = sample.access(AccessEvent { target: Target::Memory(ECAM + 0x3_8000), ..base });
    let target = Target::Port { port: 0xcfe, routing_id: 0x38, offset: 2 };
    let absent_data = sample.access(AccessEvent { target, ..base });
    let target = Target::Port { port: 0x3f8, routing_id: 0, offset: 0 };
    let other_port = sample.access(AccessEvent { target, ..base });
    let trace = sample.finished();
    let place = |seq| {
        let place = access(&trace, seq).place()?;
        let bdf = place.bdf.map(|bdf| bdf.to_string());
        Some((place.is_configuration(), bdf, place.device().to_owned(), place.offset))
    };
    let of = |bdf: &str, device: &str, offset| Some((true, Some(bdf.to_owned()), device.to_owned(), offset));
    assert_eq!(place(data - 1), Some((true, None, String::new(), 0)));
    assert_eq!(place(data), of("00:04.0", "lab", 4));
    assert_eq!(place(ecam), of("00:04.0", "lab", 0x10));
    assert_eq!(place(absent), of("00:07.0", "", 0));
    assert_eq!(place(absent_data), of("00:07.0", "", 2));
    assert_eq!(place(other_port), None);
}

#[test]
fn what_a_handler_does_is_traced_to_what_caused_the_interrupt() {
    let mut sample = Sample::new();
    let start = sample.computation();
    let after = sample.kernel_read(0x28, 0x78);
    let after = sample.access(after);
    let trace = sample.finished();
    let views = trace.views();
    let effects = views.effects(start).map(|view| view.seq - start).collect::<Vec<_>>();
    assert_eq!(effects, [1, 2, 3, 5, 6, 7, 8]);
    let caused =
        views.all().iter().filter(|view| view.access().is_some_and(|a| a.view.cause() == Some(start)));
    assert_eq!(caused.count(), 2);
    assert_eq!(access(&trace, start).view.cause(), None);
    assert_eq!(access(&trace, after).view.cause(), None);
    let busy = views.get(start + 3).unwrap();
    assert!(busy.busy_ns() == Some(20_000));
    assert_eq!(busy.cause(), Some(start));
}

#[test]
fn an_event_without_its_definitions_is_still_shown() {
    let mut sample = Sample::new();
    let wild = AccessEvent { route: 900, walk: 901, instruction: 902, size: 4, ..AccessEvent::default() };
    let wild = sample.access(wild);
    sample.event(EventKind::Change {
        function: 900,
        region: Region::Rom,
        offset: 0,
        old: 0,
        new: 1,
        cause: 0,
    });
    sample.event(EventKind::Route { route: 900, change: RouteChange::Added, cause: 0 });
    sample.event(EventKind::Map { mapping: 900 });
    sample.event(EventKind::ScenarioEnd { passed: true, summary: 900 });
    sample.event(EventKind::IsrExit { vector: 1 });
    let trace = sample.finished();
    assert_eq!(trace.views().all().len(), 6);
    let view = access(&trace, wild);
    assert_eq!((view.path(), view.gva(), view.function(), view.bdf()), (Path::Unknown, None, None, None));
}

#[test]
fn bytes_that_are_no_instruction_are_bad() {
    assert_eq!(disassemble(&[0x89, 0x77, 0x08], 0x1000, 64), "mov [rdi+8],esi");
    assert_eq!(disassemble(&[0xeb, 0xfe], 0x1000, 64), "jmp short 0x1000");
    assert_eq!(disassemble(&[], 0, 64), "(bad)");
    assert_eq!(disassemble(&[0x90], 0, 7), "(bad)");
    let sample = Sample::new();
    let bytes = vec![0xff, 0xff];
    let code = Instruction { rip: 0, bytes, cr3: 0, ambiguous: true, code_size: 64, image: None };
    assert_eq!(sample.writer.define(&Definition::Instruction(code)).unwrap(), 13);
}

#[test]
fn code_is_disassembled_in_its_own_width() {
    let text = |code_size| {
        // inc eax and mov [ebx],eax in 32-bit code; in 64-bit code 0x40 is a prefix.
        let bytes = vec![0x40, 0x89, 0x03];
        let code = Instruction { rip: 0, bytes, cr3: 0, ambiguous: false, code_size, image: None };
        Code::new(&code, None).text
    };
    assert_eq!([text(16), text(32), text(64)], ["inc ax", "inc eax", "mov [rbx],eax"]);
    assert_eq!(text(7), "(bad)");
    let old = r#"{"rip":0,"bytes":[144],"cr3":0,"ambiguous":false}"#;
    assert_eq!(serde_json::from_str::<Instruction>(old).unwrap().code_size, 64);
}

#[test]
fn an_instruction_that_was_not_emulated_tells_all_that_an_access_does() {
    let mut sample = Sample::new();
    let read = sample.user_read(8, 0);
    let operand = MemoryOperand { reads: true, writes: false, size: 16 };
    let known = EventKind::NotEmulated {
        cpl: 3,
        instruction: read.instruction,
        walk: read.walk,
        route: read.route,
        gpa: Some(BAR0 + 8),
        operand,
        stack: 0,
    };
    let known = sample.event(known);
    let unknown = EventKind::NotEmulated {
        cpl: 0,
        instruction: 0,
        walk: 0,
        route: 0,
        gpa: None,
        operand: MemoryOperand::default(),
        stack: 0,
    };
    let unknown = sample.event(unknown);
    let access = sample.access(read);
    let trace = sample.finished();
    let views = trace.views();
    let [known, unknown, access] = [known, unknown, access].map(|seq| views.get(seq).unwrap());
    assert_eq!(known.cpl(), Some(3));
    assert_eq!(known.code().unwrap().symbol.as_ref().unwrap().function, "user::touch");
    assert_eq!(known.place().unwrap().register_name().as_deref(), Some("SCRATCH"));
    assert_eq!(known.function().unwrap().name, "lab");
    assert_eq!((known.gpa(), known.gva()), (Some(BAR0 + 8), Some(MMAP + 8)));
    assert_eq!(known.mapping().unwrap().who, "user 1");
    for view in [known, access] {
        assert_eq!((view.place(), view.walk()), (access.place(), access.walk()));
        assert_eq!((view.code(), view.path()), (access.code(), access.path()));
    }
    assert_eq!(unknown.cpl(), Some(0));
    assert_eq!((unknown.place(), unknown.walk(), unknown.code()), (None, None, None));
    assert_eq!((unknown.gpa(), unknown.gva(), unknown.function()), (None, None, None));
}

#[test]
fn texts_of_guests_are_harmless_for_terminals_and_so_is_the_reason_of_an_end() {
    let mut sample = Sample::new();
    let mark = sample.mark("a\u{1b}[2Jb\nc\u{202e}d\u{2028}e");
    let trace = sample.ended(End::Failed("x\u{1b}\u{2066}".into()));
    assert!(trace.views().get(mark).unwrap().text() == Some("a.[2Jb.c.d.e"));
    assert_eq!(trace.info().end, Some(&End::Failed("x..".into())));
}
