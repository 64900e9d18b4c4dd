//! A machine: put together from a kernel, functions and a trace, then started.

use std::io::{Read, Write};
use std::mem;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use barscope_device::{Bdf, Devices, PciDevice, PciFunction};
use barscope_guests::TEST_KERNEL;
use barscope_trace::definition::{self, Definition};
use barscope_trace::{Capability, Clock, Knowledge, WriteOptions, Writer};
use kvm_ioctls::Kvm;
use object::{Object, ObjectSymbol, SymbolKind};
use vm_superio::serial::SerialState;

use crate::boot::{self, BootError, BootModule, BootProtocol, Hardware, Payload};
use crate::chipset::{Chipset, ExitStatus, Items};
use crate::console::Console;
use crate::dispatch::{Dispatcher, SPIN_LIMIT};
use crate::host::{self, HostError};
use crate::interned::{Interned, StackDepth};
use crate::memory::GuestMemory;
use crate::observer::Observer;
use crate::placement::{Asking, NoRoom, Placement};
use crate::platform::KvmPlatform;
use crate::running::{Parts, Running};
use crate::shared::Shared;
use crate::threads::{Job, Relay, Requests, spawn};
use crate::vcpu::{self, Core, Feature, Processor, Vcpu};
use crate::vm::{Board, Vm};
use crate::{capable, layout, typing};

/// What to build a machine from.
pub struct Config {
    /// What to boot: a Linux bzImage, a multiboot kernel, or an ELF file with a PVH note.
    pub kernel: Vec<u8>,
    /// What is loaded beside it: one first file system, or a multiboot kernel's modules.
    pub modules: Vec<BootModule>,
    /// What the guest can fetch by the guest ABI: an archive in the kernel's "newc" format.
    pub archive: Vec<u8>,
    /// What to call it in the trace.
    pub kernel_name: String,
    /// The kernel's command line.
    pub command_line: String,
    /// Guest memory in MiB, within [`layout::MEMORY_MIB`].
    pub memory_mib: u64,
    /// Number of vCPUs, within [`layout::CPUS`]. All but the first wait for INIT and SIPI.
    pub cpus: u8,
    /// Features that processors are kept from.
    pub without: Vec<Feature>,
    /// Functions beside the host bridge.
    pub devices: Devices,
    /// Whether BARs have addresses and are decoded when the kernel starts, as PC firmware leaves them.
    pub firmware: bool,
    /// The clock that devices see.
    pub clock: Clock,
    /// How to read a status that the guest ends with by `isa-debug-exit`.
    pub exit_status: ExitStatus,
    /// So many equal reads of a register are recorded as a spin; 0 for never.
    pub spin_limit: u64,
    /// Where the trace goes.
    pub trace: PathBuf,
    /// How long it may become, and what it may replace.
    pub trace_options: WriteOptions,
    /// Programs run in the guest that don't announce their mappings.
    pub foreign_programs: bool,
    /// How much of call stacks is recorded.
    pub stacks: StackDepth,
    /// Where what it takes to follow one deep stack is written to, for benchmarks and tests.
    pub capture_stack: Option<PathBuf>,
    /// Where the serial port's output goes.
    pub console: Box<dyn Write + Send>,
    /// What is typed at the serial port.
    pub typed: Option<Box<dyn Read + Send>>,
    /// What to open instead of `/dev/kvm`.
    pub kvm: Option<PathBuf>,
}

impl Config {
    /// The embedded test kernel on 32 MiB, its clock virtual, without firmware: its driver gives BARs their
    /// addresses.
    pub fn test_kernel(trace: impl Into<PathBuf>, devices: Devices) -> Self {
        Self {
            kernel: TEST_KERNEL.to_vec(),
            modules: Vec::new(),
            archive: Vec::new(),
            kernel_name: "test kernel".to_owned(),
            command_line: String::new(),
            memory_mib: 32,
            cpus: 1,
            without: Vec::new(),
            devices,
            firmware: false,
            clock: Clock::Virtual,
            exit_status: ExitStatus::default(),
            spin_limit: SPIN_LIMIT,
            trace: trace.into(),
            trace_options: WriteOptions::default(),
            foreign_programs: false,
            stacks: StackDepth::Full,
            capture_stack: None,
            console: Box::new(std::io::sink()),
            typed: None,
            kvm: None,
        }
    }
}

/// A machine can't be built.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The host can't.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The kernel can't be booted.
    #[error("{kernel}: {source}")]
    Boot {
        /// What the kernel is called.
        kernel: String,
        /// What is wrong with it.
        source: BootError,
    },
    /// Two functions with one address.
    #[error("two devices at {0}; give one of them another address")]
    SameAddress(Bdf),
    /// A function that configuration space has no place for.
    #[error("no bus {bus:02x} for a device at {bdf}; all devices are on bus 00")]
    NoBus {
        /// The function's address.
        bdf: Bdf,
        /// Its bus.
        bus: u8,
    },
    /// A function that no guest looks for.
    #[error("no function 0 beside the device at {bdf}, so that no guest finds it; put one at {first}")]
    NoFunctionZero {
        /// The function's address.
        bdf: Bdf,
        /// Where a function has to be for that.
        first: Bdf,
    },
    /// Functions that ask for more addresses than there are.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// Builds a machine and starts its vCPUs.
