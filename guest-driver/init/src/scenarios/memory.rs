//! Other mappings: write-combining, sysfs, `/dev/mem`, a file; and what `memcpy` makes of one.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::{Errno, Outcome, refused, same};
use crate::bench;
use crate::lab::{self, Lab};
use crate::mapping::{Mapping, Source};
use crate::pci::Function;

const PAGE: usize = 4096;
/// Bytes that are copied at once.
const COPY: usize = 256;
const O_SYNC: i32 = 0o4_010_000;
/// Signal that an instruction ends with which the processor, or here KVM, doesn't know.
const SIGILL: i32 = 4;

/// BAR 2 by the driver's `mmap`.
pub fn write_combining() -> Outcome {
    let lab = Lab::open()?;
    let memory = lab.map(lab::MEMORY_BAR, lab::MMAP_MEMORY, PAGE, false)?;
    bench::mark("stores");
    for word in 0..16 {
        memory.write(word * 4, word as u32);
    }
    // SAFETY: orders stores, no more.
    unsafe { std::arch::x86_64::_mm_sfence() };
    bench::mark("loads");
    for word in 0..16 {
        same("a word of BAR 2", memory.read(word * 4), word as u32)?;
    }
    Ok("page tables say write-combining; the bench traps each store by itself".to_owned())
}

/// `resource0` and `resource2_wc`, with the driver and without.
pub fn sysfs() -> Outcome {
    let function = Function::find(lab::VENDOR, lab::DEVICE)?;
    let registers = function.open("resource0")?;
    refused("resource0 with a driver", Mapping::plain(&registers, 0, PAGE), Errno::EINVAL)?;
    function.unbind()?;
    function.write("enable", "1")?;
    bench::mark("no driver");
    let map = |file: &str, bar: usize| -> io::Result<Mapping> {
        let source = Source {
            path: barscope_guest_abi::path::SYSFS,
            name: file,
            physical_address: function.bar(bar)?,
            on_fault: false,
        };
        Mapping::device(&function.open(file)?, 0, PAGE, &source)
    };
    let registers = map("resource0", lab::REGISTERS_BAR)?;
    same("ID through resource0", registers.read(lab::ID), lab::ID_VALUE)?;
    let memory = map("resource2_wc", lab::MEMORY_BAR)?;
    memory.write(0, 0x5afe_5afe);
    same("BAR 2 through resource2_wc", memory.read(0), 0x5afe_5afe)?;
    drop((registers, memory));
    function.write("enable", "0")?;
    Ok("refused while a driver claims the BAR, allowed without one".to_owned())
}

/// `/dev/mem` at BAR 0.
pub fn dev_mem() -> Outcome {
    let function = Function::find(lab::VENDOR, lab::DEVICE)?;
    let relaxed = std::fs::read_to_string("/proc/cmdline")?.contains("iomem=relaxed");
    let physical_address = function.bar(lab::REGISTERS_BAR)?;
    let memory = OpenOptions::new().read(true).write(true).custom_flags(O_SYNC).open("/dev/mem")?;
    let map = || {
        let source = Source {
            path: barscope_guest_abi::path::DEV_MEM,
            name: "/dev/mem",
            physical_address,
            on_fault: false,
        };
        Mapping::device(&memory, physical_address, PAGE, &source)
    };
    if relaxed {
        same("ID through /dev/mem", map()?.read(lab::ID), lab::ID_VALUE)?;
        return Ok("allowed beside a driver: the kernel was started with iomem=relaxed".to_owned());
    }
    refused("/dev/mem with a driver", map(), Errno::EPERM)?;
    function.unbind()?;
    function.write("enable", "1")?;
    bench::mark("no driver");
    same("ID through /dev/mem", map()?.read(lab::ID), lab::ID_VALUE)?;
    function.write("enable", "0")?;
    Ok("refused while a driver claims the BAR (IO_STRICT_DEVMEM), allowed without one".to_owned())
}

/// A regular file, mapped like the device, and how the page tables lead to the one and the other.
pub fn file_mapping() -> Outcome {
    let path = "/tmp/file";
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(PAGE as u64)?;
    let mapping = Mapping::plain(&file, 0, PAGE)?;
    bench::mark("stores to a file");
    mapping.write(lab::SCRATCH, 0xf11e);
    let mut bytes = [0; 4];
    file.seek(SeekFrom::Start(lab::SCRATCH as u64))?;
    file.read_exact(&mut bytes)?;
    same("the file's bytes", u32::from_le_bytes(bytes), 0xf11e)?;
    same("the mapping", mapping.read(lab::SCRATCH), 0xf11e)?;
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    for (mapping, what) in [(&registers, "the device's file"), (&mapping, "a regular file")] {
        bench::walk(mapping.address().wrapping_add(lab::SCRATCH), what);
    }
    Ok("loads and stores reached the page cache, and no device".to_owned())
}

/// The C library's `memcpy` to device memory and from it, in a process that may not survive it.
pub fn memcpy() -> Outcome {
    let status = Command::new(std::env::args().next().unwrap_or_default()).arg("copy").status()?;
    let said = match (status.success(), status.signal()) {
        (true, _) => "went well",
        (_, Some(SIGILL)) => "ended with SIGILL: KVM can't emulate the vector instruction it was made of",
        _ => return Err(format!("memcpy: {status}").into()),
    };
    Ok(format!("memcpy of {COPY} bytes {said}"))
}

/// Copies to BAR 2, and from it.
pub fn copy() -> Outcome {
    let lab = Lab::open()?;
    let memory = lab.map(lab::MEMORY_BAR, lab::MMAP_MEMORY, PAGE, false)?;
    let sent: Vec<u8> = (0..=u8::MAX).cycle().take(COPY).collect();
    let mut copy = vec![0_u8; COPY];
    bench::mark("memcpy to the device");
    // SAFETY: both are as long, and don't overlap. A device's memory may be written as plain bytes.
    unsafe { std::ptr::copy_nonoverlapping(sent.as_ptr(), memory.address(), sent.len()) };
    bench::mark("memcpy from the device");
    // SAFETY: the same; it may be read so, too.
    unsafe { std::ptr::copy_nonoverlapping(memory.address().cast_const(), copy.as_mut_ptr(), copy.len()) };
    if copy != sent {
        return Err("the device holds something else".into());
    }
    Ok("copied".to_owned())
}
