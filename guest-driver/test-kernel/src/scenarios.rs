//! The scenarios, each with a question of [`barscope_guest_abi::scenario`] to answer.
//!
//! A scenario makes what it needs, mappings and processes, and drops it: none depends on another.

mod bugs;
mod dma;
mod edges;
mod every_bar;
mod independence;
mod interrupt;
mod limits;
mod memory_types;
mod paths;
mod power;
mod regions;
mod registers;
mod shapes;
mod two_cpus;

use Play::{Alone, AtMemoryEnd, OnMachine, OnTwoCpus, With, WithTicker};
use barscope_guest_abi::scenario::{ARGUMENT, Needs, SCENARIOS};
use interrupt::MESSAGES_LOG2;

use crate::bench;
use crate::boot_info;
use crate::check::{Failure, holds};
use crate::lab::{File, MessageTable, Messages};
use crate::pci::{Bus, Function};
use crate::process::{Exit, Process};
use crate::second_cpu::SecondCpu;
use crate::text::Text;

/// A line on what a scenario showed.
type Shown = Result<&'static str, Failure>;

/// What the scenarios play with.
pub struct Machine {
    /// The device that most are about.
    pub lab: Option<Function>,
    /// Another device.
    pub ticker: Option<Function>,
    /// Physical address of the first byte after memory.
    pub memory_end: u64,
    /// Another CPU.
    pub second_cpu: Option<SecondCpu>,
    /// All functions.
    pub bus: Bus,
}

impl Machine {
    /// What is missing of what a scenario needs.
    fn lacks(&self, needs: Needs) -> Option<Needs> {
        let Some(lab) = &self.lab else {
            return if needs == Needs::Nothing { None } else { Some(Needs::Lab) };
        };
        let has = match needs {
            Needs::Nothing | Needs::Lab => true,
            Needs::SecondCpu => self.second_cpu.is_some(),
            Needs::Ticker => {
                let line = lab.interrupt_line();
                matches!(&self.ticker, Some(ticker) if ticker.interrupt_line() == line)
            }
            Needs::Message => Messages::available(lab).is_some(),
            Needs::MessageVectors => {
                matches!(Messages::available(lab), Some(it) if it.masking && it.log2 >= MESSAGES_LOG2)
            }
            Needs::MessageTable => MessageTable::is_available(lab),
        };
        if has { None } else { Some(needs) }
    }
}

/// How to play a scenario: with the lab function, and with what else it needs.
#[derive(Clone, Copy)]
enum Play {
    Alone(fn(&Function) -> Shown),
    /// Alone too, if it is a function that has this.
    With(Needs, fn(&Function) -> Shown),
    /// With where memory ends.
    AtMemoryEnd(fn(&Function, u64) -> Shown),
    OnTwoCpus(fn(&Function, SecondCpu) -> Shown),
    WithTicker(fn(&Function, &Function) -> Shown),
    /// With everything that there is.
    OnMachine(fn(&Machine) -> Shown),
}

impl Play {
    const fn needs(self) -> Needs {
        match self {
            Play::OnMachine(_) => Needs::Nothing,
            Play::Alone(_) | Play::AtMemoryEnd(_) => Needs::Lab,
            Play::With(needs, _) => needs,
            Play::OnTwoCpus(_) => Needs::SecondCpu,
            Play::WithTicker(_) => Needs::Ticker,
        }
    }
}

