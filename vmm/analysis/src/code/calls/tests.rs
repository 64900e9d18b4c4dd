//! Who made an access, for whom, and as what, by its call stack.

use barscope_trace::definition::{Cut, Entered};
use barscope_trace::event::AccessEvent;

use super::*;
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL, Outer, THREADED, call};
use crate::view::View;

/// The view of a read by `function` with these callers, for process `test`, 93.
fn view(function: &str, frames: &[Outer<'_>], cut: Option<Cut>) -> View {
    let mut sample = Sample::new();
    let process = sample.process("test", 93);
    let stack = sample.stack(Some(process), frames, cut);
    let read = sample.read_by(function, 8, stack);
    let seq = sample.access(read);
    let trace = sample.finished();
    trace.views().get(seq).unwrap().clone()
}

fn made(view: &View) -> String {
    view.made().unwrap().describe()
}

#[test]
fn an_access_is_its_innermost_callers_that_is_no_accessor() {
    assert_eq!(made(&view("ioread32", &HARD, None)), "edu_irq < ioread32");
    // `edu_irq` reads by itself: how far into it tells where.
    assert_eq!(made(&view("edu_irq", &HARD[1..], None)), "edu_irq+0x20 [edu]");
    let frames = [call("pci_read_config_dword"), call("edu_probe"), call("kthread")];
    let view = view("ioread32", &frames, None);
    assert_eq!(made(&view), "edu_probe < pci_read_config_dword");
    assert_eq!(view.access().unwrap().function(), Some("edu_probe"));
}

#[test]
fn an_inlined_function_is_a_function_of_its_own() {
    // `lab::probe` reads by a function that is inlined.
    let mut sample = Sample::new();
    let stack = sample.stack(None, &[call("kthread")], None);
    let read = AccessEvent { stack, ..sample.kernel_read(8, 1) };
    let seq = sample.access(read);
    let plain = sample.kernel_read(8, 1);
    let without = sample.access(plain);
    let trace = sample.finished();
    let view = trace.views().get(seq).unwrap();
    let calls: Vec<_> = view.calls().map(|call| (call.function.unwrap(), call.line, call.inlined)).collect();
    let expected = [("lab::probe", Some(13), false), ("kthread", None, false)];
    assert_eq!(calls[calls.len() - 2..], expected);
    assert_eq!(calls[calls.len() - 3], ("read", Some(7), true));
    // The innermost is the library's volatile read, an accessor.
    assert!(
        calls[..calls.len() - 3]
            .iter()
            .all(|(function, _, inlined)| { *inlined && *function == "read_volatile" })
    );
    assert_eq!(made(view), "lab::probe < read lab.rs:13 < 7");
    // Without a call stack the function is the one that has the code.
    assert_eq!(made(trace.views().get(without).unwrap()), "lab::probe lab.rs:13");
}

#[test]
fn what_the_kernel_does_by_itself_has_the_line_that_asked_for_it() {
    let by_module = view("pci_enable_resources", &IOCTL, None);
    let told = by_module.made().unwrap();
    assert_eq!(told.by.function, Some("pci_enable_resources"));
    assert_eq!(told.asked_by.unwrap().function, Some("edu_ioctl"));
    assert_eq!(told.describe(), "pci_enable_resources+0x20 for edu_ioctl [edu]");
    let by_program = view("pci_enable_resources", &IOCTL[1..], None);
    assert_eq!(by_program.made().unwrap().describe(), "pci_enable_resources+0x20 for lab.rs:9");
}

#[test]
fn accessors_that_nobody_is_known_to_have_called_keep_their_name() {
    let asked = view("ioread32", &[], Some(Cut::Asked));
    assert_eq!((made(&asked).as_str(), asked.made().unwrap().certain), ("ioread32+0x20", false));
    let whole = view("ioread32", &[], None);
    assert_eq!((made(&whole).as_str(), whole.made().unwrap().certain), ("ioread32+0x20", true));
}

#[test]
fn what_code_runs_as_and_for_whom_follows_from_its_callers() {
    use Context::{HardHandler, Interrupt, Softirq, Task, ThreadedHandler};
    let softirq = [call("edu_read"), call("handle_softirqs"), call("common_interrupt"), HARD[4]];
    let nested = [&HARD[..4], &[(Entered::Interrupt, "edu_ioctl")], &IOCTL[1..]].concat();
    let timer = [call("common_interrupt"), HARD[4]];
    let fault = [call("edu_read"), call("asm_exc_page_fault"), (Entered::Exception, "user::touch:29")];
    let deep = Some(Cut::Deep);
    for (frames, cut, context, ioctl, by_process) in [
        (&HARD[..], None, Some(HardHandler), Some(false), Some(false)),
        (&HARD[..2], deep, Some(HardHandler), Some(false), Some(false)),
        (&HARD[..1], deep, None, None, None),
        (&THREADED, None, Some(ThreadedHandler), Some(false), Some(true)),
        (&THREADED[..2], deep, Some(ThreadedHandler), None, None),
        (&softirq, None, Some(Softirq), Some(false), Some(false)),
        (&timer, None, Some(Interrupt), Some(false), Some(false)),
        (&IOCTL, None, Some(Task), Some(true), Some(true)),
        // What is missing is the program's.
        (&IOCTL[..4], Some(Cut::NoTable), Some(Task), Some(true), Some(true)),
        (&nested, None, Some(HardHandler), Some(false), Some(false)),
        (&fault, None, Some(Task), Some(false), Some(true)),
        (&[][..], deep, None, None, None),
    ] {
        let view = view("ioread32", frames, cut);
        let callers = view.callers().unwrap();
        let found = (
            callers.context(),
            callers.system_call().map(|call| call == Some(16)),
            callers.interrupts().map(|interrupts| !interrupts),
        );
        assert_eq!(found, (context, ioctl, by_process), "{frames:?}");
        assert_eq!(view.context, context, "{frames:?}");
        assert_eq!(view.process().map(|process| process.pid), by_process.filter(|by| *by).map(|_| 93));
        assert_eq!(view.system_call(), ioctl.filter(|by| *by).map(|_| 16));
        assert_eq!(view.uncertain.handler, context.is_none());
    }
}

#[test]
fn nothing_is_known_of_a_context_whose_functions_have_no_names() {
    let callers = Callers::new(
        vec![Caller { how: Entered::Call, address: 0xffff_ffff_c000_0000, cr3: 0, named: Named::Unknown }],
        None,
        None,
    );
    assert_eq!((callers.context(), callers.interrupts()), (None, Some(false)));
}
