//! Unwind tables of the modules that a guest's kernel has loaded.

use std::ops::Range;

use barscope_x86::PhysicalMemory;
use serde::{Deserialize, Serialize};

use crate::btf::Btf;
use crate::orc::Table;
use crate::space::Space;
use crate::{Symbols, Untold};

/// The longest list that is followed: a guest may have made it a ring.
const LONGEST: usize = 512;
/// More parts than any module has.
const MOST_PARTS: u32 = 16;

/// Where a kernel keeps its modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// Where the list may begin: other things have that name, too.
    heads: Vec<u64>,
    /// Offsets in `struct module`.
    list: u64,
    name: u64,
    count: u64,
    places: u64,
    entries: u64,
    /// Offsets of address and size, 4 bytes, of each part.
    parts: Vec<(u64, u64)>,
}

/// A loaded module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Where its name begins.
    pub name: u64,
    /// Its parts.
    pub parts: Vec<Range<u64>>,
    /// Its unwind table.
    pub table: Table,
}

impl Modules {
    /// As a kernel's symbols and types say.
    ///
    /// # Errors
    /// [`Untold`] if they say less.
    pub fn new(symbols: &impl Symbols, btf: &Btf<'_>) -> Result<Self, Untold> {
        let offset = |path: &[&str], whole| {
            btf.member("module", path).map(|member| member.offset()).ok_or(Untold::Member(whole))
        };
        // Since 6.4 an array, before it two structures of their own.
        let parts = match btf.member("module", &["mem"]) {
            Some(parts) => {
                let size = u64::from(btf.size("module_memory").ok_or(Untold::Member("module_memory"))?);
                let within = |name| {
                    let member =
                        btf.member("module_memory", &[name]).ok_or(Untold::Member("module_memory"))?;
                    Ok::<_, Untold>(parts.offset() + member.offset())
                };
                let (address, length) = (within("base")?, within("size")?);
                let count = btf.elements(parts.of).unwrap_or(0).min(MOST_PARTS);
                (0..u64::from(count)).map(|index| (address + index * size, length + index * size)).collect()
            }
            None => {
                let part = |layout| {
                    let whole = "module.core_layout";
                    Ok::<_, Untold>((offset(&[layout, "base"], whole)?, offset(&[layout, "size"], whole)?))
                };
                vec![part("core_layout")?, part("init_layout")?]
            }
        };
        let heads = symbols.addresses("modules");
        if heads.is_empty() {
            return Err(Untold::Symbol("modules"));
        }
        Ok(Self {
            heads,
            list: offset(&["list"], "module.list")?,
            name: offset(&["name"], "module.name")?,
            count: offset(&["arch", "num_orcs"], "module.arch.num_orcs")?,
            places: offset(&["arch", "orc_unwind_ip"], "module.arch.orc_unwind_ip")?,
            entries: offset(&["arch", "orc_unwind"], "module.arch.orc_unwind")?,
            parts,
        })
    }

    /// Where the ends of the list are, whose words change when a module comes or goes.
    pub fn ends<M: PhysicalMemory>(&self, space: &Space<'_, M>) -> Option<[u64; 2]> {
        self.head(space).map(|head| [head, head.wrapping_add(8)])
    }

    /// Those that are loaded.
    pub fn loaded<M: PhysicalMemory>(&self, space: &Space<'_, M>) -> Vec<Module> {
        let mut all = Vec::new();
        let Some(head) = self.head(space) else { return all };
        let mut next = space.word(head);
        while let Some(entry) = next.filter(|entry| *entry != head && all.len() < LONGEST) {
            match self.module(space, entry.wrapping_sub(self.list)) {
                Some(module) => all.push(module),
                None => break,
            }
            next = space.word(entry);
        }
        all
    }

    /// The first place that a list begins at: its first entry leads back.
    fn head<M: PhysicalMemory>(&self, space: &Space<'_, M>) -> Option<u64> {
        let leads_back = |head: &&u64| {
            let first = space.word(**head);
            first.and_then(|first| space.word(first.wrapping_add(8))) == Some(**head)
        };
        self.heads.iter().find(leads_back).copied()
    }

    fn module<M: PhysicalMemory>(&self, space: &Space<'_, M>, address: u64) -> Option<Module> {
        let word = |offset: u64| space.word(address.wrapping_add(offset));
        let short = |offset: u64| space.number(address.wrapping_add(offset), 4);
        let mut parts = Vec::new();
        for (start, size) in &self.parts {
            let (start, size) = (word(*start)?, short(*size)?);
            if size != 0 {
                parts.push(start..start.saturating_add(size));
            }
        }
        let name = address.wrapping_add(self.name);
        Some(Module {
            name,
            parts,
            table: Table::new(word(self.places)?, word(self.entries)?, short(self.count)?),
        })
    }
}

#[cfg(test)]
mod tests;
