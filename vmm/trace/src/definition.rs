//! What events refer to by id: written once, when it first occurs or changes.

use std::fmt;

use barscope_device::{BarIndex, Bdf, PciFunction, Region, RegisterMap, Space};
use serde::{Deserialize, Serialize};

/// The id of an interned [`Definition`]; they count from 1 across all kinds.
pub type Id = u32;

/// An interned record. Stored as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "define", rename_all = "kebab-case")]
pub enum Definition {
    /// The machine that the trace comes from; the first definition.
    Machine(Machine),
    /// A PCI function.
    Function(Function),
    /// A range of addresses that leads into a region of a function.
    Route(Route),
    /// A page walk. Its physical page never changes; another one is another walk.
    Walk(Walk),
    /// An instruction that accessed a device.
    Instruction(Instruction),
    /// A mapping of device memory into an address space.
    Mapping(Mapping),
    /// An executable with symbols. Unless a file is named, that follows as a blob: an ELF file, or lines of address,
    /// size and name for a kernel that has none.
    Image(Image),
    /// A file that programs map; its content follows as a blob.
    File(File),
    /// A process and its address space.
    Process(Process),
    /// A call stack: for whom code ran, and by which calls.
    Stack(Stack),
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// Something that this program doesn't know: a later one wrote it.
    #[serde(other)]
    Unknown,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// What runs, like `test kernel` or a file's name.
    pub guest: String,
    /// Number of vCPUs.
    pub vcpus: u8,
    /// Guest memory in bytes.
    pub memory: u64,
}

/// A PCI function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its address.
    pub bdf: Bdf,
    /// The model's name.
    pub name: String,
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Its BARs.
    pub bars: Vec<Bar>,
    /// Message-signalled interrupt vectors, 0 without MSI.
    pub msi_vectors: u8,
    /// The same of MSI-X.
    pub msix_vectors: u16,
    /// Its registers.
    pub register_maps: Vec<RegisterMap>,
    /// Regions whose accesses may be served otherwise than one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untrapped: Vec<Region>,
}

impl Function {
    /// That of a function, with the registers of its configuration space.
    pub fn new(bdf: Bdf, function: &PciFunction) -> Self {
        let header = function.header();
        let mut register_maps = function.register_maps().to_vec();
        let registers = function.configuration_registers().into();
        register_maps.push(RegisterMap { region: Region::Config, registers });
        let bars = header.bars.iter().map(|bar| Bar {
            index: bar.index,
            space: bar.space,
            size: bar.size,
            wide: bar.wide,
            prefetchable: bar.prefetchable,
        });
        Self {
            bdf,
            name: function.name().to_owned(),
            vendor: header.vendor,
            device: header.device,
            bars: bars.collect(),
            msi_vectors: header.msi().map_or(0, |msi| msi.vectors),
            msix_vectors: header.msix().map_or(0, |msix| msix.vectors),
            register_maps,
            untrapped: function.untrapped().to_vec(),
        }
    }
}

/// A BAR of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Its number.
    pub index: BarIndex,
    /// Memory or I/O.
    pub space: Space,
    /// Size in bytes.
    pub size: u64,
    /// 64 bits wide.
    pub wide: bool,
    /// Prefetchable.
    pub prefetchable: bool,
}

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// The function's definition; `None` for a register of the host bridge itself (CONFIG_ADDRESS).
    pub function: Option<Id>,
    /// The region that it leads into.
    pub region: Region,
    /// Memory or I/O.
    pub space: Space,
    /// Guest physical address or port of its first byte.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// A page walk from CR3 to the page of a device access.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Walk {
    /// CR3.
    pub cr3: u64,
    /// Virtual address of the page.
    pub page: u64,
    /// Size of the page in bytes: 4 KiB, 2 MiB or 1 GiB.
    pub page_size: u64,
    /// The entries met, from the top level (PML5 or PML4) down to the leaf.
    pub entries: Vec<u64>,
    /// 4 or 5 levels.
    pub levels: u8,
    /// Every entry has U/S set: ring 3 may use it.
    pub user: bool,
    /// Every entry has R/W set.
    pub writable: bool,
    /// The memory type that the last entry asks for through PAT; `None` with paging off, and where it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pat: Option<MemoryType>,
    /// The memory type that the MTRRs say of the address; never UC-. `None` where it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtrr: Option<MemoryType>,
    /// The effective memory type: what PAT and MTRRs make of it together; never UC-.
    pub memory_type: MemoryType,
    /// The path that the page belongs to.
    pub path: Path,
    /// Whether the guest said so, or the VMM inferred it from the walk.
    pub announced: bool,
    /// The announced mapping's definition.
    pub mapping: Option<Id>,
    /// The definition of the process whose address space it is, if the guest said so and ring 3 may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Id>,
}

