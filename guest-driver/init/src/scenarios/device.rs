//! Interrupts and DMA, with the driver's handler between device and program.

use super::{Outcome, ensure, same};
use crate::lab::{self, Lab};
use crate::{bench, system};

/// How long the program waits for an interrupt, in milliseconds.
const PATIENCE: i32 = 5000;

/// A vector for each cause.
pub fn msi_x() -> Outcome {
    wakes(lab::IRQ_MSIX, "MSI-X")
}

/// One message for all causes.
pub fn msi() -> Outcome {
    wakes(lab::IRQ_MSI, "MSI")
}

/// The pin, which another function shares.
pub fn intx() -> Outcome {
    wakes(lab::IRQ_INTX, "INTA#")
}

/// A computation that the program starts with a store, and whose end wakes it.
fn wakes(kind: u32, name: &str) -> Outcome {
    let lab = Lab::open()?;
    let before = lab.info()?;
    same("kind of interrupt", before.irq, kind)?;
    let registers = lab.map_registers()?;
    lab.take()?;
    registers.write(lab::OPERAND, 5);
    bench::mark("start");
    registers.write(lab::OPCODE, lab::OPCODE_FACTORIAL);
    let ready = system::wait_readable(&lab.file, PATIENCE)?;
    ensure(ready & system::POLL_IN != 0, "no interrupt came")?;
    same("causes", lab.take()?, lab::INT_DONE)?;
    same("5!", registers.read(lab::RESULT), 120)?;
    let handled = lab.info()?.interrupts - before.interrupts;
    ensure(handled == 1, format!("{handled} interrupts instead of one"))?;
    Ok(format!("{name} woke the program after the handler had acknowledged"))
}

/// To the device and back, and once more while the device may not.
pub fn dma() -> Outcome {
    let lab = Lab::open()?;
    let mut data: Vec<u8> = (0..=255).collect();
    let sent = data.clone();
    let status = lab.transfer(&mut data, 0x100, false)?;
    ensure(status & lab::DMA_DONE != 0, format!("to the device: DMA_STATUS {status:#x}"))?;
    data.fill(0);
    let status = lab.transfer(&mut data, 0x100, true)?;
    ensure(status & lab::DMA_DONE != 0, format!("from the device: DMA_STATUS {status:#x}"))?;
    ensure(data == sent, "other bytes came back")?;

    lab.function.set_bus_mastering(false)?;
    bench::mark("bus mastering off");
    let status = lab.transfer(&mut data, 0x100, true);
    lab.function.set_bus_mastering(true)?;
    let status = status?;
    ensure(status & lab::DMA_ERROR != 0, format!("without bus mastering: DMA_STATUS {status:#x}"))?;
    same("REASON", status >> lab::DMA_REASON_SHIFT, lab::DMA_NOT_MASTER)?;

    // The interrupt that was lost is not in the way of the next one.
    bench::mark("bus mastering on");
    let status = lab.transfer(&mut data, lab::MEMORY_SIZE, true)?;
    same("REASON", status >> lab::DMA_REASON_SHIFT, lab::DMA_OUTSIDE)?;
    Ok("256 bytes went and came back; without bus mastering none moved".to_owned())
}
