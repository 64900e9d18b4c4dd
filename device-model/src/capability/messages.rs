//! What MSI and MSI-X have in common.

use crate::config::ConfigSpace;
use crate::interrupt_set::InterruptSet;
use crate::vector::VectorIndex;

/// Interrupt messages. Vectors are counted from 0.
pub(crate) trait Messages {
    /// Number of vectors that software gave the function; at least 1.
    fn vectors(&self, config: &ConfigSpace) -> u16;

    /// The vectors that are masked.
    fn masked(&self, config: &ConfigSpace) -> InterruptSet;

    /// The vectors that are held back until they are unmasked.
    fn pending(&self, config: &ConfigSpace) -> InterruptSet;

    /// Holds back these and no others.
    fn set_pending(&mut self, config: &mut ConfigSpace, pending: InterruptSet);

    /// Address and data of the message of `vector`.
    fn message(&self, config: &ConfigSpace, vector: VectorIndex) -> (u64, u32);
}
