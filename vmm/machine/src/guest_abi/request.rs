//! A guest's request: read from registers and memory, and nothing done about it yet.

use std::mem::offset_of;

use barscope_guest_abi::request;
use barscope_trace::definition::{FilePart, Image, Mapping, Path, Process};
use barscope_trace::event::Counted;
use barscope_x86::{Registers, read_virtual};

use crate::memory::GuestMemory;

/// A request that makes no sense. The trace says so, and the guest goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// No such request.
    #[error("guest ABI: no request has number {0}")]
    Unknown(u32),
    /// The structure has another size.
    #[error("guest ABI: request {request} is {expected} bytes long, not {given}")]
    Size {
        /// The request's number.
        request: u32,
        /// In bytes.
        expected: usize,
        /// In bytes.
        given: u64,
    },
    /// A pointer into nowhere.
    #[error("guest ABI: request {request} points at {address:#x}, which isn't mapped memory")]
    Pointer {
        /// The request's number.
        request: u32,
        /// A virtual address.
        address: u64,
    },
    /// A field that can't have this value.
    #[error("guest ABI: request {request}: {value} is no value for {field}")]
    Value {
        /// The request's number.
        request: u32,
        /// The field's name.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A file that is none.
    #[error("guest ABI: the image {0:?} is no ELF file, or too long")]
    Image(String),
}

/// What the guest asks for, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Happens at once, in the order of the guest's accesses.
    Now(Now),
    /// Names for what is traced later, from bytes that take a while to read.
    Bulk(Bulk),
}

/// A request that is served at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// A mark with this text.
    Mark(String),
    /// Something that people should know of.
    Warning(String),
    /// A scenario begins.
    ScenarioBegin(String),
    /// The scenario ends.
    ScenarioEnd {
        /// How it went.
        passed: bool,
        /// In words.
        summary: String,
    },
    /// A mapping exists, by the guest's number for it.
    Map(u64, Mapping),
    /// It doesn't any more.
    Unmap(u64),
    /// How an address is mapped.
    Walk {
        /// A virtual address.
        address: u64,
        /// What is there, in words.
        what: String,
    },
    /// Whose address space this is.
    Process(Process),
    /// The guest counted something.
    Count {
        /// What.
        what: Counted,
        /// How many.
        value: u64,
        /// Of the last fault.
        address: u64,
        /// Of the last fault.
        error_code: u32,
        /// Of the last fault.
        rip: u64,
    },
    /// Entries into the kernel are told from here on.
    Entries(Entries),
    /// An interrupt handler begins.
    IsrEnter(u8),
    /// It ends.
    IsrExit(u8),
    /// Nothing to do until an interrupt.
    Idle,
    /// Bytes of what the host has for it are to be written to memory.
    Fetch {
        /// Of the first one.
        offset: u64,
        /// A virtual address.
        to: u64,
        /// How many.
        length: u64,
    },
    /// Done, 0 if all went well.
    Exit(u64),
    /// A turn is done, 0 if all went well.
    TurnEnd(u64),
    /// Nothing is left of the turn.
    Tidy,
}

/// Where entries into the kernel are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// One a CPU.
    pub rings: Vec<RingAt>,
    /// Number of the tracepoint of system calls.
    pub system_call: u64,
    /// Number of the tracepoint of page faults.
    pub page_fault: u64,
}

/// Where the guest has a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingAt {
    /// Number of its CPU.
    pub cpu: u8,
    /// Virtual address.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
}

/// A request with bytes to be read on a thread of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bulk {
    /// An executable.
    Image {
        /// What it is.
        image: Image,
        /// Its file.
        elf: Vec<u8>,
    },
    /// The kernel's symbols.
    Symbols {
        /// `/proc/kallsyms`.
        lines: Vec<u8>,
        /// `System.map`; empty if it isn't there.
        linked: Vec<u8>,
    },
    /// A kernel module.
    Module {
        /// What the guest calls it.
        name: String,
        /// Its file.
        elf: Vec<u8>,
        /// Names and addresses of its sections, a line each.
        sections: Vec<u8>,
    },
    /// A file that processes map.
    File {
        /// By what mappings refer to it.
        key: FileKey,
        /// Its path.
        path: String,
        /// The file.
        elf: Vec<u8>,
    },
    /// What a process maps.
    Maps(Maps),
}