impl Walk {
    /// Virtual address of guest physical `address`, which lies in the page.
    pub fn virtual_address(&self, address: u64) -> u64 {
        self.page | address & self.page_size.wrapping_sub(1)
    }

    /// Whether the page is a program's: ring 3 may use it, and it lies in the lower half, that is no kernel's.
    pub fn in_program(&self) -> bool {
        self.user && self.page >> 63 == 0
    }
}

/// A memory type, as x86 names it; Intel SDM volume 3, section "Memory Cache Control".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MemoryType {
    /// Uncacheable.
    #[serde(rename = "UC")]
    Uncacheable,
    /// Uncacheable, unless an MTRR says write-combining. What `ioremap` and `pgprot_noncached` ask for; no
    /// access has it in effect.
    #[serde(rename = "UC-")]
    UncacheableMinus,
    /// Write-combining.
    #[serde(rename = "WC")]
    WriteCombining,
    /// Write-through.
    #[serde(rename = "WT")]
    WriteThrough,
    /// Write-protected.
    #[serde(rename = "WP")]
    WriteProtected,
    /// Write-back.
    #[serde(rename = "WB")]
    WriteBack,
}

impl MemoryType {
    /// All of them.
    pub const ALL: [MemoryType; 6] = [
        MemoryType::Uncacheable,
        MemoryType::UncacheableMinus,
        MemoryType::WriteCombining,
        MemoryType::WriteThrough,
        MemoryType::WriteProtected,
        MemoryType::WriteBack,
    ];

    /// UC, or UC- which asks for it: no access is merged, cached or speculated.
    pub const fn uncached(self) -> bool {
        matches!(self, MemoryType::Uncacheable | MemoryType::UncacheableMinus)
    }

    /// As the manual abbreviates it.
    pub const fn name(self) -> &'static str {
        match self {
            MemoryType::Uncacheable => "UC",
            MemoryType::UncacheableMinus => "UC-",
            MemoryType::WriteCombining => "WC",
            MemoryType::WriteThrough => "WT",
            MemoryType::WriteProtected => "WP",
            MemoryType::WriteBack => "WB",
        }
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a virtual address came to lead to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// `ioremap`, and what asks it for no more than uncached pages.
    Ioremap,
    /// `ioremap_wc`.
    IoremapWc,
    /// A driver's `mmap` file operation.
    Mmap,
    /// `mmap` of a sysfs `resourceN` file.
    Sysfs,
    /// `mmap` of a sysfs `resourceN_wc` file.
    SysfsWc,
    /// `mmap` of a UIO device's file.
    Uio,
    /// `mmap` of `/dev/mem`.
    DevMem,
    /// The kernel's linear mapping of physical memory.
    DirectMap,
    /// Something else.
    Unknown,
}