///
/// # Errors
/// [`MachineError`], before a guest instruction ran.
pub fn start(config: Config) -> Result<Running, MachineError> {
    start_observed(config, |_| ())
}

/// The same with somebody who watches each vCPU, made for its number.
///
/// # Errors
/// As [`start`].
pub fn start_observed<O: Observer>(
    mut config: Config,
    observer: impl FnMut(u8) -> O,
) -> Result<Running, MachineError> {
    let kvm = host::open_kvm(config.kvm.as_ref())?;
    let devices = Placed::new(&kvm, mem::take(&mut config.devices))?;
    let memory = GuestMemory::new(config.memory_mib << 20)?;
    let cpus = config.cpus;
    let payload = Payload {
        kernel: &config.kernel,
        name: &config.kernel_name,
        modules: &config.modules,
        command_line: &config.command_line,
    };
    let hardware = Hardware { cpus, above_4_gib: devices.placement.above_4_gib().clone() };
    let protocol = boot::load(&memory, &payload, &hardware)
        .map_err(|source| MachineError::Boot { kernel: config.kernel_name.clone(), source })?;
    if matches!(protocol, BootProtocol::Linux { .. }) && !capable::runs_linux(&kvm)? {
        return Err(HostError::NoLinux.into());
    }

    // KVM waits milliseconds after each of these but the first, for readers that there are none of yet: at once, then,
    // and beside what else there is to do.
    let fd = Arc::new(host::create_vm(&kvm)?);
    memory.register(&fd)?;
    let own = Arc::clone(&fd);
    let controllers = spawn("controllers".to_owned(), move || host::create_irq_chip(&own))?;
    vcpu::trap(&fd)?;

    let uncacheable = devices.placement.uncacheable();
    let without = mem::take(&mut config.without);
    let board = Board { kvm: Arc::new(kvm), fd, memory, serial: SerialState::default() };
    let assembled = assemble(config, &board, devices, || {
        controllers.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    let mut cores = Vec::new();
    for index in 0..cpus {
        let processor = Processor { index, cpus, without: &without };
        cores.push(Core::new(&board.kvm, &board.fd, processor, &uncacheable)?);
    }
    if let Some(first) = cores.first_mut() {
        first.start_at(protocol)?;
    }
    Ok(run(board, assembled, cores, observer)?)
}

/// Lets a VM go on whose guest has ended a turn: with functions as after reset, and a new trace. Of the configuration,
/// what decides about the VM itself has to be what it was: kernel, memory, processors.
///
/// # Errors
/// [`MachineError`], before a guest instruction ran.
pub fn go_on(mut config: Config, vm: Vm) -> Result<Running, MachineError> {
    let devices = Placed::new(&vm.board.kvm, mem::take(&mut config.devices))?;
    let assembled = assemble(config, &vm.board, devices, || Ok(()))?;
    vm.clock.set(&vm.board.fd, &vm.cores)?;
    Ok(run(vm.board, assembled, vm.cores, |_| ())?)
}

/// Functions, and where firmware puts them.
struct Placed {
    functions: Vec<(Bdf, PciFunction)>,
    placement: Placement,
}

impl Placed {
    fn new(kvm: &Kvm, devices: Devices) -> Result<Self, MachineError> {
        let functions = functions(devices)?;
        let asking: Vec<_> = functions.iter().map(Asking::of).collect();
        let placement = Placement::new(&asking, vcpu::reachable_bits(kvm)?)?;
        Ok(Self { functions, placement })
    }
}

/// What stands around the vCPUs.
struct Assembled {
    shared: Arc<Shared>,
    writer: Writer,
    platform: Arc<KvmPlatform>,
    console: Relay,
    jobs: Receiver<Job>,
}

/// Begins a trace, and puts together what records in it. `controllers` waits for the VM's interrupt controllers.
fn assemble(
    config: Config,
    board: &Board,
    devices: Placed,
    controllers: impl FnOnce() -> Result<(), HostError>,
) -> Result<Assembled, MachineError> {
    let Board { fd: vm, memory, serial, .. } = board;
    let Placed { functions, placement } = devices;
    let cpus = config.cpus;
    let writer = Writer::create_with(&config.trace, config.clock, config.trace_options);
    let writer = writer.map_err(HostError::from)?;
    tell_capabilities(&writer, &config.kernel);
    let machine =
        definition::Machine { guest: config.kernel_name.clone(), vcpus: cpus, memory: memory.size() };
    writer.define(&Definition::Machine(machine)).map_err(HostError::from)?;
    let platform = Arc::new(KvmPlatform::new(Arc::clone(vm), memory.clone(), config.clock)?);
    let dispatcher =
        Dispatcher::new(functions, config.clock, Arc::clone(&platform), memory.size(), writer.clone())
            .map_err(HostError::from)?
            .with_spin_limit(config.spin_limit);
    controllers()?;
    if config.firmware {
        dispatcher.run_firmware(&placement, &mut writer.lane(None))?;
    }
    let mut interned = Interned::new(&writer, config.stacks);
    *interned.stacks.capture_to() = config.capture_stack;
    let image = definition::Image::new(config.kernel_name, None);
    interned.code.kernel(image, &config.kernel).map_err(HostError::from)?;
    for content in config.modules.iter().map(|module| &module.content).chain([&config.archive]) {
        interned.code.take_files(content);
    }

    let relay = Relay::start(config.console)?;
    let console = Console::new(Arc::clone(vm), relay.clone(), serial);
    let console = console.map_err(|source| HostError::system("KVM_IRQ_LINE", source))?;
    let items = Items { memory_size: memory.size(), cpus, command_line: &config.command_line };
    let ports = (console, Chipset::new(config.exit_status, &items));
    let foreign_programs = config.foreign_programs;
    let (requests, jobs) = Requests::new();
    let mut for_guest = (config.archive.len() as u64).to_le_bytes().to_vec();
    for_guest.extend(config.archive);
    let shared =
        Shared::new(dispatcher, memory.clone(), interned, ports, requests, cpus, foreign_programs, for_guest);
    let shared = Arc::new(shared);
    if let Some(typed) = config.typed {
        typing::start(typed, &shared)?;
    }
    Ok(Assembled { shared, writer, platform, console: relay, jobs })
}

fn run<O: Observer>(
    board: Board,
    assembled: Assembled,
    cores: Vec<Core>,
    mut observer: impl FnMut(u8) -> O,
) -> Result<Running, HostError> {
    let Assembled { shared, writer, platform, console, jobs } = assembled;
    let vcpus = (0..).zip(cores).map(|(index, core)| {
        let lane = writer.lane(Some(index));
        Vcpu::new(core, Arc::clone(&shared), lane, observer(index))
    });
    let vcpus = vcpus.collect();
    Running::start(vcpus, Parts { shared, writer, platform, console, jobs, board })
}

/// What the test kernel announces.
const ANNOUNCED_BY_TEST_KERNEL: [Capability; 7] = [
    Capability::Handlers,
    Capability::Paths,
    Capability::KernelMappings,
    Capability::UserMappings,
    Capability::KernelEntries,
    Capability::PageFaults,
    Capability::Functions,
];

/// What the trace can tell from the beginning. Other guests announce what they announce; their mappings' paths are
/// inferred.
fn tell_capabilities(writer: &Writer, kernel: &[u8]) {
    if kernel == TEST_KERNEL {
        for capability in ANNOUNCED_BY_TEST_KERNEL {
            writer.know(capability, Knowledge::Announced);
        }
        return;
    }
    writer.know(Capability::Paths, Knowledge::Inferred);
    let names_functions = |file: object::File<'_>| {
        file.symbols().any(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
    };
    if object::File::parse(kernel).is_ok_and(names_functions) {
        writer.know(Capability::Functions, Knowledge::Announced);
    }
}

/// The host bridge at 00:00.0 and the devices, in the order of their addresses.
pub(crate) fn functions(devices: Devices) -> Result<Vec<(Bdf, PciFunction)>, MachineError> {
    let buses = (layout::ECAM_SIZE >> 20) as u8;
    let bridge: (Bdf, Box<dyn PciDevice>) = (Bdf::from_routing_id(0), Box::new(barscope_device::HostBridge));
    let mut all = vec![bridge];
    all.extend(devices);
    all.sort_by_key(|(bdf, _)| *bdf);
    for pair in all.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(MachineError::SameAddress(pair[0].0));
        }
    }
    for (bdf, _) in &all {
        if bdf.bus() >= buses {
            return Err(MachineError::NoBus { bdf: *bdf, bus: bdf.bus() });
        }
    }
    let addresses: Vec<Bdf> = all.iter().map(|(bdf, _)| *bdf).collect();
    let at_the_number_of = |bdf: Bdf| {
        addresses.iter().filter(move |other| (other.bus(), other.device()) == (bdf.bus(), bdf.device()))
    };
    for &bdf in &addresses {
        if at_the_number_of(bdf).all(|other| other.function() != 0) {
            let first = Bdf::from_routing_id(bdf.routing_id() & !7);
            return Err(MachineError::NoFunctionZero { bdf, first });
        }
    }
    let function = |(bdf, device)| {
        let function = PciFunction::new(device);
        (bdf, if at_the_number_of(bdf).count() > 1 { function.multi_function() } else { function })
    };
    Ok(all.into_iter().map(function).collect())
}
