//! An executable where an address space has it.

use barscope_trace::definition::Image;

use super::image::SymbolImage;
use super::{Symbol, name};

/// A file's symbols, and where the file is.
pub(super) struct PlacedImage<'a> {
    pub(super) image: &'a SymbolImage,
    pub(super) placed: &'a Image,
}

impl PlacedImage<'_> {
    /// Whether `address` lies in it. What names nothing holds nothing, unless it is known that a process has it there.
    pub(super) fn holds(&self, address: u64) -> bool {
        let address = self.in_file(address);
        self.image.holds(address) || (self.placed.file.is_some() && self.image.covers(address))
    }

    /// The symbol of the code at `address`; where a process has a file that says none, the file and the place in it.
    pub(super) fn find(&self, address: u64) -> Option<Symbol> {
        let in_file = self.in_file(address);
        let stripped =
            || Symbol { function: name::file(&self.placed.name), offset: Some(in_file), ..Symbol::default() };
        self.image
            .find(in_file)
            .or_else(|| (self.placed.file.is_some() && self.holds(address)).then(stripped))
    }

    fn in_file(&self, address: u64) -> u64 {
        address.wrapping_sub(self.placed.bias)
    }
}
