//! Names that the guest tells: read from the bytes that it gave, then taken in.

use barscope_trace::{Capability, Knowledge};
use barscope_unwind::{Kernel, Space, Symbols};
use barscope_x86::{Registers, read_virtual};

use crate::guest_abi::{BadRequest, Bulk};
use crate::host::HostError;
use crate::kernel_module;
use crate::kernel_symbols::{KernelSymbols, Spaces};
use crate::shared::Shared;
use crate::threads::Reading;

/// A symbol that only Linux has.
const LINUX: &str = "init_task";

/// Reads names and takes them in. `registers` are those of the vCPU that told them.
///
/// # Errors
/// [`HostError`] if the trace fails.
pub fn read(shared: &Shared, registers: &Registers, bulk: Bulk) -> Reading {
    let done = match bulk {
        Bulk::Image { image, elf } => {
            let name = image.name.clone();
            let taken = shared.interned.lock().code.image(image, &elf)?;
            taken.map(drop).ok_or(BadRequest::Image(name))
        }
        Bulk::Symbols { lines, linked } => {
            symbols(shared, registers, &lines, &linked)?;
            Ok(())
        }
        Bulk::File { key, path, elf } => {
            let taken = shared.interned.lock().file(key, path.clone(), &elf)?;
            if taken { Ok(()) } else { Err(BadRequest::Image(path)) }
        }
        Bulk::Maps(maps) => {
            shared.interned.lock().maps(&Space::new(&shared.memory, registers), &maps)?;
            Ok(())
        }
        Bulk::Module { name, elf, sections } => module(shared, registers, name, elf, &sections)?,
    };
    if done.is_ok() {
        shared.dispatcher.know(Capability::Functions, Knowledge::Announced);
    }
    Ok(done)
}

/// The kernel's functions, and where it says that things are.
fn symbols(shared: &Shared, registers: &Registers, lines: &[u8], linked: &[u8]) -> Result<(), HostError> {
    let mut kernel = KernelSymbols::parse(lines);
    let registers = &match kernel.address(LINUX) {
        Some(address) => shared.isolation.find(&shared.memory, registers, address),
        None => *registers,
    };
    let moved = kernel.add_linked(KernelSymbols::parse(linked), &shared.memory, registers);
    if let Err(stranger) = moved.map_err(|stranger| stranger.to_string()) {
        shared.interned.lock().warn(&stranger)?;
    }
    let variable = |name: &str| {
        let mut bytes = [0; 8];
        let address = kernel.address(name)?;
        let read = read_virtual(&shared.memory, registers, address, &mut bytes);
        (read == bytes.len()).then(|| u64::from_le_bytes(bytes))
    };
    let spaces = Spaces::of_linux(variable("page_offset_base"), variable("vmalloc_base"));
    let known = Kernel::read(&Space::new(&shared.memory, registers), &kernel);
    let mut interned = shared.interned.lock();
    let untold = known.and_then(|known| interned.stacks.set_kernel(known)).err();
    // Other kernels have nothing to be read there.
    if let Some(untold) = untold.filter(|_| kernel.address(LINUX).is_some()) {
        interned.warn(&format!("no call stacks in the kernel: {untold}"))?;
    }
    Ok(interned.kernel_symbols(&kernel, spaces)?)
}

fn module(
    shared: &Shared,
    registers: &Registers,
    name: String,
    mut elf: Vec<u8>,
    sections: &[u8],
) -> Reading {
    let placed = kernel_module::place(&mut elf, &String::from_utf8_lossy(sections));
    let own_name = kernel_module::name(&elf).unwrap_or_else(|| name.clone());
    let read =
        |address, data: &mut [u8]| read_virtual(&shared.memory, registers, address, data) == data.len();
    let taken = placed.is_some() && shared.interned.lock().code.module(&read, &own_name, &elf)?;
    Ok(if taken { Ok(()) } else { Err(BadRequest::Image(name)) })
}
