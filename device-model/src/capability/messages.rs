//! What MSI and MSI-X have in common.

use crate::config::ConfigSpace;
use crate::vector::VectorIndex;

/// Interrupt messages. Vectors are counted from 0; bit n of a mask
/// stands for vector n, of which there are no more than causes: 32.
pub(crate) trait Messages {
    /// Number of vectors that software gave the function; at least 1.
    fn vectors(&self, config: &ConfigSpace) -> u32;

    /// The vectors that are masked.
    fn masked(&self, config: &ConfigSpace) -> u32;

    /// The vectors that are held back until they are unmasked.
    fn pending(&self, config: &ConfigSpace) -> u32;

    /// Holds back these and no others.
    fn set_pending(&mut self, config: &mut ConfigSpace, pending: u32);

    /// Address and data of the message of `vector`.
    fn message(&self, config: &ConfigSpace, vector: VectorIndex) -> (u64, u32);
}
