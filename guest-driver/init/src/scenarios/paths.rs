//! Ways to a register: the driver's own mapping, its file, a mapping of the program's.

use std::os::unix::fs::FileExt;

use super::{Errno, Outcome, ensure, refused, same};
use crate::count::{Counted, Entries};
use crate::lab::{self, Lab};
use crate::{bench, system};

/// How often something is done that is counted.
const TIMES: u64 = 100;

/// The driver has probed the device by now.
pub fn probe() -> Outcome {
    let lab = Lab::open()?;
    let info = lab.info()?;
    ensure(info.irq == lab::IRQ_MSIX, format!("no MSI-X but kind {}", info.irq))?;
    Ok(format!("the driver found the device, and took {} vectors of MSI-X", info.vectors))
}

/// The same register by a system call and by a load.
pub fn ioctl_and_mmap() -> Outcome {
    let lab = Lab::open()?;
    lab.write(lab::SCRATCH, 0xc0ff_ee01)?;
    let registers = lab.map_registers()?;
    same("a load after the driver's write", registers.read(lab::SCRATCH), 0xc0ff_ee01)?;
    registers.write(lab::SCRATCH, 0xc0ff_ee02);
    same("the driver's read after a store", lab.read(lab::SCRATCH)?, 0xc0ff_ee02)?;

    let mut compute = lab::Compute { opcode: lab::OPCODE_FACTORIAL, operand: 5, ..lab::Compute::default() };
    system::control(&lab.file, lab::LAB_COMPUTE, &mut compute)?;
    same("5! by the driver", compute.result, 120)?;
    same("5! by a load", registers.read(lab::RESULT), 120)?;

    let entries = Entries::new()?;
    let counted = entries.told("loads", || {
        for _ in 0..TIMES {
            registers.read(lab::SCRATCH);
        }
    })?;
    none(counted)?;
    Ok(format!("each side read what the other wrote; {TIMES} loads entered the kernel 0 times"))
}

/// `pread` and `pwrite` beside loads and stores.
pub fn calls_or_loads() -> Outcome {
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    let entries = Entries::new()?;
    let at = lab::SCRATCH as u64;
    let mut failed = None;
    let calls = entries.told("calls", || {
        for turn in 0..TIMES as u32 {
            let mut bytes = turn.to_le_bytes();
            let done = if turn % 2 == 0 {
                lab.file.write_all_at(&bytes, at)
            } else {
                lab.file.read_exact_at(&mut bytes, at)
            };
            failed = failed.take().or(done.err());
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    ensure(calls == Counted { calls: TIMES, faults: 0 }, format!("{TIMES} calls: {calls:?}"))?;
    same("what the last call wrote", registers.read(lab::SCRATCH), TIMES as u32 - 2)?;
    let loads = entries.told("loads and stores", || {
        for turn in 0..TIMES as u32 {
            if turn % 2 == 0 {
                registers.write(lab::SCRATCH, turn);
            } else {
                registers.read(lab::SCRATCH);
            }
        }
    })?;
    none(loads)?;
    Ok(format!("{TIMES} calls entered the kernel {TIMES} times, {TIMES} loads and stores never"))
}

fn none(counted: Counted) -> std::io::Result<()> {
    ensure(counted == Counted { calls: 0, faults: 0 }, format!("loads entered the kernel: {counted:?}"))
}

/// A mapping that `mmap` fills, and one that page faults do.
pub fn mmap_by_fault() -> Outcome {
    let lab = Lab::open()?;
    let entries = Entries::new()?;
    let up_front = lab.map_registers()?;
    let counted = entries.told("first touch of a mapping made at once", || {
        up_front.read(lab::ID);
    })?;
    none(counted)?;
    let by_fault = lab.map(lab::REGISTERS_BAR, lab::MMAP_ON_FAULT, lab::REGISTERS_SIZE, true)?;
    let mut id = 0;
    let counted = entries.told("first touch of a mapping made by faults", || id = by_fault.read(lab::ID))?;
    ensure(counted == Counted { calls: 0, faults: 1 }, format!("the first touch: {counted:?}"))?;
    bench::count(barscope_guest_abi::counted::FAULT_RESOLVED, 1, by_fault.address() as u64);
    same("ID", id, lab::ID_VALUE)?;
    let counted = entries.told("second touch", || id = by_fault.read(lab::ID))?;
    none(counted)?;
    Ok("the first touch cost a page fault, the second none; mmap up front cost none at all".to_owned())
}

/// The driver has no mapping of BAR 0.
pub fn no_ioremap() -> Outcome {
    let lab = Lab::open()?;
    refused("a read by the driver", lab.read(lab::ID), Errno::ENODEV)?;
    let registers = lab.map_registers()?;
    same("ID", registers.read(lab::ID), lab::ID_VALUE)?;
    Ok("mmap reaches the device though the driver never called ioremap".to_owned())
}

/// The driver undoes its mapping while the program's lives.
pub fn iounmap() -> Outcome {
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    registers.write(lab::SCRATCH, 1);
    same("SCRATCH by the driver", lab.read(lab::SCRATCH)?, 1)?;
    lab.ioremap(false)?;
    bench::mark("iounmap");
    refused("a read by the driver", lab.read(lab::SCRATCH), Errno::ENODEV)?;
    registers.write(lab::SCRATCH, 2);
    same("SCRATCH by the program", registers.read(lab::SCRATCH), 2)?;
    lab.ioremap(true)?;
    same("SCRATCH by the driver", lab.read(lab::SCRATCH)?, 2)?;
    Ok("the program's mapping outlived iounmap".to_owned())
}

/// The program undoes its mapping while the driver's lives.
pub fn munmap() -> Outcome {
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    registers.write(lab::SCRATCH, 3);
    drop(registers);
    bench::mark("munmap");
    same("SCRATCH by the driver", lab.read(lab::SCRATCH)?, 3)?;
    Ok("the driver's mapping outlived munmap".to_owned())
}

/// More than BAR 0 has, and BAR 5, of which a page has much more than that.
pub fn small_bar() -> Outcome {
    const UNCHECKED: &str = "/sys/module/lab/parameters/unchecked";
    let lab = Lab::open()?;
    let beyond = lab.map(lab::REGISTERS_BAR, lab::MMAP_REGISTERS, 2 * lab::REGISTERS_SIZE, false);
    refused("mmap past the BAR's end", beyond, Errno::EINVAL)?;
    let map = || lab.map(lab::DOORBELLS_BAR, lab::MMAP_DOORBELLS, lab::REGISTERS_SIZE, false);
    refused("mmap of a BAR smaller than a page", map(), Errno::EINVAL)?;
    std::fs::write(UNCHECKED, "1")?;
    let page = map();
    std::fs::write(UNCHECKED, "0")?;
    page?.write(0, 1);
    acknowledged(&lab)?;
    Ok("refused; with the parameter unchecked the program gets the whole page".to_owned())
}

/// The driver's handler has answered all interrupts: on another CPU it may still be at it.
fn acknowledged(lab: &Lab) -> std::io::Result<()> {
    for _ in 0..1000 {
        if lab.read(lab::INT_STATUS)? == 0 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    ensure(false, "nobody acknowledges the interrupt")
}
