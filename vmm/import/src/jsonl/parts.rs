//! What records refer to: page walks, mappings, processes, code and its callers.

use barscope_trace::definition::{
    Cut, Definition, Entered, FilePart, Frame, Instruction, Mapping, MemoryType, Path, Process, Stack, Walk,
};
use barscope_trace::{Id, WriteError};

use super::names::Names;
use super::object::{Object, Wrong, path};
use crate::output::Output;
use crate::text::hex;

/// The most levels that a page walk has.
const LEVELS: usize = 5;
/// So many frames of a call stack are read, inlined ones not counted.
const FRAMES_MAX: usize = 1 << 10;
/// So many bytes has the longest instruction.
const INSTRUCTION_MAX: usize = 15;

/// The definitions that an instruction on a device refers to, or 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) walk: Id,
    pub(super) instruction: Id,
    pub(super) stack: Id,
}

impl Parts {
    pub(super) fn of(
        object: &Object<'_>,
        names: &mut Names,
        output: &mut Output,
    ) -> Result<Self, WriteError> {
        let walk = object.object("walk");
        let address_space = walk.and_then(|walk| walk.hex("cr3")).unwrap_or(0);
        let walk = match (walk, object.hex("gva")) {
            (Some(walk), Some(gva)) => walk_of(object, &walk, gva, output)?,
            _ => 0,
        };
        let instruction = match object.object("code").and_then(|code| Some((code, code.hex("rip")?))) {
            Some((code, rip)) => {
                let cr3 = space_of(rip, address_space);
                names.add(cr3, rip, &code, code.list("inlined").iter().map(Object));
                output.define(&Definition::Instruction(Instruction {
                    rip,
                    bytes: code.text("bytes").and_then(bytes).unwrap_or_default(),
                    cr3,
                    ambiguous: code.flag("ambiguous"),
                    code_size: code
                        .small("bits")
                        .ok()
                        .filter(|bits| [16, 32, 64].contains(bits))
                        .unwrap_or(64),
                    image: None,
                }))?
            }
            None => 0,
        };
        let stack = match object.object("stack") {
            Some(stack) => stack_of(&stack, address_space, names, output)?,
            None => 0,
        };
        Ok(Self { walk, instruction, stack })
    }
}

/// The process that an object has.
pub(super) fn process_in(object: &Object<'_>, output: &mut Output) -> Result<Option<Id>, WriteError> {
    let Some(process) = object.object("process") else { return Ok(None) };
    let process = Process {
        address_space: 0,
        pid: process.count("pid").unwrap_or(0),
        thread: None,
        name: process.text("name").unwrap_or_default().to_owned(),
    };
    output.define(&Definition::Process(process)).map(Some)
}

pub(super) fn mapping_of(object: &Object<'_>) -> Result<Mapping, Wrong> {
    Ok(Mapping {
        path: object.need(object.text("path").and_then(path), "path")?,
        virtual_address: object.need_hex("virtual_address")?,
        physical_address: object.need_hex("physical_address")?,
        length: object.need_count("length")?,
        address_space: object.hex("cr3"),
        announced: true,
        on_fault: object.flag("on_fault"),
        who: object.text("who").unwrap_or_default().to_owned(),
        call: object.text("call").unwrap_or_default().to_owned(),
        of: object
            .object("of")
            .and_then(|of| Some(FilePart { file: of.text("file")?.to_owned(), offset: of.count("offset")? })),
    })
}

fn walk_of(access: &Object<'_>, walk: &Object<'_>, gva: u64, output: &mut Output) -> Result<Id, WriteError> {
    let entries = walk.list("entries");
    let entries: Vec<u64> = entries.iter().take(LEVELS).filter_map(|entry| hex(entry.as_str()?)).collect();
    let page_size = walk.count("page_size").filter(|size| size.is_power_of_two()).unwrap_or(4096);
    let mapping = match access.object("mapping").map(|mapping| mapping_of(&mapping)) {
        Some(Ok(mapping)) => Some(output.define(&Definition::Mapping(mapping))?),
        _ => None,
    };
    // That of the kernel is told by the call stack.
    let process = if access.count("cpl") == Some(3) { process_in(access, output)? } else { None };
    let memory_type = |key| walk.named::<MemoryType>(key).ok();
    // A page of 4 KiB has an entry for each level.
    let levels = entries.len() as u8
        + if page_size > 4096 { page_size.ilog2().saturating_sub(12) as u8 / 9 } else { 0 };
    output.define(&Definition::Walk(Walk {
        cr3: walk.hex("cr3").unwrap_or(0),
        page: gva & !(page_size - 1),
        page_size,
        entries,
        levels,
        user: walk.flag("user"),
        writable: walk.flag("writable"),
        pat: memory_type("pat"),
        mtrr: memory_type("mtrr"),
        memory_type: memory_type("memory_type").unwrap_or(MemoryType::Uncacheable),
        path: access.text("path").and_then(path).unwrap_or(Path::Unknown),
        announced: access.flag("announced"),
        mapping,
        process,
    }))
}

fn stack_of(
    stack: &Object<'_>,
    address_space: u64,
    names: &mut Names,
    output: &mut Output,
) -> Result<Id, WriteError> {
    let mut frames = Vec::new();
    // What is inlined into a function comes before it, and is at the same place.
    for calls in stack.list("frames").chunk_by(|call, _| Object(call).flag("inlined")).take(FRAMES_MAX) {
        let Some((own, inlined)) = calls.split_last() else { continue };
        let (first, own) = (Object(&calls[0]), Object(own));
        let (Some(how), Some(address)) = (entered(&first), own.hex("address")) else { continue };
        let cr3 = space_of(address, address_space);
        names.add_caller(cr3, address, how, &own, inlined.iter().map(Object));
        frames.push(Frame { how, address, cr3, image: None });
    }
    let cut = stack.named::<Cut>("cut").ok();
    let process = process_in(stack, output)?;
    output.define(&Definition::Stack(Stack { process, frames, cut }))
}

fn entered(call: &Object<'_>) -> Option<Entered> {
    Some(match call.text("entered")? {
        "call" => Entered::Call,
        "system-call" => Entered::SystemCall { number: call.count("number")? },
        "interrupt" => Entered::Interrupt,
        "exception" => Entered::Exception,
        _ => return None,
    })
}

/// The address space of code: a program's, or 0 for the kernel's part.
fn space_of(address: u64, of_program: u64) -> u64 {
    if address >> 63 == 0 { of_program } else { 0 }
}

/// An instruction's bytes.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if digits.len() > 2 * INSTRUCTION_MAX || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| hex(&digits[at..at + 2])?.try_into().ok()).collect()
}
