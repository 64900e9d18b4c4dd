//! The port itself: what a guest's own code calls. A program begins with [`Bench::open`], a kernel with [`Bench::find`].

use core::arch::asm;
use core::ptr::read_volatile;

use crate::{Bytes, Count, MAX_TEXT, Map, Mark, PORT, SIGNATURE, ScenarioEnd, Unmap, Walk, request};

/// Whether this machine is barscope's. Only for code that may use the port.
pub fn is_present() -> bool {
    let signature: u32;
    // SAFETY: no machine has a device at this port whose reads have a side effect.
    unsafe {
        asm!("in eax, dx", in("dx") PORT, out("eax") signature, options(nomem, nostack, preserves_flags));
    }
    signature == SIGNATURE
}

/// Makes request `number` with `structure`. Only where barscope [is](is_present).
#[inline(always)]
pub fn request<T>(number: u32, structure: &T) {
    call(number, core::ptr::from_ref(structure) as u64, size_of::<T>() as u64);
}

/// Makes request `number`, which has no structure. Only where barscope [is](is_present).
#[inline(always)]
pub fn request_bare(number: u32) {
    call(number, 0, 0);
}

/// `rbx` can't be an operand, so that it is swapped in and out.
#[inline(always)]
fn call(number: u32, structure: u64, size: u64) {
    // SAFETY: the host reads the structure, and changes no memory but what a structure says that it may.
    unsafe {
        asm!("xchg rbx, {structure}", "out dx, eax", "xchg rbx, {structure}",
            structure = inout(reg) structure => _, in("rcx") size, in("eax") number, in("dx") PORT,
            options(nostack, preserves_flags));
    }
}

/// A text, of which each byte that counts was just read, so that it is in memory: the host takes no page faults.
pub fn in_memory(text: &str) -> Bytes {
    for byte in text.as_bytes().iter().take(MAX_TEXT as usize) {
        // SAFETY: a reference leads to it.
        unsafe { read_volatile(byte) };
    }
    Bytes::of(text.as_bytes())
}

/// barscope, which listens.
///
/// ```no_run
/// use barscope_guest_abi::counted::KERNEL_ENTRIES;
/// use barscope_guest_abi::port::Bench;
///
/// // `None` on every other machine.
/// if let Some(bench) = Bench::open() {
///     bench.begin("reset");
///     bench.mark("queue is full");
///     bench.count(KERNEL_ENTRIES, 0);
///     bench.end(true, "came back in time");
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bench(());

impl Bench {
    /// For a program of Linux: asks it for the port (`ioperm`), which takes CAP_SYS_RAWIO, for this thread and those that it
    /// starts later. `None` if it refuses, or this machine isn't barscope's.
    pub fn open() -> Option<Self> {
        const IOPERM: usize = 173;
        let result: isize;
        // SAFETY: a system call of numbers, which changes no memory; the registers that the kernel changes are named.
        unsafe {
            asm!("syscall", inlateout("rax") IOPERM => result, in("rdi") usize::from(PORT), in("rsi") 4,
                in("rdx") 1, lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        if result == 0 { Self::find() } else { None }
    }

    /// For a kernel, and whoever else may use the port: looks whether this machine is barscope's.
    pub fn find() -> Option<Self> {
        is_present().then_some(Self(()))
    }

    /// A named point in the trace.
    pub fn mark(self, text: &str) {
        request(request::MARK, &Mark { text: in_memory(text) });
    }

    /// A window begins, which is judged and told by its name.
    pub fn begin(self, name: &str) {
        request(request::SCENARIO_BEGIN, &Mark { text: in_memory(name) });
    }

    /// It ends: whether what it is for went well, and a line on that.
    pub fn end(self, passed: bool, summary: &str) {
        let end = ScenarioEnd { passed: passed.into(), summary: in_memory(summary) };
        request(request::SCENARIO_END, &end);
    }

    /// Something was counted: one of [`counted`](crate::counted).
    pub fn count(self, what: u64, value: u64) {
        request(request::COUNT, &Count { what, value, address: 0, error_code: 0, rip: 0 });
    }

    /// A mapping was made; its texts are told by [`in_memory`].
    pub fn map(self, map: &Map) {
        request(request::MAP, map);
    }

    /// How this address is mapped, beside what is there: recorded without an access.
    pub fn walk(self, address: u64, what: &str) {
        request(request::WALK, &Walk { address, what: in_memory(what) });
    }

    /// The mapping with this number is gone.
    pub fn unmap(self, id: u64) {
        request(request::UNMAP, &Unmap { id });
    }
}
