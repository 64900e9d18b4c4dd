//! The two ways to configuration space: a pair of I/O ports, and memory (ECAM).

use crate::access_size::AccessSize;
use crate::address::Bdf;
use crate::refused::Refused;

/// CONFIG_ADDRESS, at port 0xcf8: selects what the four ports from 0xcfc (CONFIG_DATA) reach.
///
/// Only a 32-bit access to 0xcf8 itself reaches the register; narrower ones pass it by, to other devices on
/// those ports. PCI Local Bus 3.0, section 3.2.2.3.2; Intel's chipsets say the same of it (82845 MCH
/// datasheet, section 3.3.1). QEMU, too, ignores narrower writes, but answers narrower reads.
///
/// The register keeps all that is written, as QEMU's does (`hw/pci/pci_host.c`), while the specification has
/// bits 30:24 and 1:0 read as zero: guests that were only ever run on virtual machines leave the low bits of
/// an offset in it. As there, they are part of the offset that CONFIG_DATA reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigAddress(u32);

impl ConfigAddress {
    /// Number of bytes of configuration space that CONFIG_DATA reaches.
    pub const REACH: u64 = 256;
    const ENABLE: u32 = 1 << 31;

    /// Reads `size` bytes at port 0xcf8 + `offset`.
    ///
    /// # Errors
    /// [`Refused::Width`] or [`Refused::Alignment`] unless it is the whole register.
    pub fn read(&self, offset: u64, size: AccessSize) -> Result<u64, Refused> {
        whole(offset, size)?;
        Ok(self.0.into())
    }

    /// Writes the low `size` bytes of `value` at port 0xcf8 + `offset`.
    ///
    /// # Errors
    /// As for [`ConfigAddress::read`]; the register stays as it is.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64) -> Result<(), Refused> {
        whole(offset, size)?;
        self.0 = value as u32;
        Ok(())
    }

    /// Target of an access at port 0xcfc + `offset`: a function and an offset in the first 256 bytes
    /// of its configuration space, its low bits those of the register or of the port. `None` while the
    /// register's enable bit is clear, or for an offset above 3.
    pub fn target(&self, offset: u64) -> Option<(Bdf, u16)> {
        if self.0 & Self::ENABLE == 0 || offset > 3 {
            return None;
        }
        let register = (self.0 & 0xff) as u16;
        Some((Bdf::from_routing_id((self.0 >> 8) as u16), register | offset as u16))
    }
}

fn whole(offset: u64, size: AccessSize) -> Result<(), Refused> {
    match (offset, size) {
        (0, AccessSize::Dword) => Ok(()),
        (_, AccessSize::Dword) => Err(Refused::Alignment),
        _ => Err(Refused::Width),
    }
}

/// Target of an access at `offset` of the ECAM range: a function, and an offset in its 4096 bytes of
/// configuration space. The range begins at bus 0; bits above its 256 MiB are ignored.
///
/// PCI Express Base, section 7.2.2.
pub const fn ecam_target(offset: u64) -> (Bdf, u16) {
    (Bdf::from_routing_id((offset >> 12) as u16), (offset & 0xfff) as u16)
}

#[cfg(test)]
mod tests;
