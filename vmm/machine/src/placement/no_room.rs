//! The refusal of a bus whose windows can't hold what its functions ask for, with the sums.

use std::cmp::Reverse;
use std::fmt;

use barscope_trace::units;

use super::request::Request;
use super::{Asking, size, window_of};
use crate::layout;

/// How many regions are named; the others are summed up.
const NAMED: usize = 8;

/// The window that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// That for I/O BARs.
    Ports,
    /// That for 32-bit BARs and expansion ROMs.
    Below4Gib,
    /// That for 64-bit BARs, on a processor with so many bits of physical address.
    Above4Gib { address_bits: u32 },
}

/// Devices ask for more addresses than a window has, or can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    window: Window,
    /// What each region is called, and the room that it takes; the largest first.
    asked: Vec<(String, u64)>,
}

impl NoRoom {
    pub(super) fn new<'a>(
        window: Window,
        functions: &[Asking<'_>],
        requests: impl Iterator<Item = &'a Request>,
    ) -> Self {
        let name = |request: &Request| {
            let Asking { bdf, name, .. } = functions[request.function];
            format!("{name} at {bdf} {}", request.region)
        };
        let mut asked: Vec<_> = requests.map(|request| (name(request), request.size)).collect();
        asked.sort_by_key(|(_, size)| Reverse(*size));
        Self { window, asked }
    }
}

impl std::error::Error for NoRoom {}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |value: u128| match self.window {
            Window::Ports => format!("{value}"),
            _ => added(value),
        };
        let sum = |asked: &[(String, u64)]| amount(asked.iter().map(|(_, size)| u128::from(*size)).sum());
        let place = match self.window {
            Window::Ports => "I/O ports",
            Window::Below4Gib => "below 4 GiB",
            Window::Above4Gib { .. } => "above 4 GiB",
        };
        write!(f, "the devices ask for {} {place}", sum(&self.asked))?;
        let (named, others) = self.asked.split_at(self.asked.len().min(NAMED));
        for (index, (name, size)) in named.iter().enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            write!(f, "{separator}{name} {}", amount((*size).into()))?;
        }
        if !others.is_empty() {
            write!(f, ", and {} more with {}", others.len(), sum(others))?;
        }
        match self.window {
            Window::Ports => {
                let (first, last) = layout::PCI_IO.into_inner();
                let room = size(&layout::PCI_IO);
                write!(f, "; the window, {first:#x} to {last:#x}, holds {room}; leave devices out")
            }
            Window::Below4Gib => {
                let room = units::size(size(&layout::PCI_MEMORY_32));
                write!(f, "; the window there holds {room}; give them 64-bit BARs, or leave devices out")
            }
            Window::Above4Gib { address_bits } => {
                let room = units::size(size(&window_of(address_bits)));
                write!(
                    f,
                    "; with this processor's {address_bits} bits of physical address the window there holds {room}; \
                     make the BARs smaller, or leave devices out"
                )
            }
        }
    }
}

/// `2 GiB + 16 KiB`: a part for each unit, so that none is a long number.
fn added(mut bytes: u128) -> String {
    let mut parts = Vec::new();
    for bits in [60, 50, 40, 30, 20, 10, 0] {
        let part = bytes >> bits << bits;
        if part != 0 || bits == 0 && parts.is_empty() {
            parts.push(units::size(part));
        }
        bytes -= part;
    }
    parts.join(" + ")
}
