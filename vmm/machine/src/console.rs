//! The first serial port: a 16550 whose output goes to a writer of the host, and line by line into the trace. Its
//! interrupt is an edge on an input of the IOAPIC; guests that don't enable it poll.

mod lines;

use std::io::{self, Write};
use std::sync::Arc;

use kvm_ioctls::VmFd;
use vm_superio::serial::NoEvents;
use vm_superio::serial::SerialState;
use vm_superio::{Serial, Trigger};

use self::lines::Lines;
use crate::layout;

/// The input of the IOAPIC that the port's interrupt is wired to.
struct Line(Arc<VmFd>);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> Result<(), io::Error> {
        for level in [true, false] {
            self.0.set_irq_line(layout::SERIAL_GSI.into(), level)?;
        }
        Ok(())
    }
}

/// Where output goes.
struct Output<W> {
    out: W,
    lines: Lines,
    /// The line that the last byte completed.
    complete: Option<String>,
}

impl<W: Write> Write for Output<W> {
    /// Takes a byte: that is how the port writes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(first) = bytes.first() else { return Ok(0) };
        // A line counts also if the host can't print it.
        self.complete = self.lines.push(*first);
        self.out.write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The serial port.
pub struct Console<W: Write>(Serial<Line, NoEvents, Output<W>>);

impl<W: Write> Console<W> {
    /// A port of `vm` that writes to `out`, in this state.
    ///
    /// # Errors
    /// What KVM says when the interrupt is sent that the state has pending.
    pub fn new(vm: Arc<VmFd>, out: W, state: &SerialState) -> io::Result<Self> {
        let output = Output { out, lines: Lines::default(), complete: None };
        let serial = Serial::from_state(state, Line(vm), NoEvents, output);
        serial.map(Self).map_err(|error| match error {
            vm_superio::serial::Error::Trigger(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
    }

    /// What its registers hold.
    pub fn state(&self) -> SerialState {
        self.0.state()
    }

    /// Reads the register at `port`.
    pub fn read(&mut self, port: u16) -> u8 {
        self.0.read(offset(port))
    }

    /// Writes the register at `port`; the line of output that it completes. What the host can't print is dropped: the
    /// guest isn't to blame.
    pub fn write(&mut self, port: u16, value: u8) -> Option<String> {
        if let Err(error) = self.0.write(offset(port), value) {
            log::debug!("serial output lost: {error:?}");
        }
        self.0.writer_mut().complete.take()
    }

    /// Takes what is typed, as far as there is room; how many bytes that were.
    pub fn receive(&mut self, typed: &[u8]) -> usize {
        // It fails where there is none, or if KVM doesn't take the interrupt: the bytes are there then for a guest that looks.
        let room = self.0.fifo_capacity().min(typed.len());
        if room == 0 {
            return 0;
        }
        match self.0.enqueue_raw_bytes(&typed[..room]) {
            Ok(taken) => taken,
            Err(error) => {
                log::debug!("serial input without its interrupt: {error:?}");
                room
            }
        }
    }

    /// What was printed of a line that has no end.
    pub fn rest(&mut self) -> Option<String> {
        self.0.writer_mut().lines.rest()
    }
}

/// Offset of `port` among the eight registers.
fn offset(port: u16) -> u8 {
    (port.wrapping_sub(*layout::SERIAL_PORTS.start()) & 7) as u8
}
