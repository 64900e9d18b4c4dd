//! Where BARs and expansion ROMs lie as firmware leaves them, and the windows that hold them.
//!
//! As QEMU's SeaBIOS does it (`src/fw/pciinit.c`): the largest first, so that none wastes room; memory BARs
//! at least a page apart, so that each can be mapped alone. A 64-bit BAR gets an address above 4 GiB only if
//! there is no room for it below, where a 32-bit kernel can reach it.
//!
//! Sizes are powers of two, and every window begins and ends where none of them leaves a hole that the next
//! one can't fill: what is asked for fits, largest first, if its sum is no more than the window. So the sums
//! say all. That of the window above 4 GiB holds every 64-bit BAR: a kernel that places BARs itself may put
//! all of them there.

mod no_room;
mod request;
mod window;

use std::ops::RangeInclusive;

use barscope_device::{Bdf, ConfigHeader, PciFunction, Region, Space};

pub use self::no_room::NoRoom;
use self::no_room::Window as Full;
use self::request::Request;
use self::window::Window;
use crate::layout;

/// How many bits a physical address has at least and at most, on a processor in long mode.
const ADDRESS_BITS: RangeInclusive<u32> = 36..=52;
/// How many naturally aligned powers of two the window above 4 GiB may be made of: one variable MTRR each, and
/// KVM has eight, of which the window below takes one.
const MTRRS: u32 = barscope_x86::memory_type::VARIABLE_RANGES - 1;

/// A function that asks for addresses.
pub struct Asking<'a> {
    /// Where it is.
    pub bdf: Bdf,
    /// Its device's name.
    pub name: &'a str,
    /// What it asks for.
    pub header: &'a ConfigHeader,
}

impl<'a> Asking<'a> {
    /// This function, where it is.
    pub fn of((bdf, function): &'a (Bdf, PciFunction)) -> Self {
        Self { bdf: *bdf, name: function.name(), header: function.header() }
    }
}

/// A region with the address that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Index of the function.
    pub function: usize,
    /// Its BAR, or its expansion ROM.
    pub region: Region,
    /// Whether the address has 64 bits.
    pub wide: bool,
    /// A multiple of the region's size.
    pub base: u64,
}

/// Addresses for all regions, and the window above 4 GiB that was made for them.
#[derive(Debug)]
pub struct Placement {
    above_4_gib: RangeInclusive<u64>,
    regions: Vec<Placed>,
}

impl Placement {
    /// Finds room for what `functions` ask for, where physical addresses have `address_bits` bits.
    ///
    /// # Errors
    /// [`NoRoom`] if a window can't hold what is asked of it.
    pub fn new(functions: &[Asking<'_>], address_bits: u32) -> Result<Self, NoRoom> {
        let mut requests: Vec<_> = (0..)
            .zip(functions)
            .flat_map(|(index, function)| Request::all_of(index, function.header))
            .collect();
        let no_room = |full, belongs: fn(&Request) -> bool| {
            NoRoom::new(full, functions, requests.iter().filter(|request| belongs(request)))
        };
        let sum = |belongs: fn(&Request) -> bool| -> u128 {
            requests.iter().filter(|request| belongs(request)).map(|request| u128::from(request.size)).sum()
        };
        for (full, window, belongs) in [
            (Full::Ports, &layout::PCI_IO, Request::is_io as fn(&Request) -> bool),
            (Full::Below4Gib, &layout::PCI_MEMORY_32, Request::is_narrow),
        ] {
            if sum(belongs) > size(window) {
                return Err(no_room(full, belongs));
            }
        }
        let address_bits = address_bits.clamp(*ADDRESS_BITS.start(), *ADDRESS_BITS.end());
        let wide = sum(Request::is_wide);
        let above_4_gib = (layout::PCI_MEMORY_64_BITS..=address_bits)
            .map(window_of)
            .find(|window| wide <= size(window))
            .ok_or_else(|| no_room(Full::Above4Gib { address_bits }, Request::is_wide))?;

        // What has no choice comes first; equals stay in their order.
        requests.sort_by_key(|request| (request.wide, std::cmp::Reverse(request.size)));
        let mut low = Window::new(&layout::PCI_MEMORY_32);
        let mut high = Window::new(&above_4_gib);
        let mut ports = Window::new(&layout::PCI_IO);
        let mut regions = Vec::with_capacity(requests.len());
        for &Request { function, region, space, size, wide } in &requests {
            let base = match space {
                Space::Io => ports.take(size),
                Space::Memory if wide => low.take(size).or_else(|| high.take(size)),
                Space::Memory => low.take(size),
            };
            regions.extend(base.map(|base| Placed { function, region, wide, base }));
        }
        debug_assert_eq!(regions.len(), requests.len(), "the sums fit, and so does each");
        regions.sort_by_key(|placed| (placed.function, placed.region));
        Ok(Self { above_4_gib, regions })
    }

    /// All regions with their addresses, in the order of functions and regions.
    pub fn regions(&self) -> &[Placed] {
        &self.regions
    }

    /// The window for 64-bit BARs, as the DSDT announces it.
    pub fn above_4_gib(&self) -> &RangeInclusive<u64> {
        &self.above_4_gib
    }

    /// What firmware makes uncacheable: everything from ECAM, over the window below 4 GiB, to 4 GiB, and the
    /// window above. Each is a power of two in size and lies at a multiple of it, as an MTRR needs it.
    pub fn uncacheable(&self) -> Vec<RangeInclusive<u64>> {
        let (first, last) = self.above_4_gib.clone().into_inner();
        let blocks = std::iter::successors(Some(first), |base| base.checked_mul(2));
        let blocks = blocks.take_while(|base| *base <= last).map(|base| base..=2 * base - 1);
        std::iter::once(layout::ECAM_BASE..=0xffff_ffff).chain(blocks).collect()
    }
}

/// The window above 4 GiB that ends where addresses of `bits` bits do. It begins where that of the fewest bits
/// does, or as low as the MTRRs can cover it.
fn window_of(bits: u32) -> RangeInclusive<u64> {
    let first = (bits - MTRRS).max(layout::PCI_MEMORY_64_BITS - 1);
    1 << first..=(1 << bits) - 1
}

/// How many addresses there are in a window.
fn size(window: &RangeInclusive<u64>) -> u128 {
    u128::from(window.end() - window.start()) + 1
}

#[cfg(test)]
mod tests;
