//! Guest memory as a device reaches it: direct memory access.

/// Guest memory, as DMA sees it.
pub trait DmaMemory {
    /// Fills `data` from guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`] if any byte lies outside guest memory; then nothing was read.
    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), DmaError>;

    /// Writes `data` at guest physical `address`.
    ///
    /// # Errors
    /// [`DmaError::OutOfBounds`] if any byte lies outside guest memory; then nothing was written.
    fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaError>;
}

/// The reason why a transfer didn't happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DmaError {
    /// Bus Master Enable is off (Command bit 2): the transfer goes nowhere.
    #[error("bus mastering is off")]
    BusMasterOff,
    /// Start, length or their sum lie outside guest memory.
    #[error("outside guest memory")]
    OutOfBounds,
}
