//! The first serial port: a 16550 whose output goes to a writer of the host. Its interrupt is an edge on
//! an input of the IOAPIC; guests that don't enable it poll.

use std::io::{self, Write};
use std::sync::Arc;

use kvm_ioctls::VmFd;
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

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

/// The serial port.
pub struct Console<W: Write>(Serial<Line, NoEvents, W>);

impl<W: Write> Console<W> {
    /// A port of `vm` that writes to `out`.
    pub fn new(vm: Arc<VmFd>, out: W) -> Self {
        Self(Serial::new(Line(vm), out))
    }

    /// Reads the register at `port`.
    pub fn read(&mut self, port: u16) -> u8 {
        self.0.read(offset(port))
    }

    /// Writes the register at `port`. What the host can't print is dropped: the guest isn't to blame.
    pub fn write(&mut self, port: u16, value: u8) {
        if let Err(error) = self.0.write(offset(port), value) {
            log::debug!("serial output lost: {error:?}");
        }
    }
}

/// Offset of `port` among the eight registers.
fn offset(port: u16) -> u8 {
    (port.wrapping_sub(*layout::SERIAL_PORTS.start()) & 7) as u8
}
