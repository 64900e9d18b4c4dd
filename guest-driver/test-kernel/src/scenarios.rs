//! The scenarios, each with a question of [`protocol::scenario`] to answer.
//!
//! A scenario makes what it needs, mappings and processes, and drops it: none depends on another.

mod bugs;
mod independence;
mod interrupt;
mod limits;
mod memory_types;
mod paths;
mod shapes;

use protocol::scenario::{ARGUMENT, SCENARIOS};

use crate::bench;
use crate::check::{Failure, holds};
use crate::lab::File;
use crate::pci::Function;
use crate::process::{Exit, Process};

/// Plays a scenario; gives a line on what it showed.
type Play = fn(&Function) -> Result<&'static str, Failure>;

const TABLE: &[(&str, Play)] = &[
    ("probe", paths::probe),
    ("same-register", paths::same_register),
    ("mmap-up-front", paths::mmap_up_front),
    ("mmap-by-fault", paths::mmap_by_fault),
    ("no-kernel-entry", paths::no_kernel_entry),
    ("mmap-without-ioremap", independence::mmap_without_ioremap),
    ("ioremap-without-mmap", independence::ioremap_without_mmap),
    ("iounmap-keeps-mmap", independence::iounmap_keeps_mmap),
    ("munmap-keeps-ioremap", independence::munmap_keeps_ioremap),
    ("touch-after-munmap", limits::touch_after_munmap),
    ("map-past-end", limits::map_past_end),
    ("supervisor-page-from-user", limits::supervisor_page_from_user),
    ("decode-off", limits::decode_off),
    ("interrupt", interrupt::interrupt),
    ("access-sizes", shapes::sizes),
    ("instruction-forms", shapes::forms),
    ("unaligned", shapes::unaligned),
    ("page-crossing", shapes::page_crossing),
    ("string-moves", shapes::strings),
    ("read-modify-write", shapes::read_modify_write),
    ("sixteen-bytes", shapes::sixteen_bytes),
    ("write-combining", memory_types::write_combining),
    ("cached-mapping", memory_types::cached_mapping),
    ("bar-moved", bugs::bar_moved),
    ("map-past-end-unchecked", bugs::map_past_end_unchecked),
    ("forgotten-acknowledgement", bugs::forgotten_acknowledgement),
];

const _: () = {
    assert!(TABLE.len() == SCENARIOS.len(), "the table has the scenarios of the protocol");
    let mut index = 0;
    while index < TABLE.len() {
        let (name, listed) = (TABLE[index].0.as_bytes(), SCENARIOS[index].name.as_bytes());
        assert!(name.len() == listed.len(), "the table has the order of the protocol");
        let mut byte = 0;
        while byte < name.len() {
            assert!(name[byte] == listed[byte], "the table has the order of the protocol");
            byte += 1;
        }
        index += 1;
    }
};

/// Plays what `command_line` selects, in the order of the table: everything, if it selects nothing.
/// `Ok(true)` if all passed.
///
/// # Errors
/// The first selected name that no scenario has.
pub fn play<'a>(command_line: &'a [u8], function: &Function) -> Result<bool, &'a [u8]> {
    let selection = selection(command_line);
    if let Some(unknown) = selection.and_then(first_unknown) {
        return Err(unknown);
    }
    let mut all_passed = true;
    for (name, scenario) in TABLE {
        if selection.is_none_or(|names| has(names, name)) {
            all_passed &= play_one(name, *scenario, function);
        }
    }
    Ok(all_passed)
}

fn play_one(name: &str, scenario: Play, function: &Function) -> bool {
    bench::scenario_begin(name);
    match scenario(function) {
        Ok(summary) => {
            bench::scenario_end(true, summary.as_bytes());
            true
        }
        Err(failure) => {
            bench::scenario_end(false, failure.text().bytes());
            false
        }
    }
}

/// The names after the argument, up to the next space.
fn selection(command_line: &[u8]) -> Option<&[u8]> {
    command_line.split(|&byte| byte == b' ').find_map(|word| word.strip_prefix(ARGUMENT.as_bytes()))
}

fn split(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    names.split(|&byte| byte == b',')
}

fn has(names: &[u8], name: &str) -> bool {
    split(names).any(|selected| selected == name.as_bytes())
}

fn first_unknown(names: &[u8]) -> Option<&[u8]> {
    split(names).find(|&selected| TABLE.iter().all(|(name, _)| name.as_bytes() != selected))
}

/// A process that runs `routine` and has the device open.
fn process(function: &Function, routine: u64, arguments: [u64; 2]) -> Result<Process, Failure> {
    let file = File::open(function)?;
    Process::new(file, routine, arguments).ok_or(Failure::Reason("no memory for a process"))
}

/// Runs the process to its end; gives its exit code.
fn run_to_exit(process: &mut Process) -> Result<u64, Failure> {
    match process.run() {
        Exit::Code(code) => Ok(code),
        Exit::Pause => Err(Failure::Reason("the program paused")),
        Exit::Fault { address, .. } => {
            Err(Failure::Value { what: "address of a page fault", found: address, expected: 0 })
        }
        Exit::Exception(vector) => {
            Err(Failure::Value { what: "vector of an exception", found: vector, expected: 0 })
        }
    }
}

/// Runs the process, which has to be stopped by a page fault at `address` with `error_code`.
fn run_to_fault(process: &mut Process, address: u64, error_code: u64) -> Result<(), Failure> {
    holds(process.run() == Exit::Fault { address, error_code }, "the program was not stopped by the fault")
}