const TABLE: &[(&str, Play)] = &[
    ("probe", Alone(paths::probe)),
    ("same-register", Alone(paths::same_register)),
    ("mmap-up-front", Alone(paths::mmap_up_front)),
    ("mmap-by-fault", Alone(paths::mmap_by_fault)),
    ("no-kernel-entry", Alone(paths::no_kernel_entry)),
    ("mmap-without-ioremap", Alone(independence::mmap_without_ioremap)),
    ("ioremap-without-mmap", Alone(independence::ioremap_without_mmap)),
    ("iounmap-keeps-mmap", Alone(independence::iounmap_keeps_mmap)),
    ("munmap-keeps-ioremap", Alone(independence::munmap_keeps_ioremap)),
    ("touch-after-munmap", Alone(limits::touch_after_munmap)),
    ("map-offset", Alone(paths::map_offset)),
    ("map-past-end", Alone(limits::map_past_end)),
    ("supervisor-page-from-user", Alone(limits::supervisor_page_from_user)),
    ("decode-off", Alone(limits::decode_off)),
    ("interrupt", With(Needs::Message, interrupt::interrupt)),
    ("access-sizes", Alone(shapes::sizes)),
    ("instruction-forms", Alone(shapes::forms)),
    ("unaligned", Alone(shapes::unaligned)),
    ("page-crossing", Alone(shapes::page_crossing)),
    ("string-moves", Alone(shapes::strings)),
    ("read-modify-write", Alone(shapes::read_modify_write)),
    ("sixteen-bytes", Alone(shapes::sixteen_bytes)),
    ("half-in-memory", AtMemoryEnd(edges::half_in_memory)),
    ("half-unmapped", Alone(edges::half_unmapped)),
    ("not-emulated", Alone(edges::not_emulated)),
    ("direct-memory", Alone(regions::direct_memory)),
    ("write-combining", Alone(memory_types::write_combining)),
    ("cached-mapping", Alone(memory_types::cached_mapping)),
    ("bar-moved", Alone(bugs::bar_moved)),
    ("map-past-end-unchecked", With(Needs::MessageTable, bugs::map_past_end_unchecked)),
    ("forgotten-acknowledgement", With(Needs::Message, bugs::forgotten_acknowledgement)),
    ("dma-both-ways", With(Needs::Message, dma::both_ways)),
    ("dma-errors", Alone(dma::errors)),
    ("dma-without-bus-mastering", Alone(dma::without_bus_mastering)),
    ("fifo", Alone(registers::fifo)),
    ("counters", Alone(registers::counters)),
    ("refused-accesses", Alone(registers::refused_accesses)),
    ("io-bar", Alone(registers::io_bar)),
    ("rom", Alone(regions::rom)),
    ("bar-overlap", With(Needs::MessageTable, regions::overlap)),
    ("bar-moved-by-halves", Alone(regions::moved_by_halves)),
    ("msi-vectors", With(Needs::MessageVectors, interrupt::message_vectors)),
    ("msi-x", With(Needs::MessageTable, interrupt::message_table)),
    ("d3hot", Alone(power::d3hot)),
    ("function-level-reset", Alone(power::function_reset)),
    ("shared-line", WithTicker(interrupt::shared_line)),
    ("sub-page-bar", WithTicker(regions::sub_page_bar)),
    ("every-bar", OnMachine(every_bar::every_bar)),
    ("two-vcpus", OnTwoCpus(two_cpus::two_cpus)),
];

const _: () = {
    assert!(TABLE.len() == SCENARIOS.len(), "the table has the scenarios of the protocol");
    let mut index = 0;
    while index < TABLE.len() {
        let (name, listed) = (TABLE[index].0.as_bytes(), SCENARIOS[index].name.as_bytes());
        let needs = TABLE[index].1.needs() as u8;
        assert!(needs == SCENARIOS[index].needs as u8, "the table has the needs of the protocol");
        assert!(name.len() == listed.len(), "the table has the order of the protocol");
        let mut byte = 0;
        while byte < name.len() {
            assert!(name[byte] == listed[byte], "the table has the order of the protocol");
            byte += 1;
        }
        index += 1;
    }
};

/// How the mark begins that tells what is left out.
const NOT_PLAYED: &str = "not played: ";

/// Plays what `command_line` selects, in the order of the table: if it selects nothing, everything that
/// the machine has what it needs for, with a mark for each of the others, or for all if there is no lab.
/// `Ok(true)` if all passed.
///
/// # Errors
/// The first selected name that no scenario has.
pub fn play<'a>(command_line: &'a [u8], machine: &Machine) -> Result<bool, &'a [u8]> {
    let selection = boot_info::argument(command_line, ARGUMENT);
    if let Some(unknown) = selection.and_then(first_unknown) {
        return Err(unknown);
    }
    let mut all_passed = true;
    let mut without_lab = 0;
    for (name, scenario) in TABLE {
        match (selection, machine.lacks(scenario.needs())) {
            (Some(names), _) if !has(names, name) => {}
            (None, Some(Needs::Lab)) => without_lab += 1,
            (None, Some(missing)) => left_out(Text::new().str(NOT_PLAYED).str(name), missing),
            _ => all_passed &= play_one(name, *scenario, machine),
        }
    }
    if without_lab > 0 {
        let count = Text::new().str(NOT_PLAYED).decimal(without_lab).str(" scenarios");
        left_out(count, Needs::Lab);
    }
    Ok(all_passed)
}

fn left_out(what: Text<128>, missing: Needs) {
    bench::mark(what.str(", since ").str(missing.missing()).bytes());
}

fn play_one(name: &str, scenario: Play, machine: &Machine) -> bool {
    bench::scenario_begin(name);
    let needs = scenario.needs();
    let missing = machine.lacks(needs);
    let shown = match (scenario, machine) {
        (OnMachine(play), machine) => play(machine),
        (Alone(play) | With(_, play), Machine { lab: Some(lab), .. }) if missing.is_none() => play(lab),
        (AtMemoryEnd(play), Machine { lab: Some(lab), memory_end, .. }) => play(lab, *memory_end),
        (OnTwoCpus(play), Machine { lab: Some(lab), second_cpu: Some(second_cpu), .. }) => {
            play(lab, *second_cpu)
        }
        (WithTicker(play), Machine { lab: Some(lab), ticker: Some(ticker), .. }) if missing.is_none() => {
            play(lab, ticker)
        }
        _ => Err(Failure::Reason(missing.unwrap_or(needs).missing())),
    };
    match shown {
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
    exit_code(process.run())
}

/// The code of a program that has come to its end.
fn exit_code(exit: Exit) -> Result<u64, Failure> {
    match exit {
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
