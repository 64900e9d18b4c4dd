//! Call stacks of a Linux guest: its kernel as it lists its symbols, a driver and a program.

use barscope_trace::definition::{Cut, Definition, Entered, Frame, Image, Instruction, Process, Stack};
use barscope_trace::event::{AccessEvent, Id};

use super::program::{address, program};
use super::{Sample, USER};

/// Functions of the kernel and of its module, 256 bytes each.
const FUNCTIONS: &[&str] = &[
    "ioread32",
    "iowrite32",
    "pci_read_config_dword",
    "pci_enable_resources",
    "do_syscall_64",
    "__x64_sys_ioctl",
    "handle_irq_event",
    "__handle_irq_event_percpu",
    "common_interrupt",
    "irq_thread_fn",
    "irq_thread",
    "kthread",
    "handle_softirqs",
    "default_idle",
    "asm_exc_page_fault",
    "edu_read [edu]",
    "edu_probe [edu]",
    "edu_ioctl [edu]",
    "edu_irq [edu]",
    "edu_thread [edu]",
];
const BASE: u64 = 0xffff_ffff_8100_0000;

/// An address within a function of the kernel; `edu_probe+0x8` is 8 bytes further on.
fn within(place: &str) -> u64 {
    let (function, more) = place.split_once("+0x").unwrap_or((place, "0"));
    let more = u64::from_str_radix(more, 16).unwrap();
    let named = |known: &&str| known.split(' ').next() == Some(function);
    let at = FUNCTIONS.iter().position(named);
    BASE + 0x100 * at.unwrap_or_else(|| panic!("no function {function}")) as u64 + 0x20 + more
}

fn lines() -> String {
    let line = |(at, name): (usize, &&str)| format!("{:x} 100 {name}\n", BASE + 0x100 * at as u64);
    FUNCTIONS.iter().enumerate().map(line).collect()
}

/// What a frame of a sample is.
pub(crate) type Outer<'a> = (Entered, &'a str);

/// Called by this.
pub(crate) fn call(function: &str) -> Outer<'_> {
    (Entered::Call, function)
}

/// Frames of a hard handler up to what it interrupts.
pub(crate) const HARD: [Outer<'static>; 5] = [
    (Entered::Call, "edu_irq"),
    (Entered::Call, "__handle_irq_event_percpu"),
    (Entered::Call, "handle_irq_event"),
    (Entered::Call, "common_interrupt"),
    (Entered::Interrupt, "default_idle"),
];
/// Frames of a threaded one.
pub(crate) const THREADED: [Outer<'static>; 4] = [
    (Entered::Call, "edu_thread"),
    (Entered::Call, "irq_thread_fn"),
    (Entered::Call, "irq_thread"),
    (Entered::Call, "kthread"),
];
/// Frames of a system call of the program.
pub(crate) const IOCTL: [Outer<'static>; 5] = [
    (Entered::Call, "edu_ioctl"),
    (Entered::Call, "__x64_sys_ioctl"),
    (Entered::Call, "do_syscall_64"),
    (Entered::SystemCall { number: 16 }, "user::touch:28"),
    (Entered::Call, "lab::probe:13"),
];

impl Sample {
    /// The images of the kernel and of the program in its own address space.
    fn linux(&self) -> (Id, Id) {
        *self.linux.get_or_init(|| {
            let image = |name: &str, address_space, blob: &[u8]| {
                let image = Definition::Image(Image::new(name, address_space));
                self.writer.define_with_blob(&image, blob).unwrap()
            };
            (image("kernel", None, lines().as_bytes()), image("test", Some(USER), program()))
        })
    }

    pub(crate) fn process(&self, name: &str, pid: u64) -> Id {
        let process = Process { address_space: USER, pid, thread: None, name: name.into() };
        self.writer.define(&Definition::Process(process)).unwrap()
    }

    /// A call stack: functions of the kernel by name, of the program as `user::touch:28`; `?` is in no image.
    pub(crate) fn stack(&self, process: Option<Id>, frames: &[Outer<'_>], cut: Option<Cut>) -> Id {
        let (kernel, test) = self.linux();
        let frame = |(how, name): &Outer<'_>| {
            let behind = u64::from(matches!(how, Entered::Call | Entered::SystemCall { .. }));
            match name.rsplit_once(':') {
                _ if *name == "?" => Frame { how: *how, address: 0x7000_0000, cr3: USER, image: None },
                Some((function, line)) => {
                    let at = address(function, line.parse().unwrap()) + behind;
                    Frame { how: *how, address: at, cr3: USER, image: Some(test) }
                }
                None => Frame { how: *how, address: within(name) + behind, cr3: 0, image: Some(kernel) },
            }
        };
        let frames = frames.iter().map(frame).collect();
        self.writer.define(&Definition::Stack(Stack { process, frames, cut })).unwrap()
    }

    /// A read of BAR0 by this function of the kernel.
    pub(crate) fn read_by(&self, function: &str, offset: u64, stack: Id) -> AccessEvent {
        let rip = within(function);
        let image = Some(self.linux().0);
        let define = || {
            let bytes = vec![0x8b, 0x07];
            let code = Instruction { rip, bytes, cr3: 0, ambiguous: false, code_size: 64, image };
            self.writer.define(&Definition::Instruction(code)).unwrap()
        };
        let instruction = *self.codes.borrow_mut().entry(rip).or_insert_with(define);
        AccessEvent { instruction, stack, ..self.kernel_read(offset, 1) }
    }
}
