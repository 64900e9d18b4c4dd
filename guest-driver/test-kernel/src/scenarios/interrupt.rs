//! The device's interrupt, in each of its ways.

use super::Shown;
use crate::bug::{self, Bug};
use crate::check::{Failure, equal, holds};
use crate::io_apic::Input;
use crate::irq::{self, PIN_VECTOR, VECTORS};
use crate::lab::registers::{INT_ALL, INT_DMA, INT_DONE, INT_FIFO, INT_MASK, INT_STATUS, TRIGGER};
use crate::lab::{self, Lab, MessageTable, Messages, Vectors};
use crate::pci::Function;
use crate::ticker::{self, Ticker};

/// How many messages it takes, as a power of two: enough for the causes.
pub const MESSAGES_LOG2: u32 = 3;
/// How often to look for a tick, which comes after 1 us.
const PATIENCE: u32 = 1000;

/// Has the device compute, and its interrupt handled.
pub fn interrupt(function: &Function) -> Shown {
    let lab = lab::probe(function)?;
    equal("RESULT", u64::from(lab::compute_factorial(&lab, 5)?), 120)?;
    Ok("the handler in ring 0 read and cleared INT_STATUS")
}

#[inline(never)]
fn trigger(lab: &Lab<'_>, causes: u32) {
    lab.write(TRIGGER, causes);
}

/// A message for each cause, of which one is held back for a while.
pub fn message_vectors(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    lab.write(INT_STATUS, INT_ALL);
    let messages = Messages::enable(function, VECTORS.start, MESSAGES_LOG2)
        .ok_or(Failure::Reason("no MSI capability"))?;
    let vectors = Vectors::listen(&lab)?;
    messages.mask(INT_DMA);
    trigger(&lab, INT_DONE | INT_DMA | INT_FIFO);
    let first = vectors.wait(INT_DONE | INT_FIFO);
    let pending = messages.pending();
    messages.mask(0);
    let all = vectors.wait(INT_DMA);
    equal("vectors while one is masked", u64::from(first), u64::from(INT_DONE | INT_FIFO))?;
    equal("pending bits", u64::from(pending), u64::from(INT_DMA))?;
    equal("vectors", u64::from(all), u64::from(INT_DONE | INT_DMA | INT_FIFO))?;
    equal("pending bits in the end", u64::from(messages.pending()), 0)?;
    Ok("two vectors came at once, the masked one when its mask went")
}

/// The same by the table of MSI-X.
pub fn message_table(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    lab.write(INT_STATUS, INT_ALL);
    let table = MessageTable::enable(function).ok_or(Failure::Reason("no MSI-X capability"))?;
    let vectors = Vectors::listen(&lab)?;
    let causes = [INT_DONE, INT_DMA, INT_FIFO].map(|cause| u64::from(cause.trailing_zeros()));
    for index in causes {
        table.set(index, VECTORS.start + index as u8);
        table.mask(index, index == causes[1]);
    }
    if bug::is(Bug::LiveVector) {
        table.set(causes[0], VECTORS.end - 1);
        table.set(causes[0], VECTORS.start + causes[0] as u8);
    }
    trigger(&lab, INT_DONE | INT_DMA | INT_FIFO);
    let first = vectors.wait(INT_DONE | INT_FIFO);
    let pending = table.pending();
    table.mask(causes[1], false);
    let all = vectors.wait(INT_DMA);
    let pending_in_the_end = table.pending();
    causes.into_iter().for_each(|index| table.mask(index, true));
    equal("vectors while one is masked", u64::from(first), u64::from(INT_DONE | INT_FIFO))?;
    equal("pending bits", u64::from(pending), u64::from(INT_DMA))?;
    equal("vectors", u64::from(all), u64::from(INT_DONE | INT_DMA | INT_FIFO))?;
    equal("pending bits in the end", u64::from(pending_in_the_end), 0)?;
    Ok("two vectors came at once, the masked one when its mask went")
}

/// Two functions on one line: one interrupts, the other, both.
pub fn shared_line(function: &Function, ticker: &Function) -> Shown {
    let line = function.interrupt_line();
    equal("the ticker's Interrupt Line", u64::from(ticker.interrupt_line()), u64::from(line))?;
    let lab = lab::attach(function)?;
    let ticker = Ticker::attach(ticker)?;
    lab.write(INT_STATUS, INT_ALL);
    lab.write(INT_MASK, INT_DONE);
    let _input = Input::enable(line, PIN_VECTOR);
    let requested = irq::request(PIN_VECTOR, lab::isr_on_pin, lab.register_address(0))
        .and_then(|()| irq::request(PIN_VECTOR, ticker::isr, ticker.address()));
    let played =
        requested.ok_or(Failure::Reason("no room for a handler")).and_then(|()| share(&lab, &ticker));
    irq::free(PIN_VECTOR);
    lab::switch_off(&lab);
    played?;
    Ok("each handler found out whose interrupt it was")
}

fn share(lab: &Lab<'_>, ticker: &Ticker) -> Result<(), Failure> {
    ticker.tick_once();
    let (mut ticks, mut causes) = (0, 0);
    while ticks == 0 {
        irq::wait();
        ticks = ticker::ticks();
    }
    holds(lab::pins_not_ours() > 0, "the lab's handler was not asked")?;
    equal("causes of the lab while the ticker ticks", u64::from(lab::pin_causes()), 0)?;

    trigger(lab, INT_DONE);
    while causes == 0 {
        irq::wait();
        causes = lab::pin_causes();
    }
    equal("ticks while the lab interrupts", u64::from(ticker::ticks()), 0)?;

    ticker.tick_once();
    holds((0..PATIENCE).any(|_| ticker.has_ticked()), "no tick comes")?;
    trigger(lab, INT_DONE);
    (ticks, causes) = (0, 0);
    while ticks == 0 || causes == 0 {
        irq::wait();
        ticks += ticker::ticks();
        causes |= lab::pin_causes();
    }
    Ok(())
}
