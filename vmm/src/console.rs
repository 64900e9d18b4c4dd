//! The first serial port: a 16550 whose output goes to a writer of the host. It raises no interrupts:
//! guests poll it.

use std::convert::Infallible;
use std::io::Write;

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

use crate::layout;

/// Swallows the port's interrupt.
struct NoInterrupt;

impl Trigger for NoInterrupt {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The serial port.
pub struct Console<W: Write>(Serial<NoInterrupt, NoEvents, W>);

impl<W: Write> Console<W> {
    /// A port that writes to `out`.
    pub fn new(out: W) -> Self {
        Self(Serial::new(NoInterrupt, out))
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
