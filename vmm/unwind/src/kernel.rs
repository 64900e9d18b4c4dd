//! What there is to know of a guest's kernel before its stacks and tasks can be read.

use barscope_x86::PhysicalMemory;

use crate::btf::Btf;
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
}

impl Kernel {
    /// As a kernel's symbols and the types in its memory say.
    ///
    /// # Errors
    /// [`Untold`] if they say less.
    pub fn read<M: PhysicalMemory>(space: &Space<'_, M>, symbols: &impl Symbols) -> Result<Self, Untold> {
        let types = types(space, symbols)?;
        let btf = Btf::parse(&types)?;
        Ok(Self { tasks: Tasks::new(symbols, &btf)? })
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
