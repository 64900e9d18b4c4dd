//! PCI functions as `PCIDEV` lines: what the kernel prints of `struct pci_dev`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use barscope_analysis::view::View;
use barscope_device::{Bdf, Region, Space};
use barscope_trace::Definitions;
use barscope_trace::definition::{Definition, Path};
use barscope_trace::event::{EventKind, RouteChange};

/// Resources of a function: six BARs and the ROM.
const RESOURCES: usize = 7;
/// Interrupt Line, PCI Local Bus 3.0, section 6.2.4.
const INTERRUPT_LINE: u64 = 0x3c;
/// The longest name of a driver, in bytes.
const NAME_MAX: usize = 64;

/// A function.
pub(super) struct FunctionLine {
    bdf: Bdf,
    vendor: u16,
    device: u16,
    irq: u8,
    /// Address and flag bits, as a BAR register has them.
    bars: [u64; RESOURCES],
    lengths: [u64; RESOURCES],
    driver: Option<String>,
}

impl FunctionLine {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { bdf, vendor, device, irq, .. } = self;
        write!(out, "PCIDEV {:04x} {vendor:04x}{device:04x} {irq:x}", bdf.routing_id())?;
        for number in self.bars.iter().chain(&self.lengths) {
            write!(out, " {number:x}")?;
        }
        // The kernel leaves the blank where there is no driver.
        writeln!(out, " {}", self.driver.as_deref().unwrap_or_default())
    }

    fn holds(&self, address: u64) -> bool {
        self.bars.iter().zip(&self.lengths).any(|(bar, length)| {
            let base = bar & !0xf;
            *bar & 1 == 0 && base != 0 && address.wrapping_sub(base) < *length
        })
    }
}

/// All functions, by address.
#[derive(Default)]
pub(super) struct Functions {
    lines: BTreeMap<u16, FunctionLine>,
}

/// The place of a region among the resources.
fn resource(region: Region) -> Option<usize> {
    match region {
        Region::Bar(index) => Some(index.get().into()),
        Region::Rom => Some(6),
        Region::Config => None,
    }
}

impl Functions {
    /// Those of a trace, their BARs where they first were.
    pub(super) fn new(definitions: &Definitions) -> Self {
        let mut functions = Self::default();
        for (_, function) in definitions.functions() {
            let mut line = FunctionLine {
                bdf: function.bdf,
                vendor: function.vendor,
                device: function.device,
                irq: 0,
                bars: [0; RESOURCES],
                lengths: [0; RESOURCES],
                driver: None,
            };
            for bar in &function.bars {
                let at = usize::from(bar.index.get());
                line.lengths[at] = bar.size;
                line.bars[at] = match bar.space {
                    Space::Io => 1,
                    Space::Memory => u64::from(bar.wide) << 2 | u64::from(bar.prefetchable) << 3,
                };
            }
            functions.lines.entry(function.bdf.routing_id()).or_insert(line);
        }
        for (_, definition) in definitions.iter() {
            if let Definition::Route(route) = definition
                && let Some(function) = definitions.function_of(route)
                && let Some(at) = resource(route.region)
                && let Some(line) = functions.lines.get_mut(&function.bdf.routing_id())
                && line.bars[at] & !0xf == 0
            {
                line.bars[at] |= route.base;
                line.lengths[at] = route.size;
            }
        }
        for (_, definition) in definitions.iter() {
            if let Definition::Mapping(mapping) = definition
                && matches!(mapping.path, Path::Ioremap | Path::IoremapWc)
                && let Some(name) = driver(&mapping.who)
            {
                let mut lines = functions.lines.values_mut();
                if let Some(line) = lines.find(|line| line.holds(mapping.physical_address)) {
                    line.driver.get_or_insert_with(|| name.to_owned());
                }
            }
        }
        functions
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &FunctionLine> {
        self.lines.values()
    }

    /// Takes note of a record; a function that has become another by it: a BAR moved, or the interrupt line was set.
    pub(super) fn take(&mut self, view: &View) -> Option<&FunctionLine> {
        match view.kind {
            EventKind::Route { change: RouteChange::Added, .. } => {
                let route = view.route()?;
                let at = resource(route.region)?;
                let line = self.lines.get_mut(&view.function()?.bdf.routing_id())?;
                let moved = line.bars[at] & 0xf | route.base;
                (std::mem::replace(&mut line.bars[at], moved) != moved).then_some(line)
            }
            EventKind::Access(access) if access.write => {
                let place = view.place()?;
                if !place.is_configuration() || place.offset != INTERRUPT_LINE {
                    return None;
                }
                let line = self.lines.get_mut(&place.bdf?.routing_id())?;
                let irq = access.value as u8;
                (std::mem::replace(&mut line.irq, irq) != irq).then_some(line)
            }
            _ => None,
        }
    }
}

/// The driver's name, by who made a mapping: `lab` for `lab::probe`.
fn driver(who: &str) -> Option<&str> {
    let name = who.split("::").next()?;
    let is_name = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    (!name.is_empty() && name.len() <= NAME_MAX && name.chars().all(is_name)).then_some(name)
}
