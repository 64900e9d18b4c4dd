//! The guest ABI from a program: requests to barscope through its port.

use std::arch::asm;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use barscope_guest_abi::{
    Bytes, Count, Exit, Image, Map, Mark, Module, Process, ScenarioEnd, Symbols, Unmap, request,
};

use crate::system;

/// Numbers of mappings in this process; others have others, by their process's number.
static MAPPINGS: AtomicU64 = AtomicU64::new(1);

/// Opens the port for this process, and says whose address space this is.
///
/// # Errors
/// What the system said; or there is no barscope.
pub fn open(name: &str) -> io::Result<()> {
    system::allow_ports(barscope_guest_abi::PORT, 4)?;
    let signature: u32;
    // SAFETY: the port was just allowed, and reading it changes nothing.
    unsafe {
        asm!("in eax, dx", in("dx") barscope_guest_abi::PORT, out("eax") signature, options(nomem, nostack));
    }
    if signature != barscope_guest_abi::SIGNATURE {
        return Err(io::Error::other("this machine is not barscope's"));
    }
    let name = name.as_bytes().to_vec();
    send(request::PROCESS, &Process { pid: std::process::id().into(), name: Bytes::of(&name) });
    Ok(())
}

/// Makes a request. The host reads it through this process's page tables, so that it has to lie in pages
/// that are there: on the heap, freshly written.
fn send<T: Copy>(number: u32, structure: &T) {
    let copy = Box::new(*structure);
    let address: *const T = &raw const *copy;
    // SAFETY: the host reads the structure and what it points at, and changes nothing. `rbx` is the
    // compiler's own, so it is given back.
    unsafe {
        asm!(
            "xchg rbx, {address}",
            "out dx, eax",
            "xchg rbx, {address}",
            address = inout(reg) address => _,
            in("eax") number,
            in("dx") barscope_guest_abi::PORT,
            in("rcx") size_of::<T>(),
            options(nostack),
        );
    }
}

/// A named point in the trace.
pub fn mark(text: &str) {
    let text = text.as_bytes().to_vec();
    send(request::MARK, &Mark { text: Bytes::of(&text) });
}

/// Something that people should know of.
pub fn warn(text: &str) {
    let text = text.as_bytes().to_vec();
    send(request::WARNING, &Mark { text: Bytes::of(&text) });
}

/// A scenario begins.
pub fn begin(name: &str) {
    let name = name.as_bytes().to_vec();
    send(request::SCENARIO_BEGIN, &Mark { text: Bytes::of(&name) });
}

/// A scenario ended.
pub fn end(passed: bool, summary: &str) {
    let summary = summary.as_bytes().to_vec();
    send(request::SCENARIO_END, &ScenarioEnd { passed: passed.into(), summary: Bytes::of(&summary) });
}

/// Something was counted: one of `barscope_guest_abi::counted`.
pub fn count(what: u64, value: u64, address: u64) {
    send(request::COUNT, &Count { what, value, address, error_code: 0, rip: 0 });
}

/// What the bench is told of a mapping.
pub struct Made<'a> {
    /// One of `barscope_guest_abi::path`.
    pub path: u64,
    /// Where in this process.
    pub virtual_address: u64,
    /// Where on the bus.
    pub physical_address: u64,
    /// Length in bytes.
    pub length: u64,
    /// Its pages come one by one, when they are touched.
    pub on_fault: bool,
    /// The call that made it.
    pub call: &'a str,
}

/// A mapping was made in this process; the number that it has from here on.
pub fn map(made: &Made<'_>) -> u64 {
    let number = MAPPINGS.fetch_add(1, Ordering::Relaxed);
    let id = u64::from(std::process::id()) << 32 | number;
    let who = format!("{} {}", command(), std::process::id()).into_bytes();
    let call = made.call.as_bytes().to_vec();
    let map = Map {
        id,
        kind: made.path,
        virtual_address: made.virtual_address,
        physical_address: made.physical_address,
        length: made.length,
        address_space: barscope_guest_abi::OWN_ADDRESS_SPACE,
        on_fault: made.on_fault.into(),
        who: Bytes::of(&who),
        call: Bytes::of(&call),
    };
    send(request::MAP, &map);
    id
}

/// This process's command, as the kernel knows it.
fn command() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end().to_owned()
}

/// The mapping with this number went.
pub fn unmap(id: u64) {
    send(request::UNMAP, &Unmap { id });
}

/// A program's file, for code in every address space: this one's, which lies where no other does.
pub fn image(name: &str, elf: &[u8]) {
    let name = name.as_bytes().to_vec();
    send(request::IMAGE, &Image { name: Bytes::of(&name), elf: Bytes::of(elf), address_space: 0 });
}

/// Lines of `/proc/kallsyms`.
pub fn symbols(lines: &[u8]) {
    send(request::SYMBOLS, &Symbols { lines: Bytes::of(lines) });
}

/// A module's file and where its sections are.
pub fn module(name: &str, elf: &[u8], sections: &str) {
    let (name, sections) = (name.as_bytes().to_vec(), sections.as_bytes().to_vec());
    let module = Module { name: Bytes::of(&name), elf: Bytes::of(elf), sections: Bytes::of(&sections) };
    send(request::MODULE, &module);
}

/// The guest is done.
pub fn exit(status: u64) {
    send(request::EXIT, &Exit { status });
}
