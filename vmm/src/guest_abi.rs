//! The guest ABI port: what the guest tells the bench. See the crate `protocol` for the requests.

use protocol::request;
use trace::definition::{Image, Mapping, Path, Process};
use trace::event::Counted;
use trace::{Capability, EventKind, Lane, WriteError};

use crate::host::HostError;
use crate::kernel_module;
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::shared::Shared;
use crate::stop::Stop;
use crate::vcpu::{Registers, read_virtual};

/// A request that makes no sense. The trace says so, and the guest goes on.
#[derive(Debug, thiserror::Error)]
enum BadRequest {
    #[error("guest ABI: no request has number {0}")]
    Unknown(u32),
    #[error("guest ABI: request {request} is {expected} bytes long, not {given}")]
    Size { request: u32, expected: usize, given: u64 },
    #[error("guest ABI: request {request} points at {address:#x}, which isn't mapped memory")]
    Pointer { request: u32, address: u64 },
    #[error("guest ABI: request {request}: {value} is no value for {field}")]
    Value { request: u32, field: &'static str, value: u64 },
    #[error("guest ABI: the image {0:?} is no ELF file, or too long")]
    Image(String),
    #[error(transparent)]
    Host(#[from] HostError),
}

impl From<WriteError> for BadRequest {
    fn from(error: WriteError) -> Self {
        Self::Host(error.into())
    }
}

/// A request's words, as the guest's memory holds them.
struct Words<'a> {
    request: u32,
    words: Vec<u64>,
    shared: &'a Shared,
    registers: &'a Registers,
}

impl Words<'_> {
    fn at(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// The bytes that the words at `index` and after it point at.
    fn bytes(&self, index: usize, limit: u64) -> Result<Vec<u8>, BadRequest> {
        let (address, length) = (self.at(index), self.at(index + 1).min(limit));
        read(self.shared, self.registers, self.request, address, length)
    }

    fn text(&self, index: usize) -> Result<String, BadRequest> {
        let bytes = self.bytes(index, protocol::MAX_TEXT)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bad(&self, field: &'static str, index: usize) -> BadRequest {
        BadRequest::Value { request: self.request, field, value: self.at(index) }
    }

    /// An address space: 0 stands for the kernel's part.
    fn address_space(&self, index: usize) -> Option<u64> {
        match self.at(index) {
            protocol::OWN_ADDRESS_SPACE => Some(self.registers.address_space()),
            cr3 => Some(cr3 & 0x000f_ffff_ffff_f000).filter(|cr3| *cr3 != 0),
        }
    }
}

fn read(
    shared: &Shared,
    registers: &Registers,
    request: u32,
    address: u64,
    length: u64,
) -> Result<Vec<u8>, BadRequest> {
    let bad = BadRequest::Pointer { request, address };
    // What memory can't hold isn't worth allocating for.
    if length > shared.memory.size() {
        return Err(bad);
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    if read_virtual(&shared.memory, registers, address, &mut bytes) < bytes.len() {
        return Err(bad);
    }
    Ok(bytes)
}

/// Serves the request that the guest's registers hold. `Some` if the guest is done.
///
/// # Errors
/// [`HostError`] if KVM or the trace fails.
pub fn serve(
    shared: &Shared,
    lane: &mut Lane,
    vcpu: u8,
    registers: &Registers,
    number: u32,
) -> Result<Option<Stop>, HostError> {
    let served = try_serve(shared, lane, vcpu, registers, number);
    shared.record_warnings(lane, vcpu)?;
    match served {
        Ok(stop) => Ok(stop),
        Err(BadRequest::Host(error)) => Err(error),
        Err(bad) => {
            let text = shared.interned().text(&bad.to_string())?;
            shared.record(lane, vcpu, EventKind::Warning { text })?;
            Ok(None)
        }
    }
}

fn try_serve(
    shared: &Shared,
    lane: &mut Lane,
    vcpu: u8,
    registers: &Registers,
    number: u32,
) -> Result<Option<Stop>, BadRequest> {
    let words = Words { request: number, words: read_words(shared, registers, number)?, shared, registers };
    let stop = answer(shared, lane, vcpu, &words)?;
    if let Some(capability) = capability(shared, &words) {
        shared.dispatcher.announced(capability);
    }
    Ok(stop)
}

fn answer(shared: &Shared, lane: &mut Lane, vcpu: u8, words: &Words<'_>) -> Result<Option<Stop>, BadRequest> {
    // What was written unseen belongs before the point that the guest names now.
    shared.dispatcher.collect_written(lane)?;
    let kind = match words.request {
        request::MARK => EventKind::Mark { text: shared.interned().text(&words.text(0)?)? },
        request::SCENARIO_BEGIN => {
            EventKind::ScenarioBegin { name: shared.interned().text(&words.text(0)?)? }
        }
        request::SCENARIO_END => EventKind::ScenarioEnd {
            passed: words.at(0) == 1,
            summary: shared.interned().text(&words.text(1)?)?,
        },
        request::MAP => {
            let mapping = mapping(words)?;
            EventKind::Map { mapping: shared.interned().map(words.at(0), mapping)? }
        }
        request::UNMAP => {
            let mapping = shared.interned().unmap(words.at(0)).ok_or_else(|| words.bad("id", 0))?;
            EventKind::Unmap { mapping }
        }
        request::IMAGE => return image(shared, words).map(|()| None),
        request::SYMBOLS => return symbols(shared, words).map(|()| None),
        request::MODULE => return module(shared, words).map(|()| None),
        request::PROCESS => {
            let process = Process {
                address_space: words.registers.address_space(),
                pid: words.at(0),
                name: words.text(1)?,
            };
            shared.interned().process(process)?;
            return Ok(None);
        }
        request::COUNT => EventKind::Count {
            what: counted(words)?,
            value: words.at(1),
            address: words.at(2),
            error_code: words.at(3) as u32,
            rip: words.at(4),
        },
        request::ISR_ENTER => EventKind::IsrEnter { vector: words.at(0) as u8 },
        request::ISR_EXIT => EventKind::IsrExit { vector: words.at(0) as u8 },
        request::IDLE => {
            shared.dispatcher.idle(lane, vcpu)?;
            return Ok(None);
        }
        request::EXIT => return Ok(Some(Stop::Exit { status: words.at(0) })),
        unknown => return Err(BadRequest::Unknown(unknown)),
    };
    shared.record(lane, vcpu, kind)?;
    Ok(None)
}

/// What the guest tells of itself by making this request.
fn capability(shared: &Shared, words: &Words<'_>) -> Option<Capability> {
    Some(match words.request {
        request::ISR_ENTER | request::ISR_EXIT => Capability::Handlers,
        request::MAP if words.address_space(5).is_none() => Capability::KernelMappings,
        // Those of a program that announces none would be missing.
        request::MAP if !shared.foreign_programs => Capability::UserMappings,
        request::COUNT => match counted(words).ok()? {
            Counted::KernelEntries => Capability::KernelEntries,
            Counted::FaultResolved | Counted::FaultFatal => Capability::PageFaults,
        },
        request::IMAGE | request::SYMBOLS | request::MODULE => Capability::Functions,
        request::PROCESS => Capability::Processes,
        _ => return None,
    })
}

/// Size in bytes of the structure that a request points at.
fn size_of_request(number: u32) -> Option<usize> {
    Some(match number {
        request::MARK | request::SCENARIO_BEGIN => size_of::<protocol::Mark>(),
        request::MAP => size_of::<protocol::Map>(),
        request::UNMAP => size_of::<protocol::Unmap>(),
        request::IMAGE => size_of::<protocol::Image>(),
        request::SCENARIO_END => size_of::<protocol::ScenarioEnd>(),
        request::COUNT => size_of::<protocol::Count>(),
        request::EXIT => size_of::<protocol::Exit>(),
        request::ISR_ENTER | request::ISR_EXIT => size_of::<protocol::Isr>(),
        request::SYMBOLS => size_of::<protocol::Symbols>(),
        request::MODULE => size_of::<protocol::Module>(),
        request::PROCESS => size_of::<protocol::Process>(),
        request::IDLE => 0,
        _ => return None,
    })
}

fn read_words(shared: &Shared, registers: &Registers, number: u32) -> Result<Vec<u64>, BadRequest> {
    let expected = size_of_request(number).ok_or(BadRequest::Unknown(number))?;
    let given = registers.general.rcx;
    if given != expected as u64 {
        return Err(BadRequest::Size { request: number, expected, given });
    }
    let bytes = read(shared, registers, number, registers.general.rbx, given)?;
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    Ok(bytes.chunks_exact(8).map(word).collect())
}

/// The fields of `protocol::Map`, in their order.
fn mapping(words: &Words<'_>) -> Result<Mapping, BadRequest> {
    let path = match words.at(1) {
        protocol::path::IOREMAP => Path::Ioremap,
        protocol::path::MMAP => Path::Mmap,
        protocol::path::SYSFS => Path::Sysfs,
        protocol::path::DEV_MEM => Path::DevMem,
        protocol::path::DIRECT_MAP => Path::DirectMap,
        _ => return Err(words.bad("kind", 1)),
    };
    if words.at(0) == 0 {
        return Err(words.bad("id", 0));
    }
    Ok(Mapping {
        path,
        virtual_address: words.at(2),
        physical_address: words.at(3),
        length: words.at(4),
        address_space: words.address_space(5),
        on_fault: words.at(6) == 1,
        who: words.text(7)?,
        call: words.text(9)?,
    })
}

/// The fields of `protocol::Image`, in their order.
fn image(shared: &Shared, words: &Words<'_>) -> Result<(), BadRequest> {
    let name = words.text(0)?;
    if words.at(3) > protocol::MAX_IMAGE {
        return Err(BadRequest::Image(name));
    }
    let elf = words.bytes(2, protocol::MAX_IMAGE)?;
    let image = Image { name: name.clone(), address_space: words.address_space(4) };
    match shared.interned().image(image, &elf)? {
        Some(_) => Ok(()),
        None => Err(BadRequest::Image(name)),
    }
}

/// The fields of `protocol::Symbols`: the kernel's functions, and where it says that things are.
fn symbols(shared: &Shared, words: &Words<'_>) -> Result<(), BadRequest> {
    let lines = words.bytes(0, protocol::MAX_IMAGE)?;
    let kernel = KernelSymbols::parse(&lines);
    let variable = |name: &str| {
        let mut bytes = [0; 8];
        let address = kernel.address(name)?;
        let read = read_virtual(&shared.memory, words.registers, address, &mut bytes);
        (read == bytes.len()).then(|| u64::from_le_bytes(bytes))
    };
    let spaces = Spaces::of_linux(variable("page_offset_base"), variable("vmalloc_base"));
    Ok(shared.interned().kernel_symbols(&kernel, spaces)?)
}

/// The fields of `protocol::Module`, in their order.
fn module(shared: &Shared, words: &Words<'_>) -> Result<(), BadRequest> {
    let name = words.text(0)?;
    let mut elf = words.bytes(2, protocol::MAX_IMAGE)?;
    let sections = words.bytes(4, protocol::MAX_IMAGE)?;
    let placed = kernel_module::place(&mut elf, &String::from_utf8_lossy(&sections));
    let own_name = kernel_module::name(&elf).unwrap_or_else(|| name.clone());
    let read =
        |address, data: &mut [u8]| read_virtual(&shared.memory, words.registers, address, data) == data.len();
    if placed.is_some() && shared.interned().module(&read, &own_name, &elf)? {
        Ok(())
    } else {
        Err(BadRequest::Image(name))
    }
}

fn counted(words: &Words<'_>) -> Result<Counted, BadRequest> {
    Ok(match words.at(0) {
        protocol::counted::KERNEL_ENTRIES => Counted::KernelEntries,
        protocol::counted::FAULT_RESOLVED => Counted::FaultResolved,
        protocol::counted::FAULT_FATAL => Counted::FaultFatal,
        _ => return Err(words.bad("what", 0)),
    })
}