impl Path {
    /// All of them.
    pub const ALL: [Path; 9] = [
        Path::Ioremap,
        Path::IoremapWc,
        Path::Mmap,
        Path::Sysfs,
        Path::SysfsWc,
        Path::Uio,
        Path::DevMem,
        Path::DirectMap,
        Path::Unknown,
    ];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Ioremap => "ioremap",
            Path::IoremapWc => "ioremap_wc",
            Path::Mmap => "mmap",
            Path::Sysfs => "sysfs",
            Path::SysfsWc => "sysfs_wc",
            Path::Uio => "uio",
            Path::DevMem => "/dev/mem",
            Path::DirectMap => "direct",
            Path::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An instruction that accessed a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instruction {
    /// Virtual address of its first byte.
    pub rip: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The address space that it was fetched from: a CR3.
    pub cr3: u64,
    /// Decoding backwards found more than one candidate that fits.
    pub ambiguous: bool,
    /// Width of the code in bits, as a decoder needs it: 16, 32 or 64.
    #[serde(default = "sixty_four")]
    pub code_size: u8,
    /// The definition of the image that held the address when this was defined. Without one, the first
    /// image that comes later and holds it names the code: symbols may arrive late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Id>,
}

fn sixty_four() -> u8 {
    64
}

/// A mapping that the guest announced, or that was read from what its kernel says of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// What made it.
    pub path: Path,
    /// Virtual address of its first byte.
    pub virtual_address: u64,
    /// Bus address of its first byte; 0 if it isn't known, for one that was not announced.
    pub physical_address: u64,
    /// Length in bytes.
    pub length: u64,
    /// The address space that it is in: a CR3; `None` for the kernel's part, that all share.
    pub address_space: Option<u64>,
    /// The guest announced it. Of one that it didn't no event tells when it came or went, and it may be defined after
    /// accesses that went through it.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub announced: bool,
    /// Filled on first touch.
    pub on_fault: bool,
    /// Who asked for it.
    pub who: String,
    /// The call that made it.
    pub call: String,
    /// What of which file it is, for one that a program asked for; `None` if that isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<FilePart>,
}

/// A part of a file that a program asks for, as `mmap` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// The file's name: its path in Linux.
    pub file: String,
    /// Offset of its first byte, in bytes.
    pub offset: u64,
}

impl Mapping {
    /// Whether the page that a walk leads to is in it.
    pub fn holds(&self, walk: &Walk) -> bool {
        let same = |space: u64| (space ^ walk.cr3) & ADDRESS_SPACE == 0;
        self.address_space.is_none_or(same)
            && walk.page < self.virtual_address.saturating_add(self.length)
            && self.virtual_address < walk.page.saturating_add(walk.page_size)
    }
}

fn yes() -> bool {
    true
}

/// CR3 without its flags and the process-context identifier.
const ADDRESS_SPACE: u64 = 0x000f_ffff_ffff_f000;

/// A process, or one of its threads, as the guest announced it or as its kernel's memory says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its address space: a CR3; 0 for a thread of the kernel.
    pub address_space: u64,
    /// Its number, which all its threads have in common.
    pub pid: u64,
    /// The number of the thread, where it is known and isn't the process's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    /// The name of its command; a thread may have one of its own.
    pub name: String,
}

/// A call stack: for whom the code of an access ran, and by which calls. The instruction itself is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// The definition of the process that the processor had at work, interrupted or not; `None` if it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Id>,
    /// Frames from the innermost outwards; none where none were asked for.
    pub frames: Vec<Frame>,
    /// Why the outermost frames are missing; `None` if the stack was followed to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// A frame of a call stack: a place that code goes on at later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// How the code within came to run, and so what `address` is.
    #[serde(flatten)]
    pub how: Entered,
    /// Virtual address: for a call the one that it returns to, else that of the instruction to go on with.
    pub address: u64,
    /// The address space that the code is in: a CR3; 0 for the kernel's part, that all share.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cr3: u64,
    /// The definition of the image that held the address when this was defined; as for an [`Instruction`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Id>,
}

/// How code came to run that a frame is outside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "entered", rename_all = "kebab-case")]
pub enum Entered {
    /// By a call.
    Call,
    /// By a system call.
    SystemCall {
        /// Its number.
        number: u64,
    },
    /// By an interrupt.
    Interrupt,
    /// By an exception, like a page fault.
    Exception,
}

/// Why a call stack ends before its outermost frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Only the innermost frames were asked for.
    Asked,
    /// It has more frames than are followed.
    Deep,
    /// Nothing says how to leave the code at the last address.
    NoTable,
    /// Memory that the stack or a table lies in isn't there.
    NotMapped,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An executable whose symbols and lines name code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// A name for people.
    pub name: String,
    /// The address space that it is in: a CR3; `None` for the kernel's part, that all share.
    pub address_space: Option<u64>,
    /// The definition of the file that is mapped there; `None` if that is this definition's own blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Id>,
    /// What is to be added to the file's addresses, modulo 2^64.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bias: u64,
}

impl Image {
    /// One at the addresses that its own blob says.
    pub fn new(name: impl Into<String>, address_space: Option<u64>) -> Self {
        Self { name: name.into(), address_space, file: None, bias: 0 }
    }
}

/// A file that programs map: an executable or a shared library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the guest.
    pub path: String,
}
