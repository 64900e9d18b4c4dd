//! Refusals: accesses that a device doesn't answer.

/// The reason why a device didn't answer an access. Not an error of the VMM: the guest reads all-ones (or what
/// [`PciDevice::refused_read`](crate::device::PciDevice::refused_read) says), or its write is dropped, and the trace says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No register there.
    #[error("no register there")]
    Reserved,
    /// The register takes no access of this width.
    #[error("unsupported width")]
    Width,
    /// The access is not aligned to the register.
    #[error("unaligned")]
    Alignment,
    /// A read of a write-only register.
    #[error("write-only")]
    WriteOnly,
    /// A write to a read-only register.
    #[error("read-only")]
    ReadOnly,
    /// The device is in a state that ignores it (busy).
    #[error("ignored while busy")]
    Busy,
    /// It would start something beyond what the device has.
    #[error("out of range")]
    Range,
}
