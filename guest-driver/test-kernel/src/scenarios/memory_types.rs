//! Mappings of device memory that are not uncached: the page walk shows it.

use common::shapes;
use common::system_call::{fill, routine};

use super::{process, run_to_exit};
use crate::check::{Failure, equal};
use crate::lab;
use crate::paging::Caching;
use crate::pci::Function;

/// Both rings use the memory through write-combining mappings.
pub fn write_combining(function: &Function) -> Result<&'static str, Failure> {
    let memory = lab::map_memory(function, shapes::SIZE, Caching::WriteCombining)?;
    equal("memory in ring 0", u64::from(lab::exchange_first(&memory, 0xc0ff_ee10)), 0xc0ff_ee10)?;
    let mut process = process(function, routine::WRITE_COMBINING, [fill::ON_FAULT, 0xc0ff_ee11])?;
    equal("memory in ring 3", run_to_exit(&mut process)?, 0xc0ff_ee11)?;
    Ok("ioremap_wc and mmap both gave WC")
}

/// Ring 0 uses the memory through a cached mapping.
pub fn cached_mapping(function: &Function) -> Result<&'static str, Failure> {
    let memory = lab::map_memory(function, shapes::SIZE, Caching::WriteBack)?;
    equal("memory in ring 0", u64::from(lab::exchange_first(&memory, 0xc0ff_ee12)), 0xc0ff_ee12)?;
    Ok("ioremap_cache asked for WB; the MTRRs made it UC, and the device saw both")
}
