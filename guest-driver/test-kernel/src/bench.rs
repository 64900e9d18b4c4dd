//! What the kernel tells the bench. On another machine, nothing.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use barscope_guest_abi::{Bytes, Count, Exit, Image, Isr, Map, Mark, ScenarioEnd, Unmap, port, request};

static PRESENT: AtomicBool = AtomicBool::new(false);
static LAST_MAPPING: AtomicU64 = AtomicU64::new(0);

/// Looks for the bench.
pub fn init() {
    PRESENT.store(port::is_present(), Relaxed);
}

/// Whether this machine is the bench.
pub fn is_present() -> bool {
    PRESENT.load(Relaxed)
}

fn tell<T>(number: u32, structure: &T) {
    if is_present() {
        port::request(number, structure);
    }
}

/// Sets a mark in the trace.
pub fn mark(text: &[u8]) {
    tell(request::MARK, &Mark { text: Bytes::of(text) });
}

/// A mapping to announce.
pub struct Mapping<'a> {
    /// One of [`barscope_guest_abi::path`].
    pub path: u64,
    /// Of its first byte.
    pub virtual_address: u64,
    /// Of its first byte.
    pub physical_address: u64,
    /// In bytes.
    pub length: u64,
    /// A CR3, or 0 for the kernel's part.
    pub address_space: u64,
    /// Whether its page tables fill on first touch.
    pub on_fault: bool,
    /// Who asked for it.
    pub who: &'a [u8],
    /// The call that made it.
    pub call: &'a [u8],
    /// The file that a process maps; empty for a mapping of none.
    pub file: &'a [u8],
    /// In the file, in bytes.
    pub offset: u64,
}

/// A mapping was made; gives the number to name it with in [`unmap`].
pub fn map(mapping: &Mapping<'_>) -> u64 {
    let id = LAST_MAPPING.fetch_add(1, Relaxed) + 1;
    tell(
        request::MAP,
        &Map {
            id,
            kind: mapping.path,
            virtual_address: mapping.virtual_address,
            physical_address: mapping.physical_address,
            length: mapping.length,
            address_space: mapping.address_space,
            on_fault: u64::from(mapping.on_fault),
            who: Bytes::of(mapping.who),
            call: Bytes::of(mapping.call),
            file: Bytes::of(mapping.file),
            offset: mapping.offset,
        },
    );
    id
}

/// The mapping `id` went away.
pub fn unmap(id: u64) {
    tell(request::UNMAP, &Unmap { id });
}

/// The program `elf` is in `address_space`.
pub fn image(name: &str, elf: &[u8], address_space: u64) {
    tell(request::IMAGE, &Image { name: Bytes::of(name.as_bytes()), elf: Bytes::of(elf), address_space });
}

/// The kernel counted something.
pub fn count(count: &Count) {
    tell(request::COUNT, count);
}

/// The scenario `name` begins.
pub fn scenario_begin(name: &str) {
    tell(request::SCENARIO_BEGIN, &Mark { text: Bytes::of(name.as_bytes()) });
}

/// The scenario ended; `summary` says what it showed, or what did not hold.
pub fn scenario_end(passed: bool, summary: &[u8]) {
    tell(request::SCENARIO_END, &ScenarioEnd { passed: u64::from(passed), summary: Bytes::of(summary) });
}

/// There is nothing to do until a device acts.
pub fn idle() {
    if is_present() {
        port::request_bare(request::IDLE);
    }
}

/// The handler of the interrupt `vector` begins.
pub fn isr_enter(vector: u8) {
    tell(request::ISR_ENTER, &Isr { vector: u64::from(vector) });
}

/// The handler of the interrupt `vector` is done.
pub fn isr_exit(vector: u8) {
    tell(request::ISR_EXIT, &Isr { vector: u64::from(vector) });
}

/// The run is over.
pub fn exit(status: u64) {
    tell(request::EXIT, &Exit { status });
}