/// What a process maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maps {
    /// Its number.
    pub pid: u32,
    /// What becomes of it.
    pub state: State,
    /// The script that it runs.
    pub script: Option<String>,
    /// Lines of `/proc/PID/maps`.
    pub lines: String,
}

/// What becomes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Runs,
    /// It runs no more code.
    Ends,
    /// It goes on, traced by another one.
    LetGo,
}

/// A file in a guest: the numbers of its device, as one, and of its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Major and minor number.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl Request {
    /// The request with this number that the guest's registers point at: RBX its structure, RCX that one's size.
    ///
    /// # Errors
    /// [`BadRequest`].
    pub fn parse(number: u32, memory: &GuestMemory, registers: &Registers) -> Result<Self, BadRequest> {
        let words = Words::read(number, memory, registers)?;
        Ok(match number {
            request::IMAGE => Self::Bulk(words.image()?),
            request::SYMBOLS => Self::Bulk(Bulk::Symbols {
                lines: words.bytes(0, barscope_guest_abi::MAX_IMAGE)?,
                linked: words.bytes(2, barscope_guest_abi::MAX_IMAGE)?,
            }),
            request::MODULE => Self::Bulk(Bulk::Module {
                name: words.text(0)?,
                elf: words.bytes(2, barscope_guest_abi::MAX_IMAGE)?,
                sections: words.bytes(4, barscope_guest_abi::MAX_IMAGE)?,
            }),
            request::FILE => Self::Bulk(words.file()?),
            request::MAPS => Self::Bulk(Bulk::Maps(words.maps()?)),
            _ => Self::Now(words.now()?),
        })
    }
}

/// A request's words, as the guest's memory holds them.
struct Words<'a> {
    request: u32,
    words: Vec<u64>,
    memory: &'a GuestMemory,
    registers: &'a Registers,
}

impl<'a> Words<'a> {
    fn read(request: u32, memory: &'a GuestMemory, registers: &'a Registers) -> Result<Self, BadRequest> {
        let expected = size_of_request(request).ok_or(BadRequest::Unknown(request))?;
        let given = registers.rcx;
        // Programs were built when a mapping had no file: what they don't give is zero.
        let earlier = (request == barscope_guest_abi::request::MAP)
            .then_some(offset_of!(barscope_guest_abi::Map, file));
        if given != expected as u64 && earlier.is_none_or(|earlier| given != earlier as u64) {
            return Err(BadRequest::Size { request, expected, given });
        }
        let empty = Self { request, words: Vec::new(), memory, registers };
        let bytes = empty.memory(registers.rbx, given)?;
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Ok(Self { words: bytes.chunks_exact(8).map(word).collect(), ..empty })
    }

