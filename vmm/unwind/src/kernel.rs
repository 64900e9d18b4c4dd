//! What there is to know of a guest's kernel before its stacks and tasks can be read.

use std::ops::Range;

use barscope_x86::PhysicalMemory;
use serde::{Deserialize, Serialize};

use crate::btf::Btf;
use crate::entries::Entries;
use crate::modules::Modules;
use crate::orc::{Layout, Table};
use crate::space::Space;
use crate::task::Tasks;
use crate::{Symbols, Untold};

/// More type information than any kernel has, in bytes.
const MOST_TYPES: u64 = 64 << 20;

/// A guest's kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its tasks.
    pub tasks: Tasks,
    /// Its unwind tables, or why there are none.
    pub tables: Result<KernelTables, Untold>,
}

/// The unwind tables of a guest's kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelTables {
    pub(crate) layout: Layout,
    /// That of the kernel itself, and where its code is.
    pub(crate) own: Table,
    pub(crate) code: Range<u64>,
    pub(crate) modules: Modules,
    pub(crate) entries: Entries,
}

impl Kernel {
    /// As a kernel's symbols and the types in its memory say.
    ///
    /// # Errors
    /// [`Untold`] if they say less.
    pub fn read<M: PhysicalMemory>(space: &Space<'_, M>, symbols: &impl Symbols) -> Result<Self, Untold> {
        let types = types(space, symbols)?;
        let btf = Btf::parse(&types)?;
        Ok(Self { tasks: Tasks::new(symbols, &btf)?, tables: KernelTables::new(symbols, &btf) })
    }
}

impl KernelTables {
    fn new(symbols: &impl Symbols, btf: &Btf<'_>) -> Result<Self, Untold> {
        let symbol = |name| symbols.address(name).ok_or(Untold::Symbol(name));
        let places = (symbol("__start_orc_unwind_ip")?, symbol("__stop_orc_unwind_ip")?);
        let entries = (symbol("__start_orc_unwind")?, symbol("__stop_orc_unwind")?);
        Ok(Self {
            layout: Layout::new(btf).ok_or(Untold::Layout)?,
            own: Table::between(places, entries).ok_or(Untold::Layout)?,
            code: symbol("_stext")?..symbol("_einittext")?,
            modules: Modules::new(symbols, btf)?,
            entries: Entries::new(symbols),
        })
    }
}

/// A copy of the kernel's type information.
fn types<M: PhysicalMemory>(space: &Space<'_, M>, symbols: &impl Symbols) -> Result<Vec<u8>, Untold> {
    const PAGE: usize = 4096;
    let symbol = |name| symbols.address(name).ok_or(Untold::Symbol(name));
    let (start, stop) = (symbol("__start_BTF")?, symbol("__stop_BTF")?);
    let length = stop.checked_sub(start).filter(|length| *length <= MOST_TYPES).ok_or(Untold::Unmapped)?;
    let length = usize::try_from(length).map_err(|_| Untold::Unmapped)?;
    let mut types = Vec::new();
    // It grows with what is there.
    while types.len() < length {
        let mut page = [0; PAGE];
        let part = &mut page[..PAGE.min(length - types.len())];
        if !space.read(start.wrapping_add(types.len() as u64), part) {
            return Err(Untold::Unmapped);
        }
        types.extend_from_slice(part);
    }
    Ok(types)
}
