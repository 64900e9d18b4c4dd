//! The guest ABI from a program: requests to barscope through its port.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use barscope_guest_abi::{
    Bytes, Count, Entries, Exit, Fetch, File, Image, Map, Maps, Mark, Module, Process, Ring, ScenarioEnd,
    Symbols, Unmap, Walk, port, request,
};

use barscope_guest_abi::port::in_memory;

use crate::system;

/// Numbers of mappings in this process; others have others, by their process's number.
static MAPPINGS: AtomicU64 = AtomicU64::new(1);

/// Opens the port for this process, and says whose address space this is.
///
/// # Errors
/// What the system said; or there is no barscope.
pub fn open(name: &str) -> io::Result<()> {
    system::allow_ports(barscope_guest_abi::PORT, 4)?;
    if !port::is_present() {
        return Err(io::Error::other("this machine is not barscope's"));
    }
    port::request(request::PROCESS, &Process { pid: std::process::id().into(), name: in_memory(name) });
    Ok(())
}

/// A named point in the trace.
pub fn mark(text: &str) {
    port::request(request::MARK, &Mark { text: in_memory(text) });
}

/// How this process has an address mapped is recorded, beside what is there.
pub fn walk(address: *const u8, what: &str) {
    port::request(
        request::WALK,
        &Walk { address: address.expose_provenance() as u64, what: in_memory(what) },
    );
}

/// Something that people should know of.
pub fn warn(text: &str) {
    port::request(request::WARNING, &Mark { text: in_memory(text) });
}

/// A scenario begins.
pub fn begin(name: &str) {
    port::request(request::SCENARIO_BEGIN, &Mark { text: in_memory(name) });
}

/// A scenario ended.
pub fn end(passed: bool, summary: &str) {
    port::request(request::SCENARIO_END, &ScenarioEnd { passed: passed.into(), summary: in_memory(summary) });
}

/// Something was counted: one of `barscope_guest_abi::counted`.
pub fn count(what: u64, value: u64, address: u64) {
    port::request(request::COUNT, &Count { what, value, address, error_code: 0, rip: 0 });
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
    /// The file that is mapped.
    pub file: &'a str,
    /// Offset in the file, in bytes.
    pub offset: u64,
}

/// A mapping was made in this process; the number that it has from here on.
pub fn map(made: &Made<'_>) -> u64 {
    let number = MAPPINGS.fetch_add(1, Ordering::Relaxed);
    let id = u64::from(std::process::id()) << 32 | number;
    let who = format!("{} {}", command(), std::process::id());
    let map = Map {
        id,
        kind: made.path,
        virtual_address: made.virtual_address,
        physical_address: made.physical_address,
        length: made.length,
        address_space: barscope_guest_abi::OWN_ADDRESS_SPACE,
        on_fault: made.on_fault.into(),
        who: in_memory(&who),
        call: in_memory(made.call),
        file: in_memory(made.file),
        offset: made.offset,
    };
    port::request(request::MAP, &map);
    id
}

/// This process's command, as the kernel knows it.
fn command() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end().to_owned()
}

/// The mapping with this number went.
pub fn unmap(id: u64) {
    port::request(request::UNMAP, &Unmap { id });
}

/// A program's file, for code in every address space: this one's, which lies where no other does.
pub fn image(name: &str, elf: &[u8]) {
    port::request(request::IMAGE, &Image { name: in_memory(name), elf: Bytes::of(elf), address_space: 0 });
}

/// Lines of `/proc/kallsyms`, and of `System.map` where that is here.
pub fn symbols(lines: &[u8], linked: &[u8]) {
    port::request(request::SYMBOLS, &Symbols { lines: Bytes::of(lines), linked: Bytes::of(linked) });
}

/// A module's file and where its sections are.
pub fn module(name: &str, elf: &[u8], sections: &str) {
    let module =
        Module { name: in_memory(name), elf: Bytes::of(elf), sections: Bytes::of(sections.as_bytes()) };
    port::request(request::MODULE, &module);
}

/// A file that processes map.
pub fn file(device: u64, inode: u64, path: &str, elf: &[u8]) {
    port::request(request::FILE, &File { device, inode, path: in_memory(path), elf: Bytes::of(elf) });
}

/// What a process maps: the script that it runs, if it does, and lines of `/proc/PID/maps`.
pub fn maps(process: i32, state: u64, script: &str, lines: &str) {
    let maps =
        Maps { pid: process as u64, state, script: in_memory(script), lines: Bytes::of(lines.as_bytes()) };
    port::request(request::MAPS, &maps);
}

/// Has the host write what it has for this guest from `offset` on, as far as there is any.
pub fn fetch(offset: u64, to: &mut [u8]) {
    // Pages have to be there.
    to.fill(1);
    let to = Bytes { address: to.as_mut_ptr() as u64, length: to.len() as u64 };
    port::request(request::FETCH, &Fetch { offset, to });
}

/// The turn is over, and no longer recorded.
pub fn turn_end(status: u64) {
    port::request(request::TURN_END, &Exit { status });
}

/// Nothing is left of the turn. Comes back when the next one begins.
pub fn tidy() {
    port::request_bare(request::TIDY);
}

/// Where the kernel tells entries into it, by tracepoints of these numbers.
pub fn entries(rings: &[Ring], system_call: u64, page_fault: u64) {
    let rings = Bytes { address: rings.as_ptr() as u64, length: size_of_val(rings) as u64 };
    port::request(request::ENTRIES, &Entries { rings, system_call, page_fault });
}

/// The guest is done.
pub fn exit(status: u64) {
    port::request(request::EXIT, &Exit { status });
}