    fn at(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    fn memory(&self, address: u64, length: u64) -> Result<Vec<u8>, BadRequest> {
        let bad = BadRequest::Pointer { request: self.request, address };
        // What memory can't hold isn't worth allocating for.
        if length > self.memory.size() {
            return Err(bad);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if read_virtual(self.memory, self.registers, address, &mut bytes) < bytes.len() {
            return Err(bad);
        }
        Ok(bytes)
    }

    /// The bytes that the words at `index` and after it point at.
    fn bytes(&self, index: usize, limit: u64) -> Result<Vec<u8>, BadRequest> {
        self.memory(self.at(index), self.at(index + 1).min(limit))
    }

    fn text(&self, index: usize) -> Result<String, BadRequest> {
        let bytes = self.bytes(index, barscope_guest_abi::MAX_TEXT)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bad(&self, field: &'static str, index: usize) -> BadRequest {
        BadRequest::Value { request: self.request, field, value: self.at(index) }
    }

    /// An address space: 0 stands for the kernel's part.
    fn address_space(&self, index: usize) -> Option<u64> {
        match self.at(index) {
            barscope_guest_abi::OWN_ADDRESS_SPACE => Some(self.registers.address_space()),
            cr3 => Some(cr3 & 0x000f_ffff_ffff_f000).filter(|cr3| *cr3 != 0),
        }
    }

    fn now(&self) -> Result<Now, BadRequest> {
        Ok(match self.request {
            request::MARK => Now::Mark(self.text(0)?),
            request::WARNING => Now::Warning(self.text(0)?),
            request::SCENARIO_BEGIN => Now::ScenarioBegin(self.text(0)?),
            request::SCENARIO_END => Now::ScenarioEnd { passed: self.at(0) == 1, summary: self.text(1)? },
            request::MAP => Now::Map(self.at(0), self.mapping()?),
            request::UNMAP => Now::Unmap(self.at(0)),
            request::WALK => Now::Walk { address: self.at(0), what: self.text(1)? },
            request::PROCESS => Now::Process(Process {
                address_space: self.registers.address_space(),
                pid: self.at(0),
                thread: None,
                name: self.text(1)?,
            }),
            request::COUNT => Now::Count {
                what: self.counted()?,
                value: self.at(1),
                address: self.at(2),
                error_code: self.at(3) as u32,
                rip: self.at(4),
            },
            request::ENTRIES => Now::Entries(self.entries()?),
            request::ISR_ENTER => Now::IsrEnter(self.at(0) as u8),
            request::ISR_EXIT => Now::IsrExit(self.at(0) as u8),
            request::IDLE => Now::Idle,
            request::FETCH => Now::Fetch { offset: self.at(0), to: self.at(1), length: self.at(2) },
            request::EXIT => Now::Exit(self.at(0)),
            request::TURN_END => Now::TurnEnd(self.at(0)),
            request::TIDY => Now::Tidy,
            unknown => return Err(BadRequest::Unknown(unknown)),
        })
    }

    /// The fields of `barscope_guest_abi::Map`, in their order.
    fn mapping(&self) -> Result<Mapping, BadRequest> {
        let path = match self.at(1) {
            barscope_guest_abi::path::IOREMAP => Path::Ioremap,
            barscope_guest_abi::path::MMAP => Path::Mmap,
            barscope_guest_abi::path::SYSFS => Path::Sysfs,
            barscope_guest_abi::path::DEV_MEM => Path::DevMem,
            barscope_guest_abi::path::DIRECT_MAP => Path::DirectMap,
            barscope_guest_abi::path::IOREMAP_WC => Path::IoremapWc,
            barscope_guest_abi::path::SYSFS_WC => Path::SysfsWc,
            barscope_guest_abi::path::UIO => Path::Uio,
            _ => return Err(self.bad("kind", 1)),
        };
        if self.at(0) == 0 {
            return Err(self.bad("id", 0));
        }
        Ok(Mapping {
            path,
            virtual_address: self.at(2),
            physical_address: self.at(3),
            length: self.at(4),
            address_space: self.address_space(5),
            announced: true,
            on_fault: self.at(6) == 1,
            who: self.text(7)?,
            call: self.text(9)?,
            of: self.file_part()?,
        })
    }

    /// The file of a mapping and the offset in it, which come last.
    fn file_part(&self) -> Result<Option<FilePart>, BadRequest> {
        let file = self.text(11)?;
        Ok((!file.is_empty()).then(|| FilePart { file, offset: self.at(13) }))
    }

    /// The fields of `barscope_guest_abi::Image`, in their order.
    fn image(&self) -> Result<Bulk, BadRequest> {
        let name = self.text(0)?;
        if self.at(3) > barscope_guest_abi::MAX_IMAGE {
            return Err(BadRequest::Image(name));
        }
        let elf = self.bytes(2, barscope_guest_abi::MAX_IMAGE)?;
        Ok(Bulk::Image { image: Image::new(name, self.address_space(4)), elf })
    }

    /// The fields of `barscope_guest_abi::File`, in their order.
    fn file(&self) -> Result<Bulk, BadRequest> {
        let path = self.text(2)?;
        if self.at(5) > barscope_guest_abi::MAX_IMAGE {
            return Err(BadRequest::Image(path));
        }
        let key = FileKey { device: self.at(0), inode: self.at(1) };
        Ok(Bulk::File { key, path, elf: self.bytes(4, barscope_guest_abi::MAX_IMAGE)? })
    }

    /// The fields of `barscope_guest_abi::Maps`, in their order.
    fn maps(&self) -> Result<Maps, BadRequest> {
        let state = match self.at(1) {
            barscope_guest_abi::state::RUNS => State::Runs,
            barscope_guest_abi::state::ENDS => State::Ends,
            barscope_guest_abi::state::LET_GO => State::LetGo,
            _ => return Err(self.bad("state", 1)),
        };
        let lines = self.bytes(4, barscope_guest_abi::MAX_MAPS)?;
        Ok(Maps {
            pid: u32::try_from(self.at(0)).map_err(|_| self.bad("pid", 0))?,
            state,
            script: Some(self.text(2)?).filter(|script| !script.is_empty()),
            lines: String::from_utf8_lossy(&lines).into_owned(),
        })
    }

    /// The fields of `barscope_guest_abi::Entries`, in their order.
    fn entries(&self) -> Result<Entries, BadRequest> {
        const LENGTH: u64 = size_of::<barscope_guest_abi::Ring>() as u64;
        let bytes = self.bytes(0, barscope_guest_abi::MAX_RINGS * LENGTH)?;
        let rings = bytes.chunks_exact(LENGTH as usize).map(|bytes| {
            let word = |at: usize| {
                bytes[8 * at..].iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
            };
            (word(0), word(1), word(2))
        });
        let ring = |(cpu, address, length): (u64, u64, u64)| {
            let bad = BadRequest::Value { request: self.request, field: "cpu", value: cpu };
            Ok(RingAt { cpu: u8::try_from(cpu).map_err(|_| bad)?, address, length })
        };
        let rings = rings.map(ring).collect::<Result<_, BadRequest>>()?;
        Ok(Entries { rings, system_call: self.at(2), page_fault: self.at(3) })
    }

    fn counted(&self) -> Result<Counted, BadRequest> {
        Ok(match self.at(0) {
            barscope_guest_abi::counted::KERNEL_ENTRIES => Counted::KernelEntries,
            barscope_guest_abi::counted::FAULT_RESOLVED => Counted::FaultResolved,
            barscope_guest_abi::counted::FAULT_FATAL => Counted::FaultFatal,
            _ => return Err(self.bad("what", 0)),
        })
    }
}

/// Size in bytes of the structure that a request points at.
fn size_of_request(number: u32) -> Option<usize> {
    Some(match number {
        request::MARK | request::SCENARIO_BEGIN | request::WARNING => size_of::<barscope_guest_abi::Mark>(),
        request::MAP => size_of::<barscope_guest_abi::Map>(),
        request::UNMAP => size_of::<barscope_guest_abi::Unmap>(),
        request::WALK => size_of::<barscope_guest_abi::Walk>(),
        request::IMAGE => size_of::<barscope_guest_abi::Image>(),
        request::SCENARIO_END => size_of::<barscope_guest_abi::ScenarioEnd>(),
        request::COUNT => size_of::<barscope_guest_abi::Count>(),
        request::FETCH => size_of::<barscope_guest_abi::Fetch>(),
        request::EXIT | request::TURN_END => size_of::<barscope_guest_abi::Exit>(),
        request::ISR_ENTER | request::ISR_EXIT => size_of::<barscope_guest_abi::Isr>(),
        request::SYMBOLS => size_of::<barscope_guest_abi::Symbols>(),
        request::MODULE => size_of::<barscope_guest_abi::Module>(),
        request::PROCESS => size_of::<barscope_guest_abi::Process>(),
        request::FILE => size_of::<barscope_guest_abi::File>(),
        request::MAPS => size_of::<barscope_guest_abi::Maps>(),
        request::ENTRIES => size_of::<barscope_guest_abi::Entries>(),
        request::IDLE | request::TIDY => 0,
        _ => return None,
    })
}
